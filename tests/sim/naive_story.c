/*
 * naive_story.c - the slow matcher's stories: every order at rest keeps its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/naive_book.h"

void
naive_story_begin(struct naive_book *n, struct naive_order *o)
{
    enum side other = side_other(o->work.side);
    if (o->work.fill_model == FILL_MODEL_NONE || o->has_story)
        return;
    o->has_story = true;
    o->story = (struct story){.arrived_us = n->now_us};
    o->story.bid_at_arrival.v = naive_best_shown(n, o->symbol, SIDE_BUY);
    o->story.ask_at_arrival.v = naive_best_shown(n, o->symbol, SIDE_SELL);
    o->story.nearest_price = other == SIDE_BUY ? o->story.bid_at_arrival : o->story.ask_at_arrival;
    o->held_before = naive_held_us(n, o->symbol);
}

void
naive_story_joined(struct naive_book *n, struct naive_order *o)
{
    if (!o->has_story)
        return;
    o->has_joined = true;
    o->story.ahead_at_arrival.v = naive_shown(n, o->symbol, o->work.side, o->work.price.v);
}

void
naive_story_touch(struct naive_book *n, uint32_t symbol)
{
    for (uint32_t i = 0; i < n->orders_count; i++) {
        struct naive_order *o = &n->orders[i];
        enum side other = side_other(o->work.side);
        int64_t best = naive_best_shown(n, symbol, other);
        if (o->symbol != symbol || !o->has_story || best == 0)
            continue;
        if (o->story.nearest_price.v == 0 || naive_is_better(other, best, o->story.nearest_price.v))
            o->story.nearest_price.v = best;
    }
}

void
naive_story_print(struct naive_book *n, uint32_t symbol, int64_t price, int64_t quantity)
{
    for (uint32_t i = 0; i < n->orders_count; i++) {
        struct naive_order *o = &n->orders[i];
        if (o->symbol != symbol || !o->has_story || o->place != NAIVE_RESTS ||
            !naive_is_within(o->work.side, o->work.price.v, price))
            continue;
        int64_t *printed = &o->story.printed.v;
        *printed = quantity < INT64_MAX - *printed ? *printed + quantity : INT64_MAX;
    }
}

/* What stands ahead of an order at rest. A print under way counts as having hit. */
static int64_t
ahead_now(const struct naive_book *n, const struct naive_order *o)
{
    uint32_t row = naive_row_find(n, o->symbol, o->work.side, o->work.price.v);
    const struct naive_print *p = &n->print;
    int64_t ahead = naive_row_ahead_told(&n->rows[row], o);
    if (!p->is_on)
        return ahead;
    if (o->work.side != p->resting || o->work.price.v != p->price)
        return 0;
    return ahead > p->quantity ? ahead - p->quantity : 0;
}

void
naive_story_tell(const struct naive_book *n, const struct naive_order *o, struct story *to)
{
    const struct naive_house *h = &n->houses[o->symbol];
    *to = o->has_story ? o->story : (struct story){0};
    to->bid.v = naive_best_shown(n, o->symbol, SIDE_BUY);
    to->ask.v = naive_best_shown(n, o->symbol, SIDE_SELL);
    to->is_stale = h->is_known && !h->is_live;
    to->trail_extreme.v = o->extreme;
    if (!o->has_story)
        return;
    to->held_us = naive_held_us(n, o->symbol) - o->held_before;
    if (!o->has_joined || o->work.fill_model != FILL_MODEL_queue)
        return;
    to->ahead.v = ahead_now(n, o);
    int64_t went = to->ahead_at_arrival.v - to->ahead.v;
    int64_t left = went - (to->printed.v < went ? to->printed.v : went);
    to->cancelled_ahead.v = left > 0 ? left : 0;
}
