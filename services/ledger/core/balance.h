/*
 * balance.h - one asset of one wallet of one account, and the postings that move it.
 *
 * A posting takes from one balance and gives the same to another of the same asset, so that the
 * sum over all accounts never changes. Within a balance, hold_open() and hold_release() move
 * between free and held.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_BALANCE_H
#define SCRIP_LEDGER_CORE_BALANCE_H

#include "ledger/core/ledger.h"

#define BALANCES_PER_ACCOUNT 1024 /* what an account_view can list */

/* NULL when the account never had this asset. */
struct ledger_balance *balance_find(const struct ledger *l, uint32_t account, enum wallet wallet,
                                    uint32_t asset);
/* Finds or opens. CHECKs that the pool has room: see balance_room(). */
struct ledger_balance *balance_take(struct ledger *l, uint32_t account, enum wallet wallet,
                                    uint32_t asset);
/* The balance of a shard's system account; opens it when needed. */
struct ledger_balance *balance_system(struct ledger *l, enum system_account kind, uint32_t shard,
                                      enum wallet wallet, uint32_t asset);
/* Whether `more` balances can be opened. */
bool balance_room(const struct ledger *l, uint32_t more);
uint32_t balance_index(const struct ledger *l, const struct ledger_balance *b);
money_t balance_total(const struct ledger_balance *b);
void balance_touch(struct ledger *l, struct ledger_balance *b);
/* The record of messages.def. */
struct balance balance_say(const struct ledger *l, const struct ledger_balance *b);

/*
 * Whether users and fees of a shard may come to have that much more of an asset: all they have,
 * and all that open orders may bring in, stays below half of int64. What they have, issuance and
 * house lack, so this bounds every balance of the asset. The other half is for fills at better
 * prices than were known when the order came.
 */
bool income_fits(const struct ledger *l, uint32_t shard, enum wallet wallet, uint32_t asset,
                 money_t more);
/* What the shard's open orders may bring in of an asset. */
ledger_sum *income_sum(const struct ledger *l, uint32_t shard, uint32_t asset);
/* Whether ledger_post() of this amount keeps both sides inside int64. */
bool posting_fits(const struct ledger_balance *from, const struct ledger_balance *to,
                  money_t amount);
/* Moves free to free. CHECKs that both are of one asset, and that a user's free stays >= 0. */
void ledger_post(struct ledger *l, struct ledger_balance *from, struct ledger_balance *to,
                 money_t amount);
/* Moves what `from` holds to `to`'s free side. CHECKs that it holds that much. */
void ledger_post_held(struct ledger *l, struct ledger_balance *from, struct ledger_balance *to,
                      money_t amount);
/* Sets what is at the exchange, by a posting against the other side of it. The caller knows that
 * it fits. */
void exchange_post(struct ledger *l, struct ledger_balance *side, struct ledger_balance *b,
                   money_t free, money_t held);
/* free -> held and back, inside one balance. */
void hold_open(struct ledger *l, struct ledger_balance *b, money_t amount);
void hold_release(struct ledger *l, struct ledger_balance *b, money_t amount);

#endif
