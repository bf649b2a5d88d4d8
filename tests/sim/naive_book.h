/*
 * naive_book.h - a matcher written a second time, to be slow and obviously right.
 *
 * Orders, house levels, queues and errands lie in plain arrays, and every question scans them all:
 * an armed order looks at each price itself, the next thing due is sought among everything that
 * is. It shares no code with services/matcher: where the two differ in a report, one of them is
 * wrong. It takes what a session lets through; sessions themselves are not its business, and of
 * its limits it knows only those on orders and errands.
 *
 *   naive_book.c   orders at rest                  naive_house.c    the market's messages
 *   naive_take.c   takers                          naive_queue.c    rows of the queue model
 *   naive_cross.c  what crosses at rest            naive_trigger.c  armed orders
 *   naive_life.c   latency, pairs, times, resync   naive_story.c    what was seen of an order
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_NAIVE_BOOK_H
#define SCRIP_TESTS_SIM_NAIVE_BOOK_H

#include "base/msg.h"

#define NAIVE_SYMBOLS_MAX  8
#define NAIVE_SEGMENTS_MAX 16
#define NAIVE_USES_MAX     16 /* remembered uses of the market, as spent.h says */
#define NAIVE_UNSEEN_MAX   32
#define NAIVE_NOTHING      UINT32_MAX

struct naive_report {
    uint64_t order_id, corr, rank;
    uint32_t ledger;
    enum order_end end;
    bool was_pulled, was_trimmed;
    bool may_be_silent; /* nothing but an extreme of which nobody needs to be told */
    int64_t triggered_us, trail_extreme, prevented, trimmed_to;
    struct match_fill *fills;
    uint32_t fills_count, fills_room;
    bool has_story;
    struct story story;
};

enum naive_place {
    NAIVE_WAITS,
    NAIVE_ON_ITS_WAY,
    NAIVE_PAIRS,
    NAIVE_ARMED,
    NAIVE_READY,
    NAIVE_RESTS,
    NAIVE_WORKED
};

struct naive_order {
    struct order_work work; /* quantity: what is left as a whole */
    uint32_t ledger, symbol;
    enum naive_place place;
    uint64_t rank, corr;
    uint64_t turn;   /* READY: who is first */
    int64_t total;   /* its quantity as a whole, what was executed included */
    int64_t in_view; /* RESTS: of what is left */
    int64_t arrives_us;
    bool expires; /* it is here and its time counts */
    bool is_tracking, is_set_off, is_untold;
    int64_t extreme, told; /* trailing: 0 = none yet */
    bool is_placed;        /* QUEUE: of its place in the row */
    int64_t reach;
    uint32_t after;
    bool has_story, has_joined;
    struct story story; /* what was true when it came; printed: so far; nearest: so far */
    int64_t held_before;
};

struct naive_level {
    int64_t price, left, shown;
    uint64_t sequence;
    int64_t time_us, since_us;
};

/* What our fills used of the market. */
enum naive_use_kind { NAIVE_WHOLE, NAIVE_DISPLAY, NAIVE_PRINT };
struct naive_use {
    enum naive_use_kind kind;
    enum side side;
    int64_t price, quantity, time_us;
};

/* What was printed since the market's last word. */
struct naive_unseen {
    enum side side;
    int64_t price, quantity;
};

struct naive_print {
    bool is_on;
    enum side resting;
    int64_t price, quantity, spent, taken, time_us;
    uint64_t sequence, rank_max;
};

enum naive_venue { NAIVE_FIRST, NAIVE_PARTICIPANT, NAIVE_OFF };
enum naive_stale { NAIVE_HOLD, NAIVE_FLAG, NAIVE_GO_ON };

struct naive_house {
    bool is_known, is_live; /* heard of at all; a snapshot is there and nothing is missing */
    enum naive_venue venue;
    enum liquidity source;
    uint64_t sequence, heard;
    struct naive_level *levels[2]; /* bids, asks; in no order */
    uint32_t counts[2], rooms[2];
    int64_t quote_price[2], quote_quantity[2];
    int64_t last, mark;
    int64_t spoke_us, word_us, word_at_us;
    int64_t held_us,
        lost_us; /* withdrawn after it was live: until lost_us; since (0 = it is not) */
    struct naive_use uses[NAIVE_USES_MAX];
    uint32_t uses_count;
    struct naive_unseen unseen[NAIVE_UNSEEN_MAX];
    uint32_t unseen_count;
    int64_t prices[4]; /* last, bid, ask, mark, as the armed orders were told */
};

struct naive_segment {
    int64_t quantity;
    uint32_t serial;
    bool is_mixed, is_edge;
};

