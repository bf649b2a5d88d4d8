/*
 * bridge_asks_test.c - requests to a bridge that stood still: what was asked for before is left.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/asks.h"

#include <criterion/criterion.h>

#define MS INT64_C(1000)

static int64_t now_us;
static struct loop *loop;
static struct asks *asks;

int64_t __wrap_loop_steady_us(const struct loop *l);

/* In the place of the loop's clock. */
int64_t
__wrap_loop_steady_us(const struct loop *l)
{
    (void)l;
    return now_us;
}

static void
set_up(void)
{
    loop = loop_new();
    asks = asks_open(loop, 8);
}

static void
tear_down(void)
{
    asks_close(&asks);
    loop_destroy(&loop);
}

TestSuite(bridge_asks, .init = set_up, .fini = tear_down);

static struct ask *
take(int64_t at_ms, enum msg_type type, uint64_t corr)
{
    const struct msg m = {.type = type, .corr = corr};
    now_us = at_ms * MS;
    return asks_take(asks, 1, &m);
}

Test(bridge_asks, a_copy_joins_the_one_that_is_worked_on)
{
    const struct ask *first = take(100, MSG_bridge_keys_put, 7);
    cr_assert_not_null(first);
    cr_assert_null(take(600, MSG_bridge_keys_put, 7));
    cr_assert_not(ask_is_late(first));
    cr_assert_not_null(take(700, MSG_bridge_keys_put, 8));
}

Test(bridge_asks, what_was_taken_before_a_standstill_is_late)
{
    struct ask *before = take(100, MSG_bridge_keys_put, 7);
    now_us = 1600 * MS;
    cr_assert(ask_is_late(before));
    ask_drop(before);
    const struct ask *read = take(1700, MSG_bridge_keys_get, 9);
    cr_assert_not_null(read);
    cr_assert_not(ask_is_late(read));
}

Test(bridge_asks, what_waited_in_a_standstill_is_left_and_taken_when_it_is_sent_again)
{
    cr_assert_not_null(take(100, MSG_bridge_keys_get, 1));
    static const enum msg_type overwriting[] = {MSG_bridge_keys_put, MSG_bridge_keys_delete,
                                                MSG_bridge_bind, MSG_bridge_schedule_set};
    for (uint64_t i = 0; i < 4; i++)
        cr_assert_null(take(1600, overwriting[i], 10 + i));
    cr_assert_not_null(take(1600, MSG_bridge_balance_sync, 20), "it has its command id");
    cr_assert_null(take(2500, MSG_bridge_keys_put, 10));
    cr_assert_not_null(take(2600, MSG_bridge_keys_put, 10), "somebody still wants it");
}
