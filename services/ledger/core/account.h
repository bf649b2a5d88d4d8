/*
 * account.h - accounts, and the names (assets, symbols) their balances and orders refer to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_ACCOUNT_H
#define SCRIP_LEDGER_CORE_ACCOUNT_H

#include "ledger/core/ledger.h"

/* NULL when there is none. account_find() finds users' accounts only. */
struct ledger_account *account_find(const struct ledger *l, uint64_t id);
struct ledger_account *account_find_any(const struct ledger *l, uint64_t id);
uint32_t account_index(const struct ledger *l, const struct ledger_account *a);
/* System accounts are the first ones opened, so that nobody need look them up. */
static inline uint32_t
account_system_index(enum system_account kind, uint32_t shard)
{
    return shard * SYSTEM_KINDS + (uint32_t)kind - 1;
}
bool account_is_system(const struct ledger_account *a);
bool account_room(const struct ledger *l);
/* A new account with default settings. CHECKs room and that it is new. */
struct ledger_account *account_add(struct ledger *l, uint64_t id, uint64_t user_id, uint32_t tier);
void account_touch(struct ledger *l, struct ledger_account *a, uint32_t parts);

/* What is known of a command id. */
enum command_known { COMMAND_NEW, COMMAND_SAME, COMMAND_OTHER };
enum command_known command_known(const struct ledger_account *a, uint64_t id, uint64_t hash);
void command_remember(struct ledger *l, struct ledger_account *a, uint64_t id, uint64_t hash);

/* LEDGER_NONE when unknown. */
uint32_t asset_find(const struct ledger *l, code_t code);
uint32_t symbol_find(const struct ledger *l, code_t code);
/* Finds or adds; LEDGER_NONE when there is no room. */
uint32_t asset_take(struct ledger *l, code_t code);
uint32_t symbol_take(struct ledger *l, code_t code);

#endif
