/*
 * serve.c - sources into the core, the core's messages out, at the pace of the loop.
 *
 * A turn: questions are answered as they come; then the feed hands on what is due, each event
 * through md_apply(), and each is published before the next is taken, because its lists are lent.
 * A timer gives every symbol its md_tick(), another one Redis its changed tickers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "marketdata/shell/serve_priv.h"

#define TICK_EVERY_MS   25
#define SYMBOLS_BEAT_US 1000000
#define KEPT_WAIT_MS    2000 /* for the database, before the sources begin without it */
#define DRAIN_LIMIT_MS  2000
#define MINUTE_US       INT64_C(60000000)

/* ---- Symbols ---------------------------------------------------------------------------- */

uint32_t
serve_symbol_index(const struct serve *s, code_t symbol)
{
    uint32_t index = map_get(&s->md.by_name, map_hash(symbol.text, sizeof(symbol.text)));
    bool is_it = index != MAP_NONE && code_same(s->md.symbols[index]->rules.symbol, symbol);
    return is_it ? index : UINT32_MAX;
}

static uint32_t
turn_away(struct serve *s, code_t symbol, const char *why)
{
    log_line(LOG_WARN, "symbol_turned_away", "symbol=%s why=%s", symbol.text, why);
    metric_add(s->turned_away, 1);
    return UINT32_MAX;
}

/* The symbol's index, added at its first event; UINT32_MAX when it may not be. */
static uint32_t
symbol_begins(struct serve *s, uint32_t source, code_t symbol)
{
    uint32_t index = serve_symbol_index(s, symbol);
    if (index != UINT32_MAX)
        return s->symbols[index].source == source ? index : UINT32_MAX;
    if (symbols_are_barred(&s->listed, source, symbol))
        return UINT32_MAX;

    void *memory = malloc(md_symbol_bytes(&s->md.limits));
    CHECK(memory != NULL);
    /* Numbers that rise over a restart: the clock's microseconds are ahead of any count. */
    uint64_t first = (uint64_t)loop_now_us(s->host->loop);
    enum err e = md_symbol_add(&s->md, symbol, first, memory);
    if (e != OK) {
        free(memory);
        return turn_away(s, symbol, err_name(e));
    }
    index = s->md.count - 1;
    s->symbols[index] = (struct serve_symbol){.source = source, .memory = memory};
    log_line(LOG_INFO, "symbol_added", "symbol=%s source=%u first_sequence=%llu", symbol.text,
             source, (unsigned long long)first);
    metric_set(s->symbol_count, s->md.count);
    return index;
}

/* The last one moves into its place, as in the core. */
void
serve_symbol_remove(struct serve *s, code_t symbol)
{
    uint32_t index = serve_symbol_index(s, symbol);
    if (index == UINT32_MAX)
        return;
    void *memory = md_symbol_remove(&s->md, symbol, &s->out);
    s->symbols[index] = s->symbols[s->md.count];
    publish_outbox(s, NULL);
    free(memory);
    metric_set(s->symbol_count, s->md.count);
}

/* ---- Events ----------------------------------------------------------------------------- */

static void
on_event(void *arg, uint32_t source, const struct md_event *e)
{
    struct serve *s = arg;
    uint32_t index = e->kind == MD_EVENT_BEGIN ? symbol_begins(s, source, e->symbol)
                                               : serve_symbol_index(s, e->symbol);
    if (index == UINT32_MAX || s->symbols[index].source != source) {
        metric_add(s->foreign, 1);
        return;
    }
    struct md_symbol *y = s->md.symbols[index];
    uint64_t gaps = y->gaps, heals = y->heals, late = y->late_trades;
    if (md_symbol_apply(&s->md, y, e, loop_now_us(s->host->loop), &s->out) != OK) {
        metric_add(s->bad_events, 1);
        outbox_clear(&s->out);
        return;
    }
    if (y->gaps != gaps) {
        metric_add(s->gaps, 1);
        log_line(LOG_WARN, "book_gap", "symbol=%s last_update_id=%llu first_update_id=%llu",
                 e->symbol.text, (unsigned long long)y->sync.last_id,
                 (unsigned long long)e->first_id);
    }
    /* Also when it crosses and nothing was missing, or when the snapshot itself does. */
    if ((e->kind == MD_EVENT_DIFF || e->kind == MD_EVENT_BOOK) && y->sync.state == SYNC_WAITING)
        feed_book_lost(s->feed, source, e->symbol);
    metric_add(s->heals, (int64_t)(y->heals - heals));
    metric_add(s->late_trades, (int64_t)(y->late_trades - late));
    if (e->kind == MD_EVENT_HEALED && e->lost > 0) {
        metric_add(s->lost_trades, (int64_t)e->lost);
        log_line(LOG_WARN, "trades_lost", "symbol=%s count=%llu", e->symbol.text,
                 (unsigned long long)e->lost);
    }
    publish_outbox(s, y);
    if (s->symbols[index].first_minute_us == 0 && y->stats.last.v > 0) {
        s->symbols[index].first_minute_us = interval_open(INTERVAL_1m, y->market_us);
        answer_history(s, index);
    }
}

