/*
 * bridge_stream_test.c - events of user data streams, of both markets, as they come and broken.
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

static struct exchange_balance balances[2];
static struct exchange_position positions[2];
static struct stream_event event;

static int64_t
decimal(const char *text)
{
    int64_t v = 0;
    cr_assert_eq(decimal_read(text, strlen(text), &v), OK);
    return v;
}

/* From memory of the text's own length. */
static bool
heard_bytes(enum trading_type market, const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, text, length);
    event.account = (struct reply_account){
        .balances = balances, .positions = positions, .balances_max = 2, .positions_max = 2};
    bool ok = reply_stream_event(market, copy, length, &event);
    free(copy);
    return ok;
}

static bool
heard(enum trading_type market, const char *text)
{
    return heard_bytes(market, text, strlen(text));
}

#define WRAPPED(text) "{\"subscriptionId\":0,\"event\":" text "}"
#define REPORT(more)                                                                               \
    "{\"e\":\"executionReport\",\"E\":1700000000123,\"s\":\"ETHBTC\",\"c\":\"own\",\"S\":\"BUY\"," \
    "\"o\":\"LIMIT\",\"f\":\"GTC\",\"q\":\"1.0\",\"p\":\"0.1\",\"P\":\"0.0\",\"F\":\"0.0\","       \
    "\"g\":-1,\"r\":\"NONE\",\"i\":4293153,\"O\":1,\"w\":true,\"M\":false,\"I\":8641984,"          \
    "\"T\":1700000000120" more "}"
#define NOT_FILLED                                                                                 \
    ",\"l\":\"0\",\"z\":\"0\",\"L\":\"0\",\"n\":\"0\",\"N\":null,\"t\":-1,\"m\":false"
#define TRADED                                                                                     \
    ",\"C\":\"\",\"x\":\"TRADE\",\"X\":\"PARTIALLY_FILLED\",\"l\":\"0.25\",\"z\":\"0.75\","        \
    "\"L\":\"0.099\",\"n\":\"0.001\",\"N\":\"BNB\",\"t\":77,\"m\":true,\"Z\":\"0.075\","           \
    "\"Y\":\"0.02475\""

/* ---- Spot --------------------------------------------------------------------------------- */

Test(stream, a_fill_of_spot_in_each_envelope)
{
    static const char *const FORMS[] = {REPORT(TRADED), WRAPPED(REPORT(TRADED)),
                                        "{\"stream\":\"x\",\"data\":" REPORT(TRADED) "}"};
    for (int i = 0; i < 3; i++) {
        cr_assert(heard(SPOT, FORMS[i]));
        const struct reply_order *o = &event.order;
        cr_assert_eq(event.kind, STREAM_EVENT_ORDER);
        cr_assert_eq(event.time_us, 1700000000123 * MS);
        cr_assert_str_eq(o->symbol.text, "ETHBTC");
        cr_assert_str_eq(o->client_id.text, "own");
        cr_assert(o->exchange_order_id == 4293153 && o->status == ORDER_STATUS_PARTIALLY_FILLED);
        cr_assert_eq(o->executed.v, decimal("0.75"));
        cr_assert_eq(o->time_us, 1700000000120 * MS);
        cr_assert_eq(o->fills_count, 1);
        cr_assert(o->fills[0].trade_id == 77 && o->fills[0].is_maker);
        cr_assert_eq(o->fills[0].quantity.v, decimal("0.25"));
        cr_assert_eq(o->fills[0].executed_after.v, decimal("0.75"));
        cr_assert_eq(o->fills[0].quote_quantity.v, decimal("0.02475"));
        cr_assert_eq(o->fills[0].fee.v, decimal("0.001"));
        cr_assert_str_eq(o->fills[0].fee_asset.text, "BNB");
    }
}

