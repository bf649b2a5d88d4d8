/*
 * stats.h - rolling statistics of the last 24 hours, in buckets of one minute.
 *
 * The window is the current minute and the 1439 before it. It moves with the market's clock,
 * whether or not anything is traded. The 5-minute average weighs the current minute and the four
 * before it by volume; while nothing was traded in them it is the last price.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_STATS_H
#define SCRIP_MARKETDATA_STATS_H

#include "base/msg.h"

#define STATS_MINUTES   1440
#define AVERAGE_MINUTES 5

struct stats_bucket {
    int64_t minute; /* since 1970; meaningful while trades > 0 */
    price_t open, high, low, close;
    int64_t volume, quote_volume;
    uint64_t trades;
};

struct stats {
    struct stats_bucket *buckets; /* STATS_MINUTES, by minute modulo */
    int64_t newest;               /* minute the window ends with; 0 = nothing yet */
    price_t last;
    /* Derived, over the whole window. */
    price_t open, high, low;
    int64_t volume, quote_volume;
    uint64_t trades;
};

/* Borrows STATS_MINUTES buckets. */
void stats_init(struct stats *s, struct stats_bucket *buckets);
void stats_reset(struct stats *s);
/* A trade older than the window is left out. */
void stats_trade(struct stats *s, const struct public_trade *t);
/* A closed 1-minute candle from before the first trade: how a restarted process remembers. */
void stats_remember(struct stats *s, const struct candle *minute);
/* The same for what an earlier process saw of the minute that we began in. */
void stats_remember_part(struct stats *s, const struct candle *part);
/* Moves the window on to this time; gives whether anything changed. */
bool stats_advance(struct stats *s, int64_t time_us);
/* Volume-weighted price of the last five minutes; 0 while no price is known. */
price_t stats_average(const struct stats *s);

#endif
