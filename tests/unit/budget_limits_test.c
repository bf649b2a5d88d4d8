/*
 * budget_limits_test.c - further limits of a host, taken in one step with its weight, and a reserve
 * that is freed towards the window's end; over a real Redis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/budget.h"
#include "host/log.h"
#include "net_stage.h"

#define WEEK_MS     INT64_C(604800000)
#define PATIENCE_MS 10000 /* for Redis; a week is too long for anybody */

static struct net_stage stage;
static struct redis_link *redis;
static struct budget *one, *two;
static struct budget_limit *orders, *others, *days;
static char host[64];

static int answers[20000];
static int count, granted, wanted_count;
static int64_t last_retry_ms, last_grant_us;

static void
on_answer(void *arg, bool is_granted, int64_t retry_after_ms)
{
    int mark = (int)(intptr_t)arg;
    answers[count++] = is_granted ? mark : -mark;
    granted += is_granted;
    last_retry_ms = retry_after_ms;
    last_grant_us = is_granted ? loop_now_us(stage.loop) : last_grant_us;
}

static bool
all_are_there(void)
{
    return count >= wanted_count;
}

static void
wait_for(int answered, const char *what)
{
    wanted_count = answered;
    net_wait(&stage, all_are_there, what);
    cr_assert_eq(count, answered, "%s: %d answers", what, count);
}

static struct budget *
open_with(uint32_t limit, int64_t window_ms, bool frees_reserve)
{
    return budget_open(&(struct budget_options){.loop = stage.loop,
                                                .redis = redis,
                                                .host = host,
                                                .limit = limit,
                                                .window_ms = window_ms,
                                                .alone_percent = 50,
                                                .queue_max = 1000,
                                                .frees_reserve = frees_reserve});
}

static void
ask(struct budget *b, uint32_t weight, struct budget_limit *l, uint32_t amount,
    enum budget_priority p, int64_t patience_ms, int mark)
{
    struct budget_part parts[2] = {{l, amount}, {days, amount}};
    budget_ask_all(b, weight, parts, days == NULL ? 1 : 2, p, patience_ms, on_answer,
                   (void *)(intptr_t)mark);
}

static void
set_up(void)
{
    net_stage_open(&stage, false);
    snprintf(host, sizeof host, "limits-%d-%lld", (int)getpid(), (long long)loop_measure_us());
    redis = redis_link_open(&(struct redis_link_options){
        .loop = stage.loop, .address = getenv("SCRIP_TEST_REDIS"), .label = "budget"});
    cr_assert(redis != NULL);
    orders = others = days = NULL;
}

static void
tear_down(void)
{
    budget_close(&one);
    budget_close(&two);
    redis_link_close(&redis);
    net_stage_close(&stage);
}

TestSuite(budget_limits, .init = set_up, .fini = tear_down);

Test(budget_limits, all_is_taken_or_nothing)
{
    one = open_with(100, WEEK_MS, false);
    orders = budget_limit_open(one, "orders:a", 10, WEEK_MS);
    for (int i = 1; i <= 12; i++)
        ask(one, 5, orders, 1, BUDGET_CANCEL, PATIENCE_MS, i);
    wait_for(12, "ten orders and no more");
    cr_assert_eq(granted, 10);
    cr_assert_eq(budget_left(one), 50, "what was refused took no weight");
    for (int i = 1; i <= 12; i++)
        ask(one, 5, orders, 0, BUDGET_CANCEL, PATIENCE_MS, 100 + i);
    wait_for(24, "what is no order");
    cr_assert_eq(granted, 20);
    cr_assert_eq(budget_left(one), 0);
    budget_limit_set(one, orders, 20);
    ask(one, 0, orders, 1, BUDGET_CANCEL, PATIENCE_MS, 200);
    ask(one, 1, orders, 1, BUDGET_CANCEL, PATIENCE_MS, 201);
    wait_for(26, "what costs no weight is not held up by it");
    cr_assert_eq(answers[24], 200);
    cr_assert_eq(answers[25], -201);
}

Test(budget_limits, a_limit_is_shared_and_holds_up_nobody_else)
{
    one = open_with(1000, WEEK_MS, false);
    two = open_with(1000, WEEK_MS, false);
    orders = budget_limit_open(one, "orders:a", 3, WEEK_MS);
    others = budget_limit_open(two, "orders:a", 3, WEEK_MS);
    for (int i = 1; i <= 3; i++)
        ask(i == 2 ? two : one, 1, i == 2 ? others : orders, 1, BUDGET_CANCEL, PATIENCE_MS, i);
    wait_for(3, "three in all");
    cr_assert_eq(granted, 3);
    ask(one, 1, orders, 1, BUDGET_CANCEL, 2 * WEEK_MS, 4);
    ask(two, 1, others, 1, BUDGET_CANCEL, PATIENCE_MS, 5);
    budget_ask(one, 1, BUDGET_READ, PATIENCE_MS, on_answer, (void *)6);
    wait_for(5, "one is refused, a read goes on, one waits");
    cr_assert_eq(granted, 4);
    cr_assert_eq(budget_left(one), 1000 - 4);
    struct budget_limit *b = budget_limit_open(one, "orders:b", 3, WEEK_MS);
    ask(one, 1, b, 1, BUDGET_ORDER, PATIENCE_MS, 7);
    wait_for(6, "another account");
    cr_assert_eq(answers[5], 7);
    budget_limit_close(one, &b);
    cr_assert(b == NULL);
}

