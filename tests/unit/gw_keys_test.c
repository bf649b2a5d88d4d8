/*
 * gw_keys_test.c - exchange keys on their way to the bridge, and an account's mode between ledger
 * and bridge, which are played here.
 *
 * Part of gw_http_test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "gw_client.h"
#include "gw_market.h"

#define KEYS     "/api/settings/exchange-keys/spot"
#define SETTINGS "/api/settings/trading/spot"

static char token[1024];

/* Until the gateway has found who was away a moment ago; what is asked too often is asked again. */
static void
wait_for(const char *path, const char *by)
{
    int status;
    do
        status = ask("GET", path, by, "");
    while (status == 503 || status == 504 || status == 429);
    cr_assert_eq(status, 200, "%s", reply);
}

static void
begin(char waiter[1024])
{
    char refresh[128], name[32];
    snprintf(name, sizeof name, "keys.%d", (int)getpid());
    sign_in(name, token, refresh);
    snprintf(name, sizeof name, "waiter.%d", (int)getpid());
    sign_in(name, waiter, refresh);
    market_begin();
    market_serve("ledger");
    market_say("answer account_get account_view account_id=1");
    wait_for("/api/paper-trading/account", waiter);
}

static void
begin_with(const char *bridge)
{
    char waiter[1024];
    begin(waiter);
    market_serve(bridge);
    market_say("answer bridge_schedule_get bridge_schedule trading_type=spot");
    market_say("answer bridge_keys_get bridge_keys");
    wait_for(KEYS, waiter);
    market_say("forget bridge_keys_get");
}

static void
set_up(void)
{
    begin_with("bridge");
}

static void
tear_down(void)
{
    market_end();
}

TestSuite(gw_keys, .init = set_up, .fini = tear_down);

static void
expect_secret(const char *secret)
{
    char what[64];
    snprintf(what, sizeof what, "%zu %016llx", strlen(secret),
             (unsigned long long)map_hash(secret, strlen(secret)));
    market_hear("secret", what);
}

#define MASKED                                                                                     \
    "bridge_keys keys=[{trading_type=spot environment=testnet kind=HMAC api_key_tail=wxyz}]"

Test(gw_keys, a_key_goes_to_the_bridge_and_comes_back_masked)
{
    market_say("answer bridge_keys_put " MASKED);
    int status = ask("PUT", KEYS, token, "{\"api_key\":\"a-key-wxyz\",\"api_secret\":\"s3cret\"}");
    expect(status, 200, "\"api_key_tail\":\"wxyz\"");
    cr_assert_null(strstr(reply_body, "a-key"));
    expect_secret("s3cret");
    market_hear("asked", "trading_type=spot");
}

/* A private key has lines; they arrive as they were. */
Test(gw_keys, a_long_secret_is_sent_in_parts)
{
    static char secret[4097], body[8200];
    market_say("answer bridge_keys_put " MASKED);
    for (size_t i = 0; i < 4000; i++)
        secret[i] = i % 65 == 64 ? '\n' : (char)('a' + i % 26);
    size_t n = (size_t)snprintf(body, sizeof body, "{\"environment\":\"live\",\"api_secret\":\"");
    for (const char *c = secret; *c != 0; c++)
        n += (size_t)snprintf(body + n, sizeof body - n, *c == '\n' ? "\\n" : "%c", *c);
    snprintf(body + n, sizeof body - n, "\",\"api_key\":\"\\u0041-key\\/wxyz\"}");
    expect(ask("PUT", KEYS, token, body), 200, "\"api_key_tail\":\"wxyz\"");
    expect_secret(secret);
    market_hear("asked", "environment=live");
}

Test(gw_keys, what_is_no_key_is_refused_without_a_word_of_it)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"", "BODY_NOT_JSON"},
        {"[\"S3CRET\"]", "BODY_NOT_JSON"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\"", "BODY_NOT_JSON"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\"} S3CRET", "BODY_NOT_JSON"},
        {"{\"api_key\":\"k\",\"api_secret\":S3CRET}", "BODY_NOT_JSON"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\n\"}", "BODY_NOT_JSON"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\\u0000\"}", "FIELD_TYPE"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\\u12\"}", "FIELD_TYPE"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\\", "BODY_NOT_JSON"},
        {"{}", "FIELD_MISSING"},
        {"{\"api_key\":\"k\"}", "\"field\":\"api_secret\""},
        {"{\"api_secret\":\"S3CRET\"}", "\"field\":\"api_key\""},
        {"{\"api_key\":\"\",\"api_secret\":\"S3CRET\"}", "FIELD_MISSING"},
        {"{\"api_key\":7,\"api_secret\":\"S3CRET\"}", "FIELD_TYPE"},
        {"{\"api_key\":\"k\",\"api_secret\":[\"S3CRET\"]}", "FIELD_TYPE"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\",\"api_secret\":\"S3CRET\"}",
         "FIELD_REPEATED"},
        {"{\"api_key\":\"k\",\"api_secret\":\"S3CRET\",\"environment\":\"S3CRET\"}",
         "CHOICE_UNKNOWN"},
        {"{\"api_key\":\"k\",\"secret\":\"S3CRET\"}", "\"field\":\"secret\""},
        {"{\"S3CRET\":\"k\",\"api_secret\":\"k\"}", "FIELD_UNKNOWN"},
        {"{\"user_id\":2,\"api_key\":\"k\",\"api_secret\":\"S3CRET\"}", "FIELD_UNKNOWN"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect(ask("PUT", KEYS, token, cases[i].body), 400, cases[i].code);
        cr_assert_null(strstr(reply_body, "3CRET"), "%s", reply_body);
    }
    expect(ask("PUT", "/api/settings/exchange-keys/S3CRET", token, "{}"), 400,
           "TRADING_TYPE_INVALID");
    cr_assert_null(strstr(reply_body, "3CRET"));
    expect(ask("PUT", KEYS "?api_secret=S3CRET", token, "{}"), 400, "FIELD_UNKNOWN");
    cr_assert_null(strstr(reply_body, "3CRET"));
    expect(ask("PUT", KEYS, "", "{\"api_key\":\"k\",\"api_secret\":\"S3CRET\"}"), 401,
           "TOKEN_MISSING");
}

