/*
 * candle.h - intervals as Binance aligns them, and candles folded from trades and from candles.
 *
 * 1s to 1d open at multiples of their width since 1970 UTC, 3d at multiples of three days, 1w on
 * Mondays, 1M on the first of the month. A candle without trades is flat (every price the one
 * before it): the exchange says that it was open and nobody traded. Where nothing is known there
 * is no candle.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_CANDLE_H
#define SCRIP_MARKETDATA_CANDLE_H

#include "base/msg.h"

#define INTERVALS 16u /* index = enum interval - 1 */

#define MINUTE_US INT64_C(60000000)
#define DAY_US    INT64_C(86400000000)

/* Width in microseconds; 0 for 1M, which has no fixed one, and for what is not in the table. */
int64_t interval_us(enum interval i);
/* Start of the candle that holds this time (times before 1970 too). */
int64_t interval_open(enum interval i, int64_t time_us);
/* Start of the candle after the one that opens then. */
int64_t interval_end(enum interval i, int64_t open_us);
/* "1s" to "1M". */
const char *interval_name(enum interval i);

/* A trade as candles count it: an aggregated one stands for several. */
struct candle_trade {
    price_t price;
    qty_t quantity;
    money_t quote;
    uint64_t count;
    bool buyer_is_maker;
};

struct candle_trade candle_trade_of(const struct public_trade *t, uint64_t count);
/* Opens a candle with its first trade. */
void candle_begin(struct candle *c, int64_t open_us, const struct candle_trade *t);
/* Adds a trade of the same interval. Sums stop at the largest int64 rather than wrap. */
void candle_add(struct candle *c, const struct candle_trade *t);
/* Adds a later part of the same interval: our open stands, its close stands. A part in which
 * nothing was traded counts only as long as nothing was in any. */
void candle_join(struct candle *c, const struct candle *later);
/* Nothing was traded in it. */
bool candle_is_flat(const struct candle *c);
/* Whether it may be believed: prices in order and above 0, no sum below 0. */
bool candle_is_valid(const struct candle *c);
/* Whether both say the same of the same interval; is_closed and is_final do not count. */
bool candle_same(const struct candle *a, const struct candle *b);

#endif
