/*
 * sync.c - waiting lists and their merge into the books.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/sync.h"

#include "matcher/core/life.h"
#include "matcher/core/pair.h"
#include "matcher/core/report.h"
#include "matcher/core/work.h"

/* Whether it can have been on a book: by what it is, once it is set off. */
static bool
may_rest(const struct order_work *w)
{
    bool is_limit = w->type == ORDER_TYPE_LIMIT || w->type == ORDER_TYPE_STOP_LOSS_LIMIT ||
                    w->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    bool is_immediate =
        w->time_in_force == TIME_IN_FORCE_IOC || w->time_in_force == TIME_IN_FORCE_FOK;
    return w->type == ORDER_TYPE_LIMIT_MAKER || (is_limit && !is_immediate);
}

/* Only what rests or is armed can go back to a rank; a taker that never came to its end starts
 * over. */
static bool
may_keep_rank(const struct order_work *w)
{
    if (w->rank == 0 || w->rank > MATCH_RANK_MAX)
        return false;
    return order_is_conditional(w->type) && !w->is_triggered ? true : may_rest(w);
}

bool
sync_wait(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger)
{
    uint32_t record = life_record(m, w, book, ledger, 0);
    if (record == RESTING_NONE)
        return false;
    struct resting *r = &m->books.orders.at[record];
    r->rank = may_keep_rank(w) ? w->rank : 0;
    r->state = RESTING_WAITING;
    if (r->rank > m->books.last_rank)
        m->books.last_rank = r->rank;
    chain_append(m->books.orders.at, &m->links[ledger].waiting_list, record);
    m->links[ledger].waiting++;
    return true;
}

void
sync_unlink(struct match *m, struct link *l, uint32_t record)
{
    chain_remove(m->books.orders.at, &l->waiting_list, record);
    l->waiting--;
}

/* Whether b goes before a; a came first. */
static bool
goes_before(const struct resting_pool *p, uint32_t second, uint32_t first)
{
    const struct resting *b = &p->at[second], *a = &p->at[first];
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

/* ---- Placing ------------------------------------------------------------------------------- */

void
sync_begin(struct match *m, uint32_t link)
{
    chain_sort(&m->books.orders, &m->links[link].waiting_list, goes_before);
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

/* The first of those that wait leaves the list. An order whose other one did not come is alone. */
static uint32_t
take(struct match *m, struct link *l)
{
    uint32_t record = l->waiting_list.head;
    struct order_more *more = &m->books.orders.more[record];
    sync_unlink(m, l, record);
    m->books.orders.at[record].state = RESTING_AT_WORK;
    if (more->pair == RESTING_NONE)
        more->list_id = 0;
    return record;
}

/* Puts an order that has a rank back to where it was. */
static void
place(struct match *m, struct outbox *out, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    uint32_t book = r->book;
    if (more->expire_us > 0 && more->expire_us <= m->now_us) {
        m->counts.expired++;
        (void)life_end(m, out, record, 0, ORDER_END_GTD_REACHED);
        return;
    }
    if (more->expire_us > 0)
        timer_set(&m->timers, record, more->expire_us);
    if (order_is_conditional((enum order_type)more->type) && !more->is_triggered) {
        life_arm(m, out, record);
        return;
    }
    uint32_t hint = is_neighbour(m, r, book) ? m->sync_before : RESTING_NONE;
    if (work_rest(m, book, record, hint)) {
        m->sync_before = record;
        work_dirty(m, book);
    } else {
        (void)life_end(m, out, record, 0, ORDER_END_BOOK_FULL);
    }
}

bool
sync_insert(struct match *m, struct outbox *out)
{
    if (m->syncing == MATCH_LINK_NONE)
        return true;
    struct link *l = &m->links[m->syncing];
    while (l->waiting > 0 && m->books.orders.at[l->waiting_list.head].rank != 0) {
        if (!report_room(out))
            return false;
        place(m, out, take(m, l));
    }
    return true;
}

bool
sync_next(struct match *m, struct outbox *out)
{
    if (m->syncing == MATCH_LINK_NONE)
        return false;
    struct link *l = &m->links[m->syncing];
    if (l->waiting == 0) {
        m->syncing = MATCH_LINK_NONE;
        return false;
    }
    life_start(m, out, take(m, l));
    return true;
}

void
sync_drop(struct match *m, uint32_t link)
{
    struct resting_pool *p = &m->books.orders;
    struct link *l = &m->links[link];
    for (uint32_t i = 0; l->has_orders && i < p->fresh; i++)
        if (p->at[i].id != 0 && p->at[i].ledger == link)
            life_drop(m, i);
    timer_drop_errands(&m->timers, (uint16_t)link);
    pair_forget_refused(m, (uint16_t)link);
    l->has_orders = false;
}
