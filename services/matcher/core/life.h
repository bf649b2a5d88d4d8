/*
 * life.h - the life of an order that wishes more than to be worked at once.
 *
 *   received --latency--> arrived --its pair is there--> READY --> armed --price--> READY
 *                                                          |                          |
 *                                                          +--> worked <--------------+
 *                                                                 |
 *                                                               rests --> ends
 *
 * Such an order has a record from the start, and `order_more` in it. A plain one, which has none
 * until it rests, goes to work.h directly. READY orders stand in m->ready; life_next() takes the
 * first of them one step further, and each step is one report.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_LIFE_H
#define SCRIP_MATCHER_CORE_LIFE_H

#include "matcher/core/match.h"

/* Whether it waits for a price before it is worked. */
static inline bool
order_is_conditional(enum order_type type)
{
    return type >= ORDER_TYPE_STOP_LOSS;
}

/* Whether a new order may be worked without a record. */
bool life_is_plain(const struct order_work *w);
/* A record with all that an order wishes, in no list; RESTING_NONE when there is no room. */
uint32_t life_record(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger,
                     uint64_t corr);
/* A record goes on its way, or has arrived. */
void life_start(struct match *m, struct outbox *out, uint32_t record);
/* Arms an order, or sets it off: then it is in m->ready. Says so where it is news. */
void life_arm(struct match *m, struct outbox *out, uint32_t record);
/* The next step of the first order that is ready; false when there is none. */
bool life_next(struct match *m, struct outbox *out);
/* Carries out what is due first; false when nothing is. */
bool life_due(struct match *m, struct outbox *out);

/* An order of this book was filled or ended, and `told` says so: what follows from it for its pair
 * and its record. */
void life_touched(struct match *m, struct outbox *out, const struct book *b,
                  const struct filled *who, struct order_report *told);
/* An order that `has_more` ends with this report: its story comes with it, and the other one of its
 * pair ends too. */
void life_ended(struct match *m, struct outbox *out, const struct book *b, uint32_t record,
                struct order_report *told);
/* Ends an order, wherever it is, and gives the report. */
struct order_report *life_end(struct match *m, struct outbox *out, uint32_t record, uint64_t corr,
                              enum order_end end);
/* Takes an order out of wherever it is and forgets it, without a word. */
void life_drop(struct match *m, uint32_t record);
/* Forgets an order that is in no list: what hangs on its record, and the record. */
void life_forget(struct match *m, uint32_t record);

/* From a ledger: at once, or after its latency. */
void life_pull(struct match *m, struct outbox *out, const struct errand *e);
void life_trim(struct match *m, struct outbox *out, const struct errand *e);
void life_errand(struct match *m, struct outbox *out, const struct errand *e, uint32_t latency_us);
void life_explain(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger,
                  uint64_t corr);

#endif
