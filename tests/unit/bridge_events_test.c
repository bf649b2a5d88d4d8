/*
 * bridge_events_test.c - what user data streams tell, by the real streams.c: orders become reports,
 * balances are told behind the reading of the account that they are newer than.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "bridge_shell_stage.h"

#define AT INT64_C(1790000001) /* s of the exchange's clock */

TestSuite(bridge_events, .init = stage_open, .fini = stage_close);

/* A live stream whose account is being read: that reading is number 1. */
static void
follow_spot(void)
{
    stage_bind(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage.s.streams = streams_open(&stage.s);
    stage_ticks(10);
    stage_read(0, 1, OK);
    stage_opened(0);
    stage_says(0, "{\"id\":1,\"status\":200,\"result\":{}}");
    cr_assert_eq(stage.readings_count, 2);
}

static void
follow_usdm(void)
{
    stage_bind(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    stage.s.streams = streams_open(&stage.s);
    stage_ticks(10);
    stage_read(0, 1, OK);
    stage_end(0, VERDICT_OK, OK, "{\"listenKey\":\"abc\"}");
    stage_opened(0);
    cr_assert_eq(stage.readings_count, 2);
}

static void
says_balance(const char *asset, const char *free, int64_t at_ms)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"event\":{\"e\":\"outboundAccountPosition\",\"E\":%lld,\"u\":%lld,"
             "\"B\":[{\"a\":\"%s\",\"f\":\"%s\",\"l\":\"0\"}]}}",
             (long long)at_ms, (long long)at_ms, asset, free);
    stage_says(0, text);
}

static void
says_position(const char *symbol, const char *quantity)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"e\":\"ACCOUNT_UPDATE\",\"E\":1790000001000,\"T\":1790000001000,"
             "\"a\":{\"B\":[{\"a\":\"USDT\",\"wb\":\"10\"}],"
             "\"P\":[{\"s\":\"%s\",\"pa\":\"%s\",\"ep\":\"100\",\"ps\":\"BOTH\"}]}}",
             symbol, quantity);
    stage_says(0, text);
}

static const struct exchange_account *
account_is(uint32_t count, int64_t as_of_us)
{
    cr_assert_eq(stage.told_count, count, "%u words, not %u", stage.told_count, count);
    const struct staged_word *w = &stage.told[count - 1];
    cr_assert_eq(w->type, MSG_exchange_account);
    cr_assert_eq(w->account_id, ACCOUNT);
    cr_assert_eq(w->account.account_id, ACCOUNT);
    cr_assert_eq(w->account.environment, ENVIRONMENT_testnet);
    cr_assert_eq(w->account.as_of_us, as_of_us);
    cr_assert_not(w->account.is_whole);
    cr_assert_eq(w->patience_ms, 9000);
    return &w->account;
}

/* ---- Balances ---------------------------------------------------------------------------- */

Test(bridge_events, balances_are_told_at_once_when_nothing_is_read)
{
    follow_spot();
    stage_read(1, 2, OK);
    says_balance("BTC", "1", AT * 1000);
    const struct exchange_account *a = account_is(1, AT * SECOND);
    cr_assert_eq(a->trading_type, TRADING_TYPE_spot);
    cr_assert_eq(a->balances_count, 1);
    cr_assert_str_eq(a->balances[0].asset.text, "BTC");
    cr_assert_eq(a->balances[0].free.v, ONE);
}

Test(bridge_events, what_is_heard_during_a_catch_up_is_told_behind_it)
{
    follow_spot();
    says_balance("BTC", "1", AT * 1000);
    says_balance("USDT", "5", AT * 1000);
    says_balance("BTC", "2", AT * 1000 + 7);
    cr_assert_eq(stage.told_count, 0);
    stage_read(1, 2, OK);
    const struct exchange_account *a = account_is(1, AT * SECOND + 7000);
    cr_assert_eq(a->balances_count, 2);
    cr_assert_str_eq(a->balances[0].asset.text, "BTC");
    cr_assert_eq(a->balances[0].free.v, 2 * ONE, "the later word counts");
    cr_assert_str_eq(a->balances[1].asset.text, "USDT");
    says_balance("BTC", "3", AT * 1000 + 9);
    cr_assert_eq(account_is(2, AT * SECOND + 9000)->balances_count, 1, "it is told once");
}

Test(bridge_events, it_is_told_when_the_reading_failed_too)
{
    follow_spot();
    says_balance("BTC", "1", AT * 1000);
    stage_read(1, 0, ERR_EXCHANGE_FAILED);
    account_is(1, AT * SECOND);
    stage_later(5 * SECOND);
    cr_assert_eq(stage.readings_count, 3, "and the account is read again");
}

/* By the exchange's time alone the reading would be the newer one. */
Test(bridge_events, it_counts_as_newer_than_the_reading)
{
    follow_spot();
    says_balance("BTC", "1", AT * 1000);
    stage_read(1, AT * SECOND + 500, OK);
    account_is(1, AT * SECOND + 501);
    stage_later(60 * SECOND);
    stage_read(2, AT * SECOND, OK);
    says_balance("BTC", "1", AT * 1000);
    account_is(2, AT * SECOND + 502);
}