Test(gw_keys, what_is_too_long_is_refused)
{
    static char body[9000], value[5000];
    memset(value, 'x', 4097);
    snprintf(body, sizeof body, "{\"api_key\":\"k\",\"api_secret\":\"%s\"}", value);
    expect(ask("PUT", KEYS, token, body), 400, "FIELD_TOO_LONG");
    value[128] = 0;
    snprintf(body, sizeof body, "{\"api_key\":\"%s\",\"api_secret\":\"k\"}", value);
    expect(ask("PUT", KEYS, token, body), 400, "\"field\":\"api_key\"");
    memset(body, ' ', 8193);
    body[8193] = 0;
    expect(ask("PUT", KEYS, token, body), 413, "BODY_TOO_LARGE");
}

Test(gw_keys, keys_are_listed_and_deleted)
{
    market_say("answer bridge_keys_get " MASKED);
    market_say("answer bridge_keys_delete bridge_keys");
    expect(ask("GET", KEYS "?check=true", token, ""), 200, "\"kind\":\"HMAC\"");
    market_hear("asked", "check=true");
    expect(ask("DELETE", KEYS "?environment=testnet", token, ""), 200, "{\"keys\":[]}");
    market_hear("asked", "environment=testnet");
    expect(ask("GET", KEYS, "", ""), 401, "TOKEN_MISSING");
}

#define BOUND   "bridge_bound account_id=1 trading_type=spot environment=testnet api_key_tail=wxyz"
#define TO_REAL "{\"mode\":\"REAL\",\"confirm_real\":true,\"leverage\":1}"

Test(gw_keys, to_real_the_account_is_bound_first)
{
    market_say("answer bridge_bind " BOUND);
    market_say("answer settings_set settings_view trading_type=spot mode=REAL environment=testnet");
    expect(ask("PUT", SETTINGS, token, TO_REAL), 200, "\"mode\":\"REAL\"");
    market_hear("asked bridge_bind", "is_real=true");
    market_hear("asked settings_set", "environment=testnet");
}

Test(gw_keys, what_the_bridge_refuses_never_reaches_the_ledger)
{
    market_say("answer bridge_bind refused error=CREDENTIALS_MISSING");
    expect(ask("PUT", SETTINGS, token, TO_REAL), 400, "CREDENTIALS_MISSING");
    cr_assert_not_null(strstr(reply_body, "configure exchange credentials"));
    market_say("answer settings_set settings_view trading_type=spot mode=PAPER leverage=3");
    market_say("forget bridge_bind");
    expect(ask("PUT", SETTINGS, token, "{\"leverage\":3}"), 200, "\"leverage\":3");
    market_hear("asked settings_set", "leverage=3"); /* the first that it was asked */
}

/* The binding that the ledger did not want is taken back. */
Test(gw_keys, what_the_ledger_refuses_leaves_an_account_on_paper_unbound)
{
    market_say("answer bridge_bind " BOUND);
    market_say("answer settings_set refused error=MODE_NOT_AVAILABLE");
    market_say("answer settings_get settings_view trading_type=spot mode=PAPER");
    expect(ask("PUT", SETTINGS, token, TO_REAL), 400, "MODE_NOT_AVAILABLE");
    market_hear("asked bridge_bind", "is_real=true");
    market_hear("asked settings_get", "trading_type=spot");
    market_hear("asked bridge_bind", "trading_type=spot");
}

Test(gw_keys, to_paper_the_ledger_is_asked_first_and_then_it_is_freed)
{
    market_say("answer settings_set settings_view trading_type=spot mode=PAPER");
    market_say("answer bridge_bind bridge_bound account_id=1 trading_type=spot");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"PAPER\"}"), 200, "\"mode\":\"PAPER\"");
    market_hear("asked settings_set", "mode=PAPER");
    market_hear("asked bridge_bind", "trading_type=spot");
}

