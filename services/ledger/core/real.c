/*
 * real.c - see real.h: how REAL orders are admitted and opened, and what bridges are told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/real.h"

#include "base/instrument.h"
#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/place.h"
#include "ledger/core/send.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

/* ---- Whether ------------------------------------------------------------------------------ */

enum trading_type
real_type_of(code_t symbol)
{
    return instrument_fits(TRADING_TYPE_futures, symbol) ? TRADING_TYPE_futures : TRADING_TYPE_spot;
}

bool
real_is_for(const struct ledger_account *a, code_t symbol)
{
    const struct ledger_settings *s = &a->settings[real_type_of(symbol) - 1];
    return s->mode == TRADING_MODE_REAL && !s->dry_run_mode;
}

bool
real_is_allowed(enum ledger_trading mode, enum environment e)
{
    if (e == ENVIRONMENT_testnet)
        return mode == LEDGER_TRADES_TESTNET || mode == LEDGER_TRADES_LIVE;
    return e == ENVIRONMENT_live && mode == LEDGER_TRADES_LIVE;
}

struct refused
real_unsupported(const char *field, const char *detail)
{
    return refusal_of(ERR_REAL_UNSUPPORTED, field, text_of("%s", detail));
}

uint32_t
real_open(const struct ledger *l, const struct ledger_account *a, enum trading_type type)
{
    uint32_t count = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        count += order_is_real(&l->orders[i]) && order_type_of(l, &l->orders[i]) == type;
    return count;
}

/* ---- Admission ---------------------------------------------------------------------------- */

static bool
prevention_is_theirs(enum self_trade_prevention p)
{
    return p == SELF_TRADE_PREVENTION_NONE || p == SELF_TRADE_PREVENTION_EXPIRE_TAKER ||
           p == SELF_TRADE_PREVENTION_EXPIRE_MAKER || p == SELF_TRADE_PREVENTION_EXPIRE_BOTH;
}

/* What the exchange's orders do not have, of those that are well-formed here. */
static enum err
real_judge(const struct order_place *cmd, enum trading_type type, struct refused *why)
{
    bool futures = type == TRADING_TYPE_futures;
    const struct {
        bool is_asked;
        const char *field, *detail;
    } asked[] = {
        {cmd->type > (futures ? ORDER_TYPE_LIMIT_MAKER : ORDER_TYPE_TRAILING_STOP), "type",
         "real futures orders are MARKET, LIMIT and LIMIT_MAKER"},
        {cmd->time_in_force == TIME_IN_FORCE_DAY, "time_in_force", "the exchange has no DAY"},
        {cmd->time_in_force == TIME_IN_FORCE_GTD && !futures, "time_in_force",
         "GTD is for futures"},
        {cmd->quote_order_quantity.v != 0 && futures, "quote_order_quantity",
         "real futures orders have a quantity"},
        {cmd->trigger_source > TRIGGER_SOURCE_LAST, "trigger_source",
         "the exchange goes by the last price"},
        {cmd->iceberg_quantity.v != 0 && futures, "iceberg_quantity", "not for futures"},
        {!prevention_is_theirs(cmd->self_trade_prevention), "self_trade_prevention",
         "EXPIRE_TAKER, EXPIRE_MAKER or EXPIRE_BOTH"},
        {cmd->fill_model != FILL_MODEL_NONE, "fill_model", "only for orders on paper"},
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (!asked[i].is_asked)
            continue;
        *why = real_unsupported(asked[i].field, asked[i].detail);
        return why->error;
    }
    return OK;
}

static enum err
admit_refuse(enum err e, const char *field, struct refused *why)
{
    *why = refusal(e);
    if (e != OK && field != NULL)
        why->field = code_of(field);
    return e;
}

static enum err
admit_environment(const struct ledger *l, const struct ledger_settings *s, struct refused *why)
{
    if (l->policy.trading_mode == LEDGER_TRADES_PAPER)
        return admit_refuse(ERR_MODE_NOT_AVAILABLE, NULL, why);
    bool fits = real_is_allowed(l->policy.trading_mode, s->environment);
    return admit_refuse(fits ? OK : ERR_ENVIRONMENT_NOT_ALLOWED, NULL, why);
}

static enum err
admit_count(const struct ledger *l, const struct ledger_account *a, struct refused *why)
{
    uint32_t limit = l->policy.orders_per_account_max;
    if (a->open_orders < limit)
        return OK;
    *why = refusal_of(ERR_FILTER_MAX_ORDERS, "symbol",
                      text_of("%u orders per account: %u are open", limit, a->open_orders));
    return why->error;
}

/* A contract counts itself: what a futures account has of it is a position. */
static void
real_enrich(const struct ledger *l, const struct ledger_settings *s, const struct ledger_symbol *of,
            int64_t now_us, struct order_place *cmd)
{
    bool futures = real_type_of(cmd->symbol) == TRADING_TYPE_futures;
    cmd->trading_type = futures ? TRADING_TYPE_futures : TRADING_TYPE_spot;
    cmd->environment = s->environment;
    cmd->send_by_us = now_us + l->policy.bridge_send_us;
    cmd->base_asset = futures ? cmd->symbol : of->rules.base_asset;
    cmd->quote_asset = of->rules.quote_asset;
    cmd->reference_price = of->last;
    cmd->market_us = admit_market_us(l, of);
}

