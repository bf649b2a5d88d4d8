/*
 * book.h - the order book of a symbol: users' resting orders and the house's liquidity.
 *
 * Each side has two ladders: price levels with users' orders in order of rank, and the house's
 * levels as the real market shows them. All books share the pools of `struct books`. This file
 * knows where orders lie; taker.h knows how they trade, house.h what the market's messages mean.
 *
 *   best user price, best house price   O(1)        add, cancel by id    O(1) in a known level,
 *   nothing is ever allocated                       O(log levels) for a level that comes or goes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_BOOK_H
#define SCRIP_MATCHER_CORE_BOOK_H

#include "matcher/core/ladder.h"
#include "matcher/core/queue.h"
#include "matcher/core/resting.h"
#include "matcher/core/spent.h"
#include "matcher/core/story.h"

#define LEVEL_NONE       UINT32_MAX
#define BOOK_NONE        UINT32_MAX
#define BOOKS_AHEAD_MAX  32    /* orders that are looked at ahead together */
#define BOOKS_AHEAD_MIN  65536 /* orders; fewer lie in the caches anyway */
#define BOOK_RECENT_BITS 14    /* price levels remembered for a quick find, all books together */

/* Users' orders at one price. One that runs out of orders stays in its ladder for a while, in the
 * list of its side's empty levels: prices come back, and it is then found at once. The best level
 * of a side is never empty. */
struct price_level {
    int64_t price;       /* 0 = a free record */
    int64_t quantity;    /* of all its orders, hidden quantities included */
    uint32_t head, tail; /* lowest rank first */
    uint32_t count : 28;
    uint32_t models : 4; /* bit m: orders of fill model m have been here since the level came */
    uint32_t owner;      /* book number * 4 + side; free: the next free record */
};

/* What a level with orders of any fill model needs beside, or an empty one, by the same number. */
struct level_more {
    union {
        int64_t printed; /* at its price or through it */
        struct {
            uint32_t older, newer; /* empty: its neighbours in the list */
        };
    };
    uint32_t queue; /* its state for the queue model, QUEUE_NONE = no such orders */
};

/* What the house shows at one price, less what our own fills took from it. */
struct house_level {
    int64_t price; /* 0 = a free record */
    int64_t left;  /* above 0 */
    uint64_t sequence;
    int64_t time_us; /* of the message that showed it; free: the next free record */
};

struct book_side {
    struct ladder users;                       /* slots are price levels */
    struct ladder house;                       /* slots are house levels */
    uint32_t empty_first, empty_last, empties; /* users' levels without orders */
};

/* How the house trades with a symbol's takers. */
enum venue {
    VENUE_FIRST,       /* at equal price before all users */
    VENUE_PARTICIPANT, /* at equal price by the time since when it shows it, as one among users */
    VENUE_OFF          /* not at all: its market gives prices, no liquidity */
};

enum house_state {
    HOUSE_UNKNOWN,  /* nothing was ever heard of this symbol's market, or it is no more */
    HOUSE_AWAITING, /* withdrawn until a snapshot comes */
    HOUSE_LIVE
};

/* What becomes of the house when its market has a gap or falls silent. */
enum stale_fills {
    STALE_HOLD, /* withdrawn until a snapshot comes */
    STALE_FLAG, /* stays as it was last; fills say so in their evidence */
    STALE_GO_ON /* stays as it was last */
};

struct house {
    enum house_state state;
    enum liquidity source;
    uint64_t sequence;  /* the levels are true after this message */
    uint64_t heard;     /* last number seen in the published stream */
    bool is_doubtful;   /* its publisher says that the stream is STALE or HEALING */
    int64_t asked_us;   /* when the core last asked for a snapshot */
    int64_t spoke_us;   /* when the market last said anything */
    int64_t word_us;    /* the market's time of its last word on levels; 0 = it gave none */
    int64_t word_at_us; /* and our time of it */
    int64_t lost_us;    /* AWAITING after it was LIVE: since when; 0 = no */
    int64_t held_us;    /* AWAITING after it was LIVE: how long, all in all until lost_us */
    price_t last;       /* of the market's last trade */
    price_t mark;       /* mark price; 0 = none is known */
    /* QUOTE: what each side shows, by enum side - 1, to see whether it changed */
    struct {
        int64_t price, quantity;
    } quote[2];
};

