/*
 * sim_store.c - the client's end of a session: the store that a ledger's journal is given, as
 * store_pg.c makes it.
 *
 * Its process may end in each of its answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define KEEP_AGAIN_US 100000

/* ---- Statements -------------------------------------------------------------------------- */

static struct journal_record
record_copy(const struct journal_record *r)
{
    struct journal_record copy = *r;
    uint8_t *payload = malloc(r->payload_length + 1);
    CHECK(payload != NULL);
    memcpy(payload, r->payload, r->payload_length);
    copy.payload = payload;
    return copy;
}

static struct sim_call *
call_add(struct sim_session *t, enum call_kind kind)
{
    struct backend *b = t->backend;
    sim_edge(t->sim);
    CHECK(b != NULL && b->count < SIM_CALLS_MAX);
    struct sim_call *c = &b->calls[b->count++];
    *c = (struct sim_call){.kind = kind, .epoch = t->epoch};
    c->due_us = t->sim->now_us + (int64_t)sim_draw(t->sim, 2000);
    return c;
}

static bool
sim_append(struct store *base, const struct journal_record *records, uint32_t count,
           const struct journal_record *after, store_done *done, void *arg)
{
    struct sim_session *t = (struct sim_session *)base;
    CHECK(count > 0 && t->epoch > 0);
    if (!t->is_up)
        return false;
    struct sim_call *c = call_add(t, CALL_APPEND);
    c->records = calloc(count, sizeof *c->records);
    CHECK(c->records != NULL);
    for (uint32_t i = 0; i < count; i++)
        c->records[i] = record_copy(&records[i]);
    c->count = count;
    c->has_after = after != NULL;
    if (after != NULL)
        c->follows = *after;
    c->done = done;
    c->arg = arg;
    sim_edge(t->sim);
    return true;
}

static bool
sim_read(struct store *base, uint16_t shard, uint64_t after, uint32_t max, store_record *each,
         store_done *done, void *arg)
{
    struct sim_session *t = (struct sim_session *)base;
    CHECK(max == 1); /* nobody asks for more */
    if (!t->is_up)
        return false;
    struct sim_call *c = call_add(t, CALL_READ);
    c->follows.shard = shard;
    c->follows.seq = after + 1;
    c->each = each;
    c->done = done;
    c->arg = arg;
    return true;
}

static bool
sim_lease_take(struct store *base, int64_t now_us, store_lease *done, void *arg)
{
    struct sim_session *t = (struct sim_session *)base;
    (void)now_us;
    CHECK(t->epoch == 0);
    if (!t->is_up)
        return false;
    struct sim_call *c = call_add(t, CALL_LEASE);
    c->lease_done = done;
    c->arg = arg;
    return true;
}

static bool
sim_is_up(const struct store *base)
{
    return ((const struct sim_session *)base)->is_up;
}

static int64_t
sim_newest_us(const struct store *base)
{
    return ((const struct sim_session *)base)->newest_us;
}

static void
sim_close(struct store **base)
{
    sim_session_leave((struct sim_session *)*base);
    *base = NULL;
}

static const struct store_ops ops = {.append = sim_append,
                                     .read = sim_read,
                                     .lease_take = sim_lease_take,
                                     .newest_us = sim_newest_us,
                                     .is_up = sim_is_up,
                                     .close = sim_close};

struct store *
store_pg_open(const struct store_pg_options *o)
{
    struct sim_session *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->store = (struct store){.ops = &ops, .watch = o->watch};
    t->sim = o->loop->sim;
    t->ledger = o->loop->ledger;
    t->keep_us = INT64_MAX;
    t->ledger->session = t;
    return &t->store;
}

/* ---- The client hears ----------------------------------------------------------------------- */

static void
connected(struct sim_session *t)
{
    struct sim_database *d = &t->sim->database;
    uint32_t i = 0;
    while (i < SIM_BACKENDS_MAX && d->backends[i].is_used)
        i++;
    if (i == SIM_BACKENDS_MAX)
        return;
    t->backend = &d->backends[i];
    *t->backend = (struct backend){
        .is_used = true, .is_owned = true, .group = t->ledger->group, .end_us = INT64_MAX};
    if (t->epoch > 0) {
        (void)call_add(t, CALL_KEEP);
        return;
    }
    t->is_up = true;
    t->store.watch.on_up(t->store.watch.arg);
}

