/*
 * gw_basket_test.c - baskets and lists of orders over raw sockets, while the ledger is away.
 *
 * Part of gw_http_test. What a ledger makes of them is told in tests/e2e.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gw_client.h"

#define BASKET "/api/paper-trading/basket"
#define LISTS  "/api/paper-trading/order-lists"
#define GOOD   "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":1}"

static int
count(const char *text)
{
    int n = 0;
    for (const char *at = reply_body; (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    return n;
}

/* A basket of so many empty orders. */
static const char *
empty_orders(int wanted)
{
    static char text[1024];
    size_t length = (size_t)snprintf(text, sizeof text, "{\"orders\":[{}");
    for (int i = 1; i < wanted; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, ",{}");
    snprintf(text + length, sizeof text - length, "]}");
    return text;
}

Test(basket, one_that_is_no_basket_is_refused_whole)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"", "BODY_NOT_JSON"},
        {"[]", "BODY_NOT_JSON"},
        {"{\"orders\":[" GOOD ",]}", "BODY_NOT_JSON"},
        {"{}", "FIELD_MISSING"},
        {"{\"orders\":[]}", "FIELD_MISSING"},
        {"{\"orders\":7}", "FIELD_TYPE"},
        {"{\"orders\":[" GOOD "],\"symbol\":\"BTCUSDT\"}", "FIELD_UNKNOWN"},
        {"{\"orders\":[" GOOD "],\"client_order_id\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
         "FIELD_TOO_LONG"},
    };
    char token[1024], refresh[128];
    sign_in("basket.one", token, refresh);
    int fd = dial();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(ask_on(fd, "POST", BASKET, token, cases[i].body), 400, cases[i].code);
    expect(ask_on(fd, "POST", BASKET, token, empty_orders(51)), 400, "FIELD_TOO_LONG");
    expect(ask_on(fd, "POST", BASKET, "", "{}"), 401, "TOKEN_MISSING");
    close(fd);
}

Test(basket, each_order_has_its_own_result_in_its_place)
{
    char token[1024], refresh[128];
    sign_in("basket.two", token, refresh);
    /* The first time nobody knows yet that the ledger is away. */
    ask("GET", "/api/paper-trading/account", token, "");
    int status = ask("POST", BASKET, token,
                     "{\"client_order_id\":\"b-7\",\"orders\":[{\"side\":\"HOLD\"}," GOOD
                     ",{\"symbol\":\"BTCUSDT\"},{\"quantity\":1e3},5]}");
    expect(status, 200, "\"results\":[{\"error\":{");
    cr_assert_eq(count("{\"error\":{\"code\":"), 5, "%s", reply_body);
    static const char *const wanted[] = {"CHOICE_UNKNOWN", "LEDGER_UNAVAILABLE", "FIELD_MISSING",
                                         "NUMBER_SYNTAX", "FIELD_TYPE"};
    const char *at = reply_body;
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, wanted[i]);
        cr_assert_not_null(at, "%s is missing or out of order: %s", wanted[i], reply_body);
    }
    cr_assert_eq(count("\"correlation_id\":"), 5);
}

Test(basket, each_order_counts)
{
    char token[1024], refresh[128];
    sign_in("basket.three", token, refresh);
    int fd = dial();
    expect(ask_on(fd, "POST", BASKET, token, empty_orders(20)), 200, "results");
    cr_assert_eq(count("FIELD_MISSING"), 20);
    expect(ask_on(fd, "POST", BASKET, token, empty_orders(20)), 429, "RATE_LIMITED");
    cr_assert_not_null(strstr(reply, "Retry-After: "));
    close(fd);
}

Test(lists, an_order_of_a_list_is_named_by_its_place)
{
    char token[1024], refresh[128], field[64];
    sign_in("list.one", token, refresh);
    expect(ask("POST", LISTS, token,
               "{\"contingency\":\"OCO\",\"symbol\":\"BTCUSDT\",\"orders\":[{\"price\":\"x\"}]}"),
           400, "NUMBER_SYNTAX");
    member("field", field, sizeof field);
    cr_assert_str_eq(field, "orders[0].price");
    expect(ask("GET", LISTS "/0", token, ""), 400, "");
    expect(ask("DELETE", LISTS "/x", token, ""), 400, "NUMBER_SYNTAX");
    expect(ask("PUT", LISTS "/7", token, "{}"), 405, "METHOD_NOT_ALLOWED");
}
