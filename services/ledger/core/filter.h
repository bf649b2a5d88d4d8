/*
 * filter.h - Binance's symbol filters as arithmetic: what may be ordered at all.
 *
 * Pure functions of the order, the rules and the prices. Each refusal names the filter, the limit
 * and what was found. Every part of a filter is off when it is 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_FILTER_H
#define SCRIP_LEDGER_CORE_FILTER_H

#include "base/msg.h"

/* Prices the filters compare with: 0 when not known. */
struct filter_prices {
    price_t last, average;
};

/*
 * Checks PRICE_FILTER, PERCENT_PRICE_BY_SIDE, LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL, in this order.
 * A filter that needs a price that is not known is passed over: the caller refuses for want of
 * it afterwards (filter_needs_price). OK, or the error with `why` filled in.
 */
MUST_USE enum err filter_order(const struct symbol_rules *rules, const struct filter_prices *prices,
                               const struct order_place *cmd, struct refused *why);
/* TRAILING_DELTA and ICEBERG_PARTS, which stand further down in the error table. */
MUST_USE enum err filter_more(const struct symbol_rules *rules, const struct order_place *cmd,
                              struct refused *why);
/* LOT_SIZE and NOTIONAL of a resting order that is to be lowered to this quantity. */
MUST_USE enum err filter_amended(const struct symbol_rules *rules, qty_t quantity, price_t price,
                                 struct refused *why);
/* Whether the order cannot be judged without a market price. */
bool filter_needs_price(const struct symbol_rules *rules, const struct order_place *cmd);

/* `amount` cut down, or raised, to a multiple of `step`; step 0 leaves it. False past int64. */
int64_t step_floor(int64_t amount, int64_t step);
MUST_USE bool step_ceil(int64_t amount, int64_t step, int64_t *out);

#endif
