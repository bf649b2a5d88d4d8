/*
 * budget_test.c - weight shared over a real Redis: never more than the limit, whoever asks.
 *
 * Where a test is about one window, the window is a week, so that none ends meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/budget.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/log.h"
#include "net_stage.h"

#define WEEK_MS     INT64_C(604800000)
#define GRANT_MAX   20000
#define PATIENCE_MS 10000 /* for Redis; a week is too long for anybody */

static struct net_stage stage;
static struct redis_link *redis;
static struct budget *one, *two;
static char host[64];

/* What was answered, in order: the asks' marks, negative when refused. */
static int answers[20000];
static int count, granted;
static int64_t last_retry_ms;

static void
on_answer(void *arg, bool is_granted, int64_t retry_after_ms)
{
    int mark = (int)(intptr_t)arg;
    answers[count++] = is_granted ? mark : -mark;
    granted += is_granted;
    last_retry_ms = retry_after_ms;
    cr_assert_eq(is_granted, retry_after_ms == 0);
}

static int wanted_count;

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
open_with(uint32_t limit, int64_t window_ms, uint32_t alone_percent)
{
    return budget_open(&(struct budget_options){.loop = stage.loop,
                                                .redis = redis,
                                                .host = host,
                                                .limit = limit,
                                                .window_ms = window_ms,
                                                .alone_percent = alone_percent,
                                                .queue_max = 1000});
}

static struct redis_link *
link_to(const char *address)
{
    struct redis_link *l = redis_link_open(
        &(struct redis_link_options){.loop = stage.loop, .address = address, .label = "budget"});
    cr_assert(l != NULL);
    return l;
}

static uint64_t
ask(struct budget *b, uint32_t weight, enum budget_priority p, int64_t patience_ms, int mark)
{
    return budget_ask(b, weight, p, patience_ms, on_answer, (void *)(intptr_t)mark);
}

/* Asks for 1 so often; returns how many were granted. */
static int
ask_often(struct budget *b, int times, enum budget_priority p)
{
    int before = count, granted_before = granted;
    for (int i = 0; i < times; i++)
        ask(b, 1, p, PATIENCE_MS, 1);
    wait_for(before + times, "answers");
    return granted - granted_before;
}

static void
set_up(void)
{
    net_stage_open(&stage, false);
    snprintf(host, sizeof host, "test-%d-%lld", (int)getpid(), (long long)loop_measure_us());
    redis = link_to(getenv("SCRIP_TEST_REDIS"));
}

static void
tear_down(void)
{
    budget_close(&one);
    budget_close(&two);
    redis_link_close(&redis);
    net_stage_close(&stage);
}

TestSuite(budget, .init = set_up, .fini = tear_down);

Test(budget, each_priority_has_its_own_ceiling)
{
    one = open_with(100, WEEK_MS, 10);
    two = open_with(100, WEEK_MS, 10);
    cr_assert_eq(budget_left(one), 100);
    cr_assert_eq(ask_often(one, 50, BUDGET_READ), 50);
    cr_assert_eq(ask_often(two, 50, BUDGET_READ), 20);
    cr_assert_gt(last_retry_ms, 0);
    cr_assert_eq(ask_often(one, 50, BUDGET_SYNC), 10);
    cr_assert_eq(ask_often(two, 50, BUDGET_ORDER), 15);
    cr_assert_eq(ask_often(one, 50, BUDGET_CANCEL), 5);
    cr_assert_eq(ask_often(two, 50, BUDGET_CANCEL), 0);
    cr_assert_eq(budget_left(two), 0);
    budget_set_limit(two, 200);
    cr_assert_eq(ask_often(two, 50, BUDGET_READ), 40);
    int before = count;
    ask(two, 500, BUDGET_CANCEL, 60000, 1);
    cr_assert_eq(count, before + 1, "what never fits is refused at once");
}

Test(budget, who_waits_is_served_by_priority)
{
    one = open_with(100, WEEK_MS, 10);
    ask(one, 1, BUDGET_READ, 1000, 1);
    wait_for(1, "the first one");
    ask(one, 1, BUDGET_READ, 1000, 2); /* Redis is asked for it while the others come */
    ask(one, 1, BUDGET_READ, 1000, 3);
    ask(one, 1, BUDGET_SYNC, 1000, 4);
    uint64_t dropped = ask(one, 1, BUDGET_CANCEL, 1000, 5);
    ask(one, 1, BUDGET_ORDER, 1000, 6);
    ask(one, 1, BUDGET_CANCEL, 1000, 7);
    budget_drop(one, dropped);
    budget_drop(one, dropped);
    wait_for(6, "the others");
    static const int order[] = {1, 2, 7, 6, 4, 3};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(answers[i], order[i], "place %d: %d", i, answers[i]);
}

