/*
 * bridge_fit_test.c - orders are rounded in their owner's favour, and what cannot pass is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/fit.h"

#include <criterion/criterion.h>
#include <string.h>

#include "random_msg.h"

#define UNIT DECIMAL_ONE

static struct symbol_rules rules;
static struct fit_by by;
static struct refused why;
static struct order order;

static int64_t
decimal(const char *text)
{
    int64_t v = 0;
    cr_assert_eq(decimal_read(text, strlen(text), &v), OK);
    return v;
}

static void
set_up(void)
{
    rules = (struct symbol_rules){.symbol = code_of("BTCUSDT"),
                                  .base_asset = code_of("BTC"),
                                  .quote_asset = code_of("USDT"),
                                  .is_trading = true,
                                  .price_min = {decimal("0.01")},
                                  .price_max = {decimal("1000000")},
                                  .tick_size = {decimal("0.01")},
                                  .quantity_min = {decimal("0.0001")},
                                  .quantity_max = {decimal("9000")},
                                  .step_size = {decimal("0.0001")},
                                  .market_quantity_max = {decimal("100")},
                                  .notional_min = {decimal("1")},
                                  .notional_min_market = true,
                                  .notional_max = {decimal("9000000")},
                                  .bid_multiplier_up = {5 * UNIT},
                                  .bid_multiplier_down = {UNIT / 5},
                                  .ask_multiplier_up = {5 * UNIT},
                                  .ask_multiplier_down = {UNIT / 5},
                                  .iceberg_parts_max = 10,
                                  .trailing_above_min = 10,
                                  .trailing_above_max = 2000,
                                  .trailing_below_min = 20,
                                  .trailing_below_max = 1000,
                                  .trading_type = TRADING_TYPE_spot};
    by = (struct fit_by){.rules = &rules, .notional_min = {decimal("5")}, .last = {decimal("100")}};
    order = (struct order){.side = SIDE_BUY,
                           .type = ORDER_TYPE_LIMIT,
                           .quantity = {decimal("1")},
                           .price = {decimal("100")}};
    why = (struct refused){0};
}

TestSuite(fit, .init = set_up);

static void
refused(enum err e, const char *field, const char *detail)
{
    struct order before = order;
    cr_assert_eq(fit_order(&order, &by, &why), e, "%s", why.detail.text);
    cr_assert_eq(why.error, e);
    cr_assert_str_eq(why.field.text, field);
    cr_assert_str_eq(why.detail.text, detail);
    cr_assert(memcmp(&before, &order, sizeof order) == 0, "a refused order was changed");
}

static void
fits(void)
{
    cr_assert_eq(fit_order(&order, &by, &why), OK, "%s", why.detail.text);
}

/* ---- Rounding ----------------------------------------------------------------------------- */

Test(fit, a_fit_order_stays_as_it_is)
{
    struct order before = order;
    fits();
    cr_assert(memcmp(&before, &order, sizeof order) == 0);
}

Test(fit, quantities_are_rounded_down_and_prices_to_the_users_side)
{
    order.quantity.v = decimal("1.23459999");
    order.price.v = decimal("100.019");
    order.iceberg_quantity.v = decimal("0.50009");
    fits();
    cr_assert_eq(order.quantity.v, decimal("1.2345"));
    cr_assert_eq(order.price.v, decimal("100.01"));
    cr_assert_eq(order.iceberg_quantity.v, decimal("0.5"));
    order.side = SIDE_SELL;
    order.price.v = decimal("100.00000001");
    fits();
    cr_assert_eq(order.price.v, decimal("100.01"));
}

Test(fit, stop_prices_go_to_the_nearest_tick)
{
    order.type = ORDER_TYPE_STOP_LOSS_LIMIT;
    order.stop_price.v = decimal("99.994");
    fits();
    cr_assert_eq(order.stop_price.v, decimal("99.99"));
    order.stop_price.v = decimal("99.995");
    fits();
    cr_assert_eq(order.stop_price.v, decimal("100"));
    order.stop_price.v = decimal("99.99999999");
    fits();
    cr_assert_eq(order.stop_price.v, decimal("100"));
}

Test(fit, a_market_order_fits_both_steps)
{
    order.type = ORDER_TYPE_MARKET;
    order.price.v = 0;
    order.quantity.v = decimal("1.2999");
    rules.step_size.v = decimal("0.2");
    rules.market_step_size.v = decimal("0.3");
    fits();
    cr_assert_eq(order.quantity.v, decimal("1.2"));
    rules.market_step_size.v = INT64_MAX / 4 - 2; /* no quantity is of both */
    refused(ERR_FILTER_LOT_SIZE, "quantity", "LOT_SIZE minQty 0.0001: it is 1.2");
}

