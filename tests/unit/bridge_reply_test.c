/*
 * bridge_reply_test.c - what the exchange answers, read: as it answers, and as it should not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/reply.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_msg.h"

#define SPOT TRADING_TYPE_spot
#define USDM TRADING_TYPE_futures
#define MS   INT64_C(1000)

static struct reply_order order;

static int64_t
decimal(const char *text)
{
    int64_t v = 0;
    cr_assert_eq(decimal_read(text, strlen(text), &v), OK);
    return v;
}

/* From memory of the text's own length, so that a sanitizer sees a read behind it. */
static char *
exact(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return realloc(copy, strlen(text) > 0 ? strlen(text) : 1);
}

static bool
read_order(const char *text)
{
    char *copy = exact(text);
    bool ok = reply_order(copy, strlen(text), &order);
    free(copy);
    return ok;
}

/* ---- Errors, time, keys, limits ------------------------------------------------------------ */

Test(reply, errors_have_a_code_and_a_sentence)
{
    int64_t code = 0;
    char message[128];
    const char *text = "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}";
    cr_assert(reply_error(text, strlen(text), &code, message));
    cr_assert_eq(code, -1121);
    cr_assert_str_eq(message, "Invalid symbol.");
    text = " {\"msg\":\"a \\\"b\\\" \\u00e9\\n\xc3\xa9\",\"data\":{\"code\":1},\"code\":-2022 } ";
    cr_assert(reply_error(text, strlen(text), &code, message));
    cr_assert_eq(code, -2022);
    cr_assert_str_eq(message, "a \"b\" ? ??");
    static const char *const NONE[] = {"",
                                       "{}",
                                       "[]",
                                       "{\"code\":200,\"msg\":\"success\"}",
                                       "{\"msg\":\"x\"}",
                                       "<html>",
                                       "{\"code\":-1121,\"msg\":\"Inval",
                                       "{\"code\":\"-1\"}",
                                       "{\"code\":-}",
                                       "{\"code\":-1}}",
                                       "{\"code\":-1,\"code\":-2}",
                                       "{\"data\":{\"code\":-1}}"};
    for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++)
        cr_assert(!reply_error(NONE[i], strlen(NONE[i]), &code, message), "%s", NONE[i]);
    char large[400];
    snprintf(large, sizeof large, "{\"code\":-1,\"msg\":\"%0300d\"}", 7);
    cr_assert(reply_error(large, strlen(large), &code, message));
    cr_assert_eq(strlen(message), 127);
}

Test(reply, the_time_is_milliseconds)
{
    int64_t t = 0;
    const char *text = "{\"serverTime\":1700000000123}";
    cr_assert(reply_server_time(text, strlen(text), &t));
    cr_assert_eq(t, 1700000000123 * MS);
    static const char *const WRONG[] = {"{\"serverTime\":1700000000}",
                                        "{\"serverTime\":-1}",
                                        "{\"serverTime\":\"1700000000123\"}",
                                        "{}",
                                        "[1]",
                                        "{\"serverTime\":1700000000123456}",
                                        "{\"serverTime\":99999999999999999999}"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!reply_server_time(WRONG[i], strlen(WRONG[i]), &t), "%s", WRONG[i]);
}

Test(reply, a_listen_key_becomes_a_part_of_a_url)
{
    char key[REPLY_LISTEN_KEY_BYTES];
    const char *text = "{\"listenKey\":\"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65s\"}";
    cr_assert(reply_listen_key(text, strlen(text), key));
    cr_assert_str_eq(key, "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65s");
    static const char *const WRONG[] = {"{\"listenKey\":\"\"}",
                                        "{\"listenKey\":\"a/b\"}",
                                        "{\"listenKey\":\"a?b\"}",
                                        "{\"listenKey\":7}",
                                        "{}",
                                        "{\"listenKey\":\"a\\u0020\"}"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!reply_listen_key(WRONG[i], strlen(WRONG[i]), key), "%s", WRONG[i]);
    char large[200];
    snprintf(large, sizeof large, "{\"listenKey\":\"%0128d\"}", 1);
    cr_assert(!reply_listen_key(large, strlen(large), key));
}

