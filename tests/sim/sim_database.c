/*
 * sim_database.c - the server's end of the database: the journal, transactions, locks.
 *
 * What the functions of db/deploy/ledger_journal.sql do, step by step: a session's statements are
 * carried out one after the other; an append looks at the epoch when it begins and
 * is in the journal when it ends, and the lease changes hands between such transactions only. The
 * client's end and the server's end of a session break apart: what was sent may still be done, and
 * its answer never comes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

/* ---- The journal ---------------------------------------------------------------------------- */

/* Room for one more at the end of an array that doubles at powers of two. */
static void *
grown(void *items, uint32_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return items;
    void *more = realloc(items, (count == 0 ? 1 : (size_t)count * 2) * size);
    CHECK(more != NULL);
    return more;
}

const struct journal_record *
sim_record(const struct sim *s, uint16_t shard, uint64_t seq)
{
    const struct sim_database *d = &s->database;
    if (seq == 0 || seq > d->counts[shard])
        return NULL;
    return &d->records[d->of_shard[shard][seq - 1]];
}

struct msg
sim_record_cmd(struct sim *s, const struct journal_record *r)
{
    struct msg cmd;
    memset(&cmd, 0, sizeof cmd);
    arena_reset(&s->said);
    enum err e =
        msg_unpack_payload(r->payload, r->payload_length, (enum msg_type)r->kind, &s->said, &cmd);
    if (e != OK)
        sim_fail(s, "a journal record cannot be read: %s", err_name(e));
    cmd.type = (enum msg_type)r->kind;
    cmd.corr = r->corr;
    return cmd;
}

static void
record_add(struct sim_database *d, const struct journal_record *r)
{
    uint16_t shard = r->shard;
    d->records = grown(d->records, d->count, sizeof *d->records);
    d->of_shard[shard] = grown(d->of_shard[shard], d->counts[shard], sizeof(uint32_t));
    d->of_shard[shard][d->counts[shard]++] = d->count;
    d->records[d->count++] = *r;
}

/* ---- Statements ----------------------------------------------------------------------------- */

void
sim_call_drop(struct sim_call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->records[i].payload);
    free(c->records);
    c->records = NULL;
    c->count = 0;
}

static void
answer(struct sim *s, struct backend *b, enum store_outcome outcome)
{
    struct sim_call *c = &b->calls[b->at++];
    c->state = CALL_ANSWERED;
    c->outcome = outcome;
    c->due_us = s->now_us + (int64_t)sim_draw(s, 1500);
    sim_call_drop(c);
}

/* Some other session of the group does this just now. */
static bool
others_at_work(const struct sim *s, const struct backend *b, enum call_kind kind)
{
    for (uint32_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        const struct backend *o = &s->database.backends[i];
        if (o != b && o->is_used && o->group == b->group && o->at < o->count &&
            o->calls[o->at].kind == kind && o->calls[o->at].state == CALL_AT_WORK)
            return true;
    }
    return false;
}

static bool
others_have_lock(const struct sim *s, const struct backend *b)
{
    for (uint32_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        const struct backend *o = &s->database.backends[i];
        if (o != b && o->is_used && o->group == b->group && o->has_lock)
            return true;
    }
    return false;
}

static bool
follows(const struct sim *s, const struct sim_call *c)
{
    if (!c->has_after || s->mutation == SIM_gaps_kept)
        return true;
    const struct journal_record *r = sim_record(s, c->follows.shard, c->follows.seq);
    return r != NULL && memcmp(r->hash, c->follows.hash, HASH_BYTES) == 0;
}

/* The fence, then the check of what it follows. */
static bool
append_begin(struct sim *s, struct backend *b, struct sim_call *c)
{
    bool is_fenced = c->epoch != s->groups[b->group].epoch && s->mutation != SIM_owner_not_fenced;
    if (s->mutation != SIM_lease_in_a_hurry && others_at_work(s, b, CALL_LEASE))
        return false; /* who waits for the lock comes first */
    if (is_fenced)
        answer(s, b, STORE_FENCED);
    else if (sim_fault(s, s->is.store_refuse))
        answer(s, b, STORE_REFUSED);
    else if (!follows(s, c))
        answer(s, b, STORE_GAP);
    else if (s->mutation == SIM_commit_lied && sim_chance(s, 20))
        answer(s, b, STORE_DONE);
    else
        c->state = CALL_AT_WORK;
    c->due_us += (int64_t)sim_draw(s, sim_fault(s, s->is.store_slow) ? 1500000 : 2000);
    return true;
}

static bool
append_end(struct sim *s, struct backend *b, struct sim_call *c)
{
    struct sim_database *d = &s->database;
    uint32_t from = d->count;
    bool is_taken = false;
    for (uint32_t i = 0; i < c->count; i++)
        is_taken |= sim_record(s, c->records[i].shard, c->records[i].seq) != NULL;
    if (is_taken && s->mutation != SIM_numbers_twice) {
        answer(s, b, STORE_TAKEN);
        return true;
    }
    for (uint32_t i = 0; i < c->count; i++)
        record_add(d, &c->records[i]);
    s->groups[b->group].newest_us = c->records[c->count - 1].time_us;
    free(c->records);
    c->records = NULL;
    c->count = 0;
    answer(s, b, STORE_DONE);
    follow_committed(s, from);
    return true;
}

static bool
lease_begin(struct sim *s, struct backend *b, struct sim_call *c)
{
    c->epoch = 0;
    if (others_have_lock(s, b)) {
        answer(s, b, STORE_DONE);
        return true;
    }
    b->has_lock = true;
    c->state = CALL_AT_WORK;
    return true;
}

