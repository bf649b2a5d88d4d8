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
 *   pull ID
 *   frames lost=N                  so many frames of this ledger get lost on the way
 *   unreadable                     one of its frames arrives damaged
 *   snapshot seq=N source=S bids=P:Q,P:Q asks=...   answers the core's question
 *   book, depth bids= asks=        the numbered stream; seq= gives a number of one's own
 *   quote BID:QUANTITY ASK:QUANTITY, trade PRICE:QUANTITY, beat
 *   now US, wait US                the clock; wait also lets the core notice
 *   limits orders= levels= house= symbols= ledgers=    starts anew; first line of a story
 *   outbox N                       room for N messages, so that the core has to pause
 *   show book                      the book, best prices first: users' orders, then the house
 *   show counts                    the counters that are not zero
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/match.h"
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
    d->limits = (struct match_limits){.books = {64, 64, 64, 8},
                                      .ledgers_max = 4,
                                      .silence_us = 3000000,
                                      .market_silence_us = 10000000,
                                      .ask_again_us = 500000,
                                      .tell_again_us = 100000};
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

static const char *
decimal(int64_t value)
{
    static char texts[8][DECIMAL_BYTES];
    static unsigned next;
    char *text = texts[next++ % 8];
    decimal_write_short(value, text);
    return text;
}

static void
say_report(const struct out *o, struct scenario_out *out)
{
    const struct order_report *r = &o->msg.order_report;
    char line[8192];
    int length = snprintf(line, sizeof(line), "ledger-%u order %llu:", o->peer,
                          (unsigned long long)r->order_id);
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct match_fill *f = &r->fills[i];
        const struct evidence *e = &f->evidence;
        length += snprintf(line + length, sizeof(line) - (size_t)length, " %s %s at %s (%s %s x %s",
                           f->is_maker ? "gives" : "takes", decimal(f->quantity.v),
                           decimal(f->price.v), msg_enum_name(MSG_ENUM_liquidity, e->source),
                           decimal(e->price.v), decimal(e->quantity.v));
        if (e->sequence != 0)
            length += snprintf(line + length, sizeof(line) - (size_t)length, ", tick %llu",
                               (unsigned long long)e->sequence);
        length += snprintf(line + length, sizeof(line) - (size_t)length, ")");
        CHECK((size_t)length < sizeof(line) / 2);
    }
    if (r->rank != 0)
        length += snprintf(line + length, sizeof(line) - (size_t)length, " rests rank=%llu",
                           (unsigned long long)r->rank);
    if (r->end != ORDER_END_NONE)
        length += snprintf(line + length, sizeof(line) - (size_t)length, " ends %s",
                           msg_enum_name(MSG_ENUM_order_end, r->end));
    if (r->was_pulled)
        snprintf(line + length, sizeof(line) - (size_t)length, ", pulled");
    scenario_say(out, "%s", line);
}

static void
say_outs(struct driver *d, struct scenario_out *out)
{
    for (uint32_t i = 0; i < d->out.count && !d->is_quiet; i++) {
        const struct out *o = &d->out.slots[i];
        char prefix[32];
        snprintf(prefix, sizeof(prefix), "ledger-%u", o->peer);
        if (o->msg.type == MSG_order_report)
            say_report(o, out);
        else
            scenario_say_msg(out, o->to == OUT_MARKET ? "market" : prefix, &o->msg);
    }
    outbox_clear(&d->out);
}

static void
feed(struct driver *d, uint32_t peer, const struct msg *m, struct scenario_out *out)
{
    const struct frame *frame = peer != 0 ? &d->frames[peer] : NULL;
    match_apply(d->match, peer, frame, m, d->now_us, &d->out);
    say_outs(d, out);
    while (match_busy(d->match)) {
        scenario_say(out, "pause");
        match_resume(d->match, &d->out);
        say_outs(d, out);
    }
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
    w->account_id = 7;
    w->symbol = symbol_of(line);
    w->type = has_word(line, "MARKET")  ? ORDER_TYPE_MARKET
              : has_word(line, "MAKER") ? ORDER_TYPE_LIMIT_MAKER
                                        : ORDER_TYPE_LIMIT;
    w->time_in_force = has_word(line, "IOC")   ? TIME_IN_FORCE_IOC
                       : has_word(line, "FOK") ? TIME_IN_FORCE_FOK
                                               : TIME_IN_FORCE_GTC;
    const char *funds = scenario_value(line, "funds");
    w->funds.v = funds != NULL ? number(funds, out) : 0;
    const char *step = scenario_value(line, "step");
    w->step_size.v = step != NULL ? number(step, out) : 0;
    w->rank = whole(line, "rank", 0);
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
    m.md_trade.sequence = d->sequence = whole(line, "seq", d->sequence + 1);
    feed(d, 0, &m, out);
}

