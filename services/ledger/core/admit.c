/*
 * admit.c - the refusals of order_place in the order of errors.def, then the enrichment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/admit.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/contingent.h"
#include "ledger/core/fill_rules.h"
#include "ledger/core/filter.h"
#include "ledger/core/kind.h"
#include "ledger/core/order.h"
#include "ledger/core/reply.h"

/* An order on its way through. */
struct admission {
    const struct ledger *l;
    const struct ledger_account *account;
    const struct admit_with *with;
    const struct ledger_symbol *symbol;
    uint32_t symbol_index;
};

static enum err
admit_refuse(enum err e, const char *field, text_t detail, struct refused *why)
{
    *why = refusal_of(e, field, detail);
    return e;
}

/* ---- Counts ----------------------------------------------------------------------------- */

typedef bool admit_counts(const struct ledger_order *o);

static bool
counts_as_order(const struct ledger_order *o)
{
    return o->type != ORDER_TYPE_MARKET;
}

static bool
counts_as_algo(const struct ledger_order *o)
{
    return order_is_armed(o);
}

static bool
counts_as_iceberg(const struct ledger_order *o)
{
    return o->iceberg_quantity.v > 0;
}

/* Open orders of an account; `symbol` LEDGER_NONE = of all symbols. */
static uint32_t
admit_open(const struct ledger *l, const struct ledger_account *a, uint32_t symbol,
           admit_counts *counts)
{
    uint32_t count = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        count += (symbol == LEDGER_NONE || l->orders[i].symbol == symbol) &&
                 !order_is_real(&l->orders[i]) && counts(&l->orders[i]);
    return count;
}

/* The same of the orders that come with it. */
static uint32_t
admit_before(const struct admit_with *with, admit_counts *counts)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < with->before; i++) {
        const struct ledger_order o = {.type = (uint8_t)with->first[i].type,
                                       .iceberg_quantity = with->first[i].iceberg_quantity};
        count += counts(&o);
    }
    return count;
}

/* A limit of 0 is none. */
static enum err
admit_limit(const struct admission *m, uint32_t limit, uint32_t symbol, admit_counts *counts,
            const char *name, enum err e, struct refused *why)
{
    /* Counting is only needed when all open orders together are too many. */
    if (limit == 0 || m->account->open_orders + m->with->before < limit)
        return OK;
    uint32_t count = admit_open(m->l, m->account, symbol, counts) + admit_before(m->with, counts);
    if (count < limit)
        return OK;
    return admit_refuse(e, "symbol", text_of("%s %u: %u are open", name, limit, count), why);
}

/* Binance counts per symbol; the deployment's own limit counts over all of them. */
static enum err
admit_count(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    uint32_t limit = m->l->policy.orders_per_account_max;
    uint32_t open = m->account->open_orders + m->with->before + m->with->beside;
    if (open >= limit)
        return admit_refuse(ERR_FILTER_MAX_ORDERS, "symbol",
                            text_of("%u orders per account: %u are open", limit, open), why);
    if (cmd->type == ORDER_TYPE_MARKET)
        return OK;
    const struct symbol_rules *r = &m->symbol->rules;
    enum err e = admit_limit(m, r->orders_max, m->symbol_index, counts_as_order, "MAX_NUM_ORDERS",
                             ERR_FILTER_MAX_ORDERS, why);
    if (e != OK)
        return e;
    return admit_limit(m, r->all_orders_max, LEDGER_NONE, counts_as_order,
                       "EXCHANGE_MAX_NUM_ORDERS", ERR_FILTER_MAX_ORDERS, why);
}