/* ---- Refusals ----------------------------------------------------------------------------- */

Test(fit, what_is_rounded_to_nothing_is_refused)
{
    order.quantity.v = decimal("0.00009999");
    refused(ERR_FILTER_LOT_SIZE, "quantity", "LOT_SIZE minQty 0.0001: it is 0.00009999");
    set_up();
    order.price.v = decimal("0.0099");
    by.last.v = 0;
    refused(ERR_FILTER_PRICE, "price", "PRICE_FILTER minPrice 0.01: it is 0.0099");
    set_up();
    rules.price_min.v = 0;
    order.stop_price.v = decimal("0.001");
    refused(ERR_FILTER_PRICE, "stop_price", "PRICE_FILTER minPrice 0: it is 0.001");
}

Test(fit, bounds_of_prices_and_lots)
{
    order.price.v = decimal("1000000.01");
    refused(ERR_FILTER_PRICE, "price", "PRICE_FILTER maxPrice 1000000: it is 1000000.01");
    set_up();
    order.quantity.v = decimal("9000.0001");
    refused(ERR_FILTER_LOT_SIZE, "quantity", "LOT_SIZE maxQty 9000: it is 9000.0001");
    set_up();
    order.type = ORDER_TYPE_MARKET;
    order.price.v = 0;
    order.quantity.v = decimal("101");
    refused(ERR_FILTER_MARKET_LOT_SIZE, "quantity", "MARKET_LOT_SIZE maxQty 100: it is 101");
    set_up();
    order.iceberg_quantity.v = decimal("0.00001");
    refused(ERR_FILTER_LOT_SIZE, "iceberg_quantity", "LOT_SIZE minQty 0.0001: it is 0.00001");
    set_up();
    order.iceberg_quantity.v = decimal("0.09");
    refused(ERR_FILTER_ICEBERG_PARTS, "iceberg_quantity", "ICEBERG_PARTS limit 10: it is 12");
}

Test(fit, a_price_far_off_is_refused_where_the_last_one_is_known)
{
    order.price.v = decimal("505");
    fits();
    order.price.v = decimal("505.01");
    refused(ERR_FILTER_PERCENT_PRICE, "price", "PERCENT_PRICE highest 505: it is 505.01");
    order.price.v = decimal("19.79");
    refused(ERR_FILTER_PERCENT_PRICE, "price", "PERCENT_PRICE lowest 19.8: it is 19.79");
    by.last.v = 0;
    fits();
}

Test(fit, the_higher_of_both_least_notionals_counts)
{
    order.quantity.v = decimal("0.0499");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 5: it is 4.99");
    order.quantity.v = decimal("0.05");
    fits();
    rules.notional_min.v = decimal("10");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 10: it is 5");
    /* The deployment's is in USDT. */
    rules.notional_min.v = decimal("0.0001");
    order.quantity.v = decimal("0.0001");
    rules.quote_asset = code_of("BTC");
    fits();
}

Test(fit, market_orders_are_judged_by_the_last_price)
{
    order.type = ORDER_TYPE_MARKET;
    order.price.v = 0;
    order.quantity.v = decimal("0.04");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 5: it is 4");
    by.last.v = 0;
    fits();
    order.quantity.v = 0;
    order.quote_order_quantity.v = decimal("4.99");
    refused(ERR_FILTER_NOTIONAL, "quote_order_quantity", "NOTIONAL minNotional 5: it is 4.99");
    order.quote_order_quantity.v = decimal("5");
    fits();
    cr_assert_eq(order.quantity.v, 0);
    /* maxNotional binds market orders only where it says so. */
    order.quote_order_quantity.v = decimal("9000001");
    fits();
    rules.notional_max_market = true;
    refused(ERR_FILTER_NOTIONAL, "quote_order_quantity",
            "NOTIONAL maxNotional 9000000: it is 9000001");
}