struct book {
    code_t symbol;
    struct book_side sides[2]; /* by enum side - 1 */
    struct house house;
    enum venue venue;
    uint32_t orders; /* resting */
    uint32_t number;
    uint32_t queues; /* its levels with a state for the queue model */
    bool is_dirty;   /* something may cross: see match.h */
    uint32_t dirty_next;
    struct spent_list spent;
    struct touch_past past[2]; /* of the house, by enum side - 1; for stories */
};

/* A print of the market while it fills resting orders: see model.h. */
struct print {
    uint32_t book;     /* BOOK_NONE = none is under way */
    enum side resting; /* the real market's side that it hit */
    int64_t price, quantity;
    int64_t spent; /* of it, what our fills had taken from the display it hit */
    int64_t taken; /* by users from this print */
    uint64_t sequence;
    int64_t time_us;
    uint32_t queue; /* the state of the level it hit, QUEUE_NONE = no queue orders there */
    /* where the walk stands */
    enum side side;
    int64_t key;       /* of the level */
    uint32_t after;    /* last order passed over in it, RESTING_NONE = none */
    int64_t ahead;     /* of the queue orders passed so far, the most */
    uint64_t rank_max; /* later orders came after the print: it has arrived late */
};

/* What all books share. */
struct books {
    struct resting_pool orders;
    struct ladder_nodes nodes;
    struct price_level *levels;
    struct house_level *houses;
    int64_t *since_us; /* by house level: our time when the house came to show its price */
    int64_t *shown;    /* by house level: what the market displays there, our fills apart */
    uint32_t *recent;  /* price levels found lately, by hash; always verified */
    struct level_more *levels_more; /* by price level; set where orders have a fill model */
    struct queue_pool queues;
    struct story_pool stories;
    struct print print;
    struct {
        uint32_t level, order; /* the last order of a level that a display does not fill */
    } passed;
    enum stale_fills stale_fills;
    uint32_t levels_free, levels_fresh, levels_max, levels_used; /* used: those with orders */
    uint32_t empties, empties_max;
    uint32_t houses_free, houses_fresh, houses_max, houses_used;
    uint64_t houses_dropped; /* levels that found no room */
    int64_t now_us;          /* time of the message at hand */
    uint64_t last_rank;      /* greatest ever given or seen */
};

struct books_limits {
    uint32_t orders_max, levels_max, house_levels_max, books_max;
    uint32_t queues_max;  /* price levels with orders of the queue model */
    uint32_t stories_max; /* orders with a story */
};

size_t books_bytes(const struct books_limits *limits);
/* Borrows zeroed memory of books_bytes(), aligned to 64. */
void books_init(struct books *s, const struct books_limits *limits, void *zeroed);

void book_open(struct book *b, code_t symbol, uint32_t number);

static inline struct book_side *
book_side(struct book *b, enum side side)
{
    return &b->sides[side - 1];
}

/* The next rank: the time, or one more than the greatest there was. */
static inline uint64_t
books_next_rank(struct books *s)
{
    uint64_t now = s->now_us > 0 ? (uint64_t)s->now_us : 0;
    s->last_rank = now > s->last_rank ? now : s->last_rank + 1;
    return s->last_rank;
}

/* What is left of an order as a whole: of an iceberg with what is hidden. */
static inline int64_t
book_left(const struct books *s, uint32_t order)
{
    const struct resting *r = &s->orders.at[order];
    return r->quantity + (r->has_more ? s->orders.more[order].hidden : 0);
}

/* An order that will be placed or pulled soon. */
struct book_ahead {
    uint64_t id;
    const struct book *book; /* where it is new; NULL = it is there already */
    enum side side;
    int64_t price;
};

