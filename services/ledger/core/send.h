/*
 * send.h - the one place where an order's messages to matchers and to bridges are put.
 *
 * A matcher never hears of a REAL order and a bridge never of one on paper: both are CHECKed here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_SEND_H
#define SCRIP_LEDGER_CORE_SEND_H

#include "ledger/core/turn.h"

/* The message, its body zeroed, to be filled in. */
struct msg *send_matcher(const struct turn *t, const struct ledger_order *o, enum msg_type type);
/* bridge_place, bridge_cancel or bridge_ask, whole. */
void send_bridge(const struct ledger *l, const struct turn *t, const struct ledger_order *o,
                 enum msg_type type);

#endif
