/*
 * gw_child_test.c - programs beside the gateway: what they get, what is kept of them, how they end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/child.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIME_MS 400

static struct loop *loop;
static struct children *children;
static char said[4096];
static uint64_t last_owner;
static enum child_end last_end;
static int last_status, times;

static void
on_done(void *arg, uint64_t owner, enum child_end end, int status, const struct bytes *out)
{
    (void)arg;
    size_t length = out->length < sizeof said - 1 ? out->length : sizeof said - 1;
    memcpy(said, out->data == NULL ? (const uint8_t *)"" : out->data, length);
    said[length] = '\0';
    last_owner = owner;
    last_end = end;
    last_status = status;
    times++;
    loop_stop(loop);
}

static void
open_children(uint32_t running_max, int64_t time_ms)
{
    const struct children_options o = {
        .loop = loop, .running_max = running_max, .bytes_max = 65536, .time_ms = time_ms};
    children = children_open(&o, on_done, NULL);
}

static void
begin(void)
{
    loop = loop_new();
    open_children(2, 60000);
}

static void
end(void)
{
    children_close(&children);
    loop_destroy(&loop);
}

TestSuite(child, .init = begin, .fini = end, .timeout = 60);

static enum err
start(uint64_t owner, const char *script)
{
    char shell[] = "sh", option[] = "-c", text[512], pair[] = "GIVEN=yes";
    snprintf(text, sizeof text, "%s", script);
    char *const arguments[] = {shell, option, text, NULL};
    char *const environment[] = {pair, NULL};
    return child_start(children, owner, "/bin/sh", arguments, environment);
}

static void
until_free(void)
{
    struct loop_timer *timer;
    while (children_count(children) > 0) {
        timer = loop_timer_new(loop, 1, 0, (void (*)(void *))loop_stop, loop);
        loop_run(loop);
        loop_timer_end(&timer);
    }
}

Test(child, what_it_says_and_its_status_are_told)
{
    cr_assert_eq(start(7, "echo one; echo two >&2; exit 3"), OK);
    cr_expect_eq(children_count(children), 1);
    loop_run(loop);
    cr_expect_eq(last_owner, 7);
    cr_expect_eq(last_end, CHILD_EXITED);
    cr_expect_eq(last_status, 3);
    cr_expect_str_eq(said, "one\n");
    cr_expect_eq(children_count(children), 0);
}

Test(child, it_gets_nothing_of_ours)
{
    setenv("SECRET", "hidden", 1);
    int fd = open("/dev/null", O_RDONLY); /* not marked to be closed */
    cr_assert_geq(fd, 3);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(start(1, "cat; /usr/bin/env | sort | tr '\\n' ' '; /bin/ls /proc/self/fd | "
                          "tr '\\n' ' '; /bin/grep -h SigIgn /proc/self/status"),
                 OK);
    loop_run(loop);
    cr_expect_not_null(strstr(said, "GIVEN=yes "));
    cr_expect_null(strstr(said, "SECRET"), "%s", said);
    cr_expect_not_null(strstr(said, " 0 1 2 3 "), "and the folder that ls reads: %s", said);
    const char *ignored = strstr(said, "SigIgn:\t");
    cr_assert_not_null(ignored, "%s", said);
    cr_expect_eq(strtoull(ignored + 8, NULL, 16) >> (SIGPIPE - 1) & 1, 0, "%s", said);
    close(fd);
}

/* Gone, or only waiting for whoever adopted it to hear of its end. */
static bool
has_ended(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char *state = length == 0 ? NULL : strrchr(text, ')');
    return state == NULL || strncmp(state, ") Z", 3) == 0;
}

Test(child, one_that_takes_too_long_is_ended_with_all_it_started)
{
    children_close(&children);
    open_children(2, TIME_MS);
    cr_assert_eq(start(1, "sleep 1000 & echo $!; wait"), OK);
    loop_run(loop);
    cr_expect_eq(last_end, CHILD_TOO_LATE);
    pid_t grandchild = (pid_t)strtol(said, NULL, 10);
    cr_assert_gt(grandchild, 1);
    until_free();
    while (!has_ended(grandchild))
        continue;
    cr_expect_eq(times, 1);
}

Test(child, one_that_says_too_much_is_ended)
{
    cr_assert_eq(start(1, "while :; do echo more and more and more and more and more; done"), OK);
    loop_run(loop);
    cr_expect_eq(last_end, CHILD_TOO_LARGE);
    until_free();
    cr_expect_eq(times, 1);
}

Test(child, one_that_is_killed_is_told)
{
    cr_assert_eq(start(1, "echo this; sleep 1000 & kill -9 $$"), OK);
    loop_run(loop);
    cr_expect_eq(last_end, CHILD_SIGNALED);
    cr_expect_str_eq(said, "this\n", "though what it started had not ended");
    cr_expect_eq(last_status, SIGKILL);
}

Test(child, of_a_dropped_one_nothing_is_heard)
{
    cr_assert_eq(start(1, "sleep 1000"), OK);
    cr_assert_eq(start(2, "sleep 1000"), OK);
    child_drop(children, 1);
    cr_expect_eq(children_count(children), 2, "its place is free when it has ended");
    cr_expect_eq(start(3, "exit 0"), ERR_GATEWAY_BUSY);
    child_drop(children, 2);
    until_free();
    cr_expect_eq(times, 0);
    cr_assert_eq(start(3, "exit 0"), OK);
    loop_run(loop);
    cr_expect_eq(last_owner, 3);
}

static bool
is_second(void *arg, uint64_t owner)
{
    (void)arg;
    return owner == 2;
}

Test(child, those_that_nobody_wants_are_swept_away)
{
    cr_assert_eq(start(1, "sleep 1000"), OK);
    cr_assert_eq(start(2, "echo mine"), OK);
    children_sweep(children, is_second);
    loop_run(loop);
    cr_expect_eq(last_owner, 2);
    cr_expect_str_eq(said, "mine\n");
    until_free();
    cr_expect_eq(times, 1);
}

Test(child, a_program_that_is_not_there_is_refused)
{
    char name[] = "nothing";
    char *const none[] = {name, NULL};
    cr_expect_eq(child_start(children, 1, "/nowhere/nothing", none, none + 1), ERR_FILE_UNREADABLE);
    cr_expect_eq(children_count(children), 0);
}

Test(child, closing_ends_those_that_run)
{
    cr_assert_eq(start(1, "sleep 1000"), OK);
    children_close(&children);
    cr_expect_null(children);
    cr_expect_eq(times, 0);
}
