/*
 * naive_life.c - the slow matcher: an order's way to the book, and all ways in which it can leave.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/naive_book.h"

#define NOTHING  NAIVE_NOTHING
#define BPS      10000
#define RANK_MAX (UINT64_C(1) << 62)
#define LIST_MAX 3 /* orders of a list: their ids are consecutive */

bool
naive_is_conditional(enum order_type type)
{
    switch (type) {
    case ORDER_TYPE_STOP_LOSS:
    case ORDER_TYPE_STOP_LOSS_LIMIT:
    case ORDER_TYPE_TAKE_PROFIT:
    case ORDER_TYPE_TAKE_PROFIT_LIMIT:
    case ORDER_TYPE_TRAILING_STOP:
        return true;
    default:
        return false;
    }
}

/* ---- Pairs ---------------------------------------------------------------------------------- */

/* The other order of a pair; NOTHING when it is not here. */
static uint32_t
other_of(const struct naive_book *n, uint32_t ledger, const struct order_work *w)
{
    for (uint32_t i = 0; i < n->orders_count && w->list_id != 0; i++) {
        const struct naive_order *o = &n->orders[i];
        uint64_t id = o->work.order_id;
        bool is_near = id + LIST_MAX > w->order_id && id < w->order_id + LIST_MAX;
        if (o->ledger == ledger && o->work.list_id == w->list_id && id != w->order_id && is_near)
            return i;
    }
    return NOTHING;
}

/* Nothing of this list is to come. */
static void
list_over(struct naive_book *n, uint32_t ledger, uint64_t list_id)
{
    n->over = naive_grown(n->over, n->over_count, &n->over_room, sizeof(*n->over));
    n->over[n->over_count++] = (struct naive_over){list_id, ledger};
}

static bool
is_over(const struct naive_book *n, uint32_t ledger, uint64_t list_id)
{
    for (uint32_t i = 0; i < n->over_count && list_id != 0; i++)
        if (n->over[i].list_id == list_id && n->over[i].ledger == ledger)
            return true;
    return false;
}

/* The fate of one is the fate of both. */
static void
decide(struct naive_book *n, uint32_t ledger, const struct order_work *w)
{
    uint32_t other = other_of(n, ledger, w);
    if (w->list_id == 0)
        return;
    if (other != NOTHING)
        naive_forget(n, other);
    else
        list_over(n, ledger, w->list_id);
}

void
naive_decided(struct naive_book *n, uint64_t order_id)
{
    uint32_t i = naive_book_find(n, order_id);
    if (i == NOTHING || n->orders[i].work.list_id == 0)
        return;
    struct naive_order o = n->orders[i];
    n->orders[i].work.list_id = 0;
    decide(n, o.ledger, &o.work);
}

void
naive_forget(struct naive_book *n, uint32_t i)
{
    struct naive_order gone = n->orders[i];
    n->orders_count--;
    memmove(&n->orders[i], &n->orders[i + 1], (n->orders_count - i) * sizeof(n->orders[0]));
    if (gone.place == NAIVE_RESTS && gone.work.fill_model == FILL_MODEL_queue)
        naive_row_leave(n, &gone);
}

void
naive_end(struct naive_book *n, uint32_t order, struct naive_report *r, enum order_end end)
{
    uint64_t id = n->orders[order].work.order_id;
    r->end = end;
    r->has_story = n->orders[order].has_story;
    if (r->has_story)
        naive_story_tell(n, &n->orders[order], &r->story);
    naive_decided(n, id);
    naive_forget(n, naive_book_find(n, id));
}

void
naive_be_ready(struct naive_book *n, struct naive_order *o)
{
    o->place = NAIVE_READY;
    o->turn = ++n->turns;
}

/* An order is here. One of a pair waits for the other; then the one that can rest at once starts,
 * or else the one that was first. */
