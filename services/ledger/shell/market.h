/*
 * market.h - what the ledger has to know of the market: the symbols' rules and their last prices.
 *
 * Both are only judged by at admission; what was used is in the journaled command. The rules are
 * those of a file until market data tells its list, and again whenever that has another version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_MARKET_H
#define SCRIP_LEDGER_SHELL_MARKET_H

#include "host/loop.h"
#include "ledger/core/ledger.h"

struct market;

struct market_options {
    struct loop *loop;
    struct ledger *ledger;
    const char *name; /* of this process */
    const char *follow_endpoint, *ask_endpoint;
};

/* Gives the core the rules of every symbol of the file. Logs why not. */
MUST_USE enum err market_rules(struct ledger *l, const char *path);
/* Follows prices, and asks for those that nobody has told yet. NULL, logged, when it cannot. */
struct market *market_open(const struct market_options *o);
/* Whether the list of symbols was told, and every symbol's price is known, or was asked for in
 * vain. */
bool market_is_loaded(const struct market *m);
void market_close(struct market **m);

#endif
