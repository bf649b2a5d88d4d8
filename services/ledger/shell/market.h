/*
 * market.h - what the ledger has to know of the market: the symbols' rules and their last prices.
 *
 * Prices are only judged by at admission; the one that was used is in the journaled command.
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
/* Whether every symbol's price is known, or was asked for in vain. */
bool market_is_loaded(const struct market *m);
void market_close(struct market **m);

#endif
