/*
 * naive_take.c - the slow matcher: takers, one step after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "sim/naive_book.h"

#define NOTHING NAIVE_NOTHING
#define BPS     10000

struct naive_taker {
    struct order_work work; /* what is left of it, as what it is once it is set off */
    bool by_funds, has_quantity, has_filled, is_done, is_prevented;
    int64_t prevented;
    uint32_t symbol;
    bool has_place;           /* among the orders */
    struct naive_report said; /* a report that is not in the list yet */
};

static struct naive_taker
taker_of(uint32_t symbol, const struct order_work *w)
{
    struct naive_taker t = {.work = *w, .symbol = symbol};
    if (w->type == ORDER_TYPE_STOP_LOSS || w->type == ORDER_TYPE_TAKE_PROFIT ||
        w->type == ORDER_TYPE_TRAILING_STOP)
        t.work.type = ORDER_TYPE_MARKET;
    if (w->type == ORDER_TYPE_STOP_LOSS_LIMIT || w->type == ORDER_TYPE_TAKE_PROFIT_LIMIT)
        t.work.type = ORDER_TYPE_LIMIT;
    t.by_funds = t.work.type == ORDER_TYPE_MARKET && w->funds.v > 0;
    t.has_quantity = w->quantity.v > 0;
    return t;
}

/* How much at this price a taker wants, by its quantity and its funds. */
static int64_t
wanted(const struct naive_taker *t, int64_t price)
{
    const struct order_work *w = &t->work;
    __int128 most = t->has_quantity ? w->quantity.v : INT64_MAX;
    if (!t->by_funds)
        return (int64_t)most;
    if (w->funds.v <= 0)
        return 0;
    __int128 step = w->step_size.v > 0 ? w->step_size.v : 1;
    __int128 scaled = (__int128)w->funds.v * DECIMAL_ONE;
    __int128 want;
    if (w->side == SIDE_BUY) {
        want = scaled / price;
        if (want > INT64_MAX)
            want = INT64_MAX;
        want = want / step * step;
        if (want * price / DECIMAL_ONE == 0)
            want = 0; /* free of charge: the funds would never end */
    } else {
        want = (scaled + price - 1) / price;
        want = (want + step - 1) / step * step;
    }
    return (int64_t)(want < most ? want : most);
}

/* What the house's price is to a taker: worse by its slippage, never beyond its limit. */
static int64_t
slipped(const struct order_work *w, int64_t shown)
{
    __int128 price, scaled = shown;
    if (w->side == SIDE_BUY) {
        price = (scaled * (BPS + w->slippage_bps) + BPS - 1) / BPS;
        return price > w->price.v ? w->price.v : (int64_t)price;
    }
    price = scaled * (BPS - w->slippage_bps) / BPS;
    return price < w->price.v ? w->price.v : (int64_t)price;
}

/* Takes off a taker what it got or lost at this price. */
static void
pay(struct naive_taker *t, int64_t price, int64_t quantity)
{
    if (t->has_quantity)
        t->work.quantity.v -= quantity;
    if (!t->by_funds) {
        t->is_done = t->work.quantity.v == 0;
        return;
    }
    t->work.funds.v -= (int64_t)((__int128)price * quantity / DECIMAL_ONE);
    t->is_done = t->work.side == SIDE_BUY ? wanted(t, price) == 0 : t->work.funds.v <= 0;
}

/* The next maker is of the taker's own account. Whether the taker goes on. */
static bool
prevent(struct naive_book *n, struct naive_taker *t, uint32_t order, int64_t want)
{
    enum self_trade_prevention mode = t->work.self_trade_prevention;
    const struct naive_order *o = &n->orders[order];
    if (mode == SELF_TRADE_PREVENTION_DECREMENT) {
        int64_t price = o->work.price.v;
        int64_t quantity = want < o->in_view ? want : o->in_view;
        naive_prevent_order(n, order, quantity);
        t->prevented += quantity;
        pay(t, price, quantity);
        t->is_prevented = t->is_done;
        return !t->is_done;
    }
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_MAKER) {
        t->prevented += t->by_funds ? want : t->work.quantity.v;
        t->is_done = t->is_prevented = true;
    }
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_TAKER)
        naive_prevent_order(n, order, o->work.quantity.v);
    return !t->is_done;
}

