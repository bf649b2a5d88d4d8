/*
 * matcher_driver.c - tells stories to the matcher's core: it plays ledgers and market.
 *
 * Every message the core takes may stand as an input, behind a `frame` line where it is a
 * ledger's. The usual ones have a short form, which numbers frames and ticks by itself:
 *
 *   ledger N                       who speaks from here on: "ledger-N" (1 at first)
 *   begin                          its hello and synced, not told: most stories start with it
 *   hello | synced                 the same by hand; `synced orders=N` says another number
 *   buy|sell ID QUANTITY PRICE     a LIMIT GTC order; further words: IOC FOK MAKER MARKET,
 *                                  funds= step= rank= symbol=
 *                                  stop= trail= (basis points) by=SOURCE extreme= triggered
 *                                  iceberg= expire=US latency=US time=US own=MODE model= list=
 *                                  executed= slippage= account=, and any type or time in force
 *   pull ID, trim ID QUANTITY      and latency=US
 *   explain ID
 *   frames lost=N                  so many frames of this ledger get lost on the way
 *   unreadable                     one of its frames arrives damaged
 *   snapshot seq=N source=S bids=P:Q,P:Q asks=...   answers the core's question
 *   book, depth bids= asks=        the numbered stream; seq= gives a number of one's own
 *   quote BID:QUANTITY ASK:QUANTITY, trade PRICE:QUANTITY, mark PRICE, liquidation, beat
 *                                  `sell` behind a trade: the taker sold, the bid was hit;
 *                                  time=US: the exchange's time, here and with books;
 *                                  state=STALE: what beats and books say of the stream
 *   now US, wait US                the clock; wait also lets the core notice
 *   limits orders= levels= house= symbols= ledgers= errands= queues= stories=
 *          stale=hold|flag|go_on   starts anew; a story's first line
 *   removed, watched               BTCUSDT's market is no more; is listened to (again)
 *   venue first|participant|off    how the house trades, before anything else
 *   outbox N                       room for N messages, so that the core has to pause
 *   show book                      the book, best prices first: users' orders, then the house
 *   show waiting                   every order that is in no book
 *   show queues                    the rows of the market's quantity at the levels of queue orders
 *   show counts                    the counters that are not zero
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/match.h"
#include "matcher_say.h"
#include "scenario.h"

#define LEDGERS_MAX 9
#define OUTS_MAX    256
#define LISTS_BYTES (1u << 20)
#define LEVELS_MAX  64
#define START_US    1000000

struct driver {
    struct match_limits limits;
    void *memory;
    struct match *match;
    struct outbox out;
    struct out outs[OUTS_MAX];
    uint8_t lists[LISTS_BYTES] __attribute__((aligned(16)));
    struct frame frames[LEDGERS_MAX + 1]; /* by ledger; the last one sent */
    uint64_t orders_sent[LEDGERS_MAX + 1];
    uint32_t ledger;
    uint64_t sequence; /* of the last tick */
    int64_t now_us;
    bool is_quiet;
    struct level bids[LEVELS_MAX], asks[LEVELS_MAX];
};

static void
start(struct driver *d)
{
    free(d->memory);
    size_t size = (match_bytes(&d->limits) + 63) & ~(size_t)63;
    d->memory = aligned_alloc(64, size);
    CHECK(d->memory != NULL);
    memset(d->memory, 0, size);
    d->match = match_init(&d->limits, d->memory);
}

static void *
driver_open(void)
{
    struct driver *d = aligned_alloc(64, (sizeof(*d) + 63) & ~(size_t)63);
    CHECK(d != NULL);
    memset(d, 0, sizeof(*d));
    d->limits = (struct match_limits){.books = {.orders_max = 64,
                                                .levels_max = 64,
                                                .house_levels_max = 64,
                                                .books_max = 8,
                                                .queues_max = 64,
                                                .stories_max = 64},
                                      .ledgers_max = 4,
                                      .silence_us = 3000000,
                                      .market_silence_us = 10000000,
                                      .ask_again_us = 500000,
                                      .tell_again_us = 100000,
                                      .errands_max = 16};
    d->now_us = START_US;
    d->ledger = 1;
    for (int i = 0; i <= LEDGERS_MAX; i++) {
        snprintf(d->frames[i].sender.text, CODE_BYTES, "ledger-%d", i);
        d->frames[i].epoch = 1;
    }
    outbox_init(&d->out, d->outs, OUTS_MAX, d->lists, LISTS_BYTES);
    start(d);
    return d;
}

