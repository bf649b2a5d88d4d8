/*
 * bridge_call_test.c - what is asked of the exchange, letter by letter, and what it has no order
 * for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "random_msg.h"

#define UNIT DECIMAL_ONE

static char query[CALL_QUERY_BYTES];

static const char *
written(const struct call *c)
{
    size_t length = call_write(c, query);
    cr_assert_eq(length, strlen(query));
    return query;
}

static struct call
placement(enum call_name name, enum order_type type, enum time_in_force in_force)
{
    return (struct call){
        .name = name,
        .symbol = code_of("BTCUSDT"),
        .client_id = {"scrip-abc123-5"},
        .wish = {
            .side = SIDE_BUY, .type = type, .time_in_force = in_force, .quantity = {UNIT / 2}}};
}

#define SPOT(type, in_force)                                                                       \
    placement(CALL_SPOT_ORDER_PLACE, ORDER_TYPE_##type, TIME_IN_FORCE_##in_force)
#define USDM(type, in_force)                                                                       \
    placement(CALL_USDM_ORDER_PLACE, ORDER_TYPE_##type, TIME_IN_FORCE_##in_force)
#define SAYS(c, text)                                                                              \
    do {                                                                                           \
        code_t none;                                                                               \
        cr_assert_eq(call_judge_order(&(c).wish, call_facts((c).name)->market, &none), OK);        \
        cr_assert_str_eq(written(&(c)), text);                                                     \
    } while (0)

/* ---- Placements of spot ------------------------------------------------------------------- */

Test(call, a_spot_market_order_by_quantity_or_by_quote)
{
    struct call c = SPOT(MARKET, IOC);
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.5&newClientOrderId=scrip-abc123-5"
            "&newOrderRespType=FULL");
    c.wish.quantity.v = 0;
    c.wish.quote_order_quantity.v = 25 * UNIT + 1;
    c.wish.side = SIDE_SELL;
    SAYS(c, "symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=25.00000001"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=FULL");
}

Test(call, a_spot_limit_order_in_each_time_in_force)
{
    struct call c = SPOT(LIMIT, GTC);
    c.wish.price.v = 61737 * UNIT + UNIT / 100;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=61737.01"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=FULL");
    c.wish.time_in_force = TIME_IN_FORCE_NONE;
    cr_assert(strstr(written(&c), "&timeInForce=GTC&") != NULL);
    c.wish.time_in_force = TIME_IN_FORCE_IOC;
    cr_assert(strstr(written(&c), "&timeInForce=IOC&") != NULL);
    c.wish.time_in_force = TIME_IN_FORCE_FOK;
    cr_assert(strstr(written(&c), "&timeInForce=FOK&") != NULL);
}

Test(call, a_spot_limit_maker_has_no_time_in_force)
{
    struct call c = SPOT(LIMIT_MAKER, GTC);
    c.wish.price.v = UNIT;
    c.wish.iceberg_quantity.v = UNIT / 10;
    c.wish.self_trade_prevention = SELF_TRADE_PREVENTION_EXPIRE_MAKER;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.5&price=1"
            "&newClientOrderId=scrip-abc123-5&icebergQty=0.1&newOrderRespType=FULL"
            "&selfTradePreventionMode=EXPIRE_MAKER");
}

Test(call, spot_stop_orders_with_and_without_a_limit)
{
    struct call c = SPOT(STOP_LOSS, GTC);
    c.wish.trigger_source = TRIGGER_SOURCE_LAST;
    c.wish.stop_price.v = 3 * UNIT;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity=0.5&newClientOrderId=scrip-abc123-5"
            "&stopPrice=3&newOrderRespType=FULL");
    c.wish.type = ORDER_TYPE_TAKE_PROFIT_LIMIT;
    c.wish.price.v = 4 * UNIT;
    c.wish.trailing_delta = 150;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=TAKE_PROFIT_LIMIT&timeInForce=GTC&quantity=0.5&price=4"
            "&newClientOrderId=scrip-abc123-5&stopPrice=3&trailingDelta=150&newOrderRespType=FULL");
}

Test(call, a_trailing_stop_is_a_stop_loss_that_trails)
{
    struct call c = SPOT(TRAILING_STOP, GTC);
    c.wish.trailing_delta = 200;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity=0.5&newClientOrderId=scrip-abc123-5"
            "&trailingDelta=200&newOrderRespType=FULL");
    c.wish.stop_price.v = 9 * UNIT;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=STOP_LOSS&quantity=0.5&newClientOrderId=scrip-abc123-5"
            "&stopPrice=9&trailingDelta=200&newOrderRespType=FULL");
}

