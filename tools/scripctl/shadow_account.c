/*
 * shadow_account.c - the second account's trades, changes of paper balances, accounts and settings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "scripctl/shadow_parts.h"

#define ID(id) ((unsigned long long)(id))

#define LEVERAGE_MAX 125
#define LATENCY_MAX  60000000u
#define SLIPPAGE_MAX 1000u
#define REJECT_MAX   10000u

/* ---- Trades ------------------------------------------------------------------------------- */

static bool
evidence_same(const struct evidence *a, const struct evidence *b)
{
    return a->source == b->source && a->sequence == b->sequence && a->price.v == b->price.v &&
           a->quantity.v == b->quantity.v && a->time_us == b->time_us && a->is_stale == b->is_stale;
}

/* NULL, or which field is not the report's or the order's. */
static const char *
trade_differs(const struct shadow *s, const struct shadow_order *o, const struct match_fill *f,
              const struct twin_step *step, const struct trade_row *row)
{
    const struct trade *t = &row->trade;
    code_t gets = s->codes[s->balances[o->side == SIDE_BUY ? o->base : o->quote].asset];
    wide quote = wide_floor(f->price.v, f->quantity.v);
    wide received = o->side == SIDE_BUY ? (wide)f->quantity.v : quote;
    rate_t rate = f->is_maker ? o->maker_fee_rate : o->taker_fee_rate;
    if (t->order_id != o->id || row->account_id != o->account_id)
        return "order";
    if (t->side != o->side || !code_same(t->symbol, s->codes[o->symbol]))
        return "side or symbol";
    if (t->price.v != f->price.v || t->quantity.v != f->quantity.v)
        return "price or quantity";
    if (t->is_maker != f->is_maker || !evidence_same(&t->evidence, &f->evidence))
        return "evidence";
    if (t->quote_quantity.v != quote)
        return "quote quantity";
    if (t->fee.v != wide_ceil((int64_t)received, rate.v) || !code_same(t->fee_asset, gets))
        return "fee";
    return t->time_us == step->record->time_us ? NULL : "time";
}

static void
trade_is_due(struct shadow *s, const struct shadow_order *o, const struct trade *t)
{
    bool buys = o->side == SIDE_BUY;
    wide base = buys ? t->quantity.v : -t->quantity.v;
    wide quote = buys ? -t->quote_quantity.v : t->quote_quantity.v;
    shadow_due(s, o->base, base - (buys ? t->fee.v : 0));
    shadow_due(s, o->quote, quote - (buys ? 0 : t->fee.v));
    shadow_due(s, o->house_base, -base);
    shadow_due(s, o->house_quote, -quote);
    shadow_due(s, o->fees, t->fee.v);
}

bool
shadow_next_trade(struct shadow *s, const struct twin_step *step, uint32_t i, char why[WHY_BYTES])
{
    uint32_t shard = step->record->shard;
    uint64_t found = step->trades[i].trade.trade_id;
    uint64_t id = (uint64_t)shard << 47 | (s->shards[shard].trades + 1);
    s->shards[shard].trades++;
    return found == id ||
           shadow_wrong(why, "trade %llu comes, and %llu is the next number", ID(found), ID(id));
}

static bool
trade_is_right(struct shadow *s, const struct shadow_order *o, const struct twin_step *step,
               uint32_t i, char why[WHY_BYTES])
{
    const struct trade_row *row = &step->trades[i];
    if (!shadow_next_trade(s, step, i, why))
        return false;
    const char *differs = trade_differs(s, o, &step->cmd->order_report.fills[i], step, row);
    if (differs != NULL)
        return shadow_wrong(why, "trade %llu: its %s is not what the report's fill comes to",
                            ID(row->trade.trade_id), differs);
    trade_is_due(s, o, &row->trade);
    return true;
}

bool
shadow_trades(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    const struct order_report *r = &step->cmd->order_report;
    if (step->cmd->type == MSG_bridge_report)
        return shadow_real_trades(s, step, why);
    uint32_t fills = step->cmd->type == MSG_order_report ? r->fills_count : 0;
    if (step->trades_count != fills)
        return shadow_wrong(why, "it has %u fills and makes %u trades", fills, step->trades_count);
    const struct shadow_order *o = fills > 0 ? shadow_order(s, r->order_id) : NULL;
    if (fills > 0 && o == NULL)
        return shadow_wrong(why, "it fills order %llu, which is not open", ID(r->order_id));
    for (uint32_t i = 0; i < fills; i++)
        if (!trade_is_right(s, o, step, i, why))
            return false;
    if (step->stories_count == 0)
        return true;
    bool is_told = step->cmd->type == MSG_order_report && step->stories_count == 1 &&
                   r->stories_count == 1 && r->end != ORDER_END_NONE &&
                   step->stories[0].order_id == r->order_id;
    return is_told || shadow_wrong(why, "a story is told that the report does not tell");
}

