/*
 * market_table.h - the candle table, as a loader of history writes it: what is there already, rows
 * in batches, longer candles folded from shorter ones.
 *
 * A batch is one transaction: copied into a temporary table, then upserted. A final candle (the
 * exchange's own) replaces whatever is there and differs; another one only a candle that is open
 * or has no more trades. So everything can be done again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MARKET_TABLE_H
#define SCRIPCTL_MARKET_TABLE_H

#include "marketdata/core/candle.h"
#include "scripctl/records.h"

struct market_table;

/* Opening times, from_us <= t < until_us. */
struct market_span {
    int64_t from_us, until_us;
};

/* NULL, and why. */
struct market_table *market_table_open(const char *conninfo, char why[WHY_BYTES]);
/* Rows that were put since the last flush are dropped. */
void market_table_close(struct market_table **t);

/* Where final candles are missing within the span, oldest first; *spans is to be freed. */
MUST_USE bool market_table_missing(struct market_table *t, code_t symbol, enum interval i,
                                   struct market_span within, struct market_span **spans,
                                   uint32_t *count, char why[WHY_BYTES]);
/* A candle joins the batch, which is written when it is full. */
MUST_USE bool market_table_put(struct market_table *t, code_t symbol, enum interval i,
                               const struct candle *c, bool is_final, char why[WHY_BYTES]);
MUST_USE bool market_table_flush(struct market_table *t, char why[WHY_BYTES]);
/* Rows that are new or changed, ever. */
uint64_t market_table_written(const struct market_table *t);
/* Folds this interval from stored shorter ones: candles that are over and of which a part lies in
 * the span. */
MUST_USE bool market_table_fold(struct market_table *t, code_t symbol, enum interval i,
                                struct market_span within, char why[WHY_BYTES]);
/* The time of a symbol's stored minutes, hours and days; false, and why, when there are none. */
MUST_USE bool market_table_stored(struct market_table *t, code_t symbol, struct market_span *out,
                                  char why[WHY_BYTES]);

#endif
