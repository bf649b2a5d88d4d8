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

static void
on_order(void *arg, const struct order_row *row)
{
    struct tables *t = arg;
    uint32_t shard = ledger_shard_of_id(row->order.order_id);
    uint64_t place = (row->order.order_id & ((UINT64_C(1) << 47) - 1)) - 1;
    while (t->orders_count[shard] <= place) {
        t->orders[shard] =
            grown(t->orders[shard], t->orders_count[shard], sizeof(*t->orders[shard]));
        t->orders[shard][t->orders_count[shard]++] = (struct order_row){.fills = 0};
    }
    t->orders[shard][place] = *row;
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

static void
on_story(void *arg, const struct story_row *row)
{
    struct tables *t = arg;
    t->stories = grown(t->stories, t->stories_count, sizeof(*t->stories));
    t->stories[t->stories_count++] = *row;
}

const struct story *
tables_story(const struct tables *t, uint64_t order_id)
{
    for (uint32_t i = 0; i < t->stories_count; i++)
        if (t->stories[i].order_id == order_id)
            return &t->stories[i].story;
    return NULL;
}

void
tables_free(struct tables *t)
{
    free(t->accounts);
    free(t->balances);
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        free(t->orders[shard]);
    free(t->trades);
    free(t->changes);
    free(t->stories);
    memset(t, 0, sizeof(*t));
}

void
tables_project(struct tables *t, struct ledger *l)
{
    const struct ledger_sink sink = {t,        on_account, on_balance, on_order,
                                     on_trade, on_change,  on_story};
    ledger_projected(l, ledger_drain(l, &sink));
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        t->shards[shard] = ledger_shard_row(l, shard);
}

enum err
tables_load(const struct tables *t, struct ledger *l, int64_t since_us)
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
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        for (uint32_t i = 0; e == OK && i < t->orders_count[shard]; i++) {
            const struct order *o = &t->orders[shard][i].order;
            if (o->end_reason == ORDER_END_NONE || o->updated_us > since_us)
                e = ledger_load_order(l, &t->orders[shard][i]);
        }
    for (uint32_t i = 0; e == OK && i < t->trades_count; i++)
        e = ledger_load_fill(l, &t->trades[i]);
    return e;
}

/* The latest fills of an order, as an order_view lists them. */
static void
find_fills(struct tables *t, const struct order_row *row, struct order_view *out)
{
    uint32_t skip = row->fills > LEDGER_VIEW_FILLS ? row->fills - LEDGER_VIEW_FILLS : 0;
    *out = (struct order_view){.order = row->order, .fills = t->found};
    for (uint32_t i = 0; i < t->trades_count && out->fills_count < LEDGER_VIEW_FILLS; i++) {
        if (t->trades[i].trade.order_id != row->order.order_id)
            continue;
        if (skip > 0)
            skip--;
        else
            t->found[out->fills_count++] = t->trades[i].trade;
    }
}

bool
tables_find(struct tables *t, uint64_t account_id, uint64_t order_id, const cid_t *cid,
            struct order_view *out)
{
    uint32_t shard = ledger_shard_of(account_id);
    for (uint32_t i = 0; i < t->orders_count[shard]; i++) {
        const struct order_row *row = &t->orders[shard][i];
        bool named = order_id != 0 ? row->order.order_id == order_id
                                   : cid_same(&row->order.client_order_id, cid);
        if (row->order.account_id == account_id && named) {
            find_fills(t, row, out);
            return true;
        }
    }
    return false;
}

bool
tables_find_list(struct tables *t, uint64_t account_id, uint64_t list_id, const cid_t *cid,
                 struct list_view *out)
{
    struct order_view view;
    if (!tables_find(t, account_id, list_id, cid, &view))
        return false;
    t->found_orders[0] = view.order;
    if (view.order.list_id != view.order.order_id) {
        *out = (struct list_view){
            .list = {.list_id = view.order.order_id}, .orders = t->found_orders, .orders_count = 1};
        return list_id == 0;
    }
    uint32_t shard = ledger_shard_of(account_id);
    uint64_t place = (view.order.order_id & ((UINT64_C(1) << 47) - 1)) - 1;
    enum contingency kind = t->orders[shard][place].contingency;
    *out = (struct list_view){.orders = t->found_orders};
    out->orders_count = kind == CONTINGENCY_OTOCO ? 3 : 2;
    out->list =
        (struct list){.list_id = view.order.list_id,
                      .contingency = kind,
                      .status = view.order.status == ORDER_STATUS_REJECTED ? LIST_STATUS_REJECT
                                                                           : LIST_STATUS_ALL_DONE,
                      .symbol = view.order.symbol,
                      .created_us = view.order.created_us};
    for (uint32_t i = 0; i < out->orders_count; i++) {
        const struct order *o = &t->orders[shard][place + i].order;
        t->found_orders[i] = *o;
        if (o->updated_us > out->list.updated_us)
            out->list.updated_us = o->updated_us;
    }
    return true;
}
