/*
 * bridge_caller_test.c - calls to an exchange that answers rightly, wrongly, late or not at all;
 * over a real server, with the limits in a real Redis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge_caller_stage.h"
#include "exchange-bridge/shell/caller_priv.h"

TestSuite(bridge_caller, .init = stage_open, .fini = stage_close);

/* ---- The plain way ----------------------------------------------------------------------- */

Test(bridge_caller, a_signed_call_is_taken)
{
    stage_caller("weight=77,orders=3", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_OK, OK);
    cr_assert_str_eq(stage.got[0].body, "{\"orderId\": 7}");
    cr_assert_eq(r->status, 200);
    cr_assert_eq(r->attempts, 1);
    int64_t exchange_us = caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot);
    cr_assert(exchange_us - r->sent_us >= 0 && exchange_us - r->sent_us < 10 * S);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET), VERDICT_OK, OK);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL), VERDICT_OK, OK);
    cr_assert_eq(stage_told("POST"), 1);
    cr_assert_eq(stage_told("DELETE"), 1);
    cr_assert_eq(stage_told("GET"), 1);
    cr_assert_eq(caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_futures), 0);
}

Test(bridge_caller, a_key_that_is_not_stored_yet_may_be_tried)
{
    struct sign_key key;
    cr_assert_eq(keys_open_secret(NULL, 1, &key), OK);
    stage.opened = 0;
    stage_caller("", (struct caller_options){0});
    ends(stage_ask((struct caller_request){.trial = &key}, CALL_SPOT_ACCOUNT), VERDICT_OK, OK);
    cr_assert_eq(stage.opened, 0);
}

static int opened_before, opened_most;

static void
on_turn(void *arg)
{
    (void)arg;
    if (stage.opened - opened_before > opened_most)
        opened_most = stage.opened - opened_before;
    opened_before = stage.opened;
}

/* RSA takes milliseconds: whoever else waits, waits for one of them. */
Test(bridge_caller, a_slow_key_signs_once_in_a_turn)
{
    static struct sign_key slow = {.api_key = API_KEY};
    code_t field;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    BIO *text = BIO_new(BIO_s_mem());
    cr_assert_eq(PEM_write_bio_PKCS8PrivateKey(text, pkey, NULL, NULL, 0, NULL, NULL), 1);
    slow.secret_length = (size_t)BIO_read(text, slow.secret, sizeof slow.secret);
    BIO_free(text);
    EVP_PKEY_free(pkey);
    cr_assert_eq(sign_key_judge(&slow, &field), OK);
    stage.key = &slow;
    stage_caller("", (struct caller_options){0});
    loop_on_turn(stage.net.loop, on_turn, NULL);
    uint64_t dropped = 0;
    for (int i = 0; i < 12; i++)
        dropped = stage_send((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL, i);
    caller_drop(stage.caller, dropped);
    stage_wait(11, "eleven slow ones");
    for (int i = 0; i < 11; i++) /* the server knows no such key */
        cr_assert_eq(stage.got[i].reply.code, -1022);
    cr_assert_leq(opened_most, 2, "%d times; the first is only looked at, too", opened_most);
}

Test(bridge_caller, connections_are_used_again)
{
    stage_caller("", (struct caller_options){.in_flight_max = 4});
    for (int i = 0; i < 100; i++)
        stage_send((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL, i);
    stage_wait(100, "a hundred calls");
    for (int i = 0; i < 100; i++)
        ends(&stage.got[i].reply, VERDICT_OK, OK);
    cr_assert_leq(stage_told("connections"), 4 + 16 + 2);
}

Test(bridge_caller, no_more_are_under_way_than_may)
{
    stage_caller("DELETE=slow", (struct caller_options){.in_flight_max = 1});
    for (int i = 0; i < 60; i++)
        stage_send((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL, i);
    stage_wait(60, "sixty calls");
    cr_assert_leq(stage_told("most"), 17, "one, and what Redis granted together");
}

Test(bridge_caller, what_there_is_not_is_told_at_once)
{
    stage_caller("", (struct caller_options){0});
    struct call c = {.name = CALL_SPOT_TIME};
    struct caller_request r = {.environment = ENVIRONMENT_live, .call = &c, .done = stage_on_done};
    cr_assert_neq(caller_send(stage.caller, &r), 0);
    c.name = CALL_USDM_TIME;
    r.environment = ENVIRONMENT_testnet;
    cr_assert_neq(caller_send(stage.caller, &r), 0);
    cr_assert_eq(stage.count, 0);
    stage_wait(2, "two refusals");
    ends(&stage.got[0].reply, VERDICT_REFUSED, ERR_ENVIRONMENT_NOT_ALLOWED);
    ends(&stage.got[1].reply, VERDICT_REFUSED, ERR_ENVIRONMENT_NOT_ALLOWED);
    stage.is_store_away = true;
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE), VERDICT_AGAIN,
         ERR_KEYS_UNAVAILABLE);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ACCOUNT), VERDICT_AGAIN,
         ERR_KEYS_UNAVAILABLE);
}

