/*
 * bridge_health_test.c - the circuit breaker, and the exchange's clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>

#include "exchange-bridge/core/breaker.h"
#include "exchange-bridge/core/server_clock.h"

#define S INT64_C(1000000)

static struct breaker
breaker(void)
{
    return (struct breaker){.failures_max = 3, .wait_us = S, .wait_us_max = 5 * S};
}

static void
fail(struct breaker *b, int times, int64_t now_us)
{
    for (int i = 0; i < times; i++)
        (void)breaker_heard(b, false, now_us);
}

Test(bridge_breaker, it_opens_after_so_many_failures_in_a_row)
{
    struct breaker b = breaker();
    fail(&b, 2, 0);
    cr_assert_not(breaker_heard(&b, true, 0));
    fail(&b, 2, 0);
    cr_assert_eq(b.state, BREAKER_CLOSED);
    cr_assert(breaker_heard(&b, false, 0));
    cr_assert_eq(b.state, BREAKER_OPEN);
}

Test(bridge_breaker, one_probe_decides)
{
    struct breaker b = breaker();
    fail(&b, 3, 10 * S);
    cr_assert_not(breaker_take_probe(&b, 11 * S - 1));
    cr_assert(breaker_take_probe(&b, 11 * S));
    cr_assert_eq(b.state, BREAKER_HALF_OPEN);
    cr_assert_not(breaker_take_probe(&b, 12 * S), "one, not two");
    cr_assert(breaker_heard(&b, false, 12 * S));
    cr_assert_eq(b.state, BREAKER_OPEN);
    cr_assert_not(breaker_take_probe(&b, 14 * S - 1), "twice as long");
    cr_assert(breaker_take_probe(&b, 14 * S));
    cr_assert(breaker_heard(&b, true, 14 * S));
    cr_assert_eq(b.state, BREAKER_CLOSED);
    fail(&b, 3, 20 * S);
    cr_assert(breaker_take_probe(&b, 21 * S), "all is forgotten");
}

Test(bridge_breaker, it_stays_open_for_so_long_at_most)
{
    struct breaker b = breaker();
    int64_t now_us = 0;
    fail(&b, 3, now_us);
    for (int i = 0; i < 100; i++) {
        now_us = b.probe_us;
        cr_assert(breaker_take_probe(&b, now_us));
        fail(&b, 1, now_us);
        cr_assert_leq(b.probe_us - now_us, 5 * S);
    }
    cr_assert_eq(b.probe_us - now_us, 5 * S);
}

Test(bridge_breaker, what_was_sent_before_counts_only_when_it_is_good)
{
    struct breaker b = breaker();
    fail(&b, 10, 0);
    cr_assert_eq(b.probe_us, S);
    cr_assert(breaker_heard(&b, true, 0));
    cr_assert_eq(b.state, BREAKER_CLOSED);
}

Test(bridge_server_clock, nothing_is_known_at_first)
{
    struct server_clock c = {0};
    cr_assert_eq(server_clock_us(&c, 123), 0);
    server_clock_learn(&c, 100, 50, 7 * S);
    cr_assert_eq(server_clock_us(&c, 123), 0, "an answer before its question is none");
    server_clock_learn(&c, 100, 200, 0);
    cr_assert_eq(server_clock_us(&c, 123), 0);
}

/* The exchange's clock is 1,000 s ahead; the way there takes `there`, the way back `back`. */
static void
ask(struct server_clock *c, int64_t now_us, int64_t there, int64_t back)
{
    int64_t server_us = (now_us + there + 1000 * S) / 1000 * 1000;
    server_clock_learn(c, now_us, now_us + there + back, server_us);
}

static int64_t
error_at(const struct server_clock *c, int64_t now_us)
{
    int64_t error = server_clock_us(c, now_us) - now_us - 1000 * S;
    return error < 0 ? -error : error;
}

Test(bridge_server_clock, the_shortest_round_trip_counts)
{
    struct server_clock c = {0};
    ask(&c, S, 400000, 10000); /* a connection was made first */
    cr_assert_leq(error_at(&c, 2 * S), 200000);
    ask(&c, 2 * S, 1000, 1000);
    cr_assert_leq(error_at(&c, 3 * S), 1500);
    ask(&c, 3 * S, 2000, 300000);
    cr_assert_leq(error_at(&c, 4 * S), 1500);
    cr_assert_leq(c.error_us, 2000);
}

Test(bridge_server_clock, an_old_sample_gives_way)
{
    struct server_clock c = {0};
    ask(&c, S, 100, 100);
    for (int i = 0; i < 20; i++)
        ask(&c, S + (i + 1) * 60 * S, 3000, 3000);
    cr_assert_eq(c.count, SERVER_CLOCK_SAMPLES);
    cr_assert_leq(error_at(&c, 1300 * S), 3500);
    server_clock_learn(&c, 2000 * S, 2000 * S + 5000, 500 * S); /* it jumped */
    server_clock_forget(&c);
    cr_assert_eq(server_clock_us(&c, 1), 0);
    server_clock_learn(&c, 2000 * S, 2000 * S + 5000, 500 * S);
    cr_assert_leq(server_clock_us(&c, 2000 * S) - 500 * S, 0);
}
