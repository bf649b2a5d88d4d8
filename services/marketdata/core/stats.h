/*
 * stats.h - rolling statistics of the last 24 hours: sums over the minutes (parts.h).
 *
 * The window is the current minute and the 1439 before it. It moves with the market's clock,
 * whether or not anything is traded. The 5-minute average weighs the current minute and the four
 * before it by volume; while nothing was traded in them it is the last price.
 *
 * Most changes are added to the sums as they come. What cannot be (an extreme that shrinks, an
 * older opening price) makes them stale until stats_settle() sums the minutes anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_STATS_H
#define SCRIP_MARKETDATA_STATS_H

#include "marketdata/core/parts.h"

#define STATS_MINUTES   1440
#define AVERAGE_MINUTES 5

struct stats {
    const struct parts *minutes;
    int64_t newest_us; /* minute the window ends with; 0 = nothing yet */
    bool is_stale;
    price_t last;
    /* Derived, over the whole window. */
    price_t open, high, low;
    int64_t volume, quote_volume;
    uint64_t trades;
};

/* Borrows the minutes: STATS_MINUTES of them at least. */
void stats_init(struct stats *s, const struct parts *minutes);
void stats_reset(struct stats *s);
/* A trade joined this minute; call stats_advance() before. */
void stats_trade(struct stats *s, int64_t minute_us, const struct candle_trade *t);
/* A minute is another one now; `before` is NULL when it was unknown. */
void stats_change(struct stats *s, const struct candle *before, const struct candle *after);
/* Moves the window on to this time; gives whether anything changed. */
bool stats_advance(struct stats *s, int64_t time_us);
void stats_settle(struct stats *s);
/* Volume-weighted price of the last five minutes; 0 while no price is known. */
price_t stats_average(const struct stats *s);

#endif
