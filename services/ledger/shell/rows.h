/*
 * rows.h - the ledger's tables: which column holds which field, to and from binary PostgreSQL.
 *
 * One list of columns per table (rows.c) gives the upsert, the SELECT list, the encoder into
 * arrays and the decoder from results, so that a column cannot be written and then forgotten.
 * To add one: a migration in db/, then one row in the list.
 *
 * Orders and trades are sent as one array of records, the others as an array per column. Records
 * are taken by position: their list is the columns of a type that a migration made for them, in its
 * order (rows_agree()). Statements name the columns, so that those which a newer version adds to a
 * table keep their default.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_ROWS_H
#define SCRIP_LEDGER_SHELL_ROWS_H

#include <libpq-fe.h>

#include "host/pg_array.h"
#include "host/store.h"
#include "ledger/core/ledger.h"

enum table {
    TABLE_SHARD,
    TABLE_ACCOUNT,
    TABLE_SETTINGS,
    TABLE_LIMITS, /* the paper balance last set, in the same rows as TABLE_SETTINGS */
    TABLE_BALANCE,
    TABLE_ORDER,
    TABLE_NEW_ORDER, /* the same table: orders it has no row of */
    TABLE_TRADE,
    TABLE_CHANGE,
    TABLE_STORY,
    TABLES
};

#define ROWS_COLUMNS_MAX 32
#define ROWS_SQL_BYTES   4096
#define ROWS_COMMANDS    (LEDGER_COMMANDS_MAX * 16) /* bytes of an account's commands */

/* The stamp: the tables are true after this record. */
struct stamp_row {
    struct shard_row shard;
    uint64_t seq;
    uint8_t hash[HASH_BYTES];
};

struct settings_row {
    uint64_t account_id;
    enum trading_type wallet;
    struct ledger_settings settings;
};

/* A paper balance as its owner set it, and the limits that held. */
struct limits_row {
    uint64_t account_id;
    enum trading_type wallet;
    money_t balance, balance_min, balance_max;
};

/* Many rows of one table: one array per column, or one of records. */
struct rows {
    enum table table;
    struct pg_array arrays[ROWS_COLUMNS_MAX];
    uint32_t count;
};

void rows_init(struct rows *r, enum table table);
void rows_fini(struct rows *r);
void rows_clear(struct rows *r);
size_t rows_bytes(const struct rows *r);

void rows_add_stamp(struct rows *r, const struct stamp_row *row);
void rows_add_account(struct rows *r, const struct account_row *row);
void rows_add_settings(struct rows *r, const struct settings_row *row);
void rows_add_limits(struct rows *r, const struct limits_row *row);
void rows_add_balance(struct rows *r, const struct balance_row *row);
void rows_add_order(struct rows *r, const struct order_row *row);
void rows_add_trade(struct rows *r, const struct trade_row *row);
void rows_add_change(struct rows *r, const struct change_row *row);
void rows_add_story(struct rows *r, const struct story_row *row);

/* Number of a table's arrays, and their types. */
int rows_arrays(enum table table);
void rows_types(enum table table, Oid types[ROWS_COLUMNS_MAX]);
/* Writes all rows, the arrays being its parameters. Rows that are there are written over, but
 * those that never can be there (new orders, and what is written once) only when `again`. */
void rows_write_sql(enum table table, bool again, char sql[ROWS_SQL_BYTES]);
/* The type of the records that its rows are sent as; NULL when they are not. */
const char *rows_record(enum table table);
/* Whether these are the columns of that type in its order: "a,b,...". */
bool rows_agree(enum table table, const char *columns);
/* "t.a, t.b, ..." of all columns. */
void rows_select_list(enum table table, const char *alias, char sql[ROWS_SQL_BYTES]);

/* Read row `i` of a binary result whose columns from *column on are the table's; moves *column. */
void rows_get_stamp(const PGresult *r, int i, int *column, struct stamp_row *out);
void rows_get_account(const PGresult *r, int i, int *column, struct account_row *out);
void rows_get_settings(const PGresult *r, int i, int *column, struct settings_row *out);
void rows_get_balance(const PGresult *r, int i, int *column, struct balance_row *out);
void rows_get_order(const PGresult *r, int i, int *column, struct order_row *out);
void rows_get_trade(const PGresult *r, int i, int *column, struct trade_row *out);
void rows_get_change(const PGresult *r, int i, int *column, struct change_row *out);
void rows_get_story(const PGresult *r, int i, int *column, struct story_row *out);

#endif