/* ---- Placements of futures ---------------------------------------------------------------- */

Test(call, futures_orders_have_no_more_than_they_take)
{
    struct call c = USDM(MARKET, IOC);
    c.wish.reduce_only = true;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=MARKET&reduceOnly=true&quantity=0.5"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=RESULT");
    c = USDM(LIMIT, FOK);
    c.wish.price.v = 2 * UNIT;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=FOK&quantity=0.5&price=2"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=RESULT");
    c = USDM(LIMIT_MAKER, GTC);
    c.wish.price.v = 2 * UNIT;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.5&price=2"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=RESULT");
    c = USDM(LIMIT, GTD);
    c.wish.price.v = 2 * UNIT;
    c.wish.expire_us = INT64_C(1700000000123456);
    c.wish.self_trade_prevention = SELF_TRADE_PREVENTION_EXPIRE_BOTH;
    SAYS(c, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTD&quantity=0.5&price=2"
            "&newClientOrderId=scrip-abc123-5&newOrderRespType=RESULT"
            "&selfTradePreventionMode=EXPIRE_BOTH&goodTillDate=1700000000000");
}

/* ---- What the exchange does not have ------------------------------------------------------ */

static void
lacks(struct call c, const char *field)
{
    code_t found = code_of("");
    cr_assert_eq(call_judge_order(&c.wish, call_facts(c.name)->market, &found),
                 ERR_REAL_UNSUPPORTED, "%s", field);
    cr_assert_str_eq(found.text, field);
}

#define LACKS(from, change, field)                                                                 \
    do {                                                                                           \
        struct call it = from;                                                                     \
        struct order *o = &it.wish;                                                                \
        change;                                                                                    \
        lacks(it, field);                                                                          \
    } while (0)

Test(call, what_spot_has_no_order_for)
{
    struct call limit = SPOT(LIMIT, GTC), market = SPOT(MARKET, IOC), stop = SPOT(STOP_LOSS, GTC);
    limit.wish.price.v = UNIT;
    stop.wish.stop_price.v = UNIT;
    LACKS(limit, o->side = SIDE_NONE, "side");
    LACKS(limit, o->type = ORDER_TYPE_NONE, "type");
    LACKS(limit, o->type = (enum order_type)60, "type");
    LACKS(limit, o->time_in_force = TIME_IN_FORCE_GTD, "time_in_force");
    LACKS(limit, o->time_in_force = TIME_IN_FORCE_DAY, "time_in_force");
    LACKS(limit, o->time_in_force = (enum time_in_force)40, "time_in_force");
    LACKS(limit, o->time_in_force = (enum time_in_force) - 1, "time_in_force");
    LACKS(limit, o->expire_us = 1, "expire_us");
    LACKS(limit, o->reduce_only = true, "reduce_only");
    LACKS(limit, o->trigger_source = TRIGGER_SOURCE_MARK, "trigger_source");
    LACKS(stop, o->trigger_source = TRIGGER_SOURCE_BID_ASK, "trigger_source");
    LACKS(limit, o->self_trade_prevention = SELF_TRADE_PREVENTION_ALLOW, "self_trade_prevention");
    LACKS(limit, o->self_trade_prevention = SELF_TRADE_PREVENTION_DECREMENT,
          "self_trade_prevention");
    LACKS(limit, o->list_id = 4, "list_id");
    LACKS(limit, o->waits_for = 4, "list_id");
    LACKS(limit, o->price.v = 0, "price");
    LACKS(limit, o->price.v = -1, "price");
    LACKS(market, o->price.v = 1, "price");
    LACKS(limit, o->quantity.v = 0, "quantity");
    LACKS(market, o->quantity.v = -1, "quantity");
    LACKS(market, o->quote_order_quantity.v = 1, "quantity");
    LACKS(limit, o->quote_order_quantity.v = 1, "quote_order_quantity");
    LACKS(market, o->time_in_force = TIME_IN_FORCE_FOK, "time_in_force");
    LACKS(market, o->stop_price.v = 1, "stop_price");
    LACKS(market, o->trailing_delta = 1, "trailing_delta");
    LACKS(market, o->iceberg_quantity.v = 1, "iceberg_quantity");
    LACKS(stop, o->iceberg_quantity.v = 1, "iceberg_quantity");
    LACKS(stop, o->stop_price.v = 0, "stop_price");
    LACKS(stop, o->time_in_force = TIME_IN_FORCE_IOC, "time_in_force");
    LACKS(stop, o->type = ORDER_TYPE_TRAILING_STOP, "trailing_delta");
    LACKS(limit, (o->iceberg_quantity.v = 1, o->time_in_force = TIME_IN_FORCE_IOC),
          "iceberg_quantity");
    LACKS(limit, (o->type = ORDER_TYPE_LIMIT_MAKER, o->time_in_force = TIME_IN_FORCE_IOC),
          "time_in_force");
}