Test(budget, the_patient_wait_for_the_next_window)
{
    int64_t window_ms = 400;
    one = open_with(10, window_ms, 10);
    ask(one, 10, BUDGET_CANCEL, PATIENCE_MS, 1);
    wait_for(1, "all of a window");
    int64_t first = loop_now_us(stage.loop) / (window_ms * 1000);
    ask(one, 10, BUDGET_CANCEL, 5000, 2);
    ask(one, 7, BUDGET_READ, 5000, 3);
    wait_for(2, "the next window");
    cr_assert_gt(loop_now_us(stage.loop) / (window_ms * 1000), first);
    wait_for(3, "the window after that");
    cr_assert_gt(loop_now_us(stage.loop) / (window_ms * 1000), first + 1);
    cr_assert_eq(granted, 3);
}

Test(budget, the_queue_is_bounded_and_a_closed_one_refuses_who_waits)
{
    one = open_with(1, WEEK_MS, 10);
    for (int i = 1; i <= 1001; i++)
        ask(one, 1, BUDGET_CANCEL, 2 * WEEK_MS, i);
    cr_assert_eq(count, 1);
    cr_assert_eq(answers[0], -1001);
    wait_for(2, "the one that fits");
    budget_close(&one);
    cr_assert_eq(count, 1001);
    cr_assert_eq(granted, 1);
    one = open_with(10, WEEK_MS, 10);
    ask(one, 1, BUDGET_CANCEL, PATIENCE_MS, 5);
    budget_close(&one); /* while Redis is being asked */
    cr_assert_eq(answers[1001], -5);
}

Test(budget, the_exchanges_own_count_wins_when_it_is_higher)
{
    one = open_with(100, WEEK_MS, 10);
    two = open_with(100, WEEK_MS, 10);
    ask(one, 1, BUDGET_CANCEL, PATIENCE_MS, 1);
    wait_for(1, "a first one");
    struct fetch_reply r = {.status = 200, .used_weight_1m = 90, .retry_after_s = -1};
    budget_learn(one, &r);
    cr_assert_eq(budget_left(one), 10);
    r.used_weight_1m = 20;
    budget_learn(one, &r);
    cr_assert_eq(budget_left(one), 10);
    ask(two, 11, BUDGET_CANCEL, PATIENCE_MS, 2);
    ask(two, 10, BUDGET_CANCEL, PATIENCE_MS, 3);
    wait_for(3, "two more");
    cr_assert_eq(answers[1], -2);
    cr_assert_eq(answers[2], -3, "behind one for which there is no room");
    ask(two, 10, BUDGET_CANCEL, PATIENCE_MS, 4);
    budget_close(&two);
    two = open_with(100, WEEK_MS, 10);
    ask(two, 10, BUDGET_CANCEL, PATIENCE_MS, 5);
    wait_for(5, "what is left");
    cr_assert_eq(answers[4], 5);
}

Test(budget, a_count_of_the_window_before_is_no_count_of_this_one)
{
    one = open_with(100, WEEK_MS, 10);
    struct fetch_reply r = {.status = 200, .used_weight_1m = 90, .retry_after_s = -1};
    r.date_us = loop_now_us(stage.loop) - WEEK_MS * 1000;
    budget_learn(one, &r);
    cr_assert_eq(budget_left(one), 100);
    r.date_us = loop_now_us(stage.loop) + 10 * WEEK_MS * 1000; /* a clock that is not to be had */
    budget_learn(one, &r);
    cr_assert_eq(budget_left(one), 10);
}

Test(budget, a_ban_stops_all)
{
    one = open_with(100, WEEK_MS, 10);
    two = open_with(100, WEEK_MS, 10);
    ask(two, 1, BUDGET_CANCEL, PATIENCE_MS, 1);
    wait_for(1, "before the ban");
    int64_t began_us = loop_now_us(stage.loop);
    struct fetch_reply r = {.status = 429, .used_weight_1m = -1, .retry_after_s = 1};
    budget_learn(one, &r);
    cr_assert_geq(budget_banned_until_us(one), began_us + 1000000);
    ask(one, 1, BUDGET_CANCEL, 100, 2);
    cr_assert_eq(answers[1], -2, "at once: it ends too late");
    cr_assert(last_retry_ms > 900 && last_retry_ms <= 1000);
    ask(two, 1, BUDGET_CANCEL, 100, 3);
    wait_for(3, "the other one hears of it");
    cr_assert_eq(answers[2], -3);
    cr_assert_neq(budget_banned_until_us(two), 0);
    ask(one, 1, BUDGET_READ, 5000, 4);
    ask(two, 1, BUDGET_READ, 5000, 5);
    wait_for(5, "the end of the ban");
    cr_assert_eq(granted, 3);
    cr_assert_geq(loop_now_us(stage.loop), began_us + 1000000);
    cr_assert_eq(budget_banned_until_us(two), 0);
    r = (struct fetch_reply){.status = 418, .used_weight_1m = -1, .retry_after_s = -1};
    budget_learn(two, &r);
    cr_assert_geq(budget_banned_until_us(two), loop_now_us(stage.loop) + 119 * INT64_C(1000000));
}

