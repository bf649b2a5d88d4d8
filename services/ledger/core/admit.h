/*
 * admit.h - judging an order before it is applied: live only, changes nothing.
 *
 * All that needs the configuration, the symbols' rules or market prices is judged here, and the
 * outcome (assets, prices, step, fees, hold, draws) is written into the command, so
 * that the journal's record is enough to apply it again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_ADMIT_H
#define SCRIP_LEDGER_CORE_ADMIT_H

#include "ledger/core/ledger.h"

/* In which company an order comes. */
struct admit_with {
    int64_t now_us;
    const struct order_place *first; /* orders of the same request that were judged before it */
    uint32_t before;                 /* how many they are */
    uint32_t beside;                 /* 1: a REAL order, which it mirrors, is placed before it */
    bool in_list;                    /* the request is a list */
    price_t reference; /* it waits: the price of the order that it waits for; else 0 */
    const struct ledger_order *replaces; /* the order it takes the place of, still open; or NULL */
};

/*
 * The symbol, its filters, prices, funds and fill rules, in the order of errors.def; writes the
 * fields of the command that are not the client's. One that waits for another order of its list
 * needs no funds yet, and is not compared with the market.
 */
MUST_USE enum err admit_order(const struct ledger *l, const struct ledger_account *a,
                              const struct admit_with *with, struct order_place *cmd,
                              struct refused *why);

/* Where a symbol's market clock stands now; 0 when nobody has told it. */
int64_t admit_market_us(const struct ledger *l, const struct ledger_symbol *s);

#endif
