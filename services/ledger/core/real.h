/*
 * real.h - REAL orders: placed at the exchange by a bridge, once, and settled by what is heard.
 *
 * The journal is the outbox: the command that places an order says until when a bridge may send it,
 * and whoever restarts takes every order that was not heard of for one that was perhaps sent. A
 * fill counts when it begins where the order stands, so that any number of reports in any order
 * come to the same. Paper funds, matchers and postings have no part in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_REAL_H
#define SCRIP_LEDGER_CORE_REAL_H

#include "ledger/core/turn.h"

/* What a bridge is told of an order: of bridge_place, bridge_cancel and bridge_ask alike. */
struct bridge_place real_say(const struct ledger *l, const struct ledger_order *o);

#endif
