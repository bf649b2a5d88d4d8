/*
 * log_test.c - one line an event, whose values cannot forge another pair or another line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/msg.h"

static int file, old_error;
static char text[8192];

static void
set_up(void)
{
    char path[] = "/tmp/scrip-log-test-XXXXXX";
    file = mkstemp(path);
    cr_assert_geq(file, 0);
    unlink(path);
    old_error = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    log_open("ledger", LOG_INFO);
}

static void
tear_down(void)
{
    dup2(old_error, STDERR_FILENO);
}

TestSuite(log, .init = set_up, .fini = tear_down);

/* What was written, from `event=` on. */
static const char *
written(void)
{
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    cr_assert_gt(length, 0);
    text[length] = '\0';
    cr_assert_eq(ftruncate(file, 0), 0);
    lseek(file, 0, SEEK_SET);
    const char *event = strstr(text, "event=");
    cr_assert_not_null(event, "%s", text);
    return event;
}

Test(log, a_line_has_time_level_service_event_and_pairs)
{
    log_line(LOG_WARN, "behind", "queue=%d shard=%s ratio=%u%%", 12, "s-3", 95u);
    const char *event = written();
    cr_assert_str_eq(event, "event=behind queue=12 shard=s-3 ratio=95%\n");
    cr_assert_not_null(strstr(text, "Z level=warn service=ledger event="));
    cr_assert_eq(strncmp(text, "time=20", 7), 0);
}

Test(log, values_with_blanks_are_quoted)
{
    log_line(LOG_INFO, "failed", "path=%s reason=%s n=%d", "/a", "no such file", 1);
    cr_assert_str_eq(written(), "event=failed path=/a reason=\"no such file\" n=1\n");
}

Test(log, a_value_cannot_forge_a_pair_or_a_line)
{
    log_line(LOG_INFO, "login", "user=%s ok=%d", "x level=error", 0);
    cr_assert_str_eq(written(), "event=login user=\"x level=error\" ok=0\n");
    log_line(LOG_INFO, "login", "user=%s", "x\ntime=2026 \"quoted\\\"\x01\x7f");
    cr_assert_str_eq(written(),
                     "event=login user=\"x\\ntime=2026 \\\"quoted\\\\\\\"\\x01\\x7f\"\n");
    log_line(LOG_INFO, "login", "user=%s", "");
    cr_assert_str_eq(written(), "event=login user=\"\"\n");
    log_line(LOG_INFO, "login", "user=%s", getenv("SCRIP_NO_SUCH_VARIABLE"));
    cr_assert_str_eq(written(), "event=login user=(none)\n");
}

Test(log, formats_that_quote_themselves_are_not_quoted_twice)
{
    log_line(LOG_INFO, "failed", "reason=\"%s (%d)\" n=%d", "no such file", 2, 1);
    cr_assert_str_eq(written(), "event=failed reason=\"no such file (2)\" n=1\n");
    log_line(LOG_INFO, "failed", "%s", "a=1 b=\"two words\"");
    cr_assert_str_eq(written(), "event=failed a=1 b=\"two words\"\n", "pairs made elsewhere");
}

Test(log, every_conversion_is_taken)
{
    log_line(LOG_INFO, "all", "a=%5d b=%-3sx c=%08lx d=%llu e=%zu f=%.*s g=%c h=%ld i=%hhu", 42,
             "y", 255L, 18446744073709551615ull, (size_t)7, 2, "abc", 'z', -1L, (unsigned char)9);
    cr_assert_str_eq(written(), "event=all a=\"   42\" b=\"y  x\" c=000000ff "
                                "d=18446744073709551615 e=7 f=ab g=z h=-1 i=9\n");
}

Test(log, a_request_is_named_by_its_correlation_id)
{
    log_corr(LOG_INFO, 0xabc, "answered", "us=%d", 5);
    cr_assert_str_eq(written(), "event=answered corr=0000000000000abc us=5\n");
}

Test(log, levels_below_the_least_are_silent)
{
    cr_assert_not(log_on(LOG_DEBUG));
    log_line(LOG_DEBUG, "hidden", "%s", "");
    log_msg("hidden", &(struct msg){.type = MSG_link_beat});
    log_line(LOG_ERROR, "shown", "%s", "");
    cr_assert_str_eq(written(), "event=shown\n");
    log_open("ledger", LOG_DEBUG);
    cr_assert(log_on(LOG_DEBUG));
    log_msg("sent", &(struct msg){.type = MSG_link_beat, .corr = 1, .link_beat = {.frames = 3}});
    cr_assert_str_eq(written(), "event=sent link_beat corr=0000000000000001 frames=3\n");
}

Test(log, a_long_value_is_cut_and_the_line_still_ends)
{
    static char value[10000];
    memset(value, 'x', sizeof value - 1);
    log_line(LOG_INFO, "long", "value=%s next=%d", value, 1);
    const char *event = written();
    cr_assert_lt(strlen(event), 4097);
    cr_assert_eq(event[strlen(event) - 1], '\n');
    cr_assert_not_null(strstr(event, " next=1\n"));
}

Test(log, a_pipe_that_nobody_reads_does_not_stop_the_process, .timeout = 20)
{
    int ends[2];
    char block[4096] = "";
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], block, sizeof block) > 0)
        ;
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0, "as a shell makes it");
    dup2(ends[1], STDERR_FILENO);
    log_line(LOG_ERROR, "lost", "why=%s", "the pipe is full");
    while (read(ends[0], block, sizeof block) > 0)
        ;
    log_line(LOG_ERROR, "written", "why=%s", "it is empty again");
    ssize_t length = read(ends[0], block, sizeof block - 1);
    cr_assert_gt(length, 0);
    block[length] = '\0';
    cr_assert_not_null(strstr(block, "event=written"));
    cr_assert_null(strstr(block, "event=lost"));
    close(ends[0]);
    close(ends[1]);
}
