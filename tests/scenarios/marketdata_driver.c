/*
 * marketdata_driver.c - tells stories to the market data core: it plays sources, clock and shell.
 *
 * Inputs are the questions md_snapshot_get, md_depth_get, md_trades_get and md_symbols_get, raw
 * lines of a recording (they begin with the receive time), and these directives:
 *
 *   limits KEY=N ...           stale_ms heal_ms price_ms candle_ms beat_ms grace_ms levels resend;
 *                              starts anew, so it is the first line of a story
 *   symbol NAME                a symbol with common rules; the events that follow are about it
 *   now US                     our clock
 *   tick                       what time does, to every symbol
 *   trade, quote, kline ...    events: marketdata_events.h
 *   remove                     the last symbol named
 *   csv LINE                   the next line of a CSV file; `csv begin` starts another file
 *   sources TEXT               what a configuration line of sources says
 *   resend from=N to=N         from the ring of the last symbol
 *   remember interval=I open_time=US price=P quantity=Q trades=N as_of=US
 *                              an open candle that an earlier process left; without as_of a
 *                              closed one, with the word final a final one
 *   known interval=I from=US to=US max=N   candles that memory holds
 *   ticker / average / stream / missing   views of the last symbol
 *   show WHAT... / hide WHAT.. which messages are told: stream (at first) price candle beat ticker
 *   candles INTERVAL...        of these intervals only
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marketdata/core/binance.h"
#include "marketdata/core/csv.h"
#include "marketdata/core/md.h"
#include "marketdata/core/spec.h"
#include "marketdata_events.h"
#include "scenario.h"
#include "wire/codec.h"

#define SYMBOLS_MAX 8
#define TEXT_MAX    8192

enum shown { SHOW_STREAM = 1, SHOW_PRICE = 2, SHOW_CANDLE = 4, SHOW_BEAT = 8, SHOW_TICKER = 16 };

static const struct {
    const char *word;
    unsigned bit;
} shown_words[] = {{"stream", SHOW_STREAM},
                   {"price", SHOW_PRICE},
                   {"candle", SHOW_CANDLE},
                   {"beat", SHOW_BEAT},
                   {"ticker", SHOW_TICKER}};

struct driver {
    struct md_limits limits;
    struct symbol_rules rules[3];
    struct md md;
    void *memory, *symbol_memory[SYMBOLS_MAX];
    struct out slots[2 * MD_OUT_MAX];
    struct outbox out;
    void *lists;
    code_t symbol; /* the last one named */
    int64_t now_us;
    unsigned shown, intervals; /* bits */
    struct level levels[2 * SCENARIO_LEVELS_MAX];
    struct csv_layout layout;
    bool has_layout;
};

static const struct md_limits common_limits = {.symbols_max = SYMBOLS_MAX,
                                               .levels_max = 100,
                                               .kept_levels_max = 256,
                                               .ring_messages = 8,
                                               .ring_bytes = 1u << 16,
                                               .stale_after_us = 10000000,
                                               .heal_after_us = 5000000,
                                               .price_every_us = 100000,
                                               .candle_every_us = 250000,
                                               .beat_every_us = 1000000,
                                               .candle_grace_us = 2000000};

static void
core_begin(struct driver *d)
{
    static const char *const names[][3] = {
        {"BTCUSDT", "BTC", "USDT"}, {"ETHUSDT", "ETH", "USDT"}, {"XRPETH", "XRP", "ETH"}};
    for (size_t i = 0; i < 3; i++)
        d->rules[i] = (struct symbol_rules){.symbol = code_of(names[i][0]),
                                            .base_asset = code_of(names[i][1]),
                                            .quote_asset = code_of(names[i][2]),
                                            .is_trading = true,
                                            .tick_size = {1000000},
                                            .step_size = {1000}};
    free(d->memory);
    for (size_t i = 0; i < SYMBOLS_MAX; i++) {
        free(d->symbol_memory[i]);
        d->symbol_memory[i] = NULL;
    }
    d->memory = malloc(md_bytes(&d->limits));
    CHECK(d->memory != NULL);
    md_init(&d->md, &d->limits, d->rules, 3, d->memory);
}