Test(budget, without_redis_each_keeps_to_its_share)
{
    redis_link_close(&redis);
    one = open_with(100, WEEK_MS, 30);
    cr_assert_eq(ask_often(one, 50, BUDGET_READ), 21);
    cr_assert_eq(ask_often(one, 50, BUDGET_CANCEL), 9);
    redis = link_to("127.0.0.1:1");
    two = open_with(100, WEEK_MS, 30);
    ask(two, 30, BUDGET_CANCEL, 5000, 1);
    cr_assert_eq(count, 100, "Redis is waited for at first");
    wait_for(101, "but not for long");
    cr_assert_eq(answers[100], 1);
    cr_assert_eq(ask_often(two, 1, BUDGET_CANCEL), 0);
}

/* ---- Processes --------------------------------------------------------------------------- */

struct grant {
    int64_t at_us;
    uint32_t weight;
};

static struct log {
    int count;
    struct grant grants[GRANT_MAX];
} * logs; /* shared with the children */

static struct log *log_now;
static struct budget *child_budget;
static int child_left, child_waiting;
static uint32_t child_random, child_priorities = BUDGET_PRIORITIES;

static void child_ask(void);

static void
on_child_answer(void *arg, bool is_granted, int64_t retry_after_ms)
{
    (void)retry_after_ms;
    child_waiting--;
    if (is_granted && log_now->count < GRANT_MAX)
        log_now->grants[log_now->count++] =
            (struct grant){loop_now_us(stage.loop), (uint32_t)(uintptr_t)arg};
    child_ask();
}

static void
child_ask(void)
{
    while (child_left > 0 && child_waiting < 50) {
        child_left--;
        child_waiting++;
        child_random = child_random * 1664525u + 1013904223u;
        uint32_t weight = 1 + (child_random >> 16) % 5;
        enum budget_priority p = (enum budget_priority)((child_random >> 24) % child_priorities);
        budget_ask(child_budget, weight, p, 2000, on_child_answer, (void *)(uintptr_t)weight);
    }
    if (child_left == 0 && child_waiting == 0)
        loop_stop(stage.loop);
}

/* One process that asks `asks` times, mostly with 50 waiting. */
static pid_t
child_start(int index, const char *address, uint32_t limit, int64_t window_ms, int asks)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    stage.loop = loop_new();
    log_now = &logs[index];
    redis = link_to(address);
    child_budget = open_with(limit, window_ms, 30);
    child_left = asks;
    child_random = (uint32_t)index + 1;
    child_ask();
    loop_run(stage.loop);
    _exit(0);
}

static void
children_wait(const pid_t *pids, int n)
{
    for (int i = 0; i < n; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            continue;
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d", i);
    }
}

/* No window went over. How much of the limit is used depends on how fast this machine is: that
 * nearly all of it can be is shown in made-up time (allowance_sim_test.c). */
static void
windows_judge(int n, int64_t window_ms, uint32_t limit)
{
    int64_t first = INT64_MAX, last = 0;
    uint32_t most = 0;
    int grants = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < logs[i].count; k++, grants++) {
            int64_t w = logs[i].grants[k].at_us / (window_ms * 1000);
            first = w < first ? w : first;
            last = w > last ? w : last;
        }
    for (int64_t w = first; w <= last; w++) {
        uint32_t spent = 0;
        for (int i = 0; i < n; i++)
            for (int k = 0; k < logs[i].count; k++)
                if (logs[i].grants[k].at_us / (window_ms * 1000) == w)
                    spent += logs[i].grants[k].weight;
        cr_assert_leq(spent, limit, "window %lld", (long long)(w - first));
        most = spent > most ? spent : most;
    }
    cr_assert_gt(most, 0);
    cr_log_info("%d grants in %lld windows, %u of %u at most", grants,
                (long long)(last - first + 1), most, limit);
}