Test(stream, a_cancel_of_spot_names_the_order_by_its_own_id)
{
    cr_assert(heard(SPOT, WRAPPED("{\"e\":\"executionReport\",\"E\":1700000000123,"
                                  "\"s\":\"ETHBTC\",\"c\":\"of-the-cancel\",\"C\":\"own\","
                                  "\"q\":\"1\",\"p\":\"0.1\",\"x\":\"CANCELED\","
                                  "\"X\":\"CANCELED\",\"i\":9,\"T\":1700000000120" NOT_FILLED
                                  ",\"Z\":\"0\",\"Y\":\"0\"}")));
    cr_assert_str_eq(event.order.client_id.text, "own");
    cr_assert(event.order.status == ORDER_STATUS_CANCELED && event.order.fills_count == 0);
}

Test(stream, a_status_of_another_day_is_asked_for)
{
    cr_assert(heard(SPOT, REPORT(",\"C\":\"\",\"x\":\"NEW\",\"X\":\"DREAMING\"" NOT_FILLED)));
    cr_assert_eq(event.kind, STREAM_EVENT_CHANGED);
}

Test(stream, balances_of_spot_that_changed)
{
    cr_assert(heard(SPOT, WRAPPED("{\"e\":\"outboundAccountPosition\",\"E\":1700000000123,"
                                  "\"u\":1700000000120,\"B\":[{\"a\":\"ETH\",\"f\":\"0.0\","
                                  "\"l\":\"0.0\"},{\"a\":\"BTC\",\"f\":\"1\",\"l\":\"2\"}]}")));
    cr_assert_eq(event.kind, STREAM_EVENT_ACCOUNT);
    cr_assert_eq(event.account.time_us, 1700000000120 * MS);
    cr_assert_eq(event.account.balances_count, 2); /* what is zero now is told, too */
    cr_assert(balances[0].free.v == 0 && balances[1].locked.v == decimal("2"));
    /* More than there is room for. */
    cr_assert(heard(SPOT, "{\"e\":\"outboundAccountPosition\",\"E\":1700000000123,\"B\":["
                          "{\"a\":\"A\",\"f\":\"0\",\"l\":\"0\"},{\"a\":\"B\",\"f\":\"0\","
                          "\"l\":\"0\"},{\"a\":\"C\",\"f\":\"0\",\"l\":\"0\"}]}"));
    cr_assert(event.kind == STREAM_EVENT_CHANGED && event.account.balances_count == 0);
}

Test(stream, other_events)
{
    static const struct {
        enum trading_type market;
        const char *text;
        enum stream_event_kind kind;
    } ALL[] = {
        {SPOT, WRAPPED("{\"e\":\"balanceUpdate\",\"E\":1700000000123,\"a\":\"BTC\",\"d\":\"1\"}"),
         STREAM_EVENT_CHANGED},
        {SPOT, WRAPPED("{\"e\":\"externalLockUpdate\"}"), STREAM_EVENT_CHANGED},
        {SPOT, WRAPPED("{\"e\":\"listStatus\"}"), STREAM_EVENT_NONE},
        {SPOT, WRAPPED("{\"e\":\"eventStreamTerminated\",\"E\":1700000000123}"),
         STREAM_EVENT_ENDED},
        {SPOT, "{\"event\":{\"e\":\"serverShutdown\",\"E\":1700000000123}}", STREAM_EVENT_SHUTDOWN},
        {SPOT, "{\"e\":\"serverShutdown\",\"E\":1700000000123}", STREAM_EVENT_SHUTDOWN},
        {SPOT, "{\"e\":\"ORDER_TRADE_UPDATE\",\"o\":{}}", STREAM_EVENT_NONE},
        {USDM, "{\"e\":\"executionReport\"}", STREAM_EVENT_NONE},
        {USDM, "{\"e\":\"listenKeyExpired\",\"E\":1700000000123,\"listenKey\":\"x\"}",
         STREAM_EVENT_ENDED},
        {USDM, "{\"e\":\"MARGIN_CALL\"}", STREAM_EVENT_NONE},
        {USDM, "{\"e\":\"TRADE_LITE\",\"E\":1700000000123}", STREAM_EVENT_NONE},
        {USDM, "{\"e\":\"ALGO_UPDATE\",\"o\":{}}", STREAM_EVENT_NONE},
        {SPOT, "{}", STREAM_EVENT_NONE},
        {USDM, "{\"something\":\"new\"}", STREAM_EVENT_NONE},
    };
    for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
        cr_assert(heard(ALL[i].market, ALL[i].text), "%s", ALL[i].text);
        cr_assert_eq(event.kind, ALL[i].kind, "%s", ALL[i].text);
    }
}

