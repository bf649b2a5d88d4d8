/*
 * book.h - one symbol's book of the real market: two sorted arrays of levels.
 *
 * The best level stands last, because nearly all changes happen near the touch: they then move
 * few levels. A level that goes leaves its place behind, with no quantity: most come back at the
 * same price, or a new one moves in, and nothing has to be moved. Each side holds at most `max`
 * levels; a deeper book forgets its worst ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_BOOK_H
#define SCRIP_MARKETDATA_BOOK_H

#include "base/arena.h"
#include "base/msg.h"

struct book_side {
    enum side side;
    struct level *levels; /* worst first; the last one has a quantity */
    uint32_t count, max;  /* places in use */
    uint32_t empty;       /* of them without a quantity */
};

struct book {
    struct book_side bids, asks;
};

/* Borrows both arrays, each of `max` levels. */
void book_init(struct book *b, struct level *bids, struct level *asks, uint32_t max);
void book_clear(struct book *b);
/* Whether these may be applied: every price above 0, no quantity below. */
bool book_levels_valid(const struct level *levels, uint32_t count);
/* Sets, adds or (quantity 0) removes each level. */
void book_side_apply(struct book_side *s, const struct level *levels, uint32_t count);
/* NULL when the side is empty. */
const struct level *book_side_best(const struct book_side *s);
/* Whether the best bid reaches the best ask: never so in a book that is true. */
bool book_crossed(const struct book *b);
/* Copies at most `limit` levels, best first, into memory of `lists`; gives how many. CHECKs that
 * there is room. */
uint32_t book_side_copy(const struct book_side *s, uint32_t limit, struct arena *lists,
                        const struct level **out);
/* The places without a quantity go: the levels are the book's own, and no others. */
void book_side_compact(struct book_side *s);
/* CHECKs the order of both sides. */
void book_check(const struct book *b);

#endif
