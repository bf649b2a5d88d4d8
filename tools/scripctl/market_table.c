/*
 * market_table.c - see market_table.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/market_table.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define BATCH_MAX  10000u
#define LINE_BYTES 512u
#define CHUNK_US   (INT64_C(92) * 86400000000) /* of folding, a transaction each */

#define COLUMN_LIST                                                                                \
    "symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades, "          \
    "taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us, is_final"

/* What differs is written: a row that is there already costs nothing and is not counted. */
#define UPSERT                                                                                     \
    " ON CONFLICT (symbol, width, open_time_us) DO UPDATE SET open = excluded.open, "              \
    "high = excluded.high, low = excluded.low, close = excluded.close, "                           \
    "volume = excluded.volume, quote_volume = excluded.quote_volume, trades = excluded.trades, "   \
    "taker_buy_volume = excluded.taker_buy_volume, "                                               \
    "taker_buy_quote_volume = excluded.taker_buy_quote_volume, is_closed = true, "                 \
    "as_of_us = excluded.as_of_us, is_final = excluded.is_final "                                  \
    "WHERE (excluded.is_final OR NOT (candle.is_final OR (candle.is_closed AND "                   \
    "candle.trades > excluded.trades))) AND (candle.open, candle.high, candle.low, candle.close, " \
    "candle.volume, candle.quote_volume, candle.trades, candle.taker_buy_volume, "                 \
    "candle.taker_buy_quote_volume, candle.is_closed, candle.is_final) IS DISTINCT FROM "          \
    "(excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, "               \
    "excluded.quote_volume, excluded.trades, excluded.taker_buy_volume, "                          \
    "excluded.taker_buy_quote_volume, true, excluded.is_final)"

static const char staging_sql[] =
    "CREATE TEMPORARY TABLE candle_batch (LIKE marketdata.candle) ON COMMIT DELETE ROWS";
static const char partitions_sql[] =
    "SELECT marketdata.partitions_for(array_agg(width), array_agg(at_us)) FROM (SELECT width, "
    "min(open_time_us) AS at_us FROM candle_batch GROUP BY width, open_time_us / 86400000000) AS r";
static const char write_sql[] =
    "INSERT INTO marketdata.candle (" COLUMN_LIST ") SELECT DISTINCT ON (symbol, width, "
    "open_time_us) " COLUMN_LIST " FROM candle_batch "
    "ORDER BY symbol, width, open_time_us, is_final DESC, trades DESC" UPSERT;
/* A candle of another interval is where its predecessor ends, or something is missing. */
static const char missing_sql[] =
    "SELECT before_us, open_time_us FROM (SELECT open_time_us, coalesce("
    "marketdata.interval_end($2, lag(open_time_us) OVER (ORDER BY open_time_us)), $3) "
    "AS before_us FROM (SELECT open_time_us FROM marketdata.candle WHERE symbol = $1 AND "
    "width = $2 AND open_time_us >= $3 AND open_time_us < $4 AND is_final UNION ALL SELECT $4) AS c"
    ") AS gap WHERE open_time_us > before_us ORDER BY 1";
static const char fold_partitions_sql[] =
    "SELECT marketdata.partitions_for(array_agg($1::smallint), array_agg(t)) "
    "FROM generate_series($2::bigint, $3::bigint, 86400000000) AS t";
static const char fold_sql[] =
    "INSERT INTO marketdata.candle (" COLUMN_LIST ") SELECT " COLUMN_LIST
    " FROM marketdata.fold($1, $2::smallint, $3::smallint, $4, $5) WHERE is_closed" UPSERT;
static const char stored_sql[] =
    "SELECT min(open_time_us), max(open_time_us) FROM marketdata.candle "
    "WHERE symbol = $1 AND width IN (1, 6, 12)";

struct market_table {
    PGconn *db;
    char *batch; /* lines of COPY */
    size_t length;
    uint32_t rows;
    uint64_t written;
};

static bool
refused(struct market_table *t, char why[WHY_BYTES])
{
    const char *said = PQerrorMessage(t->db);
    snprintf(why, WHY_BYTES, "the database refused: %.*s", (int)strcspn(said, "\n"), said);
    return false;
}