/* ---- Clocks ------------------------------------------------------------------------------ */

Test(bridge_caller, it_signs_with_the_exchanges_clock)
{
    stage_caller("skew=600000", (struct caller_options){0});
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE), VERDICT_OK, OK);
    int64_t ahead_us = caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot) -
                       loop_now_us(stage.net.loop);
    cr_assert(ahead_us > 599 * S && ahead_us < 601 * S, "%" PRId64, ahead_us);
    stage_server("_skew/-600000"); /* the exchange's clock jumps */
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_OK, OK);
    cr_assert_eq(r->attempts, 2);
    cr_assert_eq(stage_told("-1021"), 1);
    cr_assert_eq(stage_told("POST"), 3);
    cr_assert_lt(r->sent_us, loop_now_us(stage.net.loop) - 599 * S);
}

Test(bridge_caller, a_clock_that_stays_wrong_is_believed_once)
{
    stage_caller("POST=clock", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_CLOCK, ERR_EXCHANGE_FAILED);
    cr_assert_eq(r->code, -1021);
    cr_assert_eq(r->attempts, 2);
}

/* ---- Again ------------------------------------------------------------------------------- */

Test(bridge_caller, what_failed_for_certain_is_sent_again)
{
    stage_caller("POST=busy+busy+ok,GET=bad+page+ok,DELETE=busy+ok", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_OK, OK);
    cr_assert_eq(r->attempts, 3);
    r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_OK, OK);
    cr_assert_eq(r->attempts, 3);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL), VERDICT_OK, OK);
}

Test(bridge_caller, patience_ends)
{
    stage_caller("GET=bad", (struct caller_options){0});
    int64_t began_us = loop_measure_us();
    struct caller_reply *r =
        stage_ask((struct caller_request){.patience_ms = 300}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_AGAIN, ERR_EXCHANGE_FAILED);
    cr_assert_eq(r->status, 500);
    cr_assert_lt(loop_measure_us() - began_us, 5 * S); /* of 10 without */
}

/* Reads that were granted their room late have little time left, and say nothing of its health. */
Test(bridge_caller, who_has_no_patience_does_not_make_an_exchange_ill)
{
    stage_caller("GET=late", (struct caller_options){0});
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL), VERDICT_OK, OK);
    while (stage_told("TIME") < 3) /* else its clock's answers speak for it */
        ;
    for (int i = 0; i < 8; i++)
        stage_send((struct caller_request){.patience_ms = 20}, CALL_SPOT_ORDER_GET, i);
    stage_wait(9, "eight who do not wait");
    const struct caller_host_state *h =
        caller_host_find(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot);
    cr_assert_eq(h->breaker.state, BREAKER_CLOSED);
}

Test(bridge_caller, what_was_perhaps_executed_is_never_sent_again)
{
    static const char *const words[] = {"unknown", "bad", "close", "half", "page", "late"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[32], test[8];
        snprintf(text, sizeof text, "POST=%s+ok", words[i]);
        snprintf(test, sizeof test, "p%zu", i);
        stage.name = test;
        stage_caller(text, (struct caller_options){.timeout_ms = 200});
        struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
        ends(r, VERDICT_UNKNOWN, ERR_OUTCOME_UNKNOWN);
        cr_assert_eq(r->attempts, 1, "%s", words[i]);
        cr_assert_neq(r->sent_us, 0);
        cr_assert_eq(stage_told("POST"), 1, "%s", words[i]);
        caller_close(&stage.caller);
    }
}

Test(bridge_caller, a_read_without_an_answer_is_sent_again)
{
    stage_caller("GET=late+close+half+ok", (struct caller_options){.timeout_ms = 100});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_OK, OK);
    cr_assert_eq(r->attempts, 4);
}

