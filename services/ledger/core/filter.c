/*
 * filter.c - the arithmetic of the symbol filters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/filter.h"

#include "ledger/core/kind.h"
#include "ledger/core/reply.h"

int64_t
step_floor(int64_t amount, int64_t step)
{
    return step > 0 ? amount - amount % step : amount;
}

bool
step_ceil(int64_t amount, int64_t step, int64_t *out)
{
    int64_t low = step_floor(amount, step);
    *out = low;
    return low == amount || !__builtin_add_overflow(low, step, out);
}

/* "PRICE_FILTER tickSize 0.01: price is 100.005": the filter's part, its limit, what was found. */
static enum err
filter_fail(enum err why, const char *field, const char *part, int64_t limit, const char *what,
            int64_t found, struct refused *out)
{
    char limit_text[DECIMAL_BYTES];
    char found_text[DECIMAL_BYTES];
    decimal_write_short(limit, limit_text);
    decimal_write_short(found, found_text);
    *out = refusal_of(why, field, text_of("%s %s: %s is %s", part, limit_text, what, found_text));
    return why;
}

/* One of its prices; 0 is absent. */
static enum err
filter_one_price(const struct symbol_rules *r, const char *field, price_t price,
                 struct refused *why)
{
    const char *part = NULL;
    int64_t limit = 0;
    if (price.v == 0)
        return OK;
    if (r->price_min.v > 0 && price.v < r->price_min.v) {
        part = "PRICE_FILTER minPrice";
        limit = r->price_min.v;
    } else if (r->price_max.v > 0 && price.v > r->price_max.v) {
        part = "PRICE_FILTER maxPrice";
        limit = r->price_max.v;
    } else if (r->tick_size.v > 0 && price.v % r->tick_size.v != 0) {
        part = "PRICE_FILTER tickSize";
        limit = r->tick_size.v;
    }
    return part == NULL ? OK
                        : filter_fail(ERR_FILTER_PRICE, field, part, limit, field, price.v, why);
}

static enum err
filter_price(const struct symbol_rules *r, const struct order_place *cmd, struct refused *why)
{
    enum err e = filter_one_price(r, "price", cmd->price, why);
    if (e != OK)
        return e;
    return filter_one_price(
        r, cmd->type == ORDER_TYPE_TRAILING_STOP ? "activation_price" : "stop_price",
        cmd->stop_price, why);
}

/* A bound that does not fit int64 binds nobody. */
static int64_t
percent_bound(price_t reference, rate_t multiplier)
{
    int64_t bound;
    if (decimal_mul_floor(reference.v, multiplier.v, &bound) != OK)
        return INT64_MAX;
    return bound;
}

static enum err
filter_percent(const struct symbol_rules *r, price_t reference, const struct order_place *cmd,
               struct refused *why)
{
    bool buys = cmd->side == SIDE_BUY;
    rate_t up = buys ? r->bid_multiplier_up : r->ask_multiplier_up;
    rate_t down = buys ? r->bid_multiplier_down : r->ask_multiplier_down;
    if (cmd->price.v == 0 || reference.v == 0)
        return OK;
    int64_t highest = percent_bound(reference, up);
    int64_t lowest = percent_bound(reference, down);
    if (up.v > 0 && cmd->price.v > highest)
        return filter_fail(ERR_FILTER_PERCENT_PRICE, "price",
                           buys ? "PERCENT_PRICE_BY_SIDE highest bid"
                                : "PERCENT_PRICE_BY_SIDE highest ask",
                           highest, "price", cmd->price.v, why);
    if (down.v > 0 && cmd->price.v < lowest)
        return filter_fail(ERR_FILTER_PERCENT_PRICE, "price",
                           buys ? "PERCENT_PRICE_BY_SIDE lowest bid"
                                : "PERCENT_PRICE_BY_SIDE lowest ask",
                           lowest, "price", cmd->price.v, why);
    return OK;
}

struct lot {
    enum err why;
    qty_t min, max, step;
    const char *min_part, *max_part, *step_part;
};

/* Bounds and step of a quantity; an order by quote amount has its quantity cut later. */
static enum err
filter_lot(const struct lot *lot, const char *field, qty_t quantity, bool is_cut,
           struct refused *why)
{
    if (quantity.v < lot->min.v)
        return filter_fail(lot->why, field, lot->min_part, lot->min.v, field, quantity.v, why);
    if (lot->max.v > 0 && quantity.v > lot->max.v)
        return filter_fail(lot->why, field, lot->max_part, lot->max.v, field, quantity.v, why);
    if (!is_cut && lot->step.v > 0 && quantity.v % lot->step.v != 0)
        return filter_fail(lot->why, field, lot->step_part, lot->step.v, field, quantity.v, why);
    return OK;
}

static struct lot
lot_of(const struct symbol_rules *r)
{
    return (struct lot){ERR_FILTER_LOT_SIZE, r->quantity_min,   r->quantity_max,    r->step_size,
                        "LOT_SIZE minQty",   "LOT_SIZE maxQty", "LOT_SIZE stepSize"};
}