static bool
lease_end(struct sim *s, struct backend *b, struct sim_call *c)
{
    struct sim_group *g = &s->groups[b->group];
    if (others_at_work(s, b, CALL_APPEND) && s->mutation != SIM_lease_in_a_hurry)
        return false;
    g->epoch += g->epoch == 0 || s->mutation != SIM_epoch_kept;
    c->epoch = g->epoch;
    c->newest_us = s->mutation != SIM_clock_falls ? g->newest_us : 0;
    answer(s, b, STORE_DONE);
    return true;
}

static void
keep(struct sim *s, struct backend *b, struct sim_call *c)
{
    if (c->epoch != s->groups[b->group].epoch) {
        answer(s, b, STORE_FENCED);
        return;
    }
    b->has_lock = b->has_lock || !others_have_lock(s, b);
    answer(s, b, STORE_DONE);
}

/* The next step of a statement; false when it has to wait. */
static bool
call_step(struct sim *s, struct backend *b)
{
    struct sim_call *c = &b->calls[b->at];
    const struct journal_record *found;
    bool begins = c->state == CALL_SENT;
    switch (c->kind) {
    case CALL_APPEND:
        return begins ? append_begin(s, b, c) : append_end(s, b, c);
    case CALL_LEASE:
        return begins ? lease_begin(s, b, c) : lease_end(s, b, c);
    case CALL_KEEP:
        keep(s, b, c);
        return true;
    case CALL_READ:
        found = sim_record(s, c->follows.shard, c->follows.seq);
        if (found != NULL)
            c->found = *found;
        answer(s, b, STORE_DONE);
        return true;
    }
    return false;
}

/* ---- The server ----------------------------------------------------------------------------- */

void
sim_backend_free(struct backend *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        sim_call_drop(&b->calls[i]);
    *b = (struct backend){.is_used = false};
}

/* The server ends it: the first statements that were sent are done before, the others never. */
static void
backend_end(struct sim *s, struct backend *b)
{
    uint32_t most = b->is_cut ? b->reached : b->count;
    for (uint64_t steps = sim_draw(s, 5); steps > 0 && b->at < most; steps--)
        if (!call_step(s, b))
            break;
    b->is_cut = true;
    b->reached = b->at;
    b->end_us = 0;
    b->has_lock = false;
    if (b->at < b->count) /* rolled back */
        b->calls[b->at].state = CALL_SENT;
    if (!b->is_owned)
        sim_backend_free(b);
}

static void
backend_work(struct sim *s, struct backend *b)
{
    uint32_t most = b->is_cut ? b->reached : b->count;
    if (b->end_us == 0)
        return;
    if (b->is_cut && b->end_us <= s->now_us) {
        backend_end(s, b);
        return;
    }
    while (b->at < most && b->calls[b->at].due_us <= s->now_us)
        if (!call_step(s, b))
            return;
}

static void
database_break(struct sim *s)
{
    struct sim_database *d = &s->database;
    s->counts.store_breaks++;
    sim_trace(s, "store", "breaks", NULL);
    d->is_up = false;
    d->up_us = s->now_us + (int64_t)sim_draw(s, 2500000);
    for (uint32_t i = 0; i < SIM_BACKENDS_MAX; i++)
        if (d->backends[i].is_used)
            backend_end(s, &d->backends[i]);
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (s->ledgers[i].session != NULL)
            s->ledgers[i].session->notice_us = s->now_us + (int64_t)sim_draw(s, 30000);
}

void
sim_session_cut(struct sim *s, struct sim_session *t)
{
    struct backend *b = t->backend;
    if (b == NULL || b->is_cut)
        return;
    s->counts.sessions_cut++;
    /* At once, or when nothing has come back for long. */
    bool is_late = s->is.is_blind || (!s->is.is_undead && sim_chance(s, 500));
    t->notice_us = s->now_us + (int64_t)sim_draw(s, is_late ? 3000000 : 3000);
    sim_note(s, "store", t->ledger->index, "loses the session");
    if (s->is.is_blind || (!s->is.is_undead && sim_chance(s, 500))) {
        backend_end(s, b);
        return;
    }
    b->is_cut = true;
    b->reached = b->count;
    b->end_us = s->now_us + (int64_t)sim_draw(s, 3000000);
}

void
sim_database_turn(struct sim *s)
{
    struct sim_database *d = &s->database;
    if (!d->is_up) {
        d->is_up = s->now_us >= d->up_us || s->is_calm;
        return;
    }
    if (sim_fault(s, s->is.store_break)) {
        database_break(s);
        return;
    }
    for (uint32_t i = 0, at = (uint32_t)sim_draw(s, SIM_BACKENDS_MAX); i < SIM_BACKENDS_MAX; i++) {
        struct backend *b = &d->backends[(i + at) % SIM_BACKENDS_MAX];
        if (b->is_used)
            backend_work(s, b);
    }
    for (uint32_t i = 0; i < s->ledgers_count; i++)
        if (s->ledgers[i].session != NULL && sim_fault(s, s->is.store_cut))
            sim_session_cut(s, s->ledgers[i].session);
}

/* ---- Life ----------------------------------------------------------------------------------- */

void
sim_database_new(struct sim *s)
{
    s->database.is_up = true;
}

void
sim_database_free(struct sim *s)
{
    struct sim_database *d = &s->database;
    for (uint32_t i = 0; i < SIM_BACKENDS_MAX; i++)
        sim_backend_free(&d->backends[i]);
    for (uint32_t i = 0; i < d->count; i++)
        free((void *)(uintptr_t)d->records[i].payload);
    free(d->records);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        free(d->of_shard[i]);
    for (uint32_t i = 0; i < s->groups_count; i++)
        tables_free(&s->groups[i].tables);
}
