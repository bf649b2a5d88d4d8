/*
 * naive_cross.c - the slow matcher: prints, displays and other users that meet orders at rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/naive_book.h"

#define NOTHING NAIVE_NOTHING

/* How much of the print under way an order may have; `ahead` is the most that stands in front of
 * the queue orders passed so far. */
static int64_t
share(const struct naive_book *n, const struct naive_order *o, int64_t *ahead)
{
    const struct naive_print *p = &n->print;
    bool is_through = o->work.price.v != p->price, is_hit = o->work.side == p->resting;
    int64_t left = p->quantity - p->taken - (is_hit ? 0 : p->spent);
    if (o->rank > p->rank_max || o->work.fill_model == FILL_MODEL_NONE || left <= 0)
        return 0;
    if (is_through || o->work.fill_model == FILL_MODEL_touch)
        return left;
    if (o->work.fill_model == FILL_MODEL_through)
        return 0;
    if (!is_hit)
        return left; /* who bought there from somebody else would have bought from it */
    uint32_t row = naive_row_find(n, o->symbol, o->work.side, o->work.price.v);
    int64_t mine = naive_row_ahead(&n->rows[row], o);
    *ahead = mine > *ahead ? mine : *ahead;
    return left > *ahead ? left - *ahead : 0;
}

static void
print_to(struct naive_book *n, uint32_t symbol, uint32_t order, int64_t part)
{
    struct naive_print *p = &n->print;
    const struct naive_order *o = &n->orders[order];
    bool is_hit = o->work.side == p->resting;
    int64_t left = p->quantity - p->taken - (is_hit ? 0 : p->spent);
    int64_t quantity = part < o->in_view ? part : o->in_view;
    const struct evidence evidence = {.source = LIQUIDITY_TRADE,
                                      .sequence = p->sequence,
                                      .price = {p->price},
                                      .quantity = {left},
                                      .time_us = p->time_us};
    p->taken += quantity;
    if (!is_hit)
        naive_remember_use(&n->houses[symbol], (struct naive_use){NAIVE_PRINT, p->resting, p->price,
                                                                  quantity, p->time_us});
    naive_fill_order(n, order, o->work.price.v, quantity, true, evidence);
}

/* The print goes to the resting bids, then to the asks: best price first, then rank. */
static void
spend_print(struct naive_book *n, uint32_t symbol)
{
    struct naive_print *p = &n->print;
    for (enum side side = SIDE_BUY; side <= SIDE_SELL && p->is_on; side++) {
        struct naive_order passed;
        bool has_passed = false;
        int64_t ahead = 0;
        for (;;) {
            uint32_t i = naive_first_order(n, symbol, side, has_passed ? &passed : NULL);
            if (i == NOTHING || !naive_is_within(side, n->orders[i].work.price.v, p->price))
                break;
            int64_t part = share(n, &n->orders[i], &ahead);
            if (part > 0) {
                print_to(n, symbol, i, part);
                continue;
            }
            passed = n->orders[i];
            has_passed = true;
        }
    }
    uint32_t row = p->is_on ? naive_row_find(n, symbol, p->resting, p->price) : NOTHING;
    if (row != NOTHING)
        naive_row_printed(&n->rows[row], p->quantity, p->time_us);
    p->is_on = false;
}

/* Whether quantity displayed on the other side at this price fills a resting order. */
static bool
is_fired(const struct naive_book *n, const struct naive_order *o, int64_t price)
{
    enum side other = side_other(o->work.side);
    enum fill_model model = o->work.fill_model;
    if (price != o->work.price.v)
        return naive_is_better(other, price, o->work.price.v);
    bool is_print = n->houses[o->symbol].source == LIQUIDITY_TRADE;
    return model != FILL_MODEL_through && !(model == FILL_MODEL_queue && is_print);
}

/* The house's best level against the first order of a side that it fills. */
static bool
fire_once(struct naive_book *n, uint32_t symbol, enum side side)
{
    enum side other = side_other(side);
    uint32_t level = naive_first_level(n, symbol, other);
    if (level == NOTHING)
        return false;
    const struct naive_level *l = &n->houses[symbol].levels[other - 1][level];
    uint32_t order = naive_first_order(n, symbol, side, NULL);
    while (order != NOTHING && !is_fired(n, &n->orders[order], l->price)) {
        struct naive_order passed = n->orders[order];
        order = naive_first_order(n, symbol, side, &passed);
    }
    if (order == NOTHING)
        return false;
    const struct naive_order *o = &n->orders[order];
    int64_t quantity = o->in_view < l->left ? o->in_view : l->left;
    struct evidence evidence = naive_house_evidence(n, symbol, l);
    naive_use_level(n, symbol, other, level, quantity);
    naive_fill_order(n, order, o->work.price.v, quantity, true, evidence);
    return true;
}

/* Two orders of one account: the later one's wish decides. */
static void
prevent_two(struct naive_book *n, uint32_t maker, uint32_t taker)
{
    const struct naive_order *a = &n->orders[maker], *b = &n->orders[taker];
    uint64_t taker_id = b->work.order_id;
    enum self_trade_prevention mode = b->work.self_trade_prevention;
    int64_t both = a->in_view < b->in_view ? a->in_view : b->in_view;
    bool is_decrement = mode == SELF_TRADE_PREVENTION_DECREMENT;
    int64_t of_taker = is_decrement ? both : b->work.quantity.v;
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_TAKER)
        naive_prevent_order(n, maker, is_decrement ? both : a->work.quantity.v);
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_MAKER)
        naive_prevent_order(n, naive_book_find(n, taker_id), of_taker);
}

/* Two users' orders against each other: the older one's price. */
static bool
uncross_once(struct naive_book *n, uint32_t symbol)
{
    uint32_t bid = naive_first_order(n, symbol, SIDE_BUY, NULL);
    uint32_t ask = naive_first_order(n, symbol, SIDE_SELL, NULL);
    if (bid == NOTHING || ask == NOTHING ||
        n->orders[bid].work.price.v < n->orders[ask].work.price.v)
        return false;
    uint32_t maker = n->orders[bid].rank < n->orders[ask].rank ? bid : ask;
    uint32_t taker = maker == bid ? ask : bid;
    struct naive_order a = n->orders[maker], b = n->orders[taker];
    if (naive_is_own(&b.work, &a)) {
        prevent_two(n, maker, taker);
        return true;
    }
    int64_t price = a.work.price.v, quantity = a.in_view < b.in_view ? a.in_view : b.in_view;
    naive_fill_order(n, maker, price, quantity, true,
                     naive_user_evidence(n, b.work.price.v, b.in_view));
    naive_fill_order(n, naive_book_find(n, b.work.order_id), price, quantity, false,
                     naive_user_evidence(n, price, a.in_view));
    return true;
}

void
naive_settle(struct naive_book *n, uint32_t symbol)
{
    spend_print(n, symbol);
    do {
        while (fire_once(n, symbol, SIDE_BUY) || fire_once(n, symbol, SIDE_SELL))
            continue;
    } while (uncross_once(n, symbol));
}
