/*
 * pair.h - OCO at the matcher: two orders of one list id, of which the first one's fate is both's.
 *
 * Both start together: who has arrived waits (PAIRING) for the other. The first of them that fills
 * in part, is set off or ends takes the other one with it, wherever that is; the ledger derives the
 * same from the report, so nothing is said of the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_PAIR_H
#define SCRIP_MATCHER_CORE_PAIR_H

#include "matcher/core/match.h"

/* Looks for the other order of a new one's pair, and ties them. Ids of a list are consecutive. */
void pair_find(struct match *m, uint32_t record);
/* An order is here, after its latency: to m->ready with it, or with both, or it waits. */
void pair_arrive(struct match *m, uint32_t record);
/* Something decisive happened to an order: the other one of its pair is gone. */
void pair_decided(struct match *m, uint32_t record);
/* An order of a pair could not be taken: the other one is gone, whether it is here or comes yet. */
void pair_refused(struct match *m, const struct order_work *w, uint16_t ledger);
/* Whether the other one of this new order's pair was refused. */
bool pair_was_refused(const struct match *m, const struct order_work *w, uint16_t ledger);
/* A ledger's session is over: what was refused in it may be sent again. */
void pair_forget_refused(struct match *m, uint16_t ledger);
/* An order goes away; the other one, if there is one, stays and is alone. */
void pair_untie(struct match *m, uint32_t record);
/* NULL, or what is wrong. Looks at everything. */
const char *pair_check(const struct match *m);

#endif