static void
lease_heard(struct sim_session *t, const struct sim_call *c)
{
    if (c->outcome == STORE_DONE && c->epoch > 0)
        t->epoch = c->epoch, t->newest_us = c->newest_us;
    c->lease_done(c->arg, c->outcome, c->outcome == STORE_DONE ? c->epoch : 0);
}

static void
keep_heard(struct sim_session *t, const struct sim_call *c)
{
    if (c->outcome == STORE_FENCED)
        t->store.watch.on_fenced(t->store.watch.arg);
    bool is_kept = c->outcome == STORE_DONE && t->backend != NULL;
    t->keep_us = is_kept && !t->backend->has_lock ? t->sim->now_us + KEEP_AGAIN_US : INT64_MAX;
    if (is_kept && !t->is_up) {
        t->is_up = true;
        t->store.watch.on_up(t->store.watch.arg);
    }
}

/* The answer to a statement; the process may end by it. */
static void
heard(struct sim_session *t, const struct sim_call *c)
{
    struct sim *s = t->sim;
    bool lies = s->mutation == SIM_loss_is_done && c->outcome == STORE_LOST;
    switch (c->kind) {
    case CALL_APPEND:
        c->done(c->arg, lies ? STORE_DONE : c->outcome);
        break;
    case CALL_READ:
        if (c->outcome == STORE_DONE && c->found.seq != 0)
            c->each(c->arg, &c->found);
        c->done(c->arg, c->outcome);
        break;
    case CALL_LEASE:
        lease_heard(t, c);
        break;
    case CALL_KEEP:
        keep_heard(t, c);
        break;
    }
}

/* Takes the oldest statement off the list. */
static struct sim_call
call_pop(struct backend *b)
{
    struct sim_call c = b->calls[0];
    sim_call_drop(&b->calls[0]);
    b->count--;
    b->at -= b->at > 0;
    b->reached -= b->reached > 0;
    memmove(b->calls, b->calls + 1, b->count * sizeof b->calls[0]);
    return c;
}

static void
hear_answers(struct sim_session *t, int64_t until_us)
{
    while (t->backend != NULL && t->backend->at > 0 && t->backend->calls[0].due_us <= until_us) {
        const struct sim_call c = call_pop(t->backend);
        heard(t, &c);
    }
}

/* Lets go of the server's end. */
static void
let_go(struct sim_session *t)
{
    struct backend *b = t->backend;
    struct sim *s = t->sim;
    t->backend = NULL;
    if (b == NULL)
        return;
    b->is_owned = false;
    if (!b->is_cut) {
        b->is_cut = true;
        b->reached = b->count;
        b->end_us = s->now_us + (int64_t)sim_draw(s, 60000);
    } else if (b->end_us == 0) {
        sim_backend_free(b);
    }
}

static void
lost(struct sim_session *t)
{
    struct sim_call calls[SIM_CALLS_MAX];
    bool was_up = t->is_up;
    if (sim_chance(t->sim, 500))
        hear_answers(t, INT64_MAX);
    uint32_t count = t->backend->count;
    memcpy(calls, t->backend->calls, sizeof calls);
    t->is_up = false;
    t->keep_us = INT64_MAX;
    t->connect_us = t->sim->now_us + (int64_t)sim_draw(t->sim, 300000);
    let_go(t);
    for (uint32_t i = 0; i < count; i++) {
        calls[i].outcome = STORE_LOST;
        heard(t, &calls[i]);
    }
    if (was_up)
        t->store.watch.on_down(t->store.watch.arg);
}

void
sim_session_turn(struct sim_session *t)
{
    struct sim *s = t->sim;
    if (t->backend == NULL) {
        if (s->database.is_up && (s->now_us >= t->connect_us || s->is_calm))
            connected(t);
        return;
    }
    if (t->backend->is_cut && (s->is_calm || s->now_us >= t->notice_us)) {
        lost(t);
        return;
    }
    if (!t->backend->is_cut)
        hear_answers(t, s->now_us);
    if (t->keep_us <= s->now_us && t->backend != NULL && !t->backend->is_cut) {
        t->keep_us = INT64_MAX;
        (void)call_add(t, CALL_KEEP);
    }
}

void
sim_session_leave(struct sim_session *t)
{
    let_go(t);
    t->ledger->session = NULL;
    free(t);
}
