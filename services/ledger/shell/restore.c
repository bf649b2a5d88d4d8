/*
 * restore.c - see restore.h. The tables first (load.c), then the records behind their stamps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/restore.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/pg.h"
#include "ledger/shell/load.h"
#include "ledger/shell/merge.h"
#include "wire/codec.h"

#define TURN_RECORDS    1000 /* replayed in one turn */
#define ORDERS_A_RECORD 3    /* of a list */
#define LISTS_BYTES     (1u << 20)
#define SAY_US          1000000
#define LANES           4

#define FOLLOW_MS 100 /* the tables' stamps are asked for so often */

/*
 *            load ──► JOURNAL ──► DONE
 *              │         ▲
 *   a standby: ▼         │ the lease is ours, and the stamps were asked for since
 *            STAMPS ──► FOLLOW ──► STAMPS ...
 */
enum step {
    STEP_LOAD,
    STEP_STAMPS, /* of the tables, again and again */
    STEP_FOLLOW, /* records up to there */
    STEP_JOURNAL,
    STEP_DONE
};

struct restore {
    struct restore_options o;
    struct load *load;
    struct journal_hasher *hasher;
    struct merge *merge;
    enum step step;
    bool is_asked; /* for stamps */
    bool is_over;
    bool is_follower, is_final; /* the stamps will not change any more */
    uint64_t until[LEDGER_SHARDS];
    int64_t time_us; /* of the newest record that was replayed */
    struct pg *pg;   /* of a follower, for the stamps */
    struct loop_timer *timer;
    int64_t due_us; /* when they are asked for again */
    struct arena lists;
    struct outbox out;
    uint64_t rows, records;
    int64_t began_us, loaded_us, said_us;
    char why[256];
};

/* ---- Steps -------------------------------------------------------------------------------- */

static void fail(struct restore *r, const char *format, ...) PRINTF(2, 3);

