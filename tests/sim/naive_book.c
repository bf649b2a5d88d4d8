/*
 * naive_book.c - the slow matcher: its arrays, questions that scan them, orders at rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/naive_book.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define NOTHING NAIVE_NOTHING

/* ---- The arrays ----------------------------------------------------------------------------- */

void *
naive_grown(void *array, uint32_t count, uint32_t *room, size_t size)
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
    n->errands_max = 4096;
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
    free((*n)->rows);
    free((*n)->errands);
    free((*n)->over);
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

static void *
twin_of(const void *array, uint32_t count, size_t size)
{
    void *twin = malloc((count + 1) * size);
    CHECK(twin != NULL);
    if (count > 0)
        memcpy(twin, array, count * size);
    return twin;
}

struct naive_book *
naive_copy_of(const struct naive_book *n)
{
    struct naive_book *c = twin_of(n, 1, sizeof(*n));
    c->orders = twin_of(n->orders, n->orders_count, sizeof(*n->orders));
    c->rows = twin_of(n->rows, n->rows_count, sizeof(*n->rows));
    c->errands = twin_of(n->errands, n->errands_count, sizeof(*n->errands));
    c->over = twin_of(n->over, n->over_count, sizeof(*n->over));
    c->orders_room = n->orders_count;
    c->rows_room = n->rows_count;
    c->errands_room = n->errands_count;
    c->over_room = n->over_count;
    c->reports = NULL;
    c->reports_count = c->reports_room = 0;
    for (uint32_t i = 0; i < NAIVE_SYMBOLS_MAX; i++)
        for (int k = 0; k < 2; k++) {
            struct naive_house *h = &c->houses[i];
            h->levels[k] = twin_of(h->levels[k], h->counts[k], sizeof(*h->levels[k]));
            h->rooms[k] = h->counts[k];
        }
    return c;
}

uint32_t
naive_symbol(struct naive_book *n, code_t symbol)
{
    uint32_t i = 0;
    while (i < n->symbols_count && strcmp(n->symbols[i].text, symbol.text) != 0)
        i++;
    CHECK(i < NAIVE_SYMBOLS_MAX);
    if (i == n->symbols_count)
        n->symbols[n->symbols_count++] = symbol;
    return i;
}

struct naive_report *
naive_report(struct naive_book *n, uint32_t ledger, uint64_t order_id, uint64_t corr)
{
    n->reports = naive_grown(n->reports, n->reports_count, &n->reports_room, sizeof(*n->reports));
    struct naive_report *r = &n->reports[n->reports_count++];
    *r = (struct naive_report){.order_id = order_id, .corr = corr, .ledger = ledger};
    return r;
}

void
naive_add_fill(struct naive_report *r, int64_t price, int64_t quantity, bool is_maker,
               struct evidence evidence)
{
    r->fills = naive_grown(r->fills, r->fills_count, &r->fills_room, sizeof(*r->fills));
    struct match_fill *f = &r->fills[r->fills_count++];
    memset(f, 0, sizeof(*f));
    f->price.v = price;
    f->quantity.v = quantity;
    f->is_maker = is_maker;
    f->evidence = evidence;
}

uint32_t
naive_book_find(const struct naive_book *n, uint64_t id)
{
    for (uint32_t i = 0; i < n->orders_count; i++)
        if (n->orders[i].work.order_id == id)
            return i;
    return NOTHING;
}

uint64_t
naive_next_rank(struct naive_book *n)
{
    uint64_t now = (uint64_t)n->now_us;
    n->last_rank = now > n->last_rank ? now : n->last_rank + 1;
    return n->last_rank;
}

/* ---- Questions that scan ------------------------------------------------------------------- */

bool
naive_is_better(enum side side, int64_t a, int64_t b)
{
    return side == SIDE_BUY ? a > b : a < b;
}

bool
naive_is_within(enum side side, int64_t price, int64_t limit)
{
    return price == limit || naive_is_better(side, price, limit);
}

/* Whether a comes before b, both at rest on this side. */
static bool
comes_before(const struct naive_order *a, const struct naive_order *b)
{
    if (a->work.price.v != b->work.price.v)
        return naive_is_better(a->work.side, a->work.price.v, b->work.price.v);
    return a->rank < b->rank;
}