Test(bridge_events, two_changes_of_one_moment_keep_their_order)
{
    follow_spot();
    stage_read(1, 2, OK);
    says_balance("BTC", "1", AT * 1000);
    says_balance("BTC", "2", AT * 1000);
    account_is(2, AT * SECOND + 1);
    says_balance("BTC", "3", AT * 1000 - 1);
    account_is(3, AT * SECOND + 2);
}

Test(bridge_events, positions_are_told_as_balances_are)
{
    follow_usdm();
    says_position("BTCUSDT", "1");
    says_position("ETHUSDT", "-1");
    says_position("BTCUSDT", "2");
    cr_assert_eq(stage.told_count, 0);
    stage_read(1, 2, OK);
    const struct exchange_account *a = account_is(1, AT * SECOND);
    cr_assert_eq(a->trading_type, TRADING_TYPE_futures);
    cr_assert_eq(a->balances_count, 1);
    cr_assert_eq(a->positions_count, 2);
    cr_assert_str_eq(a->positions[0].symbol.text, "BTCUSDT_PERP");
    cr_assert_eq(a->positions[0].quantity.v, 2 * ONE);
    says_position("ETHUSDT", "0");
    a = account_is(2, AT * SECOND + 1);
    cr_assert(a->positions_count == 1 && a->positions[0].quantity.v == 0);
    stage_later(60 * SECOND);
    says_position("BTCUSDT", "3");
    stage_read(2, 3, OK);
    a = account_is(3, AT * SECOND + 2);
    cr_assert(a->balances_count == 1 && a->positions_count == 1);
}

Test(bridge_events, what_there_is_no_room_to_keep_is_read_again)
{
    char name[16];
    follow_spot();
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "A%d", i);
        says_balance(name, "1", AT * 1000);
    }
    says_balance("A0", "2", AT * 1000);
    stage_read(1, 2, OK);
    cr_assert_eq(account_is(1, AT * SECOND)->balances_count, 64);
    stage_later(SECOND);
    cr_assert_eq(stage.readings_count, 2, "there was room");
    stage_later(60 * SECOND);
    for (int i = 0; i < 65; i++) {
        snprintf(name, sizeof name, "A%d", i);
        says_balance(name, "1", AT * 1000);
    }
    stage_read(2, 2, OK);
    stage_later(SECOND);
    cr_assert_eq(stage.readings_count, 4);
}

Test(bridge_events, positions_without_room_are_read_again_too)
{
    char name[24];
    follow_usdm();
    for (int i = 0; i < 65; i++) {
        snprintf(name, sizeof name, "A%dUSDT", i);
        says_position(name, "1");
    }
    stage_read(1, 2, OK);
    cr_assert_eq(account_is(1, AT * SECOND)->positions_count, 64);
    stage_later(SECOND);
    cr_assert_eq(stage.readings_count, 3);
}

Test(bridge_events, what_the_ledger_cannot_take_is_read_again)
{
    follow_spot();
    stage_read(1, 2, OK);
    stage_later(2 * SECOND);
    stage.is_ledger_full = true;
    says_balance("BTC", "1", AT * 1000);
    cr_assert_eq(stage.readings_count, 3);
}

/* Another owner has read the account since: what is told now would be old. */
Test(bridge_events, what_an_owner_had_not_told_is_forgotten)
{
    follow_spot();
    says_balance("BTC", "1", AT * 1000);
    stage.is_not_owner = true;
    stage_later(SECOND);
    stage_read(1, 2, OK);
    stage.is_not_owner = false;
    stage_later(SECOND);
    stage_read(2, 3, OK);
    cr_assert_eq(stage.told_count, 0);
}

/* ---- Changes ----------------------------------------------------------------------------- */

Test(bridge_events, what_is_not_told_in_full_or_not_readable_is_read)
{
    follow_spot();
    stage_read(1, 2, OK);
    stage_later(2 * SECOND);
    stage_says(0, "{\"event\":{\"e\":\"balanceUpdate\",\"E\":1790000001000}}");
    cr_assert_eq(stage.readings_count, 3);
    stage_read(2, 3, OK);
    stage_later(2 * SECOND);
    stage_says(0, "{\"event\":{\"e\":\"whatever\",\"E\":1790000001000}}");
    cr_assert_eq(stage.readings_count, 3);
    stage_says(0, "not JSON");
    cr_assert_eq(stage.readings_count, 4);
    cr_assert_eq(stage_counter("scrip_bridge_user_unreadable_total", ""), 1);
    cr_assert_eq(stage_counter("scrip_bridge_user_events_total", ""), 4);
}

Test(bridge_events, the_account_is_read_each_minute_whatever_is_told)
{
    follow_spot();
    stage_read(1, 2, OK);
    stage_later(60 * SECOND - 1);
    cr_assert_eq(stage.readings_count, 2);
    stage_later(1);
    cr_assert_eq(stage.readings_count, 3);
}

