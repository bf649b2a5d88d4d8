/*
 * trigger.h - armed orders, and the prices that set them off.
 *
 * A book has four feeds of prices: the last trade's, the market's best bid (which SELL orders by
 * BID_ASK look at), its best ask (BUY orders), the mark price. For each feed and way an order may
 * wait there is a ladder of stop prices; a price costs no more than a look at its best entry, and
 * what it sets off.
 *
 *   RISING   set off by a price at or above the stop: STOP_LOSS BUY, TAKE_PROFIT SELL
 *   FALLING  by one at or below it:                   STOP_LOSS SELL, TAKE_PROFIT BUY
 *
 * An order with a trailing delta fires when the price comes back by the delta from the best one
 * since it began to trail: a SELL falling, from the highest; a BUY rising, from the lowest. With a
 * stop price (TRAILING_STOP: its activation, reached as that of a TAKE_PROFIT) it begins at the
 * first price that meets the stop, without one at the next price. Orders of one delta are a
 * group, and those of one extreme in it a level. A new extreme takes in the levels it passes, so
 * that each level is moved over once: work that is O(1) a price in the long run.
 *
 * What is set off goes to the list `ready` of the match, in order of the price that set it off,
 * nearest first, and of equal ones by rank; its next step is work for life.h. The fire price of a
 * SELL is rounded down, of a BUY up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_TRIGGER_H
#define SCRIP_MATCHER_CORE_TRIGGER_H

#include "base/outbox.h"
#include "matcher/core/chain.h"
#include "matcher/core/ladder.h"

#define TRIGGER_NONE       UINT32_MAX
#define TRIGGER_GROUPS_MAX 65536u /* at most, all books together */
#define TRIGGER_DELTA_MAX  10000u /* basis points; deltas are below */

enum trigger_feed { TRIGGER_LAST, TRIGGER_BID, TRIGGER_ASK, TRIGGER_MARK, TRIGGER_FEEDS };
enum trigger_way { TRIGGER_FALLING, TRIGGER_RISING, TRIGGER_WAYS };

/* Armed orders of one stop price, or of one extreme of a group. */
struct trigger_level {
    int64_t price; /* the stop price or the extreme; 0 = a free record */
    int64_t told;  /* extreme that the ledgers know of; 0 = none */
    struct chain orders;
    uint32_t count;
    uint32_t watch, group; /* where it is; no group: TRIGGER_NONE */
    uint32_t next;         /* of the free ones, or of those to be told */
    bool is_telling;
};

/* Trailing orders of one delta. */
struct trigger_group {
    struct ladder extremes;
    uint32_t watch, delta; /* delta 0 = a free record */
    uint32_t prev, next;   /* of the groups of its watch */
};

/* Armed orders of one feed and way. */
struct trigger_watch {
    struct ladder stops;
    uint32_t groups;
    /* Prices whose keys lie above `fires` and not above `extends` do nothing to any group. */
    int64_t fires, extends;
};

/* The prices of a book: one cache line, which is all that a tick looks at where nobody waits. */
struct trigger_prices {
    int64_t price[TRIGGER_FEEDS]; /* 0 = not known */
    uint32_t armed[TRIGGER_FEEDS];
} __attribute__((aligned(64)));

struct triggers {
    struct trigger_prices *prices; /* by book */
    struct trigger_watch *watches; /* by (book * TRIGGER_FEEDS + feed) * TRIGGER_WAYS + way */
    struct ladder_nodes nodes;
    struct trigger_level *levels;
    struct trigger_group *groups;
    uint32_t levels_free, levels_fresh, levels_max, levels_used;
    uint32_t groups_free, groups_fresh, groups_max, groups_used;
    uint32_t armed;   /* orders */
    uint32_t telling; /* first level whose extreme has to be told, TRIGGER_NONE = none */
    uint32_t told_to; /* order of that level told last, RESTING_NONE = none */
};

struct match;

size_t triggers_bytes(uint32_t levels_max, uint32_t books_max);
/* Borrows zeroed memory of triggers_bytes(), aligned to 64. */
void triggers_init(struct triggers *t, uint32_t levels_max, uint32_t books_max, void *zeroed);

/* A price of a book is now this; 0 = it is not known any more. What it sets off, or lets begin to
 * trail, moves to m->ready. Nothing is told here. */
void trigger_price(struct match *m, uint32_t book, enum trigger_feed feed, int64_t price);
/* Tells the extremes that moved by a tenth of their delta; false when the outbox is full. */
bool trigger_tell(struct match *m, struct outbox *out);

enum trigger_armed {
    TRIGGER_ARMED,
    TRIGGER_TRAILS, /* armed, and its extreme has to be told */
    TRIGGER_MET,    /* not armed: its condition holds already */
    TRIGGER_FULL    /* not armed: no room */
};

/* Arms an order that is in no list and has its rank, or sets it off; of a trailing one
 * `is_tracking` and `trail_extreme` say how far it came. */
MUST_USE enum trigger_armed trigger_arm(struct match *m, uint32_t record);
/* Takes an armed order out; its extreme is then in its record. */
void trigger_unlink(struct match *m, uint32_t record);
/* The extreme of a trailing order, armed or not; 0 = none yet. */
int64_t trigger_extreme(const struct match *m, uint32_t record);
/* NULL, or what is wrong. Looks at everything. */
const char *triggers_check(const struct match *m);

#endif
