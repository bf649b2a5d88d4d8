/*
 * bridge_orders_test.c - real orders by the real orders.c: sent once, in time, under guard, made
 * fit.
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

TestSuite(bridge_orders, .init = set_up, .fini = stage_close);

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

/* ---- Once, and in time ------------------------------------------------------------------- */

Test(bridge_orders, a_placement_is_sent_once_and_its_copies_are_questions)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
    stage_end_order(0, "NEW", "0");
    cr_assert_eq(told_is(1, EXCHANGE_STATE_PLACED)->status, ORDER_STATUS_NEW);
    take(FLOW_PLACE, &m);
    calls_are(2, CALL_SPOT_ORDER_GET);
}

Test(bridge_orders, it_goes_by_its_own_name_with_its_own_key_until_its_last_moment)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    const struct staged_call *c = &stage.calls[0];
    cr_assert_str_eq(c->call.client_id.text, "scrip-abcdef-77");
    cr_assert_eq(c->r.key, KEY_SPOT_TESTNET);
    cr_assert_eq(c->r.environment, ENVIRONMENT_testnet);
    cr_assert_eq(c->r.send_by_us, m.order.send_by_us);
    cr_assert_not(c->r.is_urgent);
    stage_end(0, VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, "");
    stage_later(SECOND);
    calls_are(2, CALL_SPOT_ORDER_GET);
    cr_assert_eq(stage.calls[1].r.send_by_us, 0, "a question may be asked at any time");
}

Test(bridge_orders, it_is_remembered_until_nobody_may_send_it_any_more)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    stage_end_order(0, "NEW", "0");
    stage_later(5 * SECOND);
    take(FLOW_PLACE, &m);
    calls_are(2, CALL_SPOT_ORDER_GET);
}

Test(bridge_orders, then_it_is_forgotten_unless_its_outcome_is_open)
{
    struct bridge_place m = stage_order(), other = stage_order();
    other.order.order_id++;
    take(FLOW_PLACE, &m);
    take(FLOW_PLACE, &other);
    stage_end_order(0, "NEW", "0");
    stage_ticks(2);
    cr_assert_eq(stage_gauge("scrip_bridge_orders"), 2);
    stage_later(5 * SECOND + 1);
    cr_assert_eq(stage_gauge("scrip_bridge_orders"), 1);
    stage_end_order(1, "NEW", "0");
    stage_ticks(2);
    cr_assert_eq(stage_gauge("scrip_bridge_orders"), 0);
}

Test(bridge_orders, it_may_be_sent_at_the_last_moment)
{
    struct bridge_place m = stage_order();
    m.order.send_by_us = stage.now_us;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
}

/* Whoever took it before may have sent it: that it cannot be sent here is no news. */
Test(bridge_orders, after_the_last_moment_it_is_asked_about_and_not_refused)
{
    struct bridge_place m = stage_order();
    m.order.send_by_us = stage.now_us - 1;
    stage.are_rules_unknown = true;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_GET);
    cr_assert_eq(stage.told_count, 0);
}

Test(bridge_orders, a_placement_joins_a_question_that_is_under_way)
{
    struct bridge_place m = stage_order();
    take(FLOW_ASK, &m);
    take(FLOW_PLACE, &m);
    stage_end(0, VERDICT_ABSENT, OK, "");
    take(FLOW_PLACE, &m);
    stage_later(SECOND);
    calls_are(2, CALL_SPOT_ORDER_GET);
}

/* Whoever sent it. */
Test(bridge_orders, what_the_exchange_has_already_is_not_sent)
{
    struct bridge_place m = stage_order();
    take(FLOW_ASK, &m);
    stage_end_order(0, "NEW", "0");
    take(FLOW_PLACE, &m);
    calls_are(2, CALL_SPOT_ORDER_GET);
}

Test(bridge_orders, who_asks_for_what_no_ledger_asks_for_is_not_answered)
{
    struct bridge_place m = stage_order();
    m.order.send_by_us = stage.now_us + 120 * SECOND + 1;
    take(FLOW_PLACE, &m);
    m = stage_order();
    m.order.order_id = UINT64_C(1) << 53;
    take(FLOW_PLACE, &m);
    calls_are(0, CALL_NONE);
    cr_assert_eq(stage.told_count, 0);
    m = stage_order();
    m.order.order_id = (UINT64_C(1) << 53) - 1;
    m.order.send_by_us = stage.now_us + 120 * SECOND;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
}

/* The names of before belong to orders that a restored ledger may not know. */
Test(bridge_orders, under_the_name_of_a_deployment_of_before_it_is_only_asked_about)
{
    struct bridge_place m = stage_order();
    stage.restored_us = m.order.created_us + 1;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_GET);
    cr_assert_str_eq(stage.calls[0].call.client_id.text, "scrip-olddep-77");
    m.order.order_id = 78;
    take(FLOW_CANCEL, &m);
    calls_are(2, CALL_SPOT_ORDER_CANCEL);
    cr_assert_str_eq(stage.calls[1].call.client_id.text, "scrip-olddep-78");
}

/* ---- Guard ------------------------------------------------------------------------------- */

