/*
 * backtest_equity.h - what accounts are worth while a backtest runs: cash, positions, drawdown.
 *
 * Cash is USDT, what orders hold included. Positions are all other assets, each valued at the last
 * price of its symbol (or the middle of its touch), through one further symbol where it is not
 * quoted in USDT; an asset without such a price counts nothing and is counted. Profit is equity
 * less all that was paid in. A drawdown is how far profit is below its highest so far, its ratio
 * is to the equity that would have been had there. Money is exact; rounded down.
 *
 * Sharpe ratio: mean over standard deviation of the changes of equity from row to row (each over
 * the equity before it, payments left out), times the square root of the rows in 365 days; without
 * a riskless rate. Told from 30 rows on, and where the deviation is not 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_BACKTEST_EQUITY_H
#define SCRIPCTL_BACKTEST_EQUITY_H

#include "backtest/tape.h"
#include "ledger/core/ledger.h"
#include "scripctl/sheet.h"

#define EQUITY_ROWS_MIN 30

struct worth {
    int64_t paid_in; /* ever */
    int64_t cash, positions, equity, profit;
    int64_t top_profit, drawdown, drawdown_ratio; /* of 10^-8 */
    int64_t worst_drawdown, worst_ratio;
};

struct equity_options {
    const struct tape *tape;
    const struct ledger *ledger;
    const cid_t *accounts; /* names; account ids count from 1 */
    uint32_t accounts_count;
    int64_t every_us;
    bool by_middle;
    struct sheet *sheet;
};

struct equity {
    struct equity_options o;
    struct worth *worths;
    struct worth all;
    int64_t next_us;         /* row that is due next */
    uint64_t rows, unvalued; /* balances that had no price, counted in each row */
    bool is_exceeded;        /* an amount went past int64: what follows is not to be trusted */
    /* Of the changes of all accounts together. */
    uint64_t changes;
    double sum, squares;
};

void equity_init(struct equity *e, const struct equity_options *o, int64_t begin_us);
void equity_fini(struct equity *e);
/* Money was paid in (or out, below 0). */
void equity_paid(struct equity *e, uint64_t account_id, int64_t amount);
/* Writes the rows of the time `next_us`, and goes on to the next; or of the end. */
void equity_row(struct equity *e, int64_t at_us);
/* An amount in USDT, rounded down; false when its asset has no price. */
bool equity_value(const struct equity *e, code_t asset, int64_t amount, int64_t *out);
/* False when it is not defined. */
bool equity_sharpe(const struct equity *e, double *out);

#endif
