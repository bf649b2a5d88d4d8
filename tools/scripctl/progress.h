/*
 * progress.h - a line on standard error that tells how far long work has come.
 *
 * A bar with rate and time to go on a terminal, a line every few seconds elsewhere, nothing with
 * --quiet or when the work is short.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PROGRESS_H
#define SCRIPCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what, *unit; /* "verifying", "records" */
    uint64_t done, total;    /* total 0 = not known */
    int64_t began_us, said_us;
    uint32_t calls;
    bool is_quiet, is_shown, is_terminal;
};

void progress_begin(struct progress *p, const char *what, const char *unit, uint64_t total,
                    bool is_quiet);
/* Cheap: looks at the clock once in a few thousand calls. */
void progress_add(struct progress *p, uint64_t more);
/* Takes the line away. */
void progress_end(struct progress *p);

#endif
