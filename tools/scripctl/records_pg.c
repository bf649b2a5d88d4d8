/*
 * records_pg.c - see records_pg.h.
 *
 * One page is on its way at most. Whoever needs the connection takes that page in first and leaves
 * it with its cursor. When somebody else's query threw it away, it is asked for again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/records_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define PAGE_ROWS_MIN 64 /* of the first page; each next one has four times as many */

/* Pages run along the key: a plan with a sort in it would read the shard's rest for each page. */
static const char begin_sql[] =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL jit = off;"
    "SET LOCAL plan_cache_mode = force_generic_plan";

static const char page_sql[] =
    "SELECT seq, time_us, kind, source, corr, payload, hash, epoch FROM ledger.journal "
    "WHERE shard = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
enum column { C_SEQ, C_TIME, C_KIND, C_SOURCE, C_CORR, C_PAYLOAD, C_HASH, C_EPOCH };

static const char extents_sql[] =
    "SELECT s, (SELECT seq FROM ledger.journal WHERE shard = s ORDER BY seq LIMIT 1),"
    " (SELECT seq FROM ledger.journal WHERE shard = s ORDER BY seq DESC LIMIT 1)"
    " FROM (SELECT generate_series(0, 63)::smallint AS s) AS all_shards";

/* Where each shard's archived part ends, with its last hash. */
static const char archived_sql[] =
    "SELECT DISTINCT ON (shard) shard, last_seq, last_hash FROM ledger.archive "
    "ORDER BY shard, last_seq DESC";
static const char has_archive_sql[] = "SELECT to_regclass('ledger.archive') IS NOT NULL";

struct records_pg {
    PGconn *connection;
    char *why;                        /* the caller's, WHY_BYTES */
    struct records_pg_cursor *asking; /* whose page is on its way */
};

struct records_pg_cursor {
    struct records_pg *pg;
    uint16_t shard;
    uint64_t after, to; /* the next page to be asked for */
    uint32_t rows, rows_max;
    PGresult *page, *next;
    int at, count;
    bool is_last; /* the page that was taken in last was short */
};

static bool
fail(struct records_pg *p, const char *what)
{
    const char *said = PQerrorMessage(p->connection);
    int length = (int)strcspn(said, "\n");
    snprintf(p->why, WHY_BYTES, "%s: %.*s", what, length, said);
    return false;
}

static uint64_t
big_endian(const PGresult *r, int row, int column)
{
    uint64_t value = 0;
    memcpy(&value, PQgetvalue(r, row, column), sizeof value);
    return __builtin_bswap64(value);
}

/* ---- The connection ----------------------------------------------------------------------- */

static PGresult *
query(struct records_pg *p, const char *sql)
{
    PGresult *r = PQexec(records_pg_connection(p), sql);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return r;
    PQclear(r);
    (void)fail(p, "the journal cannot be read");
    return NULL;
}

