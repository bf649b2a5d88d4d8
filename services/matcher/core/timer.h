/*
 * timer.h - what is due later: arrivals and expiries of orders, and errands.
 *
 * One binary heap of all times, the soonest on top; where two are equal the lower order id is
 * first, and of one order's times its own before its errands, those in the order in which they
 * came. An order has one time at most, its arrival or else its expiry; its place in the heap is in
 * its `order_more`, so that it can be taken out in O(log n). An errand is a pull or a trim that is
 * on its way; errands are few, and when there is no room for another it is carried out at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_TIMER_H
#define SCRIP_MATCHER_CORE_TIMER_H

#include "matcher/core/resting.h"

#define TIMER_NONE   UINT32_MAX
#define TIMER_NEVER  INT64_MAX
#define TIMER_ERRAND (UINT32_C(1) << 31)

struct timer {
    int64_t at_us;
    uint64_t order_id;
    uint64_t number; /* 0 = the order's own time; errands: rises */
    uint32_t what;   /* a record of the orders, or an errand's number with TIMER_ERRAND */
};

struct errand {
    uint64_t order_id; /* 0 = a free record */
    uint64_t corr;
    int64_t quantity; /* of a trim; 0 = a pull */
    uint32_t place;   /* in the heap; free: the next free record */
    uint16_t ledger;
};

struct timers {
    struct timer *at;
    uint32_t count;
    const struct resting_pool *orders;
    struct errand *errands;
    uint32_t errands_free, errands_fresh, errands_max, errands_used;
    uint64_t errands_begun;
};

size_t timers_bytes(uint32_t orders_max, uint32_t errands_max);
/* Borrows zeroed memory of timers_bytes(), aligned to 64, and the orders. */
void timers_init(struct timers *t, const struct resting_pool *orders, uint32_t errands_max,
                 void *zeroed);

/* When the next is due; TIMER_NEVER when there is none. */
static inline int64_t
timers_next_us(const struct timers *t)
{
    return t->count > 0 ? t->at[0].at_us : TIMER_NEVER;
}

/* Sets the time of an order that `has_more` and has none. */
void timer_set(struct timers *t, uint32_t record, int64_t at_us);
/* Takes an order's time out, if it has one. */
void timer_clear(struct timers *t, uint32_t record);
/* Lets an errand wait; false when there is no room. */
MUST_USE bool timer_errand(struct timers *t, const struct errand *e, int64_t at_us);
/* Takes out what is due first; there is something. Gives the record of an order, or TIMER_NONE and
 * the errand. */
uint32_t timer_take(struct timers *t, struct errand *errand);
/* Forgets the errands of a ledger. */
void timer_drop_errands(struct timers *t, uint16_t ledger);
/* NULL, or what is wrong. Looks at everything. */
const char *timers_check(const struct timers *t);

#endif
