/*
 * level.h - the price levels of users' orders: found by price, kept for a while when empty.
 *
 * For book.c; orders within a level are its business. A level that runs out of orders stays in
 * its ladder, in the list of its side's empty levels, unless it was the best; the oldest of them
 * make way. So prices near the touch, which come and go with every order, cost no ladder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_LEVEL_H
#define SCRIP_MATCHER_CORE_LEVEL_H

#include "matcher/core/book.h"

static inline uint32_t
level_owner(const struct book *b, enum side side)
{
    return b->number * 4 + (uint32_t)side;
}

/* LEVEL_NONE when there is none; it may be an empty one. */
uint32_t level_find(const struct books *s, struct book *b, enum side side, int64_t price);
/* Fetches the level that was found for this price lately, or another, and gives its number. */
uint32_t level_ahead(const struct books *s, const struct book *b, enum side side, int64_t price);
/* A level without orders in its ladder, or LEVEL_NONE when there is no room. */
uint32_t level_new(struct books *s, struct book *b, enum side side, int64_t price);
/* The last order of a level is gone. */
void level_leave(struct books *s, struct book *b, enum side side, uint32_t i);
/* An empty level gets orders again. */
void level_return(struct books *s, struct book *b, enum side side, uint32_t i);

#endif
