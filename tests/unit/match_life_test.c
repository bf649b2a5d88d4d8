/*
 * match_life_test.c - random lives of orders of every type, kept by a ledger that knows only the
 * reports.
 *
 * After every step the ledger's open orders are the matcher's, so that nothing is lost, fires twice
 * or is told of an order that both sides know to be gone; trailing orders are followed one by one,
 * by the plain rule. Each round has a seed of its own, printed when it fails: MATCH_SEED=<seed>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matcher/core/life.h"

#define STEPS      10000
#define ORDERS_MAX 12000
#define OUTS       16
#define CENT       (DECIMAL_ONE / 100)

/* An order as its ledger knows it. */
struct kept {
    struct order_work work; /* as it was sent first */
    int64_t total, executed, prevented, extreme;
    uint64_t rank;
    bool is_open, is_triggered;
    /* the plain rule of trailing: whether it is on, its extreme, the price at the step before */
    bool is_followed;
    int64_t followed, seen;
};

struct world {
    uint64_t seed, random, hash;
    int step;
    struct match *match;
    struct outbox out;
    struct out outs[OUTS];
    uint8_t lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    struct frame frame;
    struct kept orders[ORDERS_MAX]; /* by id */
    uint64_t last_id, first_open;
    int64_t now_us;
    uint64_t sequence;
    int64_t last, mark;
    bool is_asked, is_synced;
    uint64_t fills, triggered, expired, dropped, trimmed, pauses, resyncs;
};

static uint64_t
draw(struct world *w, uint64_t below)
{
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    return map_mix(w->random) % below;
}

#define SAY(w, ok, ...)                                                                            \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            char why_[256];                                                                        \
            snprintf(why_, sizeof why_, __VA_ARGS__);                                              \
            cr_assert_fail("seed %llu, step %d: %s", (unsigned long long)(w)->seed, (w)->step,     \
                           why_);                                                                  \
        }                                                                                          \
    } while (0)

/* ---- The ledger's side ---------------------------------------------------------------------- */

static struct kept *
other_of(struct world *w, const struct kept *k)
{
    uint64_t list = k->work.list_id;
    return list == 0 ? NULL : &w->orders[k->work.order_id == list ? list + 1 : list];
}

static void
hear_trim(struct world *w, struct kept *k, const struct order_report *r)
{
    if (r->trimmed_to.v == 0)
        return;
    SAY(w, r->trimmed_to.v <= k->total && r->trimmed_to.v > k->executed + k->prevented,
        "order %llu was trimmed to what it is not", (unsigned long long)r->order_id);
    k->total = r->trimmed_to.v;
    w->trimmed++;
}

static void
hear_report(struct world *w, const struct order_report *r)
{
    struct kept *k = &w->orders[r->order_id];
    unsigned long long id = r->order_id;
    SAY(w, r->order_id > 0 && r->order_id <= w->last_id && k->is_open,
        "order %llu is told of, and is not open", id);
    SAY(w, r->triggered_us == 0 || !k->is_triggered, "order %llu is set off twice", id);
    for (uint32_t i = 0; i < r->fills_count; i++)
        k->executed += r->fills[i].quantity.v;
    w->fills += r->fills_count;
    k->prevented += r->prevented.v;
    SAY(w, k->executed + k->prevented <= k->total, "order %llu has more than it asked for", id);
    if (r->rank != 0)
        k->rank = r->rank;
    if (r->trail_extreme.v != 0)
        k->extreme = r->trail_extreme.v;
    k->is_triggered |= r->triggered_us != 0;
    w->triggered += r->triggered_us != 0;
    if (r->was_trimmed)
        hear_trim(w, k, r);
    bool is_all = k->executed + k->prevented == k->total;
    SAY(w, r->end != ORDER_END_COMPLETE || (is_all && r->prevented.v == 0),
        "order %llu: not complete", id);
    SAY(w, !is_all || r->prevented.v == 0 || r->end == ORDER_END_SELF_TRADE,
        "order %llu: lost to itself, and ends otherwise", id);
    SAY(w, !is_all || r->end != ORDER_END_NONE, "order %llu goes on with nothing left", id);
    k->is_open = r->end == ORDER_END_NONE;
    w->expired += r->end == ORDER_END_GTD_REACHED;
    struct kept *other = other_of(w, k);
    bool is_decided = r->fills_count > 0 || r->triggered_us != 0 || r->end != ORDER_END_NONE;
    if (other != NULL && is_decided) {
        w->dropped += other->is_open;
        other->is_open = false;
    }
}