Test(bridge_caller, final_answers_are_handed_on)
{
    stage_caller("POST=refuse,GET=absent", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_REFUSED, ERR_FUNDS_TOO_LOW);
    cr_assert_eq(r->code, -2010);
    cr_assert_str_eq(r->message.text, "Account has insufficient balance for requested action.");
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET), VERDICT_ABSENT,
         ERR_ORDER_NOT_FOUND);
}

Test(bridge_caller, nothing_is_sent_after_its_last_moment)
{
    stage_caller("TIME=late+ok,POST=busy+ok", (struct caller_options){.timeout_ms = 300});
    int64_t now_us = loop_now_us(stage.net.loop);
    struct caller_reply *r =
        stage_ask((struct caller_request){.send_by_us = now_us + 100000}, CALL_SPOT_ORDER_PLACE);
    cr_assert_eq(r->ruling.verdict, VERDICT_AGAIN);
    cr_assert_eq(r->attempts, 0);
    cr_assert_eq(r->sent_us, 0);
    r = stage_ask((struct caller_request){.send_by_us = 1}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_AGAIN, ERR_EXCHANGE_TIMEOUT);
    cr_assert_eq(stage_told("POST"), 0);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ACCOUNT), VERDICT_OK,
         OK); /* the clock is known */
    r = stage_ask((struct caller_request){.send_by_us = loop_now_us(stage.net.loop) + 1000},
                  CALL_SPOT_ORDER_PLACE);
    cr_assert_eq(r->ruling.verdict, VERDICT_AGAIN);
    cr_assert_leq(stage_told("POST"), 1, "it is not sent again after a pause that ends later");
}

Test(bridge_caller, no_clock_of_ours_makes_an_order_early)
{
    stage_caller("skew=30000", (struct caller_options){0}); /* the exchange is further on */
    struct caller_request q = {.send_by_us = loop_now_us(stage.net.loop) + 5000000};
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ACCOUNT), VERDICT_OK, OK);
    struct caller_reply *r = stage_ask(q, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_AGAIN, ERR_EXCHANGE_TIMEOUT);
    cr_assert_eq(stage_told("POST"), 0);
}

/* ---- Keys that are refused --------------------------------------------------------------- */

Test(bridge_caller, a_refused_key_is_left_alone_for_what_it_may_not)
{
    stage_caller("POST=key", (struct caller_options){0});
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE), VERDICT_KEY,
         ERR_CREDENTIALS_INVALID);
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_KEY, ERR_CREDENTIALS_INVALID);
    cr_assert_eq(r->attempts, 0);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ACCOUNT), VERDICT_OK, OK);
    cr_assert_eq(stage_told("POST"), 1);
}

/* ---- Limits ------------------------------------------------------------------------------ */

Test(bridge_caller, it_waits_as_told_when_there_was_too_much)
{
    stage_caller("GET=limit+ok", (struct caller_options){0});
    int64_t began_us = loop_measure_us();
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_OK, OK);
    cr_assert_eq(r->attempts, 2);
    cr_assert_geq(loop_measure_us() - began_us, 1 * S);
    stage_ban_forget();
}

Test(bridge_caller, a_long_wait_is_told_and_all_replicas_keep_it)
{
    stage_caller("GET=long", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_LIMITED, ERR_EXCHANGE_LIMITED);
    cr_assert(r->retry_after_s >= 99 && r->retry_after_s <= 100, "%u", r->retry_after_s);
    cr_assert_eq(r->code, -1003);
    struct caller *one = stage.caller;
    stage_caller("GET=long", (struct caller_options){0}); /* another replica */
    r = stage_ask((struct caller_request){.patience_ms = 500}, CALL_SPOT_ORDER_CANCEL);
    cr_assert_eq(r->attempts, 0);
    ends(r, VERDICT_AGAIN, ERR_EXCHANGE_LIMITED);
    cr_assert(r->retry_after_s >= 90 && r->retry_after_s <= 100, "%u", r->retry_after_s);
    caller_close(&one);
    cr_assert_eq(stage_told("DELETE"), 0);
    stage_ban_forget();
}

Test(bridge_caller, too_many_orders_of_one_account_stop_its_orders_alone)
{
    stage_caller("POST=orders+ok", (struct caller_options){0});
    uint64_t call =
        stage_send((struct caller_request){.patience_ms = 60000}, CALL_SPOT_ORDER_PLACE, 1);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET), VERDICT_OK, OK);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL), VERDICT_OK, OK);
    cr_assert_leq(stage_told("POST"), 1);
    caller_drop(stage.caller, call);
    stage_ban_forget();
}

