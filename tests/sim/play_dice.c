/*
 * play_dice.c - what traders wish and markets say, by chance.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/play_dice.h"

static uint64_t
roll(struct play_dice *d)
{
    if (d->data != NULL)
        return d->used < d->length ? d->data[d->used++] : 0;
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return (d->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32;
}

int64_t
play_below(struct play_dice *d, int64_t n)
{
    uint64_t dice = roll(d);
    if (d->data != NULL && n > 256)
        dice |= roll(d) << 8;
    if (n > UINT32_MAX)
        dice = dice << 31 ^ roll(d);
    return (int64_t)(dice % (uint64_t)n);
}

static bool
one_of(struct play_dice *d, int64_t n)
{
    return play_below(d, n) == 0;
}

void
play_dice_init(struct play_dice *d, uint64_t seed, const uint8_t *data, size_t length)
{
    static const int64_t ticks[] = {1, 1000000, DECIMAL_ONE};
    static const int64_t spreads[] = {3, 8, 20, 200};
    *d = (struct play_dice){.random = (seed * UINT64_C(0x9e3779b97f4a7c15)) | 1,
                            .data = data,
                            .length = length,
                            .now_us = 1000000};
    d->tick = ticks[play_below(d, 3)];
    d->spread = spreads[play_below(d, 4)];
    d->is_quiet = one_of(d, 3);
    d->middle = d->spread + 4 + play_below(d, 200);
}

bool
play_is_over(const struct play_dice *d)
{
    return d->data != NULL && d->used >= d->length;
}

/* In a quiet round nearly all of a side lies at its best three prices. */
static int64_t
price(struct play_dice *d, enum side side)
{
    int64_t ticks = d->middle + play_below(d, 2 * d->spread + 1) - d->spread;
    if (d->is_quiet && !one_of(d, 60))
        ticks = d->middle + (side == SIDE_BUY ? -1 : 1) * (1 + play_below(d, 3));
    if (one_of(d, 50))
        ticks = 1 + play_below(d, 1000000);
    return (ticks > 0 ? ticks : 1) * d->tick;
}

int64_t
play_quantity(struct play_dice *d)
{
    static const int64_t units[] = {1, 1000, 100000, DECIMAL_ONE};
    if (d->is_quiet)
        return (1 + play_below(d, 9)) * DECIMAL_ONE;
    return (1 + play_below(d, 60)) * units[play_below(d, 4)];
}

void
play_drift(struct play_dice *d)
{
    if (one_of(d, d->is_quiet ? 5000 : 500))
        d->middle += play_below(d, 21) - 10;
    if (d->middle < 4)
        d->middle = 4;
}

/* ---- Orders --------------------------------------------------------------------------------- */

static void
wish_market(struct play_dice *d, struct order_work *w)
{
    if (one_of(d, 2)) {
        w->funds.v = 1 + play_quantity(d) / 4 * (1 + play_below(d, 50));
        w->step_size.v = one_of(d, 3) ? 0 : 1 + play_below(d, 2) * 99999;
        if (w->side == SIDE_BUY && !one_of(d, 6))
            w->quantity.v = 0;
    }
    if (one_of(d, 2))
        w->price.v = w->side == SIDE_BUY ? d->middle * 4 * d->tick : 1;
    /* Such a quantity may take, but not rest: the sum of its level could pass int64. */
    if (one_of(d, 50) && w->list_id == 0)
        w->quantity.v = INT64_MAX - play_below(d, 2);
}

/* What sets an order off, close to the prices that come. */
static void
wish_trigger(struct play_dice *d, struct order_work *w)
{
    static const uint32_t deltas[] = {1, 50, 100, 500, 2000, 9999};
    w->type = (enum order_type)(ORDER_TYPE_STOP_LOSS + play_below(d, 5));
    w->trigger_source = (enum trigger_source)play_below(d, 4);
    bool trails = w->type == ORDER_TYPE_TRAILING_STOP || one_of(d, 4);
    if (trails)
        w->trailing_delta = deltas[play_below(d, 6)];
    if (!trails || one_of(d, 2))
        w->stop_price.v = price(d, one_of(d, 2) ? SIDE_BUY : SIDE_SELL);
    bool is_limit =
        w->type == ORDER_TYPE_STOP_LOSS_LIMIT || w->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    if (!is_limit && !one_of(d, 3))
        w->price.v = w->side == SIDE_BUY ? d->middle * 4 * d->tick : 1;
    if (is_limit && one_of(d, 8))
        w->time_in_force = one_of(d, 2) ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_FOK;
}

