/*
 * cells.h - rows of the ledger's tables as the bytes of their columns, from what a replay gives and
 * from what a database answers, and what to call them.
 *
 * The ledger's own encoder makes the bytes (ledger/shell/rows.h), so that two cells are equal when
 * the ledger would have written this one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_CELLS_H
#define SCRIPCTL_CELLS_H

#include "ledger/shell/rows.h"

#define CELLS_NAME_BYTES  32
#define CELLS_TEXT_BYTES  240
#define CELLS_PRINT_BYTES 16

struct cell {
    const char *data;
    int length; /* -1: NULL */
};

/* One row of one table. */
struct cells {
    enum table table;
    int count;
    struct cell at[ROWS_COLUMNS_MAX];
};

/* Encodes one row at a time, which stays until the next one. */
struct cells_maker {
    struct rows rows;
    struct cells cells;
};

void cells_maker_init(struct cells_maker *m, enum table table);
void cells_maker_fini(struct cells_maker *m);
const struct cells *cells_of_stamp(struct cells_maker *m, const struct stamp_row *row);
const struct cells *cells_of_account(struct cells_maker *m, const struct account_row *row);
const struct cells *cells_of_settings(struct cells_maker *m, const struct settings_row *row);
const struct cells *cells_of_limits(struct cells_maker *m, const struct limits_row *row);
const struct cells *cells_of_balance(struct cells_maker *m, const struct balance_row *row);
const struct cells *cells_of_order(struct cells_maker *m, const struct order_row *row);
const struct cells *cells_of_trade(struct cells_maker *m, const struct trade_row *row);
const struct cells *cells_of_change(struct cells_maker *m, const struct change_row *row);
const struct cells *cells_of_story(struct cells_maker *m, const struct story_row *row);

/* Row `i` of a binary result whose columns are the table's. */
void cells_of_result(enum table table, const PGresult *r, int i, struct cells *out);

const char *cells_table_name(enum table table);
void cells_column_name(enum table table, int column, char out[CELLS_NAME_BYTES]);
/* "account_id 7, asset USDT". */
const char *cells_key(const struct cells *c, char out[CELLS_TEXT_BYTES]);
/* A cell for people: numbers as they are stored, packed records field by field. */
const char *cells_text(const struct cells *c, int column, char out[CELLS_TEXT_BYTES]);
/* -1 when all columns are equal, else the first that is not. */
int cells_differ(const struct cells *a, const struct cells *b);
/* A number that a cell holds; 0 when it holds none. */
int64_t cells_int(const struct cells *c, int column);

#endif