static void
pair_up(struct naive_book *n, uint32_t order)
{
    struct naive_order *o = &n->orders[order];
    uint32_t other = other_of(n, o->ledger, &o->work);
    struct naive_order *p = other != NOTHING ? &n->orders[other] : NULL;
    if (o->work.list_id == 0 || (p != NULL && p->place > NAIVE_PAIRS)) {
        naive_be_ready(n, o);
        return;
    }
    o->place = NAIVE_PAIRS;
    if (p == NULL || p->place != NAIVE_PAIRS)
        return;
    bool o_waits = naive_is_conditional(o->work.type), p_waits = naive_is_conditional(p->work.type);
    bool p_first = o_waits != p_waits ? o_waits : p->work.order_id < o->work.order_id;
    naive_be_ready(n, p_first ? p : o);
    naive_be_ready(n, p_first ? o : p);
}

/* ---- Received and arrived ------------------------------------------------------------------- */

static bool
is_workable(const struct order_work *w)
{
    bool by_funds = w->type == ORDER_TYPE_MARKET && w->funds.v > 0;
    if (w->price.v <= 0 || w->quantity.v < 0 || w->funds.v < 0 || w->step_size.v < 0 ||
        w->quantity.v == INT64_MAX || w->executed.v < 0 ||
        w->executed.v > INT64_MAX - w->quantity.v)
        return false;
    if (w->stop_price.v < 0 || w->trail_extreme.v < 0 || w->trailing_delta >= BPS ||
        w->slippage_bps >= BPS || w->iceberg_quantity.v < 0 || w->expire_us < 0)
        return false;
    if (naive_is_conditional(w->type) && w->stop_price.v == 0 && w->trailing_delta == 0)
        return false;
    if (w->quantity.v == 0)
        return by_funds && w->side == SIDE_BUY;
    return by_funds || w->side == SIDE_SELL ||
           (__int128)w->price.v * w->quantity.v / DECIMAL_ONE <= INT64_MAX;
}

/* Whether it needs a place among the orders from the start. */
static bool
is_plain(const struct order_work *w)
{
    return !naive_is_conditional(w->type) && w->fill_model == FILL_MODEL_NONE &&
           w->latency_us == 0 && w->iceberg_quantity.v == 0 && w->expire_us == 0 && w->list_id == 0;
}

/* By its ledger's clock; one that is ahead delays it no further. */
static int64_t
arrival_of(const struct naive_book *n, const struct order_work *w)
{
    __int128 us = (__int128)w->time_us + w->latency_us,
             latest = (__int128)n->now_us + w->latency_us;
    if (w->latency_us == 0)
        return 0;
    return (int64_t)(us < latest ? us : latest);
}

/* NOTHING when there is no room. */
static uint32_t
remember(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr)
{
    if (n->orders_count == n->orders_max)
        return NOTHING;
    n->orders = naive_grown(n->orders, n->orders_count, &n->orders_room, sizeof(*n->orders));
    struct naive_order *o = &n->orders[n->orders_count++];
    *o = (struct naive_order){.work = *w, .ledger = ledger, .corr = corr};
    o->symbol = naive_symbol(n, w->symbol);
    o->total = w->executed.v + w->quantity.v;
    o->arrives_us = arrival_of(n, w);
    o->is_set_off = w->is_triggered;
    o->extreme = o->told = w->trail_extreme.v;
    o->is_tracking = w->trailing_delta > 0 && w->trail_extreme.v > 0;
    return n->orders_count - 1;
}

/* Ends an order that was not taken; its pair is over. */
static void
refuse(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr,
       enum order_end end)
{
    naive_report(n, ledger, w->order_id, corr)->end = end;
    decide(n, ledger, w);
}

/* An order whose time is over ends; whether it did. */
static bool
has_expired(struct naive_book *n, uint32_t order, uint64_t corr)
{
    struct naive_order *o = &n->orders[order];
    o->expires = o->work.expire_us > 0;
    if (!o->expires || o->work.expire_us > n->now_us)
        return false;
    struct naive_report *r = naive_report(n, o->ledger, o->work.order_id, corr);
    naive_end(n, order, r, ORDER_END_GTD_REACHED);
    return true;
}