static void
hear(struct world *w)
{
    for (uint32_t i = 0; i < w->out.count; i++) {
        const struct out *o = &w->out.slots[i];
        w->hash = map_mix(w->hash ^ o->msg.type);
        if (o->to == OUT_MARKET)
            w->is_asked = true;
        if (o->msg.type != MSG_order_report)
            continue;
        const struct order_report *r = &o->msg.order_report;
        w->hash = map_mix(w->hash ^ r->order_id ^ r->rank ^ (uint64_t)r->end << 50);
        hear_report(w, r);
    }
    outbox_clear(&w->out);
}

static void
drain(struct world *w)
{
    hear(w);
    while (match_busy(w->match)) {
        w->pauses++;
        match_resume(w->match, &w->out);
        hear(w);
    }
}

static void
due(struct world *w)
{
    if (match_next_us(w->match) > w->now_us)
        return;
    match_due(w->match, w->now_us, &w->out);
    drain(w);
}

static void
feed(struct world *w, const struct msg *m, bool is_market)
{
    due(w);
    w->frame.sequence += !is_market;
    match_apply(w->match, !is_market, is_market ? NULL : &w->frame, m, w->now_us, &w->out);
    drain(w);
}

/* ---- Trailing, by the plain rule ------------------------------------------------------------ */

static int64_t
price_of(const struct world *w, const struct kept *k)
{
    int feed = k->work.trigger_source == TRIGGER_SOURCE_MARK ? TRIGGER_MARK
               : k->work.trigger_source != TRIGGER_SOURCE_BID_ASK
                   ? TRIGGER_LAST
                   : (k->work.side == SIDE_SELL ? TRIGGER_BID : TRIGGER_ASK);
    return w->match->triggers.prices[0].price[feed];
}

static bool
is_armed(const struct world *w, const struct kept *k, uint32_t *record)
{
    *record = resting_find(&w->match->books.orders, k->work.order_id);
    return *record != RESTING_NONE && w->match->books.orders.at[*record].state == RESTING_ARMED;
}

static int64_t
fire_price(const struct kept *k)
{
    int64_t delta = k->work.trailing_delta;
    if (k->work.side == SIDE_SELL)
        return k->followed * (10000 - delta) / 10000;
    return (k->followed * (10000 + delta) + 9999) / 10000;
}

/* Every armed order after a step: none has met its price, each has the extreme it should have. */
static void
follow(struct world *w)
{
    for (uint64_t id = w->first_open; id <= w->last_id; id++) {
        struct kept *k = &w->orders[id];
        uint32_t record;
        bool was_followed = k->is_followed;
        k->is_followed = false;
        if (!k->is_open || !is_armed(w, k, &record))
            continue;
        bool is_sell = k->work.side == SIDE_SELL;
        int64_t p = price_of(w, k);
        bool is_profit = k->work.type >= ORDER_TYPE_TAKE_PROFIT;
        bool is_rising = is_sell == is_profit;
        int64_t stop = k->work.stop_price.v, extreme = trigger_extreme(w->match, record);
        if (k->work.trailing_delta == 0 || (stop > 0 && extreme == 0)) {
            SAY(w, p == 0 || (is_rising ? p < stop : p > stop), "order %llu: its stop is met",
                (unsigned long long)id);
            continue;
        }
        k->is_followed = true;
        if (!was_followed)
            k->followed = extreme;
        else if (p > 0 && p != k->seen &&
                 (k->followed == 0 || (is_sell ? p > k->followed : p < k->followed)))
            k->followed = p;
        k->seen = p;
        SAY(w, k->followed == extreme, "order %llu trails from %lld and not from %lld",
            (unsigned long long)id, (long long)extreme, (long long)k->followed);
        SAY(w, p == 0 || extreme == 0 || (is_sell ? p > fire_price(k) : p < fire_price(k)),
            "order %llu should have fired", (unsigned long long)id);
        int64_t behind = extreme > k->extreme ? extreme - k->extreme : k->extreme - extreme;
        SAY(w,
            extreme == 0 ||
                (k->extreme != 0 && behind * 100000 < (int64_t)k->extreme * k->work.trailing_delta),
            "order %llu: its extreme is not told", (unsigned long long)id);
    }
}

