/*
 * ahead.c - see ahead.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/ahead.h"

#include <stdlib.h>

#include "host/prefault.h"
#include "ledger/core/events.h"

#define AHEAD_BYTES ((size_t)4 << 20) /* a quarter of a second of orders at full load */
#define PAGE_BYTES  ((uintptr_t)2 << 20)

enum pool {
    POOL_ACCOUNTS,
    POOL_BALANCES,
    POOL_ORDERS,
    POOL_FILLS,
    POOL_CHANGES,
    POOL_EVENTS,
    POOL_STORIES
};
enum { POOLS = POOL_STORIES + 1 };

struct ahead {
    const struct ledger *l;
    struct prefault *prefault;
    uintptr_t until[POOLS]; /* asked for up to here */
};

struct edge {
    uintptr_t at, end; /* the place that is written next; where the pool ends */
};

static struct edge
edge_of(const void *pool, size_t size, uint64_t used, uint64_t max)
{
    return (struct edge){(uintptr_t)pool + used % max * size, (uintptr_t)pool + max * size};
}

static struct edge
pool_edge(const struct ledger *l, enum pool pool)
{
    const struct ledger_limits *m = &l->limits;
    switch (pool) {
    case POOL_ACCOUNTS:
        return edge_of(l->accounts, sizeof *l->accounts, l->accounts_count, m->accounts_max);
    case POOL_BALANCES:
        return edge_of(l->balances, sizeof *l->balances, l->balances_count, m->balances_max);
    case POOL_ORDERS:
        return edge_of(l->orders, sizeof *l->orders, l->orders_reached, m->orders_max);
    case POOL_FILLS:
        return edge_of(l->fills, sizeof *l->fills, l->fill_ring.put, l->fill_ring.max);
    case POOL_CHANGES:
        return edge_of(l->changes, sizeof *l->changes, l->change_ring.put, l->change_ring.max);
    case POOL_EVENTS:
        return edge_of(l->events, sizeof *l->events, l->event_ring.put, l->event_ring.max);
    case POOL_STORIES:
        return edge_of(l->stories, sizeof *l->stories, l->story_ring.put, l->story_ring.max);
    }
    CHECK(false);
}

struct ahead *
ahead_new(const struct ledger *l)
{
    struct ahead *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->l = l;
    a->prefault = prefault_new();
    ahead_turn(a);
    return a;
}

void
ahead_end(struct ahead **a)
{
    if (*a == NULL)
        return;
    prefault_end(&(*a)->prefault);
    free(*a);
    *a = NULL;
}

void
ahead_turn(struct ahead *a)
{
    for (int i = 0; i < POOLS; i++) {
        struct edge e = pool_edge(a->l, (enum pool)i);
        uintptr_t until = e.at + AHEAD_BYTES < e.end ? e.at + AHEAD_BYTES : e.end;
        uintptr_t from = a->until[i] > e.at ? a->until[i] : e.at;
        from -= from % PAGE_BYTES;
        until -= until % PAGE_BYTES;
        if (from >= until)
            continue;
        prefault_ask(a->prefault, (void *)from, until - from);
        a->until[i] = until;
    }
}
