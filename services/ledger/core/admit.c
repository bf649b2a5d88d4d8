/*
 * admit.c - the refusals of order_place in the order of errors.def, then the enrichment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/admit.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/filter.h"
#include "ledger/core/order.h"
#include "ledger/core/reply.h"

/* Amounts stay below a quarter of int64, so that sums of a few never overflow. */
#define AMOUNT_MAX (INT64_MAX / 4)

static enum err
admit_refuse(enum err e, const char *field, text_t detail, struct refused *why)
{
    *why = refusal_of(e, field, detail);
    return e;
}

/* ---- Shape ------------------------------------------------------------------------------ */

static enum err
shape_missing(const struct order_place *cmd, struct refused *why)
{
    bool market = cmd->type == ORDER_TYPE_MARKET;
    if (cmd->quantity.v == 0 && !(market && cmd->quote_order_quantity.v != 0))
        return admit_refuse(ERR_FIELD_MISSING, "quantity",
                            text_of(market ? "a MARKET order needs quantity or "
                                             "quote_order_quantity"
                                           : "this order type needs a quantity"),
                            why);
    if (!market && cmd->price.v == 0)
        return admit_refuse(ERR_FIELD_MISSING, "price", text_of("this order type needs a price"),
                            why);
    return OK;
}

static enum err
shape_range(const char *field, int64_t amount, struct refused *why)
{
    if (amount <= AMOUNT_MAX)
        return OK;
    return admit_refuse(ERR_NUMBER_RANGE, field, text_of("it is too large"), why);
}

static enum err
shape_positive(const char *field, int64_t amount, struct refused *why)
{
    if (amount >= 0) /* 0 is absent */
        return OK;
    return admit_refuse(ERR_NUMBER_NOT_POSITIVE, field, text_of("it is below zero"), why);
}

static enum err
shape_clash(const struct order_place *cmd, struct refused *why)
{
    bool market = cmd->type == ORDER_TYPE_MARKET;
    enum time_in_force tif = cmd->time_in_force;
    if (cmd->quote_order_quantity.v != 0 && (!market || cmd->quantity.v != 0))
        return admit_refuse(ERR_FIELDS_CLASH, "quote_order_quantity",
                            text_of("only for MARKET orders, and without quantity"), why);
    if (market && cmd->price.v != 0)
        return admit_refuse(ERR_FIELDS_CLASH, "price", text_of("a MARKET order has no price"), why);
    if (market && tif != TIME_IN_FORCE_NONE && tif != TIME_IN_FORCE_IOC)
        return admit_refuse(ERR_FIELDS_CLASH, "time_in_force",
                            text_of("a MARKET order never rests"), why);
    if (cmd->type == ORDER_TYPE_LIMIT_MAKER && tif != TIME_IN_FORCE_NONE &&
        tif != TIME_IN_FORCE_GTC)
        return admit_refuse(ERR_FIELDS_CLASH, "time_in_force",
                            text_of("a LIMIT_MAKER order always rests"), why);
    return OK;
}

/* Nothing that a client asks for is passed over in silence. */
static enum err
shape_unsupported(const struct order_place *cmd, struct refused *why)
{
    const struct {
        bool is_set;
        const char *field;
    } fields[] = {{cmd->stop_price.v != 0, "stop_price"},
                  {cmd->trailing_delta != 0, "trailing_delta"},
                  {cmd->trigger_source != TRIGGER_SOURCE_NONE, "trigger_source"},
                  {cmd->iceberg_quantity.v != 0, "iceberg_quantity"},
                  {cmd->expire_us != 0, "expire_us"},
                  {cmd->self_trade_prevention != SELF_TRADE_PREVENTION_NONE,
                   "self_trade_prevention"},
                  {cmd->callback_rate.v != 0, "callback_rate"},
                  {cmd->activation_price.v != 0, "activation_price"},
                  {cmd->fill_model != FILL_MODEL_NONE, "fill_model"},
                  {cmd->time_in_force > TIME_IN_FORCE_FOK, "time_in_force"}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].is_set)
            return admit_refuse(ERR_FIELDS_CLASH, fields[i].field,
                                text_of("no order type that is supported takes it"), why);
    return OK;
}