Test(bridge_caller, the_firewall_stops_everything)
{
    stage_caller("GET=firewall", (struct caller_options){0});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_LIMITED, ERR_EXCHANGE_LIMITED);
    cr_assert_geq(r->retry_after_s, 60);
    r = stage_ask((struct caller_request){.patience_ms = 500}, CALL_SPOT_ORDER_CANCEL);
    ends(r, VERDICT_LIMITED, ERR_EXCHANGE_LIMITED);
    cr_assert_eq(r->attempts, 0);
    stage_ban_forget();
}

Test(bridge_caller, orders_of_a_key_have_their_own_limit)
{
    stage_caller("", (struct caller_options){0});
    caller_set_limits(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot, 0, 0, 0, 4);
    for (int i = 0; i < 6; i++)
        stage_send((struct caller_request){.patience_ms = 2000}, CALL_SPOT_ORDER_PLACE, i);
    stage_send((struct caller_request){.patience_ms = 2000}, CALL_SPOT_ORDER_CANCEL, 7);
    stage_wait(7, "all");
    int taken = 0;
    for (int i = 0; i < 7; i++)
        taken += stage.got[i].reply.ruling.verdict == VERDICT_OK;
    cr_assert_eq(taken, 5);
    cr_assert_eq(stage_told("POST"), 4);
    stage_ban_forget();
}

Test(bridge_caller, what_the_exchange_counts_of_an_account_wins)
{
    stage_caller("orders=9", (struct caller_options){0});
    caller_set_limits(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot, 0, 0, 0, 10);
    ends(stage_ask((struct caller_request){.is_urgent = true}, CALL_SPOT_ORDER_PLACE), VERDICT_OK,
         OK);
    ends(stage_ask((struct caller_request){.is_urgent = true}, CALL_SPOT_ORDER_PLACE), VERDICT_OK,
         OK);
    struct caller_reply *r = stage_ask(
        (struct caller_request){.is_urgent = true, .patience_ms = 500}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_LIMITED, ERR_EXCHANGE_LIMITED);
    cr_assert_eq(r->attempts, 0);
    cr_assert_eq(stage_told("POST"), 2);
}

/* ---- Queues ------------------------------------------------------------------------------ */

Test(bridge_caller, who_lowers_risk_goes_first_and_finds_a_place)
{
    stage_caller("TIME=slow", (struct caller_options){.waiting_max = 84, .in_flight_max = 16});
    int taken[4] = {0};
    static const enum call_name names[4] = {CALL_SPOT_EXCHANGE_INFO, CALL_SPOT_ORDER_GET,
                                            CALL_SPOT_ORDER_PLACE, CALL_SPOT_ORDER_CANCEL};
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < 100; i++)
            taken[p] += stage_send((struct caller_request){0}, names[p], p) != 0;
    cr_assert_eq(taken[0], 70);
    cr_assert_eq(taken[1], 10);
    cr_assert_eq(taken[2], 15);
    cr_assert_eq(taken[3], 5);
}

static struct caller_request
urgent(bool is_urgent)
{
    return (struct caller_request){.is_urgent = is_urgent, .patience_ms = 60000};
}

Test(bridge_caller, priorities_are_kept)
{
    stage_caller("TIME=slow", (struct caller_options){.in_flight_max = 1});
    for (int i = 0; i < 20; i++)
        stage_send(urgent(false), CALL_SPOT_ORDER_GET, 3);
    for (int i = 0; i < 10; i++)
        stage_send(urgent(false), CALL_SPOT_ORDER_PLACE, 2);
    for (int i = 0; i < 5; i++)
        stage_send(urgent(true), CALL_SPOT_ORDER_PLACE, 1);
    for (int i = 0; i < 5; i++)
        stage_send(urgent(false), CALL_SPOT_ORDER_CANCEL, 1);
    stage_wait(40, "all");
    /* All were held until the time was known; then one batch is under way together. */
    for (int i = 16; i < 40; i++)
        cr_assert_geq(stage.got[i].mark, stage.got[i - 16].mark < 2 ? 1 : 2, "%d", i);
    cr_assert_eq(stage.got[39].mark, 3);
}

