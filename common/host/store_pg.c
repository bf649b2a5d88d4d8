/*
 * store_pg.c - the journal in PostgreSQL, on one connection of its own.
 *
 * A batch is one implicit transaction in the pipeline: one INSERT of an array of records of the
 * table's row type behind its fence, sync. The next batch may be sent before the answer, so that
 * the server begins it when it has committed the first; it then follows the first or is refused.
 * Owns the session whose advisory lock is the lease: when the connection is lost, so is the lock,
 * and it is asked for again under the same epoch.
 *
 * Partitions are made ahead: with the lease, then every hour on a connection of their own. An
 * append that finds none is refused, and is sent again by its owner when it has been made.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"
#include "host/pg_array.h"

#define KEEP_AGAIN_MS      100
#define RECORD_NAME_BYTES  (64 + 2 * HASH_BYTES)
#define PARTITIONS_MS      3600000 /* made ahead so often */
#define PARTITIONS_SOON_MS 10000   /* when that failed */
#define PARTITION_HOURS    168     /* when nobody says */

enum column { C_SHARD, C_SEQ, C_TIME, C_KIND, C_SOURCE, C_CORR, C_PAYLOAD, C_HASH, COLUMNS };

/* Records are taken by position, so the table must have these columns in this order. */
#define COLUMN_NAMES "shard,seq,time_us,kind,source,corr,payload,hash,epoch"

/* The table's row type; NULL when its columns are others. */
#define ROW_TYPE                                                                                   \
    "(SELECT t.oid FROM pg_type t WHERE t.oid = 'ledger.journal'::regtype AND '" COLUMN_NAMES      \
    "' = (SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute "                      \
    "WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped))"

static const char append_sql[] =
    "INSERT INTO ledger.journal SELECT r.* FROM ledger.fence_batch($2, $3, $4, $5), "
    "unnest($1::ledger.journal[]) AS r";

static const char read_sql[] =
    "SELECT shard, seq, time_us, kind, source, corr, payload, hash FROM ledger.journal "
    "WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/* One append on its way. */
struct append_call {
    store_done *done; /* NULL = free */
    void *arg;
    enum store_outcome outcome;
    struct pg_store *store;
    int64_t first_us, last_us; /* times of its records */
    bool is_homeless;          /* no partition for them */
};

/* A read in flight; reads happen at start and after a lost connection only. */
struct read_call {
    store_record *each;
    store_done *done; /* NULL = free */
    void *arg;
};

struct pg_store {
    struct store store; /* first: see store.h */
    struct loop *loop;
    struct pg *pg;
    struct loop_timer *keep_timer;
    char *owner, *conninfo;
    uint32_t group;
    uint64_t epoch;     /* 0 until the lease is ours */
    uint64_t epoch_won; /* the same, while there may be no partitions yet */
    int64_t newest_us;
    bool is_up; /* connected, and the epoch confirmed when there is one */
    bool keep_asked;

    struct pg_array rows;
    uint32_t row_type; /* as the table has it in this session; 0 = other columns */
    struct append_call appends[STORE_APPENDS_MAX];
    struct read_call reads[STORE_READS_MAX];
    /* The lease_take in flight. */
    store_lease *lease_done;
    void *lease_arg;
    int64_t lease_us;
    /* Partitions. */
    struct pg *side; /* from the lease on */
    struct loop_timer *partitions_timer;
    int64_t partition_hours;
    bool is_partition_asked; /* for an append that found none */
};

/* A row that violates a constraint names it; one that belongs into no partition has none. */
static bool
is_partition_missing(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, "23514") == 0 &&
           PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) == NULL;
}

/* What a refusal means for the transaction. When the server ends the session nobody knows how far
 * it had come, as with a broken connection. */
static enum store_outcome
outcome_of(enum pg_outcome outcome, const PGresult *result)
{
    if (outcome == PG_ROWS)
        return STORE_DONE;
    if (outcome == PG_LOST)
        return STORE_LOST;
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state == NULL)
        return STORE_REFUSED;
    if (strcmp(state, "SF001") == 0)
        return STORE_FENCED;
    if (strcmp(state, "SF002") == 0)
        return STORE_GAP;
    if (strcmp(state, "23505") == 0)
        return STORE_TAKEN;
    if (is_partition_missing(result))
        return STORE_REFUSED;
    if (strncmp(state, "57P", 3) == 0 || strncmp(state, "08", 2) == 0)
        return STORE_LOST;
    log_line(LOG_ERROR, "store_refused", "sqlstate=%s message=\"%s\"", state,
             PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    return STORE_REFUSED;
}

