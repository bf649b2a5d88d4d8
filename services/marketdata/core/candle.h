/*
 * candle.h - trades folded into candles of 1 minute to 1 day, aligned as Binance aligns them.
 *
 * Every width divides the day, so a candle opens at a multiple of its width since 1970 UTC.
 * Candles exist only for intervals in which something was traded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_CANDLE_H
#define SCRIP_MARKETDATA_CANDLE_H

#include "base/msg.h"

#define INTERVALS 12u /* INTERVAL_1m to INTERVAL_1d; index = enum interval - 1 */

/* Width in microseconds; 0 for an interval that is not in the table. */
int64_t interval_us(enum interval i);
/* Start of the candle that holds this time (times before 1970 too). */
int64_t interval_open(enum interval i, int64_t time_us);
/* "1m" to "1d". */
const char *interval_name(enum interval i);

/* Opens a candle with its first trade. */
void candle_begin(struct candle *c, enum interval i, const struct public_trade *t);
/* Adds a trade of the same interval. Sums stop at the largest int64 rather than wrap. */
void candle_add(struct candle *c, const struct public_trade *t);
/* Adds what an earlier part of the same interval held: its open stands, our close stands. */
void candle_add_earlier(struct candle *c, const struct candle *earlier);

#endif
