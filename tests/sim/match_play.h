/*
 * match_play.h - plays random operations against the matcher's core and the naive one at once.
 *
 * The operations come from dice: a seeded generator, or bytes of a fuzzer. After each one the
 * reports of both are compared to the last field, and now and then the core's invariants are
 * proved. The core gets an outbox that is too small on purpose, so that it has to pause.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_MATCH_PLAY_H
#define SCRIP_TESTS_SIM_MATCH_PLAY_H

#include <stddef.h>
#include <stdint.h>

struct match_play;

struct match_play_options {
    uint64_t seed;       /* of the dice, and of the round's character */
    const uint8_t *data; /* NULL = roll by the seed; otherwise the game ends with the bytes */
    size_t length;
    uint32_t orders_max; /* room for orders; small numbers meet BOOK_FULL */
};

struct match_play *match_play_new(const struct match_play_options *o);
void match_play_destroy(struct match_play **p);
/* One operation. NULL, or what went wrong. Sets *over when the bytes are used up. */
const char *match_play_step(struct match_play *p, int *over);
/* Proves the core's invariants. NULL, or what is broken. */
const char *match_play_check(struct match_play *p);
/* What the game has seen, to see that it was not a dull one. */
struct match_play_counts {
    uint64_t fills, reports, pauses, sessions, pairs;
    uint64_t printed, triggered, prevented, trimmed, expired, stories;
};
const struct match_play_counts *match_play_counts(const struct match_play *p);

#endif
