/*
 * fit.h - an order made fit for the exchange before it is sent, by the environment's own rules.
 *
 * Quantities are rounded down to the step, prices to the tick on the side that costs the user
 * nothing (a buyer's down, a seller's up; stop prices to the nearest). What is then too small, or
 * breaks a filter that can be judged here, is refused before anything is sent. An order that closes
 * a position, or a part of it, is reduce-only, and may be as small as it likes. Whether an order
 * has what its type needs is call_judge_order()'s.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_FIT_H
#define SCRIP_BRIDGE_CORE_FIT_H

#include "base/msg.h"

struct fit_by {
    const struct symbol_rules *rules;
    money_t notional_min; /* of the deployment, in USDT: for symbols that are quoted in it */
    price_t last;         /* 0 = not known: what would be judged by it is left to the exchange */
    /* Of the ledger's market, which a testnet's is near at best: by it a market order is worth
     * enough, or makes too large a position, and nothing else is judged. 0 = not known. */
    price_t reference;
    qty_t position;       /* of a contract, below zero when short; 0 = none or not known */
    money_t notional_cap; /* of its largest leverage bracket; 0 = not known */
};

/* Changes quantity, iceberg_quantity, price, stop_price, reduce_only. `why` names the filter and by
 * how much; the order is as it came then. */
MUST_USE enum err fit_order(struct order *o, const struct fit_by *by, struct refused *why);

#endif
