/*
 * ctl_backtest_test.c - what the lines of an order file are read as, and what is said of bad ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>

#include "scripctl/backtest_actions.h"
#include "scripctl/members.h"

static struct actions a;

static void
begin(void)
{
    actions_begin(&a, "file");
}

static void
end(void)
{
    actions_fini(&a);
}

TestSuite(backtest, .init = begin, .fini = end);

static void
line(const char *text)
{
    static uint32_t number;
    actions_line(&a, ++number, text, strlen(text));
}

static const char *
complaints(void)
{
    bytes_add(&a.complaints, "", 1);
    a.complaints.length--;
    return (const char *)a.complaints.data;
}

Test(backtest, a_duration_is_exact)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"1s", 1000000},      {"0.000001s", 1},  {"1.5ms", 1500},
                {"7us", 7},           {"2m", 120000000}, {"999h", INT64_C(3596400000000)},
                {"1d", 86400000000LL}};
    int64_t us;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(actions_duration(good[i].text, &us), "%s", good[i].text);
        cr_assert_eq(us, good[i].us, "%s", good[i].text);
    }
    static const char *const bad[] = {"",    "s",   "1",    "1x",          "0.5us",
                                      "-1s", "1 s", "1e3s", "99999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(actions_duration(bad[i], &us), "%s", bad[i]);
}

Test(backtest, a_line_is_a_request_and_when_and_whose)
{
    line("{\"quantity\": 0.1, \"at\" : \"+2s\",\"symbol\":\"BTCUSDT\", \"account\":\"ada\","
         "\"side\":\"BUY\",\"type\":\"MARKET\" }");
    cr_assert_eq(a.wrong, 0, "%s", complaints());
    cr_assert_eq(a.count, 1);
    const struct order_place *o = a.actions[0].body;
    cr_assert_eq(a.actions[0].type, MSG_order_place);
    cr_assert(a.actions[0].is_offset && a.actions[0].at_us == 2000000);
    cr_assert_eq(o->quantity.v, DECIMAL_ONE / 10);
    cr_assert_eq(o->account_id, 1);
    cr_assert(o->id_was_made && strncmp(o->client_order_id.text, "line-", 5) == 0);
    cr_assert_str_eq(a.accounts[0].text, "ada");
}

Test(backtest, actions_stand_by_time_and_then_by_line)
{
    line("{\"at\":1700000000000002,\"action\":\"cancel\",\"client_order_id\":\"b\"}");
    line("{\"at\":\"+1us\",\"action\":\"cancel\",\"client_order_id\":\"a\"}");
    line(
        "{\"at\":\"2023-11-14T22:13:20.000001Z\",\"action\":\"cancel\",\"client_order_id\":\"c\"}");
    actions_settle(&a, INT64_C(1700000000000000));
    cr_assert_eq(a.wrong, 0, "%s", complaints());
    static const char *const names[] = {"a", "c", "b"};
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_str_eq(((const struct order_cancel *)a.actions[i].body)->client_order_id.text,
                         names[i]);
}

Test(backtest, a_list_keeps_its_orders)
{
    line("{\"at\":\"+1s\",\"action\":\"list\",\"symbol\":\"BTCUSDT\",\"contingency\":\"OCO\","
         "\"orders\":[{\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"LIMIT_MAKER\","
         "\"quantity\":\"1\",\"price\":\"7\"},{\"side\":\"SELL\",\"symbol\":\"BTCUSDT\","
         "\"type\":\"STOP_LOSS\",\"quantity\":\"1\",\"stop_price\":\"5\"}]}");
    cr_assert_eq(a.wrong, 0, "%s", complaints());
    const struct list_place *l = a.actions[0].body;
    cr_assert_eq(l->orders_count, 2);
    cr_assert_eq(a.orders, 2);
    cr_assert_eq(l->orders[1].stop_price.v, 5 * DECIMAL_ONE);
    cr_assert(l->orders[0].id_was_made);
    cr_assert_str_neq(l->orders[0].client_order_id.text, l->orders[1].client_order_id.text);
}

Test(backtest, what_is_wrong_is_told_with_its_line_and_field)
{
    static const struct {
        const char *text, *told;
    } bad[] = {
        {"{\"at\":\"+1s\"", "BODY_NOT_JSON"},
        {"{}", "at: says when"},
        {"{\"at\":\"-5s\",\"symbol\":\"B\"}", "at: \"-5s\""},
        {"{\"at\":\"now\",\"symbol\":\"B\"}", "at: \"now\""},
        {"{\"at\":\"+1s\",\"account\":\"a b\"}", "account: \"a b\""},
        {"{\"at\":\"+1s\",\"at\":\"+1s\"}", "FIELD_REPEATED"},
        {"{\"at\":\"+1s\",\"side\":\"BUY\",\"side\":\"BUY\"}", "side: FIELD_REPEATED"},
        {"{\"at\":\"+1s\",\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\","
         "\"quantity\":1}",
         "price: FIELD_MISSING"},
        {"{\"at\":\"+1s\",\"action\":\"cancel\"}", "client_order_id: "},
        {"{\"at\":\"+1s\",\"action\":\"cancel\",\"order_id\":4,\"client_order_id\":\"x\"}",
         "client_order_id: "},
        {"{\"at\":\"+1s\",\"account_id\":4}", "account_id: FIELD_UNKNOWN"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        end();
        begin();
        line(bad[i].text);
        cr_assert_eq(a.wrong, 1, "%s", bad[i].text);
        cr_assert_eq(a.count, 0, "%s", bad[i].text);
        cr_assert(strstr(complaints(), bad[i].told) != NULL, "%s: %s", bad[i].text, complaints());
    }
}

Test(backtest, a_table_is_the_same_request)
{
    line("at,symbol,side,type,quantity,action,client_order_id");
    line("");
    line("# nothing");
    line("+1s, BTCUSDT ,BUY,MARKET,1,,\r");
    line("+2s,,,,,cancel,x");
    cr_assert_eq(a.wrong, 0, "%s", complaints());
    cr_assert_eq(a.count, 2);
    cr_assert_str_eq(((const struct order_place *)a.actions[0].body)->symbol.text, "BTCUSDT");
    cr_assert_eq(a.actions[1].type, MSG_order_cancel);
    line("+3s,BTCUSDT,BUY");
    line("+3s,BTCUSDT,UP,MARKET,1,,");
    line("+3s,,,,,list,");
    cr_assert_eq(a.wrong, 3, "%s", complaints());
}

Test(backtest, a_file_that_begins_as_nothing_known_is_told_once)
{
    line("hello");
    line("world");
    cr_assert_eq(a.wrong, 1, "%s", complaints());
}

Test(backtest, members_are_cut_and_the_rest_stays_as_written)
{
    static const struct {
        const char *text, *at, *rest;
    } cases[] = {
        {"{\"at\":1}", "1", "{}"},
        {" { \"a\" : [1,{\"at\":2}] ,\"at\": \"x,}\\\"\" , \"b\":{}}", "x,}\\\"",
         "{\"a\" : [1,{\"at\":2}] ,\"b\":{}}"},
        {"{\"a\":1}", "", "{\"a\":1}"},
        {"{\"at\":", "", "{"},
        {"{\"at\"", "", "{"},
        {"{\"at", "", "{\"at"},
        {"{,", "", "{,"},
        {"", "", "{"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char at[32] = "";
        struct bytes rest = {0};
        struct member m = {"at", at, sizeof at, false};
        cr_assert(members_cut(cases[i].text, strlen(cases[i].text), &m, 1, &rest));
        bytes_add(&rest, "", 1);
        cr_assert_str_eq((const char *)rest.data, cases[i].rest);
        cr_assert_str_eq(at, cases[i].at);
        bytes_free(&rest);
    }
}