static enum err
admit_special_counts(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    const struct symbol_rules *r = &m->symbol->rules;
    if (!kind_is_stop(cmd->type) && cmd->iceberg_quantity.v == 0)
        return OK;
    const struct {
        bool is_one;
        uint32_t limit, symbol;
        admit_counts *counts;
        const char *name;
        enum err e;
    } limits[] = {{kind_is_stop(cmd->type), r->algo_orders_max, m->symbol_index, counts_as_algo,
                   "MAX_NUM_ALGO_ORDERS", ERR_FILTER_MAX_ALGO_ORDERS},
                  {kind_is_stop(cmd->type), r->all_algo_orders_max, LEDGER_NONE, counts_as_algo,
                   "EXCHANGE_MAX_NUM_ALGO_ORDERS", ERR_FILTER_MAX_ALGO_ORDERS},
                  {cmd->iceberg_quantity.v > 0, r->iceberg_orders_max, m->symbol_index,
                   counts_as_iceberg, "MAX_NUM_ICEBERG_ORDERS", ERR_FILTER_MAX_ICEBERG_ORDERS},
                  {cmd->iceberg_quantity.v > 0, r->all_iceberg_orders_max, LEDGER_NONE,
                   counts_as_iceberg, "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
                   ERR_FILTER_MAX_ICEBERG_ORDERS}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (!limits[i].is_one)
            continue;
        enum err e = admit_limit(m, limits[i].limit, limits[i].symbol, limits[i].counts,
                                 limits[i].name, limits[i].e, why);
        if (e != OK)
            return e;
    }
    return OK;
}

/* The orders of a list stand together among the open ones. */
static enum err
admit_lists(const struct admission *m, struct refused *why)
{
    const struct ledger *l = m->l;
    const struct symbol_rules *r = &m->symbol->rules;
    uint32_t all = 0, own = 0;
    if (!m->with->in_list || m->with->before > 0 ||
        (r->order_lists_max == 0 && r->all_order_lists_max == 0))
        return OK;
    uint64_t previous = 0;
    for (uint32_t i = m->account->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct ledger_order *o = &l->orders[i];
        bool is_next = o->list_id != 0 && o->list_id != previous;
        all += is_next;
        own += is_next && o->symbol == m->symbol_index;
        previous = o->list_id;
    }
    if (r->order_lists_max > 0 && own >= r->order_lists_max)
        return admit_refuse(ERR_FILTER_MAX_ORDER_LISTS, "symbol",
                            text_of("MAX_NUM_ORDER_LISTS %u: %u are open", r->order_lists_max, own),
                            why);
    if (r->all_order_lists_max == 0 || all < r->all_order_lists_max)
        return OK;
    return admit_refuse(
        ERR_FILTER_MAX_ORDER_LISTS, "symbol",
        text_of("EXCHANGE_MAX_NUM_ORDER_LISTS %u: %u are open", r->all_order_lists_max, all), why);
}