static void
driver_close(void *state)
{
    struct driver *d = state;
    free(d->memory);
    free(d);
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void
say_outs(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = 0; i < d->out.count && !d->is_quiet; i++) {
        const struct out *o = &d->out.slots[i];
        char prefix[32];
        snprintf(prefix, sizeof(prefix), "ledger-%u", o->peer);
        if (o->msg.type == MSG_order_report)
            matcher_say_report(o->peer, &o->msg.order_report, out);
        else
            scenario_say_msg(out, o->to == OUT_MARKET ? "market" : prefix, &o->msg);
    }
    outbox_clear(&d->out);
}

/* Until the core has said all. */
static void
drain(struct driver *d, struct scenario_out *out)
{
    say_outs(d, out);
    while (match_busy(d->match)) {
        scenario_say(out, "pause");
        match_resume(d->match, &d->out);
        say_outs(d, out);
    }
}

static void
feed(struct driver *d, uint32_t peer, const struct msg *m, struct scenario_out *out)
{
    const struct frame *frame = peer != 0 ? &d->frames[peer] : NULL;
    if (match_next_us(d->match) <= d->now_us) {
        match_due(d->match, d->now_us, &d->out);
        drain(d, out);
    }
    match_apply(d->match, peer, frame, m, d->now_us, &d->out);
    drain(d, out);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static int64_t
number(const char *text, struct scenario_out *out)
{
    int64_t value = 0;
    if (decimal_read(text, strcspn(text, ":, "), &value) != OK)
        scenario_fail(out, "not a decimal: %s", text);
    return value;
}

static uint64_t
whole(const char *line, const char *key, uint64_t fallback)
{
    const char *text = scenario_value(line, key);
    return text != NULL ? strtoull(text, NULL, 10) : fallback;
}

/* "100:5,99.5:3" into levels. */
static uint32_t
levels(const char *line, const char *key, struct level *to, struct scenario_out *out)
{
    const char *text = scenario_value(line, key);
    uint32_t count = 0;
    while (text != NULL && *text != '\0' && count < LEVELS_MAX) {
        const char *colon = strchr(text, ':');
        if (colon == NULL) {
            scenario_fail(out, "a level is PRICE:QUANTITY: %s", text);
            break;
        }
        to[count].price.v = number(text, out);
        to[count++].quantity.v = number(colon + 1, out);
        text = strchr(colon, ',');
        text = text != NULL ? text + 1 : NULL;
    }
    return count;
}

static code_t
symbol_of(const char *line)
{
    const char *text = scenario_value(line, "symbol");
    return code_of(text != NULL ? text : "BTCUSDT");
}

/* The word at a place in a line, cut by blanks. */
static const char *
word(const char *line, int place, char to[64])
{
    for (; place > 0 && *line != '\0'; place--) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    snprintf(to, 64, "%.*s", (int)strcspn(line, " "), line);
    return to;
}

static bool
has_word(const char *line, const char *wanted)
{
    char text[64];
    for (int i = 0; *word(line, i, text) != '\0'; i++)
        if (strcmp(text, wanted) == 0)
            return true;
    return false;
}

/* ---- Ledgers -------------------------------------------------------------------------------- */

static void
send(struct driver *d, const struct msg *m, struct scenario_out *out)
{
    d->frames[d->ledger].sequence++;
    feed(d, d->ledger, m, out);
}

static void
hello(struct driver *d, const char *line, struct scenario_out *out)
{
    struct frame *f = &d->frames[d->ledger];
    f->epoch = whole(line, "epoch", f->epoch);
    f->session = whole(line, "session", f->session + 1);
    f->sequence = 0;
    d->orders_sent[d->ledger] = 0;
    send(d, &(struct msg){.type = MSG_link_hello}, out);
}

static void
synced(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m = {.type = MSG_link_synced};
    m.link_synced.orders = whole(line, "orders", d->orders_sent[d->ledger]);
    send(d, &m, out);
}

static void
begin(struct driver *d, const char *line, struct scenario_out *out)
{
    d->is_quiet = true;
    hello(d, line, out);
    synced(d, line, out);
    d->is_quiet = false;
}

/* A name of an enum that stands in the line, as a word of its own or behind a key; 0 = none. */
static uint32_t
named(const char *line, const char *key, enum msg_enum e)
{
    char text[64];
    const char *value = key != NULL ? scenario_value(line, key) : NULL;
    if (value != NULL)
        return msg_enum_by_name(e, value);
    for (int i = 3; key == NULL && *word(line, i, text) != '\0'; i++)
        if (msg_enum_by_name(e, text) > 0)
            return msg_enum_by_name(e, text);
    return 0;
}

static int64_t
amount(const char *line, const char *key, struct scenario_out *out)
{
    const char *text = scenario_value(line, key);
    return text != NULL ? number(text, out) : 0;
}

/* What only some orders wish. */
static void
wishes(const struct driver *d, const char *line, struct order_work *w, struct scenario_out *out)
{
    w->stop_price.v = amount(line, "stop", out);
    w->trail_extreme.v = amount(line, "extreme", out);
    w->iceberg_quantity.v = amount(line, "iceberg", out);
    w->executed.v = amount(line, "executed", out);
    w->trailing_delta = (uint32_t)whole(line, "trail", 0);
    w->trigger_source = (enum trigger_source)named(line, "by", MSG_ENUM_trigger_source);
    w->self_trade_prevention =
        (enum self_trade_prevention)named(line, "own", MSG_ENUM_self_trade_prevention);
    w->fill_model = (enum fill_model)named(line, "model", MSG_ENUM_fill_model);
    w->is_triggered = has_word(line, "triggered");
    w->expire_us = (int64_t)whole(line, "expire", 0);
    w->latency_us = (uint32_t)whole(line, "latency", 0);
    w->time_us = (int64_t)whole(line, "time", (uint64_t)d->now_us);
    w->slippage_bps = (uint32_t)whole(line, "slippage", 0);
    w->list_id = whole(line, "list", 0);
}

static void
order(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_order_work};
    struct order_work *w = &m.order_work;
    w->side = scenario_is(line, "buy") ? SIDE_BUY : SIDE_SELL;
    w->order_id = strtoull(word(line, 1, text), NULL, 10);
    w->quantity.v = number(word(line, 2, text), out);
    w->price.v = number(word(line, 3, text), out);
    w->account_id = whole(line, "account", 7);
    w->symbol = symbol_of(line);
    int type =
        has_word(line, "MAKER") ? ORDER_TYPE_LIMIT_MAKER : named(line, NULL, MSG_ENUM_order_type);
    uint32_t in_force = named(line, NULL, MSG_ENUM_time_in_force);
    w->type = type > 0 ? (enum order_type)type : ORDER_TYPE_LIMIT;
    w->time_in_force = in_force > 0 ? (enum time_in_force)in_force : TIME_IN_FORCE_GTC;
    w->funds.v = amount(line, "funds", out);
    w->step_size.v = amount(line, "step", out);
    w->rank = whole(line, "rank", 0);
    wishes(d, line, w, out);
    d->orders_sent[d->ledger]++;
    send(d, &m, out);
}