/* ---- Paper balances ----------------------------------------------------------------------- */

static bool
change_is_right(struct shadow *s, const struct twin_step *step, const struct change_row *row,
                money_t asked, char why[WHY_BYTES])
{
    uint32_t shard = step->record->shard;
    const struct balance_change *c = &row->change;
    code_t cash = code_of(LEDGER_CASH);
    uint64_t id = (uint64_t)shard << 47 | (s->shards[shard].changes + 1);
    uint64_t issuance = ledger_system_id(SYSTEM_ISSUANCE, shard);
    if (c->change_id != id)
        return shadow_wrong(why, "balance change %llu comes, and %llu is the next number",
                            ID(c->change_id), ID(id));
    s->shards[shard].changes++;
    if (c->new_balance.v != asked.v || c->time_us != step->record->time_us)
        return shadow_wrong(why, "balance change %llu is not what was asked for", ID(id));
    wide by = (wide)c->new_balance.v - c->old_balance.v;
    uint32_t own = shadow_balance_take(s, row->account_id, wallet_on_paper(row->wallet), cash);
    shadow_due(s, own, by);
    shadow_due(s, shadow_balance_take(s, issuance, wallet_on_paper(row->wallet), cash), -by);
    wide now = (wide)s->balances[own].free.v + s->balances[own].held.v;
    return now == c->new_balance.v || shadow_wrong(why, "balance change %llu does not leave %s",
                                                   ID(id), amount_text(c->new_balance.v).text);
}

bool
shadow_changes(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    const struct msg *cmd = step->cmd;
    bool opens = cmd->type == MSG_account_open, sets = cmd->type == MSG_balance_set;
    uint32_t count = opens ? LEDGER_TYPES : sets ? 1 : 0;
    if (step->changes_count != count)
        return shadow_wrong(why, "it changes %u paper balances, %u were asked for",
                            step->changes_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct change_row *row = &step->changes[i];
        uint64_t account = opens ? cmd->account_open.account_id : cmd->balance_set.account_id;
        enum trading_type wallet =
            opens ? (enum trading_type)(TRADING_TYPE_spot + i) : cmd->balance_set.trading_type;
        money_t asked = opens && i == 0 ? cmd->account_open.spot_balance
                        : opens         ? cmd->account_open.futures_balance
                                        : cmd->balance_set.balance;
        if (row->account_id != account || row->wallet != wallet)
            return shadow_wrong(why, "it changes the paper balance of another account");
        if (!change_is_right(s, step, row, asked, why))
            return false;
    }
    return true;
}

/* ---- Accounts ----------------------------------------------------------------------------- */

static bool
fill_rules_same(const struct fill_rules *x, const struct fill_rules *y)
{
    return x->fill_preset == y->fill_preset && x->fill_model == y->fill_model &&
           x->latency_us == y->latency_us && x->latency_spread_us == y->latency_spread_us &&
           x->slippage_bps == y->slippage_bps && x->reject_bps == y->reject_bps &&
           x->seed == y->seed;
}

/* All but the fill rules. */
static bool
rest_same(const struct ledger_settings *a, const struct ledger_settings *b)
{
    return a->mode == b->mode && a->dry_run_mode == b->dry_run_mode &&
           a->auto_trading == b->auto_trading && a->margin_per_trade.v == b->margin_per_trade.v &&
           a->leverage == b->leverage && a->live_twin == b->live_twin &&
           a->environment == b->environment && code_same(a->api_key_tail, b->api_key_tail) &&
           a->real_since_us == b->real_since_us;
}

/* A wallet is bound to an exchange as long as it is REAL. */
static bool
settings_in_range(const struct ledger_settings *s, bool is_futures)
{
    const struct fill_rules *f = &s->fill;
    bool is_real = s->mode == TRADING_MODE_REAL;
    bool is_bound = s->environment == ENVIRONMENT_testnet || s->environment == ENVIRONMENT_live;
    bool is_free = s->environment == ENVIRONMENT_NONE && s->real_since_us == 0 &&
                   s->api_key_tail.text[0] == '\0';
    return (is_real ? is_bound : is_free && s->mode == TRADING_MODE_PAPER) &&
           s->margin_per_trade.v > 0 && s->leverage >= 1 &&
           s->leverage <= (is_futures ? LEVERAGE_MAX : 1) && f->latency_us <= LATENCY_MAX &&
           f->latency_spread_us <= LATENCY_MAX && f->slippage_bps <= SLIPPAGE_MAX &&
           f->reject_bps <= REJECT_MAX;
}

