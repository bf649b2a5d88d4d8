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
void cancel_all(struct ledger *l, const struct turn *t, const struct order_cancel_all *cmd);

#endif
