/*
 * store_fake.c - a journal in memory that does what a test tells it to, when it is told to.
 *
 * Nothing completes by itself: store_fake_step() completes the oldest call, store_fake_break() and
 * store_fake_mend() lose and restore the connection. See store_fake.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/store_fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CALLS_MAX 64

enum call_kind { CALL_APPEND, CALL_READ, CALL_LEASE };

struct kept {
    struct journal_record record; /* its payload belongs to us */
};

struct call {
    enum call_kind kind;
    struct kept *offered; /* append: its records, ours until they are kept or dropped */
    uint32_t count;
    bool has_after;
    struct journal_record follows; /* the key and hash of `after` */
    uint16_t shard;
    uint64_t after;
    uint32_t max;
    store_record *each;
    store_done *done;
    store_lease *lease_done;
    void *arg;
};

struct fake_store {
    struct store store; /* first: see store.h */
    struct kept *journal;
    uint32_t journal_count, journal_room;
    struct call calls[CALLS_MAX];
    uint32_t calls_count;
    uint64_t epoch;
    int64_t newest_us;
    bool is_up, other_owner, keeps_gaps;
};

static struct fake_store *
fake_of(struct store *s)
{
    return (struct fake_store *)s;
}

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

static struct call *
call_add(struct fake_store *s, enum call_kind kind)
{
    CHECK(s->calls_count < CALLS_MAX);
    struct call *c = &s->calls[s->calls_count++];
    *c = (struct call){.kind = kind};
    return c;
}

static uint32_t
appends_under_way(const struct fake_store *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->calls_count; i++)
        count += s->calls[i].kind == CALL_APPEND;
    return count;
}

static bool
fake_append(struct store *base, const struct journal_record *records, uint32_t count,
            const struct journal_record *after, store_done *done, void *arg)
{
    struct fake_store *s = fake_of(base);
    if (!s->is_up)
        return false;
    CHECK(appends_under_way(s) < STORE_APPENDS_MAX);
    struct call *c = call_add(s, CALL_APPEND);
    c->offered = calloc(count, sizeof *c->offered);
    CHECK(c->offered != NULL);
    for (uint32_t i = 0; i < count; i++)
        c->offered[i].record = record_copy(&records[i]);
    c->count = count;
    c->has_after = after != NULL;
    if (after != NULL)
        c->follows = *after;
    c->done = done;
    c->arg = arg;
    return true;
}

static bool
fake_read(struct store *base, uint16_t shard, uint64_t after, uint32_t max, store_record *each,
          store_done *done, void *arg)
{
    struct fake_store *s = fake_of(base);
    if (!s->is_up)
        return false;
    struct call *c = call_add(s, CALL_READ);
    c->shard = shard;
    c->after = after;
    c->max = max;
    c->each = each;
    c->done = done;
    c->arg = arg;
    return true;
}

static bool
fake_lease_take(struct store *base, int64_t now_us, store_lease *done, void *arg)
{
    (void)now_us;
    struct fake_store *s = fake_of(base);
    if (!s->is_up)
        return false;
    struct call *c = call_add(s, CALL_LEASE);
    c->lease_done = done;
    c->arg = arg;
    return true;
}

/* Of all that is kept: as if each lease had just been taken. */
static int64_t
fake_newest_us(const struct store *base)
{
    return ((const struct fake_store *)base)->newest_us;
}

static bool
fake_is_up(const struct store *base)
{
    return ((const struct fake_store *)base)->is_up;
}

static const struct journal_record *
find(const struct fake_store *s, uint16_t shard, uint64_t seq)
{
    for (uint32_t i = 0; i < s->journal_count; i++)
        if (s->journal[i].record.shard == shard && s->journal[i].record.seq == seq)
            return &s->journal[i].record;
    return NULL;
}

static void
offered_drop(struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->offered[i].record.payload);
    free(c->offered);
    c->offered = NULL;
    c->count = 0;
}

static bool
follows(const struct fake_store *s, const struct call *c)
{
    if (!c->has_after || s->keeps_gaps)
        return true;
    const struct journal_record *r = find(s, c->follows.shard, c->follows.seq);
    return r != NULL && r->time_us == c->follows.time_us &&
           memcmp(r->hash, c->follows.hash, HASH_BYTES) == 0;
}

static bool
is_taken(const struct fake_store *s, const struct call *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (find(s, c->offered[i].record.shard, c->offered[i].record.seq) != NULL)
            return true;
    return false;
}