Test(fit, a_market_order_s_least_worth_is_judged_by_the_ledger_s_price_and_nothing_else_is)
{
    by.last.v = 0;
    by.reference.v = decimal("100");
    order.type = ORDER_TYPE_MARKET;
    order.price.v = 0;
    order.quantity.v = decimal("0.0499");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 5: it is 4.99");
    order.quantity.v = decimal("0.05");
    fits();
    rules.notional_min.v = decimal("10");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 10: it is 5");
    rules.notional_min_market = false; /* the deployment's own binds all the same */
    fits();
    order.type = ORDER_TYPE_TRAILING_STOP;
    order.trailing_delta = 100;
    order.quantity.v = decimal("0.0499");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 5: it is 4.99");
    set_up();
    by.last.v = 0;
    by.reference.v = decimal("1");
    order.price.v = decimal("1000"); /* far from a price that may be another market's */
    order.quantity.v = decimal("0.01");
    fits();
    order.type = ORDER_TYPE_MARKET;
    order.price.v = 0;
    order.quantity.v = decimal("90");
    rules.notional_max_market = true;
    rules.notional_max.v = decimal("50");
    fits();
    rules.trading_type = TRADING_TYPE_futures;
    order.reduce_only = true;
    order.quantity.v = decimal("0.001");
    fits();
}

Test(fit, trailing_deltas_by_direction)
{
    order.type = ORDER_TYPE_TRAILING_STOP;
    order.price.v = 0;
    order.trailing_delta = 9;
    refused(ERR_FILTER_TRAILING_DELTA, "trailing_delta", "TRAILING_DELTA min 10: it is 9");
    order.side = SIDE_SELL;
    order.trailing_delta = 15;
    refused(ERR_FILTER_TRAILING_DELTA, "trailing_delta", "TRAILING_DELTA min 20: it is 15");
    order.trailing_delta = 1001;
    refused(ERR_FILTER_TRAILING_DELTA, "trailing_delta", "TRAILING_DELTA max 1000: it is 1001");
    order.type = ORDER_TYPE_TAKE_PROFIT;
    fits();
}

/* ---- Positions ---------------------------------------------------------------------------- */

Test(fit, closing_orders_of_futures_are_reduce_only)
{
    rules.trading_type = TRADING_TYPE_futures;
    const struct {
        enum side side;
        const char *position, *quantity;
        bool closes;
    } all[] = {{SIDE_SELL, "1", "1", true},      {SIDE_SELL, "1", "0.5", true},
               {SIDE_SELL, "1", "1.1", false},   {SIDE_BUY, "1", "0.5", false},
               {SIDE_BUY, "-1", "1", true},      {SIDE_BUY, "-1", "0.5", true},
               {SIDE_BUY, "-1", "1.1", false},   {SIDE_SELL, "-1", "0.5", false},
               {SIDE_SELL, "0", "0.5", false},   {SIDE_BUY, "0", "0.5", false},
               {SIDE_SELL, "1", "1.00001", true}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        order.side = all[i].side;
        order.quantity.v = decimal(all[i].quantity);
        by.position.v = decimal(all[i].position);
        order.reduce_only = false;
        fits();
        cr_assert_eq(order.reduce_only, all[i].closes, "case %zu", i);
    }
    rules.trading_type = TRADING_TYPE_spot;
    order.side = SIDE_SELL;
    order.reduce_only = false;
    by.position.v = 9 * UNIT;
    fits();
    cr_assert(!order.reduce_only);
}

Test(fit, a_closing_order_may_be_small)
{
    rules.trading_type = TRADING_TYPE_futures;
    order.side = SIDE_SELL;
    order.quantity.v = decimal("0.001");
    refused(ERR_FILTER_NOTIONAL, "quantity", "NOTIONAL minNotional 5: it is 0.1");
    by.position.v = decimal("0.001");
    fits();
    cr_assert(order.reduce_only);
    by.position.v = 0; /* as the user says */
    fits();
    order.reduce_only = false;
    order.quantity.v = decimal("0.00001"); /* but not smaller than a lot */
    by.position.v = decimal("0.001");
    refused(ERR_FILTER_LOT_SIZE, "quantity", "LOT_SIZE minQty 0.0001: it is 0.00001");
}