/* To REAL it is bound, and its orders are not simulated any more; back from it it is free, and they
 * are. */
static void
mode_as_set(struct ledger_settings *s, const struct settings_set *c, int64_t now_us)
{
    bool was_real = s->mode == TRADING_MODE_REAL;
    bool was_there = was_real && s->environment == c->environment;
    s->mode = c->mode;
    if (c->mode == TRADING_MODE_REAL) {
        s->real_since_us = was_there ? s->real_since_us : now_us;
        s->environment = c->environment;
        s->api_key_tail = c->api_key_tail;
        s->dry_run_mode = false;
    } else if (was_real) {
        s->environment = ENVIRONMENT_NONE;
        s->api_key_tail = (code_t){{0}};
        s->real_since_us = 0;
        s->dry_run_mode = true;
    }
}

/* Each setting is what it was, or what the command says. */
static bool
settings_as_set(const struct ledger_settings *old, const struct ledger_settings *now,
                const struct settings_set *c, int64_t now_us)
{
    const struct fill_rules *x = &old->fill, *y = &now->fill;
    struct ledger_settings set = *old;
    if (c->mode != TRADING_MODE_NONE)
        mode_as_set(&set, c, now_us);
    if (c->live_twin != TRI_ABSENT)
        set.live_twin = c->live_twin == TRI_TRUE;
    if (c->dry_run_mode != TRI_ABSENT)
        set.dry_run_mode = c->dry_run_mode == TRI_TRUE;
    if (c->auto_trading != TRI_ABSENT)
        set.auto_trading = c->auto_trading == TRI_TRUE;
    if (c->leverage != 0)
        set.leverage = c->leverage;
    if (c->margin_per_trade.v != 0)
        set.margin_per_trade = c->margin_per_trade;
    return rest_same(&set, now) &&
           (y->fill_model == x->fill_model || y->fill_model == c->fill_model) &&
           (y->latency_us == x->latency_us || y->latency_us == c->latency_us) &&
           (y->latency_spread_us == x->latency_spread_us ||
            y->latency_spread_us == c->latency_spread_us) &&
           (y->slippage_bps == x->slippage_bps || y->slippage_bps == c->slippage_bps) &&
           (y->reject_bps == x->reject_bps || y->reject_bps == c->reject_bps) &&
           (y->seed == x->seed || y->seed == c->seed);
}

bool
shadow_leaves_exchange(const struct shadow_account *a, const struct msg *cmd,
                       enum trading_type type)
{
    const struct settings_set *c = &cmd->settings_set;
    const struct ledger_settings *s = &a->settings[type - TRADING_TYPE_spot];
    if (cmd->type != MSG_settings_set || c->account_id != a->id || c->trading_type != type ||
        c->mode == TRADING_MODE_NONE || s->mode != TRADING_MODE_REAL)
        return false;
    return c->mode != TRADING_MODE_REAL || c->environment != s->environment;
}

/* When the exchange last told of a wallet: only it says so, and only later than before. */
static bool
told_is_right(const struct shadow_account *a, const struct account_row *row, const struct msg *cmd,
              enum trading_type type, char why[WHY_BYTES])
{
    const struct exchange_account *told = &cmd->exchange_account;
    uint32_t i = type - TRADING_TYPE_spot;
    bool is_told = cmd->type == MSG_exchange_account && told->trading_type == type &&
                   told->account_id == a->id;
    int64_t expected = is_told                                ? told->as_of_us
                       : shadow_leaves_exchange(a, cmd, type) ? 0
                                                              : a->exchange_us[i];
    if (row->exchange_us[i] != expected || (is_told && expected <= a->exchange_us[i]))
        return shadow_wrong(why, "account %llu: the exchange has not told of it then",
                            ID(row->account_id));
    return a->real_open[i] == 0 || !shadow_leaves_exchange(a, cmd, type) ||
           shadow_wrong(why, "account %llu leaves its exchange with real orders open",
                        ID(row->account_id));
}