/* ---- Orders --------------------------------------------------------------------------------- */

static void
random_trigger(struct world *w, struct order_work *o)
{
    o->type = (enum order_type)(ORDER_TYPE_STOP_LOSS + (int)draw(w, 5));
    o->trigger_source = (enum trigger_source)draw(w, 4);
    bool is_trailing = o->type == ORDER_TYPE_TRAILING_STOP || draw(w, 3) == 0;
    if (is_trailing)
        o->trailing_delta = (uint32_t)(50 + 50 * draw(w, 4));
    if (!is_trailing || draw(w, 2) == 0)
        o->stop_price.v = w->last + CENT * ((int64_t)draw(w, 60) - 30);
}

static struct order_work
random_order(struct world *w)
{
    struct order_work o = {.order_id = ++w->last_id,
                           .account_id = 1 + draw(w, 3),
                           .symbol = code_of("BTCUSDT"),
                           .side = draw(w, 2) == 0 ? SIDE_BUY : SIDE_SELL,
                           .type = (enum order_type)(1 + draw(w, 3)),
                           .time_in_force = (enum time_in_force)(1 + draw(w, 5)),
                           .time_us = w->now_us};
    o.price.v = w->last + CENT * ((int64_t)draw(w, 80) - 40);
    o.quantity.v = CENT * (int64_t)(1 + draw(w, 50));
    if (draw(w, 2) == 0)
        random_trigger(w, &o);
    if (draw(w, 3) == 0)
        o.latency_us = (uint32_t)draw(w, 4000);
    if (o.time_in_force >= TIME_IN_FORCE_GTD)
        o.expire_us = w->now_us + (int64_t)draw(w, 60000);
    if (draw(w, 4) == 0 && o.time_in_force != TIME_IN_FORCE_IOC)
        o.iceberg_quantity.v = 1 + o.quantity.v / (int64_t)(2 + draw(w, 4));
    o.fill_model = (enum fill_model)draw(w, 4);
    o.self_trade_prevention = (enum self_trade_prevention)draw(w, 6);
    o.slippage_bps = draw(w, 5) == 0 ? 3 : 0;
    return o;
}

static void
send_order(struct world *w, const struct order_work *o)
{
    w->orders[o->order_id] = (struct kept){.work = *o, .total = o->quantity.v, .is_open = true};
    feed(w, &(struct msg){.type = MSG_order_work, .order_work = *o}, false);
}

static void
place(struct world *w)
{
    struct order_work o = random_order(w);
    if (draw(w, 4) != 0) {
        send_order(w, &o);
        return;
    }
    struct order_work two = o;
    two.order_id = ++w->last_id;
    o.list_id = two.list_id = o.order_id;
    if (draw(w, 2) == 0)
        o.type = ORDER_TYPE_LIMIT_MAKER;
    two.trailing_delta = 0;
    random_trigger(w, &two);
    two.latency_us = draw(w, 2) == 0 ? (uint32_t)draw(w, 3000) : o.latency_us;
    w->orders[two.order_id] = (struct kept){.work = two, .total = two.quantity.v, .is_open = true};
    send_order(w, &o);
    if (w->orders[two.order_id].is_open)
        feed(w, &(struct msg){.type = MSG_order_work, .order_work = two}, false);
}

