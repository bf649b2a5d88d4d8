/*
 * shards.c - who owns the shards, how far each journal is, and how far the tables, the anchors and
 * the archive are behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "scripctl/ask.h"
#include "scripctl/source.h"
#include "scripctl/value.h"

/* What is known of a shard. Sequence numbers are 0, and times too, where there is nothing. */
struct shard {
    struct records_extent extent;
    int64_t head_us, stamp_us;
    uint64_t stamp, anchored, archived;
    bool has_stamp;
};

struct shards {
    struct shard all[RECORDS_SHARDS];
    bool has_database;
};

/* ---- Reading ----------------------------------------------------------------------------------
 */

static const char heads_sql[] =
    "SELECT s, h.time_us, p.seq, t.time_us FROM generate_series(0, 63) AS s"
    " LEFT JOIN ledger.shard p ON p.shard = s"
    " LEFT JOIN LATERAL (SELECT time_us FROM ledger.journal j WHERE j.shard = s::smallint"
    "  ORDER BY j.seq DESC LIMIT 1) h ON true"
    " LEFT JOIN LATERAL (SELECT time_us FROM ledger.journal j WHERE j.shard = s::smallint"
    "  AND j.seq = p.seq) t ON true ORDER BY s";
/* A deployment of before there were anchors has none, and none archived. */
static const char has_sql[] =
    "SELECT to_regclass('ledger.anchor') IS NOT NULL, to_regclass('ledger.archive') IS NOT NULL";
static const char anchored_sql[] =
    "SELECT m[1], max(m[2]::bigint) FROM (SELECT DISTINCT ON (shard_group) text"
    "  FROM ledger.anchor ORDER BY shard_group, number DESC) a,"
    " regexp_matches(a.text, '^shard ([0-9]+) ([0-9]+) ', 'gn') m GROUP BY m[1]";
static const char archived_sql[] = "SELECT shard, max(last_seq) FROM ledger.archive GROUP BY shard";
/* The owner's session holds an advisory lock; who is written down may be gone. */
static const char groups_sql[] =
    "SELECT l.shard_group, l.owner, l.epoch, l.taken_us, EXISTS (SELECT FROM pg_locks k"
    "  WHERE k.locktype = 'advisory' AND k.classid = 1 AND k.objid = l.shard_group AND k.granted"
    "  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    " FROM ledger.lease l ORDER BY l.shard_group";
static const char group_anchor_sql[] = "SELECT number, time_us FROM ledger.anchor"
                                       " WHERE shard_group = $1 ORDER BY number DESC LIMIT 1";

static bool
read_pairs(const struct call *c, struct records *r, const char *sql, struct shards *s,
           size_t offset)
{
    PGresult *rows = ask_rows(c, r, sql, NULL);
    if (rows == NULL)
        return false;
    for (int i = 0; i < PQntuples(rows); i++) {
        int64_t shard = ask_int(rows, i, 0);
        uint64_t seq = (uint64_t)ask_int(rows, i, 1);
        if (shard >= 0 && shard < RECORDS_SHARDS)
            memcpy((char *)&s->all[shard] + offset, &seq, sizeof(seq));
    }
    PQclear(rows);
    return true;
}

static bool
read_heads(const struct call *c, struct records *r, struct shards *s)
{
    PGresult *rows = ask_rows(c, r, heads_sql, NULL);
    if (rows == NULL)
        return false;
    for (int i = 0; i < PQntuples(rows) && i < RECORDS_SHARDS; i++) {
        struct shard *shard = &s->all[i];
        shard->head_us = ask_int(rows, i, 1);
        shard->has_stamp = ask_text(rows, i, 2) != NULL;
        shard->stamp = (uint64_t)ask_int(rows, i, 2);
        shard->stamp_us = ask_int(rows, i, 3);
    }
    PQclear(rows);
    return true;
}

static bool
read_shards(const struct call *c, struct records *r, struct shards *s, bool has[2])
{
    for (uint16_t i = 0; i < RECORDS_SHARDS; i++)
        if (!records_extent(r, i, &s->all[i].extent)) {
            source_failed(c, r);
            return false;
        }
    s->has_database = records_connection(r) != NULL;
    if (!s->has_database)
        return true;
    PGresult *rows = ask_rows(c, r, has_sql, NULL);
    if (rows == NULL)
        return false;
    has[0] = ask_is_true(rows, 0, 0);
    has[1] = ask_is_true(rows, 0, 1);
    PQclear(rows);
    return read_heads(c, r, s) &&
           (!has[0] || read_pairs(c, r, anchored_sql, s, offsetof(struct shard, anchored))) &&
           (!has[1] || read_pairs(c, r, archived_sql, s, offsetof(struct shard, archived)));
}