/* What any order may wish. */
static void
wish_more(struct play_dice *d, struct order_work *w)
{
    bool may_rest = w->type != ORDER_TYPE_MARKET;
    w->fill_model = (enum fill_model)play_below(d, 4);
    if (one_of(d, 3))
        w->latency_us = (uint32_t)(1 + play_below(d, one_of(d, 4) ? 2000 : 40));
    w->time_us = d->now_us - play_below(d, 20) + (one_of(d, 20) ? 1000000 : 0);
    if (one_of(d, 5))
        w->slippage_bps = (uint32_t)play_below(d, one_of(d, 4) ? 9999 : 30);
    if (may_rest && one_of(d, 5))
        w->iceberg_quantity.v = 1 + w->quantity.v / (1 + play_below(d, 6));
    if (may_rest && w->time_in_force == TIME_IN_FORCE_GTC && one_of(d, 6)) {
        w->time_in_force = one_of(d, 2) ? TIME_IN_FORCE_GTD : TIME_IN_FORCE_DAY;
        w->expire_us = d->now_us + play_below(d, one_of(d, 2) ? 100 : 3000) - 2;
    }
}

struct order_work
play_order(struct play_dice *d, const code_t *symbols, uint64_t id)
{
    struct order_work w = {.order_id = id};
    int64_t kind = d->is_quiet && !one_of(d, 8) ? 30 + play_below(d, 46) : play_below(d, 100);
    w.account_id = (uint64_t)(1 + play_below(d, 4));
    w.symbol = symbols[play_below(d, PLAY_SYMBOLS)];
    w.side = one_of(d, 2) ? SIDE_BUY : SIDE_SELL;
    w.price.v = price(d, w.side);
    w.time_in_force = TIME_IN_FORCE_GTC;
    w.quantity.v = play_quantity(d);
    w.type = kind < 15 ? ORDER_TYPE_MARKET : kind < 65 ? ORDER_TYPE_LIMIT : ORDER_TYPE_LIMIT_MAKER;
    if (kind >= 15 && kind < 21)
        w.time_in_force = TIME_IN_FORCE_IOC;
    if (kind >= 21 && kind < 28)
        w.time_in_force = TIME_IN_FORCE_FOK;
    if (!one_of(d, 3))
        w.self_trade_prevention = (enum self_trade_prevention)(1 + play_below(d, 5));
    if (w.type == ORDER_TYPE_MARKET)
        wish_market(d, &w);
    if (kind >= 75)
        wish_trigger(d, &w);
    if (!one_of(d, 3))
        wish_more(d, &w);
    if (d->is_quiet && !one_of(d, 4))
        w.fill_model = FILL_MODEL_queue;
    if (one_of(d, 200))
        w.quantity.v = play_below(d, 2) - 1;
    return w;
}

void
play_pair(struct play_dice *d, struct order_work *first, struct order_work *second, uint64_t id)
{
    struct order_work limit = *first;
    wish_trigger(d, first);
    first->list_id = first->order_id;
    if (first->quantity.v <= 0 || first->quantity.v > INT64_MAX / 4)
        first->quantity.v = play_quantity(d);
    first->funds.v = first->iceberg_quantity.v = 0;
    limit.quantity = first->quantity;
    limit.funds.v = limit.stop_price.v = limit.iceberg_quantity.v = 0;
    limit.trailing_delta = 0;
    limit.list_id = first->list_id;
    limit.type = one_of(d, 3) ? ORDER_TYPE_LIMIT : ORDER_TYPE_LIMIT_MAKER;
    limit.price.v = price(d, limit.side);
    if (limit.time_in_force == TIME_IN_FORCE_IOC || limit.time_in_force == TIME_IN_FORCE_FOK)
        limit.time_in_force = TIME_IN_FORCE_GTC;
    limit.order_id = id;
    if (one_of(d, 4))
        wish_trigger(d, &limit);
    if (one_of(d, 3))
        wish_more(d, &limit);
    *second = limit;
    if (one_of(d, 2)) {
        *second = *first;
        *first = limit;
        first->order_id = second->order_id;
        second->order_id = id;
    }
}

