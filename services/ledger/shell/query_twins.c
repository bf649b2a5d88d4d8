/*
 * query_twins.c - real orders beside the paper orders that mirror them: a page of twin_list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/query_parts.h"
#include "ledger/shell/rows.h"

__extension__ typedef __int128 wide;

/* a * 10^8 / b, to the nearest; 0 where there is no such number. */
static int64_t
ratio(wide a, int64_t b)
{
    if (b <= 0)
        return 0;
    wide scaled = a * DECIMAL_ONE, half = a < 0 ? -(wide)b / 2 : (wide)b / 2;
    wide out = (scaled + half) / b;
    return out > INT64_MAX || out < -INT64_MAX ? 0 : (int64_t)out;
}

static price_t
average_price(const struct order *o)
{
    return (price_t){ratio(o->executed_quote_quantity.v, o->executed_quantity.v)};
}

static bool
has_both(const struct order_twin *t)
{
    return t->real_price.v > 0 && t->paper_price.v > 0;
}

/* Worse is above zero: a buyer paid more, a seller got less. */
static rate_t
slippage(const struct order_twin *t)
{
    wide more = (wide)t->real_price.v - t->paper_price.v;
    if (!has_both(t))
        return (rate_t){0};
    return (rate_t){ratio(t->side == SIDE_BUY ? more : -more, t->paper_price.v)};
}

static int64_t
get_time(const PGresult *result, int i, int column)
{
    if (PQgetisnull(result, i, column))
        return 0;
    return pg_read_int(PQgetvalue(result, i, column), PQgetlength(result, i, column));
}

/* The columns are those of the real order, of the order behind it, and when each filled last. That
 * order is its twin if the real one says so. */
static uint64_t
twin_take(struct query *q, uint32_t place, const PGresult *result, int i)
{
    int column = 0;
    struct order_row real, paper;
    rows_get_order(result, i, &column, &real);
    rows_get_order(result, i, &column, &paper);
    const struct order *r = &real.order, *p = &paper.order;
    struct order_twin *t = &q->page.twins[place];
    *t = (struct order_twin){.order_id = r->order_id,
                             .symbol = r->symbol,
                             .side = r->side,
                             .created_us = r->created_us,
                             .real_quantity = r->executed_quantity,
                             .real_price = average_price(r),
                             .real_us = get_time(result, i, column)};
    if (r->twin != 0 && r->twin == p->order_id) {
        t->twin_id = p->order_id;
        t->paper_quantity = p->executed_quantity;
        t->paper_price = average_price(p);
        t->paper_us = get_time(result, i, column + 1);
    }
    t->slippage = slippage(t);
    return r->order_id;
}

void
query_twins_page(struct question *k, const PGresult *result, struct twin_page *page)
{
    wide sum = 0;
    page->twins = k->query->page.twins;
    page->twins_count =
        query_page_take(k, k->cmd.twin_list.limit, result, twin_take, &page->next_cursor);
    for (uint32_t i = 0; i < page->twins_count; i++) {
        page->count += has_both(&page->twins[i]);
        sum += page->twins[i].slippage.v;
    }
    if (page->count > 0)
        page->mean_slippage.v = (int64_t)(sum / page->count);
}