static void *
driver_open(void)
{
    struct driver *d = calloc(1, sizeof(*d));
    CHECK(d != NULL);
    d->limits = common_limits;
    d->lists = malloc(MD_LISTS_BYTES);
    CHECK(d->lists != NULL);
    outbox_init(&d->out, d->slots, 2 * MD_OUT_MAX, d->lists, MD_LISTS_BYTES);
    d->now_us = 1000000;
    d->shown = SHOW_STREAM;
    d->intervals = ~0u;
    core_begin(d);
    return d;
}

static void
driver_close(void *state)
{
    struct driver *d = state;
    for (size_t i = 0; i < SYMBOLS_MAX; i++)
        free(d->symbol_memory[i]);
    free(d->memory);
    free(d->lists);
    free(d);
}

/* ---- What the core says ----------------------------------------------------------------- */

static bool
is_shown(const struct driver *d, const struct msg *m)
{
    switch (m->type) {
    case MSG_md_price:
        return d->shown & SHOW_PRICE;
    case MSG_md_candle:
        return d->shown & SHOW_CANDLE && d->intervals & 1u << m->md_candle.interval;
    case MSG_md_beat:
        return d->shown & SHOW_BEAT;
    case MSG_md_ticker:
        return d->shown & SHOW_TICKER;
    default:
        return d->shown & SHOW_STREAM;
    }
}

/* The ring holds what a shell would have packed; here the message as text. */
static void
keep(struct driver *d, const struct msg *m)
{
    if (m->type != MSG_md_trade && m->type != MSG_md_quote && m->type != MSG_md_depth &&
        m->type != MSG_md_book && m->type != MSG_md_mark && m->type != MSG_md_liquidation)
        return;
    static char text[TEXT_MAX];
    msg_print(m, text, sizeof(text));
    /* Each of them begins with its symbol. */
    struct md_symbol *s = md_symbol_find(&d->md, m->md_trade.symbol);
    CHECK(s != NULL);
    ring_put(&s->ring, text, strlen(text) + 1);
}

static void
say_outbox(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = 0; i < d->out.count; i++) {
        const struct out *o = &d->out.slots[i];
        if (o->to == OUT_PUBLISH)
            keep(d, &o->msg);
        const char *word = o->to == OUT_REPLY ? "reply" : o->to == OUT_KEEP ? "keep" : "publish";
        if (o->to == OUT_REPLY || is_shown(d, &o->msg))
            scenario_say_msg(out, word, &o->msg);
    }
    outbox_clear(&d->out);
}

static void
apply(struct driver *d, struct scenario_out *out, const struct md_event *e)
{
    enum err why = md_apply(&d->md, e, d->now_us, &d->out);
    if (why != OK)
        scenario_say(out, "refused %s", err_name(why));
    say_outbox(d, out);
    md_check(&d->md);
}

/* ---- Lines of files ---------------------------------------------------------------------- */

static void
raw_line(struct driver *d, struct scenario_out *out, const char *line)
{
    struct binance_room room = {d->levels, SCENARIO_LEVELS_MAX};
    struct md_event e;
    if (binance_line(line, strlen(line), &room, &e) != OK) {
        scenario_say(out, "skipped");
        return;
    }
    if (e.kind == MD_EVENT_NONE) {
        scenario_say(out, "ignored");
        return;
    }
    if (code_empty(e.symbol))
        e.symbol = d->symbol;
    if (e.time_us == 0)
        e.time_us = e.at_us;
    apply(d, out, &e);
}

