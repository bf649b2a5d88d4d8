/*
 * ledger_tables.c - the ledger's tables as plain arrays, found by walking them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger_tables.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more row at the end of an array. */
static void *
grown(void *rows, uint32_t count, size_t size)
{
    /* Doubles when the count reaches a power of two. */
    if ((count & (count - 1)) != 0)
        return rows;
    void *more = realloc(rows, (count == 0 ? 1 : (size_t)count * 2) * size);
    CHECK(more != NULL);
    return more;
}

static void
on_account(void *arg, const struct account_row *row)
{
    struct tables *t = arg;
    uint32_t i = 0;
    while (i < t->accounts_count && t->accounts[i].account_id != row->account_id)
        i++;
    if (i == t->accounts_count)
        t->accounts = grown(t->accounts, t->accounts_count++, sizeof(*t->accounts));
    t->accounts[i] = *row;
}

static void
on_balance(void *arg, const struct balance_row *row)
{
    struct tables *t = arg;
    uint32_t i = 0;
    while (i < t->balances_count &&
           (t->balances[i].account_id != row->account_id || t->balances[i].wallet != row->wallet ||
            !code_same(t->balances[i].asset, row->asset)))
        i++;
    if (i == t->balances_count)
        t->balances = grown(t->balances, t->balances_count++, sizeof(*t->balances));
    t->balances[i] = *row;
}

/* Orders are kept by rising id, so that they can be found fast and loaded in order. */
static uint32_t
order_place_in(const struct tables *t, uint64_t order_id)
{
    uint32_t low = 0;
    uint32_t high = t->orders_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->orders[middle].order.order_id < order_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
on_order(void *arg, const struct order_row *row)
{
    struct tables *t = arg;
    uint32_t i = order_place_in(t, row->order.order_id);
    if (i == t->orders_count || t->orders[i].order.order_id != row->order.order_id) {
        t->orders = grown(t->orders, t->orders_count, sizeof(*t->orders));
        memmove(&t->orders[i + 1], &t->orders[i], (t->orders_count - i) * sizeof(*t->orders));
        t->orders_count++;
    }
    t->orders[i] = *row;
}

static void
on_trade(void *arg, const struct trade_row *row)
{
    struct tables *t = arg;
    t->trades = grown(t->trades, t->trades_count, sizeof(*t->trades));
    t->trades[t->trades_count++] = *row;
}

static void
on_change(void *arg, const struct change_row *row)
{
    struct tables *t = arg;
    t->changes = grown(t->changes, t->changes_count, sizeof(*t->changes));
    t->changes[t->changes_count++] = *row;
}

void
tables_free(struct tables *t)
{
    free(t->accounts);
    free(t->balances);
    free(t->orders);
    free(t->trades);
    free(t->changes);
    memset(t, 0, sizeof(*t));
}

void
tables_project(struct tables *t, struct ledger *l)
{
    const struct ledger_sink sink = {t, on_account, on_balance, on_order, on_trade, on_change};
    ledger_projected(l, ledger_drain(l, &sink));
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        t->shards[shard] = ledger_shard_row(l, shard);
}

enum err
tables_load(const struct tables *t, struct ledger *l)
{
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < LEDGER_SHARDS; i++) {
        struct shard_row row = t->shards[i];
        row.shard = i;
        e = ledger_load_shard(l, &row);
    }
    for (uint32_t i = 0; e == OK && i < t->accounts_count; i++)
        e = ledger_load_account(l, &t->accounts[i]);
    for (uint32_t i = 0; e == OK && i < t->balances_count; i++)
        e = ledger_load_balance(l, &t->balances[i]);
    for (uint32_t i = 0; e == OK && i < t->orders_count; i++)
        e = ledger_load_order(l, &t->orders[i]);
    for (uint32_t i = 0; e == OK && i < t->trades_count; i++)
        e = ledger_load_fill(l, &t->trades[i]);
    return e;
}

bool
tables_find(struct tables *t, uint64_t account_id, uint64_t order_id, const cid_t *cid,
            struct order_view *out)
{
    for (uint32_t i = 0; i < t->orders_count; i++) {
        const struct order *o = &t->orders[i].order;
        bool named = order_id != 0 ? o->order_id == order_id : cid_same(&o->client_order_id, cid);
        if (o->account_id != account_id || !named)
            continue;
        *out = (struct order_view){.order = *o, .fills = t->found};
        uint32_t skip =
            t->orders[i].fills > LEDGER_VIEW_FILLS ? t->orders[i].fills - LEDGER_VIEW_FILLS : 0;
        for (uint32_t k = 0; k < t->trades_count; k++) {
            if (t->trades[k].trade.order_id != o->order_id)
                continue;
            if (skip > 0)
                skip--;
            else if (out->fills_count < LEDGER_VIEW_FILLS)
                t->found[out->fills_count++] = t->trades[k].trade;
        }
        return true;
    }
    return false;
}