Test(stream, answers_to_our_requests)
{
    cr_assert(heard(SPOT, "{\"id\":12,\"status\":200,\"result\":{\"subscriptionId\":0},"
                          "\"rateLimits\":[]}"));
    cr_assert(event.kind == STREAM_EVENT_ANSWER && event.id == 12 && event.code == 200);
    cr_assert_eq(event.error, 0);
    cr_assert(heard(SPOT, "{\"id\":\"13\",\"status\":401,\"error\":{\"code\":-2015,"
                          "\"msg\":\"Invalid API-key.\"}}"));
    cr_assert(event.kind == STREAM_EVENT_ANSWER && event.id == 13 && event.code == 401);
    cr_assert_eq(event.error, -2015);
    cr_assert_str_eq(event.message, "Invalid API-key.");
    cr_assert(heard(SPOT, "{\"id\":null,\"status\":400,\"error\":{\"code\":-1000,\"msg\":\"\"}}"));
    cr_assert(event.kind == STREAM_EVENT_ANSWER && event.id == 0);
    cr_assert(heard(USDM, "{\"result\":null,\"id\":1}"));
    cr_assert(event.kind == STREAM_EVENT_ANSWER && event.id == 1 && event.code == 0);
    cr_assert(!heard(SPOT, "{\"id\":1,\"status\":\"x\",\"result\":1}"));
    cr_assert(!heard(SPOT, "{\"id\":1,\"status\":400,\"error\":7}"));
}

/* ---- Futures ------------------------------------------------------------------------------ */

#define UPDATE(more)                                                                               \
    "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":1700000000123,\"T\":1700000000121,\"o\":{"                \
    "\"s\":\"BTCUSDT\",\"c\":\"own\",\"S\":\"SELL\",\"o\":\"LIMIT\",\"f\":\"GTX\",\"q\":\"2\","    \
    "\"p\":\"9000\",\"ap\":\"9000.123456789\",\"sp\":\"0\",\"i\":8886774,"                         \
    "\"T\":1700000000120,\"R\":true,\"wt\":\"CONTRACT_PRICE\",\"rp\":\"0\"" more "}}"

Test(stream, orders_of_futures)
{
    cr_assert(heard(USDM, UPDATE(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"1.5\",\"z\":\"2\","
                                 "\"L\":\"9000.1\",\"N\":\"USDT\",\"n\":\"2.7\",\"t\":5,"
                                 "\"m\":false")));
    const struct reply_order *o = &event.order;
    cr_assert(event.kind == STREAM_EVENT_ORDER && o->status == ORDER_STATUS_FILLED);
    cr_assert(o->fills_count == 1 && !o->fills[0].is_maker);
    cr_assert_eq(o->fills[0].executed_after.v, decimal("2"));
    cr_assert_eq(o->fills[0].quote_quantity.v, decimal("13500.15"));
    cr_assert(heard(USDM, UPDATE(",\"x\":\"NEW\",\"X\":\"NEW\",\"l\":\"0\",\"z\":\"0\","
                                 "\"L\":\"0\",\"t\":0,\"m\":false")));
    cr_assert(o->status == ORDER_STATUS_NEW && o->fills_count == 0);
    cr_assert(heard(USDM, UPDATE(",\"x\":\"CALCULATED\",\"X\":\"NEW_ADL\",\"l\":\"1\","
                                 "\"z\":\"1\",\"L\":\"1\",\"t\":9,\"m\":false")));
    cr_assert_eq(event.kind, STREAM_EVENT_CHANGED);
}

