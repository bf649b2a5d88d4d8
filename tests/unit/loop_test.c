/*
 * loop_test.c - turns, timers, hooks, descriptors, wake-ups, and ZeroMQ's edges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/loop.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "base/check.h"

static struct loop *loop;
static char trace[256];
static int left;

static void
note(void *arg)
{
    size_t length = strlen(trace);
    snprintf(trace + length, sizeof trace - length, "%s", (const char *)arg);
}

static void
stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("the loop stood still: %s, %d left", trace, left);
}

static void
run(void)
{
    struct loop_timer *limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);
    loop_run(loop);
    loop_timer_end(&limit);
}

static void
set_up(void)
{
    loop = loop_new();
}

static void
tear_down(void)
{
    loop_destroy(&loop);
    cr_assert_null(loop);
}

TestSuite(loop, .init = set_up, .fini = tear_down);

Test(loop, timers_fire_in_the_order_of_their_times)
{
    struct loop_timer *c = loop_timer_new(loop, 30, 0, stop, NULL);
    struct loop_timer *b = loop_timer_new(loop, 20, 0, note, "b");
    struct loop_timer *a = loop_timer_new(loop, 10, 0, note, "a");
    struct loop_timer *stopped = loop_timer_new(loop, 5, 0, note, "x");
    loop_timer_stop(stopped);
    run();
    cr_assert_str_eq(trace, "ab");
    loop_timer_end(&a);
    loop_timer_end(&b);
    loop_timer_end(&c);
    loop_timer_end(&stopped);
}

static void
count_down(void *arg)
{
    struct loop_timer **t = arg;
    if (--left == 0) {
        loop_timer_end(t); /* from within its own call */
        loop_stop(loop);
    }
}

Test(loop, a_timer_repeats_until_it_is_ended)
{
    left = 5;
    struct loop_timer *t = NULL;
    t = loop_timer_new(loop, 1, 1, count_down, &t);
    run();
    cr_assert_null(t);
}

Test(loop, a_timer_set_again_forgets_its_first_time)
{
    struct loop_timer *t = loop_timer_new(loop, 60000, 0, stop, NULL);
    loop_timer_again(t, 1);
    run();
    loop_timer_end(&t);
}

static void
remove_me(void *arg)
{
    note("r");
    loop_off_turn(loop, remove_me, arg);
}

Test(loop, hooks_run_in_order_and_flush_hooks_after_them)
{
    loop_on_flush(loop, note, "3");
    loop_on_turn(loop, note, "1");
    loop_on_turn(loop, remove_me, NULL);
    loop_on_turn(loop, note, "2");
    struct loop_timer *t = loop_timer_new(loop, 0, 0, stop, NULL);
    run();
    /* The turn before the timer, and the one that stops; the removed hook runs once. */
    cr_assert_str_eq(trace, "1r23123");
    loop_timer_end(&t);
}

static void
soon_again(void *arg)
{
    (void)arg;
    if (--left == 0)
        loop_stop(loop);
    else
        loop_soon(loop);
}

Test(loop, soon_makes_turns_come_without_waiting)
{
    left = 1000;
    loop_on_turn(loop, soon_again, NULL);
    run();
    cr_assert_eq(left, 0);
}

static int64_t seen_now, seen_steady;

static void
clocks_see(void *arg)
{
    int64_t now = loop_now_us(loop), steady = loop_steady_us(loop);
    for (volatile int i = 0; i < 100000; i++)
        continue;
    cr_assert_eq(now, loop_now_us(loop), "the clock stands still within a turn");
    cr_assert_gt(steady, seen_steady);
    cr_assert_gt(now, INT64_C(1700000000000000));
    seen_now = now;
    seen_steady = steady;
    if (--left == 0)
        stop(arg);
}

Test(loop, the_clock_is_read_once_a_turn)
{
    left = 3;
    seen_steady = loop_steady_us(loop);
    struct loop_timer *t = loop_timer_new(loop, 1, 1, clocks_see, NULL);
    run();
    loop_timer_end(&t);
}

static int pipe_fds[2];
static struct loop_watch *pipe_watch;

static void
on_pipe(void *arg, unsigned events)
{
    (void)arg;
    char c;
    if (events & LOOP_READ) {
        cr_assert_eq(read(pipe_fds[0], &c, 1), 1);
        note("r");
        if (--left == 0) {
            loop_watch_end(&pipe_watch);
            loop_stop(loop);
        }
    }
}

static void
pipe_resume(void *arg)
{
    cr_assert_str_eq(trace, "", "a paused descriptor is silent");
    loop_watch_set(arg, LOOP_READ);
}

Test(loop, a_descriptor_is_watched_paused_and_resumed)
{
    cr_assert_eq(pipe(pipe_fds), 0);
    left = 2;
    cr_assert_eq(write(pipe_fds[1], "ab", 2), 2);
    pipe_watch = loop_watch_fd(loop, pipe_fds[0], 0, on_pipe, NULL);
    struct loop_timer *t = loop_timer_new(loop, 10, 0, pipe_resume, pipe_watch);
    run();
    cr_assert_str_eq(trace, "rr");
    loop_timer_end(&t);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void *
wake_from_thread(void *arg)
{
    loop_wake_send(arg);
    return NULL;
}

Test(loop, another_thread_wakes_the_loop)
{
    struct loop_wake *w = loop_wake_new(loop, stop, NULL);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_from_thread, w), 0);
    run();
    pthread_join(thread, NULL);
    loop_wake_end(&w);
}

