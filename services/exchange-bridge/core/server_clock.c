/*
 * server_clock.c - see server_clock.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/server_clock.h"

#define DRIFT_PARTS 10000 /* of a second: what clocks may drift apart in one */
#define CUT_US      500   /* half of a millisecond was cut off, at a guess */

static int64_t
error_of(const struct server_sample *s, int64_t now_us)
{
    return s->round_us / 2 + CUT_US + (now_us - s->at_us) / DRIFT_PARTS;
}

void
server_clock_learn(struct server_clock *c, int64_t sent_us, int64_t received_us, int64_t server_us)
{
    if (received_us < sent_us || server_us <= 0)
        return;
    c->samples[c->next] = (struct server_sample){.offset_us = server_us + CUT_US - sent_us -
                                                              (received_us - sent_us) / 2,
                                                 .round_us = received_us - sent_us,
                                                 .at_us = received_us};
    c->next = (c->next + 1) % SERVER_CLOCK_SAMPLES;
    if (c->count < SERVER_CLOCK_SAMPLES)
        c->count++;
    const struct server_sample *best = &c->samples[0];
    for (uint32_t i = 1; i < c->count; i++)
        if (error_of(&c->samples[i], received_us) < error_of(best, received_us))
            best = &c->samples[i];
    c->offset_us = best->offset_us;
    c->error_us = error_of(best, received_us);
}

void
server_clock_forget(struct server_clock *c)
{
    *c = (struct server_clock){0};
}

int64_t
server_clock_us(const struct server_clock *c, int64_t local_us)
{
    return c->count == 0 ? 0 : local_us + c->offset_us;
}
