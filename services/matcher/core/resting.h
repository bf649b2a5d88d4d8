/*
 * resting.h - the orders a matcher has in hand: a pool of one-line records, found by order id.
 *
 * A record either rests in a price level (linked in order of rank) or waits, outside of every
 * book, for its ledger's resync to end. The index from order id to record is open addressing over
 * 8-byte slots; eight ids in a row share a cache line, because ids are given out in sequence.
 * Prices, quantities and funds are plain int64 of 10^-8 in here: one line has no room to waste.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_RESTING_H
#define SCRIP_MATCHER_CORE_RESTING_H

#include "base/msg.h"

#define RESTING_NONE UINT32_MAX

struct resting {
    uint64_t id; /* 0 = a free record */
    uint64_t rank;
    int64_t quantity; /* still to fill */
    int64_t price;
    int64_t funds;     /* waiting only: the rest of the order's wishes */
    int64_t step_size; /* waiting only */
    uint32_t prev, next;
    union {
        uint32_t level; /* where it rests */
        uint32_t book;  /* for which it waits */
    };
    uint16_t ledger;
    uint8_t side : 2; /* enum side */
    uint8_t is_waiting : 1;
    uint8_t type : 4;     /* waiting only: enum order_type */
    uint8_t in_force : 4; /* waiting only: enum time_in_force */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct resting) == 64, "an order is one cache line");

struct resting_pool {
    struct resting *at;
    uint64_t *slots; /* upper half: hash of the id; lower half: record + 1; 0 = empty */
    uint32_t mask;
    uint32_t free, fresh, max, used;
};

size_t resting_bytes(uint32_t max);
/* Borrows zeroed memory of resting_bytes(max), aligned to 64. It is touched as it is needed. */
void resting_init(struct resting_pool *p, uint32_t max, void *zeroed);

/* RESTING_NONE when there is no such order. */
uint32_t resting_find(const struct resting_pool *p, uint64_t id);
/* A record with this id, which must be new, and all else undefined. RESTING_NONE when full. */
uint32_t resting_new(struct resting_pool *p, uint64_t id);
/* Forgets an order that is in no list. */
void resting_free(struct resting_pool *p, uint32_t record);
/* NULL, or what is wrong. Looks at everything. */
const char *resting_check(const struct resting_pool *p);

#endif