Test(reply, lists_of_open_orders)
{
#define OPEN(id, status, done)                                                                     \
    "{\"symbol\":\"BTCUSDT\",\"orderId\":" #id ",\"clientOrderId\":\"mine-" #id                    \
    "\",\"price\":\"1\",\"origQty\":\"3\",\"executedQty\":\"" done "\",\"status\":\"" status       \
    "\",\"updateTime\":1499827319559}"
    static const char list[] = "[" OPEN(7, "NEW", "0") "," OPEN(8, "PARTIALLY_FILLED", "1.5") "]";
    struct reply_open open[2];
    uint32_t count = 9;
    cr_assert(reply_open_orders(list, strlen(list), open, 2, &count));
    cr_assert_eq(count, 2);
    cr_assert_str_eq(open[0].client_id.text, "mine-7");
    cr_assert_eq(open[0].status, ORDER_STATUS_NEW);
    cr_assert_eq(open[1].status, ORDER_STATUS_PARTIALLY_FILLED);
    cr_assert_eq(open[1].executed.v, 3 * DECIMAL_ONE / 2);
    cr_assert(!reply_open_orders(list, strlen(list), open, 1, &count));
    cr_assert(reply_open_orders("[]", 2, open, 2, &count));
    cr_assert_eq(count, 0);
    static const char *const WRONG[] = {"{}", "[", "[7]", "[{}]", "[" OPEN(7, "ODD", "0") "]", ""};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!reply_open_orders(WRONG[i], strlen(WRONG[i]), open, 2, &count), "%s", WRONG[i]);
}

Test(reply, limits_by_their_intervals)
{
    struct reply_limits l;
    const char *text =
        "{\"timezone\":\"UTC\",\"serverTime\":1,\"rateLimits\":["
        "{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,"
        "\"limit\":6000},"
        "{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":100},"
        "{\"rateLimitType\":\"ORDERS\",\"interval\":\"DAY\",\"intervalNum\":1,\"limit\":200000},"
        "{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,"
        "\"limit\":300000}],\"exchangeFilters\":[],\"symbols\":[{\"symbol\":\"BTCUSDT\"}]}";
    cr_assert(reply_limits(text, strlen(text), &l));
    cr_assert(l.weight_1m == 6000 && l.orders_10s == 100 && l.orders_1d == 200000);
    cr_assert_eq(l.orders_1m, 0);
    text = "{\"rateLimits\":[{\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\","
           "\"intervalNum\":1,\"limit\":1200}]}";
    cr_assert(reply_limits(text, strlen(text), &l));
    cr_assert(l.weight_1m == 0 && l.orders_1m == 1200);
    static const char *const WRONG[] = {
        "{}",
        "{\"rateLimits\":{}}",
        "{\"rateLimits\":[{}]}",
        "{\"rateLimits\":[1]}",
        "{\"rateLimits\":[{\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\","
        "\"intervalNum\":1,\"limit\":4294967296}]}",
        "{\"rateLimits\":[],\"symbols\":["};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!reply_limits(WRONG[i], strlen(WRONG[i]), &l), "%s", WRONG[i]);
}

/* ---- Orders ------------------------------------------------------------------------------- */

Test(reply, a_spot_placement_with_its_fills)
{
    cr_assert(read_order(
        "{\"symbol\":\"BTCUSDT\",\"orderId\":28,\"orderListId\":-1,"
        "\"clientOrderId\":\"scrip-abc123-5\",\"transactTime\":1700000000123,"
        "\"price\":\"0.00000000\",\"origQty\":\"10.00000000\",\"executedQty\":\"10.00000000\","
        "\"origQuoteOrderQty\":\"0.000000\",\"cummulativeQuoteQty\":\"39997.00000000\","
        "\"status\":\"FILLED\",\"timeInForce\":\"GTC\",\"type\":\"MARKET\",\"side\":\"SELL\","
        "\"workingTime\":1700000000123,\"selfTradePreventionMode\":\"NONE\",\"fills\":["
        "{\"price\":\"4000.00000000\",\"qty\":\"1.00000000\",\"commission\":\"4.00000000\","
        "\"commissionAsset\":\"USDT\",\"tradeId\":56},"
        "{\"price\":\"3999.66666666\",\"qty\":\"9.00000000\",\"commission\":\"-0.00000001\","
        "\"commissionAsset\":\"BNB\",\"tradeId\":57}]}"));
    cr_assert_str_eq(order.symbol.text, "BTCUSDT");
    cr_assert_str_eq(order.client_id.text, "scrip-abc123-5");
    cr_assert(order.exchange_order_id == 28 && order.status == ORDER_STATUS_FILLED);
    cr_assert_eq(order.executed.v, decimal("10"));
    cr_assert_eq(order.time_us, 1700000000123 * MS);
    cr_assert_eq(order.fills_count, 2);
    cr_assert_eq(order.fills[0].executed_after.v, decimal("1"));
    cr_assert_eq(order.fills[1].executed_after.v, decimal("10"));
    cr_assert_eq(order.fills[1].price.v, decimal("3999.66666666"));
    cr_assert_eq(order.fills[1].quote_quantity.v, decimal("35996.99999994"));
    cr_assert_eq(order.fills[1].fee.v, -1);
    cr_assert_str_eq(order.fills[1].fee_asset.text, "BNB");
    cr_assert_eq(order.fills[1].time_us, 1700000000123 * MS);
}