static bool
is_house_first(const struct naive_book *n, uint32_t symbol, const struct naive_level *l,
               const struct naive_order *o)
{
    if (l->price != o->work.price.v)
        return naive_is_better(o->work.side, l->price, o->work.price.v);
    return n->houses[symbol].venue != NAIVE_PARTICIPANT || (uint64_t)l->since_us < o->rank;
}

/* One step of a taker; false when there is no further one. */
static bool
take_once(struct naive_book *n, struct naive_taker *t)
{
    enum side side = side_other(t->work.side);
    uint32_t order = naive_first_order(n, t->symbol, side, NULL);
    uint32_t level = naive_first_level(n, t->symbol, side);
    if (t->is_done || (order == NOTHING && level == NOTHING))
        return false;
    struct naive_level *l = level != NOTHING ? &n->houses[t->symbol].levels[side - 1][level] : NULL;
    bool by_house =
        l != NULL && (order == NOTHING || is_house_first(n, t->symbol, l, &n->orders[order]));
    int64_t shown = by_house ? l->price : n->orders[order].work.price.v;
    int64_t there = by_house ? l->left : n->orders[order].in_view;
    if (!naive_is_within(side, shown, t->work.price.v))
        return false;
    int64_t price = by_house ? slipped(&t->work, shown) : shown;
    int64_t want = wanted(t, price);
    if (want == 0) {
        t->is_done = t->has_filled && t->work.side == SIDE_BUY;
        return false;
    }
    if (!by_house && naive_is_own(&t->work, &n->orders[order]))
        return prevent(n, t, order, want);
    int64_t quantity = want < there ? want : there;
    int64_t before = t->has_quantity ? t->work.quantity.v : quantity;
    if (by_house) {
        naive_add_fill(&t->said, price, quantity, false, naive_house_evidence(n, t->symbol, l));
        naive_use_level(n, t->symbol, side, level, quantity);
    } else {
        naive_add_fill(&t->said, price, quantity, false, naive_user_evidence(n, price, there));
        naive_fill_order(n, order, price, quantity, true,
                         naive_user_evidence(n, t->work.price.v, before));
    }
    t->has_filled = true;
    pay(t, price, quantity);
    if (t->has_place)
        naive_decided(n, t->work.order_id);
    return !t->is_done;
}

/* Whether all of it can be had at once: tries it out. */
static bool
can_have_all(const struct naive_book *n, const struct naive_taker *taker)
{
    struct naive_book *c = naive_copy_of(n);
    struct naive_taker t = *taker;
    while (take_once(c, &t))
        continue;
    bool has_all = t.work.quantity.v == 0 && t.prevented == 0;
    free(t.said.fills);
    naive_book_destroy(&c);
    return has_all;
}

static bool
would_take(const struct naive_book *n, const struct naive_taker *t)
{
    enum side side = side_other(t->work.side);
    uint32_t order = naive_first_order(n, t->symbol, side, NULL);
    uint32_t level = naive_first_level(n, t->symbol, side);
    int64_t limit = t->work.price.v;
    return (order != NOTHING && naive_is_within(side, n->orders[order].work.price.v, limit)) ||
           (level != NOTHING &&
            naive_is_within(side, n->houses[t->symbol].levels[side - 1][level].price, limit));
}

