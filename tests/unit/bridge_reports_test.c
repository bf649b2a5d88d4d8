/*
 * bridge_reports_test.c - what the real orders.c hears of real orders, and tells until the ledger
 * knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_shell_stage.h"

static void
set_up(void)
{
    stage_open();
    stage_bind(TRADING_TYPE_spot, ENVIRONMENT_testnet);
}

TestSuite(bridge_reports, .init = set_up, .fini = stage_close);

static void
take(enum flow_wish wish, const struct bridge_place *m)
{
    orders_take(stage.s.orders, wish, m);
}

/* A place whose outcome is open, with the question about it not yet sent. */
static struct bridge_place
an_open_one(void)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    stage_end(0, VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, "");
    told_is(1, EXCHANGE_STATE_UNKNOWN);
    return m;
}

/* ---- What is heard ----------------------------------------------------------------------- */

Test(bridge_reports, an_answer_that_cannot_be_read_leaves_it_open)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    stage_end(0, VERDICT_OK, OK, "<html>");
    cr_assert_eq(told_is(1, EXCHANGE_STATE_UNKNOWN)->error, ERR_EXCHANGE_FAILED);
    stage_later(SECOND);
    calls_are(2, CALL_SPOT_ORDER_GET);
    stage_end(1, VERDICT_OK, OK, "{}");
    stage_later(SECOND);
    calls_are(3, CALL_SPOT_ORDER_GET);
    stage_end_order(2, "NEW", "0");
    told_is(2, EXCHANGE_STATE_PLACED);
}

Test(bridge_reports, it_is_asked_about_until_it_is_surely_absent)
{
    an_open_one();
    stage_later(30 * SECOND);
    stage_end(1, VERDICT_ABSENT, OK, "");
    cr_assert_eq(stage.told_count, 1);
    stage_later(8 * SECOND);
    stage_end(2, VERDICT_ABSENT, OK, "");
    told_is(2, EXCHANGE_STATE_NOT_PLACED);
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"NOT_PLACED\""), 1);
}

Test(bridge_reports, without_the_exchanges_clock_it_is_never_surely_absent)
{
    an_open_one();
    stage.is_exchange_clock_unknown = true;
    for (uint32_t i = 1; i < 6; i++) {
        stage_later(30 * SECOND);
        stage_end(i, VERDICT_ABSENT, OK, "");
    }
    told_is(1, EXCHANGE_STATE_UNKNOWN);
}

/* recvWindow, the engine's ten seconds and the margin, behind the last moment to send. */
Test(bridge_reports, what_was_asked_before_all_is_over_proves_nothing)
{
    an_open_one();
    stage_later(25 * SECOND);
    stage_end(1, VERDICT_ABSENT, OK, "");
    stage_later(8 * SECOND);
    stage_end(2, VERDICT_ABSENT, OK, "");
    told_is(1, EXCHANGE_STATE_UNKNOWN);
    stage_later(8 * SECOND);
    stage_end(3, VERDICT_ABSENT, OK, "");
    told_is(2, EXCHANGE_STATE_NOT_PLACED);
}

Test(bridge_reports, a_cancel_is_sent_and_its_outcome_asked_for)
{
    struct bridge_place m = stage_order();
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    take(FLOW_CANCEL, &m);
    calls_are(1, CALL_SPOT_ORDER_CANCEL);
    cr_assert_eq(stage.calls[0].r.send_by_us, 0);
    stage_end(0, VERDICT_OK, OK, "whatever it says");
    calls_are(2, CALL_SPOT_ORDER_GET);
    stage_end_order(1, "CANCELED", "0");
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_PLACED);
    cr_assert(r->was_cancel);
    cr_assert_eq(r->status, ORDER_STATUS_CANCELED);
}

/* Its own body says nothing that the order does not say. */
Test(bridge_reports, a_cancel_that_was_taken_is_no_failure_whatever_its_answer_says)
{
    struct bridge_place m = stage_order();
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    take(FLOW_CANCEL, &m);
    stage_end(0, VERDICT_OK, OK, "<html>");
    stage_end_order(1, "NEW", "0");
    cr_assert_eq(told_is(1, EXCHANGE_STATE_PLACED)->error, OK);
}

