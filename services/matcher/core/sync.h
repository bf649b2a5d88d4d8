/*
 * sync.h - a ledger's open orders between its hello and its synced.
 *
 * They wait in a list of their link, outside of every book. At the end the list is sorted: those
 * with a rank by book, side, price and rank, so that each is placed next to the one before, or
 * armed again; then the others in the order they came: those whose latency has passed arrive at
 * once, the rest later.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_SYNC_H
#define SCRIP_MATCHER_CORE_SYNC_H

#include "matcher/core/match.h"

/* Lets an order wait; false when the pool is full. Its id is new and its amounts valid. */
MUST_USE bool sync_wait(struct match *m, const struct order_work *w, uint32_t book,
                        uint16_t ledger);
/* Takes a waiting order out of its link's list; its record stays. */
void sync_unlink(struct match *m, struct link *l, uint32_t record);
/* All orders of a link have come: sorts them. */
void sync_begin(struct match *m, uint32_t link);
/* Puts those with a rank into their books; false when the outbox is full. */
bool sync_insert(struct match *m, struct outbox *out);
/* Sends the next of the others on its way; false when there is none. */
bool sync_next(struct match *m, struct outbox *out);
/* Forgets every order of a link, wherever it is, and its errands, without a word. */
void sync_drop(struct match *m, uint32_t link);

#endif
