/*
 * tape.h - a market as the services hear it: sources of marketdata through marketdata's core, at
 * full speed, on the recordings' own clock.
 *
 * Several sources are merged by the time at which their events were received. A synthetic source
 * begins with the first recorded one, or at TAPE_START_US where there is none. What has no exchange
 * time gets its receive time, as in the service.
 * A file of its own, because two cores have a `struct book`: the caller's is the matcher's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BACKTEST_TAPE_H
#define SCRIP_BACKTEST_TAPE_H

#include "marketdata/core/event.h"

#define TAPE_WHY_BYTES   512
#define TAPE_SYMBOLS_MAX 256
#define TAPE_START_US    INT64_C(1704067200000000) /* 2024-01-01 */

struct tape;

/* `rules` is the file of symbols, `sources` a line as of marketdata's setting. NULL, and a
 * sentence, when they cannot be had, or would never end by themselves and by their files. */
struct tape *tape_open(const char *rules, const char *sources, char why[TAPE_WHY_BYTES]);
void tape_close(struct tape **t);

/* Whether a source is endless. */
bool tape_is_endless(const struct tape *t);
/* When the next event was received; false when there is none. Times do not fall back. */
bool tape_peek(struct tape *t, int64_t *at_us);
/* Applies it; gives its symbol, empty when the event was refused. */
code_t tape_take(struct tape *t);
/* What time has done to a symbol: prices and beats that are due. Messages as of tape_take(). */
void tape_tick(struct tape *t, code_t symbol, int64_t now_us);
/* What the last call of these two gave, one by one; NULL when there is no more. Until the next call
 * of either. */
const struct msg *tape_msg(const struct tape *t, uint32_t i);
/* The book, as an answer to who asks for it; NULL when there is none. */
const struct msg *tape_book(struct tape *t, code_t symbol);
/* Best bid and ask as marketdata knows them; NULL when the symbol was not heard of yet. */
const struct md_touch *tape_touch(const struct tape *t, code_t symbol);
/* Its last price and touch; false when there is no price yet. */
bool tape_price(const struct tape *t, code_t symbol, struct md_price *out);

/* All of the file's, by name. */
const struct symbol_rules *tape_rules(const struct tape *t, uint32_t *count);
/* The rules of a tape's only symbol, where its source names just one; else NULL. */
const struct symbol_rules *tape_only(const struct tape *t);
/* Whether the sources may have a symbol: they name it, or do not say which they have. */
bool tape_may_have(const struct tape *t, code_t symbol);
/* Symbols heard of so far, by index; NULL past the last. */
const struct symbol_rules *tape_heard(const struct tape *t, uint32_t i);

uint64_t tape_events(const struct tape *t);
/* Lines that could not be read, and the last reason. */
uint64_t tape_skipped(const struct tape *t);
const char *tape_complaint(const struct tape *t);

#endif
