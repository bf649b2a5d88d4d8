/*
 * import.c - scripctl import: a folder of segment files into a journal that is still empty.
 *
 * Everything is read and checked once before the database is touched, then read again and written
 * in one transaction: the journal is whole or stays empty. A ledger that starts on it replays it;
 * none may run meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "host/pg_array.h"
#include "scripctl/command.h"
#include "scripctl/pack.h"

#define CHUNK_BYTES (1u << 18)
#define HOUR_US     INT64_C(3600000000)

/* Which partitions the records belong into, by their numbers from 1970 on. */
struct spans {
    int64_t *items;
    uint32_t count, room;
    int64_t last; /* the number of the record before */
};

struct import {
    const struct call *c;
    struct records *from;
    PGconn *to;
    struct journal_hasher *hasher;
    struct progress progress;
    struct spans spans;
    struct bytes chunk;
    uint64_t records, epoch; /* epoch: the highest */
    char why[WHY_BYTES];
};

static bool fail(struct import *m, const char *format, ...) PRINTF(2, 3);

static bool
fail(struct import *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(m->why, sizeof m->why, format, args);
    va_end(args);
    return false;
}

static bool
refused(struct import *m)
{
    const char *said = PQerrorMessage(m->to);
    return fail(m, "the database refused: %.*s", (int)strcspn(said, "\n"), said);
}

/* ---- Checking ----------------------------------------------------------------------------- */

static void
span_note(struct import *m, int64_t time_us)
{
    struct spans *s = &m->spans;
    int64_t span_us = m->c->o.partition_hours * HOUR_US;
    int64_t number = time_us / span_us - (time_us % span_us < 0);
    if (s->count > 0 && s->last == number)
        return;
    s->last = number;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i] == number)
            return;
    if (s->count == s->room) {
        s->room = s->room == 0 ? 64 : 2 * s->room;
        s->items = realloc(s->items, s->room * sizeof *s->items);
        CHECK(s->items != NULL);
    }
    s->items[s->count++] = number;
}

static bool
shard_check(struct import *m, uint16_t shard)
{
    struct records_extent e;
    if (!records_extent(m->from, shard, &e))
        return fail(m, "%s", records_why(m->from));
    if (e.last == 0)
        return true;
    if (e.first != 1)
        return fail(m, "shard %u begins with record %" PRIu64 ": a journal begins with record 1",
                    shard, e.first);
    struct journal_record r;
    uint8_t hash[HASH_BYTES] = {0}, right[HASH_BYTES];
    struct records_cursor *c = records_read(m->from, shard, 0, 0);
    enum records_result result;
    while ((result = records_next(c, &r)) == RECORDS_ONE) {
        journal_hash(m->hasher, hash, &r, right);
        if (memcmp(right, r.hash, HASH_BYTES) != 0) {
            (void)fail(m, "shard %u: the hash of record %" PRIu64 " does not fit", shard, r.seq);
            break;
        }
        memcpy(hash, right, HASH_BYTES);
        span_note(m, r.time_us);
        m->epoch = r.epoch > m->epoch ? r.epoch : m->epoch;
        m->records++;
        progress_add(&m->progress, 1);
    }
    records_end(&c);
    if (result == RECORDS_FAILED)
        return fail(m, "%s", records_why(m->from));
    return result == RECORDS_END;
}

static bool
check(struct import *m)
{
    uint64_t total = 0;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++) {
        struct records_extent e;
        (void)records_extent(m->from, shard, &e);
        total += e.last;
    }
    progress_begin(&m->progress, "checking", "records", total, m->c->o.quiet);
    bool is_well = true;
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && is_well; shard++)
        is_well = shard_check(m, shard);
    progress_end(&m->progress);
    return is_well;
}

/* ---- The database ------------------------------------------------------------------------- */

/* Runs a statement; its first value as text in `value` when that is given. */
static bool
run(struct import *m, const char *sql, char value[WHY_BYTES])
{
    PGresult *r = PQexec(m->to, sql);
    ExecStatusType status = PQresultStatus(r);
    bool is_well = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!is_well)
        (void)refused(m);
    if (is_well && value != NULL)
        snprintf(value, WHY_BYTES, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return is_well;
}

/* Begins the transaction and makes sure of an empty journal that nobody writes meanwhile. */
static bool
begin(struct import *m)
{
    char found[WHY_BYTES];
    if (!run(m, "BEGIN", NULL) || !run(m, "SET LOCAL statement_timeout = 0", NULL) ||
        !run(m,
             "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND "
             "objsubid = 2 AND database = (SELECT oid FROM pg_database "
             "WHERE datname = current_database())",
             found))
        return false;
    if (strcmp(found, "0") != 0)
        return fail(m, "a ledger runs on this database: stop it first");
    if (!run(m, "LOCK TABLE ledger.journal IN EXCLUSIVE MODE", NULL) ||
        !run(m,
             "SELECT name FROM (SELECT 'journal' AS name FROM ledger.journal UNION ALL "
             "SELECT 'archive' FROM ledger.archive UNION ALL "
             "SELECT 'account' FROM ledger.account UNION ALL "
             "SELECT 'balance' FROM ledger.balance UNION ALL "
             "SELECT 'order' FROM ledger.\"order\" UNION ALL "
             "SELECT 'shard' FROM ledger.shard WHERE seq > 0) AS found LIMIT 1",
             found))
        return false;
    return found[0] == '\0' ||
           fail(m, "the deployment is not empty: there are rows in ledger.%s", found);
}

