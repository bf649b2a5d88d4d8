/*
 * sim_twin.c - the naive book beside each matcher: it gets what the session lets through, and must
 * report the same.
 *
 * Reports of one message are joined by order, because the core may cut them where its outbox is
 * full.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/naive_book.h"
#include "sim/sim.h"

#define TOLD_MAX 1024
#define LEDGER   0u

/* All that one message caused for one order. */
struct told {
    uint64_t order_id, rank, fills;
    uint32_t fills_count;
    enum order_end end;
    bool was_pulled;
};

struct told_list {
    struct told at[TOLD_MAX];
    uint32_t count;
};

struct sim_twin {
    struct naive_book *book;
    struct told_list ours, theirs;
    enum link_state before;
    struct match_counts counts;
};

struct sim_twin *
twin_new(uint32_t orders_max)
{
    struct sim_twin *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->book = naive_book_new(orders_max);
    CHECK(t->book != NULL);
    return t;
}

void
twin_destroy(struct sim_twin **t)
{
    if (*t == NULL)
        return;
    naive_book_destroy(&(*t)->book);
    free(*t);
    *t = NULL;
}

/* ---- Reports -------------------------------------------------------------------------------- */

static uint64_t
fill_hash(uint64_t before, const struct match_fill *f)
{
    const uint64_t told[] = {before,
                             (uint64_t)f->price.v,
                             (uint64_t)f->quantity.v,
                             f->is_maker,
                             f->evidence.source,
                             f->evidence.sequence,
                             (uint64_t)f->evidence.price.v,
                             (uint64_t)f->evidence.quantity.v,
                             (uint64_t)f->evidence.time_us};
    return map_hash(told, sizeof told);
}

static struct told *
told_of(struct told_list *l, uint64_t order_id)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->at[i].order_id == order_id)
            return &l->at[i];
    CHECK(l->count < TOLD_MAX);
    l->at[l->count] = (struct told){.order_id = order_id};
    return &l->at[l->count++];
}

static void
join(struct told_list *l, const struct order_report *r)
{
    struct told *t = told_of(l, r->order_id);
    for (uint32_t i = 0; i < r->fills_count; i++)
        t->fills = fill_hash(t->fills, &r->fills[i]);
    t->fills_count += r->fills_count;
    t->rank = r->rank != 0 ? r->rank : t->rank;
    t->end = r->end != ORDER_END_NONE ? r->end : t->end;
    t->was_pulled |= r->was_pulled;
}

void
twin_told(struct sim_twin *t, const struct order_report *r)
{
    join(&t->ours, r);
}

static void
compare(struct sim *s, struct sim_twin *t)
{
    t->theirs.count = 0;
    for (uint32_t i = 0; i < t->book->reports_count; i++) {
        const struct naive_report *n = &t->book->reports[i];
        const struct order_report r = {.order_id = n->order_id,
                                       .rank = n->rank,
                                       .fills = n->fills,
                                       .fills_count = n->fills_count,
                                       .end = n->end,
                                       .was_pulled = n->was_pulled};
        join(&t->theirs, &r);
    }
    naive_book_clear(t->book);
    if (t->ours.count != t->theirs.count)
        sim_fail(s, "the matcher tells of %u orders, the naive book of %u", t->ours.count,
                 t->theirs.count);
    for (uint32_t i = 0; i < t->ours.count && s->failure[0] == '\0'; i++) {
        const struct told *a = &t->ours.at[i];
        const struct told *b = told_of(&t->theirs, a->order_id);
        if (a->rank != b->rank || a->end != b->end || a->was_pulled != b->was_pulled ||
            a->fills_count != b->fills_count || a->fills != b->fills)
            sim_fail(s, "the naive book tells otherwise of order %llu: %u fills and %s, not %u, %s",
                     (unsigned long long)a->order_id, b->fills_count,
                     msg_enum_name(MSG_ENUM_order_end, b->end), a->fills_count,
                     msg_enum_name(MSG_ENUM_order_end, a->end));
    }
    t->ours.count = 0;
}

/* ---- What the session let through ----------------------------------------------------------- */

static enum link_state
state_of(const struct match *m)
{
    return m->links_count > 0 ? m->links[0].state : LINK_NONE;
}

void
twin_before(struct sim_twin *t, const struct match *m)
{
    t->before = state_of(m);
    t->counts = m->counts;
}

void
twin_after(struct sim *s, struct sim_twin *t, const struct match *m, const struct msg *msg)
{
    enum link_state now = state_of(m);
    bool is_lost = now == LINK_LOST && t->before != LINK_LOST;
    if (is_lost || m->counts.sessions != t->counts.sessions) {
        naive_book_drop(t->book, LEDGER);
    } else if (msg == NULL) {
        return;
    } else if (m->counts.works != t->counts.works) {
        if (t->before == LINK_SYNCING)
            naive_book_wait(t->book, LEDGER, &msg->order_work, msg->corr, m->now_us);
        else
            naive_book_work(t->book, LEDGER, &msg->order_work, msg->corr, m->now_us);
    } else if (m->counts.pulls != t->counts.pulls) {
        naive_book_pull(t->book, LEDGER, msg->order_pull.order_id, msg->corr, m->now_us);
    } else if (msg->type == MSG_link_synced && now == LINK_WORKING && t->before != now) {
        naive_book_synced(t->book, LEDGER, m->now_us);
    } else if (m->counts.ticks != t->counts.ticks) {
        if (s->mutation != SIM_ticks_unseen || sim_chance(s, 950))
            naive_book_market(t->book, msg, m->now_us);
    }
    compare(s, t);
}
