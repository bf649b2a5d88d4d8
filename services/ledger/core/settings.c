/*
 * settings.c - settings_set and tier_set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/settings.h"

#include "ledger/core/account.h"
#include "ledger/core/exchange.h"
#include "ledger/core/fill_rules.h"
#include "ledger/core/real.h"

#define LEVERAGE_MAX_FUTURES 125
#define LEVERAGE_MAX_SPOT    1

static bool
has_fill_rules(const struct settings_set *cmd)
{
    return cmd->fill_preset != FILL_PRESET_NONE || cmd->fill_overrides != 0;
}

static bool
has_real(const struct settings_set *cmd)
{
    return cmd->confirm_real || cmd->environment != ENVIRONMENT_NONE ||
           cmd->live_twin != TRI_ABSENT;
}

/* Without fill rules, and without REAL, as it was before there were any: what old journals remember
 * stays true. */
static uint64_t
settings_set_hash(const struct settings_set *cmd)
{
    const uint64_t words[] = {MSG_settings_set,
                              cmd->trading_type,
                              cmd->mode,
                              cmd->dry_run_mode,
                              (uint64_t)cmd->margin_per_trade.v,
                              cmd->leverage,
                              cmd->auto_trading,
                              cmd->fill_preset,
                              cmd->fill_model,
                              cmd->latency_us,
                              cmd->latency_spread_us,
                              cmd->slippage_bps,
                              cmd->reject_bps,
                              cmd->seed,
                              cmd->fill_overrides,
                              cmd->confirm_real,
                              cmd->environment,
                              cmd->live_twin};
    size_t count = has_real(cmd) ? 18 : has_fill_rules(cmd) ? 15 : 7;
    return map_hash(words, count * sizeof(words[0]));
}

/* The exchange that it was bound to so far is no longer its exchange. */
static bool
leaves_exchange(const struct ledger_settings *s, const struct settings_set *cmd)
{
    bool stays = cmd->mode == TRADING_MODE_NONE ||
                 (cmd->mode == TRADING_MODE_REAL && cmd->environment == s->environment);
    return s->mode == TRADING_MODE_REAL && !stays;
}

/* Orders are only simulated again when an account comes back to paper, and are not once it trades
 * really: each unless the command says otherwise. */
static void
settings_merge_mode(struct ledger_settings *s, const struct settings_set *cmd, int64_t now_us)
{
    bool was_real = s->mode == TRADING_MODE_REAL;
    if (cmd->mode == TRADING_MODE_REAL) {
        if (!was_real || s->environment != cmd->environment)
            s->real_since_us = now_us;
        s->environment = cmd->environment;
        s->api_key_tail = cmd->api_key_tail;
        s->dry_run_mode = false;
    } else if (was_real) {
        s->environment = ENVIRONMENT_NONE;
        s->api_key_tail = code_of("");
        s->real_since_us = 0;
        s->dry_run_mode = true;
    }
    s->mode = cmd->mode;
}

/* An absent setting stays as it is. */
static void
settings_merge(struct ledger_settings *s, const struct settings_set *cmd, int64_t now_us)
{
    if (cmd->mode != TRADING_MODE_NONE)
        settings_merge_mode(s, cmd, now_us);
    if (cmd->live_twin != TRI_ABSENT)
        s->live_twin = cmd->live_twin == TRI_TRUE;
    if (cmd->dry_run_mode != TRI_ABSENT)
        s->dry_run_mode = cmd->dry_run_mode == TRI_TRUE;
    if (cmd->margin_per_trade.v != 0)
        s->margin_per_trade = cmd->margin_per_trade;
    if (cmd->leverage != 0)
        s->leverage = cmd->leverage;
    if (cmd->auto_trading != TRI_ABSENT)
        s->auto_trading = cmd->auto_trading == TRI_TRUE;
    fill_rules_merge(&s->fill, cmd);
}

static enum err
settings_set_judge(const struct settings_set *cmd, struct refused *why)
{
    bool futures = cmd->trading_type == TRADING_TYPE_futures;
    uint32_t leverage_max = futures ? LEVERAGE_MAX_FUTURES : LEVERAGE_MAX_SPOT;
    if (cmd->leverage > leverage_max) {
        *why = refusal_of(ERR_NUMBER_RANGE, "leverage",
                          text_of("at most %u for %s, found %u", leverage_max,
                                  futures ? "futures" : "spot", cmd->leverage));
        return ERR_NUMBER_RANGE;
    }
    if (cmd->mode == TRADING_MODE_REAL && cmd->dry_run_mode == TRI_TRUE) {
        *why = refusal_of(ERR_FIELDS_CLASH, "dry_run_mode",
                          text_of("mode REAL simulates nothing: change it afterwards"));
        return ERR_FIELDS_CLASH;
    }
    return fill_rules_judge(cmd, why);
}