enum err
admit_shape(struct order_place *cmd, struct refused *why)
{
    enum err e = shape_missing(cmd, why);
    if (e == OK)
        e = shape_unsupported(cmd, why);
    if (e == OK)
        e = shape_range("quantity", cmd->quantity.v, why);
    if (e == OK)
        e = shape_range("quote_order_quantity", cmd->quote_order_quantity.v, why);
    if (e == OK)
        e = shape_range("price", cmd->price.v, why);
    if (e == OK)
        e = shape_positive("quantity", cmd->quantity.v, why);
    if (e == OK)
        e = shape_positive("quote_order_quantity", cmd->quote_order_quantity.v, why);
    if (e == OK)
        e = shape_positive("price", cmd->price.v, why);
    if (e == OK)
        e = shape_clash(cmd, why);
    if (e == OK && cmd->time_in_force == TIME_IN_FORCE_NONE)
        cmd->time_in_force = cmd->type == ORDER_TYPE_MARKET ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_GTC;
    return e;
}

/* ---- Market ----------------------------------------------------------------------------- */

/* Binance counts per symbol; the deployment's own limit counts over all of them. */
static enum err
admit_count(const struct ledger *l, const struct ledger_account *a, uint32_t symbol,
            const struct order_place *cmd, struct refused *why)
{
    uint32_t limit = l->policy.orders_per_account_max;
    if (a->open_orders >= limit)
        return admit_refuse(ERR_FILTER_MAX_ORDERS, "symbol",
                            text_of("%u orders per account: %u are open", limit, a->open_orders),
                            why);
    limit = l->symbols[symbol].rules.orders_max;
    /* Counting the symbol's orders is only needed when all of them together are too many. */
    if (limit == 0 || cmd->type == ORDER_TYPE_MARKET || a->open_orders < limit)
        return OK;
    uint32_t count = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        count += l->orders[i].symbol == symbol && l->orders[i].type != ORDER_TYPE_MARKET;
    if (count < limit)
        return OK;
    return admit_refuse(ERR_FILTER_MAX_ORDERS, "symbol",
                        text_of("MAX_NUM_ORDERS %u: %u are open", limit, count), why);
}

/* A market order's cap: the slippage allowed from the last price, cut to the tick towards it. */
static price_t
worst_price(const struct ledger *l, const struct symbol_rules *r, price_t last,
            const struct order_place *cmd)
{
    if (cmd->type != ORDER_TYPE_MARKET)
        return cmd->price;
    int64_t slip;
    if (decimal_mul_floor(last.v, l->policy.slippage_max.v, &slip) != OK)
        slip = 0;
    int64_t worst;
    if (cmd->side == SIDE_BUY) {
        if (__builtin_add_overflow(last.v, slip, &worst)) /* a price this high has no room above */
            worst = INT64_MAX;
        worst = step_floor(worst, r->tick_size.v);
        return (price_t){worst < last.v ? last.v : worst};
    }
    if (!step_ceil(last.v - slip, r->tick_size.v, &worst) || worst > last.v)
        return last;
    return (price_t){worst > 0 ? worst : 1};
}

/* What it must set aside. NUMBER_RANGE past int64; FUNDS_TOO_LOW when a seller by quote amount
 * has not even what the last price asks for. */
static enum err
hold_of(const struct order_place *cmd, money_t free, money_t *hold)
{
    if (cmd->side == SIDE_SELL && cmd->quantity.v > 0) {
        *hold = money_of_qty(cmd->quantity);
        return OK;
    }
    if (cmd->side == SIDE_BUY && cmd->quantity.v == 0) {
        *hold = cmd->quote_order_quantity;
        return OK;
    }
    if (cmd->side == SIDE_BUY)
        return notional_ceil(cmd->worst_price, cmd->quantity, hold);

    int64_t step = cmd->step_size.v;
    int64_t needed, most;
    if (decimal_div_ceil(cmd->quote_order_quantity.v, cmd->reference_price.v, &needed) != OK ||
        decimal_div_ceil(cmd->quote_order_quantity.v, cmd->worst_price.v, &most) != OK ||
        !step_ceil(most, step, &most))
        return ERR_NUMBER_RANGE;
    int64_t have = step_floor(free.v, step);
    if (have < needed || have == 0)
        return ERR_FUNDS_TOO_LOW;
    hold->v = have < most ? have : most;
    return OK;
}

