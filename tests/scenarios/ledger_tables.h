/*
 * ledger_tables.h - the ledger's tables as plain arrays, for tests: rows drained into them, rows
 * loaded back from them, orders found in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_LEDGER_TABLES_H
#define SCRIP_TESTS_LEDGER_TABLES_H

#include "ledger/core/ledger.h"

struct tables {
    struct shard_row shards[LEDGER_SHARDS];
    struct account_row *accounts;
    struct balance_row *balances;
    struct order_row *orders[LEDGER_SHARDS]; /* the nth of a shard: its id's low bits, less one */
    uint32_t orders_count[LEDGER_SHARDS];
    struct trade_row *trades;
    struct change_row *changes;
    struct story_row *stories;
    uint32_t accounts_count, balances_count, trades_count, changes_count, stories_count;
    struct trade found[LEDGER_VIEW_FILLS]; /* of the order found last */
    struct order found_orders[3];          /* of the list found last */
};

void tables_free(struct tables *t);
/* Drains the ledger into the tables and tells it that they have it. */
void tables_project(struct tables *t, struct ledger *l);
/* Back into an empty ledger: of the finished orders those that changed after `since_us`. */
MUST_USE enum err tables_load(const struct tables *t, struct ledger *l, int64_t since_us);
/* As the shell's look-up: by order id, or by client order id when that is 0. */
bool tables_find(struct tables *t, uint64_t account_id, uint64_t order_id, const cid_t *cid,
                 struct order_view *out);
/* A list with its orders, by its id, or by its first order's client order id when that is 0: then
 * an order that heads no list is found as a list of no kind. */
bool tables_find_list(struct tables *t, uint64_t account_id, uint64_t list_id, const cid_t *cid,
                      struct list_view *out);
/* NULL when the order has none. */
const struct story *tables_story(const struct tables *t, uint64_t order_id);

#endif
