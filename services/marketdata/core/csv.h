/*
 * csv.h - lines of Binance's public files (trades, aggTrades, klines) to events.
 *
 * A header is taken where there is one and then names the columns, in any order and with columns
 * we do not know; without one the layout is told from the number of columns and their form. Times
 * are ms or us. Booleans are True, true, 1 or False, false, 0.
 *
 * A kline becomes eight events, because a candle tells where the price was but not when: trades
 * at open, the nearer extreme, the other extreme and close, at the start, one third, two thirds
 * and the last millisecond of its interval, each with a quarter of the volume, each followed by a
 * quote of that price and one tick above, showing the candle's volume on both sides. Folded
 * again, these trades give the same open, high, low, close and volume.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_CSV_H
#define SCRIP_MARKETDATA_CSV_H

#include "marketdata/core/event.h"

#define CSV_COLUMNS_MAX 24
#define CSV_EVENTS_MAX  8

enum csv_kind { CSV_UNKNOWN, CSV_TRADES, CSV_AGG_TRADES, CSV_KLINES };

/* What we read; the number of the column, from 0, or -1 where the file has none. */
enum csv_field {
    CSV_ID,
    CSV_PRICE,
    CSV_QUANTITY,
    CSV_TIME,
    CSV_MAKER,
    CSV_OPEN_TIME,
    CSV_OPEN,
    CSV_HIGH,
    CSV_LOW,
    CSV_CLOSE,
    CSV_VOLUME,
    CSV_CLOSE_TIME,
    CSV_QUOTE_VOLUME,
    CSV_COUNT,
    CSV_TAKER_BUY,
    CSV_TAKER_BUY_QUOTE,
    CSV_FIRST_ID,
    CSV_LAST_ID,
    CSV_FIELDS
};

struct csv_layout {
    enum csv_kind kind;
    int8_t column[CSV_FIELDS];
    uint32_t columns;     /* how many a line has */
    int64_t last_open_us; /* klines without a close time: the line before gives the width */
    int64_t width_us;
};

/*
 * Makes the layout from a file's first line. *is_header tells whether that line is spent.
 * Refuses with LINE_INVALID when it is neither a known header nor a known form.
 */
MUST_USE enum err csv_layout_read(const char *line, size_t length, struct csv_layout *out,
                                  bool *is_header);
/*
 * One line to *count events, oldest first. `tick` is the symbol's, for the quotes of klines; the
 * symbol is left to the caller. Refuses with LINE_INVALID.
 */
MUST_USE enum err csv_row(struct csv_layout *l, const char *line, size_t length, price_t tick,
                          struct md_event out[CSV_EVENTS_MAX], uint32_t *count);

/*
 * One line of klines as the closed candle it is, and where it ends (0 = the file does not tell).
 * Sums that are too large stay at the largest number. A file without counts has candles of one
 * trade, or of none where there is no volume. Refuses with LINE_INVALID.
 */
MUST_USE enum err csv_candle(const struct csv_layout *l, const char *line, size_t length,
                             struct candle *out, int64_t *end_us);
/* The same of one row of REST's klines, `[...]`, without its brackets: 12 values. */
MUST_USE enum err csv_rest_candle(const char *row, size_t length, struct candle *out,
                                  int64_t *end_us);

#endif