Test(fit, a_position_stays_within_its_largest_bracket)
{
    rules.trading_type = TRADING_TYPE_futures;
    by.notional_cap.v = decimal("1000");
    order.quantity.v = decimal("10");
    fits();
    order.quantity.v = decimal("10.0001");
    refused(ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap 1000: it is 1000.01");
    order.quantity.v = decimal("4");
    by.position.v = decimal("6.5");
    refused(ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap 1000: it is 1050");
    order.side = SIDE_SELL; /* what makes it smaller */
    by.position.v = decimal("30");
    fits();
    order.reduce_only = false;
    order.quantity.v = decimal("35"); /* and turns it round, by 5 */
    fits();
    order.quantity.v = decimal("41");
    refused(ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap 1000: it is 1100");
    order.reduce_only = true;
    fits();
    order.reduce_only = false;
    order.quantity.v = decimal("4");
    by.position.v = decimal("-6.5");
    refused(ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap 1000: it is 1050");
    /* At the market by the ledger's price, and not at all when that is not known. */
    order.type = ORDER_TYPE_MARKET;
    order.price.v = by.last.v = 0;
    by.reference.v = decimal("101");
    refused(ERR_FILTER_MAX_POSITION, "quantity", "MAX_POSITION notionalCap 1000: it is 1060.5");
    by.reference.v = 0;
    fits();
    by.reference.v = decimal("101");
    by.notional_cap.v = 0;
    fits();
    by.notional_cap.v = INT64_MAX; /* a bracket without an end */
    fits();
    by.notional_cap.v = decimal("1000");
    rules.trading_type = TRADING_TYPE_spot;
    fits();
}

/* ---- At random ---------------------------------------------------------------------------- */

static int64_t
amount(struct random *r)
{
    switch (random_below(r, 6)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_next(r);
    case 2:
        return (int64_t)random_below(r, INT64_MAX);
    default:
        return (int64_t)random_below(r, UINT64_C(1) << random_below(r, 50));
    }
}

static int64_t
positive(struct random *r)
{
    int64_t v = amount(r);
    return v == INT64_MIN ? 1 : v < 0 ? -v : v;
}

Test(fit, rounding_never_costs_the_user_anything)
{
    struct random r = {23};
    uint32_t passed = 0;
    for (uint32_t i = 0; i < 600000; i++) {
        struct symbol_rules x = {.tick_size = {positive(&r) % (10 * UNIT)},
                                 .step_size = {positive(&r) % (10 * UNIT)},
                                 .market_step_size = {random_below(&r, 2) ? positive(&r) : 0},
                                 .quantity_min = {positive(&r) % UNIT},
                                 .notional_min = {positive(&r) % UNIT},
                                 .quantity_max = {positive(&r)},
                                 .price_max = {positive(&r)},
                                 .bid_multiplier_up = {positive(&r)},
                                 .ask_multiplier_down = {positive(&r)},
                                 .iceberg_parts_max = (uint32_t)random_below(&r, 20),
                                 .trading_type = 1 + (enum trading_type)random_below(&r, 2)};
        struct fit_by b = {.rules = &x,
                           .last = {amount(&r)},
                           .reference = {amount(&r)},
                           .position = {amount(&r)},
                           .notional_cap = {amount(&r)}};
        struct order o = {.side = 1 + (enum side)random_below(&r, 2),
                          .type = 1 + (enum order_type)random_below(&r, 8),
                          .quantity = {amount(&r)},
                          .price = {amount(&r)},
                          .stop_price = {amount(&r)},
                          .iceberg_quantity = {amount(&r)},
                          .quote_order_quantity = {amount(&r)}};
        struct order was = o;
        if (fit_order(&o, &b, &why) != OK) {
            cr_assert(memcmp(&was, &o, sizeof o) == 0);
            continue;
        }
        passed++;
        cr_assert(o.quantity.v <= was.quantity.v && o.quantity.v >= 0);
        cr_assert_eq(o.quantity.v == 0, was.quantity.v == 0);
        cr_assert_eq(o.price.v == 0, was.price.v == 0);
        cr_assert(o.side == SIDE_BUY ? o.price.v <= was.price.v : o.price.v >= was.price.v);
        if (x.step_size.v > 0)
            cr_assert(o.quantity.v % x.step_size.v == 0 && was.quantity.v - o.quantity.v >= 0);
        if (x.tick_size.v > 0) {
            cr_assert(o.price.v % x.tick_size.v == 0 && o.stop_price.v % x.tick_size.v == 0);
            int64_t moved = o.price.v - was.price.v, stop = o.stop_price.v - was.stop_price.v;
            cr_assert((moved < 0 ? -moved : moved) < x.tick_size.v);
            cr_assert(2 * (stop < 0 ? -stop : stop) <= x.tick_size.v);
        }
        if (o.type == ORDER_TYPE_MARKET && x.market_step_size.v > 0)
            cr_assert_eq(o.quantity.v % x.market_step_size.v, 0);
        cr_assert(o.quantity.v == 0 || o.quantity.v >= x.quantity_min.v);
        if (o.reduce_only) /* never more than there is, never the wrong way */
            cr_assert(o.side == SIDE_SELL ? o.quantity.v <= b.position.v
                                          : o.quantity.v <= -b.position.v);
        /* What is fit is fit again. */
        struct order again = o;
        cr_assert_eq(fit_order(&again, &b, &why), OK);
        cr_assert(memcmp(&again, &o, sizeof o) == 0);
    }
    cr_assert_gt(passed, 3000);
}
