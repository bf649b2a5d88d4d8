/*
 * naive_book.h - a matcher written a second time, to be slow and obviously right.
 *
 * Orders and house levels lie in plain arrays and every question scans them all. It shares no
 * code with services/matcher: where the two differ in a report, one of them is wrong. It takes
 * what a session lets through; sessions themselves are not its business.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_SIM_NAIVE_BOOK_H
#define SCRIP_TESTS_SIM_NAIVE_BOOK_H

#include "base/msg.h"

#define NAIVE_SYMBOLS_MAX 8

struct naive_report {
    uint64_t order_id, corr, rank;
    uint32_t ledger;
    enum order_end end;
    bool was_pulled;
    struct match_fill *fills;
    uint32_t fills_count, fills_room;
};

struct naive_order {
    struct order_work work; /* quantity and funds: what is left */
    uint32_t ledger, symbol;
    uint64_t rank;
    bool is_waiting;
};

struct naive_level {
    int64_t price, left;
    uint64_t sequence;
    int64_t time_us;
};

struct naive_house {
    bool is_live;
    enum liquidity source;
    uint64_t sequence, heard;
    struct naive_level *levels[2]; /* bids, asks; in no order */
    uint32_t counts[2], rooms[2];
    int64_t quote_price[2], quote_quantity[2];
};

struct naive_book {
    code_t symbols[NAIVE_SYMBOLS_MAX];
    struct naive_house houses[NAIVE_SYMBOLS_MAX];
    uint32_t symbols_count;
    struct naive_order *orders; /* in the order they came */
    uint32_t orders_count, orders_room;
    uint32_t orders_max; /* those at rest and those that wait */
    uint64_t last_rank;
    int64_t now_us;
    struct naive_report *reports;
    uint32_t reports_count, reports_room;
};

struct naive_book *naive_book_new(uint32_t orders_max);
void naive_book_destroy(struct naive_book **n);
/* Reports gather until they are cleared. */
void naive_book_clear(struct naive_book *n);

/* A new order of a synced ledger. */
void naive_book_work(struct naive_book *n, uint32_t ledger, const struct order_work *w,
                     uint64_t corr, int64_t now_us);
/* An order of a ledger that is between its hello and its synced. */
void naive_book_wait(struct naive_book *n, uint32_t ledger, const struct order_work *w,
                     uint64_t corr, int64_t now_us);
/* The end of its resync. */
void naive_book_synced(struct naive_book *n, uint32_t ledger, int64_t now_us);
void naive_book_pull(struct naive_book *n, uint32_t ledger, uint64_t order_id, uint64_t corr,
                     int64_t now_us);
/* All orders of a ledger are gone: a hello, or a lost session. */
void naive_book_drop(struct naive_book *n, uint32_t ledger);
/* md_trade, md_quote, md_depth, md_book or md_beat. */
void naive_book_market(struct naive_book *n, const struct msg *m, int64_t now_us);

/* For naive_book.c: a market message into a house; whether anything that may trade has changed. */
bool naive_house_take(struct naive_house *h, const struct msg *m);

#endif
