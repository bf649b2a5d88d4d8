/*
 * fit.c - see fit.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/fit.h"

#include <string.h>

#define CASH "USDT"
/* The exchange's reference for PERCENT_PRICE is an average, or the mark price: what is within 1 %
 * of a bound taken at the last price is left to the exchange. */
#define REFERENCE_SLACK (DECIMAL_ONE / 100)

static enum err
refuse(struct refused *why, enum err e, const char *field, const char *part, int64_t limit,
       int64_t found)
{
    char limit_text[DECIMAL_BYTES], found_text[DECIMAL_BYTES];
    decimal_write_short(limit, limit_text);
    decimal_write_short(found, found_text);
    *why = (struct refused){.error = e, .field = code_of(field)};
    why->detail = text_of("%s %s: it is %s", part, limit_text, found_text);
    return e;
}

/* ---- Rounding ----------------------------------------------------------------------------- */

static int64_t
floor_to(int64_t amount, int64_t step)
{
    return step > 0 && amount > 0 ? amount - amount % step : amount;
}

/* Past int64 it is the largest there is: no filter lets that pass. */
static int64_t
ceil_to(int64_t amount, int64_t step)
{
    int64_t low = floor_to(amount, step), high;
    if (low == amount)
        return amount;
    return __builtin_add_overflow(low, step, &high) ? INT64_MAX : high;
}

static int64_t
nearest_to(int64_t amount, int64_t step)
{
    int64_t low = floor_to(amount, step);
    return amount - low < step - (amount - low) ? low : ceil_to(amount, step);
}

static int64_t
common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The smallest step that is one of both; 0 = off. */
static int64_t
common_step(int64_t a, int64_t b)
{
    int64_t both;
    if (a <= 0 || b <= 0)
        return a > 0 ? a : b;
    return __builtin_mul_overflow(a / common_divisor(a, b), b, &both) ? INT64_MAX : both;
}

static void
round_order(struct order *o, const struct symbol_rules *r)
{
    int64_t step = r->step_size.v, tick = r->tick_size.v;
    if (o->type == ORDER_TYPE_MARKET)
        step = common_step(step, r->market_step_size.v);
    o->quantity.v = floor_to(o->quantity.v, step);
    o->iceberg_quantity.v = floor_to(o->iceberg_quantity.v, r->step_size.v);
    o->price.v = o->side == SIDE_BUY ? floor_to(o->price.v, tick) : ceil_to(o->price.v, tick);
    o->stop_price.v = nearest_to(o->stop_price.v, tick);
}

/* ---- Filters ------------------------------------------------------------------------------ */

struct bounds {
    enum err error;
    int64_t min, max; /* 0 = off */
    const char *min_part, *max_part;
};

/* `asked` is what was wished: 0 is not there, and what was rounded to nothing is too small. */
static enum err
within(const struct bounds *b, const char *field, int64_t asked, int64_t rounded,
       struct refused *why)
{
    if (asked == 0)
        return OK;
    if (rounded <= 0 || rounded < b->min)
        return refuse(why, b->error, field, b->min_part, b->min, rounded <= 0 ? asked : rounded);
    if (b->max > 0 && rounded > b->max)
        return refuse(why, b->error, field, b->max_part, b->max, rounded);
    return OK;
}

static enum err
judge_prices(const struct order *asked, const struct order *o, const struct symbol_rules *r,
             struct refused *why)
{
    const struct bounds b = {ERR_FILTER_PRICE, r->price_min.v, r->price_max.v,
                             "PRICE_FILTER minPrice", "PRICE_FILTER maxPrice"};
    enum err e = within(&b, "price", asked->price.v, o->price.v, why);
    return e == OK ? within(&b, "stop_price", asked->stop_price.v, o->stop_price.v, why) : e;
}

