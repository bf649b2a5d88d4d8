/*
 * md_rules_test.c - symbol rules from the exchangeInfo layout, new and old, and what is refused.
 *
 * With SCRIP_DATA the answers that Binance really gave in several years are loaded too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/instrument.h"
#include "market/rules.h"

static struct symbol_rules rules[RULES_MAX];
static uint32_t count;
static char why[RULES_WHY_BYTES];

static enum err
read_text(const char *text)
{
    return rules_read(text, strlen(text), rules, RULES_MAX, &count, why);
}

static int64_t
decimal(const char *text)
{
    int64_t v = 0;
    cr_assert(decimal_read(text, strlen(text), &v) == OK);
    return v;
}

Test(rules, the_projects_own_file_loads)
{
    cr_assert(rules_load(SCRIP_RULES_FILE, rules, RULES_MAX, &count, why) == OK, "%s", why);
    cr_assert_eq(count, 12);
    const struct symbol_rules *r = rules_find(rules, count, code_of("BTCUSDT"));
    cr_assert(r != NULL && r->is_trading);
    cr_assert_str_eq(r->base_asset.text, "BTC");
    cr_assert_eq(r->tick_size.v, decimal("0.01"));
    cr_assert_eq(r->step_size.v, decimal("0.00001"));
    cr_assert_eq(r->notional_min.v, decimal("5"));
    cr_assert(r->notional_min_market && !r->notional_max_market);
    cr_assert_eq(r->bid_multiplier_up.v, decimal("5"));
    cr_assert_eq(r->ask_multiplier_down.v, decimal("0.2"));
    cr_assert_eq(r->market_step_size.v, 0);
    cr_assert_eq(r->orders_max, 200);
    cr_assert(rules_find(rules, count, code_of("NOSUCH")) == NULL);
}

#define ONE(filters)                                                                               \
    "{\"symbols\":[{\"symbol\":\"AB\",\"status\":\"BREAK\",\"baseAsset\":\"A\","                   \
    "\"quoteAsset\":\"B\",\"filters\":[" filters "]}]}"

Test(rules, the_old_names_of_filters_are_understood)
{
    cr_assert(read_text(ONE("{\"filterType\":\"MIN_NOTIONAL\",\"minNotional\":\"10.0\","
                            "\"applyToMarket\":true},"
                            "{\"filterType\":\"PERCENT_PRICE\",\"multiplierUp\":\"5\","
                            "\"multiplierDown\":\"0.2\"},"
                            "{\"filterType\":\"ICEBERG_PARTS\",\"limit\":10}")) == OK,
              "%s", why);
    cr_assert(!rules[0].is_trading && rules[0].notional_min_market);
    cr_assert_eq(rules[0].notional_min.v, decimal("10"));
    cr_assert_eq(rules[0].bid_multiplier_up.v, decimal("5"));
    cr_assert_eq(rules[0].ask_multiplier_up.v, decimal("5"));
    cr_assert_eq(rules[0].bid_multiplier_down.v, decimal("0.2"));
}

Test(rules, the_names_of_futures_are_understood)
{
    cr_assert(read_text(ONE("{\"filterType\":\"MIN_NOTIONAL\",\"notional\":\"5\"},"
                            "{\"filterType\":\"MAX_NUM_ORDERS\",\"limit\":200}")) == OK,
              "%s", why);
    cr_assert_eq(rules[0].notional_min.v, decimal("5"));
    cr_assert(rules[0].notional_min_market);
    cr_assert_eq(rules[0].orders_max, 200);
}

#define CONTRACT(name, type)                                                                       \
    "{\"symbol\":\"" name "\",\"status\":\"TRADING\",\"baseAsset\":\"A\",\"contractType\":\"" type \
    "\",\"quoteAsset\":\"B\",\"filters\":[]}"

Test(rules, contracts_are_futures_and_perpetual_ones_have_names_of_their_own)
{
    cr_assert(read_text("{\"symbols\":[" CONTRACT("AB", "PERPETUAL") "," CONTRACT(
                  "AB_240927", "CURRENT_QUARTER") "," CONTRACT("OLD", "") "]}") == OK,
              "%s", why);
    static const char *const NAMES[] = {"AB_240927", "AB_PERP", "OLD_PERP"};
    cr_assert_eq(count, 3);
    for (uint32_t i = 0; i < count; i++) {
        cr_expect_str_eq(rules[i].symbol.text, NAMES[i]);
        cr_expect(rules[i].trading_type == TRADING_TYPE_futures && rules[i].is_trading);
    }
    /* Its name leaves no room: it is skipped. */
    cr_assert(read_text("{\"symbols\":[" CONTRACT("ABCDEFGHIJKLMNOPQRST", "PERPETUAL") "," CONTRACT(
                  "AB", "PERPETUAL") "]}") == OK,
              "%s", why);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(rules[0].symbol.text, "AB_PERP");
    cr_assert(read_text(ONE("")) == OK);
    cr_expect_eq(rules[0].trading_type, TRADING_TYPE_NONE);
}

