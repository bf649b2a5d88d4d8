/*
 * market_series.h - candles of one symbol and interval on their way into the table: each is
 * checked, and what is missing between them is counted. What the exchange has no candle of (it was
 * closed) stays missing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MARKET_SERIES_H
#define SCRIPCTL_MARKET_SERIES_H

#include "scripctl/market_table.h"
#include "scripctl/out.h"

#define MARKET_GAPS_TOLD 20u

struct market_series {
    struct market_table *table;
    code_t symbol;
    enum interval interval;
    struct market_span range; /* candles outside of it are passed over */
    int64_t now_us;           /* a candle that ends later is not over */
    int64_t first_us, last_us, next_us;
    uint64_t read, written;
    uint64_t unreadable, unaligned, doubled, open; /* those that were skipped */
    uint64_t gaps, missing;                        /* and how many candles would be in them */
    struct market_span told[MARKET_GAPS_TOLD];     /* the first of them */
    uint64_t written_before;                       /* of the table, when rows of this one began */
};

/* `range` ends where there is no end: INT64_MAX. */
void market_series_init(struct market_series *s, struct market_table *t, code_t symbol,
                        enum interval i, struct market_span range, int64_t now_us);
/* Candles of this series follow, not of another one. */
void market_series_enter(struct market_series *s);
/* `end_us` is where the source says that it ends, 0 = it does not. */
MUST_USE bool market_series_take(struct market_series *s, const struct candle *c, int64_t end_us,
                                 bool is_final, char why[WHY_BYTES]);
/* No candle came for what is left of the span. */
void market_series_ends_at(struct market_series *s, int64_t until_us);
/* Writes what waits, so that it is counted as this one's. */
MUST_USE bool market_series_leave(struct market_series *s, char why[WHY_BYTES]);

/* A row of the table that market_series_columns() begins, and its gaps in words. */
void market_series_columns(struct out *out);
void market_series_tell(const struct market_series *s, struct out *out);
void market_series_tell_gaps(const struct market_series *s, struct out *out);
uint64_t market_series_skipped(const struct market_series *s);

#endif
