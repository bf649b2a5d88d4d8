/*
 * anchoring.c - see anchoring.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/anchoring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/pg.h"
#include "host/pg_array.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/anchor_job.h"

#define LAST_US 1000000 /* how long the process waits for its last anchor */

_Static_assert(ANCHOR_SHARDS_MAX >= LEDGER_SHARDS, "an anchor has all shards");

enum state {
    STATE_READING, /* the last anchor is not known */
    STATE_ASKED,
    STATE_RESTING,
    STATE_SIGNING,
    STATE_SENT,
};

struct anchoring {
    struct anchoring_options o;
    struct pg *pg;
    enum state state;
    struct anchor_job *signing, *filing;
    struct anchor last; /* number 0 = there is none */
    uint64_t anchored[LEDGER_SHARDS];
    uint64_t behind;           /* committed records that no anchor covers, as of this turn */
    struct anchor_paper fresh; /* on its way into the table */
    struct anchor_paper to_file;
    bool is_to_file;
    bool is_failing, is_file_failing; /* told already */
    bool hurry, has_tried;            /* since the hurry */
    int64_t steady_us, due_us, retry_us, file_retry_us, hurried_us, sign_us;
    struct metric *m_written, *m_failed, *m_files_failed, *m_age, *m_behind;
};

/* ---- Trouble ------------------------------------------------------------------------------ */

/* Once an outage. Trading goes on; the next attempt begins with the last anchor of the table. */
static void
failed(struct anchoring *a, const char *why)
{
    metric_add(a->m_failed, 1);
    if (!a->is_failing)
        log_line(LOG_ERROR, "anchor_failed", "number=%" PRIu64 " why=\"%s\"", a->last.number + 1,
                 why);
    a->is_failing = true;
    a->has_tried = true;
    a->state = STATE_READING;
    a->retry_us = a->steady_us + a->o.retry_us;
    loop_soon(a->o.loop);
}

static void
answer_failed(struct anchoring *a, enum pg_outcome outcome, const PGresult *result)
{
    if (outcome != PG_FAILED) {
        failed(a, "the connection to the database was lost");
        return;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state != NULL && strcmp(state, "SF001") == 0)
        a->o.on_fenced(a->o.arg, "the lease has another owner");
    else
        failed(a, text == NULL ? "the database refuses" : text);
}

/* ---- Heads -------------------------------------------------------------------------------- */

static uint64_t
records_behind(const struct anchoring *a)
{
    uint64_t behind = 0;
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++)
        if (a->o.owned[i])
            behind += journal_committed(a->o.journal, i) - a->anchored[i];
    return behind;
}

static void
set_last(struct anchoring *a, const struct anchor *last)
{
    a->last = *last;
    for (uint32_t i = 0; i < last->heads_count; i++)
        a->anchored[last->heads[i].shard] = last->heads[i].seq;
}

/* Whether the journal is still what the last anchor says. */
static bool
agrees(const struct anchoring *a, const struct anchor *last, char why[ANCHOR_WHY_BYTES])
{
    for (uint32_t i = 0; i < last->heads_count; i++) {
        const struct anchor_point *p = &last->heads[i];
        uint8_t hash[HASH_BYTES];
        if (!a->o.owned[p->shard])
            continue;
        uint64_t committed = journal_committed(a->o.journal, p->shard);
        journal_committed_hash(a->o.journal, p->shard, hash);
        if (committed > p->seq || (committed == p->seq && memcmp(hash, p->hash, HASH_BYTES) == 0))
            continue;
        snprintf(why, ANCHOR_WHY_BYTES,
                 "shard %u record %" PRIu64 " of the journal is not the one in anchor %" PRIu64,
                 (unsigned)p->shard, p->seq, last->number);
        return false;
    }
    return true;
}

/* ---- The last anchor ---------------------------------------------------------------------- */

static bool
take_last(struct anchoring *a, const char *text, size_t length, char why[ANCHOR_WHY_BYTES])
{
    struct anchor last = {0};
    size_t used = 0;
    if (length > 0 && (!anchor_read(text, length, &last, &used) || used != length)) {
        snprintf(why, ANCHOR_WHY_BYTES, "the last anchor in the table is malformed");
        return false;
    }
    if (last.number < a->last.number ||
        (last.number == a->last.number && memcmp(last.digest, a->last.digest, HASH_BYTES) != 0)) {
        snprintf(why, ANCHOR_WHY_BYTES, "anchor %" PRIu64 " is no longer in the table",
                 a->last.number);
        return false;
    }
    if (!agrees(a, &last, why))
        return false;
    set_last(a, &last);
    if (length == 0 || a->o.folder[0] == '\0')
        return true;
    /* The process that wrote it may have ended before its file was there. */
    a->to_file.anchor = last;
    a->to_file.length = length;
    memcpy(a->to_file.text, text, length);
    a->is_to_file = true;
    return true;
}

