/*
 * naive_book.c - the slow matcher: every step looks at everything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/naive_book.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define NOTHING UINT32_MAX

static void *
grown(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room * 2 + 16;
    void *more = realloc(array, *room * size);
    CHECK(more != NULL);
    return more;
}

struct naive_book *
naive_book_new(uint32_t orders_max)
{
    struct naive_book *n = calloc(1, sizeof(*n));
    CHECK(n != NULL);
    n->orders_max = orders_max;
    return n;
}

void
naive_book_destroy(struct naive_book **n)
{
    naive_book_clear(*n);
    for (uint32_t i = 0; i < NAIVE_SYMBOLS_MAX; i++)
        for (int k = 0; k < 2; k++)
            free((*n)->houses[i].levels[k]);
    free((*n)->orders);
    free((*n)->reports);
    free(*n);
    *n = NULL;
}

void
naive_book_clear(struct naive_book *n)
{
    for (uint32_t i = 0; i < n->reports_count; i++)
        free(n->reports[i].fills);
    n->reports_count = 0;
}

static uint32_t
symbol_of(struct naive_book *n, code_t symbol)
{
    uint32_t i = 0;
    while (i < n->symbols_count && strcmp(n->symbols[i].text, symbol.text) != 0)
        i++;
    CHECK(i < NAIVE_SYMBOLS_MAX);
    if (i == n->symbols_count)
        n->symbols[n->symbols_count++] = symbol;
    return i;
}

static struct naive_report *
report(struct naive_book *n, uint32_t ledger, uint64_t order_id, uint64_t corr)
{
    n->reports = grown(n->reports, n->reports_count, &n->reports_room, sizeof(*n->reports));
    struct naive_report *r = &n->reports[n->reports_count++];
    *r = (struct naive_report){.order_id = order_id, .corr = corr, .ledger = ledger};
    return r;
}

static void
add_fill(struct naive_report *r, int64_t price, int64_t quantity, bool is_maker,
         struct evidence evidence)
{
    r->fills = grown(r->fills, r->fills_count, &r->fills_room, sizeof(*r->fills));
    struct match_fill *f = &r->fills[r->fills_count++];
    memset(f, 0, sizeof(*f));
    f->price.v = price;
    f->quantity.v = quantity;
    f->is_maker = is_maker;
    f->evidence = evidence;
}

static uint32_t
find_order(const struct naive_book *n, uint64_t id)
{
    for (uint32_t i = 0; i < n->orders_count; i++)
        if (n->orders[i].work.order_id == id)
            return i;
    return NOTHING;
}

static void
forget(struct naive_book *n, uint32_t i)
{
    n->orders_count--;
    memmove(&n->orders[i], &n->orders[i + 1], (n->orders_count - i) * sizeof(n->orders[0]));
}

static struct naive_order *
remember(struct naive_book *n, uint32_t ledger, uint32_t symbol, const struct order_work *w)
{
    if (n->orders_count == n->orders_max)
        return NULL;
    n->orders = grown(n->orders, n->orders_count, &n->orders_room, sizeof(*n->orders));
    struct naive_order *o = &n->orders[n->orders_count++];
    *o = (struct naive_order){.work = *w, .ledger = ledger, .symbol = symbol};
    return o;
}

/* ---- Questions that scan ------------------------------------------------------------------- */

/* Whether price a is better than b for somebody who takes from this side. */
static bool
is_better(enum side side, int64_t a, int64_t b)
{
    return side == SIDE_BUY ? a > b : a < b;
}

/* The resting order that comes first on a side. */
static uint32_t
first_order(const struct naive_book *n, uint32_t symbol, enum side side)
{
    uint32_t best = NOTHING;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (o->symbol != symbol || o->work.side != side || o->is_waiting)
            continue;
        if (best == NOTHING || is_better(side, o->work.price.v, n->orders[best].work.price.v) ||
            (o->work.price.v == n->orders[best].work.price.v && o->rank < n->orders[best].rank))
            best = i;
    }
    return best;
}

static uint32_t
first_level(const struct naive_book *n, uint32_t symbol, enum side side)
{
    const struct naive_house *h = &n->houses[symbol];
    uint32_t best = NOTHING;
    for (uint32_t i = 0; i < h->counts[side - 1]; i++)
        if (h->levels[side - 1][i].left > 0 &&
            (best == NOTHING ||
             is_better(side, h->levels[side - 1][i].price, h->levels[side - 1][best].price)))
            best = i;
    return best;
}

