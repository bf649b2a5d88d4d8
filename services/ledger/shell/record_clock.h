/*
 * record_clock.h - the time of records: the clock's, but never before the newest record, and after
 * what was there when this process began: what it writes is told from that by its time.
 *
 * While the clock is behind that, after it was set back or after a ledger with a clock ahead, time
 * goes on at half its pace: what waits for a time to pass does not wait for the clock to catch up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_RECORD_CLOCK_H
#define SCRIP_LEDGER_SHELL_RECORD_CLOCK_H

#include <stdint.h>

struct record_clock {
    int64_t newest_us;  /* time of the last record of this process; 0 = none */
    int64_t written_us; /* steady; when that was written */
    int64_t steady_us;  /* now */
};

/* At every turn. */
static inline void
record_clock_turn(struct record_clock *c, int64_t steady_us)
{
    c->steady_us = steady_us;
    if (c->written_us == 0) /* before the first turn */
        c->written_us = steady_us;
}

/* `stored_us` is the newest time that others wrote. */
static inline int64_t
record_clock_now(const struct record_clock *c, int64_t stored_us, int64_t now_us)
{
    int64_t newest_us = c->newest_us;
    if (newest_us > 0)
        newest_us += (c->steady_us - c->written_us) / 2;
    if (stored_us > 0 && stored_us >= newest_us)
        newest_us = stored_us + 1;
    return now_us > newest_us ? now_us : newest_us;
}

static inline void
record_clock_write(struct record_clock *c, int64_t time_us)
{
    c->newest_us = time_us;
    c->written_us = c->steady_us;
}

#endif
