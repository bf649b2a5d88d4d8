/*
 * bridge_streams_test.c - user data streams by the real streams.c: whose they are, how they are
 * connected, kept and made anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_shell_stage.h"

#define MS   INT64_C(1000)
#define HOUR (3600 * SECOND)

TestSuite(bridge_streams, .init = stage_open, .fini = stage_close);

static void
follow(enum trading_type type, enum environment e)
{
    stage_bind(type, e);
    stage.s.streams = streams_open(&stage.s);
    stage_ticks(10);
}

/* So many connections were made, the last of them is there (or not). */
static void
sockets_are(uint32_t count, bool is_last_there)
{
    cr_assert_eq(stage.sockets_count, count, "%u connections, not %u", stage.sockets_count, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(!stage.sockets[i].is_closed, i == count - 1 && is_last_there, "%u", i);
}

static void
live_are(int64_t count)
{
    stage_ticks(1);
    cr_assert_eq(stage_gauge("scrip_bridge_user_streams"), count);
}

static void
follow_spot_live(void)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage_opened(0);
    stage_says(0, "{\"id\":1,\"status\":200,\"result\":{}}");
    live_are(1);
}

static void
follow_usdm_live(void)
{
    follow(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    stage_end(0, VERDICT_OK, OK, "{\"listenKey\":\"abc\"}");
    stage_opened(0);
    live_are(1);
}

/* ---- Whose it is ------------------------------------------------------------------------- */

Test(bridge_streams, only_the_owner_of_the_key_opens_its_stream)
{
    stage.is_not_owner = true;
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage_later(SECOND);
    sockets_are(0, false);
    cr_assert_eq(stage.readings_count, 0);
    stage.is_not_owner = false;
    stage_later(SECOND);
    sockets_are(1, true);
    cr_assert_eq(stage.readings_count, 1);
    cr_assert_eq(stage.readings[0].binding.account_id, ACCOUNT);
    cr_assert_eq(stage.readings[0].binding.environment, ENVIRONMENT_testnet);
}

/* A tick is a tenth of a second; the question goes to the database. */
Test(bridge_streams, whose_the_key_is_is_asked_once_a_second)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    cr_assert_eq(stage.own_asked, 1);
    stage_ticks(30);
    cr_assert_eq(stage.own_asked, 4);
}

Test(bridge_streams, who_loses_the_key_gives_its_stream_up)
{
    follow_spot_live();
    stage.is_not_owner = true;
    stage_later(SECOND);
    sockets_are(1, false);
    live_are(0);
    stage_read(0, 1, OK);
    stage_later(100 * SECOND);
    sockets_are(1, false);
    cr_assert_eq(stage.readings_count, 1);
    stage.is_not_owner = false;
    stage_later(SECOND);
    sockets_are(2, true);
    cr_assert_eq(stage.readings_count, 2);
}

Test(bridge_streams, without_the_rows_nobody_is_the_owner)
{
    follow_spot_live();
    stage.are_keys_away = true;
    stage_later(SECOND);
    sockets_are(1, false);
    stage.are_keys_away = false;
    stage_later(SECOND);
    sockets_are(2, true);
    stage.deployment = "";
    stage_later(SECOND);
    sockets_are(2, false);
}

Test(bridge_streams, an_account_that_is_not_bound_any_more_is_not_followed)
{
    follow_spot_live();
    stage.bindings_count = 0;
    stage_later(SECOND);
    sockets_are(1, false);
    stage_read(0, 1, OK);
    stage_bind(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage_later(SECOND);
    sockets_are(2, true);
}

Test(bridge_streams, another_key_has_another_stream)
{
    follow_spot_live();
    stage.other_number = 99;
    stage_later(SECOND);
    cr_assert(stage.sockets[0].is_closed);
    cr_assert_eq(stage.sockets_count, 2);
    stage_opened(1);
    cr_assert_eq(stage.signed_by, 99);
}

Test(bridge_streams, what_the_mode_does_not_allow_is_not_followed)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_live);
    sockets_are(0, false);
    stage.s.mode = GUARD_LIVE;
    stage.is_key_missing = true;
    stage_later(SECOND);
    sockets_are(0, false);
    stage.is_key_missing = false;
    stage_later(SECOND);
    sockets_are(1, true);
}

