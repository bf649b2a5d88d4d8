/*
 * naive_trigger.c - the slow matcher: every armed order looks at every price by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/check.h"
#include "sim/naive_book.h"

#define NOTHING NAIVE_NOTHING
#define BPS     10000

enum feed { LAST, BID, ASK, MARK, FEEDS };

static enum feed
feed_of(const struct naive_order *o)
{
    switch (o->work.trigger_source) {
    case TRIGGER_SOURCE_BID_ASK:
        return o->work.side == SIDE_SELL ? BID : ASK;
    case TRIGGER_SOURCE_MARK:
        return MARK;
    default:
        return LAST;
    }
}

/* Whether it waits for the price to rise to its stop price. */
static bool
is_rising(const struct naive_order *o)
{
    bool is_stop =
        o->work.type == ORDER_TYPE_STOP_LOSS || o->work.type == ORDER_TYPE_STOP_LOSS_LIMIT;
    return (o->work.side == SIDE_BUY) == is_stop;
}

static bool
is_met(bool rising, int64_t price, int64_t stop)
{
    return rising ? price >= stop : price <= stop;
}

/* Where an order that trails is set off. */
static int64_t
fire_price(const struct naive_order *o)
{
    __int128 extreme = o->extreme, delta = o->work.trailing_delta;
    if (o->work.side == SIDE_SELL)
        return (int64_t)(extreme * (BPS - delta) / BPS);
    __int128 price = (extreme * (BPS + delta) + BPS - 1) / BPS;
    return price < INT64_MAX ? (int64_t)price : INT64_MAX;
}

/* Its stop price is met, or it came back by its delta. */
static void
set_off(struct naive_book *n, struct naive_order *o, int64_t price)
{
    o->is_untold = true;
    if (o->work.trailing_delta > 0 && !o->is_tracking) {
        o->is_tracking = true;
        o->extreme = price;
        return;
    }
    o->is_set_off = true;
    if (!o->has_story)
        return;
    o->story.trigger_price.v = price;
    o->story.trigger_sequence = n->houses[o->symbol].sequence;
}

/* Looks at a price as one that trails. Whether it is better than all it has seen. */
static bool
trail(struct naive_book *n, struct naive_order *o, int64_t price)
{
    bool is_better = o->work.side == SIDE_SELL ? price > o->extreme : price < o->extreme;
    if (o->extreme == 0 || is_better)
        o->extreme = price;
    else if (is_met(o->work.side == SIDE_BUY, price, fire_price(o)))
        set_off(n, o, price);
    return o->extreme == price;
}

void
naive_arm(struct naive_book *n, struct naive_order *o)
{
    int64_t price = n->houses[o->symbol].prices[feed_of(o)], before = o->extreme;
    bool is_new = o->rank == 0;
    if (is_new)
        o->rank = naive_next_rank(n);
    naive_story_begin(n, o);
    if (o->work.trailing_delta > 0 && o->work.stop_price.v == 0)
        o->is_tracking = true;
    if (!o->is_tracking && price > 0 && is_met(is_rising(o), price, o->work.stop_price.v))
        set_off(n, o, price);
    if (o->is_tracking && o->extreme > 0 && price > 0 && trail(n, o, price))
        o->is_untold |= o->extreme != before;
    if (o->is_set_off) {
        naive_be_ready(n, o);
        return;
    }
    o->place = NAIVE_ARMED;
    if (!is_new && !o->is_untold)
        return;
    struct naive_report *r = naive_report(n, o->ledger, o->work.order_id, o->corr);
    r->rank = is_new ? o->rank : 0;
    r->trail_extreme = o->is_untold ? o->extreme : 0;
    o->told = o->is_untold ? o->extreme : o->told;
    o->is_untold = false;
    o->corr = 0;
}

/* An extreme that moved by a tenth of the delta has to be told, any other may be. */
static void
tell_extreme(struct naive_book *n, struct naive_order *o)
{
    __int128 moved = o->extreme > o->told ? o->extreme - o->told : o->told - o->extreme;
    bool is_news = o->told == 0 || moved * BPS * 10 >= (__int128)o->told * o->work.trailing_delta;
    struct naive_report *r = naive_report(n, o->ledger, o->work.order_id, 0);
    r->trail_extreme = o->extreme;
    r->may_be_silent = !is_news;
}

/* The price at which an order was met. */
static int64_t
met_at(const struct naive_order *o)
{
    return o->is_tracking && o->is_set_off ? fire_price(o) : o->work.stop_price.v;
}

/* Of those who wait for a rising or falling price and were met now, the one met first. */
static uint32_t
first_met(const struct naive_book *n, const bool *met, bool rising)
{
    uint32_t first = NOTHING;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        if (!met[i])
            continue;
        const struct naive_order *o = &n->orders[i], *f = first != NOTHING ? &n->orders[first] : o;
        bool is_nearer = rising ? met_at(o) < met_at(f) : met_at(o) > met_at(f);
        if (o == f || is_nearer || (met_at(o) == met_at(f) && o->rank < f->rank))
            first = i;
    }
    return first;
}

/* An armed order hears a price. Whether its next step is due. */
static bool
hear(struct naive_book *n, struct naive_order *o, int64_t price)
{
    if (!o->is_tracking) {
        if (is_met(is_rising(o), price, o->work.stop_price.v))
            set_off(n, o, price);
        return o->is_untold;
    }
    if (trail(n, o, price))
        tell_extreme(n, o);
    return o->is_set_off;
}

static void
hear_all(struct naive_book *n, uint32_t symbol, enum feed feed, bool rising)
{
    int64_t price = n->houses[symbol].prices[feed];
    bool *met = calloc(n->orders_count + 1, sizeof(*met));
    CHECK(met != NULL);
    for (uint32_t i = 0; i < n->orders_count; i++) {
        struct naive_order *o = &n->orders[i];
        if (o->symbol != symbol || o->place != NAIVE_ARMED || feed_of(o) != feed)
            continue;
        if ((o->is_tracking ? o->work.side == SIDE_BUY : is_rising(o)) == rising)
            met[i] = hear(n, o, price);
    }
    for (uint32_t i; (i = first_met(n, met, rising)) != NOTHING; met[i] = false)
        naive_be_ready(n, &n->orders[i]);
    free(met);
}

void
naive_prices(struct naive_book *n, uint32_t symbol)
{
    struct naive_house *h = &n->houses[symbol];
    const int64_t now[FEEDS] = {[LAST] = h->last,
                                [BID] = naive_best_shown(n, symbol, SIDE_BUY),
                                [ASK] = naive_best_shown(n, symbol, SIDE_SELL),
                                [MARK] = h->mark};
    for (enum feed f = LAST; f < FEEDS; f++) {
        if (h->prices[f] == now[f])
            continue;
        h->prices[f] = now[f];
        if (now[f] <= 0)
            continue;
        hear_all(n, symbol, f, false);
        hear_all(n, symbol, f, true);
    }
}