/* Where a taker stands once it took what it could; NONE when it rests. */
static enum order_end
end_of(const struct naive_book *n, const struct naive_taker *t)
{
    bool is_stale =
        naive_house_is_held(n, t->symbol) && n->houses[t->symbol].source != LIQUIDITY_NONE;
    bool is_limit = t->work.type == ORDER_TYPE_LIMIT;
    if (t->is_done)
        return t->is_prevented || t->said.prevented > 0 ? ORDER_END_SELF_TRADE : ORDER_END_COMPLETE;
    if (t->work.type == ORDER_TYPE_MARKET)
        return is_stale ? ORDER_END_MARKET_STALE : ORDER_END_INSUFFICIENT_LIQUIDITY;
    if (is_limit && t->work.time_in_force == TIME_IN_FORCE_IOC)
        return is_stale ? ORDER_END_MARKET_STALE : ORDER_END_IOC_REMAINDER;
    return ORDER_END_NONE;
}

static enum order_end
take_all(struct naive_book *n, struct naive_taker *t)
{
    bool is_fok = t->work.type == ORDER_TYPE_LIMIT && t->work.time_in_force == TIME_IN_FORCE_FOK;
    if (t->work.type == ORDER_TYPE_LIMIT_MAKER && would_take(n, t))
        return ORDER_END_WOULD_TAKE;
    if (is_fok && !can_have_all(n, t))
        return ORDER_END_FOK_UNFILLABLE;
    while (take_once(n, t))
        continue;
    t->said.prevented = t->by_funds ? 0 : t->prevented;
    return end_of(n, t);
}

/* Puts the taker's report into the list. */
static struct naive_report *
say(struct naive_book *n, const struct naive_taker *t, uint32_t ledger, uint64_t corr)
{
    struct naive_report *r = naive_report(n, ledger, t->work.order_id, corr);
    r->fills = t->said.fills;
    r->fills_count = t->said.fills_count;
    r->fills_room = t->said.fills_room;
    r->prevented = t->said.prevented;
    return r;
}

void
naive_take_plain(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr)
{
    struct naive_taker t = taker_of(naive_symbol(n, w->symbol), w);
    enum order_end end = take_all(n, &t);
    struct naive_report *r = say(n, &t, ledger, corr);
    r->end = end;
    if (end != ORDER_END_NONE)
        return;
    r->end = ORDER_END_BOOK_FULL;
    if (n->orders_count == n->orders_max)
        return;
    n->orders = naive_grown(n->orders, n->orders_count, &n->orders_room, sizeof(*n->orders));
    struct naive_order *o = &n->orders[n->orders_count++];
    *o = (struct naive_order){.work = *w, .ledger = ledger, .symbol = t.symbol};
    o->place = NAIVE_WORKED;
    o->total = w->executed.v + w->quantity.v;
    o->work.quantity = t.work.quantity;
    o->rank = naive_next_rank(n);
    if (naive_rest(n, n->orders_count - 1)) {
        r->rank = o->rank;
        r->end = ORDER_END_NONE;
    } else {
        naive_forget(n, n->orders_count - 1);
    }
}

void
naive_take(struct naive_book *n, uint32_t order, bool was_set_off)
{
    struct naive_order *o = &n->orders[order];
    struct naive_taker t = taker_of(o->symbol, &o->work);
    uint64_t id = o->work.order_id, corr = o->corr;
    uint32_t ledger = o->ledger;
    t.has_place = true;
    o->corr = 0;
    if (was_set_off)
        naive_decided(n, id);
    enum order_end end = take_all(n, &t);
    struct naive_report *r = say(n, &t, ledger, corr);
    r->triggered_us = was_set_off ? n->now_us : 0;
    order = naive_book_find(n, id);
    o = &n->orders[order];
    if (end == ORDER_END_NONE) {
        o->work.quantity = t.work.quantity;
        o->rank = naive_next_rank(n);
        r->rank = o->rank;
        if (naive_rest(n, order))
            return;
        r->rank = 0;
        end = ORDER_END_BOOK_FULL;
    }
    naive_end(n, order, r, end);
}
