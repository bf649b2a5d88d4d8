/*
 * exchange.c - see exchange.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/exchange.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/events.h"

#define AMOUNT_MAX (INT64_MAX / 4)

/* One asset or contract, as it is to be. */
struct told {
    code_t asset;
    money_t free, held;
};

static uint32_t
told_count(const struct exchange_account *cmd)
{
    return cmd->balances_count + cmd->positions_count;
}

static struct told
told_at(const struct exchange_account *cmd, uint32_t i)
{
    if (i >= cmd->balances_count) {
        const struct exchange_position *p = &cmd->positions[i - cmd->balances_count];
        return (struct told){p->symbol, {p->quantity.v}, {0}};
    }
    const struct exchange_balance *b = &cmd->balances[i];
    bool futures = cmd->trading_type == TRADING_TYPE_futures;
    return (struct told){b->asset, b->free, futures ? (money_t){0} : b->locked};
}

/* Whether a command names a balance. */
static int64_t *
named_mark(const struct ledger *l, const struct ledger_balance *b)
{
    return &l->holds[b->asset * LEDGER_WALLETS + b->wallet - 1];
}

static void
named_begin(const struct ledger *l, const struct ledger_account *a)
{
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        *named_mark(l, &l->balances[i]) = 0;
}

/* ---- Judging ------------------------------------------------------------------------------ */

static bool
told_in_range(const struct told *told, bool may_lack)
{
    return told->held.v >= 0 && told->held.v <= AMOUNT_MAX && told->free.v <= AMOUNT_MAX &&
           told->free.v >= (may_lack ? -AMOUNT_MAX : 0);
}

/* Whether the system account's side stays inside int64 when `b` comes to have `total`. */
static bool
side_fits(const struct ledger *l, const struct ledger_account *a, enum wallet w, uint32_t asset,
          const struct ledger_balance *b, int64_t total)
{
    const struct ledger_balance *side =
        balance_find(l, account_system_index(SYSTEM_EXCHANGE, a->shard), w, asset);
    ledger_sum sum = side == NULL ? 0 : side->free.v;
    if (b != NULL)
        sum += (ledger_sum)b->free.v + b->held.v;
    sum -= total;
    return sum <= INT64_MAX && sum >= -INT64_MAX;
}

bool
exchange_can_empty(const struct ledger *l, const struct ledger_account *a, enum trading_type type)
{
    enum wallet w = wallet_at_exchange(type);
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        if (b->wallet == w && !side_fits(l, a, w, b->asset, b, 0))
            return false;
    }
    return true;
}

/* Takes names for what is new, so that nothing fails later for want of one. What is there is named
 * once: no command changes, and tells of, more balances than an account has room for. */
static enum err
judge_room(struct ledger *l, const struct ledger_account *a, const struct exchange_account *cmd)
{
    enum wallet w = wallet_at_exchange(cmd->trading_type);
    uint32_t side_account = account_system_index(SYSTEM_EXCHANGE, a->shard), more = 0, sides = 0;
    named_begin(l, a);
    for (uint32_t i = 0; i < told_count(cmd); i++) {
        const struct told told = told_at(cmd, i);
        if (!told_in_range(&told, cmd->trading_type == TRADING_TYPE_futures))
            return ERR_NUMBER_RANGE;
        uint32_t asset = asset_find(l, told.asset);
        bool is_none = told.free.v == 0 && told.held.v == 0;
        const struct ledger_balance *b =
            asset == LEDGER_NONE ? NULL : balance_find(l, account_index(l, a), w, asset);
        if (b != NULL && (*named_mark(l, b))++ > 0)
            return ERR_FIELDS_CLASH;
        if (b == NULL && is_none)
            continue;
        if (asset == LEDGER_NONE)
            asset = asset_take(l, told.asset);
        if (asset == LEDGER_NONE)
            return ERR_ACCOUNTS_FULL;
        if (!side_fits(l, a, w, asset, b, told.free.v + told.held.v))
            return ERR_NUMBER_RANGE;
        bool is_same = b != NULL && b->free.v == told.free.v && b->held.v == told.held.v;
        more += b == NULL;
        sides += !is_same && balance_find(l, side_account, w, asset) == NULL;
    }
    bool has_room = balance_room(l, more + sides) && a->balances + more <= BALANCES_PER_ACCOUNT;
    return has_room ? OK : ERR_ACCOUNTS_FULL;
}

