/*
 * resting.h - the orders a matcher has in hand: a pool of one-line records, found by order id.
 *
 * What every order needs, and matching touches, is one cache line (`struct resting`). What only
 * some need (iceberg, stop, latency, expiry, what waits for a resync) lies in a second array at the
 * same place (`struct order_more`) and is looked at only where `has_more` says that it is set. The
 * index from order id to record is a hash table whose buckets are cache lines; eight ids in a row
 * share a bucket, because ids are given out in sequence. It grows with the orders that there are,
 * not with how many there may be, so that it stays in the processor's caches: into a table of twice
 * the size, one line with each new order. Amounts are plain int64 of 10^-8 in here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_RESTING_H
#define SCRIP_MATCHER_CORE_RESTING_H

#include "base/msg.h"

#define RESTING_NONE UINT32_MAX

/* Where an order is. */
enum resting_state {
    RESTING_IN_BOOK, /* linked in a price level, in order of rank */
    RESTING_WAITING, /* for its ledger's resync to end: linked in its link's list */
    RESTING_DELAYED, /* on its way: simulated latency */
    RESTING_PAIRING, /* for the other order of its pair */
    RESTING_ARMED,   /* for its trigger: linked in a level of trigger.h */
    RESTING_READY,   /* linked in the list of those whose next step is due: see life.h */
    RESTING_AT_WORK  /* the one being worked */
};

struct resting {
    uint64_t id; /* 0 = a free record */
    uint64_t rank;
    int64_t quantity; /* still to fill; of an iceberg the slice in view */
    int64_t price;
    union {
        int64_t mark;  /* its place in the queue of its level: see queue.h */
        int64_t total; /* without `has_more`: its quantity as a whole, as in order_more */
    };
    uint64_t account; /* for self-trade prevention */
    uint32_t prev, next;
    union {
        uint32_t level; /* IN_BOOK: where it rests */
        uint32_t book;  /* otherwise: for which book it is meant */
    };
    uint16_t ledger;
    uint16_t side : 2;       /* enum side */
    uint16_t state : 3;      /* enum resting_state */
    uint16_t has_more : 1;   /* its struct order_more is set */
    uint16_t model : 2;      /* enum fill_model */
    uint16_t prevention : 3; /* enum self_trade_prevention */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct resting) == 64, "an order is one cache line");

/* The rest of an order's wishes, and what became of them. Zero where it does not apply. */
struct order_more {
    int64_t funds, step_size;
    int64_t hidden, slice; /* iceberg: behind the slice in view, and the size of a slice */
    int64_t executed;      /* before it came here */
    int64_t total;         /* its quantity as a whole, what is executed included */
    int64_t stop_price, trail_extreme;
    int64_t expire_us, arrives_us;
    uint64_t list_id;
    uint64_t corr; /* of the order_work that brought it, for its first report */
    uint32_t trailing_delta, slippage_bps;
    uint32_t story; /* record of its story, RESTING_NONE = none */
    uint32_t pair;  /* the other order of its pair, RESTING_NONE = none */
    uint32_t timer; /* place in the heap of times, RESTING_NONE = none */
    union {
        uint32_t level; /* of triggers, while it is armed */
        uint32_t after; /* in a book: its place in the queue of its level, with `mark` */
    };
    uint8_t type, in_force, source; /* enums order_type, time_in_force, trigger_source */
    bool is_triggered, is_tracking;
    bool is_untold; /* it was set off, or began to trail, and nobody was told */
} __attribute__((aligned(64)));

#define INDEX_LINE 8 /* orders in a line of the index */

struct index_line {
    uint32_t hash[INDEX_LINE];
    uint32_t record[INDEX_LINE]; /* and one; 0 = empty */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct index_line) == 64, "a line of the index is one cache line");

/* A table of the index. An order that finds its line full lies in one of the next. */
struct resting_index {
    struct index_line *lines;
    uint8_t *passed; /* by line: orders that found it full; at 255 it is no longer counted */
    uint32_t mask;
    uint32_t shift; /* of a hash, to get its line: the highest bits are the best mixed */
    uint32_t used;  /* orders */
};

struct resting_pool {
    struct resting *at;
    struct order_more *more; /* by the same number */
    struct resting_index index;
    struct resting_index old; /* what is not yet moved from it: while used > 0 */
    uint32_t moved;           /* lines of `old` from here on */
    uint32_t sought_at;       /* place in `index` of the order sought last */
    uint32_t free, fresh, max, used;
    struct resting_index rooms[2]; /* for the tables, by turns; the first for one of full size */
};

size_t resting_bytes(uint32_t max);
/* Borrows zeroed memory of resting_bytes(max), aligned to 64. It is touched as it is needed. */
void resting_init(struct resting_pool *p, uint32_t max, void *zeroed);

/*
 * For an order that will be asked for soon, in two steps some time apart: the index's line is
 * fetched into the processor's caches, then the record. Hints: they change nothing. The second
 * gives the record it saw, or any other.
 */
void resting_ahead(const struct resting_pool *p, uint64_t id);
uint32_t resting_ahead_record(const struct resting_pool *p, uint64_t id);

/* RESTING_NONE when there is no such order. */
uint32_t resting_find(const struct resting_pool *p, uint64_t id);
/* The same, for an order that may be freed next: its place in the index is remembered. */
uint32_t resting_seek(struct resting_pool *p, uint64_t id);
/* A record with this id, which must be new, and all else zero. RESTING_NONE when full. */
uint32_t resting_new(struct resting_pool *p, uint64_t id);
/* Clears and marks as set what only some orders need. */
struct order_more *resting_more(struct resting_pool *p, uint32_t record);
/* What only some orders need, cleared where it was not set; keeps its total. */
struct order_more *resting_need_more(struct resting_pool *p, uint32_t record);
/* Forgets an order that is in no list. */
void resting_free(struct resting_pool *p, uint32_t record);
/* NULL, or what is wrong. Looks at everything. */
const char *resting_check(const struct resting_pool *p);

#endif
