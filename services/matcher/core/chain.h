/*
 * chain.h - lists of order records, linked by their `prev` and `next`; a record is in one at most.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_CHAIN_H
#define SCRIP_MATCHER_CORE_CHAIN_H

#include "matcher/core/resting.h"

struct chain {
    uint32_t head, tail; /* RESTING_NONE = empty */
};

static inline bool
chain_is_empty(const struct chain *c)
{
    return c->head == RESTING_NONE;
}

void chain_init(struct chain *c);
void chain_append(struct resting *at, struct chain *c, uint32_t record);
void chain_remove(struct resting *at, struct chain *c, uint32_t record);
/* Moves all of `from` behind the last of `to`. */
void chain_join(struct resting *at, struct chain *to, struct chain *from);
/* Sorts, and leaves equals in their order. `goes_before`: whether b, which stands behind a, has to
 * stand in front of it. */
void chain_sort(const struct resting_pool *p, struct chain *c,
                bool (*goes_before)(const struct resting_pool *p, uint32_t b, uint32_t a));

#endif
