/*
 * story.h - what the matcher saw of an order while it waited or rested.
 *
 * A pool of cold records, one for each order that has a fill model and did not end at once. No
 * tick touches them: each holds what was true when the order came, and what happened since is
 * worked out from what its level and its book count anyway, when somebody asks. An order that
 * finds the pool full has no story; that is counted.
 *
 * The caller begins a story when the order has reached the book and will wait or rest, and takes
 * it before the order's record is given back. What leaves a level is noted in between by model.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_STORY_H
#define SCRIP_MATCHER_CORE_STORY_H

#include "base/msg.h"

#define TOUCH_PAST_MAX 32

struct book;
struct books;

struct story_record {
    uint64_t order_id; /* 0 = a free record */
    int64_t arrived_us, bid, ask;
    int64_t ahead_at_arrival;
    int64_t ahead, ahead_moved_us; /* when it last left its level */
    int64_t printed;               /* until it last joined its level */
    int64_t printed_base;          /* what its level had counted when it joined */
    int64_t held_us;               /* what its book had counted when it came */
    int64_t trigger_price;
    uint64_t trigger_sequence;
    uint32_t next_free;
    bool has_joined, is_joined; /* a level */
};

struct story_pool {
    struct story_record *at;
    uint32_t free, fresh, max, used;
    uint64_t dropped; /* orders that found no room */
};

/* The best prices of one side of a market that may yet be the best since some moment. */
struct touch_past {
    int64_t last_key;
    uint32_t count;
    struct {
        int64_t key, us;
    } at[TOUCH_PAST_MAX]; /* times rise, keys fall */
};

size_t stories_bytes(uint32_t max);
/* Borrows zeroed memory of stories_bytes(max). */
void stories_init(struct story_pool *p, uint32_t max, void *zeroed);

/* Begins the story of an order whose id, side, price and model are set, which may set its `more`.
 * Harmless where it has one. Without a fill model, or without room, it gets none. */
void story_begin(struct books *s, const struct book *b, uint32_t order);
/* The order was set off at this price by this message of the market. */
void story_triggered(struct books *s, uint32_t order, int64_t price, uint64_t sequence);
/* The story up to now, of an order in whatever state. False when it has none: then `to` tells
 * only what the book knows. */
bool story_now(const struct books *s, const struct book *b, uint32_t order, struct story *to);
/* The same for an order that ends now, and forgets the story. */
bool story_take(struct books *s, const struct book *b, uint32_t order, struct story *to);
/* Forgets the story of an order, if it has one. */
void story_drop(struct books *s, uint32_t order);

/* For model.h: an order with a story joined or is about to leave its level. */
void story_joined(struct books *s, const struct book *b, uint32_t order);
void story_left(struct books *s, const struct book *b, uint32_t order);
/* For house.h: the best prices of the market may have changed. */
void story_touch(const struct books *s, struct book *b);

#endif