Test(reply, an_ack_tells_no_status)
{
    cr_assert(read_order("{\"symbol\":\"BTCUSDT\",\"orderId\":28,\"orderListId\":-1,"
                         "\"clientOrderId\":\"x\",\"transactTime\":1700000000123}"));
    cr_assert_eq(order.status, ORDER_STATUS_NONE);
    cr_assert(order.quantity.v == 0 && order.executed.v == 0 && order.fills_count == 0);
}

/* What is not needed makes none unreadable: not a sum of quotes larger than anything here. */
Test(reply, a_spot_query_and_a_cancel)
{
    cr_assert(read_order("{\"symbol\":\"LTCBTC\",\"orderId\":1,\"orderListId\":-1,"
                         "\"clientOrderId\":\"own\",\"price\":\"0.1\",\"origQty\":\"1.0\","
                         "\"executedQty\":\"0.5\",\"cummulativeQuoteQty\":\"-1.0\","
                         "\"status\":\"PARTIALLY_FILLED\",\"stopPrice\":\"0.0\","
                         "\"time\":1699999999999,\"updateTime\":1700000000000,"
                         "\"isWorking\":true,\"workingTime\":-1}"));
    cr_assert_eq(order.status, ORDER_STATUS_PARTIALLY_FILLED);
    cr_assert_eq(order.time_us, 1700000000000 * MS);
    cr_assert_eq(order.price.v, decimal("0.1"));
    cr_assert(read_order("{\"symbol\":\"LTCBTC\",\"origClientOrderId\":\"own\",\"orderId\":4,"
                         "\"clientOrderId\":\"cancel-id\",\"transactTime\":1700000000000,"
                         "\"price\":\"2\",\"origQty\":\"1\",\"executedQty\":\"0\","
                         "\"cummulativeQuoteQty\":\"31000000000\",\"status\":\"CANCELED\"}"));
    cr_assert_str_eq(order.client_id.text, "own");
    cr_assert_eq(order.status, ORDER_STATUS_CANCELED);
}

Test(reply, a_futures_order_with_and_without_sums)
{
    cr_assert(read_order("{\"orderId\":8389765912345678901,\"clientOrderId\":\"own\","
                         "\"symbol\":\"BTCUSDT\",\"status\":\"EXPIRED_IN_MATCH\",\"price\":\"9\","
                         "\"origQty\":\"10\",\"executedQty\":\"3\",\"cumQty\":\"3\","
                         "\"reduceOnly\":false,\"updateTime\":1700000000001}"));
    cr_assert_eq(order.exchange_order_id, UINT64_C(8389765912345678901));
    cr_assert_eq(order.status, ORDER_STATUS_EXPIRED_IN_MATCH);
    cr_assert(read_order("{\"orderId\":1,\"clientOrderId\":\"own\",\"symbol\":\"BTCUSDT\","
                         "\"status\":\"FILLED\",\"origQty\":\"1\",\"executedQty\":\"1\","
                         "\"avgPrice\":\"9.123456789\",\"cumQuote\":\"9.12\","
                         "\"time\":1700000000000,\"updateTime\":1700000000001}"));
}

Test(reply, statuses_in_words)
{
    static const struct {
        const char *name;
        enum order_status status;
    } ALL[] = {{"NEW", ORDER_STATUS_NEW},           {"PENDING_NEW", ORDER_STATUS_PENDING_NEW},
               {"FILLED", ORDER_STATUS_FILLED},     {"CANCELED", ORDER_STATUS_CANCELED},
               {"REJECTED", ORDER_STATUS_REJECTED}, {"EXPIRED", ORDER_STATUS_EXPIRED},
               {"PENDING_CANCEL", ORDER_STATUS_NEW}};
    char text[200];
    for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
        snprintf(text, sizeof text,
                 "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\",\"status\":\"%s\"}",
                 ALL[i].name);
        cr_assert(read_order(text));
        cr_assert_eq(order.status, ALL[i].status, "%s", ALL[i].name);
    }
}

