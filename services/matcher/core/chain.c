/*
 * chain.c - see chain.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/chain.h"

void
chain_init(struct chain *c)
{
    c->head = c->tail = RESTING_NONE;
}

void
chain_append(struct resting *at, struct chain *c, uint32_t record)
{
    at[record].prev = c->tail;
    at[record].next = RESTING_NONE;
    if (c->tail == RESTING_NONE)
        c->head = record;
    else
        at[c->tail].next = record;
    c->tail = record;
}

void
chain_remove(struct resting *at, struct chain *c, uint32_t record)
{
    const struct resting *r = &at[record];
    if (r->prev == RESTING_NONE)
        c->head = r->next;
    else
        at[r->prev].next = r->next;
    if (r->next == RESTING_NONE)
        c->tail = r->prev;
    else
        at[r->next].prev = r->prev;
}

void
chain_join(struct resting *at, struct chain *to, struct chain *from)
{
    if (chain_is_empty(from))
        return;
    at[from->head].prev = to->tail;
    if (to->tail == RESTING_NONE)
        to->head = from->head;
    else
        at[to->tail].next = from->head;
    to->tail = from->tail;
    chain_init(from);
}

typedef bool (*before_fn)(const struct resting_pool *p, uint32_t b, uint32_t a);

/* Merges two sorted lists (by `next` alone), the first one's records first where they are equal. */
static uint32_t
merge(const struct resting_pool *p, uint32_t a, uint32_t b, before_fn goes_before)
{
    struct resting *at = p->at;
    uint32_t head = RESTING_NONE, *to = &head;
    while (a != RESTING_NONE && b != RESTING_NONE) {
        uint32_t *from = goes_before(p, b, a) ? &b : &a;
        *to = *from;
        to = &at[*from].next;
        *from = *to;
    }
    *to = a != RESTING_NONE ? a : b;
    return head;
}

void
chain_sort(const struct resting_pool *p, struct chain *c, before_fn goes_before)
{
    /* parts[k] is a sorted list of 2^k records, earlier ones in higher parts. */
    uint32_t parts[32];
    struct resting *at = p->at;
    for (int k = 0; k < 32; k++)
        parts[k] = RESTING_NONE;
    for (uint32_t i = c->head, next; i != RESTING_NONE; i = next) {
        next = at[i].next;
        at[i].next = RESTING_NONE;
        int k = 0;
        uint32_t list = i;
        for (; parts[k] != RESTING_NONE; k++) {
            list = merge(p, parts[k], list, goes_before);
            parts[k] = RESTING_NONE;
        }
        parts[k] = list;
    }
    uint32_t all = RESTING_NONE;
    for (int k = 0; k < 32; k++)
        all = merge(p, parts[k], all, goes_before);
    c->head = all;
    c->tail = RESTING_NONE;
    for (uint32_t i = all; i != RESTING_NONE; i = at[i].next) {
        at[i].prev = c->tail;
        c->tail = i;
    }
}