static void
pull_or_trim(struct world *w)
{
    uint64_t id = 1 + draw(w, w->last_id + 1);
    uint32_t latency_us = draw(w, 2) == 0 ? (uint32_t)draw(w, 3000) : 0;
    const struct kept *k = &w->orders[id < ORDERS_MAX ? id : 0];
    struct msg m = {.type = MSG_order_pull, .corr = id};
    m.order_pull.order_id = id;
    m.order_pull.latency_us = latency_us;
    if (draw(w, 2) == 0 && k->total > 1) {
        m.type = MSG_order_trim;
        m.order_trim = (struct order_trim){.order_id = id, .latency_us = latency_us};
        m.order_trim.quantity.v = 1 + (int64_t)draw(w, (uint64_t)k->total);
    }
    feed(w, &m, false);
}

/* A new session: what is open is sent again, as it is known. */
static void
resync(struct world *w)
{
    w->resyncs++;
    w->frame.session++;
    w->frame.sequence = 0;
    uint64_t sent = 0;
    feed(w, &(struct msg){.type = MSG_link_hello}, false);
    for (uint64_t id = w->first_open; id <= w->last_id; id++) {
        struct kept *k = &w->orders[id];
        if (!k->is_open)
            continue;
        struct order_work o = k->work;
        k->is_followed = false;
        o.quantity.v = k->total - k->executed - k->prevented;
        o.executed.v = k->executed + k->prevented;
        o.rank = k->rank;
        o.is_triggered = k->is_triggered;
        o.trail_extreme.v = k->extreme;
        const struct kept *other = other_of(w, k);
        if (other == NULL || !other->is_open)
            o.list_id = 0;
        feed(w, &(struct msg){.type = MSG_order_work, .order_work = o}, false);
        sent++;
    }
    if (draw(w, 2) == 0)
        pull_or_trim(w);
    struct msg m = {.type = MSG_link_synced};
    m.link_synced.orders = sent;
    feed(w, &m, false);
}

/* ---- The market ----------------------------------------------------------------------------- */

static void
market(struct world *w)
{
    struct level bids[2], asks[2];
    for (int i = 0; i < 2; i++) {
        bids[i].price.v = w->last - CENT * (int64_t)(1 + draw(w, 8));
        asks[i].price.v = w->last + CENT * (int64_t)(1 + draw(w, 8));
        bids[i].quantity.v = CENT * (int64_t)draw(w, 30);
        asks[i].quantity.v = CENT * (int64_t)draw(w, 30);
    }
    struct msg m = {.type = MSG_md_depth};
    code_t symbol = code_of("BTCUSDT");
    w->sequence += 1 + (draw(w, 200) == 0);
    w->last += CENT * ((int64_t)draw(w, 9) - 4);
    w->last = w->last < 50 * DECIMAL_ONE ? 50 * DECIMAL_ONE : w->last;
    switch (w->is_asked ? 9 : draw(w, 4)) {
    case 0:
        m.md_depth = (struct md_depth){symbol, w->sequence, 0, 0, .bids = bids, .asks = asks};
        m.md_depth.bids_count = m.md_depth.asks_count = 2;
        break;
    case 1:
        m.type = MSG_md_mark;
        m.md_mark = (struct md_mark){.symbol = symbol, .sequence = w->sequence};
        m.md_mark.mark.v = w->last + CENT * ((int64_t)draw(w, 5) - 2);
        break;
    case 9:
        w->is_asked = false;
        m.type = MSG_md_book;
        m.corr = 1;
        m.md_book = (struct md_book){.symbol = symbol, .sequence = w->sequence};
        m.md_book.source = LIQUIDITY_DEPTH;
        m.md_book.bids = bids;
        m.md_book.asks = asks;
        m.md_book.bids_count = m.md_book.asks_count = 2;
        m.md_book.last_price.v = w->last;
        break;
    default:
        m.type = MSG_md_trade;
        m.md_trade = (struct md_trade){.symbol = symbol, .sequence = w->sequence};
        m.md_trade.trade.trade_id = w->sequence;
        m.md_trade.trade.price.v = w->last;
        m.md_trade.trade.quantity.v = CENT * (int64_t)(1 + draw(w, 20));
        m.md_trade.trade.time_us = w->now_us;
        m.md_trade.trade.buyer_is_maker = draw(w, 2) == 0;
        break;
    }
    feed(w, &m, true);
}