/* Moves what was offered into the journal, unless a number is taken or there would be a gap. */
static enum store_outcome
offered_keep(struct fake_store *s, struct call *c)
{
    bool is_next = follows(s, c);
    if (!is_next || is_taken(s, c)) {
        offered_drop(c);
        return is_next ? STORE_TAKEN : STORE_GAP;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (s->journal_count == s->journal_room) {
            s->journal_room = s->journal_room == 0 ? 64 : s->journal_room * 2;
            s->journal = realloc(s->journal, s->journal_room * sizeof *s->journal);
            CHECK(s->journal != NULL);
        }
        s->journal[s->journal_count++] = c->offered[i];
        if (c->offered[i].record.time_us > s->newest_us)
            s->newest_us = c->offered[i].record.time_us;
    }
    free(c->offered);
    c->offered = NULL;
    c->count = 0;
    return STORE_DONE;
}

static void
read_run(struct fake_store *s, const struct call *c)
{
    uint64_t seq = c->after + 1;
    for (uint32_t i = 0; i < c->max; i++, seq++) {
        const struct journal_record *r = find(s, c->shard, seq);
        if (r == NULL)
            break;
        c->each(c->arg, r);
    }
    c->done(c->arg, STORE_DONE);
}

static struct call
call_pop(struct fake_store *s)
{
    CHECK(s->calls_count > 0);
    struct call c = s->calls[0];
    s->calls_count--;
    memmove(s->calls, s->calls + 1, s->calls_count * sizeof s->calls[0]);
    return c;
}

bool
store_fake_step(struct store *base, enum store_outcome outcome)
{
    struct fake_store *s = fake_of(base);
    if (s->calls_count == 0)
        return false;
    struct call c = call_pop(s);
    switch (c.kind) {
    case CALL_APPEND:
        if (outcome == STORE_DONE)
            outcome = offered_keep(s, &c);
        else
            offered_drop(&c);
        c.done(c.arg, outcome);
        break;
    case CALL_READ:
        if (outcome == STORE_DONE)
            read_run(s, &c);
        else
            c.done(c.arg, outcome);
        break;
    case CALL_LEASE:
        if (outcome == STORE_DONE && !s->other_owner)
            s->epoch++;
        c.lease_done(c.arg, outcome, s->other_owner ? 0 : s->epoch);
        break;
    }
    return true;
}

void
store_fake_break(struct store *base, uint32_t keep)
{
    struct fake_store *s = fake_of(base);
    s->is_up = false;
    while (s->calls_count > 0) {
        struct call c = call_pop(s);
        if (c.kind == CALL_APPEND && keep > 0) {
            keep--;
            (void)offered_keep(s, &c);
        }
        offered_drop(&c);
        if (c.kind == CALL_LEASE)
            c.lease_done(c.arg, STORE_LOST, 0);
        else
            c.done(c.arg, STORE_LOST);
    }
    if (s->store.watch.on_down != NULL)
        s->store.watch.on_down(s->store.watch.arg);
}

void
store_fake_mend(struct store *base)
{
    struct fake_store *s = fake_of(base);
    s->is_up = true;
    if (s->store.watch.on_up != NULL)
        s->store.watch.on_up(s->store.watch.arg);
}

void
store_fake_other_owner(struct store *base, bool present)
{
    fake_of(base)->other_owner = present;
}

void
store_fake_keep_gaps(struct store *base, bool kept)
{
    fake_of(base)->keeps_gaps = kept;
}

void
store_fake_forget(struct store *base)
{
    struct fake_store *s = fake_of(base);
    CHECK(s->journal_count > 0);
    free((void *)(uintptr_t)s->journal[--s->journal_count].record.payload);
}

uint32_t
store_fake_count(const struct store *base)
{
    return ((const struct fake_store *)base)->journal_count;
}

uint32_t
store_fake_calls(const struct store *base)
{
    return ((const struct fake_store *)base)->calls_count;
}

const struct journal_record *
store_fake_at(const struct store *base, uint32_t index)
{
    const struct fake_store *s = (const struct fake_store *)base;
    return index < s->journal_count ? &s->journal[index].record : NULL;
}

static void
fake_close(struct store **base)
{
    struct fake_store *s = fake_of(*base);
    for (uint32_t i = 0; i < s->calls_count; i++)
        offered_drop(&s->calls[i]);
    for (uint32_t i = 0; i < s->journal_count; i++)
        free((void *)(uintptr_t)s->journal[i].record.payload);
    free(s->journal);
    free(s);
    *base = NULL;
}

static const struct store_ops fake_ops = {
    .append = fake_append,
    .read = fake_read,
    .lease_take = fake_lease_take,
    .newest_us = fake_newest_us,
    .is_up = fake_is_up,
    .close = fake_close,
};

struct store *
store_fake_open(const struct store_watch *watch)
{
    struct fake_store *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->store.ops = &fake_ops;
    if (watch != NULL)
        s->store.watch = *watch;
    s->is_up = true;
    return &s->store;
}