Test(rules, limits_of_special_orders_are_understood)
{
    cr_assert(read_text(ONE("{\"filterType\":\"MAX_NUM_ALGO_ORDERS\",\"maxNumAlgoOrders\":5},"
                            "{\"filterType\":\"MAX_NUM_ICEBERG_ORDERS\",\"maxNumIcebergOrders\":6},"
                            "{\"filterType\":\"MAX_NUM_ORDER_LISTS\",\"maxNumOrderLists\":20},"
                            "{\"filterType\":\"MAX_NUM_ORDER_AMENDS\",\"maxNumOrderAmends\":10},"
                            "{\"filterType\":\"ICEBERG_PARTS\",\"limit\":100},"
                            "{\"filterType\":\"MAX_POSITION\",\"maxPosition\":\"12.5\"},"
                            "{\"filterType\":\"TRAILING_DELTA\",\"minTrailingAboveDelta\":10,"
                            "\"maxTrailingAboveDelta\":2000,\"minTrailingBelowDelta\":11,"
                            "\"maxTrailingBelowDelta\":1000}")) == OK,
              "%s", why);
    const struct symbol_rules *r = &rules[0];
    cr_assert_eq(r->algo_orders_max, 5);
    cr_assert_eq(r->iceberg_orders_max, 6);
    cr_assert_eq(r->order_lists_max, 20);
    cr_assert_eq(r->order_amends_max, 10);
    cr_assert_eq(r->iceberg_parts_max, 100);
    cr_assert_eq(r->position_max.v, decimal("12.5"));
    cr_assert(r->trailing_above_min == 10 && r->trailing_above_max == 2000);
    cr_assert(r->trailing_below_min == 11 && r->trailing_below_max == 1000);
    cr_assert_eq(r->all_orders_max, 0);
}

#define ENTRY(name)                                                                                \
    "{\"symbol\":\"" name "\",\"status\":\"TRADING\",\"baseAsset\":\"A\","                         \
    "\"quoteAsset\":\"B\",\"filters\":[]}"

Test(rules, filters_of_the_exchange_are_every_symbols)
{
    cr_assert(read_text("{\"exchangeFilters\":["
                        "{\"filterType\":\"EXCHANGE_MAX_NUM_ORDERS\",\"maxNumOrders\":1000},"
                        "{\"filterType\":\"EXCHANGE_MAX_NUM_ALGO_ORDERS\","
                        "\"maxNumAlgoOrders\":200},"
                        "{\"filterType\":\"EXCHANGE_MAX_NUM_ICEBERG_ORDERS\","
                        "\"maxNumIcebergOrders\":300},"
                        "{\"filterType\":\"EXCHANGE_MAX_NUM_ORDER_LISTS\","
                        "\"maxNumOrderLists\":40}],"
                        "\"symbols\":[" ENTRY("AB") "," ENTRY("CD") "]}") == OK,
              "%s", why);
    cr_assert_eq(count, 2);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(rules[i].all_orders_max, 1000);
        cr_assert_eq(rules[i].all_algo_orders_max, 200);
        cr_assert_eq(rules[i].all_iceberg_orders_max, 300);
        cr_assert_eq(rules[i].all_order_lists_max, 40);
        cr_assert_eq(rules[i].orders_max, 0);
    }
    cr_assert(read_text("{\"exchangeFilters\":[7],\"symbols\":[" ENTRY("AB") "]}") ==
              ERR_LINE_INVALID);
    cr_assert(read_text("{\"exchangeFilters\":[{\"filterType\":\"EXCHANGE_MAX_NUM_ORDERS\","
                        "\"maxNumOrders\":-1}],\"symbols\":[" ENTRY("AB") "]}") ==
              ERR_LINE_INVALID);
}

Test(rules, a_limit_past_int64_is_no_limit)
{
    cr_assert(read_text(ONE("{\"filterType\":\"LOT_SIZE\",\"minQty\":\"1\","
                            "\"maxQty\":\"99999999999999999999\",\"stepSize\":\"1\"}")) == OK);
    cr_assert_eq(rules[0].quantity_max.v, 0);
    cr_assert_eq(rules[0].quantity_min.v, decimal("1"));
}