static void
pull(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_order_pull};
    m.order_pull.order_id = strtoull(word(line, 1, text), NULL, 10);
    m.order_pull.symbol = symbol_of(line);
    m.order_pull.latency_us = (uint32_t)whole(line, "latency", 0);
    send(d, &m, out);
}

static void
trim(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_order_trim};
    m.order_trim.order_id = strtoull(word(line, 1, text), NULL, 10);
    m.order_trim.quantity.v = number(word(line, 2, text), out);
    m.order_trim.symbol = symbol_of(line);
    m.order_trim.latency_us = (uint32_t)whole(line, "latency", 0);
    send(d, &m, out);
}

static void
explain(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_order_explain};
    m.order_explain.order_id = strtoull(word(line, 1, text), NULL, 10);
    m.order_explain.symbol = symbol_of(line);
    send(d, &m, out);
}

static void
frames(struct driver *d, const char *line, struct scenario_out *out)
{
    (void)out;
    d->frames[d->ledger].sequence += whole(line, "lost", 0);
}

static void
ledger(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    d->ledger = (uint32_t)strtoul(word(line, 1, text), NULL, 10);
    if (d->ledger < 1 || d->ledger > LEDGERS_MAX) {
        scenario_fail(out, "ledgers are 1 to %d", LEDGERS_MAX);
        d->ledger = 1;
    }
}