static void
last_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct anchoring *a = arg;
    char why[ANCHOR_WHY_BYTES];
    if (outcome != PG_ROWS) {
        answer_failed(a, outcome, result);
        return;
    }
    bool is_any = PQntuples(result) == 1;
    if (!take_last(a, is_any ? PQgetvalue(result, 0, 0) : "",
                   is_any ? (size_t)PQgetlength(result, 0, 0) : 0, why)) {
        failed(a, why);
        return;
    }
    a->state = STATE_RESTING;
    loop_soon(a->o.loop);
}

static void
ask(struct anchoring *a)
{
    char group[12];
    snprintf(group, sizeof group, "%" PRIu32, a->o.group);
    const char *values[] = {group};
    a->state = STATE_ASKED;
    if (!pg_send_prepared(a->pg, "last", 1, values, NULL, NULL, false, last_answer, a))
        failed(a, "the database is away");
    else
        (void)pg_sync(a->pg, NULL, NULL); /* should it fail, the question is answered as lost */
}

/* ---- The next anchor ---------------------------------------------------------------------- */

static void
sign(struct anchoring *a)
{
    int64_t now_us = loop_now_us(a->o.loop);
    struct anchor next = {
        .number = a->last.number + 1,
        .epoch = a->o.epoch,
        .group = a->o.group,
        /* Anchors are a chain: when the clock is set back, time stands still in it. */
        .time_us = now_us > a->last.time_us ? now_us : a->last.time_us,
    };
    memcpy(next.previous, a->last.digest, HASH_BYTES);
    for (uint16_t i = 0; i < LEDGER_SHARDS; i++) {
        uint64_t seq = journal_committed(a->o.journal, i);
        if (!a->o.owned[i] || seq == 0)
            continue;
        struct anchor_point *head = &next.heads[next.heads_count++];
        *head = (struct anchor_point){.shard = i, .seq = seq, .time_us = next.time_us};
        journal_committed_hash(a->o.journal, i, head->hash);
    }
    a->state = STATE_SIGNING;
    anchor_job_sign(a->signing, a->o.key_file, &next);
}

/* A log is one more place that keeps what was signed. */
static void
tell(const struct anchoring *a)
{
    char digest[2 * HASH_BYTES + 1];
    for (int i = 0; i < HASH_BYTES; i++)
        snprintf(digest + 2 * i, 3, "%02x", a->last.digest[i]);
    log_line(LOG_INFO, "anchored", "number=%" PRIu64 " shards=%u digest=%s sign_us=%lld",
             a->last.number, a->last.heads_count, digest, (long long)a->sign_us);
}

static void
written(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    struct anchoring *a = arg;
    if (a->state != STATE_SENT)
        return; /* its statement was refused, and that was told */
    if (outcome != PG_ROWS) {
        answer_failed(a, outcome, result);
        return;
    }
    set_last(a, &a->fresh.anchor);
    a->state = STATE_RESTING;
    a->is_failing = false;
    a->due_us = a->hurry ? a->steady_us : a->steady_us + a->o.interval_us;
    metric_add(a->m_written, 1);
    tell(a);
    if (a->o.folder[0] != '\0') {
        a->to_file = a->fresh;
        a->is_to_file = true;
    }
    loop_soon(a->o.loop);
}

static void
add_answer(void *arg, enum pg_outcome outcome, const PGresult *result)
{
    if (outcome == PG_FAILED)
        answer_failed(arg, outcome, result);
}

static bool
send(struct anchoring *a)
{
    const struct anchor *fresh = &a->fresh.anchor;
    char group[12], epoch[24], number[24], time[24];
    snprintf(group, sizeof group, "%" PRIu32, a->o.group);
    snprintf(epoch, sizeof epoch, "%" PRIu64, a->o.epoch);
    snprintf(number, sizeof number, "%" PRIu64, fresh->number);
    snprintf(time, sizeof time, "%" PRId64, fresh->time_us);
    const char *values[] = {group, epoch, number, time, a->fresh.text};
    return pg_send_prepared(a->pg, "add", 5, values, NULL, NULL, false, add_answer, a) &&
           pg_sync(a->pg, written, a);
}

static void
signed_done(void *arg, const struct anchor_paper *paper, const char *why, int64_t took_us)
{
    struct anchoring *a = arg;
    if (why[0] != '\0') {
        failed(a, why);
        return;
    }
    a->fresh = *paper;
    a->sign_us = took_us;
    a->state = STATE_SENT;
    if (!send(a))
        failed(a, "the database is away");
}

/* ---- Files -------------------------------------------------------------------------------- */

static void
filed_done(void *arg, const struct anchor_paper *paper, const char *why, int64_t took_us)
{
    struct anchoring *a = arg;
    (void)took_us;
    loop_soon(a->o.loop);
    if (why[0] == '\0') {
        a->is_file_failing = false;
        return;
    }
    metric_add(a->m_files_failed, 1);
    if (!a->is_file_failing)
        log_line(LOG_ERROR, "anchor_file_failed", "why=\"%s\"", why);
    a->is_file_failing = true;
    a->has_tried = true;
    a->file_retry_us = a->steady_us + a->o.retry_us;
    if (!a->is_to_file) { /* a newer one is what matters */
        a->to_file = *paper;
        a->is_to_file = true;
    }
}

/* ---- Turns -------------------------------------------------------------------------------- */