#define AN_ORDER(more)                                                                             \
    "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\",\"status\":\"NEW\"" more "}"

Test(reply, orders_that_are_none)
{
    cr_assert(read_order(AN_ORDER("")));
    cr_assert(read_order(AN_ORDER(",\"new\":[{\"a\":[1,{}]}],\"x\":null")));
    static const char *const WRONG[] = {
        "",
        "{}",
        "[]",
        "null",
        "1",
        "\"a\"",
        "{\"symbol\":\"A\"",
        "{\"symbol\":\"A\",\"orderId\":0,\"clientOrderId\":\"a\",\"status\":\"NEW\"}",
        "{\"symbol\":\"A\",\"orderId\":-1,\"clientOrderId\":\"a\",\"status\":\"NEW\"}",
        "{\"symbol\":\"A\",\"orderId\":\"1\",\"clientOrderId\":\"a\",\"status\":\"NEW\"}",
        "{\"symbol\":\"A\",\"orderId\":1,\"status\":\"NEW\"}",
        "{\"symbol\":7,\"orderId\":1,\"clientOrderId\":\"a\"}",
        "{\"symbol\":\"\",\"orderId\":1,\"clientOrderId\":\"a\"}",
        "{\"symbol\":\"A\\u0042\",\"orderId\":1,\"clientOrderId\":\"a\"}",
        "{\"symbol\":\"ABCDEFGHIJKLMNOPQRSTUVWX\",\"orderId\":1,\"clientOrderId\":\"a\"}",
        "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\",\"status\":\"HALF\"}",
        "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\",\"status\":7}",
        AN_ORDER(",\"orderId\":2"),
        AN_ORDER("}"),
        AN_ORDER(",\"origQty\":\"-1\""),
        AN_ORDER(",\"executedQty\":\"1e3\""),
        AN_ORDER(",\"executedQty\":\"0.000000001\""),
        AN_ORDER(",\"executedQty\":\"NaN\""),
        AN_ORDER(",\"executedQty\":\"99999999999999\""),
        AN_ORDER(",\"executedQty\":\"30000000000\""), /* a quarter of int64 */
        AN_ORDER(",\"origQty\":\"1\",\"executedQty\":\"1.1\""),
        AN_ORDER(",\"price\":\"-0.1\""),
        AN_ORDER(",\"transactTime\":\"soon\""),
        AN_ORDER(",\"transactTime\":17"),
        AN_ORDER(",\"fills\":{}"),
        AN_ORDER(",\"fills\":[{}]"),
        AN_ORDER(",\"fills\":[1]"),
        AN_ORDER(",\"executedQty\":\"1\",\"fills\":[{\"price\":\"1\",\"qty\":\"1.1\","
                 "\"commission\":\"0\",\"commissionAsset\":\"A\",\"tradeId\":1}]"),
        AN_ORDER(",\"executedQty\":\"1\",\"fills\":[{\"price\":\"0\",\"qty\":\"1\","
                 "\"commission\":\"0\",\"commissionAsset\":\"A\",\"tradeId\":1}]"),
        AN_ORDER(",\"executedQty\":\"1\",\"fills\":[{\"price\":\"1\",\"qty\":\"0\","
                 "\"commission\":\"0\",\"commissionAsset\":\"A\",\"tradeId\":1}]")};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!read_order(WRONG[i]), "%s", WRONG[i]);
}

Test(reply, a_client_id_too_long_for_ours_is_nobodys)
{
    cr_assert(read_order("{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":"
                         "\"0123456789012345678901234567890123456789\"}"));
    cr_assert_str_eq(order.client_id.text, "");
}

Test(reply, more_fills_than_there_is_room_for)
{
    static char text[16384];
    size_t at = (size_t)snprintf(text, sizeof text,
                                 "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\","
                                 "\"status\":\"FILLED\",\"executedQty\":\"100\",\"fills\":[");
    for (int i = 0; i < 100; i++)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "%s{\"price\":\"2\",\"qty\":\"1\",\"commission\":\"0\","
                               "\"commissionAsset\":\"A\",\"tradeId\":%d}",
                               i == 0 ? "" : ",", i);
    snprintf(text + at, sizeof text - at, "]}");
    cr_assert(read_order(text));
    cr_assert_eq(order.fills_count, REPLY_FILLS_MAX);
    cr_assert_eq(order.fills[0].trade_id, 1); /* the first trade of all has the id 0 */
    cr_assert_eq(order.fills[63].executed_after.v, 64 * DECIMAL_ONE);
    cr_assert_eq(order.executed.v, 100 * DECIMAL_ONE);
}