static void
bind_instead(uint64_t account_id)
{
    stage.bindings[0].account_id = account_id;
    stage_later(SECOND);
}

/* What an answer that is under way will be told to is not given to another account. */
Test(bridge_streams, a_place_is_free_once_nothing_is_under_way_for_it)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    bind_instead(8);
    cr_assert_eq(stage.readings[1].binding.account_id, 8);
    bind_instead(9);
    cr_assert_eq(stage.readings[2].binding.account_id, 9);
    cr_assert_neq(stage.readings[1].arg, stage.readings[0].arg);
    cr_assert_neq(stage.readings[2].arg, stage.readings[0].arg);
    stage_read(0, 1, OK);
    stage_later(SECOND);
    bind_instead(10);
    cr_assert_eq(stage.readings[3].arg, stage.readings[0].arg, "now it is");
}

Test(bridge_streams, who_is_left_out_is_counted)
{
    for (uint32_t i = 0; i < 1025; i++)
        stage.bindings[i] =
            (struct guard_binding){true, 100 + i, USER, TRADING_TYPE_spot, ENVIRONMENT_testnet};
    stage.bindings_count = 1025;
    stage.s.streams = streams_open(&stage.s);
    stage_ticks(10);
    cr_assert_eq(stage.sockets_count, 1024);
    cr_assert_eq(stage_gauge("scrip_bridge_user_streams_left_out"), 1);
    stage.bindings_count = 1024;
    stage_ticks(10);
    cr_assert_eq(stage_gauge("scrip_bridge_user_streams_left_out"), 0);
}

/* ---- Where it is ------------------------------------------------------------------------- */

static void
leads_to(enum trading_type type, enum environment e, const char *url, uint64_t key)
{
    stage.s.mode = GUARD_LIVE;
    follow(type, e);
    if (type == TRADING_TYPE_futures) {
        calls_are(1, CALL_USDM_LISTEN_KEY_CREATE);
        cr_assert_eq(stage.calls[0].r.environment, e);
        cr_assert_eq(stage.calls[0].r.key, key);
        stage_end(0, VERDICT_OK, OK, "{\"listenKey\":\"abc\"}");
    }
    sockets_are(1, true);
    cr_assert_str_eq(stage.sockets[0].url, url);
    cr_assert_eq(stage.sockets[0].o.connect_ms, 4000);
    cr_assert_eq(stage.sockets[0].o.silence_ms, 3000);
    cr_assert_eq(stage.sockets[0].o.message_bytes_max, 1u << 20);
    stage_opened(0);
    if (type == TRADING_TYPE_spot) {
        cr_assert_eq(stage.signed_for, e);
        cr_assert_eq(stage.signed_by, key);
    }
    cr_assert_eq(stage.readings[0].binding.environment, e);
}

Test(bridge_streams, a_testnet_key_of_spot_is_followed_at_spots_testnet)
{
    leads_to(TRADING_TYPE_spot, ENVIRONMENT_testnet, "ws://spot.testnet", KEY_SPOT_TESTNET);
}

Test(bridge_streams, a_live_key_of_spot_is_followed_at_spot)
{
    leads_to(TRADING_TYPE_spot, ENVIRONMENT_live, "ws://spot.live", KEY_SPOT_LIVE);
}

Test(bridge_streams, a_testnet_key_of_futures_is_followed_at_their_testnet)
{
    leads_to(TRADING_TYPE_futures, ENVIRONMENT_testnet, "ws://usdm.testnet/ws/abc",
             KEY_USDM_TESTNET);
}

Test(bridge_streams, a_live_key_of_futures_is_followed_at_futures)
{
    leads_to(TRADING_TYPE_futures, ENVIRONMENT_live, "ws://usdm.live/ws/abc", KEY_USDM_LIVE);
}

/* ---- Connecting -------------------------------------------------------------------------- */

Test(bridge_streams, spots_stream_is_live_when_its_own_request_is_answered)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage_opened(0);
    cr_assert_str_eq(stage.sockets[0].sent,
                     "{\"id\":1,\"method\":\"userDataStream.subscribe.signature\","
                     "\"params\":{\"signature\":\"x\"}}");
    stage_says(0, "{\"id\":2,\"status\":200,\"result\":{}}");
    live_are(0);
    stage_says(0, "{\"id\":2,\"status\":400,\"error\":{\"code\":-1022,\"msg\":\"no\"}}");
    sockets_are(1, true);
    stage_says(0, "{\"id\":1,\"status\":200,\"result\":{}}");
    live_are(1);
}

