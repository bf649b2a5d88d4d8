/*
 * paper.c - account_open and balance_set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/paper.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/events.h"
#include "ledger/core/fill_rules.h"

void
account_open_enrich(const struct ledger *l, struct account_open *cmd)
{
    cmd->spot_balance = l->policy.spot_opening;
    cmd->futures_balance = l->policy.futures_opening;
    cmd->tier = l->policy.tier_opening;
    cmd->fill_rules = fill_rules_of(l->policy.fill_preset);
}

void
balance_set_enrich(const struct ledger *l, struct balance_set *cmd)
{
    const struct ledger_account *a = account_find(l, cmd->account_id);
    uint32_t last = l->policy.tiers_count - 1;
    uint32_t tier = a == NULL || a->tier > last ? last : a->tier;
    cmd->balance_min = l->policy.tiers[tier].balance_min;
    cmd->balance_max = l->policy.tiers[tier].balance_max;
}

static void
change_keep(struct ledger *l, const struct ledger_account *a, enum trading_type wallet,
            const struct balance_change *change)
{
    CHECK(l->change_ring.put - l->change_ring.drained < l->change_ring.max);
    struct ledger_change *c = &l->changes[l->change_ring.put++ % l->change_ring.max];
    *c = (struct ledger_change){.account_id = a->id, .wallet = wallet, .change = *change};
    struct ledger_shard *s = &l->shards[a->shard];
    c->change.change_id = (uint64_t)a->shard << 47 | ++s->change_sequence;
}

/* Issues or takes back the difference, and records it. */
static void
paper_move(struct ledger *l, const struct turn *t, struct ledger_account *a,
           struct ledger_balance *b, const struct balance_change *change)
{
    struct ledger_balance *issuance =
        balance_system(l, SYSTEM_ISSUANCE, a->shard, (enum wallet)b->wallet, b->asset);
    money_t more = money_sub(change->new_balance, change->old_balance);
    if (more.v > 0)
        ledger_post(l, issuance, b, more);
    else if (more.v < 0)
        ledger_post(l, b, issuance, (money_t){-more.v});
    change_keep(l, a, (enum trading_type)b->wallet, change);
    event_of_balance(l, b, t->now_us, t->out);
}

static void
account_fund(struct ledger *l, const struct turn *t, struct ledger_account *a,
             enum trading_type wallet, money_t amount)
{
    uint32_t cash = asset_find(l, code_of(LEDGER_CASH));
    struct ledger_balance *b = balance_take(l, account_index(l, a), wallet_on_paper(wallet), cash);
    const struct balance_change change = {
        .time_us = t->now_us, .new_balance = amount, .source = BALANCE_SOURCE_opening};
    paper_move(l, t, a, b, &change);
}

/* Whether that much more cash can be issued in a shard: issuance itself stays inside int64 too. */
static bool
issuance_fits(const struct ledger *l, uint32_t shard, enum trading_type wallet, money_t amount)
{
    uint32_t cash = asset_find(l, code_of(LEDGER_CASH));
    const struct ledger_balance *issuance = balance_find(
        l, account_system_index(SYSTEM_ISSUANCE, shard), wallet_on_paper(wallet), cash);
    return amount.v <= 0 || ((ledger_sum)amount.v - issuance->free.v <= INT64_MAX / 2 &&
                             income_fits(l, shard, wallet_on_paper(wallet), cash, amount));
}

enum ledger_outcome
account_open_apply(struct ledger *l, const struct turn *t, const struct account_open *cmd)
{
    if (cmd->account_id >= SYSTEM_ACCOUNT_FIRST)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a != NULL && a->user_id != cmd->user_id)
        return turn_refuse_plain(t, ERR_COMMAND_DIFFERS);
    if (a != NULL) {
        reply_account(l, t->out, t->who, a);
        return LEDGER_ANSWERED;
    }
    uint32_t shard = ledger_shard_of(cmd->account_id);
    if (!account_room(l) || !balance_room(l, 2) || cmd->spot_balance.v < 0 ||
        cmd->futures_balance.v < 0 ||
        !issuance_fits(l, shard, TRADING_TYPE_spot, cmd->spot_balance) ||
        !issuance_fits(l, shard, TRADING_TYPE_futures, cmd->futures_balance))
        return turn_refuse_plain(t, ERR_ACCOUNTS_FULL);

    /* Nothing below can fail. */
    a = account_add(l, cmd->account_id, cmd->user_id, cmd->tier);
    for (uint32_t i = 0; i < LEDGER_TYPES; i++)
        a->settings[i].fill = cmd->fill_rules;
    account_touch(l, a, DIRTY_ACCOUNT | DIRTY_SPOT_SETTINGS | DIRTY_FUTURES_SETTINGS);
    account_fund(l, t, a, TRADING_TYPE_spot, cmd->spot_balance);
    account_fund(l, t, a, TRADING_TYPE_futures, cmd->futures_balance);
    reply_account(l, t->out, t->who, a);
    return LEDGER_CHANGED;
}

