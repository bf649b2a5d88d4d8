/*
 * market.h - tickers from Redis, where market data keeps them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_MARKET_H
#define SCRIP_GATEWAY_SHELL_MARKET_H

#include "host/loop.h"

struct market_cache;

/* `address` is HOST:PORT or unix:PATH; NULL with a logged reason when it is neither. Connects by
 * itself, and again when the connection is lost. */
struct market_cache *market_cache_open(struct loop *l, const char *address);
void market_cache_close(struct market_cache **m);

#endif