Test(bridge_streams, a_subscription_that_is_refused_is_asked_for_anew)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage_opened(0);
    stage_says(0, "{\"id\":1,\"status\":400,\"error\":{\"code\":-1022,\"msg\":\"no\"}}");
    sockets_are(1, false);
    stage_later(250 * MS);
    sockets_are(2, true);
    stage_opened(1);
    cr_assert(strstr(stage.sockets[1].sent, "\"id\":2,") != NULL, "%s", stage.sockets[1].sent);
}

Test(bridge_streams, what_cannot_be_signed_or_sent_is_tried_again)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    stage.is_signing_off = true;
    stage_opened(0);
    sockets_are(1, false);
    stage_later(250 * MS);
    stage.is_signing_off = false;
    stage.is_ws_full = true;
    stage_opened(1);
    sockets_are(2, false);
    stage_later(500 * MS);
    sockets_are(3, true);
}

Test(bridge_streams, an_address_that_leads_nowhere_is_tried_again)
{
    static char long_url[600];
    stage.is_ws_refused = true;
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    sockets_are(0, false);
    stage.is_ws_refused = false;
    memset(long_url, 'x', sizeof long_url - 1);
    stage.config.spot_testnet_ws_url = long_url;
    stage_later(250 * MS);
    sockets_are(0, false);
    stage.config.spot_testnet_ws_url = "ws://spot.testnet";
    stage_later(250 * MS - 1);
    sockets_are(0, false);
    stage_later(250 * MS + 1);
    sockets_are(1, true);
}

Test(bridge_streams, connections_that_are_lost_come_back_later_and_later)
{
    follow(TRADING_TYPE_spot, ENVIRONMENT_testnet);
    for (uint32_t i = 0; i < 11; i++) {
        int64_t pause_us = (250 * MS) << (i < 8 ? i : 8);
        stage_lost(i);
        stage_later(pause_us / 2 - 1);
        sockets_are(i + 1, false);
        stage_later(pause_us / 2 + 1);
        sockets_are(i + 2, true);
    }
    cr_assert_eq(stage_counter("scrip_bridge_user_stream_connects_total", ""), 12);
}

Test(bridge_streams, a_lost_stream_is_made_again_and_the_account_read_again)
{
    follow_spot_live();
    stage_read(0, 1, OK);
    stage_later(2 * SECOND);
    stage_read(1, 2, OK);
    stage_lost(0);
    live_are(0);
    stage_later(250 * MS);
    stage_opened(1);
    cr_assert_eq(stage.readings_count, 2, "what comes before the subscription may be missed");
    stage_says(1, "{\"id\":2,\"status\":200,\"result\":{}}");
    cr_assert_eq(stage.readings_count, 3);
}

Test(bridge_streams, a_stream_that_is_a_day_old_or_told_to_go_is_replaced)
{
    follow_spot_live();
    stage_later(23 * HOUR);
    sockets_are(2, true);
    stage_opened(1);
    stage_says(1, "{\"id\":2,\"status\":200,\"result\":{}}");
    stage_says(1, "{\"event\":{\"e\":\"serverShutdown\",\"E\":1790000000001}}");
    sockets_are(3, true);
}

Test(bridge_streams, a_stream_that_the_exchange_ended_is_made_anew)
{
    follow_spot_live();
    stage_says(0, "{\"event\":{\"e\":\"eventStreamTerminated\",\"E\":1790000000001}}");
    sockets_are(1, false);
    stage_later(250 * MS);
    sockets_are(2, true);
}

/* ---- Listen keys ------------------------------------------------------------------------- */

Test(bridge_streams, a_listen_key_is_renewed_each_half_an_hour)
{
    follow_usdm_live();
    stage_later(HOUR / 2 - 1);
    calls_are(1, CALL_USDM_LISTEN_KEY_CREATE);
    stage_later(1);
    calls_are(2, CALL_USDM_LISTEN_KEY_RENEW);
    cr_assert_eq(stage.calls[1].r.key, KEY_USDM_TESTNET);
    cr_assert_eq(stage.calls[1].r.environment, ENVIRONMENT_testnet);
    stage_end(1, VERDICT_OK, OK, "{}");
    stage_later(HOUR / 2);
    calls_are(3, CALL_USDM_LISTEN_KEY_RENEW);
    stage_end(2, VERDICT_DONE, OK, "{}");
    sockets_are(1, true);
}

