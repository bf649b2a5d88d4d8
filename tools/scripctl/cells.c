/*
 * cells.c - see cells.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/cells.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_HEADER 20 /* of PostgreSQL's binary arrays */

struct table_words {
    const char *name;
    int keys[3]; /* columns; -1 = none more */
    int packed;  /* the column with a packed record, -1 = none */
    enum msg_record record;
    const char *texts; /* columns that hold text */
};

static const struct table_words words[TABLES] = {
    [TABLE_SHARD] = {"ledger.shard", {0, -1, -1}, -1, 0, ""},
    [TABLE_ACCOUNT] = {"ledger.account", {0, -1, -1}, -1, 0, ""},
    [TABLE_SETTINGS] = {"ledger.settings", {0, 1, -1}, -1, 0, "api_key_tail"},
    [TABLE_LIMITS] = {"ledger.settings", {0, 1, -1}, -1, 0, ""},
    [TABLE_BALANCE] = {"ledger.balance", {0, 1, 2}, -1, 0, "asset"},
    [TABLE_ORDER] = {"ledger.order",
                     {1, 0, -1},
                     29,
                     MSG_RECORD_order_terms,
                     "client_order_id symbol base_asset quote_asset"},
    [TABLE_NEW_ORDER] = {"ledger.order", {1, 0, -1}, 29, MSG_RECORD_order_terms, ""},
    [TABLE_TRADE] = {"ledger.trade", {2, 0, -1}, -1, 0, "symbol fee_asset"},
    [TABLE_CHANGE] = {"ledger.balance_change", {1, 2, 0}, -1, 0, ""},
    [TABLE_STORY] = {"ledger.order_story", {0, 1, -1}, 2, MSG_RECORD_story, ""},
};

/* ---- From the encoder --------------------------------------------------------------------- */

void
cells_maker_init(struct cells_maker *m, enum table table)
{
    memset(m, 0, sizeof *m);
    rows_init(&m->rows, table);
    m->cells.table = table;
}

void
cells_maker_fini(struct cells_maker *m)
{
    rows_fini(&m->rows);
}

static int
read_length(const char *at)
{
    return (int)pg_read_int(at, 4);
}

/* The one row that was added: a record of [type, length, bytes], or an array for each column. */
static const struct cells *
parsed(struct cells_maker *m)
{
    struct cells *c = &m->cells;
    if (rows_record(c->table) != NULL) {
        const char *at = (const char *)m->rows.arrays[0].bytes.data + ARRAY_HEADER;
        c->count = read_length(at + 4);
        at += 8;
        for (int i = 0; i < c->count; i++) {
            c->at[i].length = read_length(at + 4);
            c->at[i].data = at + 8;
            at += 8 + c->at[i].length;
        }
        return c;
    }
    c->count = rows_arrays(c->table);
    for (int i = 0; i < c->count; i++) {
        const char *at = (const char *)m->rows.arrays[i].bytes.data + ARRAY_HEADER;
        c->at[i] = (struct cell){at + 4, read_length(at)};
    }
    return c;
}

#define CELLS_OF(noun)                                                                             \
    const struct cells *cells_of_##noun(struct cells_maker *m, const struct noun##_row *row)       \
    {                                                                                              \
        rows_clear(&m->rows);                                                                      \
        rows_add_##noun(&m->rows, row);                                                            \
        return parsed(m);                                                                          \
    }

CELLS_OF(stamp)
CELLS_OF(account)
CELLS_OF(settings)
CELLS_OF(limits)
CELLS_OF(balance)
CELLS_OF(trade)
CELLS_OF(change)
CELLS_OF(story)

/* A row is written as a new one or as a changed one: the columns are the same. */
const struct cells *
cells_of_order(struct cells_maker *m, const struct order_row *row)
{
    struct order_row same = *row;
    same.is_new = m->cells.table == TABLE_NEW_ORDER;
    rows_clear(&m->rows);
    rows_add_order(&m->rows, &same);
    return parsed(m);
}

/* ---- From results ------------------------------------------------------------------------- */

void
cells_of_result(enum table table, const PGresult *r, int i, struct cells *out)
{
    out->table = table;
    out->count = PQnfields(r);
    CHECK(out->count <= ROWS_COLUMNS_MAX);
    for (int k = 0; k < out->count; k++)
        out->at[k] = PQgetisnull(r, i, k)
                         ? (struct cell){"", -1}
                         : (struct cell){PQgetvalue(r, i, k), PQgetlength(r, i, k)};
}