static void
beat(struct driver *d, const char *line, struct scenario_out *out)
{
    struct msg m = {.type = MSG_md_beat};
    m.md_beat.symbol = symbol_of(line);
    m.md_beat.sequence = whole(line, "seq", d->sequence);
    feed(d, 0, &m, out);
}

/* ---- The rest ------------------------------------------------------------------------------- */

static void
show_side(struct driver *d, const struct book *b, enum side side, struct scenario_out *out)
{
    const struct books *s = &d->match->books;
    const char *name = side == SIDE_BUY ? "bid" : "ask";
    const struct book_side *bs = &b->sides[side - 1];
    struct ladder_at at;
    for (bool on = ladder_first(&bs->users, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        const struct price_level *l = &s->levels[ladder_slot(&s->nodes, at)];
        for (uint32_t o = l->head; o != RESTING_NONE; o = s->orders.at[o].next)
            scenario_say(out, "%s %s x %s order %llu rank=%llu", name, decimal(l->price),
                         decimal(s->orders.at[o].quantity), (unsigned long long)s->orders.at[o].id,
                         (unsigned long long)s->orders.at[o].rank);
    }
    for (bool on = ladder_first(&bs->house, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        const struct house_level *h = &s->houses[ladder_slot(&s->nodes, at)];
        scenario_say(out, "%s %s x %s house tick %llu", name, decimal(h->price), decimal(h->left),
                     (unsigned long long)h->sequence);
    }
}

static void
show_counts(const struct match_counts *c, struct scenario_out *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"works", c->works},
               {"pulls", c->pulls},
               {"pulls_unknown", c->pulls_unknown},
               {"reports", c->reports},
               {"fills", c->fills},
               {"works_invalid", c->works_invalid},
               {"works_repeated", c->works_repeated},
               {"stale", c->stale},
               {"unexpected", c->unexpected},
               {"sessions", c->sessions},
               {"losses", c->losses},
               {"gaps", c->gaps},
               {"symbols_refused", c->symbols_refused}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].value != 0)
            scenario_say(out, "%s %llu", all[i].name, (unsigned long long)all[i].value);
}

static void
show(struct driver *d, const char *line, struct scenario_out *out)
{
    const struct book *b = match_book(d->match, symbol_of(line));
    if (has_word(line, "counts"))
        show_counts(&d->match->counts, out);
    else if (b == NULL)
        scenario_say(out, "no book");
    else {
        show_side(d, b, SIDE_SELL, out);
        show_side(d, b, SIDE_BUY, out);
        if (b->orders == 0 && b->sides[0].house.count + b->sides[1].house.count == 0)
            scenario_say(out, "empty");
    }
}

static void
limits(struct driver *d, const char *line, struct scenario_out *out)
{
    (void)out;
    d->limits.books.orders_max = (uint32_t)whole(line, "orders", 64);
    d->limits.books.levels_max = (uint32_t)whole(line, "levels", 64);
    d->limits.books.house_levels_max = (uint32_t)whole(line, "house", 64);
    d->limits.books.books_max = (uint32_t)whole(line, "symbols", 8);
    d->limits.ledgers_max = (uint32_t)whole(line, "ledgers", 4);
    start(d);
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
    say_outs(d, out);
}

static const struct {
    const char *word;
    void (*run)(struct driver *d, const char *line, struct scenario_out *out);
} words[] = {{"ledger", ledger}, {"begin", begin},   {"hello", hello},   {"synced", synced},
             {"buy", order},     {"sell", order},    {"pull", pull},     {"frames", frames},
             {"snapshot", book}, {"book", book},     {"depth", depth},   {"quote", quote},
             {"trade", trade},   {"beat", beat},     {"now", clock_set}, {"wait", clock_set},
             {"limits", limits}, {"outbox", outbox}, {"show", show}};

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