static enum err
filter_lots(const struct symbol_rules *r, price_t last, const struct order_place *cmd,
            struct refused *why)
{
    const struct lot all = lot_of(r);
    const struct lot market = {ERR_FILTER_MARKET_LOT_SIZE, r->market_quantity_min,
                               r->market_quantity_max,     r->market_step_size,
                               "MARKET_LOT_SIZE minQty",   "MARKET_LOT_SIZE maxQty",
                               "MARKET_LOT_SIZE stepSize"};
    qty_t quantity = cmd->quantity;
    bool by_quote = quantity.v == 0;
    if (by_quote && last.v == 0)
        return OK;
    /* What the quote amount buys at the last price: past int64 it is past every bound. */
    if (by_quote && decimal_div_floor(cmd->quote_order_quantity.v, last.v, &quantity.v) != OK)
        quantity.v = INT64_MAX;
    enum err e = filter_lot(&all, "quantity", quantity, by_quote, why);
    if (e == OK && cmd->iceberg_quantity.v > 0)
        e = filter_lot(&all, "iceberg_quantity", cmd->iceberg_quantity, false, why);
    if (e == OK && cmd->type == ORDER_TYPE_MARKET)
        e = filter_lot(&market, "quantity", quantity, by_quote, why);
    return e;
}

static enum err
filter_notional(const struct symbol_rules *r, price_t reference, const struct order_place *cmd,
                struct refused *why)
{
    bool market = kind_is_market(cmd->type);
    const char *field = cmd->quote_order_quantity.v > 0 ? "quote_order_quantity" : "quantity";
    money_t notional = cmd->quote_order_quantity;
    price_t price = cmd->price;
    if (market) /* what it is expected to be filled at */
        price = cmd->stop_price.v > 0 ? cmd->stop_price : reference;
    if (notional.v == 0 && price.v == 0)
        return OK;
    if (notional.v == 0 && notional_floor(price, cmd->quantity, &notional) != OK)
        notional.v = INT64_MAX;
    if (r->notional_min.v > notional.v && (!market || r->notional_min_market))
        return filter_fail(ERR_FILTER_NOTIONAL, field, "NOTIONAL minNotional", r->notional_min.v,
                           "price times quantity", notional.v, why);
    if (r->notional_max.v > 0 && r->notional_max.v < notional.v &&
        (!market || r->notional_max_market))
        return filter_fail(ERR_FILTER_NOTIONAL, field, "NOTIONAL maxNotional", r->notional_max.v,
                           "price times quantity", notional.v, why);
    return OK;
}

enum err
filter_order(const struct symbol_rules *rules, const struct filter_prices *prices,
             const struct order_place *cmd, struct refused *why)
{
    price_t reference = prices->average.v > 0 ? prices->average : prices->last;
    enum err e = filter_price(rules, cmd, why);
    if (e == OK)
        e = filter_percent(rules, reference, cmd, why);
    if (e == OK)
        e = filter_lots(rules, prices->last, cmd, why);
    if (e == OK)
        e = filter_notional(rules, reference, cmd, why);
    return e;
}

enum err
filter_amended(const struct symbol_rules *rules, qty_t quantity, price_t price, struct refused *why)
{
    const struct lot all = lot_of(rules);
    const struct order_place cmd = {.type = ORDER_TYPE_LIMIT, .quantity = quantity, .price = price};
    enum err e = filter_lot(&all, "quantity", quantity, false, why);
    return e == OK ? filter_notional(rules, price, &cmd, why) : e;
}

/* Whether the price must come up to where it is set off: from above it is BELOW. */
static enum err
filter_trailing(const struct symbol_rules *r, const struct order_place *cmd, struct refused *why)
{
    enum order_type type = cmd->type == ORDER_TYPE_TRAILING_STOP ? ORDER_TYPE_STOP_LOSS : cmd->type;
    bool above = kind_rises(type, cmd->side);
    uint32_t min = above ? r->trailing_above_min : r->trailing_below_min;
    uint32_t max = above ? r->trailing_above_max : r->trailing_below_max;
    uint32_t delta = cmd->trailing_delta;
    if (delta == 0 || (delta >= min && (max == 0 || delta <= max)))
        return OK;
    bool rate = cmd->type == ORDER_TYPE_TRAILING_STOP;
    *why = refusal_of(ERR_FILTER_TRAILING_DELTA, rate ? "callback_rate" : "trailing_delta",
                      text_of("TRAILING_DELTA %sTrailing%sDelta %u: it is %u",
                              delta < min ? "min" : "max", above ? "Above" : "Below",
                              delta < min ? min : max, delta));
    return ERR_FILTER_TRAILING_DELTA;
}

static enum err
filter_iceberg(const struct symbol_rules *r, const struct order_place *cmd, struct refused *why)
{
    int64_t slice = cmd->iceberg_quantity.v;
    if (slice == 0 || r->iceberg_parts_max == 0)
        return OK;
    int64_t parts = cmd->quantity.v / slice + (cmd->quantity.v % slice != 0);
    if (parts <= (int64_t)r->iceberg_parts_max)
        return OK;
    *why = refusal_of(ERR_FILTER_ICEBERG_PARTS, "iceberg_quantity",
                      text_of("ICEBERG_PARTS limit %u: it has %lld parts", r->iceberg_parts_max,
                              (long long)parts));
    return ERR_FILTER_ICEBERG_PARTS;
}

enum err
filter_more(const struct symbol_rules *rules, const struct order_place *cmd, struct refused *why)
{
    enum err e = filter_trailing(rules, cmd, why);
    return e == OK ? filter_iceberg(rules, cmd, why) : e;
}

bool
filter_needs_price(const struct symbol_rules *rules, const struct order_place *cmd)
{
    if (kind_is_market(cmd->type))
        return true;
    return cmd->side == SIDE_BUY
               ? rules->bid_multiplier_up.v > 0 || rules->bid_multiplier_down.v > 0
               : rules->ask_multiplier_up.v > 0 || rules->ask_multiplier_down.v > 0;
}
