/*
 * breaker.h - a circuit breaker: what fails again and again is left alone for a while.
 *
 *   CLOSED --(so many failures in a row)--> OPEN --(its time is over, one probe)--> HALF_OPEN
 *     ^                                      ^                                       |   |
 *     |                                      +--------------(it fails)---------------+   |
 *     +-------------------------------------(it succeeds)--------------------------------+
 *
 * Each time it opens again it stays open twice as long. Time is an argument, of any clock that
 * never jumps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_BREAKER_H
#define SCRIP_BRIDGE_CORE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    /* Set by whoever has it: */
    uint32_t failures_max; /* in a row: then it opens */
    int64_t wait_us, wait_us_max;
    /* Its own: */
    enum breaker_state state;
    uint32_t failures, opened; /* in a row */
    int64_t probe_us;          /* OPEN: no probe before */
};

/* What became of a request; returns whether the state has changed. */
bool breaker_heard(struct breaker *b, bool is_good, int64_t now_us);
/* OPEN and its time is over: HALF_OPEN now, and the caller sends the one probe. */
MUST_USE bool breaker_take_probe(struct breaker *b, int64_t now_us);

#endif