#define ACCOUNT(balances, positions)                                                               \
    "{\"e\":\"ACCOUNT_UPDATE\",\"E\":1700000000123,\"T\":1700000000121,\"a\":{\"m\":\"ORDER\","    \
    "\"B\":[" balances "],\"P\":[" positions "]}}"
#define POSITION(symbol, amount, side)                                                             \
    "{\"s\":\"" symbol "\",\"pa\":\"" amount "\",\"ep\":\"6.123456789\",\"cr\":\"0\",\"up\":\"0\"" \
    ",\"mt\":\"cross\",\"iw\":\"0\",\"ps\":\"" side "\"}"

Test(stream, accounts_of_futures)
{
    cr_assert(heard(USDM, ACCOUNT("{\"a\":\"USDT\",\"wb\":\"-1.5\",\"cw\":\"1\",\"bc\":\"0\"}",
                                  POSITION("BTCUSDT", "0", "BOTH") "," //
                                  POSITION("ETHUSDT", "-3", "BOTH"))));
    cr_assert_eq(event.kind, STREAM_EVENT_ACCOUNT);
    cr_assert_eq(event.account.time_us, 1700000000121 * MS);
    cr_assert(event.account.balances_count == 1 && event.account.positions_count == 2);
    cr_assert_eq(balances[0].free.v, decimal("-1.5"));
    cr_assert_str_eq(positions[0].symbol.text, "BTCUSDT_PERP");
    cr_assert(positions[0].quantity.v == 0 && positions[1].quantity.v == decimal("-3"));
    cr_assert_eq(positions[1].entry_price.v, decimal("6.12345678"));
    /* Funding of a cross position tells balances alone. */
    cr_assert(heard(USDM, "{\"e\":\"ACCOUNT_UPDATE\",\"T\":1700000000121,\"a\":{\"m\":"
                          "\"FUNDING_FEE\",\"B\":[{\"a\":\"USDT\",\"wb\":\"1\"}]}}"));
    cr_assert(event.kind == STREAM_EVENT_ACCOUNT && event.account.positions_count == 0);
}

Test(stream, what_an_account_event_cannot_tell_is_asked_for)
{
    cr_assert(heard(USDM, ACCOUNT("", POSITION("BTCUSDT", "1", "LONG"))));
    cr_assert_eq(event.kind, STREAM_EVENT_CHANGED);
    cr_assert(heard(USDM, ACCOUNT("", POSITION("A", "1", "BOTH") "," //
                                  POSITION("B", "1", "BOTH") ","     //
                                  POSITION("C", "1", "BOTH"))));
    cr_assert(event.kind == STREAM_EVENT_CHANGED && event.account.positions_count == 0);
}

/* ---- Broken ------------------------------------------------------------------------------- */

