/*
 * market_files.h - candles from archive files: klines as they are, minutes folded from trades or
 * aggTrades.
 *
 * The name of a file tells its symbol and its interval where nobody else does:
 * BTCUSDT-1m-2024-08.zip. A minute is final when all its trades are there: the first and the last
 * one of the files may be cut, and so may be one in which trade ids jump.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MARKET_FILES_H
#define SCRIPCTL_MARKET_FILES_H

#include "scripctl/market_series.h"
#include "scripctl/progress.h"

#define MARKET_SERIES_MAX 256u

struct market_files_options {
    const char *paths;      /* with commas between, as reader.h takes them */
    code_t symbol;          /* of all files; empty = their names tell */
    enum interval interval; /* of files that do not tell; 0 = their names do */
    struct market_span range;
    int64_t now_us;
    bool is_quiet;
};

struct market_files {
    struct market_series series[MARKET_SERIES_MAX];
    uint32_t count;
    uint64_t bad_files;
    char bad_why[WHY_BYTES]; /* of the first of them */
    uint64_t trades, lost_trades;
    code_t folded[MARKET_SERIES_MAX]; /* symbols whose minutes come from trades */
    uint32_t folded_count;
};

/* Everything is counted in *out, which is to be freed by the caller. */
MUST_USE bool market_files_load(const struct market_files_options *o, struct market_table *t,
                                struct market_files *out, char why[WHY_BYTES]);

#endif