static void
on_turn(void *arg)
{
    struct serve *s = arg;
    if (s->is_draining || !s->has_begun)
        return;
    feed_turn(s->feed);
    change_turn(s);
}

void
serve_begin(struct serve *s)
{
    if (s->has_begun)
        return;
    s->has_begun = true;
    bus_pause(s->server, false);
    change_turn(s);
    loop_soon(s->host->loop);
    log_line(LOG_INFO, "sources_begin", "changes=%u", s->listed.changes_count);
}

static void
on_begin_limit(void *arg)
{
    serve_begin(arg);
}

/* ---- Timers ----------------------------------------------------------------------------- */

static void
on_tick(void *arg)
{
    struct serve *s = arg;
    int64_t not_live = 0;
    for (uint32_t i = 0; i < s->md.count; i++) {
        struct md_symbol *y = s->md.symbols[i];
        enum stream_state before = y->state;
        md_tick(&s->md, y, loop_now_us(s->host->loop), &s->out);
        publish_outbox(s, y);
        if (y->state != before)
            log_line(LOG_INFO, "stream_state", "symbol=%s state=%s", y->rules.symbol.text,
                     msg_enum_name(MSG_ENUM_stream_state, y->state));
        not_live += y->state != STREAM_STATE_LIVE;
        answer_history(s, i);
    }
    metric_set(s->not_live, not_live);
    feed_measure(s->feed);
    int64_t steady_us = loop_steady_us(s->host->loop);
    if (s->has_begun && steady_us - s->beat_us >= SYMBOLS_BEAT_US) {
        s->beat_us = steady_us;
        change_beat(s);
    }
}

/* Symbols that were removed, now or while Redis was away. */
static void
cache_clear(struct serve *s)
{
    for (uint32_t i = 0; i < s->listed.changes_count && cache_ready(s->cache); i++) {
        struct symbol_change *c = &s->listed.changes[i];
        if (!c->is_removed || c->is_out)
            continue;
        c->is_out = true;
        if (serve_symbol_index(s, c->symbol) == UINT32_MAX)
            cache_remove(s->cache, c->symbol);
    }
}

static void
on_cache_time(void *arg)
{
    struct serve *s = arg;
    cache_clear(s);
    /* Goes on where it had to stop, so that a slow Redis starves nobody. */
    for (uint32_t n = 0; n < s->md.count && cache_ready(s->cache); n++) {
        uint32_t i = s->cache_next++ % s->md.count;
        struct md_symbol *y = s->md.symbols[i];
        if (!y->ticker_is_changed || !md_has_price(y))
            continue;
        if (!s->symbols[i].is_cached) {
            s->symbols[i].is_cached = true;
            cache_symbol(s->cache, y->rules.symbol);
        }
        struct md_ticker t;
        struct candle candle;
        md_view_ticker(y, &t);
        cache_put(s->cache, &t);
        if (md_candle_now(y, INTERVAL_1m, &candle))
            cache_candle(s->cache, y->rules.symbol, INTERVAL_1m, &candle);
        y->ticker_is_changed = false;
    }
}

