/*
 * cache.h - last prices and 24-hour statistics in Redis.
 *
 * Hash scrip:ticker:<SYMBOL> with the fields of md_ticker by name (amounts as decimal text), set
 * scrip:symbols with the names. Never waits: commands are pipelined, at most one per symbol and
 * round; while Redis is away nothing is kept, and after a reconnect everything is written anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_CACHE_H
#define SCRIP_MARKETDATA_CACHE_H

#include <stdbool.h>

#include "base/msg.h"
#include "host/loop.h"

struct cache;

/* `address` is host:port or unix:PATH. on_up is called after each connect: write everything.
 * NULL with a logged reason when the address is neither. */
struct cache *cache_open(struct loop *l, const char *address, void (*on_up)(void *arg), void *arg);
void cache_close(struct cache **c);
/* False while Redis is away or slow: say it again later. */
bool cache_ready(const struct cache *c);
/* Sends one symbol's hash. Only when cache_ready(). */
void cache_put(struct cache *c, const struct md_ticker *t);
/* Adds a name to scrip:symbols. Only when cache_ready(). */
void cache_symbol(struct cache *c, code_t symbol);

#endif