/* MAX_POSITION: what it has, and all it may come to have by open orders to buy. */
static enum err
admit_position(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    const struct ledger *l = m->l;
    int64_t limit = m->symbol->rules.position_max.v;
    if (limit == 0 || cmd->side != SIDE_BUY)
        return OK;
    ledger_sum sum = cmd->quantity.v;
    int64_t bought = 0;
    if (cmd->quantity.v == 0 &&
        decimal_div_floor(cmd->quote_order_quantity.v, cmd->reference_price.v, &bought) == OK)
        sum = bought;
    uint32_t base = asset_find(l, cmd->base_asset);
    const struct ledger_balance *b =
        base == LEDGER_NONE ? NULL
                            : balance_find(l, account_index(l, m->account), WALLET_spot, base);
    if (b != NULL)
        sum += (ledger_sum)b->free.v + b->held.v;
    for (uint32_t i = m->account->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        if (l->orders[i].side == SIDE_BUY && l->orders[i].symbol == m->symbol_index &&
            !order_is_real(&l->orders[i]) &&
            !contingent_is_second(l, &l->orders[i])) /* of a pair only one is filled */
            sum += order_remaining(&l->orders[i]).v;
    if (sum <= limit)
        return OK;
    char most[DECIMAL_BYTES], found[DECIMAL_BYTES];
    decimal_write_short(limit, most);
    decimal_write_short(sum > INT64_MAX ? INT64_MAX : (int64_t)sum, found);
    return admit_refuse(ERR_FILTER_MAX_POSITION, "quantity",
                        text_of("MAX_POSITION %s: it could become %s", most, found), why);
}

/* ---- Prices ----------------------------------------------------------------------------- */

/* The price that would set it off now; 0 when it is not known. */
static price_t
trigger_price(const struct ledger_symbol *s, const struct order_place *cmd)
{
    switch (cmd->trigger_source) {
    case TRIGGER_SOURCE_BID_ASK:
        return cmd->side == SIDE_BUY ? s->ask : s->bid;
    case TRIGGER_SOURCE_MARK:
        return s->mark;
    case TRIGGER_SOURCE_NONE:
    case TRIGGER_SOURCE_LAST:
        break;
    }
    return s->is_middle ? (price_t){0} : s->last;
}

/* One that waits for another order is compared when it becomes live: by the matcher. */
static enum err
admit_trigger(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    if (cmd->stop_price.v == 0 || m->with->reference.v != 0)
        return OK;
    price_t now = trigger_price(m->symbol, cmd);
    bool rises = kind_rises(cmd->type, cmd->side);
    if (rises ? now.v < cmd->stop_price.v : now.v > cmd->stop_price.v)
        return OK;
    char text[DECIMAL_BYTES];
    decimal_write_short(now.v, text);
    return admit_refuse(ERR_WOULD_TRIGGER,
                        cmd->type == ORDER_TYPE_TRAILING_STOP ? "activation_price" : "stop_price",
                        text_of("it must be %s the market's %s", rises ? "above" : "below", text),
                        why);
}

static bool
price_is_missing(const struct admission *m, const struct filter_prices *prices,
                 const struct order_place *cmd)
{
    if (prices->last.v == 0 && filter_needs_price(&m->symbol->rules, cmd))
        return true;
    return kind_is_stop(cmd->type) && trigger_price(m->symbol, cmd).v == 0;
}

/* Where it is expected to be set off, from the last price on, and against the order. */
static price_t
start_price(price_t last, const struct order_place *cmd)
{
    bool buys = cmd->side == SIDE_BUY;
    __extension__ __int128 start = last.v;
    if (cmd->stop_price.v > 0 && buys == (cmd->stop_price.v > start))
        start = cmd->stop_price.v;
    if (cmd->trailing_delta == 0)
        return (price_t){(int64_t)start};
    if (buys)
        start = (start * (10000 + cmd->trailing_delta) + 9999) / 10000;
    else
        start = start * (10000 - cmd->trailing_delta) / 10000;
    return (price_t){start > INT64_MAX ? INT64_MAX : start > 0 ? (int64_t)start : 1};
}

/* A market order's cap: the slippage allowed from there, cut to the tick towards it. */
static price_t
worst_price(const struct ledger *l, const struct symbol_rules *r, price_t last,
            const struct order_place *cmd)
{
    if (!kind_is_market(cmd->type))
        return cmd->price;
    price_t start = start_price(last, cmd);
    int64_t slip;
    if (decimal_mul_floor(start.v, l->policy.slippage_max.v, &slip) != OK)
        slip = 0;
    int64_t worst;
    if (cmd->side == SIDE_BUY) {
        /* A price this high has no room above. */
        if (__builtin_add_overflow(start.v, slip, &worst))
            worst = INT64_MAX;
        worst = step_floor(worst, r->tick_size.v);
        return (price_t){worst < start.v ? start.v : worst};
    }
    if (!step_ceil(start.v - slip, r->tick_size.v, &worst) || worst > start.v)
        return start;
    return (price_t){worst > 0 ? worst : 1};
}

/* ---- Money ------------------------------------------------------------------------------ */

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

/* The market's clock now; 0 when nobody has told its time. */
int64_t
admit_market_us(const struct ledger *l, const struct ledger_symbol *s)
{
    int64_t more_us = s->clock_stands ? 0 : l->steady_us - s->heard_us, now_us;
    if (s->market_us <= 0 || __builtin_add_overflow(s->market_us, more_us, &now_us))
        return 0;
    return now_us;
}

#define DAY_US INT64_C(86400000000)

static void
enrich(const struct admission *m, price_t last, struct order_place *cmd)
{
    const struct ledger *l = m->l;
    const struct symbol_rules *r = &m->symbol->rules;
    uint32_t tier_last = l->policy.tiers_count - 1;
    uint32_t tier = m->account->tier < tier_last ? m->account->tier : tier_last;
    int64_t step = r->step_size.v > r->market_step_size.v ? r->step_size.v : r->market_step_size.v;
    cmd->base_asset = r->base_asset;
    cmd->quote_asset = r->quote_asset;
    cmd->reference_price = last;
    cmd->market_us = admit_market_us(l, m->symbol);
    cmd->worst_price = worst_price(l, r, last, cmd);
    cmd->step_size.v = step > 0 ? step : 1;
    cmd->maker_fee_rate = l->policy.tiers[tier].maker_fee_rate;
    cmd->taker_fee_rate = l->policy.tiers[tier].taker_fee_rate;
    if (cmd->time_in_force == TIME_IN_FORCE_DAY)
        cmd->expire_us = (m->with->now_us / DAY_US + 1) * DAY_US;
}

/* The fill rules of the account, and what chance gives this order under them. */
static void
enrich_fill(const struct admission *m, struct order_place *cmd)
{
    const struct fill_rules *fill = &m->account->settings[TRADING_TYPE_spot - 1].fill;
    uint64_t sequence =
        m->l->shards[m->account->shard].order_sequence + 1 + m->with->before + m->with->beside;
    struct fill_draw draw = {.latency_us = 0};
    if (fill->latency_us != 0 || fill->latency_spread_us != 0 || fill->reject_bps != 0)
        draw = fill_rules_draw(fill, (uint64_t)m->account->shard << 47 | sequence);
    cmd->fill_preset = fill->fill_preset;
    if (cmd->fill_model == FILL_MODEL_NONE)
        cmd->fill_model = fill->fill_model;
    cmd->latency_us = draw.latency_us;
    cmd->cancel_latency_us = draw.cancel_latency_us;
    cmd->slippage_bps = fill->slippage_bps;
    cmd->is_refused = draw.is_refused;
}

/* What it may bring in, together with all that is open, can be counted. */
static enum err
admit_income(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    const struct ledger_order o = {.side = (uint8_t)cmd->side,
                                   .quantity = cmd->quantity,
                                   .quote_quantity = cmd->quote_order_quantity,
                                   .worst_price = cmd->worst_price,
                                   .reference_price = cmd->reference_price,
                                   .stop_price = cmd->stop_price,
                                   .step_size = cmd->step_size};
    code_t gets = cmd->side == SIDE_BUY ? cmd->base_asset : cmd->quote_asset;
    if (income_fits(m->l, m->account->shard, WALLET_spot, asset_find(m->l, gets), order_income(&o)))
        return OK;
    return admit_refuse(ERR_NUMBER_RANGE, "quantity",
                        text_of("with what is open, more %s than can be counted", gets.text), why);
}

/* What it can set aside: what is free, and what the order that it replaces gives back. */
static money_t
admit_free(const struct admission *m, code_t pays)
{
    const struct ledger *l = m->l;
    uint32_t asset = asset_find(l, pays);
    const struct ledger_balance *b =
        asset == LEDGER_NONE ? NULL
                             : balance_find(l, account_index(l, m->account), WALLET_spot, asset);
    if (b == NULL)
        return (money_t){0};
    const struct ledger_order *old = m->with->replaces;
    if (old == NULL || order_pays(l, old) != b)
        return b->free;
    return money_add(b->free, contingent_held(l, old));
}

static enum err
admit_funds(const struct admission *m, struct order_place *cmd, struct refused *why)
{
    bool buys = cmd->side == SIDE_BUY;
    code_t pays = buys ? cmd->quote_asset : cmd->base_asset;
    money_t free = admit_free(m, pays);
    enum err e = hold_of(cmd, free, &cmd->hold);
    if (e == OK && money_less(free, cmd->hold) && m->with->reference.v == 0)
        e = ERR_FUNDS_TOO_LOW;
    if (e == ERR_FUNDS_TOO_LOW) {
        char have[DECIMAL_BYTES];
        decimal_write_short(free.v, have);
        return admit_refuse(e, buys && cmd->quantity.v == 0 ? "quote_order_quantity" : "quantity",
                            text_of("free %s is %s", pays.text, have), why);
    }
    if (e != OK)
        return admit_refuse(e, "quantity", text_of("price times quantity is too large"), why);
    return admit_income(m, cmd, why);
}

/* ---- The whole ---------------------------------------------------------------------------- */

static enum err
admit_symbol(const struct ledger *l, const struct order_place *cmd, struct admission *m,
             struct refused *why)
{
    m->symbol_index = symbol_find(l, cmd->symbol);
    m->symbol = &l->symbols[m->symbol_index == LEDGER_NONE ? 0 : m->symbol_index];
    if (m->symbol_index == LEDGER_NONE || !m->symbol->is_known)
        return admit_refuse(ERR_SYMBOL_UNKNOWN, "symbol", text_of("%s", cmd->symbol.text), why);
    if (!m->symbol->rules.is_trading)
        return admit_refuse(ERR_SYMBOL_HALTED, "symbol", text_of("%s", cmd->symbol.text), why);
    if (m->symbol->rules.trading_type == TRADING_TYPE_futures)
        return admit_refuse(ERR_FUTURES_UNAVAILABLE, "symbol", text_of("%s", cmd->symbol.text),
                            why);
    if (cmd->type > ORDER_TYPE_TRAILING_STOP)
        return admit_refuse(ERR_ORDER_TYPE_UNSUPPORTED, "type", text_of("not for spot"), why);
    return OK;
}

/* What stands behind the funds in the error table. */
static enum err
admit_special(const struct admission *m, const struct order_place *cmd, struct refused *why)
{
    enum err e = filter_more(&m->symbol->rules, cmd, why);
    if (e == OK)
        e = admit_special_counts(m, cmd, why);
    if (e == OK)
        e = admit_lists(m, why);
    if (e == OK)
        e = admit_position(m, cmd, why);
    if (e == OK)
        e = admit_trigger(m, cmd, why);
    if (e == OK && cmd->time_in_force == TIME_IN_FORCE_GTD && cmd->expire_us <= m->with->now_us)
        e = admit_refuse(ERR_EXPIRY_INVALID, "expire_us",
                         text_of("time in force GTD needs a time to come"), why);
    return e;
}

enum err
admit_order(const struct ledger *l, const struct ledger_account *a, const struct admit_with *with,
            struct order_place *cmd, struct refused *why)
{
    struct admission m = {.l = l, .account = a, .with = with};
    enum err e = admit_symbol(l, cmd, &m, why);
    if (e != OK)
        return e;
    const struct ledger_symbol *s = m.symbol;
    price_t last = with->reference.v > 0 ? with->reference : s->last;
    const struct filter_prices prices = {last.v > 0 ? last : s->average, s->average};
    e = filter_order(&s->rules, &prices, cmd, why);
    if (e == OK)
        e = admit_count(&m, cmd, why);
    if (e != OK)
        return e;
    if (price_is_missing(&m, &prices, cmd))
        return admit_refuse(ERR_PRICE_UNKNOWN, "symbol", text_of("%s", cmd->symbol.text), why);

    enrich(&m, prices.last, cmd);
    enrich_fill(&m, cmd);
    e = admit_funds(&m, cmd, why);
    if (e == OK)
        e = admit_special(&m, cmd, why);
    if (e != OK)
        return e;
    if (l->limits.orders_max - l->orders_count <= with->before + with->beside)
        e = ERR_ORDERS_FULL;
    else if (s->matcher_away)
        e = ERR_MATCHER_UNAVAILABLE;
    *why = refusal(e);
    return e;
}