/* ---- Trades ------------------------------------------------------------------------------- */

#define TRADE(id, order, qty)                                                                      \
    "{\"symbol\":\"A\",\"id\":" #id ",\"orderId\":" #order ",\"price\":\"2\",\"qty\":\"" #qty      \
    "\",\"quoteQty\":\"4\",\"commission\":\"0.1\",\"commissionAsset\":\"B\","                      \
    "\"time\":1700000000000,\"isBuyer\":true,\"isMaker\":true,\"maker\":true}"

static struct exchange_fill fills[4];
static uint32_t count;
static uint32_t there;

static bool
read_trades(enum trading_type market, const char *text, uint32_t max)
{
    return reply_trades(market, text, strlen(text), 7, fills, max, &count, &there);
}

Test(reply, trades_of_one_order_count_up)
{
    const char *text = "[" TRADE(10, 7, 1) "," TRADE(11, 8, 5) "," TRADE(12, 7, 0.5) "]";
    for (enum trading_type market = SPOT; market <= USDM; market++) {
        cr_assert(read_trades(market, text, 4));
        cr_assert(count == 2 && there == 2 && fills[1].trade_id == 12);
        cr_assert_eq(fills[0].executed_after.v, decimal("1"));
        cr_assert_eq(fills[1].executed_after.v, decimal("1.5"));
        cr_assert_eq(fills[1].quote_quantity.v, decimal("4"));
        cr_assert(fills[1].is_maker);
        cr_assert_eq(fills[1].time_us, 1700000000000 * MS);
        cr_assert(read_trades(market, text, 1));
        cr_assert(count == 1 && there == 2 && fills[0].trade_id == 10);
    }
    cr_assert(read_trades(SPOT, "[]", 4));
    cr_assert(count == 0 && there == 0);
}

Test(reply, trades_that_are_none)
{
    static const char *const WRONG[] = {
        "{}",
        "",
        "[",
        "[" TRADE(1, 7, 1),
        "[" TRADE(1, 7, 1) ",]",
        "[" TRADE(1, 7, 0) "]",
        "[" TRADE(1, 7, -1) "]",
        "[" TRADE(-1, 7, 1) "]",
        "[" TRADE(2, 7, 1) "," TRADE(1, 7, 1) "]",
        "[" TRADE(1, 7, 20000000000) "," TRADE(2, 7, 20000000000) "]",
        "[[]]",
        "[1]",
        "[{}]",
        "[" TRADE(1, 7, 1) "]]"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!read_trades(SPOT, WRONG[i], 4), "%s", WRONG[i]);
}

/* ---- Brackets ----------------------------------------------------------------------------- */

#define BRACKETS                                                                                   \
    "{\"symbol\":\"BTCUSDT\",\"notionalCoef\":1.5,\"brackets\":[{\"bracket\":1,"                   \
    "\"initialLeverage\":125,\"notionalCap\":50000,\"notionalFloor\":0,"                           \
    "\"maintMarginRatio\":0.004,\"cum\":0.0},{\"bracket\":2,\"initialLeverage\":1,"                \
    "\"notionalCap\":9223372036854775807,\"notionalFloor\":5.0E4,\"maintMarginRatio\":5.0E-1,"     \
    "\"cum\":1.13895E7}]}"