static bool
partitions_make(struct import *m)
{
    for (uint32_t i = 0; i < m->spans.count; i++) {
        char sql[160];
        snprintf(sql, sizeof sql, "SELECT ledger.partition_at(%" PRId64 "::bigint, %" PRId64 ")",
                 m->spans.items[i] * m->c->o.partition_hours * HOUR_US, m->c->o.partition_hours);
        if (!run(m, sql, NULL))
            return false;
    }
    return true;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static void
put_big_endian(struct bytes *b, uint64_t value, size_t length)
{
    char text[8];
    pg_write_int8((int64_t)value, text);
    bytes_add(b, text + 8 - length, length);
}

static void
put_field(struct bytes *b, uint64_t value, size_t length)
{
    put_big_endian(b, length, 4);
    put_big_endian(b, value, length);
}

static void
put_bytes(struct bytes *b, const void *bytes, size_t length)
{
    put_big_endian(b, length, 4);
    bytes_add(b, bytes, length);
}

/* A row as COPY BINARY has it, in the order of the columns. */
static void
put_row(struct bytes *b, const struct journal_record *r)
{
    put_big_endian(b, 9, 2);
    put_field(b, r->shard, 2);
    put_field(b, r->seq, 8);
    put_field(b, (uint64_t)r->time_us, 8);
    put_field(b, r->kind, 4);
    put_bytes(b, r->source.text, strlen(r->source.text));
    put_field(b, r->corr, 8);
    put_bytes(b, r->payload, r->payload_length);
    put_bytes(b, r->hash, HASH_BYTES);
    put_field(b, r->epoch, 8);
}

static bool
chunk_send(struct import *m)
{
    bool is_sent = m->chunk.length == 0 ||
                   PQputCopyData(m->to, (const char *)m->chunk.data, (int)m->chunk.length) == 1;
    bytes_clear(&m->chunk);
    return is_sent || refused(m);
}

static bool
shard_send(struct import *m, uint16_t shard)
{
    struct journal_record r;
    struct records_cursor *c = records_read(m->from, shard, 0, 0);
    enum records_result result;
    bool is_sent = true;
    while (is_sent && (result = records_next(c, &r)) == RECORDS_ONE) {
        put_row(&m->chunk, &r);
        if (m->chunk.length >= CHUNK_BYTES)
            is_sent = chunk_send(m);
        progress_add(&m->progress, 1);
    }
    records_end(&c);
    if (is_sent && result == RECORDS_FAILED)
        return fail(m, "%s", records_why(m->from));
    return is_sent;
}

static bool
rows_send(struct import *m)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    PGresult *r = PQexec(m->to, "COPY ledger.journal FROM STDIN (FORMAT binary)");
    bool is_well = PQresultStatus(r) == PGRES_COPY_IN || refused(m);
    PQclear(r);
    if (!is_well)
        return false;
    progress_begin(&m->progress, "importing", "records", m->records, m->c->o.quiet);
    bytes_add(&m->chunk, head, sizeof head);
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && is_well; shard++)
        is_well = shard_send(m, shard);
    put_big_endian(&m->chunk, UINT16_MAX, 2);
    is_well = is_well && chunk_send(m);
    progress_end(&m->progress);
    if (PQputCopyEnd(m->to, is_well ? NULL : "given up") != 1)
        return is_well && refused(m);
    r = PQgetResult(m->to);
    if (is_well && PQresultStatus(r) != PGRES_COMMAND_OK)
        is_well = refused(m);
    while (r != NULL) {
        PQclear(r);
        r = PQgetResult(m->to);
    }
    return is_well;
}

/* The next owner's epoch is above those of the records. */
static bool
lease_raise(struct import *m)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO ledger.lease AS l VALUES (0, %" PRIu64 ", 'import', 0) ON CONFLICT "
             "(shard_group) DO UPDATE SET epoch = greatest(l.epoch, excluded.epoch)",
             m->epoch);
    return run(m, sql, NULL);
}

static enum status
import_run(const struct call *c, struct import *m)
{
    if (!check(m))
        return refuse(c, STATUS_NO, "NOT_IMPORTED", "%s; nothing was imported", m->why);
    m->to = PQconnectdb(c->o.database);
    if (PQstatus(m->to) != CONNECTION_OK) {
        (void)refused(m);
        return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", m->why);
    }
    if (!begin(m) || !partitions_make(m) || !rows_send(m) || !lease_raise(m) ||
        !run(m, "COMMIT", NULL))
        return refuse(c, STATUS_FAILED, "NOT_IMPORTED", "%s; nothing was imported", m->why);
    if (out_is_json(c->out)) {
        out_table(c->out, "records partitions epoch");
        out_uint(c->out, m->records);
        out_uint(c->out, m->spans.count);
        out_uint(c->out, m->epoch);
        out_row_end(c->out);
    }
    out_say(c->out,
            "%" PRIu64 " records are in the journal. A ledger that starts on it replays them.",
            m->records);
    return STATUS_OK;
}

enum status
import_journal(const struct call *c)
{
    if (c->o.database == NULL)
        return refuse(c, STATUS_USAGE, "USAGE", "name the empty deployment with --database");
    struct import m = {.c = c};
    const struct records_options from = {.archive = c->words[0]};
    m.from = records_open(&from, m.why);
    if (m.from == NULL)
        return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", m.why);
    m.hasher = journal_hasher_new();
    enum status status = import_run(c, &m);
    PQfinish(m.to);
    journal_hasher_destroy(&m.hasher);
    bytes_free(&m.chunk);
    free(m.spans.items);
    records_close(&m.from);
    return status;
}