static bool
is_synced(const struct balance_set *cmd)
{
    return cmd->source == BALANCE_SOURCE_sync || cmd->source == BALANCE_SOURCE_scheduled_sync;
}

/* A sync that is repeated may find another balance at the exchange: it is the same sync. */
static uint64_t
balance_set_hash(const struct balance_set *cmd)
{
    const uint64_t words[] = {MSG_balance_set, cmd->trading_type,
                              is_synced(cmd) ? 0 : (uint64_t)cmd->balance.v, cmd->source,
                              cmd->changed_by};
    return map_hash(words, sizeof(words));
}

static enum err
balance_set_judge(const struct ledger_account *a, const struct ledger_balance *b,
                  const struct balance_set *cmd)
{
    if (money_less(cmd->balance, cmd->balance_min))
        return is_synced(cmd) ? ERR_SYNC_BELOW_MINIMUM : ERR_BALANCE_OUT_OF_RANGE;
    if (money_less(cmd->balance_max, cmd->balance))
        return ERR_BALANCE_OUT_OF_RANGE;
    if (money_less(cmd->balance, b->held))
        return ERR_BALANCE_BELOW_HELD;
    if (command_known(a, cmd->command_id, balance_set_hash(cmd)) == COMMAND_OTHER)
        return ERR_COMMAND_DIFFERS;
    return OK;
}

/* The limits and what was asked for, in words: the sentence in the table names the defaults. */
static struct refused
balance_set_refusal(enum err e, const struct ledger_balance *b, const struct balance_set *cmd)
{
    char min[DECIMAL_BYTES], max[DECIMAL_BYTES], held[DECIMAL_BYTES];
    decimal_write_short(cmd->balance_min.v, min);
    decimal_write_short(cmd->balance_max.v, max);
    decimal_write_short(b->held.v, held);
    if (e == ERR_BALANCE_OUT_OF_RANGE || e == ERR_SYNC_BELOW_MINIMUM)
        return refusal_of(e, "balance", text_of("it must be between %s and %s", min, max));
    if (e == ERR_BALANCE_BELOW_HELD)
        return refusal_of(e, "balance", text_of("held is %s", held));
    return refusal(e);
}

enum ledger_outcome
balance_set_apply(struct ledger *l, const struct turn *t, const struct balance_set *cmd)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (command_known(a, cmd->command_id, balance_set_hash(cmd)) == COMMAND_SAME) {
        reply_balance(l, t->out, t->who, a, cmd->trading_type);
        return LEDGER_ANSWERED;
    }
    uint32_t cash = asset_find(l, code_of(LEDGER_CASH));
    struct ledger_balance *b =
        balance_find(l, account_index(l, a), wallet_on_paper(cmd->trading_type), cash);
    CHECK(b != NULL); /* opened with the account */
    enum err e = balance_set_judge(a, b, cmd);
    money_t old = balance_total(b);
    if (e == OK && !issuance_fits(l, a->shard, cmd->trading_type, money_sub(cmd->balance, old)))
        e = ERR_ACCOUNTS_FULL;
    if (e != OK) {
        struct refused why = balance_set_refusal(e, b, cmd);
        return turn_refuse(t, &why);
    }

    /* Nothing below can fail. */
    const struct balance_change change = {
        .time_us = t->now_us,
        .old_balance = old,
        .new_balance = cmd->balance,
        .source = cmd->source == BALANCE_SOURCE_NONE ? BALANCE_SOURCE_manual : cmd->source,
        .changed_by = cmd->changed_by};
    paper_move(l, t, a, b, &change);
    command_remember(l, a, cmd->command_id, balance_set_hash(cmd));
    reply_balance(l, t->out, t->who, a, cmd->trading_type);
    return LEDGER_CHANGED;
}