/* Redis may have come back empty, or with what was removed meanwhile. */
static void
on_cache_up(void *arg)
{
    struct serve *s = arg;
    for (uint32_t i = 0; i < s->md.count; i++) {
        s->symbols[i].is_cached = false;
        s->md.symbols[i]->ticker_is_changed = true;
    }
    for (uint32_t i = 0; i < s->listed.changes_count; i++)
        s->listed.changes[i].is_out = false;
}

static void
on_open_wanted(void *arg)
{
    struct serve *s = arg;
    for (uint32_t i = 0; i < s->md.count; i++) {
        const struct md_symbol *y = s->md.symbols[i];
        /* Before the earlier part of a candle is taken in, ours would overwrite it. */
        if (!s->symbols[i].knows_history)
            continue;
        for (uint32_t n = 0; n < INTERVALS; n++) {
            struct history_row row = {.symbol = y->rules.symbol,
                                      .interval = (enum interval)(n + 1),
                                      .as_of_us = y->market_us};
            if (md_candle_now(y, row.interval, &row.candle))
                history_put(s->history, &row);
        }
    }
}

/* ---- Life ------------------------------------------------------------------------------- */

static enum err
sources_read(struct serve *s)
{
    char why[SPEC_WHY_BYTES];
    enum err e = spec_read(s->config->sources, s->specs, &s->spec_count, why);
    if (e != OK)
        log_line(LOG_ERROR, "sources_not_valid", "why=\"%s\"", why);
    return e;
}

static void
core_open(struct serve *s)
{
    const struct marketdata_config *c = s->config;
    struct md_limits limits = {.symbols_max = (uint32_t)c->symbols_max,
                               .levels_max = (uint32_t)c->levels_max,
                               .kept_levels_max = 16384,
                               .ring_messages = (uint32_t)c->resend_messages,
                               .ring_bytes = (uint32_t)c->resend_bytes,
                               .stale_after_us = c->stale_ms * 1000,
                               .heal_after_us = c->heal_ms * 1000,
                               .price_every_us = c->price_ms * 1000,
                               .candle_every_us = c->candle_ms * 1000,
                               .beat_every_us = c->beat_ms * 1000,
                               .candle_grace_us = c->candle_grace_ms * 1000};
    s->md_memory = malloc(md_bytes(&limits));
    s->symbols = calloc(limits.symbols_max, sizeof(*s->symbols));
    s->lists = malloc(MD_LISTS_BYTES);
    CHECK(s->md_memory != NULL && s->symbols != NULL && s->lists != NULL);
    uint32_t count;
    const struct symbol_rules *rules = symbols_rules(&s->listed, &count);
    md_init(&s->md, &limits, rules, count, s->md_memory);
    outbox_init(&s->out, s->slots, 2 * MD_OUT_MAX, s->lists, MD_LISTS_BYTES);
}

static void
metrics_open(struct serve *s)
{
    s->published = metric_counter("scrip_marketdata_published_total", "", "Messages published.");
    s->published_bytes =
        metric_counter("scrip_marketdata_published_bytes_total", "", "Bytes published.");
    s->answered = metric_counter("scrip_marketdata_answers_total", "", "Questions answered.");
    s->refused = metric_counter("scrip_marketdata_refusals_total", "", "Questions refused.");
    s->gaps = metric_counter("scrip_marketdata_gaps_total", "", "Gaps found in books.");
    s->heals = metric_counter("scrip_marketdata_heals_total", "", "Books true again after a gap.");
    s->bad_events = metric_counter("scrip_marketdata_events_refused_total", "",
                                   "Events with values out of their range.");
    s->foreign =
        metric_counter("scrip_marketdata_events_foreign_total", "",
                       "Events of symbols that another source gives or that have no rules.");
    s->late_trades = metric_counter("scrip_marketdata_late_trades_total", "",
                                    "Trades that came after their candle had closed.");
    s->turned_away = metric_counter("scrip_marketdata_symbols_turned_away_total", "",
                                    "Symbols without rules or beyond symbols_max.");
    s->lost_trades = metric_counter("scrip_marketdata_trades_lost_total", "",
                                    "Trades that a live stream went on without.");
    s->symbol_count = metric_gauge("scrip_marketdata_symbols", "", "Symbols that sources give.");
    s->not_live = metric_gauge("scrip_marketdata_symbols_not_live", "",
                               "Of these, those that are stale, healing or at their end.");
}

