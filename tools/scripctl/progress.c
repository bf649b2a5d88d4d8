/*
 * progress.c - how far long work has come, on standard error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scripctl/scratch.h"
#include "scripctl/value.h"

#define CALLS_MASK  4095    /* the clock is read once in so many calls, and one */
#define SHORT_US    1000000 /* work that ends before this was not worth a line */
#define TERMINAL_US 200000  /* between two pictures of the bar */
#define LINE_US     5000000 /* between two lines of a log */
#define BAR_CHARS   24
#define LINE_BYTES  200

void
progress_begin(struct progress *p, const char *what, const char *unit, uint64_t total,
               bool is_quiet)
{
    int64_t now = value_now_us();
    *p = (struct progress){.what = what,
                           .unit = unit,
                           .total = total,
                           .began_us = now,
                           .said_us = now,
                           .is_quiet = is_quiet,
                           .is_terminal = isatty(STDERR_FILENO) == 1};
}

static void
write_count(char *out, size_t size, uint64_t count)
{
    if (count < 100000)
        snprintf(out, size, "%llu", (unsigned long long)count);
    else if (count < UINT64_C(100000000))
        snprintf(out, size, "%llu.%llu k", (unsigned long long)(count / 1000),
                 (unsigned long long)(count / 100 % 10));
    else
        snprintf(out, size, "%llu.%llu M", (unsigned long long)(count / 1000000),
                 (unsigned long long)(count / 100000 % 10));
}

static void
write_span(char *out, size_t size, int64_t us)
{
    long long s = us / 1000000;
    if (s < 60)
        snprintf(out, size, "%llds", s);
    else if (s < 3600)
        snprintf(out, size, "%lldm%02llds", s / 60, s % 60);
    else
        snprintf(out, size, "%lldh%02lldm", s / 3600, s / 60 % 60);
}

static void
write_line(const struct progress *p, int64_t now_us, char out[LINE_BYTES])
{
    char done[24], total[24], rate[24], span[24], bar[BAR_CHARS + 1];
    int64_t spent_us = now_us - p->began_us > 0 ? now_us - p->began_us : 1;
    __extension__ unsigned __int128 scaled = p->done;
    uint64_t a_second = (uint64_t)(scaled * 1000000 / (uint64_t)spent_us);
    write_count(done, sizeof(done), p->done);
    write_count(rate, sizeof(rate), a_second);
    if (p->total == 0) {
        write_span(span, sizeof(span), spent_us);
        snprintf(out, LINE_BYTES, "%s: %s %s, %s/s, %s", p->what, done, p->unit, rate, span);
        return;
    }
    uint64_t at_most = p->done < p->total ? p->done : p->total;
    uint64_t share = (uint64_t)(scaled * 1000 / p->total);
    uint64_t filled = at_most * BAR_CHARS / p->total;
    memset(bar, ' ', BAR_CHARS);
    memset(bar, '#', filled);
    bar[BAR_CHARS] = 0;
    write_count(total, sizeof(total), p->total);
    write_span(span, sizeof(span),
               a_second == 0 ? 0 : (int64_t)((p->total - at_most) / a_second) * 1000000);
    share = share > 1000 ? 1000 : share;
    if (p->is_terminal)
        snprintf(out, LINE_BYTES, "%s [%s] %3llu %%  %s of %s %s, %s/s, %s to go", p->what, bar,
                 (unsigned long long)(share / 10), done, total, p->unit, rate, span);
    else
        snprintf(out, LINE_BYTES, "%s: %llu %%, %s of %s %s, %s/s, %s to go", p->what,
                 (unsigned long long)(share / 10), done, total, p->unit, rate, span);
}

static void
show(struct progress *p)
{
    int64_t now = value_now_us();
    int64_t pause = !p->is_terminal ? LINE_US : p->is_shown ? TERMINAL_US : SHORT_US;
    char line[LINE_BYTES];
    if (now - p->said_us < pause)
        return;
    p->said_us = now;
    p->is_shown = true;
    write_line(p, now, line);
    if (p->is_terminal) {
        fprintf(stderr, "\r%s\033[K", line);
        scratch_line(true);
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
}

void
progress_add(struct progress *p, uint64_t more)
{
    p->done += more;
    if (!p->is_quiet && (p->calls++ & CALLS_MASK) == CALLS_MASK)
        show(p);
}

void
progress_end(struct progress *p)
{
    if (!p->is_shown || !p->is_terminal)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    scratch_line(false);
    p->is_shown = false;
}
