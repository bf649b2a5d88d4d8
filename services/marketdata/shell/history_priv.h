/*
 * history_priv.h - the candle table's columns, and the half of the history that reads; shared by
 * history.c, which writes, and history_read.c only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_HISTORY_PRIV_H
#define SCRIP_MARKETDATA_HISTORY_PRIV_H

#include "host/pg.h"
#include "host/pg_array.h"
#include "marketdata/shell/history.h"

enum column {
    C_SYMBOL,
    C_WIDTH,
    C_OPEN_TIME,
    C_OPEN,
    C_HIGH,
    C_LOW,
    C_CLOSE,
    C_VOLUME,
    C_QUOTE_VOLUME,
    C_TRADES,
    C_TAKER_BUY,
    C_TAKER_BUY_QUOTE,
    C_IS_CLOSED,
    C_AS_OF,
    C_IS_FINAL,
    COLUMNS
};

#define COLUMN_LIST                                                                                \
    "symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades, "          \
    "taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us, is_final"

/* Prepares what is asked on this connection. */
void history_read_prepare(struct pg *reader);
/* Questions under way, answered with NULL: the connection is closed. */
void history_read_end(struct history *h);
/* The head of their list; the connection and the clock to read with. */
struct read_call;
struct read_call **history_calls(struct history *h);
struct pg *history_reader(struct history *h);
int64_t history_now_us(const struct history *h);

#endif