static bool
buses_open(struct serve *s)
{
    s->publisher =
        bus_open(s->host->loop, &(struct bus_options){.role = BUS_PUBLISH,
                                                      .endpoint = s->config->publish_endpoint,
                                                      .name = s->host->name,
                                                      .arg = s,
                                                      .on_topic = publish_topic});
    s->server = bus_open(s->host->loop, &(struct bus_options){.role = BUS_SERVE,
                                                              .endpoint = s->config->serve_endpoint,
                                                              .name = s->host->name,
                                                              .arg = s,
                                                              .on_msg = answer_msg});
    return s->publisher != NULL && s->server != NULL;
}

static bool
stores_open(struct serve *s)
{
    struct loop *loop = s->host->loop;
    const struct marketdata_config *c = s->config;
    if (*c->redis != '\0') {
        s->cache = cache_open(loop, c->redis, on_cache_up, s);
        if (s->cache == NULL)
            return false;
        s->cache_tick = loop_timer_new(loop, c->cache_ms, c->cache_ms, on_cache_time, s);
    }
    if (*c->database != '\0')
        s->history = history_open(
            &(struct history_options){.loop = loop,
                                      .conninfo = c->database,
                                      .queue_max = (uint32_t)c->candles_max,
                                      .keep_1s_us = c->keep_1s_hours * INT64_C(3600000000),
                                      .arg = s,
                                      .on_open_wanted = on_open_wanted});
    return true;
}

/* Without a database nothing was kept. Until it is known, questions wait: nobody is to believe for
 * a moment that what was removed is there. */
static void
begin(struct serve *s)
{
    struct loop *loop = s->host->loop;
    bus_pause(s->server, true);
    if (*s->config->database == '\0') {
        serve_begin(s);
        return;
    }
    s->kept = kept_open(&(struct kept_options){.loop = loop,
                                               .conninfo = s->config->database,
                                               .arg = s,
                                               .on_row = change_kept_row,
                                               .on_loaded = change_kept_loaded});
    s->begin_limit = loop_timer_new(loop, KEPT_WAIT_MS, 0, on_begin_limit, s);
}

static enum err
sources_open(struct serve *s)
{
    uint32_t count;
    const struct symbol_rules *rules = symbols_rules(&s->listed, &count);
    char why[SOURCE_WHY_BYTES] = "";
    if (!record_open(&s->record, s->host->loop, s->config, &s->md))
        return ERR_FILE_UNREADABLE;
    if (!net_open(&s->net, s->host->loop, s->config, s->record.recorder, s->specs, s->spec_count))
        return ERR_CONFIG_BAD_VALUE;
    enum err e =
        feed_open(&(struct feed_options){.loop = s->host->loop,
                                         .net = &s->net.source,
                                         .specs = s->specs,
                                         .spec_count = s->spec_count,
                                         .rules = rules,
                                         .rules_count = count,
                                         .gap_max_us = s->config->playback_gap_max_ms * 1000,
                                         .arg = s,
                                         .on_event = on_event,
                                         .on_rules = change_rules},
                  &s->feed, why);
    if (e != OK)
        log_line(LOG_ERROR, "source_not_opened", "why=\"%s\"", why);
    else
        log_line(LOG_INFO, "sources_opened", "sources=%u symbols_with_rules=%u", s->spec_count,
                 count);
    return e;
}

enum err
serve_start(struct host *h, const void *config, void **state)
{
    struct serve *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    *state = s;
    s->host = h;
    s->config = config;
    enum err e = sources_read(s);
    if (e == OK)
        e = symbols_open(&s->listed, s->config->rules_file, s->specs, s->spec_count,
                         (uint64_t)loop_now_us(h->loop));
    if (e != OK)
        return e;
    core_open(s);
    metrics_open(s);
    if (!buses_open(s))
        return ERR_CONFIG_BAD_VALUE;

    e = sources_open(s);
    if (e != OK)
        return e;
    if (!stores_open(s))
        return ERR_CONFIG_BAD_VALUE;
    s->tick = loop_timer_new(h->loop, TICK_EVERY_MS, TICK_EVERY_MS, on_tick, s);
    loop_on_turn(h->loop, on_turn, s);
    begin(s);
    return OK;
}

