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
#include "ledger/shell/load.h"
#include "wire/codec.h"

#define PAGE_RECORDS    1000 /* replayed before the rings are looked at again */
#define FILLS_A_RECORD  64
#define ORDERS_A_RECORD 3 /* of a list */
#define LISTS_BYTES     (1u << 20)
#define SAY_US          1000000
#define LANES           4

enum step { STEP_LOAD, STEP_JOURNAL, STEP_DONE };

struct restore {
    struct restore_options o;
    struct load *load;
    struct journal_hasher *hasher;
    enum step step;
    bool is_asked;
    bool is_over;
    uint16_t shard; /* whose records are replayed */
    struct arena lists;
    struct outbox out;
    uint32_t page_records;
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

static bool
next_shard(struct restore *r)
{
    do
        r->shard++;
    while (r->shard < LEDGER_SHARDS && !r->o.owned[r->shard]);
    return r->shard < LEDGER_SHARDS;
}

static void
first_shard(struct restore *r)
{
    r->shard = 0;
    if (!r->o.owned[0])
        (void)next_shard(r);
}

/* ---- The journal's tail ------------------------------------------------------------------- */

static void
replay_record(void *arg, const struct journal_record *record)
{
    struct restore *r = arg;
    if (r->why[0] != '\0')
        return;
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
    project_note(r->o.project, &cmd);
    journal_set_head(r->o.journal, record->shard, record->seq, record->hash);
    r->page_records++;
    r->records++;
}

static void
replay_done(void *arg, enum store_outcome outcome)
{
    struct restore *r = arg;
    r->is_asked = false;
    loop_soon(r->o.loop);
    if (outcome == STORE_LOST)
        return;
    if (outcome != STORE_DONE)
        fail(r, "the journal cannot be read: %s", store_outcome_name(outcome));
    else if (r->page_records < PAGE_RECORDS && !next_shard(r))
        r->step = STEP_DONE;
}

/* The core keeps fills, changes, stories and orders that ended until they are in the tables. */
static bool
replay_room(const struct restore *r, uint32_t page)
{
    struct ledger *l = r->o.ledger;
    ledger_evict(l, loop_now_us(r->o.loop));
    return ledger_ring_room(&l->fill_ring) >= page * FILLS_A_RECORD &&
           ledger_ring_room(&l->change_ring) >= page * 2 &&
           ledger_ring_room(&l->story_ring) >= page &&
           l->limits.orders_max - l->orders_count >= page * ORDERS_A_RECORD &&
           project_is_idle(r->o.project) && project_has_room(r->o.project, page);
}

static void
ask_journal(struct restore *r)
{
    if (!replay_room(r, PAGE_RECORDS) && !project_is_done(r->o.project)) {
        project_hurry(r->o.project);
        if (project_is_idle(r->o.project))
            loop_soon(r->o.loop); /* its next turn drains; the answer then brings ours */
        return;
    }
    r->page_records = 0;
    r->is_asked = store_read(r->o.store, r->shard, journal_applied(r->o.journal, r->shard),
                             PAGE_RECORDS, replay_record, replay_done, r);
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
    first_shard(r);
    r->step = STEP_JOURNAL;
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
    if (now - r->said_us >= SAY_US) {
        r->said_us = now;
        log_line(LOG_INFO, "restoring", "step=\"%s\" rows=%" PRIu64 " records=%" PRIu64,
                 restore_step(r), r->load == NULL ? r->rows : load_rows(r->load), r->records);
    }
    if (r->step == STEP_JOURNAL && store_is_up(r->o.store))
        ask_journal(r);
}

const char *
restore_step(const struct restore *r)
{
    if (r->load != NULL)
        return load_step(r->load);
    return r->step == STEP_JOURNAL ? "replaying the journal" : "proving the books";
}

struct restore *
restore_begin(const struct restore_options *o)
{
    struct restore *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->o = *o;
    r->hasher = journal_hasher_new();
    void *bytes = aligned_alloc(16, LISTS_BYTES + LEDGER_OUT_BYTES);
    struct out *slots = calloc(LEDGER_OUT_MAX, sizeof *slots);
    CHECK(bytes != NULL && slots != NULL);
    arena_init(&r->lists, bytes, LISTS_BYTES);
    outbox_init(&r->out, slots, LEDGER_OUT_MAX, (char *)bytes + LISTS_BYTES, LEDGER_OUT_BYTES);
    r->began_us = r->said_us = loop_steady_us(o->loop);
    r->load = load_begin(&(struct load_options){
        .loop = o->loop,
        .conninfo = o->conninfo,
        .ledger = o->ledger,
        .journal = o->journal,
        .project = o->project,
        .owned = o->owned,
        .lanes = LANES,
    });
    return r;
}

void
restore_end(struct restore **r)
{
    if (*r == NULL)
        return;
    load_end(&(*r)->load);
    journal_hasher_destroy(&(*r)->hasher);
    free((*r)->lists.bytes);
    free((*r)->out.slots);
    free(*r);
    *r = NULL;
}