/* The resting order that comes first on a side; of those after `passed`, when there is one. */
uint32_t
naive_first_order(const struct naive_book *n, uint32_t symbol, enum side side,
                  const struct naive_order *passed)
{
    uint32_t best = NOTHING;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (o->symbol != symbol || o->work.side != side || o->place != NAIVE_RESTS)
            continue;
        if (passed != NULL && !comes_before(passed, o))
            continue;
        if (best == NOTHING || comes_before(o, &n->orders[best]))
            best = i;
    }
    return best;
}

/* The house's best level, where it trades. */
uint32_t
naive_first_level(const struct naive_book *n, uint32_t symbol, enum side side)
{
    return n->houses[symbol].venue == NAIVE_OFF ? NOTHING : naive_best_level(n, symbol, side);
}

struct evidence
naive_user_evidence(const struct naive_book *n, int64_t price, int64_t quantity)
{
    return (struct evidence){
        .source = LIQUIDITY_USER, .price = {price}, .quantity = {quantity}, .time_us = n->now_us};
}

struct evidence
naive_house_evidence(const struct naive_book *n, uint32_t symbol, const struct naive_level *l)
{
    const struct naive_house *h = &n->houses[symbol];
    return (struct evidence){.source = h->source,
                             .sequence = l->sequence,
                             .price = {l->price},
                             .quantity = {l->left},
                             .time_us = l->time_us,
                             .is_stale = n->stale == NAIVE_FLAG && !h->is_live};
}

bool
naive_is_own(const struct order_work *taker, const struct naive_order *maker)
{
    return taker->self_trade_prevention > SELF_TRADE_PREVENTION_ALLOW &&
           taker->account_id == maker->work.account_id;
}

/* ---- Resting orders ------------------------------------------------------------------------- */

bool
naive_rest(struct naive_book *n, uint32_t order)
{
    struct naive_order *o = &n->orders[order];
    int64_t left = o->work.quantity.v, slice = o->work.iceberg_quantity.v;
    __int128 sum = left;
    naive_story_begin(n, o);
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *a = &n->orders[i];
        if (a->place == NAIVE_RESTS && a->symbol == o->symbol && a->work.side == o->work.side &&
            a->work.price.v == o->work.price.v)
            sum += a->work.quantity.v;
    }
    if (sum > INT64_MAX)
        return false;
    o->in_view = slice > 0 && slice < left ? slice : left;
    o->place = NAIVE_RESTS;
    if (o->work.fill_model == FILL_MODEL_queue)
        naive_row_join(n, o);
    naive_story_joined(n, o);
    return true;
}

/* Takes a quantity off a resting order; `r` is its report and `end` what it means to have no more.
 * The next slice of an iceberg comes behind everybody at its price. */
static void
reduce(struct naive_book *n, uint32_t order, int64_t quantity, struct naive_report *r,
       enum order_end end)
{
    struct naive_order *o = &n->orders[order];
    int64_t slice = o->work.iceberg_quantity.v;
    o->work.quantity.v -= quantity;
    o->in_view -= quantity;
    int64_t left = o->work.quantity.v;
    if (left == 0) {
        naive_end(n, order, r, end);
        return;
    }
    if (o->in_view > 0)
        return;
    o->in_view = slice > 0 && slice < left ? slice : left;
    o->rank = r->rank = naive_next_rank(n);
    if (o->work.fill_model == FILL_MODEL_queue)
        naive_row_join(n, o);
}

/* A resting order gets a fill. */
void
naive_fill_order(struct naive_book *n, uint32_t order, int64_t price, int64_t quantity,
                 bool is_maker, struct evidence evidence)
{
    uint64_t id = n->orders[order].work.order_id;
    struct naive_report *r = naive_report(n, n->orders[order].ledger, id, 0);
    naive_add_fill(r, price, quantity, is_maker, evidence);
    reduce(n, order, quantity, r, ORDER_END_COMPLETE);
    naive_decided(n, id);
}

/* Self-trade prevention takes a quantity off a resting order, or all of it. */
void
naive_prevent_order(struct naive_book *n, uint32_t order, int64_t quantity)
{
    const struct naive_order *o = &n->orders[order];
    struct naive_report *r = naive_report(n, o->ledger, o->work.order_id, 0);
    r->prevented = quantity;
    if (quantity == o->work.quantity.v)
        naive_end(n, order, r, ORDER_END_SELF_TRADE);
    else
        reduce(n, order, quantity, r, ORDER_END_SELF_TRADE);
}