Test(gw_keys, while_real_orders_are_open_it_stays_bound)
{
    market_say("answer settings_set refused error=REAL_ORDERS_OPEN");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"PAPER\"}"), 409, "REAL_ORDERS_OPEN");
    market_say("answer settings_set settings_view trading_type=spot");
    market_say("forget settings_set");
}

/* What changes no mode, or is not confirmed, is the ledger's alone. */
Test(gw_keys, other_changes_go_straight_to_the_ledger)
{
    market_say("answer settings_set refused error=CONFIRMATION_MISSING");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"REAL\"}"), 400, "CONFIRMATION_MISSING");
    cr_assert_not_null(strstr(reply_body, "send confirm_real: true"));
}

/* Nothing of it is an order's: the answer says what to do all the same. */
Test(gw_keys, what_is_not_answered_may_be_sent_again)
{
    int status = ask("PUT", SETTINGS, token, "{\"leverage\":3}");
    expect(status, 504,
           "\"detail\":\"it may be done already; sending the same again does no harm\"");
    cr_assert_null(strstr(reply_body, "client_order_id"));
}

/* ---- Two bridges are known, and one or none is there ---------------------------------------- */

static void
set_up_other(void)
{
    begin_with("bridge2");
}

TestSuite(gw_other_bridge, .init = set_up_other, .fini = tear_down);

Test(gw_other_bridge, does_what_the_first_would)
{
    market_say("answer bridge_keys_put " MASKED);
    market_say("answer bridge_bind " BOUND);
    market_say("answer settings_set settings_view trading_type=spot mode=REAL environment=testnet");
    int status = ask("PUT", KEYS, token, "{\"api_key\":\"a-key-wxyz\",\"api_secret\":\"s3cret\"}");
    expect(status, 200, "\"api_key_tail\":\"wxyz\"");
    expect_secret("s3cret");
    expect(ask("PUT", SETTINGS, token, TO_REAL), 200, "\"mode\":\"REAL\"");
}

static void
set_up_none(void)
{
    char waiter[1024];
    begin(waiter);
    while (ask("GET", KEYS, waiter, "") != 503)
        ;
    expect(503, 503, "BRIDGE_UNAVAILABLE");
}

TestSuite(gw_no_bridge, .init = set_up_none, .fini = tear_down);

Test(gw_no_bridge, is_told_with_when_to_come_back)
{
    static const struct {
        const char *method, *path, *body;
    } requests[] = {
        {"PUT", KEYS, "{\"api_key\":\"A-KEY\",\"api_secret\":\"S3CRET\"}"},
        {"GET", KEYS "?check=true", ""},
        {"DELETE", KEYS, ""},
        {"POST", "/api/settings/sync-paper-balance/spot", ""},
        {"GET", "/api/settings/sync-paper-balance/spot/schedule", ""},
        {"PUT", "/api/settings/sync-paper-balance/spot/schedule", "{\"every_minutes\":5}"},
        {"POST", "/api/paper-trading/orders/sync", ""},
        {"GET", "/api/paper-trading/account?refresh=true", ""},
        {"PUT", SETTINGS, TO_REAL},
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int status = ask(requests[i].method, requests[i].path, token, requests[i].body);
        expect(status, 503, "\"code\":\"BRIDGE_UNAVAILABLE\"");
        cr_assert_not_null(strstr(reply, "Retry-After: 1\r\n"), "%s", reply);
        expect(status, 503, "\"retry_after_seconds\":1,\"retry_suggested\":true");
        cr_assert(strstr(reply, "S3CRET") == NULL && strstr(reply, "A-KEY") == NULL, "%s", reply);
    }
    /* What is wrong with a request is said before. */
    expect(ask("PUT", KEYS, token, "{\"api_key\":\"k\"}"), 400, "\"field\":\"api_secret\"");
    expect(ask("PUT", "/api/settings/trading/margin", token, TO_REAL), 400, "TRADING_TYPE_INVALID");
}

Test(gw_no_bridge, is_needed_for_paper)
{
    market_say("answer settings_set settings_view trading_type=spot mode=PAPER leverage=3");
    market_say("answer account_get account_view account_id=1");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"PAPER\"}"), 200, "\"mode\":\"PAPER\"");
    market_hear("asked settings_set", "mode=PAPER");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"PAPER\",\"leverage\":3}"), 200,
           "\"leverage\":3");
    expect(ask("PUT", SETTINGS, token, "{\"leverage\":3}"), 200, "\"leverage\":3");
    expect(ask("GET", "/api/paper-trading/account", token, ""), 200, "\"account_id\"");
}

/* One that is there and can do nothing is no more needed. */
Test(gw_keys, what_the_bridge_cannot_free_is_on_paper_all_the_same)
{
    market_say("answer settings_set settings_view trading_type=spot mode=PAPER");
    market_say("answer bridge_bind refused error=KEYS_UNAVAILABLE");
    expect(ask("PUT", SETTINGS, token, "{\"mode\":\"PAPER\"}"), 200, "\"mode\":\"PAPER\"");
    market_hear("asked bridge_bind", "trading_type=spot");
}
