/*
 * partition.c - see partition.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/partition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool
refused(PGconn *db, char why[WHY_BYTES])
{
    const char *said = PQerrorMessage(db);
    snprintf(why, WHY_BYTES, "the database refused: %.*s", (int)strcspn(said, "\n"), said);
    return false;
}

/* NULL, and why. */
static PGresult *
ask(PGconn *db, const char *sql, const char *value, char why[WHY_BYTES])
{
    const char *values[] = {value};
    PGresult *r = PQexecParams(db, sql, value == NULL ? 0 : 1, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return r;
    PQclear(r);
    (void)refused(db, why);
    return NULL;
}

static bool
run(PGconn *db, const char *sql, char why[WHY_BYTES])
{
    PGresult *r = ask(db, sql, NULL, why);
    PQclear(r);
    return r != NULL;
}

static int64_t
cell(const PGresult *r, int row, int column)
{
    return strtoll(PQgetvalue(r, row, column), NULL, 10);
}

/* ---- Looking ------------------------------------------------------------------------------ */

static const char partitions_sql[] =
    "SELECT name, from_us, to_us, listed.partition IS NOT NULL FROM ledger.partitions "
    "LEFT JOIN (SELECT DISTINCT partition FROM ledger.archive) AS listed ON partition = name "
    "UNION ALL "
    "SELECT DISTINCT partition, from_us, to_us, true FROM ledger.archive "
    "WHERE partition NOT IN (SELECT name FROM ledger.partitions) "
    "AND to_regclass('ledger.' || quote_ident(partition)) IS NOT NULL ORDER BY 2";

struct partition *
partitions_read(PGconn *db, uint32_t *count, char why[WHY_BYTES])
{
    PGresult *r = ask(db, partitions_sql, NULL, why);
    if (r == NULL)
        return NULL;
    *count = (uint32_t)PQntuples(r);
    struct partition *all = calloc(*count + 1, sizeof *all);
    CHECK(all != NULL);
    for (int i = 0; i < PQntuples(r); i++) {
        struct partition *p = &all[i];
        snprintf(p->name, sizeof p->name, "%s", PQgetvalue(r, i, 0));
        p->from_us = cell(r, i, 1);
        p->to_us = cell(r, i, 2);
        p->is_listed = PQgetvalue(r, i, 3)[0] == 't';
    }
    PQclear(r);
    return all;
}

bool
partitions_newest_us(PGconn *db, int64_t *out, char why[WHY_BYTES])
{
    PGresult *r = ask(db, "SELECT ledger.newest_us()", NULL, why);
    if (r == NULL)
        return false;
    *out = cell(r, 0, 0);
    PQclear(r);
    return true;
}

bool
partitions_stamps(PGconn *db, uint64_t stamps[RECORDS_SHARDS], char why[WHY_BYTES])
{
    PGresult *r = ask(db, "SELECT shard, seq FROM ledger.shard", NULL, why);
    if (r == NULL)
        return false;
    memset(stamps, 0, RECORDS_SHARDS * sizeof *stamps);
    for (int i = 0; i < PQntuples(r); i++) {
        int64_t shard = cell(r, i, 0);
        if (shard >= 0 && shard < RECORDS_SHARDS)
            stamps[shard] = (uint64_t)cell(r, i, 1);
    }
    PQclear(r);
    return true;
}

/* "ledger."name"", to be freed by PQfreemem. */
static char *
quoted(PGconn *db, const struct partition *p)
{
    char *name = PQescapeIdentifier(db, p->name, strlen(p->name));
    CHECK(name != NULL);
    return name;
}

bool
partition_shares(PGconn *db, const struct partition *p,
                 struct partition_share shares[RECORDS_SHARDS], uint64_t *records,
                 char why[WHY_BYTES])
{
    char sql[256], *name = quoted(db, p);
    snprintf(sql, sizeof sql,
             "SELECT shard, min(seq), max(seq), count(*) FROM ledger.%s GROUP BY shard", name);
    PQfreemem(name);
    PGresult *r = ask(db, sql, NULL, why);
    if (r == NULL)
        return false;
    memset(shares, 0, RECORDS_SHARDS * sizeof *shares);
    *records = 0;
    bool is_well = true;
    for (int i = 0; i < PQntuples(r) && is_well; i++) {
        int64_t shard = cell(r, i, 0), first = cell(r, i, 1), last = cell(r, i, 2);
        is_well = shard >= 0 && shard < RECORDS_SHARDS && cell(r, i, 3) == last - first + 1;
        if (!is_well) {
            snprintf(why, WHY_BYTES, "shard %" PRId64 ": of its records in %s some are missing",
                     shard, p->name);
            break;
        }
        shares[shard] = (struct partition_share){(uint64_t)first, (uint64_t)last};
        *records += (uint64_t)(last - first + 1);
    }
    PQclear(r);
    return is_well;
}

/* ---- Taking one off ----------------------------------------------------------------------- */

static void
hex(const uint8_t bytes[HASH_BYTES], char out[2 * HASH_BYTES + 1])
{
    for (int i = 0; i < HASH_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool
file_list(PGconn *db, const struct partition *p, const struct segment *s, char why[WHY_BYTES])
{
    char sql[1024], file[SEGMENT_NAME_BYTES];
    char before[2 * HASH_BYTES + 1], hash[2 * HASH_BYTES + 1], sha256[2 * HASH_BYTES + 1];
    segment_name(s, file);
    hex(s->before, before);
    hex(s->hash, hash);
    hex(s->sha256, sha256);
    snprintf(sql, sizeof sql,
             "INSERT INTO ledger.archive VALUES (%u, %" PRIu64 ", %" PRIu64 ", '\\x%s', '\\x%s', "
             "$1, %" PRId64 ", %" PRId64 ", '%s', '\\x%s')",
             s->shard, s->first, s->last, before, hash, p->from_us, p->to_us, file, sha256);
    PGresult *r = ask(db, sql, p->name, why);
    PQclear(r);
    return r != NULL;
}

/* The files that have a shard's share, and nothing else. */
static bool
share_list(PGconn *db, const struct partition *p, const struct manifest *m, uint16_t shard,
           const struct partition_share *share, char why[WHY_BYTES])
{
    uint32_t count;
    uint64_t next = share->first;
    const struct segment *files = manifest_shard(m, shard, &count);
    for (uint32_t i = 0; i < count && next <= share->last; i++) {
        if (files[i].last < next)
            continue;
        if (files[i].first != next || files[i].last > share->last)
            break;
        if (!file_list(db, p, &files[i], why))
            return false;
        next = files[i].last + 1;
    }
    if (next > share->last)
        return true;
    snprintf(why, WHY_BYTES,
             "shard %u: a file of the folder has record %" PRIu64
             " together with others than those "
             "of %s: use a folder of its own",
             shard, next, p->name);
    return false;
}

static bool
shares_list(PGconn *db, const struct partition *p, const struct manifest *m,
            const struct partition_share shares[RECORDS_SHARDS], uint64_t records,
            char why[WHY_BYTES])
{
    struct partition_share now[RECORDS_SHARDS];
    uint64_t count;
    if (!partition_shares(db, p, now, &count, why))
        return false;
    if (count != records) {
        snprintf(why, WHY_BYTES, "%s has changed meanwhile", p->name);
        return false;
    }
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++)
        if (shares[shard].first != 0 && !share_list(db, p, m, shard, &shares[shard], why))
            return false;
    return true;
}

bool
partition_list(PGconn *db, const struct partition *p, const struct manifest *m,
               const struct partition_share shares[RECORDS_SHARDS], uint64_t records,
               char why[WHY_BYTES])
{
    if (!run(db, "BEGIN", why))
        return false;
    if (shares_list(db, p, m, shares, records, why))
        return run(db, "COMMIT", why);
    PQclear(PQexec(db, "ROLLBACK"));
    return false;
}

/* Of one whose detaching was stopped on its way, FINALIZE does the rest. */
static bool
partition_detach(PGconn *db, const struct partition *p, const char *name, char why[WHY_BYTES])
{
    char sql[256];
    PGresult *r = ask(db,
                      "SELECT i.inhdetachpending FROM pg_inherits AS i JOIN pg_class AS c "
                      "ON c.oid = i.inhrelid WHERE i.inhparent = 'ledger.journal'::regclass "
                      "AND c.relname = $1",
                      p->name, why);
    if (r == NULL)
        return false;
    bool is_attached = PQntuples(r) > 0;
    bool is_pending = is_attached && PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    snprintf(sql, sizeof sql, "ALTER TABLE ledger.journal DETACH PARTITION ledger.%s %s", name,
             is_pending ? "FINALIZE" : "CONCURRENTLY");
    return !is_attached || run(db, sql, why);
}

bool
partition_drop(PGconn *db, const struct partition *p, char why[WHY_BYTES])
{
    char sql[256], *name = quoted(db, p);
    snprintf(sql, sizeof sql, "DROP TABLE ledger.%s", name);
    bool is_dropped = partition_detach(db, p, name, why) && run(db, sql, why);
    PQfreemem(name);
    return is_dropped;
}
