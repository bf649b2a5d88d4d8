/*
 * gw_core_test.c - the gateway's table of requests in flight, its token buckets and its cursors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/ended.h"
#include "gateway/core/gateway.h"
#include "gateway/core/limit.h"
#include "gateway/core/stream.h"

#define MS INT64_C(1000)

static struct gw gw;
static uint32_t ledger, market;

static void
gw_set_up(void)
{
    struct gw_options o = {
        .calls_max = 8, .resend_us = 500 * MS, .timeout_us = 5000 * MS, .silent_us = 1500 * MS};
    gw_init(&gw, &o, calloc(1, gw_bytes(8)));
    ledger = gw_add_server(&gw, ERR_LEDGER_UNAVAILABLE);
    market = gw_add_server(&gw, ERR_MARKET_UNAVAILABLE);
}

static enum err
start(int64_t now_ms, uint32_t server, uint64_t corr, bool mutates)
{
    enum err e =
        gw_start(&gw, now_ms * MS, server, corr, corr * 10, mutates, (const uint8_t *)"packed", 6);
    gw_check(&gw);
    return e;
}

static bool
answer(int64_t now_ms, uint32_t server, uint64_t epoch, uint64_t corr)
{
    uint64_t owner = 0;
    bool found = gw_answer(&gw, now_ms * MS, server, epoch, corr, &owner);
    cr_assert(!found || owner == corr * 10);
    gw_check(&gw);
    return found;
}

TestSuite(gw, .init = gw_set_up);

Test(gw, a_secret_is_sent_again_and_wiped_when_it_is_answered)
{
    static uint8_t secret[GW_SECRET_MAX];
    memset(secret, 's', sizeof secret);
    cr_assert_eq(gw_start_secret(&gw, 0, ledger, 7, 70, secret, sizeof secret), OK);
    gw_check(&gw);
    struct gw_due due = gw_due(&gw, 501 * MS);
    cr_assert(due.kind == GW_DUE_RESEND && due.is_secret && due.length == sizeof secret);
    cr_assert_eq(memcmp(due.packed, secret, sizeof secret), 0);
    cr_assert(answer(502, ledger, 1, 7));
    for (size_t i = 0; i < sizeof secret; i++)
        cr_assert_eq(due.packed[i], 0);
    cr_assert_eq(start(503, ledger, 8, true), OK);
    due = gw_due(&gw, 1500 * MS);
    cr_assert(due.kind == GW_DUE_RESEND && !due.is_secret);
}

Test(gw, an_answer_is_given_to_its_owner_once)
{
    cr_assert_eq(start(1, ledger, 7, true), OK);
    cr_assert(answer(2, ledger, 1, 7));
    cr_assert_not(answer(3, ledger, 1, 7));
    cr_assert_eq(gw.unknown, 1);
    cr_assert_not(answer(3, market, 0, 7));
}

static bool
is_given_up(int64_t now_ms, uint64_t corr)
{
    struct gw_due due;
    bool is_found = false;
    while ((due = gw_due(&gw, now_ms * MS)).kind != GW_DUE_NOTHING) {
        is_found = is_found || (due.kind == GW_DUE_EXPIRED && due.corr == corr);
        gw_heard(&gw, now_ms * MS, market, 0);
        gw_heard(&gw, now_ms * MS, ledger, 0);
        gw_check(&gw);
    }
    return is_found;
}

Test(gw, who_waits_for_others_is_given_more_time)
{
    gw_set_timeout(&gw, market, 12000 * MS);
    cr_assert_eq(start(0, market, 7, true), OK);
    cr_assert_eq(start(1, ledger, 8, true), OK);
    for (int64_t ms = 400; ms < 5000; ms += 400)
        cr_assert(!is_given_up(ms, 7));
    cr_assert(is_given_up(5001, 8), "as always");
    for (int64_t ms = 5400; ms < 12000; ms += 400)
        cr_assert(!is_given_up(ms, 7));
    cr_assert_eq(gw.count, 1);
    cr_assert(is_given_up(15400, 7));
}

Test(gw, the_same_bytes_are_sent_again_until_the_answer_comes)
{
    cr_assert_eq(start(1000, ledger, 7, true), OK);
    cr_assert_eq(gw_due(&gw, 1499 * MS).kind, GW_DUE_NOTHING);
    for (int64_t at = 1500; at < 6000; at += 500) {
        struct gw_due due = gw_due(&gw, at * MS);
        cr_assert_eq(due.kind, GW_DUE_RESEND);
        cr_assert_eq(due.corr, 7);
        cr_assert_eq(memcmp(due.packed, "packed", due.length), 0);
        cr_assert_eq(gw_due(&gw, at * MS).kind, GW_DUE_PROBE); /* is it there at all? */
        cr_assert_eq(gw_due(&gw, at * MS).kind, GW_DUE_NOTHING);
        gw_check(&gw);
    }
    struct gw_due due = gw_due(&gw, 6000 * MS);
    cr_assert_eq(due.kind, GW_DUE_EXPIRED);
    cr_assert_eq(due.error, ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(due.owner, 70);
    cr_assert_eq(gw.count, 0);
    gw_check(&gw);
}

