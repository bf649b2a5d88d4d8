/*
 * market_rest.h - candles from an exchange's REST, a page at a time, for a program that waits.
 *
 * It spends of the weight that the exchange allows an address (host/budget.h): with the Redis of a
 * deployment what its services leave, without it at most 15 %, by the exchange's own count, in
 * which what others spend is. 429 and 418 are waited for as told; replies that do not come are
 * asked for again a few times.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_MARKET_REST_H
#define SCRIPCTL_MARKET_REST_H

#include "marketdata/core/candle.h"
#include "scripctl/records.h"

#define MARKET_PAGE_MAX 1000u

struct market_rest;

struct market_rest_options {
    const char *url;     /* of the exchange; NULL = Binance's */
    const char *ca_file; /* NULL = the system's */
    const char *redis;   /* HOST:PORT or unix:PATH of the deployment; NULL = alone */
};

struct market_page {
    struct candle candles[MARKET_PAGE_MAX];
    int64_t ends_us[MARKET_PAGE_MAX]; /* where each of them ends */
    uint32_t count;                   /* rows that could be read */
    uint32_t rows;                    /* that came */
};

/* NULL, and why. */
struct market_rest *market_rest_open(const struct market_rest_options *o, char why[WHY_BYTES]);
void market_rest_close(struct market_rest **m);
/* The first candles that open within from_us <= t < until_us, oldest first. NAME_PERP is asked for
 * at the market of USD-M futures. */
MUST_USE bool market_rest_page(struct market_rest *m, code_t symbol, enum interval i,
                               int64_t from_us, int64_t until_us, struct market_page *out,
                               char why[WHY_BYTES]);

#endif