/* The first statement that failed tells why; the ones after it were only skipped. */
static void
outcome_note(enum store_outcome *noted, enum pg_outcome outcome, const PGresult *result)
{
    if (*noted == STORE_DONE)
        *noted = outcome_of(outcome, result);
}

/* ---- Partitions --------------------------------------------------------------------------- */

/* False when the server refused; a time whose part of the journal was archived is the end. */
static bool
partitions_made(struct pg_store *s, enum pg_outcome outcome, const PGresult *result)
{
    if (outcome != PG_FAILED)
        return true;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    log_line(LOG_ERROR, "partitions_refused", "sqlstate=%s message=\"%s\"", state,
             PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    if (state != NULL && strcmp(state, "SF004") == 0 && s->epoch > 0)
        s->store.watch.on_fenced(s->store.watch.arg);
    return false;
}

static void
partition_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct pg_store *s = arg;
    s->is_partition_asked = false;
    if (partitions_made(s, outcome, result) && outcome == PG_ROWS)
        log_line(LOG_INFO, "partition_made", "to_us=%s", PQgetvalue(result, 0, 0));
}

/* On the journal's own connection: the append that found none was refused, and comes again. */
static void
partition_ask(struct pg_store *s, int64_t first_us, int64_t last_us)
{
    if (s->is_partition_asked)
        return;
    char first[24], last[24], hours[24];
    snprintf(first, sizeof first, "%lld", (long long)first_us);
    snprintf(last, sizeof last, "%lld", (long long)last_us);
    snprintf(hours, sizeof hours, "%lld", (long long)s->partition_hours);
    log_line(LOG_WARN, "partition_missing", "from_us=%s to_us=%s", first, last);
    const char *values[] = {first, last, hours};
    s->is_partition_asked = pg_send(s->pg,
                                    "SELECT ledger.partition_at($1::bigint, $3::bigint), "
                                    "ledger.partition_at($2::bigint, $3::bigint)",
                                    3, NULL, values, NULL, NULL, false, partition_answer, s);
    if (s->is_partition_asked)
        (void)pg_sync(s->pg, NULL, NULL);
}

static bool
partitions_send(struct pg_store *s, struct pg *pg, int64_t now_us, pg_answer *answer)
{
    char now[24], hours[24];
    snprintf(now, sizeof now, "%lld", (long long)now_us);
    snprintf(hours, sizeof hours, "%lld", (long long)s->partition_hours);
    const char *values[] = {now, hours};
    if (!pg_send(pg, "SELECT ledger.partitions_ahead($1::bigint, $2::bigint)", 2, NULL, values,
                 NULL, NULL, false, answer, s))
        return false;
    (void)pg_sync(pg, NULL, NULL);
    return true;
}

static void
ahead_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct pg_store *s = arg;
    bool is_made = partitions_made(s, outcome, result) && outcome == PG_ROWS;
    loop_timer_again(s->partitions_timer, is_made ? PARTITIONS_MS : PARTITIONS_SOON_MS);
}

static void
ahead_ask(void *arg)
{
    struct pg_store *s = arg;
    if (!partitions_send(s, s->side, loop_now_us(s->loop), ahead_answer))
        loop_timer_again(s->partitions_timer, PARTITIONS_SOON_MS);
}

/* From the lease on. */
static void
ahead_begin(struct pg_store *s)
{
    s->side = pg_open(s->loop, &(struct pg_options){
                                   .conninfo = s->conninfo,
                                   .label = "partitions",
                                   .arg = s,
                               });
    s->partitions_timer = loop_timer_new(s->loop, PARTITIONS_MS, 0, ahead_ask, s);
}

/* ---- Appending ---------------------------------------------------------------------------- */

static void
append_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct append_call *a = arg;
    outcome_note(&a->outcome, outcome, result);
    a->is_homeless |= outcome == PG_FAILED && is_partition_missing(result);
}

static void
append_synced(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct append_call *a = arg;
    outcome_note(&a->outcome, outcome, result);
    if (a->is_homeless)
        partition_ask(a->store, a->first_us, a->last_us);
    store_done *done = a->done;
    a->done = NULL;
    done(a->arg, a->outcome);
}

