/*
 * balance.c - balances and the only functions that change them.
 *
 * Balances are opened and never closed. System accounts may go below zero (issuance always is);
 * users never, and income_fits() or posting_fits() is asked before amounts that the market or a
 * user chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/balance.h"

#include "ledger/core/account.h"
#include "ledger/core/dirty.h"

static uint64_t
balance_key(uint32_t account, enum wallet wallet, uint32_t asset)
{
    return (uint64_t)(account + 1) << 24 | (uint64_t)wallet << 20 | asset;
}

struct ledger_balance *
balance_find(const struct ledger *l, uint32_t account, enum wallet wallet, uint32_t asset)
{
    uint32_t i = map_get(&l->balance_by_key, balance_key(account, wallet, asset));
    return i == MAP_NONE ? NULL : &l->balances[i];
}

bool
balance_room(const struct ledger *l, uint32_t more)
{
    return l->limits.balances_max - l->balances_count >= more;
}

uint32_t
balance_index(const struct ledger *l, const struct ledger_balance *b)
{
    return (uint32_t)(b - l->balances);
}

money_t
balance_total(const struct ledger_balance *b)
{
    return money_add(b->free, b->held);
}

void
balance_touch(struct ledger *l, struct ledger_balance *b)
{
    if (b->dirty)
        return;
    b->dirty = true;
    dirty_add(&l->dirty_balances, balance_index(l, b));
}

struct ledger_balance *
balance_take(struct ledger *l, uint32_t account, enum wallet wallet, uint32_t asset)
{
    struct ledger_balance *old = balance_find(l, account, wallet, asset);
    if (old != NULL)
        return old;
    CHECK(balance_room(l, 1));
    uint32_t i = l->balances_count++;
    struct ledger_balance *b = &l->balances[i];
    *b = (struct ledger_balance){.account = account,
                                 .asset = (uint16_t)asset,
                                 .wallet = (uint8_t)wallet,
                                 .next = LEDGER_NONE};
    map_set(&l->balance_by_key, balance_key(account, wallet, asset), i);

    struct ledger_account *a = &l->accounts[account];
    if (a->last_balance == LEDGER_NONE)
        a->first_balance = i;
    else
        l->balances[a->last_balance].next = i;
    a->last_balance = i;
    a->balances++;
    balance_touch(l, b);
    return b;
}

struct ledger_balance *
balance_system(struct ledger *l, enum system_account kind, uint32_t shard, enum wallet wallet,
               uint32_t asset)
{
    return balance_take(l, account_system_index(kind, shard), wallet, asset);
}

struct balance
balance_say(const struct ledger *l, const struct ledger_balance *b)
{
    return (struct balance){.wallet = (enum wallet)b->wallet,
                            .asset = l->assets[b->asset],
                            .free = b->free,
                            .held = b->held};
}

ledger_sum *
income_sum(const struct ledger *l, uint32_t shard, uint32_t asset)
{
    return &l->incomes[shard * l->limits.assets_max + asset];
}

bool
income_fits(const struct ledger *l, uint32_t shard, enum wallet wallet, uint32_t asset,
            money_t more)
{
    ledger_sum sum = more.v;
    if (asset == LEDGER_NONE) /* nobody ever had it */
        return sum <= INT64_MAX / 2;
    for (enum system_account kind = SYSTEM_ISSUANCE; kind <= SYSTEM_HOUSE; kind++) {
        const struct ledger_balance *b =
            balance_find(l, account_system_index(kind, shard), wallet, asset);
        sum -= b == NULL ? 0 : b->free.v;
    }
    if (wallet == WALLET_spot)
        sum += *income_sum(l, shard, asset);
    return sum <= INT64_MAX / 2;
}

bool
posting_fits(const struct ledger_balance *from, const struct ledger_balance *to, money_t amount)
{
    money_t sum = {-amount.v};
    return money_try_add(from->free, sum, &sum) == OK &&
           money_try_add(to->free, amount, &sum) == OK && money_try_add(sum, to->held, &sum) == OK;
}

static void
posting_give(struct ledger *l, const struct ledger_balance *from, struct ledger_balance *to,
             money_t amount)
{
    CHECK(from->asset == to->asset && from != to && amount.v >= 0);
    to->free = money_add(to->free, amount);
    balance_touch(l, to);
}

void
ledger_post(struct ledger *l, struct ledger_balance *from, struct ledger_balance *to,
            money_t amount)
{
    from->free = money_sub(from->free, amount);
    CHECK(!wallet_is_exchange((enum wallet)from->wallet));
    CHECK(from->free.v >= 0 || account_is_system(&l->accounts[from->account]));
    balance_touch(l, from);
    posting_give(l, from, to, amount);
}

void
ledger_post_held(struct ledger *l, struct ledger_balance *from, struct ledger_balance *to,
                 money_t amount)
{
    CHECK(!money_less(from->held, amount));
    from->held = money_sub(from->held, amount);
    balance_touch(l, from);
    posting_give(l, from, to, amount);
}

void
exchange_post(struct ledger *l, struct ledger_balance *side, struct ledger_balance *b, money_t free,
              money_t held)
{
    CHECK(wallet_is_exchange((enum wallet)b->wallet) && side->wallet == b->wallet);
    CHECK(side->asset == b->asset && side != b && held.v >= 0);
    money_t before = balance_total(b), after = money_add(free, held);
    side->free = money_sub(side->free, money_sub(after, before));
    b->free = free;
    b->held = held;
    balance_touch(l, side);
    balance_touch(l, b);
}

void
hold_open(struct ledger *l, struct ledger_balance *b, money_t amount)
{
    CHECK(amount.v >= 0 && !money_less(b->free, amount));
    b->free = money_sub(b->free, amount);
    b->held = money_add(b->held, amount);
    balance_touch(l, b);
}

void
hold_release(struct ledger *l, struct ledger_balance *b, money_t amount)
{
    CHECK(amount.v >= 0 && !money_less(b->held, amount));
    b->held = money_sub(b->held, amount);
    b->free = money_add(b->free, amount);
    balance_touch(l, b);
}