/* ---- What is told ------------------------------------------------------------------------ */

static const char TRADES[] =
    "[{\"id\":1,\"orderId\":5,\"price\":\"100\",\"qty\":\"0.4\",\"quoteQty\":\"40\","
    "\"commission\":\"0\",\"commissionAsset\":\"BTC\",\"time\":1790000000001,\"isMaker\":true},"
    "{\"id\":2,\"orderId\":5,\"price\":\"100\",\"qty\":\"0.6\",\"quoteQty\":\"60\","
    "\"commission\":\"0\",\"commissionAsset\":\"BTC\",\"time\":1790000000001,\"isMaker\":true}]";

Test(bridge_reports, a_report_waits_until_it_is_acknowledged)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    stage_end_order(0, "NEW", "0");
    cr_assert_eq(stage.told[0].patience_ms, 0);
    cr_assert_not_null(stage.s.pending.first);
    stage_reported(0, 0, false);
    cr_assert_null(stage.s.pending.first);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
}

Test(bridge_reports, a_ledger_that_lacks_fills_is_told_all_of_them)
{
    struct bridge_place m = stage_order();
    m.order.executed_quantity.v = 4 * ONE / 10;
    take(FLOW_ASK, &m);
    stage_end_order(0, "PARTIALLY_FILLED", "0.4");
    told_is(1, EXCHANGE_STATE_PLACED);
    stage_reported(0, 0, true);
    cr_assert_eq(stage_counter("scrip_bridge_reports_behind_total", ""), 1);
    calls_are(2, CALL_SPOT_ORDER_GET);
    stage_end_order(1, "FILLED", "1");
    calls_are(3, CALL_SPOT_ORDER_TRADES);
    stage_end(2, VERDICT_OK, OK, TRADES);
    const struct bridge_report *r = told_is(2, EXCHANGE_STATE_PLACED);
    cr_assert_eq(r->fills_count, 2);
    cr_assert_eq(r->fills[0].executed_after.v, 4 * ONE / 10);
    cr_assert_eq(r->fills[1].executed_after.v, ONE);
    cr_assert_eq(r->executed_quantity.v, ONE);
    stage_reported(1, ONE, false);
    calls_are(3, CALL_SPOT_ORDER_TRADES);
}

/* Where the ledger stands is in its answer, not in what it asked with. */
Test(bridge_reports, only_what_the_ledger_lacks_is_read)
{
    struct bridge_place m = stage_order();
    m.order.executed_quantity.v = ONE;
    take(FLOW_ASK, &m);
    stage_end_order(0, "FILLED", "1");
    stage_reported(0, 4 * ONE / 10, true);
    stage_end_order(1, "FILLED", "0.4");
    told_is(2, EXCHANGE_STATE_PLACED);
    calls_are(2, CALL_SPOT_ORDER_GET);
}

Test(bridge_reports, trades_that_cannot_be_read_are_asked_for_again)
{
    struct bridge_place m = stage_order();
    take(FLOW_ASK, &m);
    stage_end_order(0, "FILLED", "1");
    calls_are(2, CALL_SPOT_ORDER_TRADES);
    stage_end(1, VERDICT_OK, OK, "{\"not\": \"a list\"}");
    cr_assert_eq(stage.told_count, 0);
    stage_later(SECOND);
    stage_end_order(2, "FILLED", "1");
    stage_end(3, VERDICT_OK, OK, TRADES);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_PLACED)->fills_count, 2);
}

Test(bridge_reports, what_the_ledger_refuses_or_cannot_take_is_let_go)
{
    struct bridge_place m = stage_order();
    take(FLOW_ASK, &m);
    stage_end_order(0, "NEW", "0");
    struct msg no = {.type = MSG_refused};
    no.refused.error = ERR_ACCOUNT_NOT_FOUND;
    stage.told[0].done(stage.told[0].arg, &no);
    cr_assert_null(stage.s.pending.first);
    stage.is_ledger_full = true;
    take(FLOW_ASK, &m);
    stage_end_order(1, "NEW", "0");
    cr_assert_null(stage.s.pending.first);
    stage.is_ledger_full = false;
    take(FLOW_ASK, &m);
    stage_end_order(2, "NEW", "0");
    told_is(2, EXCHANGE_STATE_PLACED);
}