/* ---- A round -------------------------------------------------------------------------------- */

static void
compare(struct world *w)
{
    uint32_t open = 0;
    const struct resting_pool *p = &w->match->books.orders;
    while (w->first_open <= w->last_id && !w->orders[w->first_open].is_open)
        w->first_open++;
    for (uint64_t id = w->first_open; id <= w->last_id; id++) {
        bool is_here = resting_find(p, id) != RESTING_NONE;
        SAY(w, is_here == w->orders[id].is_open, "order %llu is %s", (unsigned long long)id,
            is_here ? "here, and its ledger thinks it gone" : "gone, and its ledger was not told");
        open += is_here;
    }
    SAY(w, open == p->used, "the matcher has orders that nobody knows");
    const char *wrong = match_check(w->match);
    SAY(w, wrong == NULL, "%s", wrong);
    follow(w);
}

static void
step(struct world *w)
{
    w->now_us += (int64_t)draw(w, 1500);
    uint64_t dice = draw(w, 1000);
    if (dice < 2)
        resync(w);
    else if (dice < 450)
        market(w);
    else if (dice < 750)
        place(w);
    else if (dice < 950)
        pull_or_trim(w);
    else
        due(w);
}

static uint64_t
round_of(uint64_t seed, uint32_t orders_max)
{
    struct world *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
    memset(w, 0, sizeof(*w));
    const struct match_limits limits = {.books = {.orders_max = orders_max,
                                                  .levels_max = orders_max / 2,
                                                  .house_levels_max = 100,
                                                  .books_max = 1,
                                                  .queues_max = 20,
                                                  .stories_max = orders_max / 2},
                                        .ledgers_max = 1,
                                        .silence_us = INT64_MAX,
                                        .ask_again_us = 1,
                                        .errands_max = 8};
    size_t size = (match_bytes(&limits) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    memset(memory, 0, size);
    w->match = match_init(&limits, memory);
    w->seed = w->random = seed;
    w->now_us = 1000000;
    w->last = 100 * DECIMAL_ONE;
    w->first_open = 1;
    outbox_init(&w->out, w->outs, MATCH_OUT_MIN + (uint32_t)draw(w, OUTS - MATCH_OUT_MIN), w->lists,
                sizeof(w->lists));
    w->frame = (struct frame){.sender = code_of("ledger-0"), .epoch = 1};
    for (w->step = 0; w->step < STEPS; w->step++) {
        if (w->step == 0)
            resync(w);
        step(w);
        compare(w);
    }
    cr_assert(w->fills > 100 && w->triggered > 100 && w->expired > 50 && w->dropped > 20 &&
                  w->trimmed > 10 && (w->pauses > 0 || orders_max < 100) && w->resyncs > 5,
              "seed %llu was a dull round: %llu fills, %llu set off, %llu expired, %llu dropped, "
              "%llu trimmed, %llu pauses, %llu resyncs",
              (unsigned long long)seed, (unsigned long long)w->fills,
              (unsigned long long)w->triggered, (unsigned long long)w->expired,
              (unsigned long long)w->dropped, (unsigned long long)w->trimmed,
              (unsigned long long)w->pauses, (unsigned long long)w->resyncs);
    uint64_t hash = w->hash;
    free(memory);
    free(w);
    return hash;
}

static void
rounds(uint64_t first, uint32_t orders_max)
{
    const char *only = getenv("MATCH_SEED");
    if (only != NULL) {
        (void)round_of(strtoull(only, NULL, 10), orders_max);
        return;
    }
    for (uint64_t seed = first; seed < first + 5; seed++)
        (void)round_of(seed, orders_max);
}

Test(match_life, ledger_and_matcher_agree_where_there_is_room)
{
    rounds(100, 4000);
}

Test(match_life, ledger_and_matcher_agree_where_there_is_little)
{
    rounds(200, 30);
}

Test(match_life, is_the_same_twice)
{
    cr_assert_eq(round_of(7, 500), round_of(7, 500));
}
