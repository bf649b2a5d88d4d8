/*
 * follow.c - see follow.h.
 *
 * New records are asked for by their numbers, all shards in one query: a shard has one writer and
 * its numbers have no gap, so that nothing appears behind what was seen. Between two looks it
 * waits for a while rather than to be told: the ledger shall not know who reads along.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/follow.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/words.h"

#define PAUSE_MS 250

static const char follow_sql[] =
    "SELECT j.shard::int8, j.seq, j.time_us, j.kind::int8, j.corr, j.source, j.payload, j.hash"
    " FROM unnest($1::smallint[], $2::bigint[]) AS head (shard, seq), LATERAL"
    " (SELECT * FROM ledger.journal WHERE shard = head.shard AND seq > head.seq"
    "  ORDER BY seq LIMIT 1000) j ORDER BY j.time_us, j.shard, j.seq";
enum column { C_SHARD, C_SEQ, C_TIME, C_KIND, C_CORR, C_SOURCE, C_PAYLOAD, C_HASH };

struct follow {
    PGconn *connection;
    struct follow_heads heads;
    PGresult *rows;
    int at;
    bool waits; /* before the next look */
};

static void
set_why(const struct follow *f, char why[WHY_BYTES])
{
    const char *said = PQerrorMessage(f->connection);
    snprintf(why, WHY_BYTES, "following the journal: %.*s", (int)strcspn(said, "\n"), said);
}

struct follow *
follow_open(const char *database, const struct follow_heads *heads, char why[WHY_BYTES])
{
    struct follow *f = calloc(1, sizeof(*f));
    CHECK(f != NULL);
    f->heads = *heads;
    f->connection = PQconnectdb(database);
    if (PQstatus(f->connection) == CONNECTION_OK)
        return f;
    set_why(f, why);
    follow_close(&f);
    return NULL;
}

void
follow_close(struct follow **f)
{
    if (*f == NULL)
        return;
    PQclear((*f)->rows);
    PQfinish((*f)->connection);
    free(*f);
    *f = NULL;
}

static int64_t
number(const struct follow *f, enum column column)
{
    uint64_t value;
    CHECK(PQgetlength(f->rows, f->at, (int)column) == sizeof(value));
    memcpy(&value, PQgetvalue(f->rows, f->at, (int)column), sizeof(value));
    return (int64_t)__builtin_bswap64(value);
}

static bool
look(struct follow *f, char why[WHY_BYTES])
{
    struct bytes shards = {NULL, 0, 0}, seqs = {NULL, 0, 0};
    const char *before = "{";
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++) {
        if (!f->heads.is_wanted[i])
            continue;
        words_add(&shards, "%s%u", before, i);
        words_add(&seqs, "%s%llu", before, (unsigned long long)f->heads.seq[i]);
        before = ",";
    }
    words_add(&shards, "%s}", *before == '{' ? "{" : "");
    words_add(&seqs, "%s}", *before == '{' ? "{" : "");
    const char *values[] = {words_text(&shards), words_text(&seqs)};
    PQclear(f->rows);
    f->rows = PQexecParams(f->connection, follow_sql, 2, NULL, values, NULL, NULL, 1);
    f->at = 0;
    bytes_free(&shards);
    bytes_free(&seqs);
    if (PQresultStatus(f->rows) == PGRES_TUPLES_OK)
        return true;
    set_why(f, why);
    return false;
}

static void
read_row(struct follow *f, struct journal_record *out)
{
    memset(out, 0, sizeof(*out));
    out->shard = (uint16_t)number(f, C_SHARD);
    out->seq = (uint64_t)number(f, C_SEQ);
    out->time_us = number(f, C_TIME);
    out->kind = (uint32_t)number(f, C_KIND);
    out->corr = (uint64_t)number(f, C_CORR);
    snprintf(out->source.text, sizeof(out->source.text), "%.*s",
             PQgetlength(f->rows, f->at, C_SOURCE), PQgetvalue(f->rows, f->at, C_SOURCE));
    out->payload = (const uint8_t *)PQgetvalue(f->rows, f->at, C_PAYLOAD);
    out->payload_length = (uint32_t)PQgetlength(f->rows, f->at, C_PAYLOAD);
    if (PQgetlength(f->rows, f->at, C_HASH) == HASH_BYTES)
        memcpy(out->hash, PQgetvalue(f->rows, f->at, C_HASH), HASH_BYTES);
    f->heads.seq[out->shard] = out->seq;
}

enum records_result
follow_next(struct follow *f, struct journal_record *out, char why[WHY_BYTES])
{
    if (f->rows == NULL || f->at == PQntuples(f->rows)) {
        if (f->waits)
            poll(NULL, 0, PAUSE_MS);
        if (!look(f, why))
            return RECORDS_FAILED;
    }
    f->waits = PQntuples(f->rows) == 0;
    if (f->waits)
        return RECORDS_END;
    read_row(f, out);
    f->at++;
    return RECORDS_ONE;
}
