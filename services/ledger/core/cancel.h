/*
 * cancel.h - asking the matcher to take orders off the book.
 *
 * A cancel changes nothing by itself: it is an order_pull to the matcher and a waiter. What
 * happened, a cancel or a fill that was faster, is told by the matcher's report.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_CANCEL_H
#define SCRIP_LEDGER_CORE_CANCEL_H

#include "ledger/core/turn.h"

/* LEDGER_LOOKUP when the order may be in the tables. */
enum ledger_outcome cancel_one(struct ledger *l, const struct turn *t,
                               const struct order_cancel *cmd);
/* After the tables were asked; NULL when they have nothing. */
enum ledger_outcome cancel_found(struct ledger *l, const struct turn *t,
                                 const struct order_cancel *cmd, const struct order_view *row);
/* Asks the matcher for it, at most once a second. One that waits for another order is pulled when
 * it becomes live. */
void cancel_pull(struct ledger *l, const struct turn *t, struct ledger_order *o);
void cancel_pull_now(struct ledger *l, const struct turn *t, struct ledger_order *o);
/* The same for all open orders of its list. */
void cancel_pull_list(struct ledger *l, const struct turn *t, const struct ledger_order *o);
void cancel_all(struct ledger *l, const struct turn *t, const struct order_cancel_all *cmd);

#endif
