/*
 * bridge_verdict_test.c - a case for each row of verdicts.def, and that no answer is without one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/verdict.h"

#include <criterion/criterion.h>
#include <string.h>

#include "random_msg.h"

#define PLACE  CALL_SPOT_ORDER_PLACE
#define UPLACE CALL_USDM_ORDER_PLACE
#define CANCEL CALL_SPOT_ORDER_CANCEL
#define GET    CALL_SPOT_ORDER_GET
#define UGET   CALL_USDM_ORDER_GET
#define RENEW  CALL_USDM_LISTEN_KEY_RENEW

struct example {
    enum call_name call;
    struct answer answer;
    enum verdict verdict;
    enum err error;
};

#define SAID(call, status, code, text, verdict, error)                                             \
    {                                                                                              \
        call, {status, true, false, true, code, text}, VERDICT_##verdict, error                    \
    }
#define QUIET(call, sent, late, verdict, error)                                                    \
    {                                                                                              \
        call, {0, sent, late, false, 0, ""}, VERDICT_##verdict, error                              \
    }
#define TORN(call, status, verdict, error)                                                         \
    {                                                                                              \
        call, {status, true, false, false, 0, ""}, VERDICT_##verdict, error                        \
    }

/* In the order of the rows. */
static const struct example EXAMPLES[] = {
    QUIET(PLACE, false, false, AGAIN, ERR_EXCHANGE_UNREACHABLE),
    QUIET(PLACE, false, true, AGAIN, ERR_EXCHANGE_TIMEOUT),
    QUIET(PLACE, true, true, UNKNOWN, ERR_OUTCOME_UNKNOWN),
    QUIET(GET, true, true, AGAIN, ERR_EXCHANGE_TIMEOUT),
    QUIET(GET, true, false, AGAIN, ERR_EXCHANGE_UNREACHABLE),
    TORN(PLACE, 200, UNKNOWN, ERR_OUTCOME_UNKNOWN),
    TORN(GET, 200, AGAIN, ERR_EXCHANGE_FAILED),
    SAID(PLACE, 200, 0, "", OK, OK),
    SAID(PLACE, 400, -1007, "Timeout waiting for response from backend server.", UNKNOWN,
         ERR_OUTCOME_UNKNOWN),
    SAID(GET, 504, -1007, "", AGAIN, ERR_EXCHANGE_TIMEOUT),
    SAID(PLACE, 503, -1008, "Server is currently overloaded", AGAIN, ERR_EXCHANGE_FAILED),
    SAID(UPLACE, 503, 0, "Service Unavailable.", AGAIN, ERR_EXCHANGE_FAILED),
    SAID(CALL_USDM_ORDER_CANCEL, 503, -1001,
         "Internal error; unable to process your request. Please try again.", AGAIN,
         ERR_EXCHANGE_FAILED),
    SAID(UPLACE, 503, 0, "Request throttled by system-level protection. Reduce-only", AGAIN,
         ERR_EXCHANGE_FAILED),
    SAID(UPLACE, 503, 0, "Unknown error, please check your request or try again later.", UNKNOWN,
         ERR_OUTCOME_UNKNOWN),
    SAID(GET, 502, 0, "", AGAIN, ERR_EXCHANGE_FAILED),
    SAID(UPLACE, 408, 0, "", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(UGET, 408, 0, "", AGAIN, ERR_EXCHANGE_TIMEOUT),
    SAID(PLACE, 409, -2021, "Order cancel-replace partially failed.", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(PLACE, 400, -1000, "An unknown error occurred", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(GET, 400, -1001, "", AGAIN, ERR_EXCHANGE_FAILED),
    SAID(PLACE, 418, -1003, "IP banned until", LIMITED, ERR_EXCHANGE_LIMITED),
    SAID(PLACE, 429, 0, "", LIMITED, ERR_EXCHANGE_LIMITED),
    SAID(GET, 400, -1003, "Too many requests", LIMITED, ERR_EXCHANGE_LIMITED),
    SAID(PLACE, 400, -1015, "Too many new orders", LIMITED, ERR_EXCHANGE_LIMITED),
    SAID(PLACE, 400, -1021, "Timestamp for this request is outside of the recvWindow.", CLOCK,
         ERR_EXCHANGE_FAILED),
    SAID(UPLACE, 400, -5028, "", CLOCK, ERR_EXCHANGE_FAILED),
    SAID(PLACE, 400, -2015, "Invalid API-key, IP, or permissions for action.", KEY,
         ERR_CREDENTIALS_INVALID),
    SAID(GET, 400, -2008, "Invalid Api-Key ID.", KEY, ERR_CREDENTIALS_INVALID),
    SAID(GET, 400, -1022, "Signature for this request is not valid.", KEY, ERR_CREDENTIALS_INVALID),
    TORN(RENEW, 401, KEY, ERR_CREDENTIALS_INVALID),
    TORN(GET, 403, LIMITED, ERR_EXCHANGE_LIMITED),
    SAID(GET, 400, -2013, "Order does not exist.", ABSENT, ERR_ORDER_NOT_FOUND),
    SAID(GET, 400, -2026, "Order was canceled or expired with no executed qty", ABSENT,
         ERR_ORDER_NOT_FOUND),
    SAID(CANCEL, 400, -2011, "Order was not canceled due to cancel restrictions.", REFUSED,
         ERR_EXCHANGE_REFUSED),
    SAID(CANCEL, 400, -2011, "Unknown order sent.", GONE, ERR_ORDER_DONE),
    SAID(CANCEL, 400, -2013, "Order does not exist.", GONE, ERR_ORDER_DONE),
    SAID(CANCEL, 400, -2026, "", GONE, ERR_ORDER_DONE),
    SAID(PLACE, 400, -2010, "Duplicate order sent.", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(UPLACE, 400, -4116, "ClientOrderId is duplicated.", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(PLACE, 400, -2021, "Order cancel-replace partially failed.", UNKNOWN, ERR_OUTCOME_UNKNOWN),
    SAID(RENEW, 400, -1125, "This listenKey does not exist.", ABSENT, ERR_EXCHANGE_FAILED),
    SAID(RENEW, 400, -4046, "No need to change margin type.", DONE, OK),
    SAID(RENEW, 400, -4059, "No need to change position side.", DONE, OK),
    SAID(PLACE, 400, -1013, "Filter failure: PRICE_FILTER", REFUSED, ERR_FILTER_PRICE),
    SAID(PLACE, 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", REFUSED,
         ERR_FILTER_PERCENT_PRICE),
    SAID(PLACE, 400, -1013, "Filter failure: LOT_SIZE", REFUSED, ERR_FILTER_LOT_SIZE),
    SAID(PLACE, 400, -1013, "Filter failure: MARKET_LOT_SIZE", REFUSED, ERR_FILTER_MARKET_LOT_SIZE),
    SAID(PLACE, 400, -1013, "Filter failure: NOTIONAL", REFUSED, ERR_FILTER_NOTIONAL),
    SAID(PLACE, 400, -1013, "Filter failure: MIN_NOTIONAL", REFUSED, ERR_FILTER_NOTIONAL),
    SAID(PLACE, 400, -1013, "Filter failure: ICEBERG_PARTS", REFUSED, ERR_FILTER_ICEBERG_PARTS),
    SAID(PLACE, 400, -1013, "Filter failure: TRAILING_DELTA", REFUSED, ERR_FILTER_TRAILING_DELTA),
    SAID(PLACE, 400, -2010, "Filter failure: MAX_POSITION", REFUSED, ERR_FILTER_MAX_POSITION),
    SAID(PLACE, 400, -1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", REFUSED,
         ERR_FILTER_MAX_ORDERS),
    SAID(PLACE, 400, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS", REFUSED,
         ERR_FILTER_MAX_ALGO_ORDERS),
    SAID(PLACE, 400, -1013, "Filter failure: MAX_NUM_ICEBERG_ORDERS", REFUSED,
         ERR_FILTER_MAX_ICEBERG_ORDERS),
    SAID(PLACE, 400, -2010, "Account has insufficient balance for requested action.", REFUSED,
         ERR_FUNDS_TOO_LOW),
    SAID(PLACE, 400, -1013, "Market is closed.", REFUSED, ERR_SYMBOL_HALTED),
    SAID(PLACE, 400, -2010, "Order would trigger immediately.", REFUSED, ERR_WOULD_TRIGGER),
    SAID(PLACE, 400, -2010, "Order would immediately match and take.", REFUSED, ERR_WOULD_TAKE),
    SAID(PLACE, 400, -2010, "Stop loss orders are not supported for this symbol.", REFUSED,
         ERR_ORDER_TYPE_UNSUPPORTED),
    SAID(PLACE, 400, -2010, "Unsupported order combination", REFUSED, ERR_REAL_UNSUPPORTED),
    SAID(PLACE, 400, -2010, "The relationship of the prices for the orders is not correct.",
         REFUSED, ERR_LIST_PRICES),
    SAID(PLACE, 400, -2010, "IcebergQty exceeds QTY.", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -2010, "Price * QTY is zero or less.", REFUSED, ERR_FILTER_NOTIONAL),
    SAID(PLACE, 400, -2010, "This symbol is not permitted for this account.", REFUSED,
         ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -2010, "Order book liquidity is less than 1", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(UPLACE, 400, -2019, "Margin is insufficient.", REFUSED, ERR_FUNDS_TOO_LOW),
    SAID(UPLACE, 400, -2021, "Order would immediately trigger.", REFUSED, ERR_WOULD_TRIGGER),
    SAID(UPLACE, 400, -2022, "ReduceOnly Order is rejected.", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(UPLACE, 400, -2025, "Reach max open order limit.", REFUSED, ERR_FILTER_MAX_ORDERS),
    SAID(UPLACE, 400, -2027, "Exceeded the maximum allowable position", REFUSED,
         ERR_FILTER_MAX_POSITION),
    SAID(UPLACE, 400, -4016, "Limit price can't be higher than 62996.58.", REFUSED,
         ERR_FILTER_PERCENT_PRICE),
    SAID(UPLACE, 400, -4024, "Limit price can't be lower than 56996.91.", REFUSED,
         ERR_FILTER_PERCENT_PRICE),
    SAID(UPLACE, 400, -4061, "Order's position side does not match user's setting.", REFUSED,
         ERR_REAL_UNSUPPORTED),
    SAID(RENEW, 400, -4067, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(UPLACE, 400, -4120, "", REFUSED, ERR_ORDER_TYPE_UNSUPPORTED),
    SAID(UPLACE, 400, -4131, "", REFUSED, ERR_FILTER_PERCENT_PRICE),
    SAID(UPLACE, 400, -4164, "", REFUSED, ERR_FILTER_NOTIONAL),
    SAID(UPLACE, 400, -4400, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(UPLACE, 400, -5021, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(UPLACE, 400, -5022, "", REFUSED, ERR_WOULD_TAKE),
    SAID(GET, 400, -1121, "Invalid symbol.", REFUSED, ERR_SYMBOL_UNKNOWN),
    SAID(PLACE, 400, -1116, "Invalid orderType.", REFUSED, ERR_ORDER_TYPE_UNSUPPORTED),
    SAID(PLACE, 400, -2010, "something new", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -1013, "Invalid quantity.", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -1014, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -1020, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -1111, "Parameter 'price' has too much precision.", REFUSED,
         ERR_EXCHANGE_REFUSED),
    SAID(CANCEL, 400, -1145, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -1220, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(CANCEL, 400, -2039, "", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(PLACE, 400, -9999, "of another day", REFUSED, ERR_EXCHANGE_REFUSED),
    SAID(GET, 404, -9999, "", REFUSED, ERR_EXCHANGE_FAILED),
    TORN(PLACE, 400, UNKNOWN, ERR_OUTCOME_UNKNOWN),
    TORN(GET, 404, AGAIN, ERR_EXCHANGE_FAILED),
};
#define EXAMPLE_COUNT (sizeof(EXAMPLES) / sizeof(EXAMPLES[0]))

Test(verdict, each_row_has_its_case)
{
    cr_assert_eq(EXAMPLE_COUNT, verdict_rows());
    for (uint32_t i = 0; i < EXAMPLE_COUNT; i++) {
        const struct example *x = &EXAMPLES[i];
        struct ruling r = verdict_of(x->call, &x->answer);
        cr_assert_eq(verdict_row(x->call, &x->answer), i, "case %u is decided by row %u", i,
                     verdict_row(x->call, &x->answer));
        cr_assert_eq(r.verdict, x->verdict, "row %u: %s", i, verdict_name(r.verdict));
        cr_assert_eq(r.error, x->error, "row %u: %s", i, err_name(r.error));
    }
}

/* Whether the exchange says for certain that it was not executed. */
static bool
has_surely_failed(enum call_name call, const struct answer *a)
{
    const struct call_facts *facts = call_facts(call);
    if (facts->market != TRADING_TYPE_futures || a->status != 503)
        return false;
    if (strcmp(a->message, "Service Unavailable.") == 0 ||
        strncmp(a->message, "Request throttled", 17) == 0)
        return a->code != -1006 && a->code != -1007;
    return facts->class_ == CALL_CANCELS && a->code == -1001 &&
           strncmp(a->message, "Internal error", 14) == 0;
}

/* What one market or one call says for certain, another may say where nobody knows. */
Test(verdict, a_failing_server_may_have_executed_an_order)
{
    static const enum call_name CALLS[] = {PLACE, UPLACE, CANCEL, CALL_USDM_ORDER_CANCEL};
    static const char *const TEXTS[] = {
        "", "Service Unavailable.",
        "Internal error; unable to process your request. Please try again.",
        "Request throttled by system-level protection. Reduce-only/close-position orders are "
        "exempt.",
        "Unknown error, please check your request or try again later."};
    static const int64_t CODES[] = {0, -1000, -1001, -1006, -1007};
    for (size_t c = 0; c < 4; c++)
        for (int status = 500; status <= 505; status++)
            for (size_t i = 0; i < 5; i++)
                for (size_t t = 0; t < 5; t++) {
                    struct answer a = {.status = status,
                                       .was_sent = true,
                                       .has_body = i > 0 || t > 0,
                                       .code = CODES[i],
                                       .message = TEXTS[t]};
                    enum verdict expected =
                        has_surely_failed(CALLS[c], &a) ? VERDICT_AGAIN : VERDICT_UNKNOWN;
                    cr_assert_eq(verdict_of(CALLS[c], &a).verdict, expected, "%s %d %lld %s",
                                 call_facts(CALLS[c])->name, status, (long long)a.code, TEXTS[t]);
                }
}

/* ---- What the reference says, code by code ------------------------------------------------ */

struct saying {
    int64_t code;
    enum verdict verdict;
};

static void
all_say(enum call_name call, const struct saying *s)
{
    for (; s->code != 0; s++) {
        struct answer a = {.status = 400, .was_sent = true, .has_body = true, .code = s->code};
        struct ruling r = verdict_of(call, &a);
        cr_assert_eq(r.verdict, s->verdict, "%lld: %s", (long long)s->code,
                     verdict_name(r.verdict));
    }
}

Test(verdict, codes_of_a_placement)
{
    static const struct saying SAYINGS[] = {
        {-1000, VERDICT_UNKNOWN}, {-1001, VERDICT_UNKNOWN}, {-1003, VERDICT_LIMITED},
        {-1006, VERDICT_UNKNOWN}, {-1007, VERDICT_UNKNOWN}, {-1008, VERDICT_AGAIN},
        {-1013, VERDICT_REFUSED}, {-1014, VERDICT_REFUSED}, {-1015, VERDICT_LIMITED},
        {-1016, VERDICT_REFUSED}, {-1020, VERDICT_REFUSED}, {-1021, VERDICT_CLOCK},
        {-1022, VERDICT_KEY},     {-1100, VERDICT_REFUSED}, {-1101, VERDICT_REFUSED},
        {-1102, VERDICT_REFUSED}, {-1103, VERDICT_REFUSED}, {-1104, VERDICT_REFUSED},
        {-1105, VERDICT_REFUSED}, {-1106, VERDICT_REFUSED}, {-1111, VERDICT_REFUSED},
        {-1114, VERDICT_REFUSED}, {-1115, VERDICT_REFUSED}, {-1116, VERDICT_REFUSED},
        {-1117, VERDICT_REFUSED}, {-1120, VERDICT_REFUSED}, {-1121, VERDICT_REFUSED},
        {-1128, VERDICT_REFUSED}, {-1130, VERDICT_REFUSED}, {-1131, VERDICT_REFUSED},
        {-1220, VERDICT_REFUSED}, {-2008, VERDICT_KEY},     {-2010, VERDICT_REFUSED},
        {-2014, VERDICT_KEY},     {-2015, VERDICT_KEY},     {0, VERDICT_OK}};
    all_say(PLACE, SAYINGS);
    all_say(UPLACE, SAYINGS);
}

Test(verdict, codes_of_futures_alone)
{
    static const struct saying SAYINGS[] = {
        {-2018, VERDICT_REFUSED}, {-2019, VERDICT_REFUSED}, {-2021, VERDICT_REFUSED},
        {-2022, VERDICT_REFUSED}, {-2023, VERDICT_REFUSED}, {-2024, VERDICT_REFUSED},
        {-2025, VERDICT_REFUSED}, {-2027, VERDICT_REFUSED}, {-2028, VERDICT_REFUSED},
        {-4061, VERDICT_REFUSED}, {-4116, VERDICT_UNKNOWN}, {-4120, VERDICT_REFUSED},
        {-4131, VERDICT_REFUSED}, {-4164, VERDICT_REFUSED}, {-4400, VERDICT_REFUSED},
        {-5021, VERDICT_REFUSED}, {-5022, VERDICT_REFUSED}, {-5028, VERDICT_CLOCK},
        {0, VERDICT_OK}};
    all_say(UPLACE, SAYINGS);
    static const struct saying OF_SETS[] = {{-4046, VERDICT_DONE},    {-4059, VERDICT_DONE},
                                            {-4067, VERDICT_REFUSED}, {-4068, VERDICT_REFUSED},
                                            {-1125, VERDICT_ABSENT},  {0, VERDICT_OK}};
    all_say(RENEW, OF_SETS);
    /* The same numbers mean something else on spot. */
    static const struct saying OF_SPOT[] = {
        {-2021, VERDICT_UNKNOWN}, {-2022, VERDICT_UNKNOWN}, {0, VERDICT_OK}};
    all_say(PLACE, OF_SPOT);
}

/* ---- Every kind of answer has a ruling ---------------------------------------------------- */

#define CALLS(call) for (enum call_name call = CALL_NONE + 1; call < CALL_COUNT; call++)

Test(verdict, a_placement_that_was_perhaps_executed_is_never_sent_again)
{
    static const enum call_name PLACEMENTS[] = {PLACE, UPLACE};
    for (int p = 0; p < 2; p++)
        for (int status = 100; status < 1000; status++)
            for (int body = 0; body < 2; body++) {
                struct answer a = {.status = status, .was_sent = true, .has_body = body == 1};
                enum verdict v = verdict_of(PLACEMENTS[p], &a).verdict;
                cr_assert_neq(v, VERDICT_AGAIN, "%d", status);
                cr_assert_neq(v, VERDICT_CLOCK, "%d", status);
                cr_assert_eq(v == VERDICT_OK, body == 1 && status / 100 == 2, "%d", status);
                if (status >= 500 || (body == 0 && status / 100 == 2) || status == 408)
                    cr_assert_eq(v, VERDICT_UNKNOWN, "%d", status);
                a.code = -1007;
                if (status / 100 != 2)
                    cr_assert_eq(verdict_of(PLACEMENTS[p], &a).verdict, VERDICT_UNKNOWN);
            }
}

Test(verdict, what_has_no_status)
{
    CALLS(call)
    for (int late = 0; late < 2; late++) {
        bool orders =
            call_facts(call)->class_ == CALL_PLACES || call_facts(call)->class_ == CALL_CANCELS;
        struct answer a = {.timed_out = late == 1};
        cr_assert_eq(verdict_of(call, &a).verdict, VERDICT_AGAIN);
        a.was_sent = true;
        cr_assert_eq(verdict_of(call, &a).verdict, orders ? VERDICT_UNKNOWN : VERDICT_AGAIN);
        a.status = -7;
        cr_assert_eq(verdict_of(call, &a).verdict, orders ? VERDICT_UNKNOWN : VERDICT_AGAIN);
    }
}

/* Whatever comes: a ruling, with an error unless it went well, and never AGAIN for a placement but
 * where it was not sent or the exchange said that it was not processed. */
Test(verdict, random_answers_have_a_sound_ruling)
{
    static const char *const WORDS[] = {"",
                                        "Service Unavailable.",
                                        "Unknown order sent.",
                                        "Duplicate order sent.",
                                        "Filter failure: NOTIONAL",
                                        "Internal error; unable to process your request.",
                                        "Request throttled by system-level protection",
                                        NULL};
    struct random r = {3};
    for (uint32_t i = 0; i < 500000; i++) {
        enum call_name call = 1 + (enum call_name)random_below(&r, CALL_COUNT - 1);
        struct answer a = {.status = (int)random_below(&r, 700) - 50,
                           .was_sent = random_below(&r, 2) == 0,
                           .timed_out = random_below(&r, 2) == 0,
                           .has_body = random_below(&r, 2) == 0,
                           .message = WORDS[random_below(&r, 8)]};
        uint64_t kind = random_below(&r, 3);
        if (kind == 0)
            a.code = -(int64_t)random_below(&r, 6000);
        if (kind == 1)
            a.code = (int64_t)random_next(&r);
        struct ruling ruling = verdict_of(call, &a);
        bool well = ruling.verdict == VERDICT_OK || ruling.verdict == VERDICT_DONE;
        cr_assert_eq(ruling.error == OK, well);
        enum call_class class_ = call_facts(call)->class_;
        if (class_ == CALL_PLACES && ruling.verdict == VERDICT_AGAIN) {
            bool is_said = a.message == WORDS[1] || a.message == WORDS[6];
            cr_assert((a.status <= 0 && !a.was_sent) || a.code == -1008 ||
                      (call == UPLACE && a.status == 503 && is_said));
        }
        if (ruling.verdict == VERDICT_ABSENT)
            cr_assert(class_ == CALL_READS || class_ == CALL_SETS);
        if (ruling.verdict == VERDICT_GONE)
            cr_assert_eq(class_, CALL_CANCELS);
        if (ruling.verdict == VERDICT_UNKNOWN)
            cr_assert(class_ == CALL_PLACES || class_ == CALL_CANCELS);
    }
}

Test(verdict, verdicts_have_names)
{
    for (int v = VERDICT_OK; v <= VERDICT_UNKNOWN; v++)
        cr_assert_gt(strlen(verdict_name((enum verdict)v)), 1);
}
