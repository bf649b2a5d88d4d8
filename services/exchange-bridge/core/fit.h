/*
 * fit.h - an order made fit for the exchange before it is sent, by the environment's own rules.
 *
 * Quantities are rounded down to the step, prices to the tick on the side that costs the user
 * nothing (a buyer's down, a seller's up; stop prices to the nearest). What is then too small, or
 * breaks a filter that can be judged here, is refused before anything is sent. An order that closes
 * a position, or a part of it, is reduce-only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_FIT_H
#define SCRIP_BRIDGE_CORE_FIT_H

#include "base/msg.h"

struct fit_by {
    const struct symbol_rules *rules;
    money_t notional_min; /* of the deployment: 5 USDT; the symbol's own filter when it is higher */
    price_t last;         /* for market orders; 0 = not known: their notional is not judged */
    qty_t position;       /* of the symbol, below zero when short; 0 = none or not known */
};

/* Changes quantity, price, stop_price, reduce_only. `why` names the filter and by how much. */
MUST_USE enum err fit_order(struct order *o, const struct fit_by *by, struct refused *why);

#endif