static void
rows_fill(struct pg_store *s, const struct journal_record *records, uint32_t count)
{
    struct pg_array *a = &s->rows;
    pg_array_clear(a);
    pg_array_set_type(a, s->row_type);
    for (uint32_t i = 0; i < count; i++) {
        const struct journal_record *r = &records[i];
        pg_array_begin(a);
        pg_array_int2(a, (int16_t)r->shard);
        pg_array_int8(a, (int64_t)r->seq);
        pg_array_int8(a, r->time_us);
        pg_array_int4(a, (int32_t)r->kind);
        pg_array_text(a, r->source.text);
        pg_array_int8(a, (int64_t)r->corr);
        pg_array_bytea(a, r->payload, r->payload_length);
        pg_array_bytea(a, r->hash, HASH_BYTES);
        pg_array_int8(a, (int64_t)s->epoch);
        pg_array_end(a);
    }
}

/* As ledger.fence_batch() knows records: "shard seq time_us hash". */
static void
record_name(const struct journal_record *r, char out[RECORD_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    int at = snprintf(out, RECORD_NAME_BYTES, "%u %llu %lld ", r->shard, (unsigned long long)r->seq,
                      (long long)r->time_us);
    for (int i = 0; i < HASH_BYTES; i++) {
        out[at++] = digits[r->hash[i] >> 4];
        out[at++] = digits[r->hash[i] & 15];
    }
    out[at] = '\0';
}

static bool
append_send(struct pg_store *s, const struct journal_record *after,
            const struct journal_record *last, struct append_call *a)
{
    char group[12], epoch[24], follows[RECORD_NAME_BYTES], tail[RECORD_NAME_BYTES];
    snprintf(group, sizeof group, "%u", s->group);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)s->epoch);
    const char *values[] = {pg_array_value(&s->rows), group, epoch, NULL, tail};
    const int lengths[] = {pg_array_length(&s->rows), 0, 0, 0, 0};
    const int formats[] = {1, 0, 0, 0, 0};
    record_name(last, tail);
    if (after != NULL) {
        record_name(after, follows);
        values[3] = follows;
    }
    return pg_send_prepared(s->pg, "append", 5, values, lengths, formats, true, append_answer, a);
}

static struct append_call *
append_free(struct pg_store *s)
{
    for (int i = 0; i < STORE_APPENDS_MAX; i++)
        if (s->appends[i].done == NULL)
            return &s->appends[i];
    return NULL;
}

static bool
pg_append(struct store *base, const struct journal_record *records, uint32_t count,
          const struct journal_record *after, store_done *done, void *arg)
{
    struct pg_store *s = (struct pg_store *)base;
    struct append_call *a = append_free(s);
    CHECK(count > 0 && a != NULL && s->epoch > 0);
    if (!s->is_up)
        return false;
    rows_fill(s, records, count);
    *a = (struct append_call){
        .done = done,
        .arg = arg,
        .outcome = STORE_DONE,
        .store = s,
        .first_us = records[0].time_us,
        .last_us = records[count - 1].time_us,
    };
    /* Once the sync is sent, a lost connection is told through the answers. When it cannot be sent
     * the connection is breaking, and nothing of this append is done. */
    if (append_send(s, after, &records[count - 1], a) && pg_sync(s->pg, append_synced, a))
        return true;
    a->done = NULL;
    return false;
}

static void
read_row(const PGresult *result, int i, struct journal_record *r)
{
    int64_t number[COLUMNS];
    for (int c = 0; c < C_PAYLOAD; c++)
        if (c != C_SOURCE)
            number[c] = pg_read_int(PQgetvalue(result, i, c), PQgetlength(result, i, c));
    *r = (struct journal_record){
        .shard = (uint16_t)number[C_SHARD],
        .seq = (uint64_t)number[C_SEQ],
        .time_us = number[C_TIME],
        .kind = (uint32_t)number[C_KIND],
        .corr = (uint64_t)number[C_CORR],
        .payload = (const uint8_t *)PQgetvalue(result, i, C_PAYLOAD),
        .payload_length = (uint32_t)PQgetlength(result, i, C_PAYLOAD),
    };
    /* What somebody else wrote into the table must not stop the process here: a source that does
     * not fit reads as empty, and then the hash will not agree. */
    if (code_from(PQgetvalue(result, i, C_SOURCE), (size_t)PQgetlength(result, i, C_SOURCE),
                  &r->source) != OK)
        r->source = (code_t){{0}};
    if (PQgetlength(result, i, C_HASH) == HASH_BYTES)
        memcpy(r->hash, PQgetvalue(result, i, C_HASH), HASH_BYTES);
}

