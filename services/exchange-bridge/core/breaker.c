/*
 * breaker.c - see breaker.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/breaker.h"

static void
open_it(struct breaker *b, int64_t now_us)
{
    int64_t wait_us = b->wait_us;
    for (uint32_t i = 0; i < b->opened && wait_us < b->wait_us_max; i++)
        wait_us *= 2;
    if (wait_us > b->wait_us_max)
        wait_us = b->wait_us_max;
    if (wait_us < b->wait_us_max)
        b->opened++;
    b->state = BREAKER_OPEN;
    b->probe_us = now_us + wait_us;
}

bool
breaker_heard(struct breaker *b, bool is_good, int64_t now_us)
{
    enum breaker_state was = b->state;
    if (is_good) {
        b->state = BREAKER_CLOSED;
        b->failures = b->opened = 0;
        return was != BREAKER_CLOSED;
    }
    switch (b->state) {
    case BREAKER_CLOSED:
        if (++b->failures >= b->failures_max)
            open_it(b, now_us);
        break;
    case BREAKER_HALF_OPEN:
        open_it(b, now_us);
        break;
    case BREAKER_OPEN: /* one that was sent before */
        break;
    }
    return b->state != was;
}

bool
breaker_take_probe(struct breaker *b, int64_t now_us)
{
    if (b->state != BREAKER_OPEN || now_us < b->probe_us)
        return false;
    b->state = BREAKER_HALF_OPEN;
    return true;
}