/* ---- Showing ----------------------------------------------------------------------------------
 */

static uint64_t
records_of(const struct shard *s)
{
    return s->extent.last == 0 ? 0 : s->extent.last - s->extent.first + 1;
}

/* Records that the tables do not know yet. */
static uint64_t
lag_of(const struct shard *s)
{
    return s->extent.last > s->stamp ? s->extent.last - s->stamp : 0;
}

/* How much older the tables are than the journal; -1: unknown, the stamp's own record is not in the
 * database. */
static int64_t
lag_us_of(const struct shard *s)
{
    if (lag_of(s) == 0)
        return 0;
    return s->stamp_us == 0 ? -1 : s->head_us - s->stamp_us;
}

static void
put_seq(struct out *o, uint64_t seq)
{
    if (seq == 0)
        out_text(o, NULL);
    else
        out_uint(o, seq);
}

/* Seconds, exactly: a number in JSON. */
static void
put_seconds(struct out *o, int64_t us)
{
    char text[32];
    if (us < 0) {
        out_text(o, NULL);
        return;
    }
    snprintf(text, sizeof(text), "%lld.%06lld", (long long)(us / 1000000),
             (long long)(us % 1000000));
    if (!out_is_json(o))
        text[strlen(text) - 3] = 0;
    out_json(o, text);
}

static void
put_group(struct out *o, const PGresult *rows, int i, const struct shards *s,
          const PGresult *anchor)
{
    uint64_t records = 0, lag = 0;
    int64_t lag_us = 0;
    for (uint32_t k = 0; k < RECORDS_SHARDS; k++) {
        const struct shard *shard = &s->all[k];
        records += records_of(shard);
        lag += lag_of(shard);
        lag_us = lag_us_of(shard) > lag_us ? lag_us_of(shard) : lag_us;
    }
    bool has_anchor = anchor != NULL && PQntuples(anchor) > 0;
    out_int(o, ask_int(rows, i, 0));
    out_text(o, ask_text(rows, i, 1));
    out_bool(o, ask_is_true(rows, i, 4));
    out_int(o, ask_int(rows, i, 2));
    out_time(o, ask_int(rows, i, 3));
    out_uint(o, records);
    out_uint(o, lag);
    put_seconds(o, lag_us);
    put_seq(o, has_anchor ? (uint64_t)ask_int(anchor, 0, 0) : 0);
    out_time(o, has_anchor ? ask_int(anchor, 0, 1) : 0);
    out_row_end(o);
}

static bool
show_groups(const struct call *c, struct records *r, const struct shards *s, bool has_anchors)
{
    PGresult *rows = ask_rows(c, r, groups_sql, NULL);
    if (rows == NULL)
        return false;
    if (PQntuples(rows) == 0)
        out_say(c->out, "No ledger has ever owned these shards.");
    else
        out_table(c->out, "group> owner is_there epoch> since records> lag_records> lag_seconds> "
                          "anchor> anchored");
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *const group[] = {PQgetvalue(rows, i, 0), NULL};
        PGresult *anchor = has_anchors ? ask_rows(c, r, group_anchor_sql, group) : NULL;
        put_group(c->out, rows, i, s, anchor);
        PQclear(anchor);
    }
    PQclear(rows);
    return true;
}

static void
show_shards(const struct call *c, const struct shards *s)
{
    struct out *o = c->out;
    uint32_t empty = 0;
    out_table(o, "shard> records> first> last> last_time tables> lag_records> lag_seconds> "
                 "anchored> archived>");
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++) {
        const struct shard *shard = &s->all[i];
        if (!c->o.shard[i])
            continue;
        if (shard->extent.last == 0 && !out_is_json(o)) {
            empty++;
            continue;
        }
        out_uint(o, i);
        out_uint(o, records_of(shard));
        put_seq(o, shard->extent.last == 0 ? 0 : shard->extent.first);
        put_seq(o, shard->extent.last);
        out_time(o, shard->head_us);
        put_seq(o, shard->stamp);
        if (s->has_database) {
            out_uint(o, lag_of(shard));
            put_seconds(o, lag_us_of(shard));
        } else {
            out_text(o, NULL);
            out_text(o, NULL);
        }
        put_seq(o, shard->anchored);
        put_seq(o, shard->archived);
        out_row_end(o);
    }
    if (empty > 0)
        out_say(o, "%u of the shards have no record.", empty);
}

enum status
shards(const struct call *c)
{
    enum status status;
    struct shards s = {.has_database = false};
    bool has[2] = {false, false};
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    bool is_read = read_shards(c, r, &s, has) && (!s.has_database || show_groups(c, r, &s, has[0]));
    if (is_read)
        show_shards(c, &s);
    records_close(&r);
    return is_read ? STATUS_OK : STATUS_FAILED;
}