Test(bridge_reports, reports_are_counted_by_how_far_the_order_had_come)
{
    an_open_one();
    stage_later(SECOND);
    stage_end_order(1, "NEW", "0");
    struct bridge_place m = stage_order();
    m.order.order_id++;
    take(FLOW_PLACE, &m);
    stage_end(2, VERDICT_REFUSED, ERR_FUNDS_TOO_LOW, "");
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"UNKNOWN\""), 1);
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"PLACED\""), 1);
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"REFUSED\""), 1);
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"NOT_PLACED\""), 0);
}

/* ---- Checks, as a refresh makes them ----------------------------------------------------- */

static struct orders_found found;
static uint32_t found_count;

static void
on_found(void *arg, const struct orders_found *f)
{
    cr_assert_eq(arg, &found_count);
    found = *f;
    found_count++;
}

static bool
check(const struct bridge_place *m)
{
    return orders_check(stage.s.orders, m, on_found, &found_count);
}

static struct bridge_place
a_placed_one(void)
{
    struct bridge_place m = stage_order();
    m.order.exchange_state = EXCHANGE_STATE_PLACED;
    return m;
}

/* What a check finds when the exchange has the order so. */
static bool
finds_change(const struct bridge_place *m, const char *status, const char *executed)
{
    uint32_t call = stage.calls_count, before = found_count;
    cr_assert(check(m));
    stage_end_order(call, status, executed);
    if (stage.calls[stage.calls_count - 1].call.name == CALL_SPOT_ORDER_TRADES)
        stage_end(call + 1, VERDICT_OK, OK, TRADES);
    cr_assert_eq(found_count, before + 1);
    cr_assert_not(found.is_unresolved);
    return found.is_changed;
}

Test(bridge_reports, a_check_tells_whether_there_is_news)
{
    struct bridge_place m = a_placed_one();
    cr_assert_not(finds_change(&m, "NEW", "0"));
    cr_assert(finds_change(&m, "CANCELED", "0"));
    cr_assert(finds_change(&m, "FILLED", "1"));
    m.order.status = ORDER_STATUS_FILLED;
    cr_assert(finds_change(&m, "FILLED", "1"), "its fills");
    m.order.executed_quantity.v = ONE;
    cr_assert_not(finds_change(&m, "FILLED", "1"));
    m.order.exchange_state = EXCHANGE_STATE_UNKNOWN;
    cr_assert(finds_change(&m, "FILLED", "1"), "that it is there");
}

Test(bridge_reports, two_checks_are_one_question)
{
    struct bridge_place m = a_placed_one();
    cr_assert(check(&m));
    cr_assert(check(&m));
    calls_are(1, CALL_SPOT_ORDER_GET);
    stage_end_order(0, "NEW", "0");
    cr_assert_eq(found_count, 2);
    cr_assert_not(found.is_unresolved);
    stage_reported(0, 0, false);
    cr_assert_null(stage.s.pending.first);
    stage_later(SECOND);
    cr_assert_eq(found_count, 2);
}

Test(bridge_reports, nobody_waits_for_an_exchange_that_does_not_answer)
{
    struct bridge_place m = a_placed_one();
    cr_assert(check(&m));
    stage_end(0, VERDICT_AGAIN, ERR_EXCHANGE_FAILED, "");
    cr_assert(found_count == 1 && found.is_unresolved && !found.is_changed);
    stage_later(SECOND);
    calls_are(2, CALL_SPOT_ORDER_GET);
    stage_end_order(1, "NEW", "0");
    cr_assert_eq(found_count, 1);
}

Test(bridge_reports, a_check_is_for_who_may_ask)
{
    struct bridge_place m = a_placed_one();
    stage.bindings_count = 0;
    cr_assert_not(check(&m));
    stage.bindings_count = 1;
    stage.deployment = "";
    cr_assert_not(check(&m));
    cr_assert_eq(found_count, 0);
    calls_are(0, CALL_NONE);
}