static void
enrich(const struct ledger *l, const struct ledger_account *a, const struct ledger_symbol *s,
       price_t last, struct order_place *cmd)
{
    const struct symbol_rules *r = &s->rules;
    uint32_t tier_last = l->policy.tiers_count - 1;
    const struct ledger_tier *tier = &l->policy.tiers[a->tier < tier_last ? a->tier : tier_last];
    int64_t step = r->step_size.v > r->market_step_size.v ? r->step_size.v : r->market_step_size.v;
    cmd->base_asset = r->base_asset;
    cmd->quote_asset = r->quote_asset;
    cmd->reference_price = last;
    cmd->worst_price = worst_price(l, r, last, cmd);
    cmd->step_size.v = step > 0 ? step : 1;
    cmd->maker_fee_rate = tier->maker_fee_rate;
    cmd->taker_fee_rate = tier->taker_fee_rate;
}

/* What it may bring in, together with all that is open, can be counted. */
static enum err
admit_income(const struct ledger *l, const struct ledger_account *a, const struct order_place *cmd,
             struct refused *why)
{
    const struct ledger_order o = {.side = (uint8_t)cmd->side,
                                   .quantity = cmd->quantity,
                                   .quote_quantity = cmd->quote_order_quantity,
                                   .worst_price = cmd->worst_price,
                                   .reference_price = cmd->reference_price,
                                   .step_size = cmd->step_size};
    code_t gets = cmd->side == SIDE_BUY ? cmd->base_asset : cmd->quote_asset;
    if (income_fits(l, a->shard, TRADING_TYPE_spot, asset_find(l, gets), order_income(&o)))
        return OK;
    return admit_refuse(ERR_NUMBER_RANGE, "quantity",
                        text_of("with what is open, more %s than can be counted", gets.text), why);
}

static enum err
admit_funds(const struct ledger *l, const struct ledger_account *a, struct order_place *cmd,
            struct refused *why)
{
    bool buys = cmd->side == SIDE_BUY;
    code_t pays = buys ? cmd->quote_asset : cmd->base_asset;
    uint32_t asset = asset_find(l, pays);
    const struct ledger_balance *b =
        asset == LEDGER_NONE ? NULL
                             : balance_find(l, account_index(l, a), TRADING_TYPE_spot, asset);
    money_t free = b == NULL ? (money_t){0} : b->free;
    enum err e = hold_of(cmd, free, &cmd->hold);
    if (e == OK && money_less(free, cmd->hold))
        e = ERR_FUNDS_TOO_LOW;
    if (e == ERR_FUNDS_TOO_LOW) {
        char have[DECIMAL_BYTES];
        decimal_write_short(free.v, have);
        return admit_refuse(e, buys && cmd->quantity.v == 0 ? "quote_order_quantity" : "quantity",
                            text_of("free %s is %s", pays.text, have), why);
    }
    if (e != OK)
        return admit_refuse(e, "quantity", text_of("price times quantity is too large"), why);
    return admit_income(l, a, cmd, why);
}

enum err
admit_order(const struct ledger *l, const struct ledger_account *a, struct order_place *cmd,
            struct refused *why)
{
    uint32_t index = symbol_find(l, cmd->symbol);
    if (index == LEDGER_NONE || !l->symbols[index].is_known)
        return admit_refuse(ERR_SYMBOL_UNKNOWN, "symbol", text_of("%s", cmd->symbol.text), why);
    const struct ledger_symbol *s = &l->symbols[index];
    if (!s->rules.is_trading)
        return admit_refuse(ERR_SYMBOL_HALTED, "symbol", text_of("%s", cmd->symbol.text), why);
    if (cmd->type != ORDER_TYPE_MARKET && cmd->type != ORDER_TYPE_LIMIT &&
        cmd->type != ORDER_TYPE_LIMIT_MAKER)
        return admit_refuse(ERR_ORDER_TYPE_UNSUPPORTED, "type", text_of("not for spot"), why);

    const struct filter_prices prices = {s->last.v > 0 ? s->last : s->average, s->average};
    enum err e = filter_order(&s->rules, &prices, cmd, why);
    if (e == OK)
        e = admit_count(l, a, index, cmd, why);
    if (e != OK)
        return e;
    if (prices.last.v == 0 && filter_needs_price(&s->rules, cmd))
        return admit_refuse(ERR_PRICE_UNKNOWN, "symbol", text_of("%s", cmd->symbol.text), why);

    enrich(l, a, s, prices.last, cmd);
    e = admit_funds(l, a, cmd, why);
    if (e != OK)
        return e;
    if (l->orders_count == l->limits.orders_max)
        e = ERR_ORDERS_FULL;
    else if (s->matcher_away)
        e = ERR_MATCHER_UNAVAILABLE;
    *why = refusal(e);
    return e;
}