static bool
is_within(enum side maker_side, int64_t price, int64_t limit)
{
    return price == limit || is_better(maker_side, price, limit);
}

/* All that could be taken from a side up to a limit. */
static __int128
available(const struct naive_book *n, uint32_t symbol, enum side side, int64_t limit)
{
    __int128 sum = 0;
    const struct naive_house *h = &n->houses[symbol];
    for (uint32_t i = 0; i < h->counts[side - 1]; i++)
        if (is_within(side, h->levels[side - 1][i].price, limit))
            sum += h->levels[side - 1][i].left;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (o->symbol == symbol && o->work.side == side && !o->is_waiting &&
            is_within(side, o->work.price.v, limit))
            sum += o->work.quantity.v;
    }
    return sum;
}

/* ---- Fills ---------------------------------------------------------------------------------- */

static struct evidence
user_evidence(const struct naive_book *n, int64_t price, int64_t quantity)
{
    return (struct evidence){
        .source = LIQUIDITY_USER, .price = {price}, .quantity = {quantity}, .time_us = n->now_us};
}

static struct evidence
house_evidence(const struct naive_book *n, uint32_t symbol, const struct naive_level *l)
{
    return (struct evidence){.source = n->houses[symbol].source,
                             .sequence = l->sequence,
                             .price = {l->price},
                             .quantity = {l->left},
                             .time_us = l->time_us};
}

/* A resting order got a fill: say so, and forget it when it has all. */
static void
fill_order(struct naive_book *n, uint32_t i, int64_t price, int64_t quantity, bool is_maker,
           struct evidence evidence)
{
    struct naive_order *o = &n->orders[i];
    struct naive_report *r = report(n, o->ledger, o->work.order_id, 0);
    add_fill(r, price, quantity, is_maker, evidence);
    o->work.quantity.v -= quantity;
    if (o->work.quantity.v == 0) {
        r->end = ORDER_END_COMPLETE;
        forget(n, i);
    }
}