static void
arrive(struct naive_book *n, uint32_t order)
{
    if (!has_expired(n, order, n->orders[order].corr))
        pair_up(n, order);
}

static void
start(struct naive_book *n, uint32_t order)
{
    n->orders[order].place = NAIVE_ON_ITS_WAY;
    if (n->orders[order].arrives_us <= n->now_us)
        arrive(n, order);
}

void
naive_book_work(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    if (naive_book_find(n, w->order_id) != NOTHING || is_over(n, ledger, w->list_id))
        return;
    if (!is_workable(w)) {
        refuse(n, ledger, w, corr, ORDER_END_INSUFFICIENT_LIQUIDITY);
        return;
    }
    if (w->rank != 0) { /* it has been here: it goes back alone */
        naive_book_wait(n, ledger, w, corr, now_us);
        naive_book_synced(n, ledger, now_us);
        return;
    }
    if (is_plain(w)) {
        naive_take_plain(n, ledger, w, corr);
        return;
    }
    uint32_t order = remember(n, ledger, w, corr);
    if (order == NOTHING) {
        refuse(n, ledger, w, corr, ORDER_END_BOOK_FULL);
        return;
    }
    start(n, order);
    naive_run(n);
}

/* ---- One step after the other --------------------------------------------------------------- */

void
naive_run(struct naive_book *n)
{
    for (;;) {
        uint32_t first = NOTHING;
        for (uint32_t i = 0; i < n->orders_count; i++)
            if (n->orders[i].place == NAIVE_READY &&
                (first == NOTHING || n->orders[i].turn < n->orders[first].turn))
                first = i;
        if (first == NOTHING)
            return;
        struct naive_order *o = &n->orders[first];
        bool was_set_off = o->is_set_off && o->is_untold;
        o->place = NAIVE_WORKED;
        if (naive_is_conditional(o->work.type) && !o->is_set_off) {
            naive_arm(n, o);
            continue;
        }
        o->is_untold = false;
        naive_take(n, first, was_set_off);
    }
}

/* ---- Pulls, trims, what is due -------------------------------------------------------------- */

static uint32_t
find_own(const struct naive_book *n, uint64_t order_id, uint32_t ledger)
{
    uint32_t i = naive_book_find(n, order_id);
    return i != NOTHING && n->orders[i].ledger == ledger ? i : NOTHING;
}

static void
do_pull(struct naive_book *n, const struct naive_errand *e)
{
    uint32_t i = find_own(n, e->order_id, e->ledger);
    if (i == NOTHING)
        return;
    struct naive_report *r = naive_report(n, e->ledger, e->order_id, e->corr);
    r->was_pulled = true;
    naive_end(n, i, r, ORDER_END_CLIENT_CANCEL);
}

/* What is hidden goes first. Below what is filled, or not lower: too late. */
static void
do_trim(struct naive_book *n, const struct naive_errand *e)
{
    uint32_t i = find_own(n, e->order_id, e->ledger);
    if (i == NOTHING)
        return;
    struct naive_order *o = &n->orders[i];
    struct naive_report *r = naive_report(n, e->ledger, e->order_id, e->corr);
    int64_t cut = o->total - e->quantity;
    r->was_trimmed = true;
    if (cut <= 0 || cut >= o->work.quantity.v)
        return;
    r->trimmed_to = e->quantity;
    o->total = e->quantity;
    o->work.quantity.v -= cut;
    if (o->in_view > o->work.quantity.v)
        o->in_view = o->work.quantity.v;
}

static void
do_errand(struct naive_book *n, const struct naive_errand *e)
{
    if (e->quantity > 0)
        do_trim(n, e);
    else
        do_pull(n, e);
}

