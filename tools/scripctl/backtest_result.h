/*
 * backtest_result.h - what became of the orders of a backtest: its rows, counted and written.
 *
 * Takes the rows that a deployment would write into its tables. fills.csv is written as they
 * happen, orders.csv at the end: a line for each order, and for each request that was refused, in
 * the order of their times.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_BACKTEST_RESULT_H
#define SCRIPCTL_BACKTEST_RESULT_H

#include "base/map.h"
#include "scripctl/backtest_actions.h"
#include "scripctl/backtest_engine.h"
#include "scripctl/backtest_equity.h"

#define RESULT_ERRORS_MAX 1024 /* above every number of errors.def */

struct result_order {
    uint32_t action; /* that made it */
    uint32_t fills;
    uint64_t account_id;
    struct order order;
    struct story story;
    int64_t fee_base, fee_quote;
    text_t why;
};

/* The last word on an action. */
struct result_answer {
    enum { ANSWER_NONE, ANSWER_GIVEN, ANSWER_REFUSED } kind;
    struct refused refused;
    uint32_t first_order, orders; /* that it made */
};

struct result {
    const struct actions *actions;
    struct equity *equity;
    struct sheet fills_sheet;
    struct result_answer *answers; /* by action */
    struct result_order *orders;
    uint32_t orders_count, orders_max;
    struct map by_id;
    void *by_id_bytes;
    uint32_t at;   /* action at work */
    uint32_t sent; /* actions */
    uint64_t fills, maker_fills, refused, filled, open;
    int64_t turnover, fees; /* in USDT, at the prices of their times */
    uint64_t unvalued;      /* fills of which these are not known */
    uint32_t refusals[RESULT_ERRORS_MAX];
};

void result_init(struct result *r, const struct actions *actions, struct equity *equity,
                 const char *folder);
void result_fini(struct result *r);
struct ledger_sink result_sink(struct result *r);
/* An answer of the ledger: `corr` is one more than the action's place, or that of an order behind
 * all actions, when it was asked why. */
void result_reply(void *arg, const struct msg *m);
/* Asks why of every order, and writes orders.csv; false when it could not be written. */
bool result_finish(struct result *r, struct engine *e, const char *folder, int64_t now_us,
                   char why[WHY_BYTES]);

#endif
