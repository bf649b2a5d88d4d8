/*
 * admit.h - judging an order before it is applied: live only, changes nothing.
 *
 * All that needs the configuration, the symbols' rules or market prices is judged here, and the
 * outcome (assets, reference and worst price, step, fees, hold) is written into the command, so
 * that the journal's record is enough to apply it again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_ADMIT_H
#define SCRIP_LEDGER_CORE_ADMIT_H

#include "ledger/core/ledger.h"

/*
 * Which fields go together, and the default time in force. Doing it twice is harmless.
 * FIELD_MISSING, NUMBER_RANGE, NUMBER_NOT_POSITIVE, FIELDS_CLASH.
 */
MUST_USE enum err admit_shape(struct order_place *cmd, struct refused *why);
/* The symbol, its filters, prices and the funds, and writes fields 11 to 18 of the command. */
MUST_USE enum err admit_order(const struct ledger *l, const struct ledger_account *a,
                              struct order_place *cmd, struct refused *why);

#endif
