/*
 * backtest_equity.c - see backtest_equity.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/backtest_equity.h"

#include <math.h>
#include <stdlib.h>

#include "ledger/core/account.h"
#include "ledger/core/balance.h"

#define HOPS_MAX 2 /* symbols between an asset and USDT */
#define YEAR_US  (365 * INT64_C(86400000000))

void
equity_init(struct equity *e, const struct equity_options *o, int64_t begin_us)
{
    *e = (struct equity){.o = *o, .next_us = begin_us};
    e->worths = calloc(o->accounts_count + 1, sizeof *e->worths);
    CHECK(e->worths != NULL);
}

void
equity_fini(struct equity *e)
{
    free(e->worths);
    e->worths = NULL;
}

/* ---- Prices ---------------------------------------------------------------------------------- */

/* One unit of an asset in USDT, at 10^-8; false when it has no price. */
static bool
price_of(const struct equity *e, code_t asset, int hops, int64_t *out)
{
    const struct symbol_rules *r;
    *out = DECIMAL_ONE;
    if (code_same(asset, code_of(LEDGER_CASH)))
        return true;
    for (uint32_t i = 0; hops > 0 && (r = tape_heard(e->o.tape, i)) != NULL; i++) {
        struct md_price p;
        int64_t quote;
        if (!code_same(r->base_asset, asset) || !tape_price(e->o.tape, r->symbol, &p) ||
            !price_of(e, r->quote_asset, hops - 1, &quote))
            continue;
        int64_t price = p.last.v;
        if (e->o.by_middle && p.bid.v > 0 && p.ask.v > p.bid.v)
            price = p.bid.v + (p.ask.v - p.bid.v) / 2;
        return decimal_mul_floor(price, quote, out) == OK;
    }
    return false;
}

bool
equity_value(const struct equity *e, code_t asset, int64_t amount, int64_t *out)
{
    int64_t price;
    return price_of(e, asset, HOPS_MAX, &price) && decimal_mul_floor(amount, price, out) == OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void
add(struct equity *e, int64_t *to, int64_t more)
{
    e->is_exceeded |= __builtin_add_overflow(*to, more, to);
}

static void
value_account(struct equity *e, uint32_t account)
{
    struct worth *w = &e->worths[account];
    const struct ledger *l = e->o.ledger;
    const struct ledger_account *a = account_find(l, account + 1);
    w->cash = w->positions = 0;
    for (uint32_t i = a == NULL ? LEDGER_NONE : a->first_balance; i != LEDGER_NONE;
         i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        int64_t total = balance_total(b).v, value;
        code_t asset = l->assets[b->asset];
        if (b->wallet != TRADING_TYPE_spot || total == 0)
            continue;
        if (code_same(asset, code_of(LEDGER_CASH)))
            add(e, &w->cash, total);
        else if (equity_value(e, asset, total, &value))
            add(e, &w->positions, value);
        else
            e->unvalued++;
    }
}

/* Equity, profit and drawdown from cash and positions. */
static void
settle(struct equity *e, struct worth *w)
{
    int64_t top;
    w->equity = w->cash;
    add(e, &w->equity, w->positions);
    w->profit = w->equity;
    add(e, &w->profit, -w->paid_in);
    if (e->rows == 0 || w->profit > w->top_profit)
        w->top_profit = w->profit;
    w->drawdown = w->top_profit - w->profit;
    w->drawdown_ratio = 0;
    top = w->top_profit;
    add(e, &top, w->paid_in);
    if (top > 0 && decimal_div_floor(w->drawdown, top, &w->drawdown_ratio) != OK)
        e->is_exceeded = true;
    if (w->drawdown > w->worst_drawdown)
        w->worst_drawdown = w->drawdown;
    if (w->drawdown_ratio > w->worst_ratio)
        w->worst_ratio = w->drawdown_ratio;
}

static void
write_row(struct equity *e, int64_t at_us, const char *account, const struct worth *w)
{
    struct sheet *s = e->o.sheet;
    sheet_time(s, at_us);
    sheet_text(s, account);
    sheet_amount(s, w->cash);
    sheet_amount(s, w->positions);
    sheet_amount(s, w->equity);
    sheet_amount(s, w->profit);
    sheet_amount(s, w->drawdown);
    sheet_amount(s, w->drawdown_ratio);
    sheet_row_end(s);
}

static void
count_change(struct equity *e, const struct worth *before)
{
    if (e->rows == 0 || before->equity <= 0)
        return;
    double change = (double)(e->all.profit - before->profit) / (double)before->equity;
    e->changes++;
    e->sum += change;
    e->squares += change * change;
}

void
equity_row(struct equity *e, int64_t at_us)
{
    struct worth before = e->all;
    e->all.cash = e->all.positions = e->all.paid_in = 0;
    for (uint32_t i = 0; i < e->o.accounts_count; i++) {
        struct worth *w = &e->worths[i];
        value_account(e, i);
        settle(e, w);
        write_row(e, at_us, e->o.accounts[i].text, w);
        add(e, &e->all.cash, w->cash);
        add(e, &e->all.positions, w->positions);
        add(e, &e->all.paid_in, w->paid_in);
    }
    settle(e, &e->all);
    if (e->o.accounts_count > 1)
        write_row(e, at_us, "*", &e->all);
    count_change(e, &before);
    e->rows++;
    e->next_us = at_us - at_us % e->o.every_us + e->o.every_us;
}

void
equity_paid(struct equity *e, uint64_t account_id, int64_t amount)
{
    CHECK(account_id >= 1 && account_id <= e->o.accounts_count);
    add(e, &e->worths[account_id - 1].paid_in, amount);
}

bool
equity_sharpe(const struct equity *e, double *out)
{
    double n = (double)e->changes;
    if (e->changes < EQUITY_ROWS_MIN)
        return false;
    double mean = e->sum / n, variance = (e->squares - n * mean * mean) / (n - 1);
    if (!(variance > 0))
        return false;
    *out = mean / sqrt(variance) * sqrt((double)YEAR_US / (double)e->o.every_us);
    return isfinite(*out);
}