/* ---- The market ----------------------------------------------------------------------------- */

static void
book(struct driver *d, const char *line, struct scenario_out *out)
{
    bool is_answer = scenario_is(line, "snapshot");
    const char *source = scenario_value(line, "source");
    struct msg m = {.type = MSG_md_book, .corr = is_answer};
    m.md_book.source = source != NULL ? (enum liquidity)msg_enum_by_name(MSG_ENUM_liquidity, source)
                                      : LIQUIDITY_DEPTH;
    m.md_book.symbol = symbol_of(line);
    m.md_book.sequence = whole(line, "seq", d->sequence + !is_answer);
    m.md_book.bids_count = levels(line, "bids", d->bids, out);
    m.md_book.asks_count = levels(line, "asks", d->asks, out);
    m.md_book.bids = d->bids;
    m.md_book.asks = d->asks;
    m.md_book.time_us = (int64_t)whole(line, "time", 0);
    m.md_book.state = named(line, "state", MSG_ENUM_stream_state);
    d->sequence = m.md_book.sequence;
    feed(d, 0, &m, out);
}

static void
depth(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m = {.type = MSG_md_depth};
    m.md_depth.symbol = symbol_of(line);
    m.md_depth.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    m.md_depth.bids_count = levels(line, "bids", d->bids, out);
    m.md_depth.asks_count = levels(line, "asks", d->asks, out);
    m.md_depth.bids = d->bids;
    m.md_depth.asks = d->asks;
    m.md_depth.time_us = (int64_t)whole(line, "time", 0);
    feed(d, 0, &m, out);
}

static struct level
level(const char *text, struct scenario_out *out)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL)
        scenario_fail(out, "a level is PRICE:QUANTITY: %s", text);
    return (struct level){{number(text, out)}, {colon != NULL ? number(colon + 1, out) : 0}};
}

static void
quote(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_md_quote};
    struct level bid = level(word(line, 1, text), out), ask = level(word(line, 2, text), out);
    m.md_quote = (struct md_quote){.symbol = symbol_of(line),
                                   .bid = bid.price,
                                   .bid_quantity = bid.quantity,
                                   .ask = ask.price,
                                   .ask_quantity = ask.quantity};
    m.md_quote.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    feed(d, 0, &m, out);
}

static void
trade(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_md_trade};
    struct level print = level(word(line, 1, text), out);
    m.md_trade.symbol = symbol_of(line);
    m.md_trade.trade =
        (struct public_trade){.trade_id = 1, .price = print.price, .quantity = print.quantity};
    m.md_trade.trade.time_us = (int64_t)whole(line, "time", 0);
    m.md_trade.trade.buyer_is_maker = has_word(line, "sell");
    m.md_trade.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    feed(d, 0, &m, out);
}

static void
mark(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    struct msg m = {.type = MSG_md_mark};
    m.md_mark.symbol = symbol_of(line);
    m.md_mark.mark.v = number(word(line, 1, text), out);
    m.md_mark.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    feed(d, 0, &m, out);
}

static void
liquidation(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m = {.type = MSG_md_liquidation};
    m.md_liquidation.symbol = symbol_of(line);
    m.md_liquidation.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    feed(d, 0, &m, out);
}

static void
beat(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m = {.type = MSG_md_beat};
    m.md_beat.symbol = symbol_of(line);
    m.md_beat.state = named(line, "state", MSG_ENUM_stream_state);
    m.md_beat.sequence = whole(line, "seq", d->sequence);
    feed(d, 0, &m, out);
}

/* ---- The rest ------------------------------------------------------------------------------- */

static void
show(struct driver *d, const char *line, struct scenario_out *out)
{
    if (has_word(line, "counts"))
        matcher_say_counts(d->match, out);
    else if (has_word(line, "queues"))
        matcher_say_queues(d->match, out);
    else if (has_word(line, "waiting"))
        matcher_say_waiting(d->match, out);
    else
        matcher_say_book(d->match, match_book(d->match, symbol_of(line)), out);
}