/* ---- The market ----------------------------------------------------------------------------- */

static uint32_t
levels(struct play_dice *d, enum side side, struct level *out, uint32_t max)
{
    uint32_t count = (uint32_t)play_below(d, max + 1);
    for (uint32_t i = 0; i < count; i++)
        out[i] =
            (struct level){{price(d, side)}, {one_of(d, 4) ? -play_below(d, 2) : play_quantity(d)}};
    return count;
}

/* One order more or less at a price that is displayed; it may be of a size that came before. */
static uint32_t
level_changed(struct play_dice *d, const struct naive_house *h, enum side side, struct level *out)
{
    uint32_t count = h->counts[side - 1];
    if (count < 2 || one_of(d, 40))
        return levels(d, side, out, 3);
    const struct naive_level *l = &h->levels[side - 1][play_below(d, count)];
    int64_t size = (1 + play_below(d, 6)) * DECIMAL_ONE;
    bool is_less = one_of(d, 4) || l->shown > 400 * DECIMAL_ONE;
    int64_t left = is_less ? l->shown - size : l->shown + size;
    *out = (struct level){{l->price}, {left > 0 ? left : 0}};
    return 1;
}

static void
say_book(struct play_dice *d, struct play_market *m, struct md_book *b, code_t symbol)
{
    *b = (struct md_book){.symbol = symbol, .sequence = m->sequence};
    b->bids_count = levels(d, SIDE_BUY, m->bids, PLAY_LEVELS_MAX);
    b->asks_count = levels(d, SIDE_SELL, m->asks, PLAY_LEVELS_MAX);
    b->bids = m->bids;
    b->asks = m->asks;
    b->source = (enum liquidity)(one_of(d, 2) ? LIQUIDITY_DEPTH : 1 + play_below(d, 3));
    b->time_us = m->time_us;
    b->last_price.v = one_of(d, 2) ? price(d, SIDE_BUY) : 0;
}

/* The next number of the stream, now and then one that should not be. */
static uint64_t
next_sequence(struct play_dice *d, struct play_market *m)
{
    int64_t dice = play_below(d, 1000);
    if (dice < 4)
        m->sequence += (uint64_t)(1 + play_below(d, 3));
    if (dice == 4)
        m->sequence = (uint64_t)play_below(d, 3);
    return ++m->sequence;
}

/* A time that a message bears: of the market's clock, late, or none. */
static int64_t
say_time(struct play_dice *d, const struct play_market *m)
{
    if (one_of(d, 8))
        return one_of(d, 2) ? 0 : m->time_us - play_below(d, 30);
    return m->time_us;
}

static struct msg
trade_of(struct play_dice *d, struct play_market *m, code_t symbol, struct level l, bool is_bid)
{
    struct msg t = {.type = MSG_md_trade};
    t.md_trade.symbol = symbol;
    t.md_trade.trade = (struct public_trade){.trade_id = 1,
                                             .price = l.price,
                                             .quantity = l.quantity,
                                             .time_us = say_time(d, m),
                                             .buyer_is_maker = is_bid};
    return t;
}

/* A trade that takes some of what is displayed, and the depth that tells the same. */
static struct msg
say_event(struct play_dice *d, struct play_market *m, const struct naive_house *h, code_t symbol)
{
    uint32_t k = (uint32_t)play_below(d, 2);
    if (h->counts[k] == 0) {
        struct level l = {{price(d, SIDE_BUY)}, {play_quantity(d)}};
        return trade_of(d, m, symbol, l, k == 0);
    }
    const struct naive_level *at = &h->levels[k][play_below(d, h->counts[k])];
    int64_t part = one_of(d, d->is_quiet ? 20 : 2) ? at->shown : 1 + play_below(d, at->shown);
    if (d->is_quiet && part > DECIMAL_ONE)
        part = DECIMAL_ONE * (1 + play_below(d, one_of(d, 8) ? 1 + part / DECIMAL_ONE : 3));
    struct level taken = {{at->price}, {part}};
    m->taken = (struct level){{at->price}, {part < at->shown ? at->shown - part : 0}};
    struct msg trade = trade_of(d, m, symbol, taken, k == 0);
    struct msg depth = {.type = MSG_md_depth};
    depth.md_depth = (struct md_depth){.symbol = symbol, .time_us = say_time(d, m)};
    *(k == 0 ? &depth.md_depth.bids : &depth.md_depth.asks) = &m->taken;
    *(k == 0 ? &depth.md_depth.bids_count : &depth.md_depth.asks_count) = 1;
    if (one_of(d, 4))
        return trade;
    bool is_trade_first = one_of(d, 2);
    m->second = is_trade_first ? depth : trade;
    return is_trade_first ? trade : depth;
}