static void
read_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    const struct read_call call = *(struct read_call *)arg;
    if (outcome == PG_ROWS) {
        int rows = PQntuples(result);
        for (int i = 0; i < rows; i++) {
            struct journal_record r;
            read_row(result, i, &r);
            call.each(call.arg, &r);
        }
    }
    ((struct read_call *)arg)->done = NULL; /* the next one may be asked for in the answer */
    call.done(call.arg, outcome_of(outcome, result));
}

static bool
pg_read(struct store *base, uint16_t shard, uint64_t after, uint32_t max, store_record *each,
        store_done *done, void *arg)
{
    struct pg_store *s = (struct pg_store *)base;
    struct read_call *call = s->reads;
    while (call < s->reads + STORE_READS_MAX && call->done != NULL)
        call++;
    if (!s->is_up || call == s->reads + STORE_READS_MAX)
        return false;
    char shard_text[8], after_text[24], max_text[12];
    snprintf(shard_text, sizeof shard_text, "%u", shard);
    snprintf(after_text, sizeof after_text, "%llu", (unsigned long long)after);
    snprintf(max_text, sizeof max_text, "%u", max);
    const char *values[] = {shard_text, after_text, max_text};

    if (!pg_send_prepared(s->pg, "read", 3, values, NULL, NULL, true, read_answer, call))
        return false;
    *call = (struct read_call){.each = each, .done = done, .arg = arg};
    /* Should this fail, the connection is broken and the read is answered as lost. */
    (void)pg_sync(s->pg, NULL, NULL);
    return true;
}

/* With the lease comes the row type. Rows of another type the server refuses to take. */
static void
row_type_note(struct pg_store *s, enum pg_outcome outcome, const PGresult *result)
{
    if (outcome != PG_ROWS)
        return;
    s->row_type = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 10);
    if (s->row_type == 0)
        log_line(LOG_ERROR, "journal_refused",
                 "why=\"the table's columns are not " COLUMN_NAMES "\"");
}

static void
lease_end(struct pg_store *s, enum store_outcome outcome)
{
    store_lease *done = s->lease_done;
    s->lease_done = NULL;
    done(s->lease_arg, outcome, s->epoch);
}

/* The lease counts once there are partitions, and once it is known which times were there before:
 * whoever had it before can write no more. */
static void
lease_partitions_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct pg_store *s = arg;
    if (partitions_made(s, outcome, result) && outcome == PG_ROWS) {
        s->epoch = s->epoch_won;
        s->newest_us = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        ahead_begin(s);
    }
    lease_end(s, outcome_of(outcome, result));
}

static void
lease_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct pg_store *s = arg;
    s->epoch_won = 0;
    if (outcome == PG_ROWS && !PQgetisnull(result, 0, 0))
        s->epoch_won = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    row_type_note(s, outcome, result);
    if (s->epoch_won == 0 || !partitions_send(s, s->pg, s->lease_us, lease_partitions_answer))
        lease_end(s, s->epoch_won == 0 ? outcome_of(outcome, result) : STORE_LOST);
}

static bool
pg_lease_take(struct store *base, int64_t now_us, store_lease *done, void *arg)
{
    struct pg_store *s = (struct pg_store *)base;
    CHECK(s->epoch == 0 && s->lease_done == NULL);
    if (!s->is_up)
        return false;
    char group[12], now[24];
    snprintf(group, sizeof group, "%u", s->group);
    snprintf(now, sizeof now, "%lld", (long long)now_us);
    const char *values[] = {group, s->owner, now};
    if (!pg_send(s->pg, "SELECT ledger.lease_take($1::int, $2, $3::bigint), " ROW_TYPE, 3, NULL,
                 values, NULL, NULL, false, lease_answer, s))
        return false;
    s->lease_done = done;
    s->lease_arg = arg;
    s->lease_us = now_us;
    (void)pg_sync(s->pg, NULL, NULL);
    return true;
}