static void
fail(struct restore *r, const char *format, ...)
{
    if (r->why[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
}

/* ---- The journal's tail ------------------------------------------------------------------- */

static void
replay_record(struct restore *r, const struct journal_record *record)
{
    uint8_t before[HASH_BYTES], hash[HASH_BYTES];
    journal_head_hash(r->o.journal, record->shard, before);
    journal_hash(r->hasher, before, record, hash);
    if (record->seq != journal_applied(r->o.journal, record->shard) + 1 ||
        memcmp(hash, record->hash, HASH_BYTES) != 0) {
        fail(r, "the journal's chain is broken at shard %u seq %" PRIu64, record->shard,
             record->seq);
        return;
    }
    struct msg cmd;
    arena_reset(&r->lists);
    outbox_clear(&r->out);
    enum err e = msg_unpack_payload(record->payload, record->payload_length,
                                    (enum msg_type)record->kind, &r->lists, &cmd);
    if (e == OK) {
        cmd.corr = record->corr;
        e = ledger_shard_of_cmd(&cmd) == record->shard
                ? ledger_replay(r->o.ledger, &cmd, record->time_us, &r->out)
                : ERR_INTERNAL;
    }
    if (e != OK) {
        fail(r, "record %" PRIu64 " of shard %u, of kind %d, cannot be replayed: %s", record->seq,
             record->shard, (int)record->kind, err_name(e));
        return;
    }
    if (r->step == STEP_JOURNAL)
        project_note(r->o.project, &cmd);
    journal_set_head(r->o.journal, record->shard, record->seq, record->hash);
    r->time_us = record->time_us;
    r->records++;
}

/* The tables have it: there is nothing to be written. */
static void
settle_nowhere(struct ledger *l)
{
    static const struct ledger_sink nowhere;
    ledger_projected(l, ledger_drain(l, &nowhere));
}

static bool
places_orders(const struct journal_record *record)
{
    return record->kind == MSG_order_place || record->kind == MSG_list_place ||
           record->kind == MSG_order_replace;
}

static bool
has_room(const struct restore *r, const struct journal_record *record)
{
    const struct ledger *l = r->o.ledger;
    bool has_orders =
        !places_orders(record) || l->limits.orders_max - l->orders_count >= ORDERS_A_RECORD;
    return has_orders && ledger_ready(l, &r->out) &&
           (r->step == STEP_FOLLOW || project_has_room(r->o.project, 1));
}

/* The core keeps fills, changes, stories and orders that ended until they are in the tables. When
 * all of it is there and what has ended is forgotten, then no more is in memory than when the
 * record was written, and there was room for it. What ended a moment before is forgotten, too: a
 * process that began in between did not have it, and made room for the next without it. */
static bool
room_made(struct restore *r, const struct journal_record *record)
{
    outbox_clear(&r->out);
    if (has_room(r, record))
        return true;
    if (r->step == STEP_FOLLOW)
        settle_nowhere(r->o.ledger);
    (void)ledger_make_room(r->o.ledger);
    if (r->step == STEP_FOLLOW || has_room(r, record) || project_is_done(r->o.project))
        return true;
    project_hurry(r->o.project);
    if (project_is_idle(r->o.project))
        loop_soon(r->o.loop); /* its next turn drains; the answer then brings ours */
    return false;
}

static void replay_over(struct restore *r);

/* Records of all shards, in the order in which they were written. */
static void
replay_some(struct restore *r)
{
    for (int i = 0; i < TURN_RECORDS; i++) {
        const struct journal_record *record = merge_next(r->merge);
        if (record == NULL)
            break;
        if (!room_made(r, record))
            return;
        replay_record(r, record);
        if (r->why[0] != '\0')
            break;
        merge_pass(r->merge);
    }
    if (r->step == STEP_FOLLOW)
        settle_nowhere(r->o.ledger);
    (void)ledger_evict(r->o.ledger, r->time_us);
    if (merge_is_over(r->merge))
        replay_over(r);
    else if (r->why[0] == '\0' && merge_next(r->merge) == NULL)
        merge_read(r->merge);
    else
        loop_soon(r->o.loop);
    if (merge_why(r->merge)[0] != '\0')
        fail(r, "%s", merge_why(r->merge));
}

static void
replay_begin(struct restore *r, enum step step)
{
    uint64_t after[LEDGER_SHARDS];
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        after[i] = journal_applied(r->o.journal, i);
    merge_begin(r->merge, after, step == STEP_FOLLOW ? r->until : NULL);
    r->step = step;
}

/* ---- Following ---------------------------------------------------------------------------- */

static void
load_start(struct restore *r)
{
    r->step = STEP_LOAD;
    r->load = load_begin(&(struct load_options){
        .loop = r->o.loop,
        .conninfo = r->o.conninfo,
        .ledger = r->o.ledger,
        .journal = r->o.journal,
        .owned = r->o.owned,
        .lanes = LANES,
    });
}

/* What was replayed the tables have lost again, and nobody would write it. */
static void
load_anew(struct restore *r, uint16_t shard)
{
    static const uint8_t nothing[HASH_BYTES];
    log_line(LOG_WARN, "tables_behind", "shard=%u", shard);
    ledger_clear(r->o.ledger);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        journal_set_head(r->o.journal, i, 0, nothing);
    r->is_follower = false;
    load_start(r);
}

/* From here on the records are ours to write. */
static void
journal_start(struct restore *r)
{
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        project_set_stamp(r->o.project, i, journal_applied(r->o.journal, i));
    project_start(r->o.project);
    replay_begin(r, STEP_JOURNAL);
}

static void
stamps_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct restore *r = arg;
    r->is_asked = false;
    loop_soon(r->o.loop);
    if (outcome != PG_ROWS)
        return; /* asked again */
    memset(r->until, 0, sizeof r->until);
    for (int i = 0; i < PQntuples(result); i++) {
        long shard = strtol(PQgetvalue(result, i, 0), NULL, 10);
        if (shard >= 0 && shard < LEDGER_SHARDS)
            r->until[shard] = strtoull(PQgetvalue(result, i, 1), NULL, 10);
    }
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        if (r->o.owned[i] && r->until[i] < journal_applied(r->o.journal, i) && r->is_final) {
            load_anew(r, i);
            return;
        }
    replay_begin(r, STEP_FOLLOW);
}

static void
ask_stamps(struct restore *r)
{
    int64_t now = loop_steady_us(r->o.loop);
    bool is_taken = r->o.project != NULL;
    if (!pg_is_up(r->pg) || (!is_taken && now < r->due_us))
        return;
    r->due_us = now + FOLLOW_MS * 1000;
    r->is_final = is_taken;
    r->is_asked = pg_send(r->pg, "SELECT shard, seq FROM ledger.shard", 0, NULL, NULL, NULL, NULL,
                          false, stamps_answer, r);
    if (r->is_asked)
        (void)pg_sync(r->pg, NULL, NULL);
}

static void
replay_over(struct restore *r)
{
    if (r->step == STEP_JOURNAL)
        r->step = STEP_DONE;
    else if (r->is_final)
        journal_start(r);
    else
        r->step = STEP_STAMPS;
    loop_soon(r->o.loop);
}

static void
on_follow(void *arg)
{
    loop_soon(((struct restore *)arg)->o.loop);
}

static void
follow_start(struct restore *r)
{
    r->is_follower = true;
    r->timer = loop_timer_new(r->o.loop, FOLLOW_MS, FOLLOW_MS, on_follow, r);
    r->pg = pg_open(r->o.loop, &(struct pg_options){
                                   .conninfo = r->o.conninfo,
                                   .label = "follow",
                                   .arg = r,
                                   .on_up = on_follow,
                               });
}

void
restore_take(struct restore *r, struct project *project)
{
    CHECK(r->is_follower && r->o.project == NULL);
    r->o.project = project;
    r->began_us = r->loaded_us = loop_steady_us(r->o.loop);
    loop_soon(r->o.loop);
}

bool
restore_is_following(const struct restore *r)
{
    return r->is_follower && r->load == NULL;
}

/* ---- Going on ----------------------------------------------------------------------------- */

static void
load_some(struct restore *r)
{
    if (!load_turn(r->load))
        return;
    r->rows = load_rows(r->load);
    r->loaded_us = loop_steady_us(r->o.loop);
    if (load_why(r->load)[0] != '\0')
        fail(r, "%s", load_why(r->load));
    load_end(&r->load);
    if (r->is_follower)
        r->step = STEP_STAMPS;
    else
        journal_start(r);
    loop_soon(r->o.loop);
}

static void
finish(struct restore *r)
{
    text_t why = {{0}};
    r->is_over = true;
    if (r->why[0] == '\0' && !ledger_check(r->o.ledger, &why))
        fail(r, "the books do not add up: %s", why.text);
    log_line(r->why[0] == '\0' ? LOG_INFO : LOG_ERROR, "restored",
             "rows=%" PRIu64 " records=%" PRIu64
             " accounts=%u orders=%u ms=%lld tables_ms=%lld why=\"%s\"",
             r->rows, r->records, r->o.ledger->accounts_count, r->o.ledger->orders_count,
             (long long)(loop_steady_us(r->o.loop) - r->began_us) / 1000,
             (long long)(r->loaded_us - r->began_us) / 1000, r->why);
    r->o.on_done(r->o.arg, r->why);
}

void
restore_turn(struct restore *r)
{
    if (r->is_over || r->is_asked)
        return;
    if (r->step == STEP_LOAD)
        load_some(r);
    if (r->why[0] != '\0' || r->step == STEP_DONE) {
        finish(r);
        return;
    }
    int64_t now = loop_steady_us(r->o.loop);
    if (now - r->said_us >= SAY_US && !restore_is_following(r)) {
        r->said_us = now;
        log_line(LOG_INFO, "restoring", "step=\"%s\" rows=%" PRIu64 " records=%" PRIu64,
                 restore_step(r), r->load == NULL ? r->rows : load_rows(r->load), r->records);
    }
    if (r->step == STEP_STAMPS)
        ask_stamps(r);
    else if (r->step == STEP_FOLLOW || r->step == STEP_JOURNAL)
        replay_some(r);
}

const char *
restore_step(const struct restore *r)
{
    if (r->load != NULL)
        return load_step(r->load);
    return r->step == STEP_DONE ? "proving the books" : "replaying the journal";
}

struct restore *
restore_begin(const struct restore_options *o)
{
    struct restore *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->o = *o;
    r->hasher = journal_hasher_new();
    r->merge = merge_new(&(struct merge_options){o->loop, o->store, o->owned});
    void *bytes = aligned_alloc(16, LISTS_BYTES + LEDGER_OUT_BYTES);
    struct out *slots = calloc(LEDGER_OUT_MAX, sizeof *slots);
    CHECK(bytes != NULL && slots != NULL);
    arena_init(&r->lists, bytes, LISTS_BYTES);
    outbox_init(&r->out, slots, LEDGER_OUT_MAX, (char *)bytes + LISTS_BYTES, LEDGER_OUT_BYTES);
    r->began_us = r->said_us = loop_steady_us(o->loop);
    if (o->project == NULL)
        follow_start(r);
    load_start(r);
    return r;
}

void
restore_end(struct restore **r)
{
    if (*r == NULL)
        return;
    load_end(&(*r)->load);
    if ((*r)->pg != NULL)
        pg_close(&(*r)->pg);
    loop_timer_end(&(*r)->timer);
    merge_destroy(&(*r)->merge);
    journal_hasher_destroy(&(*r)->hasher);
    free((*r)->lists.bytes);
    free((*r)->out.slots);
    free(*r);
    *r = NULL;
}
