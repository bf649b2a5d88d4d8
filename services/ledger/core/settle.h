/*
 * settle.h - order_report: what the matcher did becomes money, exactly once.
 *
 * A report is judged as a whole before anything changes. One that names an unknown or finished
 * order, or does what the order does not allow, is refused and counted, never guessed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_SETTLE_H
#define SCRIP_LEDGER_CORE_SETTLE_H

#include "ledger/core/turn.h"

enum ledger_outcome order_report_apply(struct ledger *l, const struct turn *t,
                                       const struct order_report *report);
/* Takes one fill in, a matcher's or the exchange's: what is executed, the trade and its event.
 * `said` has the amounts, the fee and the evidence; no money is moved. */
void settle_fill(struct ledger *l, const struct turn *t, struct ledger_order *o, struct trade said);

#endif
