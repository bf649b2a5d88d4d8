/*
 * exchange.h - exchange wallets: what an account has at the exchange, as the exchange says.
 *
 * A bridge tells absolute amounts; they are set by postings against the shard's SYSTEM_EXCHANGE
 * account, so that every sum stays zero. No command on paper touches these wallets, and what is
 * held there is not what orders here hold. A position is a balance of its contract, below zero
 * when short.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_EXCHANGE_H
#define SCRIP_LEDGER_CORE_EXCHANGE_H

#include "ledger/core/turn.h"

enum ledger_outcome exchange_account_apply(struct ledger *l, const struct turn *t,
                                           const struct exchange_account *cmd);
/* Whether exchange_empty() keeps the other side of it inside int64. */
bool exchange_can_empty(const struct ledger *l, const struct ledger_account *a,
                        enum trading_type type);
/* The account goes back to paper, or to another environment: it has nothing there any more. */
void exchange_empty(struct ledger *l, const struct turn *t, struct ledger_account *a,
                    enum trading_type type);

#endif