/* ---- ZeroMQ ----------------------------------------------------------------------------- */

struct end {
    void *socket;
    struct loop_watch *watch;
    int received;
};

static void *context;
static char socket_path[64];
static struct end left_end, right_end;

static void
ends_open(void (*on_left)(void *), void (*on_right)(void *))
{
    char endpoint[128];
    context = zmq_ctx_new();
    snprintf(socket_path, sizeof socket_path, "/tmp/scrip-loop-test-%d", (int)getpid());
    snprintf(endpoint, sizeof endpoint, "ipc://%s", socket_path);
    left_end.socket = zmq_socket(context, ZMQ_PAIR);
    right_end.socket = zmq_socket(context, ZMQ_PAIR);
    int unlimited = 0;
    zmq_setsockopt(left_end.socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(right_end.socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    cr_assert_eq(zmq_bind(left_end.socket, endpoint), 0);
    cr_assert_eq(zmq_connect(right_end.socket, endpoint), 0);
    left_end.watch = loop_watch_zmq(loop, left_end.socket, on_left, &left_end);
    right_end.watch = loop_watch_zmq(loop, right_end.socket, on_right, &right_end);
}

static void
ends_close(void)
{
    int none = 0;
    loop_watch_end(&left_end.watch);
    loop_watch_end(&right_end.watch);
    zmq_setsockopt(left_end.socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(right_end.socket, ZMQ_LINGER, &none, sizeof none);
    zmq_close(left_end.socket);
    zmq_close(right_end.socket);
    zmq_ctx_term(context);
    unlink(socket_path);
}

static void
ping_back(void *arg)
{
    struct end *e = arg;
    int n;
    if (zmq_recv(e->socket, &n, sizeof n, ZMQ_DONTWAIT) != sizeof n)
        return;
    e->received++;
    if (n == 0) {
        loop_stop(loop);
        return;
    }
    n--;
    cr_assert_eq(zmq_send(e->socket, &n, sizeof n, ZMQ_DONTWAIT), sizeof n);
}

Test(loop, ten_thousand_pings_go_to_and_fro_without_a_missed_edge)
{
    ends_open(ping_back, ping_back);
    int n = 10000;
    cr_assert_eq(zmq_send(left_end.socket, &n, sizeof n, 0), sizeof n);
    run();
    cr_assert_eq(left_end.received + right_end.received, 10001);
    ends_close();
}

static struct loop_timer *sender;

/* Sends from a timer: the use may have taken in what the descriptor would have told. Again when the
 * other end is not connected yet. */
static void
send_later(void *arg)
{
    struct end *e = arg;
    int n = 1000;
    if (zmq_send(e->socket, &n, sizeof n, ZMQ_DONTWAIT) != (int)sizeof n)
        loop_timer_again(sender, 5);
    loop_watch_used(e->watch);
}

Test(loop, a_socket_used_between_turns_misses_no_edge)
{
    ends_open(ping_back, ping_back);
    sender = loop_timer_new(loop, 5, 0, send_later, &left_end);
    run();
    loop_timer_end(&sender);
    cr_assert_eq(left_end.received + right_end.received, 1001);
    ends_close();
}

static void
take_one(void *arg)
{
    struct end *e = arg;
    int n;
    cr_assert_eq(zmq_recv(e->socket, &n, sizeof n, ZMQ_DONTWAIT), sizeof n);
    cr_assert_eq(n, e->received++, "in order, none lost");
    if (e->received == 1000)
        loop_stop(loop);
}

static void
nothing(void *arg)
{
    (void)arg;
}

Test(loop, a_handler_that_leaves_messages_unread_is_called_again)
{
    ends_open(nothing, take_one);
    for (int n = 0; n < 1000; n++)
        cr_assert_eq(zmq_send(left_end.socket, &n, sizeof n, 0), sizeof n);
    run();
    cr_assert_eq(right_end.received, 1000);
    ends_close();
}

static void
count_turn(void *arg)
{
    ++*(int *)arg;
}

static void
resume_right(void *arg)
{
    cr_assert_eq(right_end.received, 0, "a paused socket is silent");
    cr_assert_lt(*(int *)arg, 20, "and does not keep the loop from waiting");
    loop_watch_set(right_end.watch, LOOP_READ);
}

Test(loop, a_paused_socket_keeps_its_messages)
{
    ends_open(nothing, take_one);
    loop_watch_set(right_end.watch, 0);
    for (int n = 0; n < 1000; n++)
        cr_assert_eq(zmq_send(left_end.socket, &n, sizeof n, 0), sizeof n);
    int turns = 0;
    loop_on_turn(loop, count_turn, &turns);
    struct loop_timer *t = loop_timer_new(loop, 30, 0, resume_right, &turns);
    run();
    loop_timer_end(&t);
    loop_off_turn(loop, count_turn, &turns);
    ends_close();
}
