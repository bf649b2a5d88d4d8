/*
 * queue.h - where orders of the queue model stand among the real market's orders at their price.
 *
 * One state for each price level that holds such orders. The market's quantity there is a row of
 * segments, front to back: what was there when the first of our orders joined, then its increases.
 * A segment is `mixed` where it may be of several orders, otherwise it is one increase whose size
 * is known. An order's place is the end of the segment behind which it joined (an `edge`).
 *
 *      front  [ 31 mixed ][ 4 ]|[ 2 ][ 6 ]|[ 5 ]  back
 *                              ^          ^
 *                              A          B        ahead of A: 35, of B: 43
 *
 * - Prints eat from the front.
 * - A decrease that no print explains is a cancellation: of the latest increase of just that size;
 *   without one, of mixed segments in proportion; beyond these, of increases from the back.
 * - A decrease waits for its print (`gone`): where the market's word on the level comes first, a
 *   print of the same or an earlier time explains it.
 * - With more places or increases than segments, neighbours are merged; an order that finds no
 *   room for another edge is moved forward by prints alone: later than true, never earlier.
 *
 * Knows nothing of books. docs/fills.md tells why it is so and how well it does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_QUEUE_H
#define SCRIP_MATCHER_CORE_QUEUE_H

#include "base/map.h"
#include "base/msg.h"

#define QUEUE_NONE     UINT32_MAX
#define QUEUE_SEGMENTS 16

struct queue_segment {
    int64_t quantity; /* above 0 */
    uint32_t serial;  /* rises from front to back */
    bool mixed, edge;
};

/* Of an order in the row: what was ahead is used up when `printed` reaches `reach`, and no segment
 * after `after` is ahead. */
struct queue_place {
    int64_t reach;
    uint32_t after;
};

struct queue_level {
    int64_t price;  /* 0 = a free record */
    uint32_t owner; /* as in struct price_level; free: the next free record */
    uint32_t orders;
    int64_t shown;    /* by the market's last word */
    int64_t unseen;   /* printed since then */
    int64_t gone;     /* with that word, and not explained yet */
    int64_t printed;  /* ever */
    int64_t word_us;  /* the market's time of its last word; 0 = it gave none */
    int64_t moved_us; /* our time when the row last became shorter */
    uint32_t next_serial;
    bool is_known; /* false: the market has not said yet what it displays here */
    uint32_t count;
    struct queue_segment segments[QUEUE_SEGMENTS];
};

struct queue_pool {
    struct queue_level *at;
    struct map by_price;
    uint32_t free, fresh, max, used;
    uint64_t full; /* orders that found no room */
};

/* What is known of a level when the first order joins. */
struct queue_word {
    int64_t shown; /* below 0 = nobody knows */
    int64_t unseen;
    int64_t time_us;
};

size_t queues_bytes(uint32_t max);
/* Borrows zeroed memory of queues_bytes(max). */
void queues_init(struct queue_pool *p, uint32_t max, void *zeroed);

/* The state of a level; QUEUE_NONE when there is none. */
uint32_t queue_find(const struct queue_pool *p, uint32_t owner, int64_t price);
/* A state for a level that has none; QUEUE_NONE when there is no room. */
uint32_t queue_new(struct queue_pool *p, uint32_t owner, int64_t price,
                   const struct queue_word *word);
void queue_free(struct queue_pool *p, uint32_t queue);

/* The place of an order that joins now, behind all that is there. */
struct queue_place queue_join(struct queue_level *q, int64_t now_us);
/* What stands ahead of a place; INT64_MAX when nobody knows. */
int64_t queue_ahead(const struct queue_level *q, struct queue_place place);
/* The same with what has gone taken for a cancellation; 0 when nobody knows. For telling. */
int64_t queue_ahead_told(const struct queue_level *q, struct queue_place place);
/* The market's word of its time word_us: it displays this much here. */
void queue_level_changed(struct queue_level *q, int64_t shown, int64_t word_us, int64_t now_us);
/* A print of this time is about to hit the level: what went before it is settled. */
void queue_print_begins(struct queue_level *q, int64_t time_us, int64_t now_us);
/* It has hit it. */
void queue_printed(struct queue_level *q, int64_t quantity, int64_t time_us, int64_t now_us);

/* NULL, or what is wrong with a level. */
const char *queue_check(const struct queue_level *q);

#endif