enum err
real_admit(struct ledger *l, const struct ledger_account *a, int64_t now_us,
           struct order_place *cmd, struct refused *why)
{
    enum trading_type type = real_type_of(cmd->symbol);
    const struct ledger_settings *s = &a->settings[type - 1];
    enum err e = admit_environment(l, s, why);
    if (e == OK)
        e = real_judge(cmd, type, why);
    if (e != OK)
        return e;
    uint32_t symbol = symbol_find(l, cmd->symbol);
    if (symbol == LEDGER_NONE || !l->symbols[symbol].is_known) {
        *why = refusal_of(ERR_SYMBOL_UNKNOWN, "symbol", text_of("%s", cmd->symbol.text));
        return why->error;
    }
    e = admit_count(l, a, why);
    if (e != OK)
        return e;
    if (cmd->time_in_force == TIME_IN_FORCE_GTD && cmd->expire_us <= now_us)
        return admit_refuse(ERR_EXPIRY_INVALID, "expire_us", why);
    if (!order_room(l))
        return admit_refuse(ERR_ORDERS_FULL, NULL, why);
    if (l->bridge_away)
        return admit_refuse(ERR_BRIDGE_UNAVAILABLE, NULL, why);
    real_enrich(l, s, &l->symbols[symbol], now_us, cmd);
    if (s->live_twin && type == TRADING_TYPE_futures)
        cmd->twin_refused = ERR_FUTURES_UNAVAILABLE;
    else if (s->live_twin)
        twin_judge(l, a, now_us, cmd);
    return OK;
}

/* ---- Applying ----------------------------------------------------------------------------- */

/* The order without what the command says of its twin. */
static struct order_place
real_command(const struct order_place *cmd)
{
    struct order_place own = *cmd;
    own.worst_price.v = own.step_size.v = own.hold.v = 0;
    own.maker_fee_rate.v = own.taker_fee_rate.v = 0;
    own.fill_model = FILL_MODEL_NONE;
    own.fill_preset = FILL_PRESET_NONE;
    own.latency_us = own.cancel_latency_us = own.slippage_bps = 0;
    own.is_refused = false;
    return own;
}

static bool
real_is_enriched(const struct order_place *cmd)
{
    return cmd->send_by_us > 0 && !code_empty(cmd->base_asset) && !code_empty(cmd->quote_asset) &&
           (!cmd->has_twin || place_is_enriched(cmd));
}

enum ledger_outcome
real_place_apply(struct ledger *l, const struct turn *t, const struct order_place *cmd)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!t->live && (!real_is_enriched(cmd) ||
                     order_find_client(l, account_index(l, a), &cmd->client_order_id) != NULL))
        return turn_refuse_plain(t, ERR_INTERNAL);
    bool waits = t->live && t->who.peer != 0;
    if (waits && l->waiters_spare == 0)
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    const struct order_place own = real_command(cmd);
    struct place_names names;
    enum err e = place_room(l, a, &own, 1, &names);
    if (e == OK && cmd->has_twin)
        e = twin_room(l, a, cmd);
    if (e != OK)
        return turn_refuse_plain(t, e);

    /* Nothing below can fail. */
    const struct place_ties ties = {.end = ORDER_END_NONE};
    struct ledger_order *o = place_add(l, t, a, &own, &names, &ties);
    o->heard_us = t->now_us;
    if (waits)
        CHECK(waiter_add(l, o, WAITER_PLACE, t->who));
    if (cmd->has_twin)
        twin_place(l, t, a, cmd, o);
    event_of_order(l, o, t->out);
    if (t->live)
        send_bridge(l, t, o, MSG_bridge_place);
    return LEDGER_CHANGED;
}

/* ---- What bridges are told ---------------------------------------------------------------- */

struct bridge_place
real_say(const struct ledger *l, const struct ledger_order *o)
{
    const struct ledger_account *a = &l->accounts[o->account];
    enum trading_type type = order_type_of(l, o);
    bool is_contract = type == TRADING_TYPE_futures;
    return (struct bridge_place){
        .account_id = a->id,
        .user_id = a->user_id,
        .trading_type = type,
        .order = order_say(l, o),
        .reference_price = o->reference_price,
        .position = {is_contract ? l->balances[o->base_balance].free.v : 0}};
}

uint32_t
ledger_next_real(const struct ledger *l, uint32_t from)
{
    for (uint32_t i = from; i < l->orders_reached; i++)
        if (order_is_real(&l->orders[i]) && order_is_live(&l->orders[i]))
            return i;
    return LEDGER_NONE;
}

bool
ledger_real_ask(const struct ledger *l, uint32_t order, struct bridge_ask *out)
{
    const struct ledger_order *o = &l->orders[order];
    const struct bridge_place said = real_say(l, o);
    *out = real_as_ask(&said);
    return order_is_live(o) && order_is_unresolved(o);
}

bool
ledger_real_cancel(const struct ledger *l, uint32_t order, struct bridge_cancel *out)
{
    const struct ledger_order *o = &l->orders[order];
    const struct bridge_place said = real_say(l, o);
    *out = real_as_cancel(&said);
    return order_is_live(o) && o->exchange_state == EXCHANGE_STATE_PLACED && o->pulled_us != 0;
}
