/*
 * work.h - the match loops: an order is worked, and rests or ends; what crosses at rest fills.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_WORK_H
#define SCRIP_MATCHER_CORE_WORK_H

#include "matcher/core/match.h"

/* Whether an order's amounts can be worked: see messages.def, order_work. */
bool work_is_valid(const struct order_work *w);
/* Makes a new order, which has no record, the one being worked. */
void work_begin(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger,
                uint64_t corr);
/* Makes an order that has a record, and is in no list, the one being worked. */
void work_record(struct match *m, uint32_t record);
/* Works it until its end, or false until the outbox is full. */
bool work_run(struct match *m, struct outbox *out);
/* Fills whatever crosses in the dirty books; false when the outbox is full. */
bool work_fire(struct match *m, struct outbox *out);
/* Ends an order that never came to be worked. */
void work_refuse(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger,
                 uint64_t corr, enum order_end end);
/* Puts an order that has a record, and is in no list, into its book, at its rank; `hint` as for
 * book_link(). False when there is no room. */
MUST_USE bool work_rest(struct match *m, uint32_t book, uint32_t record, uint32_t hint);
/* Something may cross in this book. */
void work_dirty(struct match *m, uint32_t book);

#endif