static enum err
judge_lots(const struct order *asked, const struct order *o, const struct symbol_rules *r,
           struct refused *why)
{
    const struct bounds lot = {ERR_FILTER_LOT_SIZE, r->quantity_min.v, r->quantity_max.v,
                               "LOT_SIZE minQty", "LOT_SIZE maxQty"};
    const struct bounds market = {ERR_FILTER_MARKET_LOT_SIZE, r->market_quantity_min.v,
                                  r->market_quantity_max.v, "MARKET_LOT_SIZE minQty",
                                  "MARKET_LOT_SIZE maxQty"};
    enum err e = within(&lot, "quantity", asked->quantity.v, o->quantity.v, why);
    if (e == OK)
        e = within(&lot, "iceberg_quantity", asked->iceberg_quantity.v, o->iceberg_quantity.v, why);
    if (e == OK && o->type == ORDER_TYPE_MARKET)
        e = within(&market, "quantity", asked->quantity.v, o->quantity.v, why);
    return e;
}

/* A bound of 10^-8 of a price; past int64 it binds nobody. */
static int64_t
bound_of(price_t last, rate_t multiplier, int64_t slack)
{
    int64_t at_last, bound;
    if (decimal_mul_floor(last.v, multiplier.v, &at_last) != OK ||
        decimal_mul_floor(at_last, DECIMAL_ONE + slack, &bound) != OK)
        return INT64_MAX;
    return bound;
}

static enum err
judge_percent(const struct order *o, const struct fit_by *by, struct refused *why)
{
    const struct symbol_rules *r = by->rules;
    bool buys = o->side == SIDE_BUY;
    rate_t up = buys ? r->bid_multiplier_up : r->ask_multiplier_up;
    rate_t down = buys ? r->bid_multiplier_down : r->ask_multiplier_down;
    if (o->price.v == 0 || by->last.v <= 0)
        return OK;
    int64_t highest = up.v > 0 ? bound_of(by->last, up, REFERENCE_SLACK) : INT64_MAX;
    int64_t lowest = down.v > 0 ? bound_of(by->last, down, -REFERENCE_SLACK) : 0;
    if (o->price.v > highest)
        return refuse(why, ERR_FILTER_PERCENT_PRICE, "price", "PERCENT_PRICE highest", highest,
                      o->price.v);
    if (lowest < INT64_MAX && o->price.v < lowest)
        return refuse(why, ERR_FILTER_PERCENT_PRICE, "price", "PERCENT_PRICE lowest", lowest,
                      o->price.v);
    return OK;
}

static bool
is_market(enum order_type type)
{
    return type == ORDER_TYPE_MARKET || type == ORDER_TYPE_STOP_LOSS ||
           type == ORDER_TYPE_TAKE_PROFIT || type == ORDER_TYPE_TRAILING_STOP;
}

/* What it is worth at its own price, else at the price that sets it off, else at the last one. */
static bool
notional_of(const struct order *o, price_t last, money_t *out)
{
    price_t price = o->price.v > 0 ? o->price : o->stop_price.v > 0 ? o->stop_price : last;
    *out = o->quote_order_quantity;
    if (out->v > 0)
        return true;
    if (price.v <= 0)
        return false;
    if (notional_floor(price, o->quantity, out) != OK)
        out->v = INT64_MAX;
    return true;
}

static enum err
judge_notional(const struct order *o, const struct fit_by *by, struct refused *why)
{
    const struct symbol_rules *r = by->rules;
    const char *field = o->quote_order_quantity.v > 0 ? "quote_order_quantity" : "quantity";
    bool market = is_market(o->type);
    bool closes = r->trading_type == TRADING_TYPE_futures && o->reduce_only;
    money_t notional;
    int64_t min = market && !r->notional_min_market ? 0 : r->notional_min.v;
    if (code_same(r->quote_asset, code_of(CASH)) && by->notional_min.v > min)
        min = by->notional_min.v;
    price_t near = by->last.v > 0 ? by->last : by->reference;
    if (!closes && notional_of(o, near, &notional) && notional.v < min)
        return refuse(why, ERR_FILTER_NOTIONAL, field, "NOTIONAL minNotional", min, notional.v);
    if (r->notional_max.v > 0 && (!market || r->notional_max_market) &&
        notional_of(o, by->last, &notional) && notional.v > r->notional_max.v)
        return refuse(why, ERR_FILTER_NOTIONAL, field, "NOTIONAL maxNotional", r->notional_max.v,
                      notional.v);
    return OK;
}

