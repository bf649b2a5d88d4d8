/*
 * candle_rig.h - a core with one symbol, what it told of its candles, and candles folded naively.
 *
 * The naive fold shares no code with the core: it keeps every candle in a list, and asks the C
 * library's calendar where weeks and months begin.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_CANDLE_RIG_H
#define SCRIP_TESTS_CANDLE_RIG_H

#include "marketdata/core/md.h"

/* Candles of one interval by open time. */
struct candle_list {
    struct candle *items;
    uint32_t count, max;
};

/* By interval; index 0 is not used. */
struct candle_book {
    struct candle_list of[INTERVALS + 1];
};

void candle_book_free(struct candle_book *b);
/* NULL when there is none. */
struct candle *candle_book_find(const struct candle_book *b, enum interval i, int64_t open_us);
/* Sets or replaces. */
void candle_book_put(struct candle_book *b, enum interval i, const struct candle *c);
/* Where the naive fold lets a candle open. */
int64_t naive_open(enum interval i, int64_t time_us);
int64_t naive_end(enum interval i, int64_t open_us);
/* Adds a trade to its candles of all intervals; to those from `least` on. */
void naive_trade(struct candle_book *b, const struct public_trade *t, uint64_t count);
/* Adds a part, of an interval or none, to the candles of i that contain it. */
void naive_part(struct candle_book *b, enum interval i, const struct candle *part);

#define RIG_WAITING 16u

struct candle_rig {
    struct symbol_rules rules;
    struct md md;
    void *memory, *symbol_memory, *lists;
    struct out slots[MD_OUT_MAX];
    struct outbox out;
    struct md_symbol *symbol;
    struct candle_book told; /* closed candles, as followers were told last */
    uint64_t told_count;
    struct candle_book kept;               /* as the database has them, by the rule of history.c */
    struct md_candle waiting[RIG_WAITING]; /* for it: the newest, in order */
    uint32_t waiting_count;
    int64_t now_us;
};

struct candle_rig *candle_rig_new(const char *symbol);
void candle_rig_free(struct candle_rig *r);
/* The process ends and another one begins; what was told stays, and what was kept but for the
 * newest `lost`. */
void candle_rig_restart(struct candle_rig *r, uint32_t lost);
/* The database has everything. */
void candle_rig_keep(struct candle_rig *r);
/* Applies an event of the symbol at our time, with CHECKs of the result. */
void candle_rig_apply(struct candle_rig *r, struct md_event *e, int64_t now_us);
void candle_rig_tick(struct candle_rig *r, int64_t now_us);
/* Until nothing is owed any more. */
void candle_rig_settle(struct candle_rig *r);
void candle_rig_begin(struct candle_rig *r, int64_t now_us);
void candle_rig_kline(struct candle_rig *r, enum interval i, const struct candle *c,
                      uint64_t last_trade, int64_t now_us);

#endif