Test(reply, brackets_in_both_forms)
{
    static const char *const FORMS[] = {BRACKETS, "[" BRACKETS "]"};
    struct bracket b[2];
    for (int i = 0; i < 2; i++) {
        cr_assert(reply_brackets(FORMS[i], strlen(FORMS[i]), b, 2, &count));
        cr_assert_eq(count, 2);
        cr_assert_str_eq(b[0].symbol.text, "BTCUSDT");
        cr_assert(b[0].leverage == 125 && b[0].maintenance_rate.v == decimal("0.004"));
        cr_assert_eq(b[0].notional_cap.v, decimal("50000"));
        cr_assert_eq(b[1].notional_cap.v, INT64_MAX);
        cr_assert_eq(b[1].notional_floor.v, decimal("50000"));
        cr_assert_eq(b[1].maintenance_rate.v, decimal("0.5"));
        cr_assert_eq(b[1].cumulative.v, decimal("11389500"));
        cr_assert(!reply_brackets(FORMS[i], strlen(FORMS[i]), b, 1, &count));
    }
    const char *exponent =
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":"
        "9.223372036854775807E18,\"notionalFloor\":0,\"maintMarginRatio\":0,\"cum\":0}]}";
    cr_assert(reply_brackets(exponent, strlen(exponent), b, 2, &count));
    cr_assert_eq(b[0].notional_cap.v, INT64_MAX);
    static const char *const WRONG[] = {
        "",
        "1",
        "{}",
        "[{}]",
        "[1]",
        "{\"symbol\":\"A\",\"brackets\":[{}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":"
        "1.2.3E18,\"notionalFloor\":0,\"maintMarginRatio\":0,\"cum\":0}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":"
        "-9223372036854775807,\"notionalFloor\":0,\"maintMarginRatio\":0,\"cum\":0}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":0,\"notionalCap\":1,"
        "\"notionalFloor\":0,\"maintMarginRatio\":0,\"cum\":0}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":1,"
        "\"notionalFloor\":2,\"maintMarginRatio\":0,\"cum\":0}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":1,"
        "\"notionalFloor\":0,\"maintMarginRatio\":1e99,\"cum\":0}]}",
        "{\"symbol\":\"A\",\"brackets\":[{\"bracket\":1,\"initialLeverage\":1,\"notionalCap\":1,"
        "\"notionalFloor\":0,\"maintMarginRatio\":0,\"cum\":9e15}]}"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_assert(!reply_brackets(WRONG[i], strlen(WRONG[i]), b, 2, &count), "%s", WRONG[i]);
}

/* ---- Anything ----------------------------------------------------------------------------- */

static struct exchange_balance balances[3];
static struct exchange_position positions[2];
static struct reply_account account = {
    .balances = balances, .positions = positions, .balances_max = 3, .positions_max = 2};

/* A good text with a few bytes changed, cut or doubled never leads out of its bounds, and what is
 * read of it keeps the promises of the header. */
Test(reply, broken_texts_break_nothing)
{
    static const char *const SEEDS[] = {
        "{\"symbol\":\"A\",\"orderId\":1,\"clientOrderId\":\"a\",\"status\":\"NEW\","
        "\"origQty\":\"9\",\"executedQty\":\"3\",\"transactTime\":1700000000000,\"fills\":["
        "{\"price\":\"1\",\"qty\":\"1\",\"commission\":\"0\",\"commissionAsset\":\"A\","
        "\"tradeId\":1}]}",
        "[" TRADE(10, 7, 1) "," TRADE(11, 7, 5) "]", BRACKETS,
        "{\"canTrade\":true,\"balances\":[{\"asset\":\"BTC\",\"free\":\"1.5\",\"locked\":\"0\"}]}",
        "{\"assets\":[{\"asset\":\"USDT\",\"walletBalance\":\"3\"}],\"positions\":["
        "{\"symbol\":\"BTCUSDT\",\"positionAmt\":\"-0.5\",\"entryPrice\":\"6.1\"}]}"};
    struct random r = {7};
    for (uint32_t i = 0; i < 60000; i++) {
        char text[1024];
        size_t length = strlen(SEEDS[i % 5]);
        memcpy(text, SEEDS[i % 5], length);
        for (uint64_t n = random_below(&r, 4); n > 0; n--)
            text[random_below(&r, length)] = "{}[],:\"\\0919.-eE \x01\xff"[random_below(&r, 19)];
        if (random_below(&r, 3) == 0)
            length = random_below(&r, length + 1);
        char *copy = malloc(length + 1);
        memcpy(copy, text, length);
        copy = realloc(copy, length > 0 ? length : 1);
        struct bracket b[2];
        for (enum trading_type market = SPOT; market <= USDM; market++) {
            if (reply_order(copy, length, &order)) {
                cr_assert(order.fills_count <= REPLY_FILLS_MAX && order.executed.v >= 0);
                for (uint32_t f = 0; f < order.fills_count; f++)
                    cr_assert(order.fills[f].quantity.v > 0 &&
                              order.fills[f].executed_after.v <= order.executed.v);
            }
            if (reply_trades(market, copy, length, 7, fills, 4, &count, &there))
                cr_assert(count <= 4);
            if (reply_account(market, copy, length, &account))
                cr_assert(account.balances_count <= 3 && account.positions_count <= 2);
        }
        if (reply_brackets(copy, length, b, 2, &count))
            cr_assert(count <= 2);
        free(copy);
    }
}
