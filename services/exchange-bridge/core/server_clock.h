/*
 * server_clock.h - the exchange's clock, as an offset to one of ours that never jumps.
 *
 * A sample says that somewhere between sending and receiving the exchange's clock showed a time,
 * so its error is half the round trip at most. The best of the last few counts: the one with the
 * smallest error, after clocks may have drifted apart since.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_SERVER_CLOCK_H
#define SCRIP_BRIDGE_CORE_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define SERVER_CLOCK_SAMPLES 8u

struct server_sample {
    int64_t offset_us, round_us, at_us;
};

/* All zero at first. */
struct server_clock {
    struct server_sample samples[SERVER_CLOCK_SAMPLES];
    uint32_t count, next;
    int64_t offset_us, error_us; /* of the best */
};

/* `server_us` was cut to whole milliseconds. */
void server_clock_learn(struct server_clock *c, int64_t sent_us, int64_t received_us,
                        int64_t server_us);
/* One of both clocks has jumped: nothing is known any more. */
void server_clock_forget(struct server_clock *c);
/* 0 while it is not known. */
int64_t server_clock_us(const struct server_clock *c, int64_t local_us);

#endif
