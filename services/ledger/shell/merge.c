/*
 * merge.c - see merge.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/shard.h"

/* Of a shard at a time: all of them are in memory together. Fewer where the records before them
 * were long; there is no telling of the first ones. */
#define PAGE_RECORDS 256
#define PAGE_FEWEST  16
#define PAGE_BYTES   ((size_t)256 << 10)

/* One shard's records, as far as they were read ahead. */
struct lane {
    struct journal_record *records; /* their payloads are places in `bytes` until all are there */
    uint8_t *bytes;
    size_t bytes_used, bytes_room;
    uint32_t at, count;
    uint64_t last, until; /* seq of what was read, and of what is wanted */
    bool is_over;
};

struct merge {
    struct merge_options o;
    struct lane lanes[SHARDS];
    struct lane *next; /* NULL: not known */
    struct lane *asked;
    uint32_t asked_for;
    bool has_end; /* `until` was given: what is missing before it is a loss */
    char why[96];
};

/* ---- Reading ------------------------------------------------------------------------------ */

static bool
is_dry(const struct lane *n)
{
    return n->at == n->count && !n->is_over;
}

static void
keep_record(void *arg, const struct journal_record *record)
{
    struct lane *n = ((struct merge *)arg)->asked;
    CHECK(n->count < PAGE_RECORDS);
    size_t used = n->bytes_used + record->payload_length;
    if (used > n->bytes_room) {
        n->bytes_room = 2 * used;
        n->bytes = realloc(n->bytes, n->bytes_room);
        CHECK(n->bytes != NULL);
    }
    if (record->payload_length > 0)
        memcpy(n->bytes + n->bytes_used, record->payload, record->payload_length);
    n->records[n->count++] = *record;
    n->bytes_used = used;
    n->last = record->seq;
}

static void
payloads_set(struct lane *n)
{
    size_t at = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        n->records[i].payload = n->bytes + at;
        at += n->records[i].payload_length;
    }
}

static void
read_done(void *arg, enum store_outcome outcome)
{
    struct merge *m = arg;
    struct lane *n = m->asked;
    m->asked = NULL;
    loop_soon(m->o.loop);
    payloads_set(n);
    if (outcome == STORE_LOST)
        return; /* what came is there; the rest is asked for again */
    uint32_t shard = (uint32_t)(n - m->lanes);
    if (outcome != STORE_DONE)
        snprintf(m->why, sizeof m->why, "the journal cannot be read: %s",
                 store_outcome_name(outcome));
    else if (n->count < m->asked_for && m->has_end)
        snprintf(m->why, sizeof m->why,
                 "the journal lacks records of shard %u that the tables have", shard);
    n->is_over = n->count < m->asked_for || n->last == n->until;
}

/* How many records make the next one, by the length of those that were read. */
static uint32_t
page_of(struct lane *n)
{
    if (n->bytes_room > 4 * PAGE_BYTES) { /* not to be kept for short ones */
        free(n->bytes);
        n->bytes = NULL;
        n->bytes_room = 0;
    }
    if (n->count == 0)
        return PAGE_FEWEST;
    size_t fit = PAGE_BYTES / (n->bytes_used / n->count + 1);
    return fit > PAGE_RECORDS ? PAGE_RECORDS : fit < PAGE_FEWEST ? PAGE_FEWEST : (uint32_t)fit;
}

void
merge_read(struct merge *m)
{
    struct lane *n = m->lanes;
    while (n < m->lanes + SHARDS && !is_dry(n))
        n++;
    if (n == m->lanes + SHARDS || m->asked != NULL || m->why[0] != '\0')
        return;
    if (n->records == NULL)
        n->records = calloc(PAGE_RECORDS, sizeof *n->records);
    CHECK(n->records != NULL);
    uint64_t left = n->until - n->last;
    uint32_t page = page_of(n);
    m->asked_for = left < page ? (uint32_t)left : page;
    n->at = n->count = 0;
    n->bytes_used = 0;
    m->asked = n;
    if (!store_read(m->o.store, (uint16_t)(n - m->lanes), n->last, m->asked_for, keep_record,
                    read_done, m))
        m->asked = NULL; /* when it is up again */
}

/* ---- Merging ------------------------------------------------------------------------------ */

void
merge_begin(struct merge *m, const uint64_t *after, const uint64_t *until)
{
    CHECK(m->asked == NULL);
    m->has_end = until != NULL;
    m->next = NULL;
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct lane *n = &m->lanes[i];
        n->at = n->count = 0;
        n->last = after[i];
        n->until = until == NULL ? UINT64_MAX : until[i];
        n->is_over = !m->o.owned[i] || n->until <= n->last;
    }
}

const struct journal_record *
merge_next(struct merge *m)
{
    if (m->next != NULL)
        return &m->next->records[m->next->at];
    if (m->why[0] != '\0' || m->asked != NULL)
        return NULL;
    for (struct lane *n = m->lanes; n < m->lanes + SHARDS; n++) {
        if (is_dry(n)) {
            m->next = NULL;
            return NULL;
        }
        if (n->at < n->count &&
            (m->next == NULL || n->records[n->at].time_us < m->next->records[m->next->at].time_us))
            m->next = n;
    }
    return m->next == NULL ? NULL : &m->next->records[m->next->at];
}

void
merge_pass(struct merge *m)
{
    CHECK(m->next != NULL);
    m->next->at++;
    m->next = NULL;
}

bool
merge_is_over(const struct merge *m)
{
    for (const struct lane *n = m->lanes; n < m->lanes + SHARDS; n++)
        if (n->at < n->count || !n->is_over)
            return false;
    return true;
}

const char *
merge_why(const struct merge *m)
{
    return m->why;
}

/* ---- Life --------------------------------------------------------------------------------- */

struct merge *
merge_new(const struct merge_options *o)
{
    struct merge *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->o = *o;
    return m;
}

void
merge_destroy(struct merge **m)
{
    if (*m == NULL)
        return;
    for (uint32_t i = 0; i < SHARDS; i++) {
        free((*m)->lanes[i].records);
        free((*m)->lanes[i].bytes);
    }
    free(*m);
    *m = NULL;
}
