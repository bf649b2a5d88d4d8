/*
 * sim_twin.c - the naive matcher beside each matcher: it gets what the session lets through, and
 * must report the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "sim/naive_compare.h"
#include "sim/sim.h"

#define LEDGER 0u

struct sim_twin {
    struct naive_book *book;
    struct telling ours;
    enum link_state before;
    struct match_counts counts;
    char wrong[400];
};

struct sim_twin *
twin_new(const struct match_limits *limits)
{
    struct sim_twin *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->book = naive_book_new(limits->books.orders_max);
    t->book->errands_max = limits->errands_max;
    return t;
}

void
twin_destroy(struct sim_twin **t)
{
    if (*t == NULL)
        return;
    naive_book_destroy(&(*t)->book);
    telling_fini(&(*t)->ours);
    free(*t);
    *t = NULL;
}

void
twin_watch(struct sim_twin *t, code_t symbol)
{
    (void)naive_symbol(t->book, symbol);
}

/* ---- Reports -------------------------------------------------------------------------------- */

void
twin_told(struct sim *s, struct sim_twin *t, const struct order_report *r, uint64_t corr)
{
    const char *wrong = telling_add(&t->ours, r, corr, LEDGER);
    if (wrong != NULL)
        sim_fail(s, "order %llu: %s", (unsigned long long)r->order_id, wrong);
}

static void
compare(struct sim *s, struct sim_twin *t)
{
    const char *wrong = telling_compare(&t->ours, t->book, t->wrong, sizeof t->wrong);
    if (wrong != NULL)
        sim_fail(s, "the naive matcher tells otherwise: %s", wrong);
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

/* Whether the session was lost or a new one began: the orders are gone. */
static bool
is_new_session(const struct sim_twin *t, const struct match *m)
{
    return (state_of(m) == LINK_LOST && t->before != LINK_LOST) ||
           m->counts.sessions != t->counts.sessions;
}

void
twin_due(struct sim *s, struct sim_twin *t, const struct match *m)
{
    if (is_new_session(t, m))
        naive_book_drop(t->book, LEDGER);
    naive_book_time(t->book, m->now_us);
    compare(s, t);
}

void
twin_after(struct sim *s, struct sim_twin *t, const struct match *m, const struct msg *msg)
{
    enum link_state now = state_of(m);
    if (is_new_session(t, m)) {
        naive_book_drop(t->book, LEDGER);
    } else if (msg == NULL) {
        return;
    } else if (m->counts.works != t->counts.works) {
        if (t->before == LINK_SYNCING)
            naive_book_wait(t->book, LEDGER, &msg->order_work, msg->corr, m->now_us);
        else
            naive_book_work(t->book, LEDGER, &msg->order_work, msg->corr, m->now_us);
    } else if (m->counts.pulls != t->counts.pulls) {
        naive_book_pull(t->book, LEDGER, &msg->order_pull, msg->corr, m->now_us);
    } else if (m->counts.trims != t->counts.trims) {
        naive_book_trim(t->book, LEDGER, &msg->order_trim, msg->corr, m->now_us);
    } else if (msg->type == MSG_link_synced && now == LINK_WORKING && t->before != now) {
        naive_book_synced(t->book, LEDGER, m->now_us);
    } else if (m->counts.ticks != t->counts.ticks) {
        if (s->mutation != SIM_ticks_unseen || sim_chance(s, 950))
            naive_book_market(t->book, msg, m->now_us);
    }
    compare(s, t);
}
