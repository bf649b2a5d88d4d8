/*
 * kept.c - see kept.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"
#include "host/pg_array.h"

static const char read_sql[] = "SELECT source, symbol, is_removed FROM marketdata.symbol "
                               "ORDER BY source, symbol";
static const char write_sql[] =
    "INSERT INTO marketdata.symbol (source, symbol, is_removed, changed_us) "
    "VALUES ($1, $2, $3, $4) ON CONFLICT (source, symbol) DO UPDATE SET "
    "is_removed = excluded.is_removed, changed_us = excluded.changed_us";
static const Oid write_types[] = {PG_INT2, PG_TEXT, PG_BOOL, PG_INT8};

struct kept {
    struct kept_options o;
    struct pg *pg;
    bool is_read;
};

struct put_call {
    kept_answer *answer;
    void *arg;
};

static void
row_tell(struct kept *k, const PGresult *result, int row)
{
    code_t symbol;
    const char *text = PQgetvalue(result, row, 1);
    int64_t source = pg_read_int(PQgetvalue(result, row, 0), PQgetlength(result, row, 0));
    if (code_from(text, (size_t)PQgetlength(result, row, 1), &symbol) == OK &&
        symbols_name_valid(symbol) && source >= 0)
        k->o.on_row(k->o.arg, (uint32_t)source, symbol, *PQgetvalue(result, row, 2) != 0);
    else
        log_line(LOG_WARN, "kept_symbol_not_valid", "row=%d", row);
}

static void
read_answered(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct kept *k = arg;
    if (outcome == PG_LOST)
        return; /* asked again on the next connection */
    if (outcome == PG_FAILED) {
        const char *text =
            result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        log_line(LOG_ERROR, "kept_symbols_not_read", "message=\"%s\"", text == NULL ? "?" : text);
    }
    for (int i = 0; outcome == PG_ROWS && i < PQntuples(result); i++)
        row_tell(k, result, i);
    k->is_read = true;
    k->o.on_loaded(k->o.arg);
}

static void
on_up(void *arg)
{
    struct kept *k = arg;
    if (k->is_read) {
        k->o.on_loaded(k->o.arg);
        return;
    }
    if (pg_send(k->pg, read_sql, 0, NULL, NULL, NULL, NULL, true, read_answered, k))
        pg_sync(k->pg, NULL, NULL);
}

struct kept *
kept_open(const struct kept_options *o)
{
    struct kept *k = calloc(1, sizeof(*k));
    CHECK(k != NULL);
    k->o = *o;
    k->pg = pg_open(o->loop,
                    &(struct pg_options){
                        .conninfo = o->conninfo, .label = "symbols", .arg = k, .on_up = on_up});
    pg_prepare(k->pg, "keep", write_sql, 4, write_types);
    return k;
}

void
kept_close(struct kept **k)
{
    if (*k == NULL)
        return;
    pg_close(&(*k)->pg);
    free(*k);
    *k = NULL;
}

static void
put_answered(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct put_call call = *(struct put_call *)arg;
    (void)result;
    free(arg);
    call.answer(call.arg, outcome == PG_ROWS);
}

bool
kept_put(struct kept *k, const struct symbol_change *c, kept_answer *answer, void *arg)
{
    char source[12], changed[24];
    snprintf(source, sizeof(source), "%u", c->source);
    snprintf(changed, sizeof(changed), "%" PRId64, c->changed_us);
    const char *values[] = {source, c->symbol.text, c->is_removed ? "t" : "f", changed};
    if (!k->is_read || !pg_is_up(k->pg) ||
        !pg_send_prepared(k->pg, "keep", 4, values, NULL, NULL, false, NULL, NULL))
        return false;
    struct put_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call = (struct put_call){answer, arg};
    if (pg_sync(k->pg, put_answered, call))
        return true;
    free(call);
    return false;
}