/* How much of this price an order wants, by its quantity and its funds. */
static int64_t
wanted(const struct order_work *w, bool by_funds, int64_t price)
{
    __int128 most = w->quantity.v > 0 || w->side == SIDE_SELL ? w->quantity.v : INT64_MAX;
    if (!by_funds)
        return (int64_t)most;
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

struct naive_taker {
    struct order_work work;
    bool by_funds, has_quantity, has_filled;
    uint32_t ledger, symbol;
    struct naive_report fills; /* a report that is not in the list yet */
};

/* Whether the order has what it asked for, at the price of its last fill. */
static bool
is_satisfied(const struct naive_taker *t, int64_t price)
{
    if (!t->has_filled)
        return false;
    if (!t->by_funds)
        return t->work.quantity.v == 0;
    if (t->work.side == SIDE_SELL)
        return t->work.funds.v <= 0;
    return (t->has_quantity && t->work.quantity.v == 0) || wanted(&t->work, true, price) == 0;
}

/* One fill of a taker; false when there is none to be had. */
static bool
take_once(struct naive_book *n, struct naive_taker *t, bool *done)
{
    enum side side = side_other(t->work.side);
    uint32_t order = first_order(n, t->symbol, side);
    uint32_t level = first_level(n, t->symbol, side);
    struct naive_house *h = &n->houses[t->symbol];
    bool by_house = level != NOTHING;
    if (by_house && order != NOTHING)
        by_house =
            !is_better(side, n->orders[order].work.price.v, h->levels[side - 1][level].price);
    if (!by_house && order == NOTHING)
        return false;
    int64_t price = by_house ? h->levels[side - 1][level].price : n->orders[order].work.price.v;
    int64_t there = by_house ? h->levels[side - 1][level].left : n->orders[order].work.quantity.v;
    if (!is_within(side, price, t->work.price.v))
        return false;
    *done = is_satisfied(t, price);
    if (*done)
        return false;
    int64_t quantity = wanted(&t->work, t->by_funds, price);
    if (quantity == 0)
        return false;
    if (quantity > there)
        quantity = there;
    int64_t before = t->has_quantity ? t->work.quantity.v : quantity;
    t->has_filled = true;
    if (t->has_quantity)
        t->work.quantity.v -= quantity;
    if (t->by_funds)
        t->work.funds.v -= (int64_t)((__int128)price * quantity / DECIMAL_ONE);
    if (by_house) {
        struct naive_level *l = &h->levels[side - 1][level];
        add_fill(&t->fills, price, quantity, false, house_evidence(n, t->symbol, l));
        l->left -= quantity;
    } else {
        add_fill(&t->fills, price, quantity, false, user_evidence(n, price, there));
        fill_order(n, order, price, quantity, true, user_evidence(n, t->work.price.v, before));
    }
    *done = is_satisfied(t, price);
    return !*done;
}

static uint64_t
next_rank(struct naive_book *n)
{
    uint64_t now = (uint64_t)n->now_us;
    n->last_rank = now > n->last_rank ? now : n->last_rank + 1;
    return n->last_rank;
}

static void
take(struct naive_book *n, uint32_t ledger, uint32_t symbol, const struct order_work *w,
     uint64_t corr)
{
    enum side other = side_other(w->side);
    struct naive_taker t = {.work = *w, .ledger = ledger, .symbol = symbol};
    t.by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    t.has_quantity = w->quantity.v > 0;
    enum order_end end = ORDER_END_NONE;
    uint64_t rank = 0;
    bool is_limit = w->type == ORDER_TYPE_LIMIT;
    if (w->type == ORDER_TYPE_LIMIT_MAKER && available(n, symbol, other, w->price.v) > 0)
        end = ORDER_END_WOULD_TAKE;
    else if (is_limit && w->time_in_force == TIME_IN_FORCE_FOK &&
             available(n, symbol, other, w->price.v) < w->quantity.v)
        end = ORDER_END_FOK_UNFILLABLE;
    if (end == ORDER_END_NONE) {
        bool done = false;
        while (take_once(n, &t, &done))
            continue;
        const struct naive_house *h = &n->houses[symbol];
        bool is_stale = !h->is_live && h->source != LIQUIDITY_NONE;
        if (done)
            end = ORDER_END_COMPLETE;
        else if (w->type == ORDER_TYPE_MARKET)
            end = is_stale ? ORDER_END_MARKET_STALE : ORDER_END_INSUFFICIENT_LIQUIDITY;
        else if (is_limit && w->time_in_force == TIME_IN_FORCE_IOC)
            end = is_stale ? ORDER_END_MARKET_STALE : ORDER_END_IOC_REMAINDER;
        else {
            struct naive_order *o = remember(n, ledger, symbol, &t.work);
            if (o == NULL)
                end = ORDER_END_BOOK_FULL;
            else
                rank = o->rank = next_rank(n);
        }
    }
    struct naive_report *r = report(n, ledger, w->order_id, corr);
    r->rank = rank;
    r->end = end;
    r->fills = t.fills.fills;
    r->fills_count = t.fills.fills_count;
    r->fills_room = t.fills.fills_room;
}

static bool
is_workable(const struct order_work *w)
{
    bool by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    if (w->price.v <= 0 || w->quantity.v < 0 || w->funds.v < 0 || w->step_size.v < 0 ||
        w->quantity.v == INT64_MAX)
        return false;
    if (w->quantity.v == 0)
        return by_funds && w->side == SIDE_BUY;
    return by_funds || w->side == SIDE_SELL ||
           (__int128)w->price.v * w->quantity.v / DECIMAL_ONE <= INT64_MAX;
}

void
naive_book_work(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    if (find_order(n, w->order_id) != NOTHING)
        return;
    if (!is_workable(w)) {
        report(n, ledger, w->order_id, corr)->end = ORDER_END_INSUFFICIENT_LIQUIDITY;
        return;
    }
    take(n, ledger, symbol_of(n, w->symbol), w, corr);
}

void
naive_book_pull(struct naive_book *n, uint32_t ledger, uint64_t order_id, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    uint32_t i = find_order(n, order_id);
    if (i == NOTHING || n->orders[i].ledger != ledger)
        return;
    forget(n, i);
    struct naive_report *r = report(n, ledger, order_id, corr);
    r->end = ORDER_END_CLIENT_CANCEL;
    r->was_pulled = true;
}

void
naive_book_drop(struct naive_book *n, uint32_t ledger)
{
    for (uint32_t i = n->orders_count; i-- > 0;)
        if (n->orders[i].ledger == ledger)
            forget(n, i);
}

/* ---- What crosses at rest ------------------------------------------------------------------- */

/* The house against the first order of a side. */
static bool
fire_once(struct naive_book *n, uint32_t symbol, enum side side)
{
    enum side other = side_other(side);
    uint32_t order = first_order(n, symbol, side);
    uint32_t level = first_level(n, symbol, other);
    if (order == NOTHING || level == NOTHING)
        return false;
    struct naive_level *l = &n->houses[symbol].levels[other - 1][level];
    const struct order_work *w = &n->orders[order].work;
    if (!is_within(other, l->price, w->price.v))
        return false;
    int64_t quantity = w->quantity.v < l->left ? w->quantity.v : l->left;
    struct evidence evidence = house_evidence(n, symbol, l);
    l->left -= quantity;
    fill_order(n, order, w->price.v, quantity, true, evidence);
    return true;
}

/* Two users' orders against each other: the older one's price. */
static bool
uncross_once(struct naive_book *n, uint32_t symbol)
{
    uint32_t bid = first_order(n, symbol, SIDE_BUY), ask = first_order(n, symbol, SIDE_SELL);
    if (bid == NOTHING || ask == NOTHING ||
        n->orders[bid].work.price.v < n->orders[ask].work.price.v)
        return false;
    uint32_t maker = n->orders[bid].rank < n->orders[ask].rank ? bid : ask;
    uint32_t taker = maker == bid ? ask : bid;
    struct order_work a = n->orders[maker].work, b = n->orders[taker].work;
    uint64_t taker_id = b.order_id;
    int64_t quantity = a.quantity.v < b.quantity.v ? a.quantity.v : b.quantity.v;
    fill_order(n, maker, a.price.v, quantity, true, user_evidence(n, b.price.v, b.quantity.v));
    fill_order(n, find_order(n, taker_id), a.price.v, quantity, false,
               user_evidence(n, a.price.v, a.quantity.v));
    return true;
}

static void
settle(struct naive_book *n, uint32_t symbol)
{
    do {
        while (fire_once(n, symbol, SIDE_BUY) || fire_once(n, symbol, SIDE_SELL))
            continue;
    } while (uncross_once(n, symbol));
}

void
naive_book_wait(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    if (find_order(n, w->order_id) != NOTHING)
        return;
    if (!is_workable(w)) {
        report(n, ledger, w->order_id, corr)->end = ORDER_END_INSUFFICIENT_LIQUIDITY;
        return;
    }
    struct naive_order *o = remember(n, ledger, symbol_of(n, w->symbol), w);
    if (o == NULL) {
        report(n, ledger, w->order_id, corr)->end = ORDER_END_BOOK_FULL;
        return;
    }
    bool rests = w->type == ORDER_TYPE_LIMIT_MAKER ||
                 (w->type == ORDER_TYPE_LIMIT && w->time_in_force == TIME_IN_FORCE_GTC);
    o->rank = rests ? w->rank : 0;
    o->is_waiting = true;
    if (o->rank > n->last_rank)
        n->last_rank = o->rank;
}

void
naive_book_synced(struct naive_book *n, uint32_t ledger, int64_t now_us)
{
    n->now_us = now_us;
    for (uint32_t i = 0; i < n->orders_count; i++)
        if (n->orders[i].ledger == ledger && n->orders[i].rank != 0)
            n->orders[i].is_waiting = false;
    for (uint32_t s = 0; s < n->symbols_count; s++)
        settle(n, s);
    for (uint32_t i = 0; i < n->orders_count;) {
        if (n->orders[i].ledger != ledger || !n->orders[i].is_waiting) {
            i++;
            continue;
        }
        struct naive_order o = n->orders[i];
        forget(n, i);
        take(n, ledger, o.symbol, &o.work, 0);
        i = 0; /* fills may have removed orders in front */
    }
}

/* ---- The market ----------------------------------------------------------------------------- */

void
naive_book_market(struct naive_book *n, const struct msg *m, int64_t now_us)
{
    /* Every market message begins with its symbol. */
    code_t symbol = m->md_trade.symbol;
    n->now_us = now_us;
    uint32_t s = symbol_of(n, symbol);
    if (naive_house_take(&n->houses[s], m))
        settle(n, s);
}