/* At once, or after its latency; where there is no room for it to wait, at once. */
static void
send(struct naive_book *n, struct naive_errand e, uint32_t latency_us)
{
    if (latency_us == 0 || n->errands_count == n->errands_max) {
        do_errand(n, &e);
        return;
    }
    e.at_us = n->now_us + latency_us;
    e.number = ++n->errands_begun;
    n->errands = naive_grown(n->errands, n->errands_count, &n->errands_room, sizeof(e));
    n->errands[n->errands_count++] = e;
}

void
naive_book_pull(struct naive_book *n, uint32_t ledger, const struct order_pull *p, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    send(n, (struct naive_errand){.order_id = p->order_id, .corr = corr, .ledger = ledger},
         p->latency_us);
}

void
naive_book_trim(struct naive_book *n, uint32_t ledger, const struct order_trim *t, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    send(n,
         (struct naive_errand){
             .order_id = t->order_id, .corr = corr, .ledger = ledger, .quantity = t->quantity.v},
         t->latency_us);
}

/* When an order's own time comes; INT64_MAX = it has none. */
static int64_t
own_time(const struct naive_order *o)
{
    if (o->place == NAIVE_ON_ITS_WAY)
        return o->arrives_us;
    return o->expires ? o->work.expire_us : INT64_MAX;
}

/* Of what is due the first, by time, then by order id: an order, or an errand. */
static bool
next_due(const struct naive_book *n, uint32_t *order, uint32_t *errand)
{
    int64_t at_us = INT64_MAX;
    uint64_t id = UINT64_MAX;
    *order = *errand = NOTHING;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        int64_t us = own_time(&n->orders[i]);
        uint64_t this_id = n->orders[i].work.order_id;
        if (us < at_us || (us == at_us && us != INT64_MAX && this_id < id)) {
            at_us = us;
            id = this_id;
            *order = i;
        }
    }
    for (uint32_t i = 0; i < n->errands_count; i++) {
        const struct naive_errand *e = &n->errands[i];
        if (e->at_us < at_us || (e->at_us == at_us && e->order_id < id)) {
            at_us = e->at_us;
            id = e->order_id;
            *errand = i;
        }
    }
    return at_us <= n->now_us;
}

void
naive_book_due(struct naive_book *n, int64_t now_us)
{
    uint32_t order, errand;
    n->now_us = now_us;
    while (next_due(n, &order, &errand)) {
        if (errand != NOTHING) {
            struct naive_errand e = n->errands[errand];
            n->errands_count--;
            memmove(&n->errands[errand], &n->errands[errand + 1],
                    (n->errands_count - errand) * sizeof(e));
            do_errand(n, &e);
        } else if (n->orders[order].place == NAIVE_ON_ITS_WAY) {
            arrive(n, order);
        } else {
            (void)has_expired(n, order, n->orders[order].corr);
        }
        naive_run(n);
    }
}

/* ---- Resync --------------------------------------------------------------------------------- */

/* Only what rests or is armed goes back to its rank. */
static bool
keeps_rank(const struct order_work *w)
{
    bool is_at_once =
        w->time_in_force == TIME_IN_FORCE_IOC || w->time_in_force == TIME_IN_FORCE_FOK;
    if (w->rank == 0 || w->rank > RANK_MAX)
        return false;
    if (naive_is_conditional(w->type) && !w->is_triggered)
        return true;
    switch (w->type) {
    case ORDER_TYPE_LIMIT_MAKER:
        return true;
    case ORDER_TYPE_LIMIT:
    case ORDER_TYPE_STOP_LOSS_LIMIT:
    case ORDER_TYPE_TAKE_PROFIT_LIMIT:
        return !is_at_once;
    default:
        return false;
    }
}