static void
notice_drop(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

struct records_pg *
records_pg_open(const char *conninfo, char why[WHY_BYTES])
{
    struct records_pg *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->why = why;
    p->connection = PQconnectdb(conninfo);
    if (PQstatus(p->connection) != CONNECTION_OK) {
        (void)fail(p, "no connection to the database");
        records_pg_close(&p);
        return NULL;
    }
    (void)PQsetNoticeProcessor(p->connection, notice_drop, NULL);
    PGresult *begun = query(p, begin_sql);
    PGresult *prepared = begun == NULL ? NULL : PQprepare(p->connection, "page", page_sql, 0, NULL);
    bool is_well = PQresultStatus(prepared) == PGRES_COMMAND_OK;
    if (begun != NULL && !is_well)
        (void)fail(p, "the database has no journal");
    PQclear(begun);
    PQclear(prepared);
    if (!is_well)
        records_pg_close(&p);
    return p;
}

void
records_pg_close(struct records_pg **p)
{
    if (*p == NULL)
        return;
    PQfinish((*p)->connection);
    free(*p);
    *p = NULL;
}

/* ---- Extents ------------------------------------------------------------------------------ */

static void
archived_note(const PGresult *r, struct records_extent out[RECORDS_SHARDS])
{
    for (int i = 0; i < PQntuples(r); i++) {
        uint64_t shard = strtoull(PQgetvalue(r, i, 0), NULL, 10);
        uint64_t last = strtoull(PQgetvalue(r, i, 1), NULL, 10);
        size_t length = 0;
        unsigned char *hash = PQunescapeBytea((unsigned char *)PQgetvalue(r, i, 2), &length);
        if (shard < RECORDS_SHARDS && hash != NULL && length == HASH_BYTES) {
            struct records_extent *e = &out[shard];
            if (e->live == 0) {
                e->first = last + 1;
                e->last = last;
            }
            if (e->first == last + 1) {
                memcpy(e->before, hash, HASH_BYTES);
                e->has_before = true;
            }
        }
        PQfreemem(hash);
    }
}

bool
records_pg_extents(struct records_pg *p, struct records_extent out[RECORDS_SHARDS])
{
    PGresult *r = query(p, extents_sql);
    if (r == NULL)
        return false;
    for (int i = 0; i < PQntuples(r); i++) {
        struct records_extent *e = &out[i];
        *e = (struct records_extent){.first = 1, .has_before = true};
        if (PQgetisnull(r, i, 1))
            continue;
        e->first = e->live = strtoull(PQgetvalue(r, i, 1), NULL, 10);
        e->last = strtoull(PQgetvalue(r, i, 2), NULL, 10);
        e->has_before = e->first == 1;
    }
    PQclear(r);
    r = query(p, has_archive_sql);
    bool has_archive = r != NULL && PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    if (!has_archive)
        return r != NULL;
    r = query(p, archived_sql);
    if (r == NULL)
        return false;
    archived_note(r, out);
    PQclear(r);
    return true;
}

/* ---- Pages -------------------------------------------------------------------------------- */

static bool
page_ask(struct records_pg_cursor *c)
{
    struct records_pg *p = c->pg;
    char shard[8], after[24], to[24], rows[12];
    snprintf(shard, sizeof shard, "%u", c->shard);
    snprintf(after, sizeof after, "%" PRIu64, c->after);
    snprintf(to, sizeof to, "%" PRIu64, c->to);
    snprintf(rows, sizeof rows, "%u", c->rows);
    const char *values[] = {shard, after, to, rows};
    if (PQsendQueryPrepared(p->connection, "page", 4, values, NULL, NULL, 1) != 1)
        return fail(p, "the journal cannot be read");
    p->asking = c;
    return true;
}

/* Takes in the page that is on its way; its cursor has it as `next`, or nothing when it was lost.
 * Errors are left for the cursor to find. */
static void
page_collect(struct records_pg *p)
{
    struct records_pg_cursor *c = p->asking;
    if (c == NULL)
        return;
    p->asking = NULL;
    PGresult *more;
    while ((more = PQgetResult(p->connection)) != NULL) {
        PQclear(c->next);
        c->next = more;
    }
}

PGconn *
records_pg_connection(struct records_pg *p)
{
    page_collect(p);
    return p->connection;
}

/* The next page becomes the current one; false, and why, when it cannot be read. */
static bool
page_turn(struct records_pg_cursor *c)
{
    struct records_pg *p = c->pg;
    PQclear(c->page);
    c->page = NULL;
    c->at = c->count = 0;
    page_collect(p);
    if (c->next == NULL) {
        if (!page_ask(c))
            return false;
        page_collect(p);
    }
    c->page = c->next;
    c->next = NULL;
    if (PQresultStatus(c->page) != PGRES_TUPLES_OK) {
        snprintf(p->why, WHY_BYTES, "the journal cannot be read: %.*s",
                 (int)strcspn(PQresultErrorMessage(c->page), "\n"), PQresultErrorMessage(c->page));
        return false;
    }
    c->count = PQntuples(c->page);
    c->is_last = c->count < (int)c->rows;
    if (c->count > 0)
        c->after = big_endian(c->page, c->count - 1, C_SEQ);
    if (c->is_last || c->after >= c->to)
        return true;
    c->rows = c->rows * 4 < c->rows_max ? c->rows * 4 : c->rows_max;
    return page_ask(c);
}

struct records_pg_cursor *
records_pg_read(struct records_pg *p, uint16_t shard, uint64_t after, uint64_t to,
                uint32_t rows_max)
{
    struct records_pg_cursor *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (struct records_pg_cursor){
        .pg = p,
        .shard = shard,
        .after = after,
        .to = to == 0 ? INT64_MAX : to,
        .rows = PAGE_ROWS_MIN,
        .rows_max = rows_max,
    };
    return c;
}

/* What somebody else wrote into the table must not stop us here: what does not fit reads as empty,
 * and then the hash will not agree. */
static void
row_read(const PGresult *page, int i, uint16_t shard, struct journal_record *out)
{
    uint32_t kind = 0;
    memcpy(&kind, PQgetvalue(page, i, C_KIND), sizeof kind);
    *out = (struct journal_record){
        .shard = shard,
        .seq = big_endian(page, i, C_SEQ),
        .time_us = (int64_t)big_endian(page, i, C_TIME),
        .kind = __builtin_bswap32(kind),
        .corr = big_endian(page, i, C_CORR),
        .payload = (const uint8_t *)PQgetvalue(page, i, C_PAYLOAD),
        .payload_length = (uint32_t)PQgetlength(page, i, C_PAYLOAD),
        .epoch = big_endian(page, i, C_EPOCH),
    };
    if (code_from(PQgetvalue(page, i, C_SOURCE), (size_t)PQgetlength(page, i, C_SOURCE),
                  &out->source) != OK)
        out->source = (code_t){{0}};
    if (PQgetlength(page, i, C_HASH) == HASH_BYTES)
        memcpy(out->hash, PQgetvalue(page, i, C_HASH), HASH_BYTES);
}

enum records_result
records_pg_next(struct records_pg_cursor *c, struct journal_record *out)
{
    if (c->at == c->count) {
        if (c->is_last || c->after >= c->to)
            return RECORDS_END;
        if (!page_turn(c))
            return RECORDS_FAILED;
        if (c->count == 0)
            return RECORDS_END;
    }
    row_read(c->page, c->at++, c->shard, out);
    return RECORDS_ONE;
}

void
records_pg_end(struct records_pg_cursor **c)
{
    if (*c == NULL)
        return;
    if ((*c)->pg->asking == *c)
        page_collect((*c)->pg);
    PQclear((*c)->page);
    PQclear((*c)->next);
    free(*c);
    *c = NULL;
}