static bool
is_at_rest(const struct anchoring *a)
{
    return a->state == STATE_READING || a->state == STATE_RESTING;
}

static bool
is_something_to_do(const struct anchoring *a)
{
    return a->state == STATE_READING || a->behind > 0;
}

/* When the next step is to be taken. The database gets a while to come back before it counts as a
 * failure. */
static int64_t
step_us(const struct anchoring *a)
{
    bool is_waiting = is_something_to_do(a) && !pg_is_up(a->pg);
    int64_t due_us = is_waiting ? a->due_us + a->o.retry_us : a->due_us;
    return due_us > a->retry_us ? due_us : a->retry_us;
}

static void
step(struct anchoring *a)
{
    if (!is_something_to_do(a)) {
        a->is_failing = false;
        a->due_us = a->steady_us + a->o.interval_us;
    } else if (!pg_is_up(a->pg)) {
        failed(a, "the database is away");
    } else if (a->state == STATE_READING) {
        ask(a);
    } else {
        sign(a);
    }
}

void
anchoring_turn(struct anchoring *a, int64_t steady_us)
{
    if (a == NULL)
        return;
    a->steady_us = steady_us;
    a->behind = records_behind(a);
    if (is_at_rest(a) && steady_us >= step_us(a))
        step(a);
    if (a->is_to_file && !anchor_job_is_busy(a->filing) && steady_us >= a->file_retry_us) {
        a->is_to_file = false;
        anchor_job_file(a->filing, a->o.folder, &a->to_file);
    }
    int64_t age_us = a->last.number == 0 ? 0 : loop_now_us(a->o.loop) - a->last.time_us;
    metric_set(a->m_age, age_us / 1000000);
    metric_set(a->m_behind, (int64_t)a->behind);
}

int64_t
anchoring_wake_us(const struct anchoring *a)
{
    if (a == NULL)
        return INT64_MAX;
    int64_t wake_us = is_at_rest(a) ? step_us(a) : INT64_MAX;
    if (a->is_to_file && !anchor_job_is_busy(a->filing) && a->file_retry_us < wake_us)
        wake_us = a->file_retry_us;
    if (a->hurry && a->hurried_us + LAST_US < wake_us)
        wake_us = a->hurried_us + LAST_US;
    return wake_us;
}

void
anchoring_hurry(struct anchoring *a)
{
    if (a == NULL || a->hurry)
        return;
    a->hurry = true;
    a->has_tried = false;
    a->hurried_us = a->steady_us;
    a->due_us = a->retry_us = a->file_retry_us = a->steady_us;
    loop_soon(a->o.loop);
}

bool
anchoring_is_done(const struct anchoring *a)
{
    if (a == NULL || (a->hurry && a->steady_us - a->hurried_us >= LAST_US))
        return true;
    if (!is_at_rest(a) || anchor_job_is_busy(a->filing))
        return false;
    return a->has_tried || (!is_something_to_do(a) && !a->is_to_file);
}

/* ---- Life --------------------------------------------------------------------------------- */

struct anchoring *
anchoring_open(const struct anchoring_options *o)
{
    if (o->key_file[0] == '\0')
        return NULL;
    struct anchoring *a = calloc(1, sizeof *a);
    CHECK(a != NULL);
    a->o = *o;
    a->steady_us = a->due_us = loop_steady_us(o->loop);
    a->m_written = metric_counter("scrip_ledger_anchors_total", "", "Anchors signed and written.");
    a->m_failed = metric_counter("scrip_ledger_anchor_failures_total", "",
                                 "Attempts to write an anchor that failed.");
    a->m_files_failed = metric_counter("scrip_ledger_anchor_file_failures_total", "",
                                       "Attempts to put an anchor into the folder that failed.");
    a->m_age = metric_gauge("scrip_ledger_anchor_age_seconds", "",
                            "Age of the last anchor; 0 before the first.");
    a->m_behind = metric_gauge("scrip_ledger_unanchored_records", "",
                               "Committed records that no anchor covers yet.");
    a->signing = anchor_job_new(o->loop, signed_done, a);
    a->filing = anchor_job_new(o->loop, filed_done, a);
    a->pg = pg_open(o->loop, &(struct pg_options){
                                 .conninfo = o->conninfo,
                                 .label = "anchors",
                                 .arg = a,
                             });
    const Oid last_types[] = {PG_INT4}, add_types[] = {PG_INT4, PG_INT8, PG_INT8, PG_INT8, PG_TEXT};
    pg_prepare(a->pg, "last",
               "SELECT text FROM ledger.anchor WHERE shard_group = $1 "
               "ORDER BY number DESC LIMIT 1",
               1, last_types);
    pg_prepare(a->pg, "add", "SELECT ledger.anchor_add($1, $2, $3, $4, $5)", 5, add_types);
    return a;
}

void
anchoring_close(struct anchoring **a)
{
    if (*a == NULL)
        return;
    pg_close(&(*a)->pg);
    anchor_job_end(&(*a)->signing);
    anchor_job_end(&(*a)->filing);
    free(*a);
    *a = NULL;
}