static void
csv_line(struct driver *d, struct scenario_out *out, const char *line)
{
    struct md_event rows[CSV_EVENTS_MAX];
    uint32_t count;
    bool is_header;
    if (strcmp(line, "begin") == 0) {
        d->has_layout = false;
        return;
    }
    if (!d->has_layout) {
        if (csv_layout_read(line, strlen(line), &d->layout, &is_header) != OK) {
            scenario_say(out, "not a known CSV");
            return;
        }
        d->has_layout = true;
        if (is_header)
            return;
    }
    if (csv_row(&d->layout, line, strlen(line), (price_t){1000000}, rows, &count) != OK) {
        scenario_say(out, "skipped");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        rows[i].symbol = d->symbol;
        apply(d, out, &rows[i]);
    }
}

/* ---- Directives ------------------------------------------------------------------------- */

static void
set_limits(struct driver *d, const char *line)
{
    struct md_limits *l = &d->limits;
    l->stale_after_us = scenario_number(line, "stale_ms", l->stale_after_us / 1000) * 1000;
    l->heal_after_us = scenario_number(line, "heal_ms", l->heal_after_us / 1000) * 1000;
    l->price_every_us = scenario_number(line, "price_ms", l->price_every_us / 1000) * 1000;
    l->candle_every_us = scenario_number(line, "candle_ms", l->candle_every_us / 1000) * 1000;
    l->beat_every_us = scenario_number(line, "beat_ms", l->beat_every_us / 1000) * 1000;
    l->candle_grace_us = scenario_number(line, "grace_ms", l->candle_grace_us / 1000) * 1000;
    l->levels_max = (uint32_t)scenario_number(line, "levels", l->levels_max);
    l->ring_messages = (uint32_t)scenario_number(line, "resend", l->ring_messages);
    core_begin(d);
}

static void
add_symbol(struct driver *d, struct scenario_out *out, const char *name)
{
    d->symbol = code_of(name);
    if (md_symbol_find(&d->md, d->symbol) != NULL)
        return;
    void *memory = malloc(md_symbol_bytes(&d->limits));
    CHECK(memory != NULL);
    uint32_t index = 0;
    while (index < SYMBOLS_MAX - 1 && d->symbol_memory[index] != NULL)
        index++;
    enum err e = md_symbol_add(&d->md, d->symbol, 1, memory);
    if (e == OK) {
        CHECK(d->symbol_memory[index] == NULL);
        d->symbol_memory[index] = memory;
        return;
    }
    free(memory);
    scenario_say(out, "refused %s", err_name(e));
}

static void
set_shown(struct driver *d, const char *line, bool shown)
{
    for (size_t i = 0; i < sizeof(shown_words) / sizeof(shown_words[0]); i++) {
        if (strstr(line, shown_words[i].word) == NULL)
            continue;
        if (shown)
            d->shown |= shown_words[i].bit;
        else
            d->shown &= ~shown_words[i].bit;
    }
}

static void
set_intervals(struct driver *d, struct scenario_out *out, const char *names)
{
    char list[128], *rest = list;
    snprintf(list, sizeof(list), "%s", names);
    d->intervals = 0;
    d->shown |= SHOW_CANDLE;
    for (char *name; (name = strsep(&rest, " ")) != NULL;)
        d->intervals |= 1u << scenario_interval(out, name);
}

static void
resend(struct driver *d, struct scenario_out *out, const char *line)
{
    const struct md_symbol *s = md_symbol_find(&d->md, d->symbol);
    uint64_t from = (uint64_t)scenario_number(line, "from", 0),
             to = (uint64_t)scenario_number(line, "to", 0);
    size_t length;
    for (uint64_t n = from; s != NULL && n <= to; n++) {
        const uint8_t *text = ring_get(&s->ring, n, &length);
        if (text == NULL)
            scenario_say(out, "resend %" PRIu64 " is not there", n);
        else
            scenario_say(out, "resend %s", (const char *)text);
    }
}

