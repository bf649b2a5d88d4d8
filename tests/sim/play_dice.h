/*
 * play_dice.h - random orders and random words of a market, for match_play.c.
 *
 * The dice are a seeded generator, or a fuzzer's bytes. Prices lie close together, so that orders
 * meet; times are short, so that what waits is soon due. A market tells some of its events twice,
 * as real ones do: as a print and as a depth that has it taken off, in either order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_PLAY_DICE_H
#define SCRIP_TESTS_SIM_PLAY_DICE_H

#include "sim/naive_book.h"

#define PLAY_SYMBOLS    3
#define PLAY_LEVELS_MAX 24

struct play_dice {
    uint64_t random;
    const uint8_t *data; /* NULL = roll by the seed */
    size_t length, used;
    int64_t now_us;
    int64_t middle; /* around which prices move, in ticks */
    int64_t tick, spread;
    bool is_quiet; /* little crosses: many orders stand in few queues for long */
};

struct play_market {
    uint64_t sequence;
    int64_t time_us;   /* its own clock */
    struct msg second; /* the other half of an event; NONE = nothing */
    struct level bids[PLAY_LEVELS_MAX], asks[PLAY_LEVELS_MAX], taken;
};

void play_dice_init(struct play_dice *d, uint64_t seed, const uint8_t *data, size_t length);
/* Whether the fuzzer's bytes are used up. */
bool play_is_over(const struct play_dice *d);
int64_t play_below(struct play_dice *d, int64_t n);
int64_t play_quantity(struct play_dice *d);
/* Prices move on. */
void play_drift(struct play_dice *d);

struct order_work play_order(struct play_dice *d, const code_t *symbols, uint64_t id);
/* Makes an order the first of a pair, and its second one. */
void play_pair(struct play_dice *d, struct order_work *first, struct order_work *second,
               uint64_t id);
/* The market's next word, now and then with a number that should not be. Its lists are the
 * market's. */
struct msg play_tick(struct play_dice *d, struct play_market *m, const struct naive_house *h,
                     code_t symbol);

#endif
