/*
 * synth.h - a market that never was: seeded, endless, and the same for the same seed.
 *
 * Each symbol walks around a starting price in ticks. Its book has a touch one tick wide and
 * levels on a coarser grid behind it; each update moves the walk, trades at the touch or
 * changes a level, and says so as the diff, quote and trade that Binance would send. Prices are
 * multiples of the symbol's tick inside its price range, quantities multiples of its step.
 * Integers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SYNTH_H
#define SCRIP_MARKETDATA_SYNTH_H

#include "base/arena.h"
#include "marketdata/core/event.h"

#define SYNTH_QUEUE 4

struct synth_symbol {
    struct symbol_rules rules;
    uint64_t random;
    int64_t start, price;      /* best bid, in ticks */
    int64_t least, most;       /* in ticks */
    int64_t grid;              /* in ticks between far levels */
    int64_t lot;               /* a usual quantity, in steps */
    int64_t tick, step;        /* at least 1 */
    struct level *bids, *asks; /* `levels` a side, best first: what the book shows */
    struct level *diff[2];     /* changes of one update: at most 2 * levels a side */
    uint32_t diff_count[2];
    uint64_t update_id, trade_id; /* of the last ones said */
    int64_t next_us;
    int64_t mark, mark_us; /* mark price, and when it is next said */
};

struct synth {
    struct synth_symbol *symbols;
    uint32_t count, levels;
    int64_t every_us; /* mean time between a symbol's updates */
    struct md_event queue[SYNTH_QUEUE];
    uint32_t queued, taken;
    struct level *scratch; /* one side anew */
};

size_t synth_bytes(uint32_t count, uint32_t levels);
/* The rules of `count` symbols are copied. The clock starts at start_us. */
void synth_init(struct synth *s, const struct symbol_rules *const *rules, uint32_t count,
                uint64_t seed, uint32_t levels, uint32_t rate, int64_t start_us, void *bytes);
/* The next event; levels are lent until the next call. Never ends. */
void synth_next(struct synth *s, struct md_event *out);

#endif