Test(stream, events_that_are_none)
{
    static const char *const SPOTS[] = {
        "",
        "[]",
        "1",
        "null",
        "{",
        "{\"e\":7}",
        "{\"e\":\"executionReport\"}",
        "{\"e\":\"executionReport\",\"E\":\"x\"}",
        WRAPPED("{}"),
        "{\"e\":\"outboundAccountPosition\",\"E\":1700000000123}",
        "{\"e\":\"outboundAccountPosition\",\"B\":[{}]}",
        "{\"e\":\"outboundAccountPosition\",\"B\":[1]}",
        "{\"e\":\"outboundAccountPosition\",\"B\":[{\"a\":\"A\",\"f\":\"x\",\"l\":\"0\"}]}",
        REPORT(TRADED ",\"i\":1"),
        REPORT(TRADED) "}",
        REPORT(",\"C\":\"\",\"x\":\"TRADE\",\"X\":\"FILLED\"" NOT_FILLED),
        REPORT(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"2\",\"z\":\"1\",\"L\":\"1\","
               "\"n\":\"0\",\"N\":\"A\",\"t\":1,\"m\":true"),
        REPORT(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"1\",\"z\":\"1.1\",\"L\":\"1\","
               "\"n\":\"0\",\"N\":\"A\",\"t\":1,\"m\":true"),
        REPORT(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"1\",\"z\":\"1\",\"L\":\"0\","
               "\"n\":\"0\",\"N\":\"A\",\"t\":1,\"m\":true"),
        REPORT(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"1\",\"z\":\"1\",\"L\":\"1\","
               "\"n\":\"0\",\"N\":\"A\",\"t\":-1,\"m\":true")};
    for (size_t i = 0; i < sizeof(SPOTS) / sizeof(SPOTS[0]); i++)
        cr_assert(!heard(SPOT, SPOTS[i]), "%s", SPOTS[i]);
    static const char *const FUTURES[] = {
        "{\"e\":\"ORDER_TRADE_UPDATE\"}",
        "{\"e\":\"ORDER_TRADE_UPDATE\",\"o\":{}}",
        "{\"e\":\"ACCOUNT_UPDATE\"}",
        "{\"e\":\"ACCOUNT_UPDATE\",\"a\":[]}",
        "{\"e\":\"ACCOUNT_UPDATE\",\"a\":{\"B\":[{\"a\":\"A\",\"wb\":\"1e9\"}]}}",
        "{\"e\":\"ACCOUNT_UPDATE\",\"a\":{\"P\":[{\"s\":\"A\",\"pa\":\"x\"}]}}"};
    for (size_t i = 0; i < sizeof(FUTURES) / sizeof(FUTURES[0]); i++)
        cr_assert(!heard(USDM, FUTURES[i]), "%s", FUTURES[i]);
}

/* Cut short nothing is an event; with a few bytes changed nothing leads out of its bounds. */
Test(stream, broken_events_break_nothing)
{
    static const char *const SEEDS[] = {
        WRAPPED(REPORT(TRADED)),
        UPDATE(",\"x\":\"TRADE\",\"X\":\"FILLED\",\"l\":\"1.5\",\"z\":\"2\",\"L\":\"9000.1\","
               "\"N\":\"USDT\",\"n\":\"2.7\",\"t\":5,\"m\":false"),
        ACCOUNT("{\"a\":\"USDT\",\"wb\":\"1\"}", POSITION("BTCUSDT", "1", "BOTH"))};
    for (int i = 0; i < 3; i++)
        for (size_t length = 0; length < strlen(SEEDS[i]); length++)
            cr_assert(!heard_bytes(i == 0 ? SPOT : USDM, SEEDS[i], length));
    struct random r = {9};
    for (uint32_t i = 0; i < 60000; i++) {
        char text[1024];
        size_t length = strlen(SEEDS[i % 3]);
        memcpy(text, SEEDS[i % 3], length);
        for (uint64_t n = 1 + random_below(&r, 4); n > 0; n--)
            text[random_below(&r, length)] = "{}[],:\"\\0919.-eE \x01\xff"[random_below(&r, 19)];
        enum trading_type market = i % 3 == 0 ? SPOT : USDM;
        if (!heard_bytes(market, text, length) || event.kind != STREAM_EVENT_ORDER)
            continue;
        const struct reply_order *o = &event.order;
        cr_assert(o->fills_count <= 1 && o->exchange_order_id > 0);
        cr_assert(o->quantity.v == 0 || o->executed.v <= o->quantity.v);
        if (o->fills_count == 1)
            cr_assert(o->fills[0].quantity.v > 0 && o->fills[0].price.v > 0 &&
                      o->fills[0].executed_after.v == o->executed.v);
    }
}
