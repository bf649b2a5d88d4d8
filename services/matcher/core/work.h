/*
 * work.h - the life of an order at the matcher: taken, worked, rested or ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_WORK_H
#define SCRIP_MATCHER_CORE_WORK_H

#include "matcher/core/match.h"

/* Whether an order's amounts can be worked: see messages.def, order_work. */
bool work_is_valid(const struct order_work *w);
/* Makes a new order the one being worked. */
void work_begin(struct match *m, const struct order_work *w, uint32_t book, uint16_t ledger,
                uint64_t corr);
/* Works it until its end, or false until the outbox is full. */
bool work_run(struct match *m, struct outbox *out);
/* Fills whatever crosses in the dirty books; false when the outbox is full. */
bool work_fire(struct match *m, struct outbox *out);
/* Ends an order that never came to be worked. */
void work_refuse(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger,
                 uint64_t corr, enum order_end end);
/* Takes an order off the book, or out of the waiting list, and says so. */
void work_pull(struct match *m, struct outbox *out, uint64_t order_id, uint16_t ledger,
               uint64_t corr);
/* Something may cross in this book. */
void work_dirty(struct match *m, uint32_t book);

#endif