/* Live: whether the deployment has REAL at all, and whether it is meant. The gateway has asked the
 * bridge which environment the account is bound to. */
static enum err
settings_judge_real(const struct ledger *l, const struct ledger_settings *s,
                    const struct settings_set *cmd)
{
    if (l->policy.trading_mode == LEDGER_TRADES_PAPER)
        return ERR_MODE_NOT_AVAILABLE;
    bool is_change = s->mode != TRADING_MODE_REAL || s->environment != cmd->environment;
    if (is_change && !cmd->confirm_real)
        return ERR_CONFIRMATION_MISSING;
    if (cmd->environment == ENVIRONMENT_NONE)
        return ERR_NOT_BOUND;
    return real_is_allowed(l->policy.trading_mode, cmd->environment) ? OK
                                                                     : ERR_ENVIRONMENT_NOT_ALLOWED;
}

/* What a new command meets in the account. */
static enum err
settings_judge_new(const struct ledger *l, const struct turn *t, const struct ledger_account *a,
                   const struct settings_set *cmd)
{
    const struct ledger_settings *s = &a->settings[cmd->trading_type - 1];
    enum err e = OK;
    if (cmd->mode == TRADING_MODE_REAL && t->live)
        e = settings_judge_real(l, s, cmd);
    else if (cmd->mode == TRADING_MODE_REAL && cmd->environment == ENVIRONMENT_NONE)
        e = ERR_NOT_BOUND;
    if (e == OK && leaves_exchange(s, cmd) && real_open(l, a, cmd->trading_type) > 0)
        e = ERR_REAL_ORDERS_OPEN;
    if (e == OK && leaves_exchange(s, cmd) && !exchange_can_empty(l, a, cmd->trading_type))
        e = ERR_NUMBER_RANGE;
    return e;
}

enum ledger_outcome
settings_set_request(struct ledger *l, const struct turn *t, struct settings_set *cmd)
{
    struct refused why;
    if (settings_set_judge(cmd, &why) != OK)
        return turn_refuse(t, &why);
    fill_rules_enrich(cmd);
    return settings_set_apply(l, t, cmd);
}

enum ledger_outcome
settings_set_apply(struct ledger *l, const struct turn *t, const struct settings_set *cmd)
{
    bool futures = cmd->trading_type == TRADING_TYPE_futures;
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    uint64_t hash = settings_set_hash(cmd);
    enum command_known known = command_known(a, cmd->command_id, hash);
    if (known == COMMAND_OTHER)
        return turn_refuse_plain(t, ERR_COMMAND_DIFFERS);
    if (known == COMMAND_NEW) {
        enum err e = settings_judge_new(l, t, a, cmd);
        if (e != OK)
            return turn_refuse_plain(t, e);
        if (leaves_exchange(&a->settings[cmd->trading_type - 1], cmd))
            exchange_empty(l, t, a, cmd->trading_type);
        settings_merge(&a->settings[cmd->trading_type - 1], cmd, t->now_us);
        account_touch(l, a, futures ? DIRTY_FUTURES_SETTINGS : DIRTY_SPOT_SETTINGS);
        command_remember(l, a, cmd->command_id, hash);
    }
    reply_settings(l, t->out, t->who, a, cmd->trading_type);
    return known == COMMAND_NEW ? LEDGER_CHANGED : LEDGER_ANSWERED;
}

enum ledger_outcome
tier_set_apply(struct ledger *l, const struct turn *t, const struct tier_set *cmd)
{
    /* Tiers come from the configuration, which a replay does not read. */
    if (t->live && cmd->tier >= l->policy.tiers_count) {
        struct refused why =
            refusal_of(ERR_NUMBER_RANGE, "tier",
                       text_of("at most %u, found %u", l->policy.tiers_count - 1, cmd->tier));
        return turn_refuse(t, &why);
    }
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    const uint64_t words[] = {MSG_tier_set, cmd->tier};
    uint64_t hash = map_hash(words, sizeof(words));
    enum command_known known = command_known(a, cmd->command_id, hash);
    if (known == COMMAND_OTHER)
        return turn_refuse_plain(t, ERR_COMMAND_DIFFERS);
    if (known == COMMAND_NEW) {
        a->tier = cmd->tier;
        account_touch(l, a, DIRTY_ACCOUNT);
        command_remember(l, a, cmd->command_id, hash);
    }
    reply_account(l, t->out, t->who, a);
    return known == COMMAND_NEW ? LEDGER_CHANGED : LEDGER_ANSWERED;
}