Test(call, what_futures_have_no_order_for)
{
    struct call limit = USDM(LIMIT, GTC), market = USDM(MARKET, IOC);
    limit.wish.price.v = UNIT;
    for (int type = ORDER_TYPE_STOP_LOSS; type <= ORDER_TYPE_TRAILING_STOP; type++)
        LACKS(limit, o->type = (enum order_type)type, "type");
    LACKS(market, (o->quantity.v = 0, o->quote_order_quantity.v = UNIT), "quantity");
    LACKS(market, o->quote_order_quantity.v = UNIT, "quote_order_quantity");
    LACKS(limit, o->iceberg_quantity.v = 1, "iceberg_quantity");
    LACKS(limit, o->time_in_force = TIME_IN_FORCE_DAY, "time_in_force");
    LACKS(limit, o->time_in_force = TIME_IN_FORCE_GTD, "expire_us");
    LACKS(limit, o->expire_us = 9, "expire_us");
    LACKS(
        limit,
        (o->type = ORDER_TYPE_LIMIT_MAKER, o->time_in_force = TIME_IN_FORCE_GTD, o->expire_us = 9),
        "time_in_force");
    code_t field;
    cr_assert_eq(call_judge_order(&limit.wish, TRADING_TYPE_NONE, &field), ERR_REAL_UNSUPPORTED);
}

/* ---- The other calls ---------------------------------------------------------------------- */

Test(call, queries_and_cancels_name_the_order_as_well_as_they_can)
{
    static const enum call_name NAMES[] = {CALL_SPOT_ORDER_GET, CALL_SPOT_ORDER_CANCEL,
                                           CALL_USDM_ORDER_GET, CALL_USDM_ORDER_CANCEL};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct call c = {
            .name = NAMES[i], .symbol = code_of("ETHUSDT"), .client_id = {"scrip-abc123-5"}};
        cr_assert_str_eq(written(&c), "symbol=ETHUSDT&origClientOrderId=scrip-abc123-5");
        c.exchange_order_id = UINT64_C(18446744073709551615);
        cr_assert_str_eq(written(&c), "symbol=ETHUSDT&orderId=18446744073709551615");
    }
}

Test(call, reads_ask_for_what_they_need)
{
    struct call c = {.name = CALL_SPOT_ORDER_TRADES, .symbol = code_of("ETHUSDT"), .limit = 1000};
    c.exchange_order_id = 77;
    cr_assert_str_eq(written(&c), "symbol=ETHUSDT&orderId=77&limit=1000");
    c.name = CALL_USDM_ORDER_TRADES;
    c.from_id = 12;
    cr_assert_str_eq(written(&c), "symbol=ETHUSDT&orderId=77&fromId=12&limit=1000");
    c = (struct call){.name = CALL_SPOT_ACCOUNT};
    cr_assert_str_eq(written(&c), "omitZeroBalances=true");
    c = (struct call){.name = CALL_SPOT_EXCHANGE_INFO};
    cr_assert_str_eq(written(&c), "showPermissionSets=false", "they are half of it");
    c = (struct call){.name = CALL_USDM_EXCHANGE_INFO};
    cr_assert_str_eq(written(&c), "");
    c = (struct call){.name = CALL_USDM_BRACKETS};
    cr_assert_str_eq(written(&c), "");
    c.symbol = code_of("BTCUSDT");
    cr_assert_str_eq(written(&c), "symbol=BTCUSDT");
    for (enum call_name name = CALL_USDM_LISTEN_KEY_CREATE; name <= CALL_USDM_LISTEN_KEY_RENEW;
         name++) {
        c.name = name;
        cr_assert_str_eq(written(&c), "");
        cr_assert_eq(call_facts(name)->security, CALL_KEYED);
    }
}

Test(call, what_is_not_plain_is_encoded)
{
    struct call c = {.name = CALL_SPOT_SYMBOL_OPEN_ORDERS, .symbol = code_of("\xef\xbc\x91&a= +~")};
    cr_assert_str_eq(written(&c), "symbol=%EF%BC%91%26a%3D%20%2B~");
    c.symbol = code_of("ABC");
    c.name = CALL_SPOT_ORDER_GET;
    c.client_id = (cid_t){"a/b:c.d_e-f"};
    cr_assert_str_eq(written(&c), "symbol=ABC&origClientOrderId=a%2Fb%3Ac.d_e-f");
}