static enum err
exchange_judge(struct ledger *l, const struct ledger_account *a, const struct exchange_account *cmd)
{
    const struct ledger_settings *s = &a->settings[cmd->trading_type - 1];
    if (s->mode != TRADING_MODE_REAL)
        return ERR_NOT_BOUND;
    if (s->environment != cmd->environment)
        return ERR_ENVIRONMENT_MISMATCH;
    if (cmd->positions_count > 0 && cmd->trading_type != TRADING_TYPE_futures)
        return ERR_FIELDS_CLASH;
    enum err e = judge_room(l, a, cmd);
    if (e == OK && cmd->is_whole && !exchange_can_empty(l, a, cmd->trading_type))
        e = ERR_NUMBER_RANGE;
    return e;
}

/* ---- Setting ------------------------------------------------------------------------------ */

static void
exchange_set(struct ledger *l, const struct turn *t, struct ledger_account *a,
             struct ledger_balance *b, money_t free, money_t held)
{
    if (b->free.v == free.v && b->held.v == held.v)
        return;
    struct ledger_balance *side =
        balance_system(l, SYSTEM_EXCHANGE, a->shard, (enum wallet)b->wallet, b->asset);
    exchange_post(l, side, b, free, held);
    event_of_balance(l, b, t->now_us, t->out);
}

static void
exchange_set_all(struct ledger *l, const struct turn *t, struct ledger_account *a,
                 const struct exchange_account *cmd)
{
    enum wallet w = wallet_at_exchange(cmd->trading_type);
    named_begin(l, a);
    for (uint32_t i = 0; i < told_count(cmd); i++) {
        const struct told told = told_at(cmd, i);
        uint32_t asset = asset_find(l, told.asset);
        struct ledger_balance *b =
            asset == LEDGER_NONE ? NULL : balance_find(l, account_index(l, a), w, asset);
        if (b == NULL && told.free.v == 0 && told.held.v == 0)
            continue;
        b = balance_take(l, account_index(l, a), w, asset);
        *named_mark(l, b) = 1;
        exchange_set(l, t, a, b, told.free, told.held);
    }
    for (uint32_t i = a->first_balance; cmd->is_whole && i != LEDGER_NONE; i = l->balances[i].next)
        if (l->balances[i].wallet == w && *named_mark(l, &l->balances[i]) == 0)
            exchange_set(l, t, a, &l->balances[i], (money_t){0}, (money_t){0});
}

static void
reply_noted(const struct turn *t, const struct ledger_account *a, enum trading_type type)
{
    if (t->who.peer == 0)
        return;
    struct msg *m = outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_exchange_noted, t->who.corr);
    m->exchange_noted = (struct exchange_noted){
        .account_id = a->id, .trading_type = type, .as_of_us = a->exchange_us[type - 1]};
}

enum ledger_outcome
exchange_account_apply(struct ledger *l, const struct turn *t, const struct exchange_account *cmd)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    enum err e = exchange_judge(l, a, cmd);
    if (e != OK)
        return turn_refuse_plain(t, e);
    uint32_t wallet = cmd->trading_type - TRADING_TYPE_spot;
    if (cmd->as_of_us <= a->exchange_us[wallet]) {
        reply_noted(t, a, cmd->trading_type);
        return LEDGER_ANSWERED;
    }

    /* Nothing below can fail. */
    a->exchange_us[wallet] = cmd->as_of_us;
    account_touch(l, a,
                  DIRTY_ACCOUNT | (wallet == 0 ? DIRTY_SPOT_SETTINGS : DIRTY_FUTURES_SETTINGS));
    exchange_set_all(l, t, a, cmd);
    reply_noted(t, a, cmd->trading_type);
    return LEDGER_CHANGED;
}

void
exchange_empty(struct ledger *l, const struct turn *t, struct ledger_account *a,
               enum trading_type type)
{
    enum wallet w = wallet_at_exchange(type);
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next)
        if (l->balances[i].wallet == w)
            exchange_set(l, t, a, &l->balances[i], (money_t){0}, (money_t){0});
    a->exchange_us[type - 1] = 0;
}