/* What the account would have of the contract, at the order's price. No leverage allows more than
 * the largest bracket; what the account's own does, and its other orders, the exchange judges. */
static enum err
judge_position(const struct order *o, const struct fit_by *by, struct refused *why)
{
    int64_t cap = by->notional_cap.v, more = o->side == SIDE_BUY ? o->quantity.v : -o->quantity.v;
    struct order whole = *o;
    money_t notional;
    if (by->rules->trading_type != TRADING_TYPE_futures || o->reduce_only || cap <= 0)
        return OK;
    if (__builtin_add_overflow(by->position.v, more, &whole.quantity.v) ||
        whole.quantity.v == INT64_MIN)
        whole.quantity.v = INT64_MAX;
    if (whole.quantity.v < 0)
        whole.quantity.v = -whole.quantity.v;
    if (!notional_of(&whole, by->last.v > 0 ? by->last : by->reference, &notional) ||
        notional.v <= cap)
        return OK;
    return refuse(why, ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap", cap,
                  notional.v);
}

/* In whole numbers, not amounts. */
static enum err
refuse_count(struct refused *why, enum err e, const char *field, const char *part, int64_t limit,
             int64_t found)
{
    *why = (struct refused){.error = e, .field = code_of(field)};
    why->detail = text_of("%s %lld: it is %lld", part, (long long)limit, (long long)found);
    return e;
}

static enum err
judge_trailing(const struct order *o, const struct symbol_rules *r, struct refused *why)
{
    bool takes = o->type == ORDER_TYPE_TAKE_PROFIT || o->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    bool above = takes == (o->side == SIDE_SELL);
    uint32_t min = above ? r->trailing_above_min : r->trailing_below_min;
    uint32_t max = above ? r->trailing_above_max : r->trailing_below_max;
    if (o->trailing_delta == 0)
        return OK;
    if (o->trailing_delta < min)
        return refuse_count(why, ERR_FILTER_TRAILING_DELTA, "trailing_delta", "TRAILING_DELTA min",
                            min, o->trailing_delta);
    if (max > 0 && o->trailing_delta > max)
        return refuse_count(why, ERR_FILTER_TRAILING_DELTA, "trailing_delta", "TRAILING_DELTA max",
                            max, o->trailing_delta);
    return OK;
}

static enum err
judge_iceberg(const struct order *o, const struct symbol_rules *r, struct refused *why)
{
    if (o->iceberg_quantity.v <= 0 || r->iceberg_parts_max == 0)
        return OK;
    int64_t slice = o->iceberg_quantity.v;
    int64_t parts = o->quantity.v / slice + (o->quantity.v % slice != 0);
    if (parts <= (int64_t)r->iceberg_parts_max)
        return OK;
    return refuse_count(why, ERR_FILTER_ICEBERG_PARTS, "iceberg_quantity", "ICEBERG_PARTS limit",
                        r->iceberg_parts_max, parts);
}

/* ---- All of it ---------------------------------------------------------------------------- */

/* One that is larger than the position turns it round: that is no closing order. */
static bool
closes_position(const struct order *o, const struct fit_by *by)
{
    qty_t held = by->position;
    if (by->rules->trading_type != TRADING_TYPE_futures || o->quantity.v <= 0)
        return false;
    return o->side == SIDE_SELL ? o->quantity.v <= held.v : -o->quantity.v >= held.v;
}

enum err
fit_order(struct order *o, const struct fit_by *by, struct refused *why)
{
    struct order fitted = *o;
    round_order(&fitted, by->rules);
    fitted.reduce_only = fitted.reduce_only || closes_position(&fitted, by);
    enum err e = judge_prices(o, &fitted, by->rules, why);
    if (e == OK)
        e = judge_percent(&fitted, by, why);
    if (e == OK)
        e = judge_lots(o, &fitted, by->rules, why);
    if (e == OK)
        e = judge_notional(&fitted, by, why);
    if (e == OK)
        e = judge_position(&fitted, by, why);
    if (e == OK)
        e = judge_trailing(&fitted, by->rules, why);
    if (e == OK)
        e = judge_iceberg(&fitted, by->rules, why);
    if (e == OK)
        *o = fitted;
    return e;
}