Test(call, every_row_is_whole)
{
    for (enum call_name name = CALL_NONE + 1; name < CALL_COUNT; name++) {
        const struct call_facts *f = call_facts(name);
        bool spot = f->market == TRADING_TYPE_spot;
        cr_assert(strncmp(f->name, spot ? "SPOT_" : "USDM_", 5) == 0, "%s", f->name);
        cr_assert(strncmp(f->path, spot ? "/api/v3/" : "/fapi/v", spot ? 8 : 7) == 0 ||
                  name == CALL_SPOT_KEY_RIGHTS);
        cr_assert_eq(f->units, f->class_ == CALL_PLACES ? 1 : 0);
        cr_assert_eq(f->class_ == CALL_READS, strcmp(f->method, "GET") == 0);
        cr_assert(f->class_ != CALL_PLACES || strcmp(f->method, "POST") == 0);
        cr_assert(f->class_ != CALL_CANCELS || strcmp(f->method, "DELETE") == 0);
        cr_assert(f->class_ == CALL_READS || f->class_ == CALL_SETS || f->security == CALL_SIGNED);
    }
}

/* ---- Client ids --------------------------------------------------------------------------- */

Test(call, a_client_id_tells_the_order_and_whose_it_is)
{
    struct random r = {5};
    uint64_t found;
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t id = 1 + random_below(&r, i % 2 == 0 ? 1000 : (UINT64_C(1) << 53) - 1);
        cid_t cid = call_client_id("Ab9xyz", id);
        cr_assert(cid_valid(&cid) && strspn(cid.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
                                                      "RSTUVWXYZ0123456789-_") == strlen(cid.text));
        cr_assert(call_order_id("Ab9xyz", &cid, &found) && found == id);
        cr_assert(!call_order_id("ab9xyz", &cid, &found));
    }
    cid_t longest = call_client_id("Ab9xyz", (UINT64_C(1) << 53) - 1);
    cr_assert_str_eq(longest.text, "scrip-Ab9xyz-9007199254740991");
}

Test(call, an_id_of_somebody_else_is_nobodys_order)
{
    static const char *const OTHERS[] = {"",
                                         "scrip-Ab9xyz-",
                                         "scrip-Ab9xyz-0",
                                         "scrip-Ab9xyz-01",
                                         "scrip-Ab9xyz-1 ",
                                         "scrip-Ab9xyz-+1",
                                         "scrip-Ab9xyz-1a",
                                         "scrip-Ab9xyz-9007199254740992",
                                         "scrip-Ab9xyz-99999999999999999",
                                         "scrip-Ab9xyz-18446744073709551617",
                                         "scrip-Ab9xyz_1",
                                         "Scrip-Ab9xyz-1",
                                         "x-TKT5PX2F123",
                                         "autoclose-1",
                                         "web_1"};
    uint64_t found = 99;
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        cid_t id = {""};
        memcpy(id.text, OTHERS[i], strlen(OTHERS[i]));
        cr_assert(!call_order_id("Ab9xyz", &id, &found), "%s", OTHERS[i]);
    }
    cid_t full;
    memset(full.text, '1', sizeof full.text);
    cr_assert(!call_order_id("Ab9xyz", &full, &found));
    cid_t ours = call_client_id("Ab9xyz", 1);
    cr_assert(!call_order_id("", &ours, &found));
    cr_assert_eq(found, 99);
}

/* ---- At random ---------------------------------------------------------------------------- */

/* The value of a parameter, which comes once or not at all. */
static const char *
value_of(const char *name)
{
    static char value[256];
    char pattern[64];
    size_t length = (size_t)snprintf(pattern, sizeof pattern, "%s=", name);
    const char *found = NULL;
    for (const char *at = query; at != NULL; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, pattern, length) == 0) {
            cr_assert_null(found, "%s comes twice", name);
            found = at + length;
        }
    }
    if (found == NULL)
        return NULL;
    size_t size = strcspn(found, "&");
    cr_assert(size > 0 && size < sizeof value, "%s", name);
    memcpy(value, found, size);
    value[size] = '\0';
    return value;
}

static void
same_decimal(const char *name, int64_t wanted)
{
    const char *text = value_of(name);
    int64_t value = 0;
    cr_assert_eq(text == NULL, wanted == 0, "%s", name);
    if (text != NULL) {
        cr_assert_eq(decimal_read(text, strlen(text), &value), OK);
        cr_assert_eq(value, wanted);
    }
}