Test(budget_limits, what_the_exchange_says_of_orders_counts)
{
    one = open_with(1000, WEEK_MS, false);
    orders = budget_limit_open(one, "orders:a", 10, WEEK_MS);
    budget_limit_learn(one, orders, -1, -1);
    budget_limit_learn(one, orders, 8, -1);
    for (int i = 1; i <= 3; i++)
        ask(one, 1, orders, 1, BUDGET_CANCEL, PATIENCE_MS, i);
    wait_for(3, "two more");
    cr_assert_eq(granted, 2);
    budget_limit_set(one, orders, 100);
    budget_limit_fill(one, orders);
    ask(one, 1, orders, 1, BUDGET_CANCEL, PATIENCE_MS, 4);
    wait_for(4, "none");
    cr_assert_eq(answers[3], -4);
    cr_assert_eq(budget_banned_until_us(one), 0, "others may go on");
}

Test(budget_limits, each_limit_has_its_own_windows)
{
    one = open_with(100000, WEEK_MS, false);
    orders = budget_limit_open(one, "orders:a:short", 10, 400);
    days = budget_limit_open(one, "orders:a:long", 25, WEEK_MS);
    int64_t began_us = loop_now_us(stage.loop);
    for (int i = 1; i <= 30; i++)
        ask(one, 1, orders, 1, BUDGET_CANCEL, PATIENCE_MS, i);
    wait_for(30, "as many as the long one has");
    /* What was granted as a window ended, and heard of too late, is counted and not used. */
    cr_assert(granted > 10 && granted <= 25, "%d", granted);
    if (granted > 20)
        cr_assert_geq(last_grant_us, began_us + 400000, "in three windows of the short one");
}

Test(budget_limits, while_it_is_held_nobody_is_granted_anything)
{
    one = open_with(100, WEEK_MS, false);
    budget_hold(one, true);
    budget_ask(one, 1, BUDGET_CANCEL, 50, on_answer, (void *)1);
    budget_ask(one, 1, BUDGET_READ, PATIENCE_MS, on_answer, (void *)2);
    wait_for(1, "patience ends all the same");
    cr_assert_eq(answers[0], -1);
    budget_hold(one, false);
    wait_for(2, "the other one");
    cr_assert_eq(answers[1], 2);
}

Test(budget_limits, a_ban_may_be_told)
{
    one = open_with(100, WEEK_MS, false);
    two = open_with(100, WEEK_MS, false);
    budget_ask(one, 1, BUDGET_CANCEL, PATIENCE_MS, on_answer, (void *)1);
    wait_for(1, "Redis");
    budget_ban(one, 100);
    budget_ask(two, 1, BUDGET_CANCEL, PATIENCE_MS, on_answer, (void *)2);
    wait_for(2, "a refusal");
    cr_assert_eq(answers[1], -2);
    cr_assert(last_retry_ms > 95000 && last_retry_ms <= 100000, "%lld", (long long)last_retry_ms);
}

/* Asks on and on for 1, so that always 20 wait. */
static int64_t until_us;
static uint32_t used_in[64];
static int64_t first_window, window_ms;
static bool is_over;

static void
on_read(void *arg, bool is_granted, int64_t retry_after_ms)
{
    struct budget *b = arg;
    (void)retry_after_ms;
    int64_t now_us = loop_now_us(stage.loop);
    int64_t window = now_us / (window_ms * 1000) - first_window;
    if (is_granted && window >= 0 && window < 64)
        used_in[window]++;
    /* A machine that is slow in one window is not in all of them. */
    bool is_seen = window > 0 && window < 64 && used_in[window - 1] >= 180;
    if (now_us < until_us && !is_seen)
        budget_ask(b, 1, BUDGET_READ, PATIENCE_MS, on_read, b);
    else
        is_over = true;
}

static bool
it_is_over(void)
{
    return is_over;
}

Test(budget_limits, reads_alone_use_nearly_all_of_it_in_the_end)
{
    window_ms = 1000;
    one = open_with(200, window_ms, true);
    first_window = loop_now_us(stage.loop) / (window_ms * 1000) + 1;
    until_us = (first_window + 15) * window_ms * 1000;
    for (int i = 0; i < 20; i++)
        budget_ask(one, 1, BUDGET_READ, PATIENCE_MS, on_read, one);
    net_wait(&stage, it_is_over, "windows of reads");
    uint32_t most = 0;
    for (int i = 0; i < 64; i++) {
        cr_assert_leq(used_in[i], 200, "window %d: %u", i, used_in[i]);
        most = used_in[i] > most ? used_in[i] : most;
    }
    cr_assert_geq(most, 180, "%u", most);
}

Test(budget_limits, the_reserve_is_kept_while_the_window_is_young)
{
    one = open_with(100, WEEK_MS, true);
    int64_t week_us = WEEK_MS * 1000, now_us = loop_now_us(stage.loop);
    int64_t left_us = week_us - now_us % week_us;
    int most = 100 - (int)(30 * (left_us / 1000) / WEEK_MS);
    for (int i = 0; i < 100; i++)
        budget_ask(one, 1, BUDGET_READ, PATIENCE_MS, on_answer, (void *)1);
    wait_for(100, "reads");
    cr_assert(granted >= most && granted <= most + 1, "%d of %d", granted, most);
    int before = granted;
    for (int i = 0; i < 100; i++)
        budget_ask(one, 1, BUDGET_CANCEL, PATIENCE_MS, on_answer, (void *)1);
    wait_for(200, "cancels");
    cr_assert_eq(granted, 100, "%d", before);
}
