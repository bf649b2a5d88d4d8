/*
 * cache.h - last prices, 24-hour statistics and the open candle of each symbol in Redis.
 *
 * Hash scrip:ticker:<SYMBOL> with the fields of md_ticker, hash scrip:candle:<SYMBOL> with those of
 * the record candle and with symbol, interval and written_us, by name (amounts as decimal text);
 * set scrip:symbols with the names. Never waits: commands are pipelined, at most one per symbol,
 * kind and round; while Redis is away nothing is kept, and after a reconnect everything is written
 * anew.
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
/* Room for what belongs to one symbol. False while Redis is away or slow: say it again later. */
bool cache_ready(const struct cache *c);
/* These are called for one symbol after cache_ready(); what finds no room is lost, and counted.
 * Sends its hash, with written_us as of now. */
void cache_put(struct cache *c, const struct md_ticker *t);
/* The same for its open candle. */
void cache_candle(struct cache *c, code_t symbol, enum interval interval, const struct candle *k);
/* Adds its name to scrip:symbols. */
void cache_symbol(struct cache *c, code_t symbol);
/* Takes it out: its name and its hashes. */
void cache_remove(struct cache *c, code_t symbol);

#endif