static void
limits(struct driver *d, const char *line, struct scenario_out *out)
{
    (void)out;
    d->limits.books.orders_max = (uint32_t)whole(line, "orders", 64);
    d->limits.books.levels_max = (uint32_t)whole(line, "levels", 64);
    d->limits.books.house_levels_max = (uint32_t)whole(line, "house", 64);
    d->limits.books.books_max = (uint32_t)whole(line, "symbols", 8);
    d->limits.books.queues_max = (uint32_t)whole(line, "queues", 64);
    d->limits.books.stories_max = (uint32_t)whole(line, "stories", 64);
    const char *stale = scenario_value(line, "stale");
    d->limits.stale_fills = stale == NULL || strcmp(stale, "hold") == 0 ? STALE_HOLD
                            : strcmp(stale, "flag") == 0                ? STALE_FLAG
                                                                        : STALE_GO_ON;
    d->limits.ledgers_max = (uint32_t)whole(line, "ledgers", 4);
    d->limits.errands_max = (uint32_t)whole(line, "errands", 16);
    start(d);
}

static void
venue(struct driver *d, const char *line, struct scenario_out *out)
{
    enum venue to = has_word(line, "off")           ? VENUE_OFF
                    : has_word(line, "participant") ? VENUE_PARTICIPANT
                                                    : VENUE_FIRST;
    (void)out;
    match_set_venue(d->match, symbol_of(line), to);
}

static void
outbox(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    uint32_t max = (uint32_t)strtoul(word(line, 1, text), NULL, 10);
    if (max < MATCH_OUT_MIN || max > OUTS_MAX)
        scenario_fail(out, "an outbox has %d to %d places", MATCH_OUT_MIN, OUTS_MAX);
    else
        outbox_init(&d->out, d->outs, max, d->lists, LISTS_BYTES);
}

static void
clock_set(struct driver *d, const char *line, struct scenario_out *out)
{
    char text[64];
    int64_t us = (int64_t)strtoll(word(line, 1, text), NULL, 10);
    if (scenario_is(line, "now")) {
        d->now_us = us;
        return;
    }
    d->now_us += us;
    match_time(d->match, d->now_us, &d->out);
    drain(d, out);
}

static const struct {
    const char *word;
    void (*run)(struct driver *d, const char *line, struct scenario_out *out);
} words[] = {{"ledger", ledger},   {"begin", begin},
             {"hello", hello},     {"synced", synced},
             {"buy", order},       {"sell", order},
             {"pull", pull},       {"frames", frames},
             {"snapshot", book},   {"book", book},
             {"depth", depth},     {"quote", quote},
             {"trade", trade},     {"liquidation", liquidation},
             {"beat", beat},       {"now", clock_set},
             {"wait", clock_set},  {"limits", limits},
             {"venue", venue},     {"outbox", outbox},
             {"show", show},       {"trim", trim},
             {"explain", explain}, {"mark", mark}};

static void
driver_input(void *state, const char *line, struct scenario_out *out)
{
    struct driver *d = state;
    struct msg m;
    size_t i = 0, count = sizeof(words) / sizeof(words[0]);
    while (i < count && !scenario_is(line, words[i].word))
        i++;
    if (i < count) {
        words[i].run(d, line, out);
    } else if (scenario_is(line, "unreadable")) {
        match_unreadable(d->match, d->ledger, d->now_us, &d->out);
        say_outs(d, out);
    } else if (scenario_is(line, "removed")) {
        match_unwatch(d->match, code_of("BTCUSDT"), d->now_us);
    } else if (scenario_is(line, "watched")) {
        match_watch(d->match, code_of("BTCUSDT"), d->now_us, &d->out);
        say_outs(d, out);
    } else if (scenario_read_msg(out, line, &m)) {
        if (m.type == MSG_frame)
            d->frames[d->ledger] = m.frame;
        else
            feed(d, strncmp(line, "md_", 3) == 0 ? 0 : d->ledger, &m, out);
    }
    const char *wrong = match_check(d->match);
    if (wrong != NULL)
        scenario_fail(out, "%s", wrong);
}

const struct scenario_core matcher_scenario = {
    .service = "matcher", .open = driver_open, .close = driver_close, .input = driver_input};
