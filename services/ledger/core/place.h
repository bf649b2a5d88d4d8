/*
 * place.h - order_place: a retry is answered from what is there, a new order is opened.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_PLACE_H
#define SCRIP_LEDGER_CORE_PLACE_H

#include "ledger/core/turn.h"

/* Live. LEDGER_LOOKUP when the client order id may be in the tables. */
enum ledger_outcome order_place_request(struct ledger *l, const struct turn *t,
                                        struct order_place *cmd);
/* Live, after the tables were asked. */
enum ledger_outcome order_place_found(struct ledger *l, const struct turn *t,
                                      struct order_place *cmd, const struct order_view *row);
/* Opens the order of an enriched command: holds, the order, order_work for the matcher. */
enum ledger_outcome order_place_apply(struct ledger *l, const struct turn *t,
                                      const struct order_place *cmd);

#endif