Test(bridge_caller, a_dropped_call_says_nothing)
{
    stage_caller("DELETE=late", (struct caller_options){0});
    uint64_t one = stage_send((struct caller_request){0}, CALL_SPOT_ORDER_PLACE, 1);
    caller_drop(stage.caller, one); /* while the clock is asked */
    caller_drop(stage.caller, one);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET), VERDICT_OK, OK);
    uint64_t two = stage_send((struct caller_request){0}, CALL_SPOT_ORDER_PLACE, 2);
    caller_drop(stage.caller, two); /* while Redis is asked */
    uint64_t three =
        stage_send((struct caller_request){.patience_ms = 100}, CALL_SPOT_ORDER_CANCEL, 3);
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_GET), VERDICT_OK, OK);
    caller_drop(stage.caller, three); /* while it is under way */
    struct caller_reply *r =
        stage_ask((struct caller_request){.patience_ms = 200}, CALL_SPOT_ORDER_CANCEL);
    ends(r, VERDICT_UNKNOWN, ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(stage_told("POST"), 0);
    cr_assert_eq(stage_told("DELETE"), 2, "what has left is not taken back");
    (void)stage_send((struct caller_request){0}, CALL_SPOT_ORDER_CANCEL, 4); /* closed with it */
}

/* ---- An exchange that is down ------------------------------------------------------------ */

Test(bridge_caller, an_exchange_that_fails_is_left_alone_and_found_again)
{
    stage_caller("TIME=ok+ok+ok+bad+bad+ok,GET=bad+bad+bad+bad+bad+ok", (struct caller_options){0});
    ends(stage_ask((struct caller_request){0}, CALL_SPOT_ACCOUNT), VERDICT_OK, OK);
    struct caller_reply *r =
        stage_ask((struct caller_request){.patience_ms = 30000}, CALL_SPOT_ORDER_GET);
    ends(r, VERDICT_OK, OK);
    (void)r;
}

Test(bridge_caller, nobody_is_there)
{
    stage_caller("", (struct caller_options){0});
    caller_close(&stage.caller);
    struct caller_host host = {.environment = ENVIRONMENT_testnet,
                               .type = TRADING_TYPE_spot,
                               .base_url = "http://127.0.0.1:1/"};
    stage.caller = caller_open(&(struct caller_options){.loop = stage.net.loop,
                                                        .redis = stage.redis,
                                                        .hosts = &host,
                                                        .host_count = 1,
                                                        .waiting_max = 10,
                                                        .in_flight_max = 2,
                                                        .timeout_ms = 500,
                                                        .recv_window_ms = 5000,
                                                        .patience_ms = 300});
    struct caller_reply *r = stage_ask((struct caller_request){0}, CALL_SPOT_ORDER_PLACE);
    ends(r, VERDICT_AGAIN, ERR_EXCHANGE_UNREACHABLE);
    cr_assert_eq(r->attempts, 0);
}

/* ---- The WebSocket API ------------------------------------------------------------------- */

static bool
clock_is_known(void)
{
    return caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot) != 0;
}

Test(bridge_caller, requests_of_the_websocket_api_are_signed)
{
    char out[1024], text[256], expected[SIGN_TEXT_BYTES], all[1024 + SIGN_TEXT_BYTES];
    stage_caller("", (struct caller_options){0});
    cr_assert_eq(caller_sign_ws(stage.caller, ENVIRONMENT_testnet, KEY, out, sizeof out), 0,
                 "the time is not known");
    net_wait(&stage.net, clock_is_known, "the clock");
    size_t length = caller_sign_ws(stage.caller, ENVIRONMENT_testnet, KEY, out, sizeof out);
    cr_assert_eq(length, strlen(out));
    int64_t timestamp = strtoll(strstr(out, "\"timestamp\":") + 12, NULL, 10);
    snprintf(text, sizeof text, "apiKey=" API_KEY "&recvWindow=5000&timestamp=%" PRId64, timestamp);
    struct sign_key key;
    cr_assert_eq(keys_open_secret(NULL, 1, &key), OK);
    cr_assert_gt(sign_text(&key, text, strlen(text), true, expected), 0);
    snprintf(all, sizeof all,
             "{\"apiKey\":\"" API_KEY "\",\"recvWindow\":5000,\"timestamp\":%" PRId64
             ",\"signature\":\"%s\"}",
             timestamp, expected);
    cr_assert_str_eq(out, all);
    cr_assert_eq(caller_sign_ws(stage.caller, ENVIRONMENT_testnet, KEY, out, 20), 0);
    stage.is_store_away = true;
    cr_assert_eq(caller_sign_ws(stage.caller, ENVIRONMENT_testnet, KEY, out, sizeof out), 0);
}
