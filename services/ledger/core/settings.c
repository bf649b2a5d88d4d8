/*
 * settings.c - settings_set and tier_set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/settings.h"

#include "ledger/core/account.h"
#include "ledger/core/fill_rules.h"

#define LEVERAGE_MAX_FUTURES 125
#define LEVERAGE_MAX_SPOT    1

static bool
has_fill_rules(const struct settings_set *cmd)
{
    return cmd->fill_preset != FILL_PRESET_NONE || cmd->fill_overrides != 0;
}

/* Without fill rules as it was before there were any: what old journals remember stays true. */
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
                              cmd->fill_overrides};
    return map_hash(words, has_fill_rules(cmd) ? sizeof(words) : 7 * sizeof(words[0]));
}

/* An absent setting stays as it is. */
static void
settings_merge(struct ledger_settings *s, const struct settings_set *cmd)
{
    if (cmd->mode != TRADING_MODE_NONE)
        s->mode = cmd->mode;
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
    if (cmd->leverage <= leverage_max)
        return fill_rules_judge(cmd, why);
    *why = refusal_of(ERR_NUMBER_RANGE, "leverage",
                      text_of("at most %u for %s, found %u", leverage_max,
                              futures ? "futures" : "spot", cmd->leverage));
    return ERR_NUMBER_RANGE;
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
    if (cmd->mode == TRADING_MODE_REAL)
        return turn_refuse_plain(t, ERR_MODE_NOT_AVAILABLE);
    uint64_t hash = settings_set_hash(cmd);
    enum command_known known = command_known(a, cmd->command_id, hash);
    if (known == COMMAND_OTHER)
        return turn_refuse_plain(t, ERR_COMMAND_DIFFERS);
    if (known == COMMAND_NEW) {
        settings_merge(&a->settings[cmd->trading_type - 1], cmd);
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
