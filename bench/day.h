/*
 * day.h - the trades of a day of a market: recorded where there are recordings, else made up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_DAY_H
#define SCRIP_BENCH_DAY_H

#include <stdbool.h>
#include <stdint.h>

struct day_trade {
    int64_t price, quantity; /* of 10^-8 */
    int64_t time_us;
};

struct day {
    struct day_trade *trades;
    uint32_t count;
    bool is_recorded;
};

/* SCRIP_DATA/trades/spot_BTCUSDT_trades_20240808.csv.gz, or a walk from a fixed seed. */
void day_open(struct day *d);
void day_close(struct day *d);

#endif
