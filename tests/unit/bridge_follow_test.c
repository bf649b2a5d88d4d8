/*
 * bridge_follow_test.c - a user data stream: made again whatever ends it, and the account read when
 * something may have been missed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/follow.h"

#include <criterion/criterion.h>

#include "base/map.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

static struct follow f;

static void
begin(bool has_listen_key)
{
    follow_init(&f, has_listen_key, 60 * SECOND, 23 * HOUR, 7);
    unsigned acts = follow_step(&f, FOLLOW_OWNED, 0);
    cr_assert(acts & FOLLOW_DO_CATCH_UP, "what happened before is read");
    cr_assert(acts & (has_listen_key ? FOLLOW_DO_ASK_KEY : FOLLOW_DO_OPEN));
    cr_assert_eq(follow_step(&f, FOLLOW_CAUGHT_UP, 1), FOLLOW_DO_TELL);
}

static void
begin_live(bool has_listen_key)
{
    begin(has_listen_key);
    if (has_listen_key) {
        cr_assert_eq(follow_step(&f, FOLLOW_HAS_KEY, 2), FOLLOW_DO_OPEN);
    } else {
        cr_assert_eq(follow_step(&f, FOLLOW_OPENED, 2), FOLLOW_DO_SUBSCRIBE);
    }
    enum follow_in last = has_listen_key ? FOLLOW_OPENED : FOLLOW_SUBSCRIBED;
    cr_assert_eq(follow_step(&f, last, 3), FOLLOW_DO_CATCH_UP, "since the subscription");
    cr_assert_eq(follow_step(&f, FOLLOW_CAUGHT_UP, 4), FOLLOW_DO_TELL);
    cr_assert_eq(f.state, FOLLOW_LIVE);
}

Test(bridge_follow, a_lost_stream_is_made_again_and_the_account_read)
{
    begin_live(false);
    cr_assert_eq(follow_step(&f, FOLLOW_CLOSED, 5), FOLLOW_DO_CLOSE);
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, SECOND), FOLLOW_DO_OPEN);
    cr_assert_eq(follow_step(&f, FOLLOW_OPENED, SECOND), FOLLOW_DO_SUBSCRIBE);
    cr_assert_eq(follow_step(&f, FOLLOW_SUBSCRIBED, SECOND), FOLLOW_DO_CATCH_UP);
}

Test(bridge_follow, what_changes_while_the_account_is_read_is_read_again)
{
    begin_live(true);
    cr_assert_eq(follow_step(&f, FOLLOW_CHANGED, 2 * SECOND), FOLLOW_DO_CATCH_UP);
    cr_assert_eq(follow_step(&f, FOLLOW_CHANGED, 2 * SECOND + 1), 0);
    cr_assert_eq(follow_step(&f, FOLLOW_CHANGED, 2 * SECOND + 2), 0);
    cr_assert_eq(follow_step(&f, FOLLOW_CAUGHT_UP, 2 * SECOND + 3), FOLLOW_DO_TELL);
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, 3 * SECOND), 0, "not without a rest");
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, 3 * SECOND + 3), FOLLOW_DO_CATCH_UP);
    cr_assert_eq(follow_step(&f, FOLLOW_CAUGHT_UP, 3 * SECOND + 4), FOLLOW_DO_TELL);
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, 5 * SECOND), 0);
}

/* What the stream says is true, whether the exchange can be asked or not. */
Test(bridge_follow, what_was_heard_is_told_when_the_reading_failed_too)
{
    begin_live(false);
    cr_assert_eq(follow_step(&f, FOLLOW_CHANGED, 2 * SECOND), FOLLOW_DO_CATCH_UP);
    cr_assert_eq(follow_step(&f, FOLLOW_NOT_CAUGHT_UP, 3 * SECOND), FOLLOW_DO_TELL);
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, 7 * SECOND), 0);
    cr_assert_eq(follow_step(&f, FOLLOW_TIME, 8 * SECOND), FOLLOW_DO_CATCH_UP);
}

Test(bridge_follow, listen_keys_are_renewed_and_connections_replaced_in_time)
{
    begin_live(true);
    cr_assert(follow_step(&f, FOLLOW_TIME, HOUR / 2 + SECOND) & FOLLOW_DO_RENEW_KEY);
    cr_assert_eq(follow_step(&f, FOLLOW_CAUGHT_UP, HOUR / 2 + SECOND), FOLLOW_DO_TELL);
    unsigned acts = follow_step(&f, FOLLOW_TIME, 23 * HOUR + SECOND);
    cr_assert(acts & FOLLOW_DO_CLOSE);
    cr_assert(acts & FOLLOW_DO_ASK_KEY);
}

Test(bridge_follow, who_is_not_the_owner_does_nothing)
{
    begin_live(false);
    cr_assert_eq(follow_step(&f, FOLLOW_DISOWNED, 5), FOLLOW_DO_CLOSE);
    for (int in = FOLLOW_TIME; in <= FOLLOW_NOT_CAUGHT_UP; in++)
        if (in != FOLLOW_OWNED)
            cr_assert_eq(follow_step(&f, (enum follow_in)in, HOUR), 0);
}

Test(bridge_follow, without_a_stream_the_account_is_read_all_the_same)
{
    begin(false);
    uint32_t read = 0;
    for (int64_t at = 0; at < 600 * SECOND; at += SECOND / 10) {
        unsigned acts = follow_step(&f, FOLLOW_TIME, at);
        if (acts & FOLLOW_DO_OPEN)
            cr_assert_eq(follow_step(&f, FOLLOW_FAILED, at), FOLLOW_DO_CLOSE);
        if (acts & FOLLOW_DO_CATCH_UP) {
            read++;
            follow_step(&f, FOLLOW_CAUGHT_UP, at);
        }
    }
    cr_assert(read >= 9 && read <= 11, "%u times", read);
}

/* Whatever happens: with an owner, an answer to each reading and an exchange that works, it is live
 * within a minute and a half. */
Test(bridge_follow, whatever_happens_it_becomes_live_again)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        uint64_t random = seed;
        int64_t at = 0;
        bool is_asked = false;
        follow_init(&f, seed % 2 == 0, 60 * SECOND, 23 * HOUR, seed);
        for (int i = 0; i < 300; i++) {
            random = map_mix(random + 1);
            at += (int64_t)(random % (uint64_t)SECOND);
            enum follow_in in = (enum follow_in)(random / 7 % (FOLLOW_NOT_CAUGHT_UP + 1));
            if (!is_asked && in >= FOLLOW_CAUGHT_UP)
                continue;
            unsigned acts = follow_step(&f, in, at);
            is_asked = (is_asked && in < FOLLOW_CAUGHT_UP) || (acts & FOLLOW_DO_CATCH_UP) != 0;
        }
        follow_step(&f, FOLLOW_OWNED, at);
        for (int64_t end = at + 90 * SECOND; at < end && f.state != FOLLOW_LIVE;
             at += SECOND / 10) {
            unsigned acts = follow_step(&f, FOLLOW_TIME, at);
            if (f.state == FOLLOW_KEY)
                acts |= follow_step(&f, FOLLOW_HAS_KEY, at);
            if (f.state == FOLLOW_OPENING)
                acts |= follow_step(&f, FOLLOW_OPENED, at);
            if (f.state == FOLLOW_SUBSCRIBING)
                acts |= follow_step(&f, FOLLOW_SUBSCRIBED, at);
        }
        cr_assert_eq(f.state, FOLLOW_LIVE, "seed %llu", (unsigned long long)seed);
    }
}
