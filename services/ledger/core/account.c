/*
 * account.c - accounts, the command ids they remember, and the tables of names.
 *
 * Accounts and names are never removed, so that an index stays good for the life of the ledger.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/account.h"

#include <string.h>

#include "ledger/core/dirty.h"

uint32_t
ledger_shard_of(uint64_t account_id)
{
    bool is_system = account_id >= SYSTEM_ACCOUNT_FIRST;
    return is_system ? (uint32_t)account_id & (LEDGER_SHARDS - 1) : shard_of_account(account_id);
}

struct ledger_account *
account_find_any(const struct ledger *l, uint64_t id)
{
    uint32_t i = id == 0 ? MAP_NONE : map_get(&l->account_by_id, id);
    return i == MAP_NONE ? NULL : &l->accounts[i];
}

struct ledger_account *
account_find(const struct ledger *l, uint64_t id)
{
    return id >= SYSTEM_ACCOUNT_FIRST ? NULL : account_find_any(l, id);
}

uint32_t
account_index(const struct ledger *l, const struct ledger_account *a)
{
    return (uint32_t)(a - l->accounts);
}

bool
account_is_system(const struct ledger_account *a)
{
    return a->id >= SYSTEM_ACCOUNT_FIRST;
}

bool
account_room(const struct ledger *l)
{
    return l->accounts_count < l->account_by_id.max;
}

/* Paper, simulated, 5 USDT at risk: what a newcomer can do no harm with. */
static struct ledger_settings
settings_default(enum trading_type wallet)
{
    return (struct ledger_settings){.mode = TRADING_MODE_PAPER,
                                    .dry_run_mode = true,
                                    .margin_per_trade = {5 * DECIMAL_ONE},
                                    .leverage = wallet == TRADING_TYPE_futures ? 20 : 1};
}

struct ledger_account *
account_add(struct ledger *l, uint64_t id, uint64_t user_id, uint32_t tier)
{
    CHECK(account_room(l) && account_find_any(l, id) == NULL);
    struct ledger_account *a = &l->accounts[l->accounts_count];
    memset(a, 0, sizeof(*a));
    a->id = id;
    a->user_id = user_id;
    a->tier = tier;
    a->shard = ledger_shard_of(id);
    a->first_balance = a->last_balance = a->newest_open = a->first_group = LEDGER_NONE;
    a->settings[TRADING_TYPE_spot - 1] = settings_default(TRADING_TYPE_spot);
    a->settings[TRADING_TYPE_futures - 1] = settings_default(TRADING_TYPE_futures);
    struct ledger_shard *shard = &l->shards[a->shard];
    a->older = shard->newest_account;
    shard->newest_account = l->accounts_count;
    map_set(&l->account_by_id, id, l->accounts_count++);
    if (!account_is_system(a))
        shard->accounts++;
    return a;
}

void
account_touch(struct ledger *l, struct ledger_account *a, uint32_t parts)
{
    if (a->dirty == 0)
        dirty_add(&l->dirty_accounts, account_index(l, a));
    a->dirty |= parts;
}

enum command_known
command_known(const struct ledger_account *a, uint64_t id, uint64_t hash)
{
    for (uint32_t i = 0; i < LEDGER_COMMANDS_MAX; i++)
        if (a->commands[i].id == id)
            return a->commands[i].hash == hash ? COMMAND_SAME : COMMAND_OTHER;
    return COMMAND_NEW;
}

void
command_remember(struct ledger *l, struct ledger_account *a, uint64_t id, uint64_t hash)
{
    a->commands[a->commands_next] = (struct ledger_command){id, hash};
    a->commands_next = (a->commands_next + 1) % LEDGER_COMMANDS_MAX;
    account_touch(l, a, DIRTY_ACCOUNT);
}

/* Two names with one hash: the later one stays unknown. Names come from the rules file. */
uint32_t
asset_find(const struct ledger *l, code_t code)
{
    uint32_t i = map_get(&l->asset_by_code, map_hash(&code, sizeof(code)));
    return i != MAP_NONE && code_same(l->assets[i], code) ? i : LEDGER_NONE;
}

uint32_t
symbol_find(const struct ledger *l, code_t code)
{
    uint32_t i = map_get(&l->symbol_by_code, map_hash(&code, sizeof(code)));
    return i != MAP_NONE && code_same(l->symbols[i].code, code) ? i : LEDGER_NONE;
}

uint32_t
asset_take(struct ledger *l, code_t code)
{
    uint64_t hash = map_hash(&code, sizeof(code));
    uint32_t i = map_get(&l->asset_by_code, hash);
    if (i != MAP_NONE)
        return code_same(l->assets[i], code) ? i : LEDGER_NONE;
    if (l->assets_count == l->limits.assets_max)
        return LEDGER_NONE;
    l->assets[l->assets_count] = code;
    map_set(&l->asset_by_code, hash, l->assets_count);
    return l->assets_count++;
}

uint32_t
symbol_take(struct ledger *l, code_t code)
{
    uint64_t hash = map_hash(&code, sizeof(code));
    uint32_t i = map_get(&l->symbol_by_code, hash);
    if (i != MAP_NONE)
        return code_same(l->symbols[i].code, code) ? i : LEDGER_NONE;
    if (l->symbols_count == l->limits.symbols_max)
        return LEDGER_NONE;
    l->symbols[l->symbols_count] = (struct ledger_symbol){.code = code};
    map_set(&l->symbol_by_code, hash, l->symbols_count);
    return l->symbols_count++;
}