/* ---- Orders ------------------------------------------------------------------------------ */

static void
says_order(const char *name, const char *symbol)
{
    char text[500];
    snprintf(text, sizeof text,
             "{\"event\":{\"e\":\"executionReport\",\"E\":1790000001000,\"s\":\"%s\",\"c\":\"%s\","
             "\"C\":\"\",\"q\":\"1\",\"p\":\"100\",\"X\":\"PARTIALLY_FILLED\",\"x\":\"TRADE\","
             "\"i\":5,\"l\":\"0.1\",\"z\":\"0.4\",\"L\":\"100\",\"n\":\"0\",\"N\":\"BTC\","
             "\"T\":1790000001000,\"t\":3,\"m\":true,\"Y\":\"10\"}}",
             symbol, name);
    stage_says(0, text);
}

Test(bridge_events, an_order_of_ours_is_reported_at_once)
{
    follow_spot();
    says_order("scrip-abcdef-77", "BTCUSDT");
    const struct bridge_report *r = told_is(1, EXCHANGE_STATE_PLACED);
    cr_assert_eq(r->account_id, ACCOUNT);
    cr_assert_eq(r->order_id, ORDER_ID);
    cr_assert_eq(r->exchange_order_id, 5);
    cr_assert_eq(r->status, ORDER_STATUS_PARTIALLY_FILLED);
    cr_assert_eq(r->executed_quantity.v, 4 * ONE / 10);
    cr_assert_eq(r->placed_quantity.v, ONE);
    cr_assert_eq(r->placed_price.v, 100 * ONE);
    cr_assert_eq(r->time_us, AT * SECOND);
    cr_assert_eq(r->fills_count, 1);
    cr_assert_eq(r->fills[0].quantity.v, ONE / 10);
    cr_assert_eq(stage.told[0].patience_ms, 0, "until it is acknowledged");
    cr_assert_eq(stage_counter("scrip_bridge_user_orders_total", ""), 1);
}

Test(bridge_events, orders_of_others_are_not)
{
    follow_spot();
    says_order("scrip-olddep-77", "BTCUSDT");
    says_order("mine", "BTCUSDT");
    cr_assert_eq(stage.told_count, 0);
    cr_assert_eq(stage_counter("scrip_bridge_user_orders_total", ""), 0);
}

static void
says_contract(const char *symbol)
{
    char text[500];
    snprintf(text, sizeof text,
             "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":1790000001000,\"o\":{\"s\":\"%s\","
             "\"c\":\"scrip-abcdef-77\",\"q\":\"1\",\"p\":\"100\",\"X\":\"NEW\",\"x\":\"NEW\","
             "\"i\":5,\"z\":\"0\",\"T\":1790000001000}}",
             symbol);
    stage_says(0, text);
}

Test(bridge_events, an_order_of_futures_goes_by_the_contracts_name)
{
    follow_usdm();
    says_contract("ABCDEFGHIJKLMNOPQRSTU"); /* no name of ours is so long */
    cr_assert_eq(stage.told_count, 0);
    says_contract("BTCUSDT");
    cr_assert_eq(told_is(1, EXCHANGE_STATE_PLACED)->status, ORDER_STATUS_NEW);
    stage_reported(0, 0, true);
    calls_are(2, CALL_USDM_ORDER_GET);
    cr_assert_eq(stage.calls[1].r.key, KEY_USDM_TESTNET);
    cr_assert_str_eq(stage.calls[1].call.symbol.text, "BTCUSDT");
}

Test(bridge_events, a_ledger_that_lacks_fills_makes_it_ask_for_all_of_them)
{
    follow_spot();
    says_order("scrip-abcdef-77", "BTCUSDT");
    stage_reported(0, 0, true);
    calls_are(1, CALL_SPOT_ORDER_GET);
    cr_assert_eq(stage.calls[0].r.key, KEY_SPOT_TESTNET);
    cr_assert_str_eq(stage.calls[0].call.client_id.text, "scrip-abcdef-77");
    cr_assert_str_eq(stage.calls[0].call.symbol.text, "BTCUSDT");
    stage_end_order(0, "PARTIALLY_FILLED", "0.4");
    calls_are(2, CALL_SPOT_ORDER_TRADES);
}

/* It was there: absence means that it has ended, and not that it never was. */
Test(bridge_events, an_order_that_was_heard_of_is_not_concluded_to_be_absent)
{
    follow_spot();
    says_order("scrip-abcdef-77", "BTCUSDT");
    stage_reported(0, 0, true);
    for (uint32_t i = 0; stage.told_count == 1; i++) {
        calls_are(i + 1, CALL_SPOT_ORDER_GET);
        stage_end(i, VERDICT_ABSENT, OK, "");
        stage_later(8 * SECOND);
    }
    cr_assert_eq(told_is(2, EXCHANGE_STATE_PLACED)->status, ORDER_STATUS_EXPIRED);
}