/* NULL, and why. */
static PGresult *
ask(struct market_table *t, const char *sql, int count, const char *const *values,
    char why[WHY_BYTES])
{
    PGresult *r = PQexecParams(t->db, sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return r;
    (void)refused(t, why);
    PQclear(r);
    return NULL;
}

static bool
run(struct market_table *t, const char *sql, int count, const char *const *values,
    char why[WHY_BYTES])
{
    PGresult *r = ask(t, sql, count, values, why);
    if (r != NULL)
        t->written += sql == write_sql || sql == fold_sql ? strtoull(PQcmdTuples(r), NULL, 10) : 0;
    PQclear(r);
    return r != NULL;
}

/* ---- Life --------------------------------------------------------------------------------- */

struct market_table *
market_table_open(const char *conninfo, char why[WHY_BYTES])
{
    struct market_table *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->batch = malloc((size_t)BATCH_MAX * LINE_BYTES);
    CHECK(t->batch != NULL);
    t->db = PQconnectdb(conninfo);
    if (PQstatus(t->db) != CONNECTION_OK) {
        const char *said = PQerrorMessage(t->db);
        snprintf(why, WHY_BYTES, "%.*s", (int)strcspn(said, "\n"), said);
    } else if (run(t, "SET client_min_messages = warning", 0, NULL, why) &&
               run(t, staging_sql, 0, NULL, why)) {
        return t;
    }
    market_table_close(&t);
    return NULL;
}

void
market_table_close(struct market_table **table)
{
    struct market_table *t = *table;
    if (t == NULL)
        return;
    PQfinish(t->db);
    free(t->batch);
    free(t);
    *table = NULL;
}

uint64_t
market_table_written(const struct market_table *t)
{
    return t->written;
}

/* ---- Looking ------------------------------------------------------------------------------ */

static int64_t
cell(const PGresult *r, int row, int column)
{
    return strtoll(PQgetvalue(r, row, column), NULL, 10);
}

bool
market_table_missing(struct market_table *t, code_t symbol, enum interval i,
                     struct market_span within, struct market_span **spans, uint32_t *count,
                     char why[WHY_BYTES])
{
    char width[12], from[24], until[24];
    snprintf(width, sizeof width, "%d", (int)i);
    snprintf(from, sizeof from, "%" PRId64, within.from_us);
    snprintf(until, sizeof until, "%" PRId64, within.until_us);
    const char *const values[] = {symbol.text, width, from, until};
    PGresult *r = ask(t, missing_sql, 4, values, why);
    if (r == NULL)
        return false;
    *count = (uint32_t)PQntuples(r);
    *spans = calloc((size_t)*count + 1, sizeof **spans);
    CHECK(*spans != NULL);
    for (uint32_t n = 0; n < *count; n++)
        (*spans)[n] = (struct market_span){cell(r, (int)n, 0), cell(r, (int)n, 1)};
    PQclear(r);
    return true;
}

bool
market_table_stored(struct market_table *t, code_t symbol, struct market_span *out,
                    char why[WHY_BYTES])
{
    const char *const values[] = {symbol.text};
    PGresult *r = ask(t, stored_sql, 1, values, why);
    if (r == NULL)
        return false;
    bool is_there = !PQgetisnull(r, 0, 0);
    *out = (struct market_span){cell(r, 0, 0), cell(r, 0, 1) + 1};
    PQclear(r);
    if (!is_there)
        snprintf(why, WHY_BYTES, "no minutes, hours or days of %s are stored", symbol.text);
    return is_there;
}

/* ---- Writing ------------------------------------------------------------------------------ */

bool
market_table_put(struct market_table *t, code_t symbol, enum interval i, const struct candle *c,
                 bool is_final, char why[WHY_BYTES])
{
    char *line = t->batch + t->length;
    int length =
        snprintf(line, LINE_BYTES,
                 "%s\t%d\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
                 "\t%" PRId64 "\t%" PRIu64 "\t%" PRId64 "\t%" PRId64 "\tt\t%" PRId64 "\t%c\n",
                 symbol.text, (int)i, c->open_time_us, c->open.v, c->high.v, c->low.v, c->close.v,
                 c->volume.v, c->quote_volume.v, c->trades, c->taker_buy_volume.v,
                 c->taker_buy_quote_volume.v, c->open_time_us, is_final ? 't' : 'f');
    CHECK(length > 0 && length < (int)LINE_BYTES);
    t->length += (size_t)length;
    return ++t->rows < BATCH_MAX || market_table_flush(t, why);
}

static bool
batch_copy(struct market_table *t, char why[WHY_BYTES])
{
    PGresult *r = PQexec(t->db, "COPY candle_batch (" COLUMN_LIST ") FROM STDIN");
    bool is_well = PQresultStatus(r) == PGRES_COPY_IN;
    PQclear(r);
    if (!is_well || PQputCopyData(t->db, t->batch, (int)t->length) != 1 ||
        PQputCopyEnd(t->db, NULL) != 1)
        return refused(t, why);
    while ((r = PQgetResult(t->db)) != NULL) {
        is_well = is_well && PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
    }
    return is_well || refused(t, why);
}

bool
market_table_flush(struct market_table *t, char why[WHY_BYTES])
{
    if (t->rows == 0)
        return true;
    if (!run(t, "BEGIN", 0, NULL, why) || !batch_copy(t, why) ||
        !run(t, partitions_sql, 0, NULL, why) || !run(t, write_sql, 0, NULL, why) ||
        !run(t, "COMMIT", 0, NULL, why))
        return false;
    t->rows = 0;
    t->length = 0;
    return true;
}

/* ---- Folding ------------------------------------------------------------------------------ */

/* What a candle is folded from: the shorter interval that is folded before it. */
static enum interval
part_of(enum interval i)
{
    if (i == INTERVAL_3d || i == INTERVAL_1w || i == INTERVAL_1M)
        return INTERVAL_1d;
    return i > INTERVAL_1h && i <= INTERVAL_1d ? INTERVAL_1h : INTERVAL_1m;
}

static bool
fold_chunk(struct market_table *t, code_t symbol, enum interval i, struct market_span chunk,
           char why[WHY_BYTES])
{
    char width[12], part[12], from[24], until[24];
    snprintf(width, sizeof width, "%d", (int)i);
    snprintf(part, sizeof part, "%d", (int)part_of(i));
    snprintf(from, sizeof from, "%" PRId64, chunk.from_us);
    snprintf(until, sizeof until, "%" PRId64, chunk.until_us);
    const char *const times[] = {width, from, until};
    const char *const values[] = {symbol.text, width, part, from, until};
    return run(t, fold_partitions_sql, 3, times, why) && run(t, fold_sql, 5, values, why);
}

bool
market_table_fold(struct market_table *t, code_t symbol, enum interval i, struct market_span within,
                  char why[WHY_BYTES])
{
    int64_t at_us = interval_open(i, within.from_us);
    while (at_us < within.until_us) {
        /* To the start of the candle that holds the last moment of the chunk. */
        int64_t until_us = interval_open(i, at_us + CHUNK_US);
        if (!fold_chunk(t, symbol, i, (struct market_span){at_us, until_us}, why))
            return false;
        at_us = until_us;
    }
    return true;
}
