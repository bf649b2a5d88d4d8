/*
 * tape.h - a market as matchers hear it: one source of marketdata through marketdata's core.
 *
 * A file of its own, because two cores have a `struct book`: the caller's is the matcher's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_TAPE_H
#define SCRIP_BENCH_TAPE_H

#include "marketdata/core/event.h"

#define TAPE_WHY_BYTES 512

struct tape;

/* `rules` is the file of symbols, `source` a line as in marketdata's `sources` that names one
 * symbol. NULL, and a sentence, when it cannot be had. */
struct tape *tape_open(const char *rules, const char *source, char why[TAPE_WHY_BYTES]);
void tape_close(struct tape **t);

/* When the next event was received; false when there is none. Times do not fall back. */
bool tape_peek(struct tape *t, int64_t *at_us);
/* Applies it. */
void tape_take(struct tape *t);
/* What that gave, one by one; NULL when there is no more. Until the next call of any other. */
const struct msg *tape_msg(const struct tape *t, uint32_t i);
/* The book, as an answer to who asks for it; NULL when there is none. */
const struct msg *tape_book(struct tape *t);
/* Best bid and ask as marketdata knows them. */
const struct md_touch *tape_touch(const struct tape *t);
const struct symbol_rules *tape_rules(const struct tape *t);
uint64_t tape_events(const struct tape *t);
/* Lines that could not be read. */
uint64_t tape_skipped(const struct tape *t);

#endif