/* The market's row at one price where orders of the queue model rest. */
struct naive_row {
    uint32_t symbol;
    enum side side;
    int64_t price;
    bool is_known;
    int64_t shown, unseen, gone, printed, word_us;
    uint32_t next_serial, count;
    struct naive_segment segments[NAIVE_SEGMENTS_MAX];
};

struct naive_errand {
    int64_t at_us;
    uint64_t number, order_id, corr;
    int64_t quantity; /* of a trim; 0 = a pull */
    uint32_t ledger;
};

/* A list of which an order was refused, or decided before its other one came. */
struct naive_over {
    uint64_t list_id;
    uint32_t ledger;
};

struct naive_book {
    code_t symbols[NAIVE_SYMBOLS_MAX];
    struct naive_house houses[NAIVE_SYMBOLS_MAX];
    uint32_t symbols_count;
    struct naive_order *orders; /* in the order they came */
    uint32_t orders_count, orders_room;
    uint32_t orders_max;
    struct naive_row *rows;
    uint32_t rows_count, rows_room;
    struct naive_errand *errands;
    uint32_t errands_count, errands_room;
    uint32_t errands_max;
    uint64_t errands_begun;
    struct naive_over *over;
    uint32_t over_count, over_room;
    enum naive_stale stale;
    int64_t silence_us; /* a market unheard for longer is lost; 0 = never */
    uint64_t last_rank, turns;
    int64_t now_us;
    struct naive_print print;
    struct naive_report *reports;
    uint32_t reports_count, reports_room;
};

struct naive_book *naive_book_new(uint32_t orders_max);
void naive_book_destroy(struct naive_book **n);
/* Reports gather until they are cleared. */
void naive_book_clear(struct naive_book *n);

/* An order of a synced ledger. */
void naive_book_work(struct naive_book *n, uint32_t ledger, const struct order_work *w,
                     uint64_t corr, int64_t now_us);
/* An order of a ledger that is between its hello and its synced. */
void naive_book_wait(struct naive_book *n, uint32_t ledger, const struct order_work *w,
                     uint64_t corr, int64_t now_us);
/* The end of its resync. */
void naive_book_synced(struct naive_book *n, uint32_t ledger, int64_t now_us);
/* A pull, or a trim to `quantity`. */
void naive_book_pull(struct naive_book *n, uint32_t ledger, const struct order_pull *p,
                     uint64_t corr, int64_t now_us);
void naive_book_trim(struct naive_book *n, uint32_t ledger, const struct order_trim *t,
                     uint64_t corr, int64_t now_us);
/* All orders of a ledger are gone: a hello, or a lost session. */
void naive_book_drop(struct naive_book *n, uint32_t ledger);
/* md_trade, md_quote, md_depth, md_mark, md_book or md_beat. */
void naive_book_market(struct naive_book *n, const struct msg *m, int64_t now_us);
/* Carries out what is due. */
void naive_book_due(struct naive_book *n, int64_t now_us);
/* The same, and gives up markets that fell silent. */
void naive_book_time(struct naive_book *n, int64_t now_us);
/* NAIVE_NOTHING when it is not here. */
uint32_t naive_book_find(const struct naive_book *n, uint64_t order_id);
/* What is told of an order that is here when somebody asks. */
void naive_book_explain(const struct naive_book *n, uint32_t order, struct story *to);

/* ---- Between the files ---------------------------------------------------------------------- */

void *naive_grown(void *array, uint32_t count, uint32_t *room, size_t size);
uint32_t naive_symbol(struct naive_book *n, code_t symbol);
struct naive_report *naive_report(struct naive_book *n, uint32_t ledger, uint64_t order_id,
                                  uint64_t corr);
/* Whether price a is better than b for somebody who takes from this side. */
bool naive_is_better(enum side side, int64_t a, int64_t b);
/* The same, or equal. */
bool naive_is_within(enum side side, int64_t price, int64_t limit);
uint64_t naive_next_rank(struct naive_book *n);

/* naive_book.c. The resting order that comes first on a side, of those after `passed` when there is
 * one; the best level at which the house trades. */
uint32_t naive_first_order(const struct naive_book *n, uint32_t symbol, enum side side,
                           const struct naive_order *passed);
uint32_t naive_first_level(const struct naive_book *n, uint32_t symbol, enum side side);
struct evidence naive_user_evidence(const struct naive_book *n, int64_t price, int64_t quantity);
struct evidence naive_house_evidence(const struct naive_book *n, uint32_t symbol,
                                     const struct naive_level *l);