static void
remember(struct driver *d, struct scenario_out *out, const char *line)
{
    struct md_symbol *s = md_symbol_find(&d->md, d->symbol);
    price_t price = {scenario_decimal(out, line, "price")};
    struct candle c = {.open_time_us = scenario_number(line, "open_time", 0),
                       .open = price,
                       .high = price,
                       .low = price,
                       .close = price,
                       .volume = {scenario_decimal(out, line, "quantity")},
                       .trades = (uint64_t)scenario_number(line, "trades", 1)};
    enum interval i = scenario_interval(out, scenario_value(line, "interval"));
    if (s == NULL || i == INTERVAL_NONE)
        return;
    c.is_closed = scenario_value(line, "as_of") == NULL;
    c.is_final = strstr(line, " final") != NULL;
    if (!c.is_closed)
        md_remember_open(s, i, &c, scenario_number(line, "as_of", 0));
    else if (i == INTERVAL_1m)
        md_remember_minute(s, &c);
    else if (i == INTERVAL_1d)
        md_remember_day(s, &c);
    else
        md_remember_longer(s, i, &c);
    md_check(&d->md);
}

static void
known(struct driver *d, struct scenario_out *out, const char *line)
{
    const struct md_symbol *s = md_symbol_find(&d->md, d->symbol);
    struct candle list[32];
    enum interval i = scenario_interval(out, scenario_value(line, "interval"));
    uint32_t max = (uint32_t)scenario_number(line, "max", 32);
    if (s == NULL || i == INTERVAL_NONE || max > 32)
        return;
    uint32_t count = md_candles_known(s, i, scenario_number(line, "from", 0),
                                      scenario_number(line, "to", INT64_MAX), max, list);
    struct msg m = {.type = MSG_md_candle};
    for (uint32_t n = 0; n < count; n++) {
        m.md_candle = (struct md_candle){.symbol = d->symbol, .interval = i, .candle = list[n]};
        scenario_say_msg(out, "known", &m);
    }
}

static void
remove_symbol(struct driver *d, struct scenario_out *out)
{
    void *memory = md_symbol_remove(&d->md, d->symbol, &d->out);
    for (size_t i = 0; i < SYMBOLS_MAX && memory != NULL; i++) {
        if (d->symbol_memory[i] == memory)
            d->symbol_memory[i] = NULL;
    }
    say_outbox(d, out);
    free(memory);
    md_check(&d->md);
}

static void
sources(struct scenario_out *out, const char *text)
{
    static struct spec specs[SPEC_SOURCES_MAX];
    static const char *const KINDS[] = {"synthetic", "playback", "binance"};
    uint32_t count;
    char why[SPEC_WHY_BYTES], speed[DECIMAL_BYTES];
    enum err e = spec_read(text, specs, &count, why);
    if (e != OK) {
        scenario_say(out, "refused %s: %s", err_name(e), why);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct spec *s = &specs[i];
        char symbols[256] = "";
        for (uint32_t n = 0; n < s->symbol_count; n++)
            snprintf(symbols + strlen(symbols), sizeof(symbols) - strlen(symbols), "%s%s",
                     n == 0 ? "" : ",", s->symbols[n].text);
        decimal_write_short(s->speed.v, speed);
        if (s->kind == SPEC_PLAYBACK)
            scenario_say(out, "%s files=%s symbols=%s speed=%s clock=%s loop=%d", KINDS[s->kind],
                         s->files, symbols, s->speed.v == 0 ? "max" : speed,
                         s->clock_now ? "now" : "kept", s->loop);
        else if (s->kind == SPEC_BINANCE)
            scenario_say(out, "%s market=%s symbols=%s speed=%s clock=%s", KINDS[s->kind],
                         msg_enum_name(MSG_ENUM_trading_type, s->market), symbols,
                         s->speed.v == 0 ? "max" : speed, s->clock_now ? "now" : "kept");
        else
            scenario_say(out, "%s symbols=%s seed=%" PRIu64 " rate=%u levels=%u", KINDS[s->kind],
                         symbols, s->seed, s->rate, s->levels);
    }
}