void
naive_book_wait(struct naive_book *n, uint32_t ledger, const struct order_work *w, uint64_t corr,
                int64_t now_us)
{
    n->now_us = now_us;
    if (naive_book_find(n, w->order_id) != NOTHING || is_over(n, ledger, w->list_id))
        return;
    if (!is_workable(w)) {
        refuse(n, ledger, w, corr, ORDER_END_INSUFFICIENT_LIQUIDITY);
        return;
    }
    uint32_t order = remember(n, ledger, w, 0);
    if (order == NOTHING) {
        refuse(n, ledger, w, corr, ORDER_END_BOOK_FULL);
        return;
    }
    struct naive_order *o = &n->orders[order];
    o->place = NAIVE_WAITS;
    o->rank = keeps_rank(w) ? w->rank : 0;
    if (o->rank > n->last_rank)
        n->last_rank = o->rank;
}

static bool
is_sorted_before(const struct naive_order *a, const struct naive_order *b)
{
    if (a->symbol != b->symbol)
        return a->symbol < b->symbol;
    if (a->work.side != b->work.side)
        return a->work.side < b->work.side;
    if (a->work.price.v != b->work.price.v)
        return a->work.price.v < b->work.price.v;
    return a->rank < b->rank;
}

/* The next order that waits: of those with a rank by book, side, price and rank; of the others as
 * they came. */
static uint32_t
next_waiting(const struct naive_book *n, uint32_t ledger, bool has_rank)
{
    uint32_t next = NOTHING;
    for (uint32_t i = 0; i < n->orders_count; i++) {
        const struct naive_order *o = &n->orders[i];
        if (o->ledger != ledger || o->place != NAIVE_WAITS || (o->rank != 0) != has_rank)
            continue;
        if (next == NOTHING || (has_rank && is_sorted_before(o, &n->orders[next])))
            next = i;
    }
    return next;
}

/* Puts an order back to where it was. An order whose other one did not come is alone. */
static void
place(struct naive_book *n, uint32_t order)
{
    struct naive_order *o = &n->orders[order];
    o->place = NAIVE_WORKED;
    if (has_expired(n, order, 0))
        return;
    if (naive_is_conditional(o->work.type) && !o->is_set_off) {
        naive_arm(n, o);
        return;
    }
    if (naive_rest(n, order))
        return;
    struct naive_report *r = naive_report(n, o->ledger, o->work.order_id, 0);
    naive_end(n, order, r, ORDER_END_BOOK_FULL);
}

void
naive_book_synced(struct naive_book *n, uint32_t ledger, int64_t now_us)
{
    n->now_us = now_us;
    bool is_dirty[NAIVE_SYMBOLS_MAX] = {false};
    for (uint32_t i = 0; i < n->orders_count; i++)
        if (n->orders[i].ledger == ledger && n->orders[i].place == NAIVE_WAITS &&
            other_of(n, ledger, &n->orders[i].work) == NOTHING)
            n->orders[i].work.list_id = 0;
    for (uint32_t i; (i = next_waiting(n, ledger, true)) != NOTHING;) {
        is_dirty[n->orders[i].symbol] = true;
        place(n, i);
    }
    for (uint32_t s = NAIVE_SYMBOLS_MAX; s-- > 0;)
        if (is_dirty[s])
            naive_settle(n, s);
    naive_run(n);
    for (uint32_t i; (i = next_waiting(n, ledger, false)) != NOTHING;) {
        start(n, i);
        naive_run(n);
    }
}

void
naive_book_drop(struct naive_book *n, uint32_t ledger)
{
    for (uint32_t i = n->orders_count; i-- > 0;)
        if (n->orders[i].ledger == ledger)
            naive_forget(n, i);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n->errands_count; i++)
        if (n->errands[i].ledger != ledger)
            n->errands[kept++] = n->errands[i];
    n->errands_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < n->over_count; i++)
        if (n->over[i].ledger != ledger)
            n->over[kept++] = n->over[i];
    n->over_count = kept;
}

void
naive_book_explain(const struct naive_book *n, uint32_t order, struct story *to)
{
    naive_story_tell(n, &n->orders[order], to);
}