Test(gw, a_read_that_got_no_answer_says_who_is_away)
{
    cr_assert_eq(start(1000, market, 7, false), OK);
    struct gw_due due = gw_due(&gw, 6000 * MS);
    cr_assert_eq(due.error, ERR_MARKET_UNAVAILABLE);
}

Test(gw, a_full_table_is_busy)
{
    for (uint64_t corr = 1; corr <= 8; corr++)
        cr_assert_eq(start(1, ledger, corr, true), OK);
    cr_assert_eq(start(1, ledger, 9, true), ERR_GATEWAY_BUSY);
    cr_assert(answer(2, ledger, 1, 3));
    cr_assert_eq(start(3, ledger, 9, true), OK);
}

Test(gw, a_silent_server_refuses_before_anything_is_sent)
{
    cr_assert_eq(start(1000, ledger, 1, true), OK);
    cr_assert_eq(start(2400, ledger, 2, true), OK);
    cr_assert_eq(start(2500, ledger, 3, true), ERR_LEDGER_UNAVAILABLE);
    cr_assert_eq(start(2500, market, 4, false), OK, "others go on");
    cr_assert(answer(2600, market, 0, 4));
    /* Its two requests are given up; a question of our own then looks whether it is back. */
    struct gw_due due;
    while ((due = gw_due(&gw, 7400 * MS)).kind != GW_DUE_PROBE)
        cr_assert_neq(due.kind, GW_DUE_NOTHING);
    cr_assert_eq(due.server, ledger);
    cr_assert_eq(gw_due(&gw, 7400 * MS).kind, GW_DUE_NOTHING);
    cr_assert_eq(start(7400, ledger, 5, false), ERR_LEDGER_UNAVAILABLE);
    cr_assert_eq(gw_start_probe(&gw, 7400 * MS, ledger, 6, (const uint8_t *)"probe", 5), OK);
    gw_check(&gw);
    cr_assert_eq(gw_due(&gw, 7800 * MS).kind, GW_DUE_NOTHING);
    cr_assert_eq(gw_due(&gw, 7900 * MS).kind, GW_DUE_RESEND);
    cr_assert(gw_is_away(&gw, 7900 * MS, ledger));
    uint64_t owner = 1;
    cr_assert(gw_answer(&gw, 8000 * MS, ledger, 1, 6, &owner));
    cr_assert_eq(owner, 0);
    cr_assert_not(gw_is_away(&gw, 8000 * MS, ledger));
    cr_assert_eq(start(8000, ledger, 7, true), OK);
}

/* That it can do nothing else is as good a sign of life as any. */
Test(gw, a_probe_is_answered_by_a_refusal)
{
    uint32_t bridge = gw_add_server(&gw, ERR_BRIDGE_UNAVAILABLE);
    (void)gw_add_replica(&gw, bridge);
    cr_assert_eq(gw_start_probe(&gw, 0, bridge, 1, (const uint8_t *)"probe", 5), OK);
    cr_assert_not(gw_ask_next(&gw, 1 * MS, bridge, 1, ERR_KEYS_UNAVAILABLE));
    cr_assert(gw_answer_settles(&gw, 1, ERR_KEYS_UNAVAILABLE));
    uint64_t owner = 1;
    cr_assert(gw_answer(&gw, 1 * MS, bridge, 0, 1, &owner));
    cr_assert_eq(gw_due(&gw, 2 * MS).kind, GW_DUE_NOTHING);
    gw_check(&gw);
}

Test(gw, a_long_quiet_server_is_not_away)
{
    cr_assert_eq(start(1000, ledger, 1, true), OK);
    cr_assert(answer(1001, ledger, 1, 1));
    cr_assert_not(gw_is_away(&gw, 900000 * MS, ledger));
    cr_assert_eq(start(900000, ledger, 2, true), OK);
    cr_assert_eq(start(900001, ledger, 3, true), OK);
}