/* A source that will never give a price: `./scrip up` knows these words and waits no longer. */
static const char *
source_gave_nothing(struct serve *s, uint32_t i)
{
    const char *why = feed_complaint(s->feed, i);
    snprintf(s->reason, sizeof(s->reason), "source %u ended without a price: %s", i,
             why[0] != '\0' ? why : "it has no event of a symbol with rules");
    return s->reason;
}

/* With what keeps a live source from its exchange: `./scrip up` does not wait for that for long. */
static const char *
no_price_yet(struct serve *s, uint32_t i, code_t symbol)
{
    const char *why = s->specs[i].kind == SPEC_BINANCE ? feed_complaint(s->feed, i) : "";
    snprintf(s->reason, sizeof(s->reason), "no price yet for %s%s%s", symbol.text,
             why[0] != '\0' ? ": " : "", why);
    return s->reason;
}

/* Whether a source that names no symbols, or of whose symbols none is left, has given a price. */
static bool
source_has_given(struct serve *s, uint32_t source)
{
    for (uint32_t n = 0; n < s->md.count && !s->has_given[source]; n++)
        s->has_given[source] = s->symbols[n].source == source && md_has_price(s->md.symbols[n]);
    return s->has_given[source] || s->specs[source].symbol_count > 0;
}

/* Ready once every symbol that is named has a price, and each source without names at least one. */
const char *
serve_not_ready(void *state)
{
    struct serve *s = state;
    if (!s->has_begun)
        return "the list of symbols is being read from the database";
    for (uint32_t i = 0; i < s->spec_count; i++) {
        const struct spec *spec = &s->specs[i];
        for (uint32_t n = 0; n < spec->symbol_count; n++) {
            const struct md_symbol *y = md_symbol_find(&s->md, spec->symbols[n]);
            if ((y != NULL && md_has_price(y)) ||
                symbols_are_barred(&s->listed, i, spec->symbols[n]))
                continue;
            if (feed_has_ended(s->feed, i))
                return source_gave_nothing(s, i);
            return no_price_yet(s, i, spec->symbols[n]);
        }
        if (source_has_given(s, i))
            continue;
        if (feed_has_ended(s->feed, i))
            return source_gave_nothing(s, i);
        snprintf(s->reason, sizeof(s->reason), "no price yet from source %u (%.180s)", i,
                 feed_where(s->feed, i));
        return s->reason;
    }
    return NULL;
}

static void
on_flushed(void *arg)
{
    loop_stop(((struct serve *)arg)->host->loop);
}

void
serve_drain(void *state)
{
    struct serve *s = state;
    s->is_draining = true;
    if (s->history == NULL) {
        loop_stop(s->host->loop);
        return;
    }
    s->drain_limit = loop_timer_new(s->host->loop, DRAIN_LIMIT_MS, 0, on_flushed, s);
    history_flush(s->history, on_flushed);
}

static void
timer_end(struct loop_timer **t)
{
    if (*t != NULL)
        loop_timer_end(t);
}

void
serve_stop(void *state)
{
    struct serve *s = state;
    timer_end(&s->tick);
    timer_end(&s->cache_tick);
    timer_end(&s->drain_limit);
    timer_end(&s->begin_limit);
    feed_close(&s->feed);
    net_close(&s->net);
    record_close(&s->record);
    cache_close(&s->cache);
    history_close(&s->history);
    kept_close(&s->kept);
    if (s->publisher != NULL)
        bus_close(&s->publisher);
    if (s->server != NULL)
        bus_close(&s->server);
    for (uint32_t i = 0; i < s->md.count; i++)
        free(s->symbols[i].memory);
    bytes_free(&s->packed);
    free(s->symbols);
    free(s->md_memory);
    free(s->lists);
    symbols_close(&s->listed);
    free(s);
}