/* ---- Words -------------------------------------------------------------------------------- */

const char *
cells_table_name(enum table table)
{
    return words[table].name;
}

/* Out of "t.shard, t.seq, ...". */
void
cells_column_name(enum table table, int column, char out[CELLS_NAME_BYTES])
{
    char sql[ROWS_SQL_BYTES];
    rows_select_list(table, "t", sql);
    const char *at = sql;
    for (int i = 0; i < column && at != NULL; i++) {
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 2;
    }
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, CELLS_NAME_BYTES, "%.*s", (int)strcspn(at + 2, ","), at + 2);
}

int64_t
cells_int(const struct cells *c, int column)
{
    int length = c->at[column].length;
    if (length != 1 && length != 2 && length != 4 && length != 8)
        return 0;
    return length == 1 ? c->at[column].data[0] : pg_read_int(c->at[column].data, length);
}

static bool
is_text(enum table table, const char *column)
{
    const char *found = strstr(words[table].texts, column);
    return found != NULL && (found == words[table].texts || found[-1] == ' ') &&
           (found[strlen(column)] == ' ' || found[strlen(column)] == '\0');
}

static bool
print_packed(const struct cells *c, int column, char out[CELLS_TEXT_BYTES])
{
    union {
        struct order_terms terms;
        struct story story;
    } record;
    const struct cell *cell = &c->at[column];
    enum msg_record id = words[c->table].record;
    if (words[c->table].packed != column ||
        msg_unpack_record((const uint8_t *)cell->data, (size_t)cell->length, id, &record) != OK)
        return false;
    size_t used = msg_print_body(msg_record_at((uint32_t)id), &record, out, CELLS_TEXT_BYTES);
    if (used == 0)
        snprintf(out, CELLS_TEXT_BYTES, "nothing");
    return true;
}

static void
print_bytes(const struct cell *cell, char out[CELLS_TEXT_BYTES])
{
    int shown = cell->length < CELLS_PRINT_BYTES ? cell->length : CELLS_PRINT_BYTES;
    int at = 0;
    for (int i = 0; i < shown; i++)
        at += snprintf(out + at, 3, "%02x", (uint8_t)cell->data[i]);
    snprintf(out + at, (size_t)(CELLS_TEXT_BYTES - at), "%s",
             shown < cell->length ? "..."
             : cell->length == 0  ? "nothing"
                                  : "");
}

const char *
cells_text(const struct cells *c, int column, char out[CELLS_TEXT_BYTES])
{
    char name[CELLS_NAME_BYTES];
    const struct cell *cell = &c->at[column];
    int n = cell->length;
    cells_column_name(c->table, column, name);
    if (n < 0)
        snprintf(out, CELLS_TEXT_BYTES, "NULL");
    else if (is_text(c->table, name))
        snprintf(out, CELLS_TEXT_BYTES, "%.*s", n, cell->data);
    else if (print_packed(c, column, out))
        return out;
    else if (n == 1)
        snprintf(out, CELLS_TEXT_BYTES, "%s", cell->data[0] != 0 ? "true" : "false");
    else if (n == 2 || n == 4 || n == 8)
        snprintf(out, CELLS_TEXT_BYTES, "%lld", (long long)cells_int(c, column));
    else
        print_bytes(cell, out);
    return out;
}

const char *
cells_key(const struct cells *c, char out[CELLS_TEXT_BYTES])
{
    const int *keys = words[c->table].keys;
    size_t at = 0;
    for (int i = 0; i < 3 && keys[i] >= 0; i++) {
        char name[CELLS_NAME_BYTES], value[CELLS_TEXT_BYTES];
        cells_column_name(c->table, keys[i], name);
        int length = snprintf(out + at, CELLS_TEXT_BYTES - at, "%s%s %s", i == 0 ? "" : ", ", name,
                              cells_text(c, keys[i], value));
        at += (size_t)length < CELLS_TEXT_BYTES - at ? (size_t)length : CELLS_TEXT_BYTES - at - 1;
    }
    return out;
}

int
cells_differ(const struct cells *a, const struct cells *b)
{
    CHECK(a->count == b->count);
    for (int i = 0; i < a->count; i++)
        if (a->at[i].length != b->at[i].length ||
            (a->at[i].length > 0 &&
             memcmp(a->at[i].data, b->at[i].data, (size_t)a->at[i].length) != 0))
            return i;
    return -1;
}
