/*
 * tables_read.c - the tables read through and held against what was noted; see tables.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/shadow.h"
#include "scripctl/tables_parts.h"

/* ---- Rows of a query ---------------------------------------------------------------------- */

/* `r` has one row, whose columns are the table's. */
typedef void each_row(struct tables *t, const PGresult *r, const struct cells *c);

/* One row at a time, so that no table has to fit into memory. */
static bool
read_through(struct tables *t, PGconn *connection, enum table table, const char *from,
             each_row *each, char why[WHY_BYTES])
{
    char columns[ROWS_SQL_BYTES], sql[ROWS_SQL_BYTES + 512];
    bool is_well = true;
    PGresult *r;
    rows_select_list(table, "t", columns);
    snprintf(sql, sizeof sql, "SELECT %s FROM %s", columns, from);
    if (PQsendQueryParams(connection, sql, 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        PQsetSingleRowMode(connection) != 1)
        return shadow_wrong(why, "%s cannot be asked for: %s", cells_table_name(table),
                            PQerrorMessage(connection));
    while ((r = PQgetResult(connection)) != NULL) {
        struct cells cells;
        ExecStatusType status = PQresultStatus(r);
        if (status == PGRES_SINGLE_TUPLE && is_well) {
            cells_of_result(table, r, 0, &cells);
            each(t, r, &cells);
        } else if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && is_well) {
            is_well = shadow_wrong(why, "%s cannot be read: %s", cells_table_name(table),
                                   PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
        }
        PQclear(r);
    }
    return is_well;
}

/* Counts a row of a shard whose tables are compared; false when they are not. */
static bool
is_wanted(struct tables *t, uint32_t shard)
{
    if (shard >= LEDGER_SHARDS || !t->shards[shard].is_reached)
        return false;
    t->shards[shard].rows++;
    return true;
}

static void
compare(struct tables *t, uint32_t shard, const struct cells *found, const struct cells *expected)
{
    if (cells_differ(found, expected) >= 0)
        tables_differ(t, (uint16_t)shard, found, expected);
}

/* ---- Stamps ------------------------------------------------------------------------------- */

static void
take_stamp(struct tables *t, const PGresult *r, const struct cells *c)
{
    struct stamp_row row;
    int column = 0;
    (void)c;
    rows_get_stamp(r, 0, &column, &row);
    if (row.shard.shard < LEDGER_SHARDS)
        t->shards[row.shard.shard].stamp = row;
}

bool
tables_stamps(struct tables *t, PGconn *connection, char why[WHY_BYTES])
{
    return read_through(t, connection, TABLE_SHARD, "ledger.shard AS t", take_stamp, why);
}

static void
row_of_shard(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    uint64_t shard = (uint64_t)cells_int(c, 0);
    if (shard < LEDGER_SHARDS && is_wanted(t, (uint32_t)shard))
        compare(t, (uint32_t)shard, c,
                cells_of_stamp(&t->makers[TABLE_SHARD], &t->shards[shard].expected));
}

/* ---- What lives --------------------------------------------------------------------------- */

/* NULL: the journal has no such account. */
static struct live_account *
account_of(const struct tables *t, uint64_t id)
{
    uint32_t place = id == 0 ? MAP_NONE : places_get(&t->account_by_id, id);
    return place == MAP_NONE ? NULL : &t->accounts[place];
}

static void
row_of_account(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    uint64_t id = (uint64_t)cells_int(c, 0);
    uint32_t shard = ledger_shard_of(id);
    if (!is_wanted(t, shard))
        return;
    struct live_account *a = account_of(t, id);
    if (a == NULL) {
        tables_differ(t, (uint16_t)shard, c, NULL);
        return;
    }
    a->is_seen = true;
    compare(t, shard, c, cells_of_account(&t->makers[TABLE_ACCOUNT], &a->row));
}

static struct settings_row
settings_of(const struct live_account *a, uint32_t i)
{
    return (struct settings_row){a->row.account_id, (enum trading_type)(TRADING_TYPE_spot + i),
                                 a->row.settings[i]};
}

static void
row_of_settings(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    uint64_t id = (uint64_t)cells_int(c, 0);
    uint64_t i = (uint64_t)cells_int(c, 1) - TRADING_TYPE_spot;
    uint32_t shard = ledger_shard_of(id);
    if (!is_wanted(t, shard))
        return;
    struct live_account *a = account_of(t, id);
    if (a == NULL || i >= LEDGER_TYPES) {
        tables_differ(t, (uint16_t)shard, c, NULL);
        return;
    }
    const struct settings_row row = settings_of(a, (uint32_t)i);
    a->settings_seen[i] = true;
    compare(t, shard, c, cells_of_settings(&t->makers[TABLE_SETTINGS], &row));
}

/* The same rows; those without an account or wallet were told of with the settings. */
static void
row_of_limits(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    uint64_t id = (uint64_t)cells_int(c, 0);
    uint64_t i = (uint64_t)cells_int(c, 1) - TRADING_TYPE_spot;
    uint32_t shard = ledger_shard_of(id);
    struct live_account *a = account_of(t, id);
    if (a == NULL || i >= LEDGER_TYPES || !t->shards[shard].is_reached)
        return;
    if (a->has_limits[i]) {
        compare(t, shard, c, cells_of_limits(&t->makers[TABLE_LIMITS], &a->limits[i]));
        return;
    }
    struct cells none = *c;
    for (int k = 2; k < none.count; k++)
        none.at[k] = (struct cell){"", -1};
    compare(t, shard, c, &none);
}

/* An empty balance says nothing: whether it was ever opened may differ. */
static void
row_of_balance(struct tables *t, const PGresult *r, const struct cells *c)
{
    struct balance_row row;
    int column = 0;
    uint64_t slot;
    rows_get_balance(r, 0, &column, &row);
    uint32_t shard = ledger_shard_of(row.account_id);
    if (!is_wanted(t, shard))
        return;
    uint32_t place = tables_balance(t, row.account_id, row.wallet, row.asset, &slot);
    if (place != MAP_NONE) {
        t->balances[place].is_seen = true;
        compare(t, shard, c, cells_of_balance(&t->makers[TABLE_BALANCE], &t->balances[place].row));
    } else if (row.free.v != 0 || row.held.v != 0) {
        tables_differ(t, (uint16_t)shard, c, NULL);
    }
}

/* ---- What is finished --------------------------------------------------------------------- */

static uint64_t
id_of(enum finished f, const struct cells *c)
{
    return (uint64_t)cells_int(c, f == FINISHED_STORY ? 1 : 0);
}

static void
row_of_finished(struct tables *t, enum finished f, const struct cells *c)
{
    uint64_t id = id_of(f, c);
    uint32_t shard = ledger_shard_of_id(id);
    if (is_wanted(t, shard))
        tables_fingerprint(t, tables_bucket(t, (uint16_t)shard, f, id), c, true);
}

/* Rows from before there were terms have none; they mean what the ledger takes them for. */
static void
order_terms(struct tables *t, const PGresult *r, struct cells *c)
{
    struct order_row row;
    int column = 0, last = c->count - 1;
    if (c->at[last].length != 0)
        return;
    rows_get_order(r, 0, &column, &row);
    c->at[last] = cells_of_order(&t->makers[TABLE_NEW_ORDER], &row)->at[last];
}

static struct live_order *
open_order(const struct tables *t, const struct cells *c)
{
    uint64_t id = (uint64_t)cells_int(c, 0);
    uint32_t place = id == 0 ? MAP_NONE : places_get(&t->order_by_id, id);
    if (place == MAP_NONE || t->orders[place].row.order.account_id != (uint64_t)cells_int(c, 1))
        return NULL;
    return &t->orders[place];
}

static void
row_of_order(struct tables *t, const PGresult *r, const struct cells *c)
{
    struct cells own = *c;
    order_terms(t, r, &own);
    struct live_order *o = open_order(t, &own);
    if (o == NULL) {
        row_of_finished(t, FINISHED_ORDER, &own);
        return;
    }
    uint32_t shard = ledger_shard_of_id(o->row.order.order_id);
    o->is_seen = true;
    if (!is_wanted(t, shard))
        return;
    compare(t, shard, &own, cells_of_order(&t->makers[TABLE_ORDER], &o->row));
}

static void
row_of_trade(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    row_of_finished(t, FINISHED_TRADE, c);
}

static void
row_of_change(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    row_of_finished(t, FINISHED_CHANGE, c);
}

static void
row_of_story(struct tables *t, const PGresult *r, const struct cells *c)
{
    (void)r;
    row_of_finished(t, FINISHED_STORY, c);
}

/* ---- What is missing ---------------------------------------------------------------------- */

static void
missing_accounts(struct tables *t)
{
    for (uint32_t i = 0; i < t->accounts_count; i++) {
        const struct live_account *a = &t->accounts[i];
        uint16_t shard = (uint16_t)ledger_shard_of(a->row.account_id);
        if (!t->shards[shard].is_reached)
            continue;
        if (!a->is_seen)
            tables_differ(t, shard, NULL, cells_of_account(&t->makers[TABLE_ACCOUNT], &a->row));
        for (uint32_t k = 0; k < LEDGER_TYPES; k++) {
            const struct settings_row row = settings_of(a, k);
            if (!a->settings_seen[k])
                tables_differ(t, shard, NULL, cells_of_settings(&t->makers[TABLE_SETTINGS], &row));
        }
    }
}

static void
missing_balances(struct tables *t)
{
    for (uint32_t i = 0; i < t->balances_count; i++) {
        const struct live_balance *b = &t->balances[i];
        uint16_t shard = (uint16_t)ledger_shard_of(b->row.account_id);
        bool is_empty = b->row.free.v == 0 && b->row.held.v == 0;
        if (t->shards[shard].is_reached && !b->is_seen && !is_empty)
            tables_differ(t, shard, NULL, cells_of_balance(&t->makers[TABLE_BALANCE], &b->row));
    }
}

static void
missing_orders(struct tables *t)
{
    for (uint32_t i = 0; i < t->orders_reached; i++) {
        const struct live_order *o = &t->orders[i];
        uint64_t id = o->row.order.order_id;
        if (id != 0 && !o->is_seen && t->shards[ledger_shard_of_id(id)].is_reached)
            tables_differ(t, (uint16_t)ledger_shard_of_id(id), NULL,
                          cells_of_order(&t->makers[TABLE_ORDER], &o->row));
    }
}

/* The buckets that differ are looked into, as far as they are few. */
static void
choose_buckets(struct tables *t, uint16_t shard)
{
    struct shard_tables *s = &t->shards[shard];
    uint32_t looked = 0;
    for (uint32_t f = 0; s->is_reached && s->buckets != NULL && f < FINISHED_COUNT; f++)
        for (uint32_t k = 0; k < BUCKETS; k++) {
            struct bucket *b = &s->buckets[f][k];
            if (b->rows == 0 && b->sum[0] == 0 && b->sum[1] == 0)
                continue;
            b->is_looked = looked < BUCKETS_LOOKED;
            s->differences += !b->is_looked; /* one at least */
            looked++;
        }
}

static const struct {
    enum table table;
    const char *from;
    each_row *each;
    const char *id; /* whose high bits are the shard; NULL = none */
} reads[] = {
    {TABLE_SHARD, "ledger.shard AS t", row_of_shard, NULL},
    {TABLE_ACCOUNT, "ledger.account AS t", row_of_account, NULL},
    {TABLE_SETTINGS, "ledger.settings AS t", row_of_settings, NULL},
    {TABLE_LIMITS, "ledger.settings AS t", row_of_limits, NULL},
    {TABLE_BALANCE, "ledger.balance AS t", row_of_balance, NULL},
    {TABLE_ORDER, "ledger.\"order\" AS t", row_of_order, "order_id"},
    {TABLE_TRADE, "ledger.trade AS t", row_of_trade, "trade_id"},
    {TABLE_CHANGE, "ledger.balance_change AS t", row_of_change, "change_id"},
    {TABLE_STORY, "ledger.order_story AS t", row_of_story, "order_id"},
};
#define READS          (sizeof reads / sizeof reads[0])
#define READS_FINISHED 5 /* from here on */

/* Rows of other shards are left at the server, where ids tell them apart. */
static bool
read_wanted(struct tables *t, PGconn *connection, size_t i, each_row *each, char why[WHY_BYTES])
{
    char from[512];
    int at = snprintf(from, sizeof from, "%s", reads[i].from);
    if (reads[i].id != NULL)
        at += snprintf(from + at, sizeof from - (size_t)at, " WHERE (t.%s >> 47) & 63 IN (-1",
                       reads[i].id);
    for (int shard = 0; reads[i].id != NULL && shard < LEDGER_SHARDS; shard++)
        if (t->shards[shard].is_reached)
            at += snprintf(from + at, sizeof from - (size_t)at, ", %d", shard);
    if (reads[i].id != NULL)
        snprintf(from + at, sizeof from - (size_t)at, ")");
    return read_through(t, connection, reads[i].table, from, each, why);
}

bool
tables_compare(struct tables *t, PGconn *connection, char why[WHY_BYTES])
{
    for (size_t i = 0; i < READS; i++)
        if (!read_wanted(t, connection, i, reads[i].each, why))
            return false;
    missing_accounts(t);
    missing_balances(t);
    missing_orders(t);
    for (uint16_t shard = 0; shard < LEDGER_SHARDS; shard++)
        choose_buckets(t, shard);
    return true;
}

/* ---- By name ------------------------------------------------------------------------------ */

/* A row of the table against what the second replay noted. */
static void
name_row(struct tables *t, const PGresult *r, const struct cells *c)
{
    struct cells own = *c;
    enum finished f = 0;
    while (tables_finished[f] != c->table)
        f++;
    if (f == FINISHED_ORDER) {
        order_terms(t, r, &own);
        if (open_order(t, &own) != NULL)
            return;
    }
    uint64_t id = id_of(f, &own);
    uint16_t shard = (uint16_t)ledger_shard_of_id(id);
    if (!t->shards[shard].is_reached || !tables_bucket(t, shard, f, id)->is_looked)
        return;
    uint32_t place = places_get(&t->looked_by_key, tables_looked_key(t, &own));
    if (place == MAP_NONE) {
        tables_differ(t, shard, &own, NULL);
        return;
    }
    t->looked[place].is_seen = true;
    compare(t, shard, &own, &t->looked[place].cells);
}

bool
tables_name(struct tables *t, PGconn *connection, char why[WHY_BYTES])
{
    for (size_t i = READS_FINISHED; i < READS; i++)
        if (!read_wanted(t, connection, i, name_row, why))
            return false;
    for (uint32_t i = 0; i < t->looked_count; i++) {
        const struct cells *c = &t->looked[i].cells;
        enum finished f = c->table == TABLE_STORY ? FINISHED_STORY : FINISHED_ORDER;
        if (!t->looked[i].is_seen)
            tables_differ(t, (uint16_t)ledger_shard_of_id(id_of(f, c)), NULL, c);
    }
    return true;
}