/* What the exchange must and must not be given with a type: its own tables. */
static void
demands_hold(bool spot, const struct order *o)
{
    const char *type = value_of("type");
    cr_assert_not_null(type);
    char name[32];
    snprintf(name, sizeof name, "%s", type);
    bool market = strcmp(name, "MARKET") == 0, limit = strcmp(name, "LIMIT") == 0;
    bool maker = strcmp(name, "LIMIT_MAKER") == 0, priced = strstr(name, "LIMIT") != NULL;
    bool armed = strncmp(name, "STOP", 4) == 0 || strncmp(name, "TAKE", 4) == 0;
    cr_assert(market || limit || (spot && (maker || armed)), "%s", name);
    cr_assert_eq(value_of("timeInForce") != NULL, priced && !maker);
    cr_assert_eq(value_of("price") != NULL, priced);
    cr_assert_eq(value_of("quantity") != NULL, value_of("quoteOrderQty") == NULL);
    cr_assert(value_of("quoteOrderQty") == NULL || (spot && market));
    cr_assert_eq(value_of("stopPrice") != NULL || value_of("trailingDelta") != NULL, armed);
    cr_assert(value_of("icebergQty") == NULL ||
              (spot && priced && (maker || strcmp(value_of("timeInForce"), "GTC") == 0)));
    cr_assert(value_of("reduceOnly") == NULL || !spot);
    cr_assert_eq(value_of("goodTillDate") != NULL, o->time_in_force == TIME_IN_FORCE_GTD);
    cr_assert_str_eq(value_of("newOrderRespType"), spot ? "FULL" : "RESULT");
    cr_assert_not_null(value_of("newClientOrderId"));
    cr_assert_null(value_of("signature"));
    cr_assert_null(value_of("timestamp"));
}

static int64_t
amount(struct random *r)
{
    switch (random_below(r, 4)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_next(r);
    default:
        return (int64_t)random_below(r, INT64_MAX);
    }
}

static struct order
random_order(struct random *r)
{
    struct order o = {.side = (enum side)random_below(r, 3),
                      .type = (enum order_type)random_below(r, 10),
                      .time_in_force = (enum time_in_force)random_below(r, 6),
                      .quantity = {amount(r)},
                      .reduce_only = random_below(r, 4) == 0};
    bool priced = o.type == ORDER_TYPE_LIMIT || o.type == ORDER_TYPE_LIMIT_MAKER ||
                  o.type == ORDER_TYPE_STOP_LOSS_LIMIT || o.type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    bool armed = o.type >= ORDER_TYPE_STOP_LOSS && o.type <= ORDER_TYPE_TRAILING_STOP;
    if (priced != (random_below(r, 16) == 0))
        o.price.v = amount(r);
    if (armed != (random_below(r, 16) == 0)) {
        o.stop_price.v = amount(r);
        o.trailing_delta = (uint32_t)random_below(r, 3) * 100;
    }
    if (random_below(r, 4) == 0)
        o.quote_order_quantity.v = amount(r);
    if (random_below(r, 4) == 0)
        o.iceberg_quantity.v = amount(r);
    if (o.time_in_force == TIME_IN_FORCE_GTD || random_below(r, 16) == 0)
        o.expire_us = amount(r);
    o.self_trade_prevention = (enum self_trade_prevention)random_below(r, 6);
    return o;
}

Test(call, whatever_passes_the_judgement_is_written_as_the_exchange_demands)
{
    struct random r = {11};
    uint32_t passed = 0;
    for (uint32_t i = 0; i < 400000; i++) {
        bool spot = random_below(&r, 2) == 0;
        struct call c = {.name = spot ? CALL_SPOT_ORDER_PLACE : CALL_USDM_ORDER_PLACE,
                         .symbol = code_of("BTCUSDT"),
                         .client_id = call_client_id("Ab9xyz", 1 + i),
                         .wish = random_order(&r)};
        code_t field = code_of("");
        enum trading_type market = spot ? TRADING_TYPE_spot : TRADING_TYPE_futures;
        if (call_judge_order(&c.wish, market, &field) != OK) {
            cr_assert(!code_empty(field));
            continue;
        }
        passed++;
        written(&c);
        cr_assert_eq(strspn(query, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "-._~%=&"),
                     strlen(query));
        demands_hold(spot, &c.wish);
        same_decimal("quantity", c.wish.quantity.v);
        same_decimal("quoteOrderQty", c.wish.quote_order_quantity.v);
        same_decimal("price", c.wish.price.v);
        same_decimal("stopPrice", c.wish.stop_price.v);
        same_decimal("icebergQty", c.wish.iceberg_quantity.v);
        cr_assert_str_eq(value_of("side"), msg_enum_name(MSG_ENUM_side, c.wish.side));
    }
    cr_assert_gt(passed, 2000);
}