static bool
settings_are_right(const struct shadow_account *a, const struct account_row *row,
                   const struct twin_step *step, bool is_new, char why[WHY_BYTES])
{
    const struct msg *cmd = step->cmd;
    for (uint32_t i = 0; i < LEDGER_TYPES; i++) {
        enum trading_type type = (enum trading_type)(TRADING_TYPE_spot + i);
        bool is_set = cmd->type == MSG_settings_set && cmd->settings_set.trading_type == type;
        const struct ledger_settings *old = &a->settings[i], *now = &row->settings[i];
        const char *name = msg_enum_name(MSG_ENUM_trading_type, type);
        if (!is_new && !is_set && !(rest_same(old, now) && fill_rules_same(&old->fill, &now->fill)))
            return shadow_wrong(why, "account %llu: its %s settings change unasked",
                                ID(row->account_id), name);
        if (is_set && !settings_as_set(old, now, &cmd->settings_set, step->record->time_us))
            return shadow_wrong(why, "account %llu: its %s settings are not those asked for",
                                ID(row->account_id), name);
        if ((is_new || is_set) && !settings_in_range(now, type == TRADING_TYPE_futures))
            return shadow_wrong(why, "account %llu: a %s setting is out of range",
                                ID(row->account_id), name);
        if (!told_is_right(a, row, cmd, type, why))
            return false;
    }
    return true;
}

/* Orders that the command placed. */
static uint64_t
orders_of(const struct msg *cmd)
{
    if (cmd->type == MSG_list_place)
        return cmd->list_place.orders_count;
    if (cmd->type == MSG_order_place)
        return cmd->order_place.has_twin ? 2 : 1;
    return cmd->type == MSG_order_replace ? 1 : 0;
}

static uint64_t
command_id_of(const struct msg *cmd)
{
    switch (cmd->type) {
    case MSG_balance_set:
        return cmd->balance_set.command_id;
    case MSG_settings_set:
        return cmd->settings_set.command_id;
    case MSG_tier_set:
        return cmd->tier_set.command_id;
    default:
        return 0;
    }
}

static bool
account_is_right(const struct shadow_account *a, const struct account_row *row,
                 const struct twin_step *step, bool is_new, char why[WHY_BYTES])
{
    const struct msg *cmd = step->cmd;
    uint64_t command_id = command_id_of(cmd);
    uint32_t next = (a->commands_next + (command_id != 0)) % LEDGER_COMMANDS_MAX;
    uint32_t tier = is_new                      ? cmd->account_open.tier
                    : cmd->type == MSG_tier_set ? cmd->tier_set.tier
                                                : a->tier;
    const char *wrong = NULL;
    if (row->user_id != a->user_id)
        wrong = "owner";
    else if (row->tier != tier)
        wrong = "tier";
    else if (row->orders_placed != a->orders_placed + orders_of(cmd))
        wrong = "number of orders";
    else if (row->event_sequence < a->event_sequence)
        wrong = "number of events";
    else if (row->commands_next != next ||
             (command_id != 0 && row->commands[a->commands_next].id != command_id))
        wrong = "list of commands";
    if (wrong != NULL)
        return shadow_wrong(why, "account %llu: its %s is not what the record makes of it",
                            ID(row->account_id), wrong);
    return settings_are_right(a, row, step, is_new, why);
}

struct shadow_account *
shadow_account(const struct shadow *s, uint64_t account_id)
{
    uint32_t place = account_id == 0 ? MAP_NONE : places_get(&s->account_by_id, account_id);
    return place == MAP_NONE ? NULL : &s->accounts[place];
}

bool
shadow_account_rows(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    for (uint32_t i = 0; i < step->accounts_count; i++) {
        const struct account_row *row = &step->accounts[i];
        uint32_t place = places_get(&s->account_by_id, row->account_id);
        bool is_new = place == MAP_NONE;
        if (is_new) {
            if (step->cmd->type != MSG_account_open ||
                step->cmd->account_open.account_id != row->account_id)
                return shadow_wrong(why, "account %llu was never opened", ID(row->account_id));
            s->accounts =
                array_room(s->accounts, s->accounts_count, &s->accounts_max, sizeof *s->accounts);
            place = s->accounts_count++;
            places_set(&s->account_by_id, row->account_id, place);
            s->accounts[place] =
                (struct shadow_account){.id = row->account_id,
                                        .user_id = step->cmd->account_open.user_id,
                                        .first_exchange = {SHADOW_NONE, SHADOW_NONE}};
        }
        struct shadow_account *a = &s->accounts[place];
        if (!account_is_right(a, row, step, is_new, why))
            return false;
        a->event_sequence = row->event_sequence;
        a->orders_placed = row->orders_placed;
        a->tier = row->tier;
        a->commands_next = row->commands_next;
        memcpy(a->settings, row->settings, sizeof a->settings);
        memcpy(a->exchange_us, row->exchange_us, sizeof a->exchange_us);
    }
    return true;
}