Test(bridge_streams, a_listen_key_that_is_gone_is_replaced)
{
    follow_usdm_live();
    stage_later(HOUR / 2);
    stage_end(1, VERDICT_REFUSED, ERR_EXCHANGE_REFUSED, "");
    sockets_are(1, false);
    stage_later(250 * MS);
    calls_are(3, CALL_USDM_LISTEN_KEY_CREATE);
    stage_end(2, VERDICT_OK, OK, "{\"listenKey\":\"def\"}");
    cr_assert_str_eq(stage.sockets[1].url, "ws://usdm.testnet/ws/def");
}

Test(bridge_streams, without_a_listen_key_nothing_is_opened)
{
    follow(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    stage_end(0, VERDICT_AGAIN, ERR_EXCHANGE_FAILED, "{\"listenKey\":\"abc\"}");
    sockets_are(0, false);
    stage_later(250 * MS);
    calls_are(2, CALL_USDM_LISTEN_KEY_CREATE);
    stage_end(1, VERDICT_OK, OK, "{\"listenKey\":\"../..\"}");
    sockets_are(0, false);
    stage.is_caller_full = true;
    stage_later(500 * MS);
    stage.is_caller_full = false;
    stage_later(1000 * MS);
    calls_are(3, CALL_USDM_LISTEN_KEY_CREATE);
    stage_end(2, VERDICT_OK, OK, "{\"listenKey\":\"abc\"}");
    sockets_are(1, true);
}

/* Each step of connecting has its time; who answers after it has missed it. */
Test(bridge_streams, a_late_refusal_of_a_listen_key_ends_no_stream)
{
    follow(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    stage_later(15 * SECOND);
    stage_later(250 * MS);
    calls_are(2, CALL_USDM_LISTEN_KEY_CREATE);
    stage_end(1, VERDICT_OK, OK, "{\"listenKey\":\"abc\"}");
    stage_opened(0);
    stage_end(0, VERDICT_AGAIN, ERR_EXCHANGE_FAILED, "");
    live_are(1);
    sockets_are(1, true);
}

Test(bridge_streams, the_place_of_a_call_under_way_is_kept)
{
    follow(TRADING_TYPE_futures, ENVIRONMENT_testnet);
    stage_read(0, 1, OK);
    bind_instead(8);
    bind_instead(9);
    cr_assert_neq(stage.calls[2].r.arg, stage.calls[0].r.arg);
    stage_end(0, VERDICT_OK, OK, "{\"listenKey\":\"of another\"}");
    sockets_are(0, false);
    stage_later(SECOND);
    bind_instead(10);
    cr_assert_eq(stage.calls[3].r.arg, stage.calls[0].r.arg);
}

Test(bridge_streams, the_place_of_a_renewal_is_kept_until_it_is_answered)
{
    follow_usdm_live();
    stage_later(HOUR / 2);
    calls_are(2, CALL_USDM_LISTEN_KEY_RENEW);
    stage_read(0, 1, OK);
    bind_instead(8);
    bind_instead(9);
    cr_assert_neq(stage.calls[3].r.arg, stage.calls[0].r.arg);
    stage_end(1, VERDICT_REFUSED, ERR_EXCHANGE_REFUSED, "");
    for (uint32_t i = 0; i < stage.readings_count; i++)
        if (stage.readings[i].arg == stage.calls[0].r.arg && stage.readings[i].done != NULL)
            stage_read(i, 1, OK);
    stage_later(SECOND);
    bind_instead(10);
    cr_assert_eq(stage.calls[4].r.arg, stage.calls[0].r.arg);
}

/* ---- Its end ----------------------------------------------------------------------------- */

Test(bridge_streams, without_websockets_there_are_no_streams)
{
    stage.is_ws_away = true;
    cr_assert_null(streams_open(&stage.s));
    cr_assert_eq(stage.ws_closed, 0);
}

Test(bridge_streams, their_end_ends_all_connections_once)
{
    follow_spot_live();
    streams_close(&stage.s.streams);
    streams_close(&stage.s.streams);
    cr_assert_eq(stage.ws_closed, 1);
}
