/*
 * replace.h - order_replace: one order is cancelled, another takes its place.
 *
 * The new order is judged before the old one is pulled, then waits (PENDING_NEW) for its end.
 * STOP_ON_FAILURE: it becomes live only when the old one ends by a cancel; ALLOW_FAILURE: whatever
 * its end. A retry is known by the new order's client order id.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_REPLACE_H
#define SCRIP_LEDGER_CORE_REPLACE_H

#include "ledger/core/turn.h"

/* Live. LEDGER_LOOKUP when the client order id may be in the tables. */
enum ledger_outcome replace_request(struct ledger *l, const struct turn *t,
                                    struct order_replace *cmd);
enum ledger_outcome replace_found(struct ledger *l, const struct turn *t, struct order_replace *cmd,
                                  const struct order_view *row);
/* Opens the new order of an enriched command, waiting or live, and pulls the old one. */
enum ledger_outcome replace_apply(struct ledger *l, const struct turn *t,
                                  const struct order_replace *cmd);

#endif