Test(bridge_orders, what_the_guard_refuses_is_not_sent_and_told_as_refused)
{
    struct bridge_place m = stage_order();
    stage.bindings_count = 0;
    stage.are_rules_unknown = true; /* the guard is asked first */
    take(FLOW_PLACE, &m);
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(r->error, ERR_NOT_BOUND);
    cr_assert_eq(r->order_id, ORDER_ID);
    cr_assert_eq(r->placed_quantity.v, ONE);
    cr_assert_eq(r->placed_price.v, 100 * ONE);
    cr_assert_eq(r->time_us, stage.now_us);
    cr_assert_eq(stage_counter("scrip_bridge_guard_refusals_total", ""), 1);
    calls_are(0, CALL_NONE);
}

Test(bridge_orders, the_guard_goes_by_this_process_own_mode_and_keys)
{
    struct bridge_place m = stage_order();
    stage.is_key_missing = true;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_CREDENTIALS_MISSING);
    stage.is_key_missing = false;
    stage.s.mode = GUARD_PAPER;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(2, EXCHANGE_STATE_REFUSED)->error, ERR_ENVIRONMENT_NOT_ALLOWED);
    stage.s.mode = GUARD_TESTNET;
    m.user_id++;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(3, EXCHANGE_STATE_REFUSED)->error, ERR_NOT_BOUND);
    calls_are(0, CALL_NONE);
}

Test(bridge_orders, a_forged_message_about_an_order_that_was_sent_changes_nothing)
{
    struct bridge_place m = stage_order();
    take(FLOW_PLACE, &m);
    struct bridge_place forged = m;
    forged.user_id++;
    take(FLOW_PLACE, &forged);
    cr_assert_eq(stage.told_count, 0);
    stage_end_order(0, "NEW", "0");
    take(FLOW_PLACE, &forged);
    take(FLOW_ASK, &forged);
    told_is(1, EXCHANGE_STATE_PLACED);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
}

Test(bridge_orders, who_wants_a_cancel_hears_why_nobody_asks_for_it)
{
    struct bridge_place m = stage_order();
    stage.bindings_count = 0;
    take(FLOW_CANCEL, &m);
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_UNKNOWN);
    cr_assert(r->was_cancel);
    cr_assert_eq(r->error, ERR_NOT_BOUND);
    cr_assert_eq(r->order_id, ORDER_ID);
    cr_assert_eq(r->time_us, stage.now_us);
    cr_assert_eq(stage_counter("scrip_bridge_reports_total", "state=\"UNKNOWN\""), 0);
    take(FLOW_ASK, &m);
    cr_assert_eq(stage.told_count, 1, "nothing is said of what was only asked about");
    calls_are(0, CALL_NONE);
}

Test(bridge_orders, without_the_rows_nothing_is_sent)
{
    struct bridge_place m = stage_order();
    stage.are_keys_away = true;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_KEYS_UNAVAILABLE);
    take(FLOW_CANCEL, &m);
    take(FLOW_ASK, &m);
    cr_assert_eq(stage.told_count, 1, "a cancel is asked for again");
    stage.are_keys_away = false;
    stage.deployment = "";
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(2, EXCHANGE_STATE_REFUSED)->error, ERR_KEYS_UNAVAILABLE);
    calls_are(0, CALL_NONE);
}

Test(bridge_orders, the_guard_looks_again_before_each_call)
{
    an_open_one();
    stage.bindings_count = 0;
    stage_later(SECOND);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
    cr_assert_eq(stage_counter("scrip_bridge_guard_refusals_total", ""), 1);
    stage.bindings_count = 1;
    stage_later(8 * SECOND);
    calls_are(2, CALL_SPOT_ORDER_GET);
    stage_end_order(1, "NEW", "0");
    told_is(2, EXCHANGE_STATE_PLACED);
}

/* ---- Made fit ---------------------------------------------------------------------------- */

Test(bridge_orders, it_is_made_fit_by_the_rules_before_it_is_sent)
{
    struct bridge_place m = stage_order();
    m.order.quantity.v = ONE + 1;
    take(FLOW_PLACE, &m);
    cr_assert_eq(stage.calls[0].call.wish.quantity.v, ONE);
    stage_end(0, VERDICT_REFUSED, ERR_FUNDS_TOO_LOW, "");
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(r->error, ERR_FUNDS_TOO_LOW);
    cr_assert_str_eq(r->message.text, "said");
    cr_assert_eq(r->exchange_code, -2010);
    cr_assert_eq(r->placed_quantity.v, ONE);
}

Test(bridge_orders, without_rules_it_is_not_sent)
{
    struct bridge_place m = stage_order();
    stage.are_rules_unknown = true;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_EXCHANGE_UNREACHABLE);
    stage.are_rules_unknown = false;
    stage.is_symbol_unknown = true;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(2, EXCHANGE_STATE_REFUSED)->error, ERR_SYMBOL_UNKNOWN);
    calls_are(0, CALL_NONE);
}

