/*
 * value.h - what people write for times, shards and numbers, and times as they are written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_VALUE_H
#define SCRIPCTL_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#define VALUE_TIME_BYTES 96 /* whatever the numbers are */

/* A whole number within [min, max]: digits, and a minus where min is below 0. */
bool value_int(const char *text, int64_t min, int64_t max, int64_t *out);
/* Microseconds UTC from "2026-11-21T12:00:00.5Z" (any RFC 3339 offset; a blank in place of the T),
 * "2026-11-21" (its midnight UTC), "now", or "-90s", "-15m", "-2h", "-7d" before now. */
bool value_time(const char *text, int64_t now_us, int64_t *out);
/* "0-3,17" sets those and clears the others. */
bool value_shards(const char *text, bool out[64]);
/* RFC 3339 with microseconds, UTC. Returns `out`. */
const char *value_time_text(int64_t time_us, char out[VALUE_TIME_BYTES]);
/* 1 to 16 hexadecimal digits, as logs print correlation ids. */
bool value_hex(const char *text, uint64_t *out);
/* The clock, microseconds UTC. */
int64_t value_now_us(void);

#endif
