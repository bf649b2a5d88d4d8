/*
 * trigger_parts.h - what the files of trigger.h share.
 *
 * A way is a side of a book seen from the price: FALLING stops are keyed like bids and RISING ones
 * like asks, so that the stop to be met first is the ladder's best. A price meets a stop when its
 * key is not above the stop's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_TRIGGER_PARTS_H
#define SCRIP_MATCHER_CORE_TRIGGER_PARTS_H

#include "matcher/core/trigger.h"

#define TRIGGER_BPS INT64_C(10000)

static inline enum side
side_of(enum trigger_way way)
{
    return way == TRIGGER_FALLING ? SIDE_BUY : SIDE_SELL;
}

static inline int64_t
key_of(enum trigger_way way, int64_t price)
{
    return ladder_key(side_of(way), price);
}

/* Whether a price meets a stop. */
static inline bool
meets(enum trigger_way way, int64_t price, int64_t stop)
{
    return key_of(way, price) <= key_of(way, stop);
}

/* The extreme of who has seen no price yet: every price is better. */
static inline int64_t
no_extreme(enum trigger_way way)
{
    return way == TRIGGER_FALLING ? 0 : INT64_MAX;
}

static inline enum trigger_way
way_of(uint32_t watch)
{
    return (enum trigger_way)(watch % TRIGGER_WAYS);
}

static inline struct trigger_watch *
watch_of(struct triggers *t, uint32_t watch)
{
    return &t->watches[watch];
}

/* Number of a book's feed, from that of a watch. */
static inline uint32_t
feed_of_watch(uint32_t watch)
{
    return watch / TRIGGER_WAYS;
}

static inline int64_t
price_at(const struct triggers *t, uint32_t feed)
{
    return t->prices[feed / TRIGGER_FEEDS].price[feed % TRIGGER_FEEDS];
}

static inline uint32_t *
armed_at(struct triggers *t, uint32_t feed)
{
    return &t->prices[feed / TRIGGER_FEEDS].armed[feed % TRIGGER_FEEDS];
}

/* The price at which an order fires that trails from this extreme. */
int64_t trigger_fire_price(enum trigger_way way, int64_t extreme, uint32_t delta);
/* The key of the price at which the first level of a group fires. */
int64_t trigger_group_fires(const struct triggers *t, const struct trigger_group *g);
/* The number of the feed that an order out of every book looks at. */
uint32_t trigger_feed_number(const struct match *m, uint32_t record);

/* The group of a delta; TRIGGER_NONE when there is none. */
uint32_t trigger_group_find(const struct triggers *t, const struct trigger_watch *w,
                            uint32_t delta);
/* TRIGGER_NONE when there is no room. */
uint32_t trigger_group_new(struct triggers *t, uint32_t watch, uint32_t delta);
/* Gives back a group that has no levels. */
void trigger_group_free(struct triggers *t, uint32_t group);
/* The level of a price, or a new one; TRIGGER_NONE when there is no room. */
uint32_t trigger_level_get(struct triggers *t, uint32_t watch, uint32_t group, int64_t price);
/* Gives back a level that has no orders and is in no ladder. */
void trigger_level_free(struct triggers *t, uint32_t level);
/* Takes an empty level out of its ladder, and its group with its last level. */
void trigger_level_remove(struct triggers *t, uint32_t level);

#endif
