/*
 * lobster.h - an order-by-order recording, and the level-2 view that everybody saw of it.
 *
 * Reads a LOBSTER message file (plain or gzip): time, type, order id, size, price in 1/10000,
 * side. From it come the rows in their order, what each level displayed after each row, and of
 * each order what really became of it. Orders that were never announced are in no level; their
 * executions stay as prints, as do those of hidden orders.
 *
 * A view is fresh (after every row) or by intervals, as an exchange publishes its depth: what is
 * shown at a moment is then what was true when the interval it lies in began.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_LOBSTER_H
#define SCRIP_BENCH_LOBSTER_H

#include "base/map.h"
#include "base/msg.h"

#define LOBSTER_NONE UINT32_MAX

enum lobster_type {
    LOBSTER_ADD = 1,
    LOBSTER_REDUCE,
    LOBSTER_DELETE,
    LOBSTER_EXECUTE,
    LOBSTER_PRINT /* an execution of what nobody could see */
};

struct lobster_row {
    int64_t time_ns;
    int64_t price, quantity; /* 1/10000, shares */
    int64_t after;           /* what its level displays after it; not of a PRINT */
    int64_t best[2];         /* best displayed prices after it, by enum side - 1; 0 = none */
    uint32_t order, level;   /* LOBSTER_NONE: of a PRINT */
    enum side side;          /* of the resting order */
    enum lobster_type type;
};

enum lobster_class { LOBSTER_UNFILLED, LOBSTER_PART, LOBSTER_FULL, LOBSTER_CLASSES };

/* What is displayed when an order enters, the order itself not counted. */
struct lobster_entry {
    uint32_t from;   /* first row that the last word on levels does not tell yet */
    int64_t word_ns; /* time of that word */
    int64_t shown;   /* at its price */
    int64_t worse;   /* next worse displayed price of its side; 0 = none */
    bool crosses;    /* the other side is displayed at its price or through it */
};

struct lobster_order {
    int64_t quantity; /* as it came */
    int64_t wanted;   /* less what was cancelled of it while it stood */
    int64_t executed;
    int64_t full_ns; /* when it was done, of LOBSTER_FULL */
    int64_t end_ns;
    uint32_t first, last; /* rows; last = LOBSTER_NONE: it stood at the end of the file */
    uint32_t level;
    uint32_t place; /* of its first row among its level's */
    enum lobster_class class;
    bool is_late;    /* announced long after it came, as its id shows */
    bool was_best;   /* its price came to be its side's best while it stood */
    bool was_behind; /* something was displayed at its price when it came */
    struct lobster_entry entry;
};

struct lobster_level {
    int64_t price;
    enum side side;
    uint32_t *rows;
    uint32_t rows_count;
    uint32_t better, worse; /* the next levels of its side by price, whether or not displayed */
};

struct lobster {
    struct lobster_row *rows;
    struct lobster_order *orders;
    struct lobster_level *levels;
    uint32_t rows_count, orders_count, levels_count;
    uint32_t rows_max, orders_max, levels_max;
    uint32_t skipped; /* lines of other types: auctions, halts */
    int64_t interval_ns;
    void *places; /* memory of the levels' rows */
};

/* Reads at most `lines` lines of a file. NULL, or what is wrong with it. */
const char *lobster_read(struct lobster *l, const char *path, uint32_t lines);
/* Finds levels, classes and entries; an interval of 0 is the fresh view. May be called again. */
void lobster_prepare(struct lobster *l, int64_t interval_ns);
void lobster_free(struct lobster *l);

/* Whether what became of it can be judged, and the view lets it enter as it did. */
bool lobster_is_judged(const struct lobster_order *o);
/* Of a view by intervals: when the interval of this moment began. */
int64_t lobster_interval(const struct lobster *l, int64_t time_ns);

#endif
