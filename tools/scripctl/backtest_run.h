/*
 * backtest_run.h - a market and an order file through the cores, at full speed.
 *
 * The order of things is that of the services: at one time the market speaks first, then clients
 * act, in the order of their file; what is due at the matcher comes before both. The ledger hears
 * prices at most every 100 ms, as marketdata tells them. Everything happens on the recording's
 * clock (when its messages were received; of archives, the exchange's), so the same input gives the
 * same output, byte for byte. Silence of the market is no fault here: a recording may have any.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_BACKTEST_RUN_H
#define SCRIPCTL_BACKTEST_RUN_H

#include "scripctl/backtest_result.h"
#include "scripctl/progress.h"

struct backtest_options {
    const char *rules, *sources; /* as for tape_open() */
    const char *orders;          /* file */
    const char *folder;          /* NULL = no files are written */
    struct ledger_policy policy; /* its opening balance is that of every account */
    uint64_t seed;               /* of the draws; 0 = as accounts are opened */
    int64_t every_us, length_us; /* length 0 = as long as the market lasts */
    bool by_middle, is_quiet;
};

struct backtest {
    struct backtest_options o;
    struct actions actions;
    struct tape *tape;
    struct engine *engine;
    struct equity equity;
    struct sheet equity_sheet;
    struct result result;
    bool has_equity, has_result;
    int64_t begin_us, end_us, now_us; /* of the market: beginning, where it is cut; the clock */
    int64_t took_us;                  /* by a real clock */
    uint8_t hash[HASH_BYTES];
};

enum backtest_end {
    BACKTEST_DONE,
    BACKTEST_WRONG, /* the input is; actions.complaints, or `why`, say where */
    BACKTEST_FAILED /* unreadable, unwritable, or the books do not hold */
};

/* Reads and judges everything, then runs it. To be ended with backtest_fini() in any case. */
enum backtest_end backtest_run(struct backtest *b, const struct backtest_options *o,
                               char why[WHY_BYTES]);
void backtest_fini(struct backtest *b);

#endif