Test(rules, what_is_wrong_is_named)
{
    static const struct {
        const char *text, *says;
    } CASES[] = {
        {"", "not one JSON object"},
        {"[]", "symbols"},
        {"{\"symbols\":[]}", "0 symbols"},
        {"{\"symbols\":[7]}", "no usable name"},
        {"{\"symbols\":[{\"symbol\":\"ABCDEFGHIJKLMNOPQRSTUVWXYZ\"}]}", "no usable name"},
        {"{\"symbols\":[{\"symbol\":\"AB\"}]}", "AB: baseAsset"},
        {ONE("{}"), "AB: a filter has no filterType"},
        {ONE("7"), "AB: a filter is not an object"},
        {ONE("{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"1e-5\"}"), "tickSize"},
        {ONE("{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"0.000000001\"}"), "tickSize"},
        {ONE("{\"filterType\":\"LOT_SIZE\",\"minQty\":\"-1\"}"), "minQty"},
        {ONE("{\"filterType\":\"LOT_SIZE\",\"minQty\":\"99999999999999999999\"}"), "minQty"},
        {ONE("{\"filterType\":\"MAX_NUM_ORDERS\",\"maxNumOrders\":-1}"), "MAX_NUM_ORDERS"},
        {"{\"symbols\":[{\"symbol\":\"AB\",\"baseAsset\":\"A\",\"quoteAsset\":\"B\","
         "\"filters\":[]},{\"symbol\":\"AB\",\"baseAsset\":\"A\",\"quoteAsset\":\"B\","
         "\"filters\":[]}]}",
         "AB: is there twice"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        cr_assert(read_text(CASES[i].text) == ERR_LINE_INVALID, "case %zu", i);
        cr_assert(strstr(why, CASES[i].says) != NULL, "case %zu says: %s", i, why);
        cr_assert_eq(count, 0);
    }
    cr_assert(rules_load("/nowhere/symbols.json", rules, RULES_MAX, &count, why) ==
              ERR_FILE_UNREADABLE);
    cr_assert(strstr(why, "/nowhere/symbols.json") != NULL);
}

Test(rules, one_is_put_into_its_place_or_in_place_of_an_older_one)
{
    static const char *const NAMES[] = {"M", "A", "Z", "K"};
    static struct symbol_rules list[4];
    struct symbol_rules one = {.is_trading = true};
    uint32_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        one.symbol = code_of(NAMES[i]);
        cr_expect(rules_put(list, 4, &n, &one));
    }
    cr_assert_eq(n, 4);
    for (uint32_t i = 1; i < n; i++)
        cr_expect(strcmp(list[i - 1].symbol.text, list[i].symbol.text) < 0);
    cr_expect(!rules_put(list, 4, &n, &one), "nothing new");
    one.tick_size.v = 7;
    cr_expect(rules_put(list, 4, &n, &one));
    cr_assert_eq(n, 4);
    cr_expect_eq(rules_find(list, n, code_of("K"))->tick_size.v, 7);
    one.symbol = code_of("B");
    cr_expect(!rules_put(list, 4, &n, &one), "no room");
}

/* gunzips a recorded answer; false when SCRIP_DATA does not hold it. */
static bool
load_recorded(const char *name)
{
    char path[512];
    const char *folder = getenv("SCRIP_DATA");
    if (folder == NULL)
        return false;
    snprintf(path, sizeof(path), "%s/rules/%s.json.gz", folder, name);
    gzFile f = gzopen(path, "rb");
    cr_assert(f != NULL, "%s", path);
    size_t room = 8u << 20;
    char *text = malloc(room);
    int length = gzread(f, text, (unsigned)room);
    gzclose(f);
    enum err e = rules_read(text, (size_t)length, rules, RULES_MAX, &count, why);
    free(text);
    cr_assert(e == OK, "%s: %s", name, why);
    return true;
}

Test(rules, what_binance_answered_over_the_years_loads)
{
    static const struct {
        const char *name;
        uint32_t count;
    } FILES[] = {{"spot_exchangeInfo_20240908", 1248}, {"spot_exchangeInfo_20230410", 2183},
                 {"spot_exchangeInfo_20211012", 1695}, {"usdm_exchangeInfo_20220504", 155},
                 {"usdm_exchangeInfo_20210721", 122},  {"usdm_testnet_exchangeInfo_20260331", 704}};
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        if (!load_recorded(FILES[i].name)) {
            cr_skip_test("SKIPPED: needs SCRIP_DATA");
            return;
        }
        cr_assert_eq(count, FILES[i].count, "%s: %u", FILES[i].name, count);
        bool is_spot = strncmp(FILES[i].name, "spot", 4) == 0;
        code_t bitcoin = code_of(is_spot ? "BTCUSDT" : "BTCUSDT" INSTRUMENT_PERPETUAL);
        const struct symbol_rules *r = rules_find(rules, count, bitcoin);
        cr_assert(r != NULL && (r->trading_type == TRADING_TYPE_futures) == !is_spot);
        cr_assert(r->tick_size.v > 0 && r->step_size.v > 0 && r->notional_min.v > 0);
        cr_assert(r->bid_multiplier_up.v > r->bid_multiplier_down.v);
    }
}