static void
say_view(struct driver *d, struct scenario_out *out, const char *what)
{
    const struct md_symbol *s = md_symbol_find(&d->md, d->symbol);
    if (s == NULL) {
        scenario_fail(out, "no symbol is named");
        return;
    }
    struct msg m = {.type = MSG_md_ticker};
    if (strcmp(what, "ticker") == 0) {
        md_view_ticker(s, &m.md_ticker);
        scenario_say_msg(out, "view", &m);
    } else if (strcmp(what, "average") == 0) {
        char text[DECIMAL_BYTES];
        decimal_write(stats_average(&s->stats).v, text);
        scenario_say(out, "average %s", text);
    } else if (strcmp(what, "missing") == 0) {
        scenario_say(out, "missing gaps=%" PRIu64 " heals=%" PRIu64 " lost=%" PRIu64, s->trade_gaps,
                     s->trade_heals, s->lost_trades);
    } else {
        scenario_say(out,
                     "stream state=%s gaps=%" PRIu64 " heals=%" PRIu64 " refused=%" PRIu64
                     " late_trades=%" PRIu64,
                     msg_enum_name(MSG_ENUM_stream_state, s->state), s->gaps, s->heals, s->refused,
                     s->late_trades);
    }
}

static void
tick(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = 0; i < d->md.count; i++) {
        md_tick(&d->md, d->md.symbols[i], d->now_us, &d->out);
        say_outbox(d, out);
    }
    md_check(&d->md);
}

static void
ask(struct driver *d, struct scenario_out *out, const char *line)
{
    struct msg m;
    if (!scenario_read_msg(out, line, &m))
        return;
    enum err e = md_ask(&d->md, 1, &m, &d->out);
    if (e != OK)
        scenario_say(out, "refused %s", err_name(e));
    say_outbox(d, out);
}

static bool
input_event(struct driver *d, const char *line, struct scenario_out *out)
{
    struct md_event e = {.symbol = d->symbol, .time_us = d->now_us};
    if (*line >= '0' && *line <= '9') {
        raw_line(d, out, line);
    } else if (scenario_is(line, "csv")) {
        csv_line(d, out, line + 4);
    } else if (scenario_event(line, d->levels, &e, out)) {
        apply(d, out, &e);
    } else {
        return false;
    }
    return true;
}

static void
driver_input(void *state, const char *line, struct scenario_out *out)
{
    struct driver *d = state;
    if (input_event(d, line, out))
        return;
    if (scenario_is(line, "limits"))
        set_limits(d, line);
    else if (scenario_is(line, "symbol"))
        add_symbol(d, out, line + 7);
    else if (scenario_is(line, "now"))
        d->now_us = strtoll(line + 4, NULL, 10);
    else if (scenario_is(line, "tick"))
        tick(d, out);
    else if (scenario_is(line, "show") || scenario_is(line, "hide"))
        set_shown(d, line, scenario_is(line, "show"));
    else if (scenario_is(line, "candles"))
        set_intervals(d, out, line + 8);
    else if (scenario_is(line, "resend"))
        resend(d, out, line);
    else if (scenario_is(line, "remember"))
        remember(d, out, line);
    else if (scenario_is(line, "known"))
        known(d, out, line);
    else if (scenario_is(line, "remove"))
        remove_symbol(d, out);
    else if (scenario_is(line, "sources"))
        sources(out, line + 8);
    else if (scenario_is(line, "ticker") || scenario_is(line, "average") ||
             scenario_is(line, "stream") || scenario_is(line, "missing"))
        say_view(d, out, line);
    else
        ask(d, out, line);
}

const struct scenario_core marketdata_scenario = {
    .service = "marketdata", .open = driver_open, .close = driver_close, .input = driver_input};