static struct msg
say_quote(struct play_dice *d, struct play_market *m, code_t symbol)
{
    struct msg q = {.type = MSG_md_quote};
    q.md_quote = (struct md_quote){.symbol = symbol, .time_us = m->time_us};
    q.md_quote.bid.v = one_of(d, 10) ? 0 : price(d, SIDE_BUY);
    q.md_quote.bid_quantity.v = play_quantity(d);
    q.md_quote.ask.v = one_of(d, 10) ? 0 : price(d, SIDE_SELL);
    q.md_quote.ask_quantity.v = play_quantity(d);
    return q;
}

/* One of the numbered messages, its number apart. */
static struct msg
say_tick(struct play_dice *d, struct play_market *m, const struct naive_house *h, code_t symbol)
{
    int64_t dice = play_below(d, d->is_quiet && !one_of(d, 4) ? 40 : 100);
    enum side side = one_of(d, 2) ? SIDE_BUY : SIDE_SELL;
    struct msg t = {.type = MSG_md_depth};
    if (d->is_quiet && dice >= 8 && dice < 40)
        dice = 99;
    if (dice < 35)
        return say_event(d, m, h, symbol);
    if (dice < 50)
        return trade_of(d, m, symbol, (struct level){{price(d, side)}, {play_quantity(d)}},
                        one_of(d, 2));
    if (dice < 60 || (h->source == LIQUIDITY_QUOTE && dice < 90))
        return say_quote(d, m, symbol);
    if (dice < 65) {
        t.type = MSG_md_mark;
        t.md_mark = (struct md_mark){.symbol = symbol, .mark = {price(d, side)}};
        return t;
    }
    t.md_depth = (struct md_depth){.symbol = symbol, .time_us = say_time(d, m)};
    t.md_depth.bids_count =
        d->is_quiet ? level_changed(d, h, SIDE_BUY, m->bids) : levels(d, SIDE_BUY, m->bids, 4);
    t.md_depth.asks_count =
        d->is_quiet ? level_changed(d, h, SIDE_SELL, m->asks) : levels(d, SIDE_SELL, m->asks, 4);
    t.md_depth.bids = m->bids;
    t.md_depth.asks = m->asks;
    return t;
}

static void
set_sequence(struct msg *t, uint64_t sequence)
{
    switch (t->type) {
    case MSG_md_trade:
        t->md_trade.sequence = sequence;
        break;
    case MSG_md_quote:
        t->md_quote.sequence = sequence;
        break;
    case MSG_md_mark:
        t->md_mark.sequence = sequence;
        break;
    case MSG_md_depth:
        t->md_depth.sequence = sequence;
        break;
    default:
        break;
    }
}

struct msg
play_tick(struct play_dice *d, struct play_market *m, const struct naive_house *h, code_t symbol)
{
    struct msg t = {.type = MSG_md_book};
    int64_t dice = play_below(d, 100);
    m->time_us = m->time_us < d->now_us ? d->now_us : m->time_us + play_below(d, 3);
    if (m->second.type != MSG_NONE && dice < 80) {
        t = m->second;
        m->second.type = MSG_NONE;
        set_sequence(&t, next_sequence(d, m));
    } else if (!h->is_live && dice < 30) {
        t.corr = 1;
        say_book(d, m, &t.md_book, symbol);
    } else if (dice < 2) {
        (void)next_sequence(d, m);
        say_book(d, m, &t.md_book, symbol);
    } else if (dice < 6) {
        t.type = MSG_md_beat;
        t.md_beat.symbol = symbol;
        t.md_beat.sequence = m->sequence;
    } else {
        t = say_tick(d, m, h, symbol);
        set_sequence(&t, next_sequence(d, m));
    }
    return t;
}