void naive_add_fill(struct naive_report *r, int64_t price, int64_t quantity, bool is_maker,
                    struct evidence evidence);
/* A resting order gets a fill; or self-trade prevention takes a quantity off it, be it all. */
void naive_fill_order(struct naive_book *n, uint32_t order, int64_t price, int64_t quantity,
                      bool is_maker, struct evidence evidence);
void naive_prevent_order(struct naive_book *n, uint32_t order, int64_t quantity);
/* Whether the taker's mode keeps it from trading with its own account's order. */
bool naive_is_own(const struct order_work *taker, const struct naive_order *maker);
/* Another one in which something may be tried. */
struct naive_book *naive_copy_of(const struct naive_book *n);

/* naive_take.c: takes for an order that is WORKED, then rests or ends it. Plain ones, which have no
 * place among the orders until they rest, go the other way. */
void naive_take(struct naive_book *n, uint32_t order, bool was_set_off);
void naive_take_plain(struct naive_book *n, uint32_t ledger, const struct order_work *w,
                      uint64_t corr);
/* naive_cross.c: whatever crosses at rest in a symbol fills. */
void naive_settle(struct naive_book *n, uint32_t symbol);
/* Puts an order to rest with its rank. False when the sum of its level would be too much. */
bool naive_rest(struct naive_book *n, uint32_t order);

/* naive_life.c */
bool naive_is_conditional(enum order_type type);
/* The end of an order that is among the orders, wherever it is: its story goes into the report, it
 * is forgotten, and the other one of its pair with it. */
void naive_end(struct naive_book *n, uint32_t order, struct naive_report *r, enum order_end end);
/* Something decisive happened to it: the other one of its pair is gone. Orders may move. */
void naive_decided(struct naive_book *n, uint64_t order_id);
void naive_forget(struct naive_book *n, uint32_t order);
/* Takes what is ready, one after the other, until nobody is. */
void naive_run(struct naive_book *n);
/* Its next step is due, after those of all others. */
void naive_be_ready(struct naive_book *n, struct naive_order *o);
/* naive_trigger.c: arms an order, or sets it off; tells the armed what the prices are now. */
void naive_arm(struct naive_book *n, struct naive_order *o);
void naive_prices(struct naive_book *n, uint32_t symbol);

/* naive_house.c */
uint32_t naive_best_level(const struct naive_book *n, uint32_t symbol, enum side side);
int64_t naive_best_shown(const struct naive_book *n, uint32_t symbol, enum side side);
/* What the market displays at a price, whatever our fills took. */
int64_t naive_shown(const struct naive_book *n, uint32_t symbol, enum side side, int64_t price);
void naive_use_level(struct naive_book *n, uint32_t symbol, enum side side, uint32_t level,
                     int64_t quantity);
void naive_remember_use(struct naive_house *h, struct naive_use use);
bool naive_house_is_shown(const struct naive_book *n, uint32_t symbol);
bool naive_house_is_held(const struct naive_book *n, uint32_t symbol);
int64_t naive_held_us(const struct naive_book *n, uint32_t symbol);

/* naive_queue.c */
uint32_t naive_row_find(const struct naive_book *n, uint32_t symbol, enum side side, int64_t price);
/* An order of the queue model joins the end of its row, which is made when it is the first. */
void naive_row_join(struct naive_book *n, struct naive_order *o);
/* An order is gone; its row too, when it was the last. */
void naive_row_leave(struct naive_book *n, const struct naive_order *gone);
/* INT64_MAX when nobody knows. */
int64_t naive_row_ahead(const struct naive_row *q, const struct naive_order *o);
void naive_row_shown(struct naive_row *q, int64_t shown, int64_t word_us);
/* The same after a snapshot, for all rows of a symbol of which it says something. */
void naive_rows_shown(struct naive_book *n, uint32_t symbol);
/* With what has gone unexplained taken for a cancellation; 0 when nobody knows. */
int64_t naive_row_ahead_told(const struct naive_row *q, const struct naive_order *o);
void naive_row_print_begins(struct naive_row *q, int64_t time_us);
void naive_row_printed(struct naive_row *q, int64_t quantity, int64_t time_us);

/* naive_story.c */
void naive_story_begin(struct naive_book *n, struct naive_order *o);
void naive_story_joined(struct naive_book *n, struct naive_order *o);
/* For everybody at rest: the market's best prices may have changed; it printed. */
void naive_story_touch(struct naive_book *n, uint32_t symbol);
void naive_story_print(struct naive_book *n, uint32_t symbol, int64_t price, int64_t quantity);
void naive_story_tell(const struct naive_book *n, const struct naive_order *o, struct story *to);

#endif