static void
logs_open(int n)
{
    logs = mmap(NULL, (size_t)n * sizeof *logs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    cr_assert(logs != MAP_FAILED);
}

Test(budget, three_processes_never_spend_more_than_the_limit)
{
    pid_t pids[3];
    logs_open(3);
    child_priorities = 1; /* cancels, which may use all of it */
    for (int i = 0; i < 3; i++)
        pids[i] = child_start(i, getenv("SCRIP_TEST_REDIS"), 2000, 500, 2000);
    children_wait(pids, 3);
    windows_judge(3, 500, 2000);
    munmap(logs, 3 * sizeof *logs);
}

/* ---- A Redis that dies ------------------------------------------------------------------- */

static char socket_path[128];

static pid_t
redis_start(void)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        cr_assert(freopen("/dev/null", "w", stdout) != NULL);
        execl("/usr/bin/redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
              "--save", "", "--appendonly", "no", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void
redis_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    unlink(socket_path);
}

static bool
is_up(void)
{
    return redis_link_is_up(redis);
}

static bool
is_down(void)
{
    return !redis_link_is_up(redis);
}

static void
own_redis_link(void)
{
    char address[160];
    redis_link_close(&redis);
    snprintf(socket_path, sizeof socket_path, "%s/redis.sock", stage.folder);
    snprintf(address, sizeof address, "unix:%s", socket_path);
    redis = link_to(address);
}

Test(budget, when_redis_dies_each_goes_on_alone_and_is_shared_again_later)
{
    own_redis_link();
    pid_t pid = redis_start();
    one = open_with(1000, 1000, 30);
    ask(one, 100, BUDGET_CANCEL, PATIENCE_MS, 1);
    wait_for(1, "the start of Redis");
    cr_assert_eq(answers[0], 1);
    redis_kill(pid);
    net_wait(&stage, is_down, "the end of Redis");
    int64_t began_us = loop_now_us(stage.loop);
    int shared = 0;
    ask(one, 400, BUDGET_CANCEL, 0, 2);
    cr_assert_eq(answers[1], -2, "more than its share");
    pid = redis_start();
    net_wait(&stage, is_up, "Redis again");
    while (shared == 0) { /* when the window is over, and those in which others may be alone */
        int before = count;
        ask(one, 400, BUDGET_CANCEL, 15, 3);
        wait_for(before + 1, "an answer");
        shared = answers[before] == 3;
        cr_assert_lt(loop_now_us(stage.loop), began_us + 15 * INT64_C(1000000));
        if (!shared) {
            before = count;
            ask(one, 1, BUDGET_READ, 5000, 4); /* in the next window at the latest */
            wait_for(before + 1, "an answer");
        }
    }
    budget_close(&one);
    redis_kill(pid);
}

/* A Redis that has just begun is waited for, also by one that was asked for nothing meanwhile. */
Test(budget, who_begins_together_with_redis_is_not_alone)
{
    own_redis_link();
    pid_t pid = redis_start();
    net_wait(&stage, is_up, "Redis");
    one = open_with(100, WEEK_MS, 10);
    two = open_with(100, WEEK_MS, 10);
    cr_assert_eq(ask_often(one, 40, BUDGET_CANCEL), 40);
    cr_assert_eq(ask_often(two, 40, BUDGET_CANCEL), 40);
    budget_close(&one);
    budget_close(&two);
    redis_kill(pid);
}

static int grants_wanted;

/* A process that has not heard yet what the others spent could only guess. */
static bool
each_was_granted(void)
{
    for (int i = 0; i < 3; i++)
        if (logs[i].count < grants_wanted)
            return false;
    return true;
}

Test(budget, redis_dies_and_comes_back_under_three_processes)
{
    pid_t pids[3];
    char address[160];
    logs_open(3);
    own_redis_link();
    snprintf(address, sizeof address, "unix:%s", socket_path);
    pid_t pid = redis_start();
    net_wait(&stage, is_up, "Redis");
    for (int i = 0; i < 3; i++)
        pids[i] = child_start(i, address, 2000, 1000, 1200);
    for (int i = 0; i < 2; i++) {
        grants_wanted = 200 * (i + 1);
        net_wait(&stage, each_was_granted, "each process was granted so many");
        redis_kill(pid);
        net_wait(&stage, is_down, "the end of Redis");
        pid = redis_start();
        net_wait(&stage, is_up, "Redis again");
    }
    children_wait(pids, 3);
    windows_judge(3, 1000, 2000);
    redis_kill(pid);
    munmap(logs, 3 * sizeof *logs);
}
