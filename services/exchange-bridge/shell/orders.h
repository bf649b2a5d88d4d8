/*
 * orders.h - real orders: from the ledger's message by guard, rules and calls to the report.
 *
 * What is asked about an order while something is under way for it joins that. An order that this
 * process was asked to place is remembered until nobody may send it any more, so that a message
 * that comes twice is a question the second time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_ORDERS_H
#define SCRIP_BRIDGE_SHELL_ORDERS_H

#include "exchange-bridge/shell/shell.h"

/* What a question has led to. */
struct orders_found {
    bool is_changed;    /* it is not as the ledger had it */
    bool is_unresolved; /* nobody knows yet */
};
typedef void orders_done(void *arg, const struct orders_found *f);

struct orders *orders_open(struct shell *s);
void orders_close(struct orders **o);
/* bridge_place, bridge_cancel, bridge_ask. */
void orders_take(struct orders *o, enum flow_wish wish, const struct bridge_place *m);
/* Asks about one of ours. False when it may not be asked about, or there is no room. */
MUST_USE bool orders_check(struct orders *o, const struct bridge_place *m, orders_done *done,
                           void *arg);
/* Whether an answer is awaited that tells what became of a placement or a cancel. */
bool orders_busy(const struct orders *o);
/* Tells the ledger what was heard of an order; asks for the rest when the ledger lacks fills. `m`
 * has what a question needs. */
void orders_report(struct orders *o, const struct bridge_place *m, const struct bridge_report *r);

#endif
