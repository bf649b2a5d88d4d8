/*
 * sim_twin.c - the naive matcher beside each matcher: it gets what the session lets through, and
 * must report the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "sim/naive_compare.h"
#include "sim/sim.h"

struct sim_twin {
    struct naive_book *book;
    struct telling ours;
    enum link_state before[SIM_GROUPS_MAX];
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
twin_told(struct sim *s, struct sim_twin *t, const struct order_report *r, uint64_t corr,
          uint32_t link)
{
    const char *wrong = telling_add(&t->ours, r, corr, link);
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
state_of(const struct match *m, uint32_t link)
{
    return link < m->links_count ? m->links[link].state : LINK_NONE;
}

void
twin_before(struct sim_twin *t, const struct match *m)
{
    for (uint32_t i = 0; i < SIM_GROUPS_MAX; i++)
        t->before[i] = state_of(m, i);
    t->counts = m->counts;
}

/* Sessions that were lost: their orders are gone. Whether there were any. */
static bool
drop_lost(struct sim_twin *t, const struct match *m)
{
    bool any = false;
    for (uint32_t i = 0; i < SIM_GROUPS_MAX; i++)
        if (state_of(m, i) == LINK_LOST && t->before[i] != LINK_LOST) {
            naive_book_drop(t->book, i);
            any = true;
        }
    return any;
}

void
twin_due(struct sim *s, struct sim_twin *t, const struct match *m)
{
    (void)drop_lost(t, m);
    naive_book_time(t->book, m->now_us);
    compare(s, t);
}

/* The link whose ledger sent it. */
static uint32_t
link_of(const struct match *m, const struct frame *f)
{
    uint32_t i = 0;
    while (f != NULL && i < m->links_count && !code_same(m->links[i].ledger, f->sender))
        i++;
    return i;
}

void
twin_after(struct sim *s, struct sim_twin *t, const struct match *m, const struct frame *f,
           const struct msg *msg)
{
    uint32_t link = link_of(m, f);
    enum link_state now = state_of(m, link);
    enum link_state before = link < SIM_GROUPS_MAX ? t->before[link] : LINK_NONE;
    bool was_lost = drop_lost(t, m);
    if (msg == NULL)
        return;
    if (was_lost) {
        /* whatever the message was, it did not count */
    } else if (m->counts.sessions != t->counts.sessions) {
        naive_book_drop(t->book, link);
    } else if (m->counts.works != t->counts.works) {
        if (before == LINK_SYNCING)
            naive_book_wait(t->book, link, &msg->order_work, msg->corr, m->now_us);
        else
            naive_book_work(t->book, link, &msg->order_work, msg->corr, m->now_us);
    } else if (m->counts.pulls != t->counts.pulls) {
        naive_book_pull(t->book, link, &msg->order_pull, msg->corr, m->now_us);
    } else if (m->counts.trims != t->counts.trims) {
        naive_book_trim(t->book, link, &msg->order_trim, msg->corr, m->now_us);
    } else if (msg->type == MSG_link_synced && now == LINK_WORKING && before != now) {
        naive_book_synced(t->book, link, m->now_us);
    } else if (m->counts.ticks != t->counts.ticks) {
        if (s->mutation != SIM_ticks_unseen || sim_chance(s, 950))
            naive_book_market(t->book, msg, m->now_us);
    }
    compare(s, t);
}
