/*
 * sync.c - waiting lists and their merge into the books.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/sync.h"

#include "matcher/core/report.h"
#include "matcher/core/work.h"

static void
append(struct match *m, struct link *l, uint32_t record)
{
    struct resting *at = m->books.orders.at;
    at[record].prev = l->waiting_tail;
    at[record].next = RESTING_NONE;
    if (l->waiting_tail == RESTING_NONE)
        l->waiting_head = record;
    else
        at[l->waiting_tail].next = record;
    l->waiting_tail = record;
    l->waiting++;
}

/* Only what rests can go back to a rank; a taker that never came to its end starts over. */
static bool
may_keep_rank(const struct order_work *w)
{
    return w->rank > 0 && w->rank <= MATCH_RANK_MAX &&
           (w->type == ORDER_TYPE_LIMIT_MAKER ||
            (w->type == ORDER_TYPE_LIMIT && w->time_in_force == TIME_IN_FORCE_GTC));
}

bool
sync_wait(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger)
{
    uint32_t record = resting_new(&m->books.orders, w->order_id);
    if (record == RESTING_NONE)
        return false;
    struct resting *r = &m->books.orders.at[record];
    struct order_more *more = resting_more(&m->books.orders, record);
    r->rank = may_keep_rank(w) ? w->rank : 0;
    r->quantity = w->quantity.v;
    r->price = w->price.v;
    r->book = book;
    r->ledger = ledger;
    r->side = w->side & 3;
    r->state = RESTING_WAITING;
    more->funds = w->funds.v;
    more->step_size = w->step_size.v;
    more->type = (uint8_t)w->type;
    more->in_force = (uint8_t)w->time_in_force;
    if (r->rank > m->books.last_rank)
        m->books.last_rank = r->rank;
    append(m, &m->links[ledger], record);
    return true;
}

void
sync_unlink(struct match *m, struct link *l, uint32_t record)
{
    struct resting *at = m->books.orders.at;
    const struct resting *r = &at[record];
    if (r->prev == RESTING_NONE)
        l->waiting_head = r->next;
    else
        at[r->prev].next = r->next;
    if (r->next == RESTING_NONE)
        l->waiting_tail = r->prev;
    else
        at[r->next].prev = r->prev;
    l->waiting--;
}

/* ---- Sorting ------------------------------------------------------------------------------- */

/* Whether b goes before a; a came first. */
static bool
goes_before(const struct resting *b, const struct resting *a)
{
    if (a->rank == 0 || b->rank == 0)
        return a->rank == 0 && b->rank != 0;
    if (a->book != b->book)
        return b->book < a->book;
    if (a->side != b->side)
        return b->side < a->side;
    if (a->price != b->price)
        return b->price < a->price;
    return b->rank < a->rank;
}

/* Merges two sorted chains (by `next`), the first one's orders first where they are equal. */
static uint32_t
merge(struct resting *at, uint32_t a, uint32_t b)
{
    uint32_t head = RESTING_NONE, *to = &head;
    while (a != RESTING_NONE && b != RESTING_NONE) {
        uint32_t *from = goes_before(&at[b], &at[a]) ? &b : &a;
        *to = *from;
        to = &at[*from].next;
        *from = *to;
    }
    *to = a != RESTING_NONE ? a : b;
    return head;
}

static void
sort(struct match *m, struct link *l)
{
    /* parts[k] is a sorted chain of 2^k orders, older ones in higher parts. */
    uint32_t parts[32];
    struct resting *at = m->books.orders.at;
    for (int k = 0; k < 32; k++)
        parts[k] = RESTING_NONE;
    for (uint32_t i = l->waiting_head, next; i != RESTING_NONE; i = next) {
        next = at[i].next;
        at[i].next = RESTING_NONE;
        int k = 0;
        uint32_t chain = i;
        for (; parts[k] != RESTING_NONE; k++) {
            chain = merge(at, parts[k], chain);
            parts[k] = RESTING_NONE;
        }
        parts[k] = chain;
    }
    uint32_t all = RESTING_NONE;
    for (int k = 0; k < 32; k++)
        all = merge(at, parts[k], all);
    uint32_t prev = RESTING_NONE;
    l->waiting_head = all;
    for (uint32_t i = all; i != RESTING_NONE; i = at[i].next) {
        at[i].prev = prev;
        prev = i;
    }
    l->waiting_tail = prev;
}

/* ---- Placing ------------------------------------------------------------------------------- */

void
sync_begin(struct match *m, uint32_t link)
{
    sort(m, &m->links[link]);
    m->syncing = link;
    m->sync_before = RESTING_NONE;
}

/* Whether the order placed last is of the same level, so that the place is sought from there. */
static bool
is_neighbour(const struct match *m, const struct resting *r, uint32_t book)
{
    if (m->sync_before == RESTING_NONE)
        return false;
    const struct resting *before = &m->books.orders.at[m->sync_before];
    return before->price == r->price && before->side == r->side &&
           m->books.levels[before->level].owner / 4 == book;
}

bool
sync_insert(struct match *m, struct outbox *out)
{
    if (m->syncing == MATCH_LINK_NONE)
        return true;
    struct link *l = &m->links[m->syncing];
    while (l->waiting_head != RESTING_NONE && m->books.orders.at[l->waiting_head].rank != 0) {
        if (!report_room(out))
            return false;
        uint32_t record = l->waiting_head;
        struct resting *r = &m->books.orders.at[record];
        uint32_t book = r->book;
        sync_unlink(m, l, record);
        r->state = RESTING_IN_BOOK;
        r->has_more = 0;
        uint32_t hint = is_neighbour(m, r, book) ? m->sync_before : RESTING_NONE;
        if (book_link(&m->books, &m->book[book], record, hint)) {
            m->sync_before = record;
            work_dirty(m, book);
        } else {
            work_refuse(m, out, r->id, r->ledger, 0, ORDER_END_BOOK_FULL);
            resting_free(&m->books.orders, record);
        }
    }
    return true;
}

bool
sync_next(struct match *m)
{
    if (m->syncing == MATCH_LINK_NONE)
        return false;
    struct link *l = &m->links[m->syncing];
    uint32_t record = l->waiting_head;
    if (record == RESTING_NONE) {
        m->syncing = MATCH_LINK_NONE;
        return false;
    }
    const struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    struct order_work w = {.order_id = r->id,
                           .side = (enum side)r->side,
                           .type = (enum order_type)more->type,
                           .time_in_force = (enum time_in_force)more->in_force,
                           .price = {r->price},
                           .quantity = {r->quantity},
                           .funds = {more->funds},
                           .step_size = {more->step_size}};
    uint32_t book = r->book;
    uint16_t ledger = r->ledger;
    sync_unlink(m, l, record);
    resting_free(&m->books.orders, record);
    work_begin(m, &w, book, ledger, 0);
    return true;
}

void
sync_drop(struct match *m, uint32_t link)
{
    struct resting_pool *p = &m->books.orders;
    struct link *l = &m->links[link];
    for (uint32_t i = 0; l->has_orders && i < p->fresh; i++) {
        const struct resting *r = &p->at[i];
        if (r->id == 0 || r->ledger != link)
            continue;
        if (r->state == RESTING_IN_BOOK)
            book_unlink(&m->books, &m->book[m->books.levels[r->level].owner / 4], i);
        resting_free(p, i);
    }
    l->waiting_head = l->waiting_tail = RESTING_NONE;
    l->waiting = 0;
    l->has_orders = false;
}