Test(bridge_orders, what_is_not_fit_is_refused_and_may_come_again)
{
    struct bridge_place m = stage_order();
    m.order.type = ORDER_TYPE_MARKET;
    take(FLOW_PLACE, &m);
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(r->error, ERR_REAL_UNSUPPORTED);
    cr_assert_str_eq(r->field.text, "price");
    m.order.type = ORDER_TYPE_LIMIT;
    m.order.price.v = 4 * ONE;
    take(FLOW_PLACE, &m);
    r = told_is(2, EXCHANGE_STATE_REFUSED);
    cr_assert_eq(r->error, ERR_FILTER_NOTIONAL, "the deployment's least");
    cr_assert(strstr(r->message.text, "NOTIONAL") != NULL);
    m.order.price.v = 5 * ONE;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_PLACE);
}

static struct bridge_place
a_contract(enum side side)
{
    struct bridge_place m = stage_order();
    m.trading_type = TRADING_TYPE_futures;
    m.order.symbol = code_of("BTCUSDT_PERP");
    m.order.side = side;
    stage_bind(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    return m;
}

Test(bridge_orders, what_closes_a_position_is_urgent)
{
    struct bridge_place m = a_contract(SIDE_SELL);
    m.position.v = ONE;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_USDM_ORDER_PLACE);
    cr_assert_eq(stage.calls[0].r.key, KEY_USDM_TESTNET);
    cr_assert(stage.calls[0].call.wish.reduce_only);
    cr_assert(stage.calls[0].r.is_urgent);
}

Test(bridge_orders, a_position_past_the_largest_bracket_is_refused)
{
    struct bridge_place m = a_contract(SIDE_BUY);
    m.order.type = ORDER_TYPE_MARKET;
    m.order.price.v = 0;
    m.reference_price.v = 100 * ONE;
    m.position.v = ONE;
    stage.notional_cap.v = 200 * ONE - 1;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_FILTER_MAX_POSITION);
    stage.notional_cap.v = 200 * ONE;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_USDM_ORDER_PLACE);
}

/* ---- Room -------------------------------------------------------------------------------- */

static void
fill_up(void)
{
    for (uint32_t i = 0; i < 16; i++) {
        struct bridge_place m = stage_order();
        m.order.order_id += 100 + i;
        take(FLOW_PLACE, &m);
    }
    calls_are(16, CALL_SPOT_ORDER_PLACE);
}

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

Test(bridge_orders, where_there_is_no_room_it_is_refused_as_busy)
{
    struct bridge_place m = stage_order(), known = m;
    known.order.order_id += 100;
    fill_up();
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_EXCHANGE_BUSY);
    take(FLOW_PLACE, &known);
    take(FLOW_ASK, &m);
    cr_assert(check(&m));
    cr_assert(found_count == 1 && found.is_unresolved && !found.is_changed);
    stage_reported(0, 0, false);
    cr_assert_null(stage.s.pending.first);
    cr_assert_eq(stage.told_count, 1);
    cr_assert_eq(stage.calls_count, 16);
    stage_end(0, VERDICT_REFUSED, ERR_FUNDS_TOO_LOW, "");
    stage_later(5 * SECOND + 1); /* there is room for one */
    m.order.send_by_us = stage.now_us + SECOND;
    take(FLOW_PLACE, &m);
    calls_are(17, CALL_SPOT_ORDER_PLACE);
}

Test(bridge_orders, one_that_takes_a_place_before_it_does_not_stop_it)
{
    struct bridge_place m = stage_order(), second = m;
    second.order.order_id++;
    take(FLOW_PLACE, &m);
    take(FLOW_PLACE, &second);
    stage_end_order(0, "NEW", "0");
    stage_later(5 * SECOND + 1); /* the first place is free */
    m.order.send_by_us = stage.now_us + SECOND;
    take(FLOW_PLACE, &m);
    stage_end(1, VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, "");
    stage_later(SECOND);
    calls_are(4, CALL_SPOT_ORDER_GET);
}

Test(bridge_orders, what_never_left_is_refused_and_not_sent_behind_that)
{
    struct bridge_place m = stage_order();
    stage.is_caller_full = true;
    take(FLOW_PLACE, &m);
    cr_assert_eq(told_is(1, EXCHANGE_STATE_REFUSED)->error, ERR_EXCHANGE_BUSY);
    stage.is_caller_full = false;
    take(FLOW_PLACE, &m);
    calls_are(1, CALL_SPOT_ORDER_GET);
}

/* ---- Its end ----------------------------------------------------------------------------- */

Test(bridge_orders, it_is_busy_while_an_answer_decides)
{
    struct bridge_place m = stage_order();
    cr_assert_not(orders_busy(stage.s.orders));
    take(FLOW_PLACE, &m);
    cr_assert(orders_busy(stage.s.orders));
    stage_end(0, VERDICT_UNKNOWN, ERR_EXCHANGE_TIMEOUT, "");
    cr_assert_not(orders_busy(stage.s.orders));
    take(FLOW_CANCEL, &m);
    calls_are(2, CALL_SPOT_ORDER_CANCEL);
    cr_assert(orders_busy(stage.s.orders));
    stage_end(1, VERDICT_OK, OK, "");
    calls_are(3, CALL_SPOT_ORDER_GET);
    cr_assert_not(orders_busy(stage.s.orders));
}