Test(gw, a_deposed_owners_answers_are_dropped)
{
    cr_assert_eq(start(1, ledger, 1, true), OK);
    gw_heard(&gw, 2 * MS, ledger, 5);
    cr_assert_not(answer(3, ledger, 4, 1));
    cr_assert_eq(gw.stale, 1);
    cr_assert(answer(4, ledger, 5, 1));
}

Test(gw, a_forgotten_request_frees_its_place)
{
    cr_assert_eq(start(1, ledger, 1, true), OK);
    gw_forget(&gw, 1);
    gw_forget(&gw, 1);
    gw_forget(&gw, 0);
    gw_check(&gw);
    cr_assert_eq(gw.count, 0);
    cr_assert_not(answer(2, ledger, 1, 1));
}

/* ---- Token buckets ---- */

static struct limit limit;
static const struct limit_rate ten_a_second = {100000, 3};

static void
limit_set_up(void)
{
    limit_init(&limit, 4, calloc(1, limit_bytes(4)));
}

TestSuite(limit, .init = limit_set_up);

Test(limit, a_burst_then_the_rate)
{
    uint32_t retry = 0;
    int64_t now_us = 5000000;
    for (int i = 0; i < 3; i++)
        cr_assert(limit_take(&limit, 1, ten_a_second, now_us, &retry));
    cr_assert_not(limit_take(&limit, 1, ten_a_second, now_us, &retry));
    cr_assert_eq(retry, 1);
    cr_assert(limit_take(&limit, 2, ten_a_second, now_us, &retry), "others have their own");
    cr_assert(limit_take(&limit, 1, ten_a_second, now_us + 100000, &retry));
    cr_assert_not(limit_take(&limit, 1, ten_a_second, now_us + 100000, &retry));
    cr_assert(limit_take(&limit, 1, ten_a_second, now_us + 9000000, &retry));
}

Test(limit, many_at_once_are_taken_together_or_not_at_all)
{
    uint32_t retry = 0;
    int64_t now_us = 5000000;
    cr_assert(limit_take_many(&limit, 1, ten_a_second, 2, now_us, &retry));
    cr_assert_not(limit_take_many(&limit, 1, ten_a_second, 2, now_us, &retry));
    cr_assert(limit_take(&limit, 1, ten_a_second, now_us, &retry), "the third was left");
    /* More than the bucket ever holds: once it is full, and the rest is owed. */
    cr_assert_not(limit_take_many(&limit, 1, ten_a_second, 23, now_us + 200000, &retry));
    cr_assert(limit_take_many(&limit, 1, ten_a_second, 23, now_us + 300000, &retry));
    cr_assert_not(limit_take(&limit, 1, ten_a_second, now_us + 2300000, &retry));
    cr_assert_eq(retry, 1);
    cr_assert(limit_take(&limit, 1, ten_a_second, now_us + 2400000, &retry));
}

Test(limit, the_key_unused_for_longest_is_forgotten)
{
    uint32_t retry = 0;
    for (int i = 0; i < 3; i++)
        cr_assert(limit_take(&limit, 1, ten_a_second, 1000, &retry));
    for (uint64_t key = 2; key <= 4; key++)
        cr_assert(limit_take(&limit, key, ten_a_second, 1000, &retry));
    cr_assert_not(limit_take(&limit, 1, ten_a_second, 1000, &retry), "used just now: kept");
    cr_assert(limit_take(&limit, 5, ten_a_second, 1000, &retry), "takes the place of 2");
    cr_assert_not(limit_take(&limit, 1, ten_a_second, 1000, &retry));
    cr_assert_eq(limit.count, 4);
}

/* ---- Subscriptions ---- */

static struct stream stream;

static void
stream_set_up(void)
{
    stream_init(&stream, 4, 8, 3, calloc(1, stream_bytes(4, 8)));
}

TestSuite(stream, .init = stream_set_up);

Test(stream, first_and_last_of_a_topic)
{
    uint32_t sub;
    bool is_first, was_last;
    cr_assert_eq(stream_add(&stream, 0, "p.BTCUSDT.", &sub, &is_first), OK);
    cr_assert(is_first);
    cr_assert_eq(stream_add(&stream, 1, "p.BTCUSDT.", &sub, &is_first), OK);
    cr_assert_not(is_first);
    cr_assert_eq(stream_add(&stream, 1, "p.BTCUSDT.", &sub, &is_first), OK, "again is harmless");
    stream_check(&stream);
    cr_assert(stream_remove(&stream, 0, "p.BTCUSDT.", &was_last));
    cr_assert_not(was_last);
    cr_assert_not(stream_remove(&stream, 0, "p.BTCUSDT.", &was_last));
    cr_assert(stream_remove(&stream, 1, "p.BTCUSDT.", &was_last));
    cr_assert(was_last);
    cr_assert_eq(stream_first(&stream, "p.BTCUSDT."), STREAM_NONE);
    stream_check(&stream);
}