/* Whether looking ahead is worth its time. */
static inline bool
books_are_deep(const struct books *s)
{
    return s->orders.used >= BOOKS_AHEAD_MIN;
}
/* Fetches what these will read into the processor's caches, all at once instead of one after the
 * other. A hint: it changes nothing. */
void books_ahead(const struct books *s, const struct book_ahead *soon, uint32_t count);

/*
 * Links an order that is in no list into its level, by rank. `hint` is an order already linked
 * with a lower rank at the same side and price, or RESTING_NONE: from there the place is sought.
 * The order's side, price, quantity and rank are set, an iceberg's `hidden` and `slice` too. False,
 * and nothing changed, when there is no room for another level or its sum would pass int64.
 */
MUST_USE bool book_link(struct books *s, struct book *b, uint32_t order, uint32_t hint);
/* Unlinks a resting order; its record stays. */
void book_unlink(struct books *s, struct book *b, uint32_t order);

enum reduced {
    REDUCED_GOES_ON,
    REDUCED_RENEWED, /* an iceberg's slice was used up: the next joined the level's end, new rank */
    REDUCED_FREED,   /* that was its last: unlinked and forgotten */
    REDUCED_KEPT     /* that was its last: unlinked; its record `has_more` and is the caller's */
};

/* Takes a quantity, at most what is in view, off a resting order. */
enum reduced book_reduce(struct books *s, struct book *b, uint32_t order, int64_t quantity);
/* Lowers what is left of a resting order as a whole, hidden first. It keeps its place. `left` is
 * above 0 and at most what it is now. */
void book_trim(struct books *s, uint32_t order, int64_t left);

/* Sets what the house shows at a price; 0 or less removes the level. When the pool is full, the
 * side's worst level makes way for a better one. Amounts past int64 quote are not taken. A price
 * that is shown already keeps its `since_us`. */
void book_show(struct books *s, struct book *b, enum side side, const struct house_level *shown);
/* Takes a quantity, at most what is left, from the side's best house level. */
void book_consume(struct books *s, struct book *b, enum side side, int64_t quantity);
/* Makes this the only level that the house shows on a side; none when it is empty. A level at the
 * same price keeps its `since_us`. */
void book_show_only(struct books *s, struct book *b, enum side side,
                    const struct house_level *shown);
/* The market's word of time_us on a whole side: all that was shown before is removed, and what was
 * used of it is remembered. */
void book_replace(struct books *s, struct book *b, enum side side, int64_t time_us);
/* Removes the house's levels of a side. */
void book_hide(struct books *s, struct book *b, enum side side);

/* What the market displays at a price of a side, whatever our fills took from it. */
int64_t book_shown(const struct books *s, const struct book *b, enum side side, int64_t price);
/* The best price that the house shows on a side; 0 when there is none. */
static inline int64_t
book_shown_best(const struct book *b, enum side side)
{
    int64_t key = b->sides[side - 1].house.best_key;
    return key != LADDER_NO_KEY ? ladder_price(side, key) : 0;
}

/* The best price at which the house trades on a side, as a key; LADDER_NO_KEY: at none. */
static inline int64_t
book_house_best(const struct book *b, enum side side)
{
    return b->venue != VENUE_OFF ? b->sides[side - 1].house.best_key : LADDER_NO_KEY;
}

/* The best price of a side, users' and the house's, as keys; LADDER_NO_KEY where there is none. */
static inline int64_t
book_best(const struct book *b, enum side side)
{
    int64_t users = b->sides[side - 1].users.best_key, house = book_house_best(b, side);
    return users > house ? users : house;
}

/* Whether at least `quantity` rests at `key` or better, users' and the house's together, hidden
 * quantities too. */
bool book_has(const struct books *s, const struct book *b, enum side side, int64_t key,
              int64_t quantity);

/* NULL, or what is wrong with this book. Looks at everything. */
const char *book_verify(const struct books *s, const struct book *b);

#endif