static void
keep_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct pg_store *s = arg;
    enum store_outcome kept = outcome_of(outcome, result);
    s->keep_asked = false;
    row_type_note(s, outcome, result);
    if (kept == STORE_LOST)
        return;
    if (kept == STORE_FENCED) {
        s->store.watch.on_fenced(s->store.watch.arg);
        return;
    }
    bool locked = kept == STORE_DONE && PQgetvalue(result, 0, 0)[0] == 't';
    if (!locked)
        loop_timer_again(s->keep_timer, KEEP_AGAIN_MS);
    if (kept == STORE_DONE && !s->is_up) {
        s->is_up = true;
        log_line(LOG_INFO, "lease_kept", "epoch=%llu session_lock=%s", (unsigned long long)s->epoch,
                 locked ? "held" : "awaited");
        s->store.watch.on_up(s->store.watch.arg);
    }
}

/* The epoch is the fence; the session lock only keeps standbys waiting, so writing may go on
 * while it is awaited (the broken session's backend can take a moment to end). */
static void
keep_ask(void *arg)
{
    struct pg_store *s = arg;
    if (s->keep_asked)
        return;
    char group[12], epoch[24];
    snprintf(group, sizeof group, "%u", s->group);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)s->epoch);
    const char *values[] = {group, epoch};
    s->keep_asked = pg_send(s->pg, "SELECT ledger.lease_keep($1::int, $2::bigint), " ROW_TYPE, 2,
                            NULL, values, NULL, NULL, false, keep_answer, s);
    if (s->keep_asked)
        (void)pg_sync(s->pg, NULL, NULL);
}

static void
connection_up(void *arg)
{
    struct pg_store *s = arg;
    if (s->epoch > 0) {
        keep_ask(s);
        return;
    }
    s->is_up = true;
    s->store.watch.on_up(s->store.watch.arg);
}

static void
connection_down(void *arg)
{
    struct pg_store *s = arg;
    bool was_up = s->is_up;
    s->is_up = false;
    s->keep_asked = false;
    loop_timer_stop(s->keep_timer);
    if (was_up)
        s->store.watch.on_down(s->store.watch.arg);
}

static int64_t
pg_newest_us(const struct store *base)
{
    return ((const struct pg_store *)base)->newest_us;
}

static bool
pg_store_is_up(const struct store *base)
{
    return ((const struct pg_store *)base)->is_up;
}

static void
pg_store_close(struct store **base)
{
    struct pg_store *s = (struct pg_store *)*base;
    s->is_up = false;
    pg_close(&s->pg);
    if (s->side != NULL)
        pg_close(&s->side);
    loop_timer_end(&s->partitions_timer);
    loop_timer_end(&s->keep_timer);
    pg_array_fini(&s->rows);
    free(s->owner);
    free(s->conninfo);
    free(s);
    *base = NULL;
}

static const struct store_ops pg_ops = {
    .append = pg_append,
    .read = pg_read,
    .lease_take = pg_lease_take,
    .newest_us = pg_newest_us,
    .is_up = pg_store_is_up,
    .close = pg_store_close,
};

struct store *
store_pg_open(const struct store_pg_options *o)
{
    struct pg_store *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->store = (struct store){.ops = &pg_ops, .watch = o->watch};
    s->loop = o->loop;
    s->group = o->group;
    s->owner = strdup(o->owner);
    s->conninfo = strdup(o->conninfo);
    CHECK(s->owner != NULL && s->conninfo != NULL);
    s->partition_hours = o->partition_hours > 0 ? o->partition_hours : PARTITION_HOURS;
    pg_array_init(&s->rows, PG_RECORD);
    s->keep_timer = loop_timer_new(o->loop, KEEP_AGAIN_MS, 0, keep_ask, s);
    loop_timer_stop(s->keep_timer);
    s->pg = pg_open(o->loop, &(struct pg_options){
                                 .conninfo = o->conninfo,
                                 .label = "journal",
                                 .arg = s,
                                 .on_up = connection_up,
                                 .on_down = connection_down,
                             });
    const Oid read_types[] = {PG_INT2, PG_INT8, PG_INT8};
    pg_prepare(s->pg, "append", append_sql, 0, NULL);
    pg_prepare(s->pg, "read", read_sql, 3, read_types);
    return &s->store;
}