Test(stream, limits_and_leaving)
{
    uint32_t sub;
    bool is_first, was_last;
    char topic[STREAM_TOPIC_BYTES];
    cr_assert_eq(stream_add(&stream, 2, "a", &sub, &is_first), OK);
    cr_assert_eq(stream_add(&stream, 2, "b", &sub, &is_first), OK);
    cr_assert_eq(stream_add(&stream, 2, "c", &sub, &is_first), OK);
    cr_assert_eq(stream_add(&stream, 2, "d", &sub, &is_first), ERR_STREAM_LIMIT);
    cr_assert_eq(stream_add(&stream, 3, "b", &sub, &is_first), OK);
    int lasts = 0, count = 0;
    while (stream_pop(&stream, 2, topic, &was_last)) {
        count++;
        lasts += was_last;
        stream_check(&stream);
    }
    cr_assert_eq(count, 3);
    cr_assert_eq(lasts, 2);
    cr_assert(stream_has(&stream, 3, "b"));
    cr_assert_eq(stream_conn(&stream, stream_first(&stream, "b")), 3);
}

/* ---- Cursors ---- */

Test(cursor, events_come_once_and_in_order)
{
    struct cursor c;
    cursor_start(&c, 5);
    cr_assert_eq(cursor_event(&c, 6), CURSOR_DROP, "the answer under way will bring it");
    cr_assert_eq(cursor_resent(&c, 6), CURSOR_DELIVER);
    cr_assert_not(cursor_resumed(&c, 6));
    cr_assert_eq(cursor_event(&c, 6), CURSOR_DROP);
    cr_assert_eq(cursor_event(&c, 7), CURSOR_DELIVER);
    cr_assert_eq(cursor_event(&c, 9), CURSOR_ASK);
    cr_assert_eq(cursor_event(&c, 10), CURSOR_DROP);
    cr_assert_eq(cursor_resent(&c, 7), CURSOR_DROP);
    cr_assert_eq(cursor_resent(&c, 8), CURSOR_DELIVER);
    cr_assert_eq(cursor_resent(&c, 9), CURSOR_DELIVER);
    cr_assert(cursor_resumed(&c, 9), "10 was heard of meanwhile: ask again");
    cr_assert_eq(cursor_resent(&c, 10), CURSOR_DELIVER);
    cr_assert_not(cursor_resumed(&c, 10));
    cr_assert_eq(cursor_event(&c, 11), CURSOR_DELIVER);
}

Test(cursor, numbers_from_the_future_start_where_the_account_is)
{
    struct cursor c;
    cursor_start(&c, 1000);
    cr_assert_eq(cursor_event(&c, 4), CURSOR_DROP);
    cr_assert(cursor_resumed(&c, 3));
    cr_assert_eq(cursor_resent(&c, 4), CURSOR_DELIVER);
    cr_assert_not(cursor_resumed(&c, 4));
    cr_assert(cursor_recheck(&c));
    cr_assert_not(cursor_recheck(&c));
}

/* ---- Ended sessions ---- */

Test(ended, a_session_is_kept_while_a_token_of_it_may_live)
{
    struct ended e;
    void *room = calloc(1, ended_bytes(3));
    ended_init(&e, 3, 100, room);
    cr_assert_not(ended_has(&e, 1));
    cr_assert(ended_add(&e, 1, 1000));
    cr_assert(ended_add(&e, 2, 1050));
    cr_assert(ended_add(&e, 1, 1060), "again is harmless");
    cr_assert(ended_has(&e, 1) && ended_has(&e, 2) && !ended_has(&e, 3));
    cr_assert(ended_add(&e, 3, 1100));
    cr_assert_not(ended_has(&e, 1), "its last token has run out");
    cr_assert(ended_has(&e, 2) && ended_has(&e, 3));
    cr_assert(ended_add(&e, 4, 1101));
    cr_assert_not(ended_add(&e, 5, 1102), "the first had to go early");
    cr_assert_not(ended_has(&e, 2));
    cr_assert(ended_has(&e, 3) && ended_has(&e, 4) && ended_has(&e, 5));
    for (uint64_t i = 6; i < 1000; i++)
        ended_add(&e, i, 1102);
    cr_assert_eq(e.count, 3);
    cr_assert_not(ended_has(&e, 0), "nobody's");
    cr_assert(ended_has(&e, 997) && ended_has(&e, 998) && ended_has(&e, 999));
    free(room);
}
