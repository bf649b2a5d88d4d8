/*
 * amend.h - order_amend: an order's quantity is lowered and it keeps its place.
 *
 * The matcher lowers what it has; its report is the record. A PENDING_NEW order is not at the
 * matcher: the ledger lowers it itself, and the command becomes the report that says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_AMEND_H
#define SCRIP_LEDGER_CORE_AMEND_H

#include "ledger/core/turn.h"

/* LEDGER_LOOKUP when the order may be in the tables. LEDGER_CHANGED: `cmd` is now an order_report
 * to be journaled. */
enum ledger_outcome amend_request(struct ledger *l, const struct turn *t, struct msg *cmd);
enum ledger_outcome amend_found(struct ledger *l, const struct turn *t, struct msg *cmd,
                                const struct order_view *row);

#endif
