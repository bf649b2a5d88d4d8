/*
 * records.c - see records.h: segment files, then the database from where they end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/manifest.h"
#include "scripctl/records_pg.h"

#define ROWS_MAX       8192 /* of a page */
#define ROWS_MAX_MERGE 512  /* of one of many cursors */

struct records {
    char why[WHY_BYTES];
    char *archive; /* NULL = none */
    struct manifest manifest;
    struct records_pg *pg; /* NULL = no database */
    struct records_extent extents[RECORDS_SHARDS];
};

struct records_cursor {
    struct records *records;
    uint16_t shard;
    uint64_t after, to; /* to INT64_MAX = the last */
    const struct segment *files;
    uint32_t files_count, files_at, rows_max;
    struct segment_reader *segment;
    struct records_pg_cursor *live;
    bool is_over;
};

/* ---- What there is ------------------------------------------------------------------------ */

/* The archive's part of a shard comes before what the database has. */
static void
extent_archived(struct records *r, uint16_t shard)
{
    uint32_t count;
    struct records_extent *e = &r->extents[shard];
    const struct segment *files = manifest_shard(&r->manifest, shard, &count);
    if (r->pg == NULL)
        *e = (struct records_extent){.first = 1, .has_before = true};
    if (files == NULL)
        return;
    if (e->live == 0 || files[0].first < e->first) {
        e->first = files[0].first;
        memcpy(e->before, files[0].before, HASH_BYTES);
        e->has_before = true;
    }
    if (files[count - 1].last > e->last)
        e->last = files[count - 1].last;
}

static bool
sources_open(struct records *r, const struct records_options *o)
{
    if (o->archive != NULL) {
        r->archive = strdup(o->archive);
        CHECK(r->archive != NULL);
        if (manifest_read(o->archive, &r->manifest, r->why) != MANIFEST_READ)
            return false;
    }
    if (o->database != NULL) {
        r->pg = records_pg_open(o->database, r->why);
        if (r->pg == NULL || !records_pg_extents(r->pg, r->extents))
            return false;
    }
    for (uint16_t shard = 0; shard < RECORDS_SHARDS; shard++)
        extent_archived(r, shard);
    return true;
}

struct records *
records_open(const struct records_options *o, char why[WHY_BYTES])
{
    struct records *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    if (o->database == NULL && o->archive == NULL)
        snprintf(r->why, sizeof r->why, "neither a database nor an archive is named");
    else if (sources_open(r, o))
        return r;
    memcpy(why, r->why, sizeof r->why);
    records_close(&r);
    return NULL;
}

void
records_close(struct records **r)
{
    if (*r == NULL)
        return;
    records_pg_close(&(*r)->pg);
    manifest_free(&(*r)->manifest);
    free((*r)->archive);
    free(*r);
    *r = NULL;
}

const char *
records_why(const struct records *r)
{
    return r->why;
}

bool
records_extent(struct records *r, uint16_t shard, struct records_extent *out)
{
    CHECK(shard < RECORDS_SHARDS);
    *out = r->extents[shard];
    return true;
}

PGconn *
records_connection(struct records *r)
{
    return r->pg == NULL ? NULL : records_pg_connection(r->pg);
}

/* ---- One shard ---------------------------------------------------------------------------- */

static struct records_cursor *
cursor_new(struct records *r, uint16_t shard, uint64_t after, uint64_t to, uint32_t rows_max)
{
    struct records_cursor *c = calloc(1, sizeof *c);
    CHECK(c != NULL && shard < RECORDS_SHARDS);
    c->records = r;
    c->shard = shard;
    c->after = after;
    c->to = to == 0 ? INT64_MAX : to;
    c->files = manifest_shard(&r->manifest, shard, &c->files_count);
    c->rows_max = rows_max;
    return c;
}

struct records_cursor *
records_read(struct records *r, uint16_t shard, uint64_t after, uint64_t to)
{
    return cursor_new(r, shard, after, to, ROWS_MAX);
}

/* The next file that has something of the range, or none. */
static const struct segment *
file_next(struct records_cursor *c)
{
    while (c->files_at < c->files_count && c->files[c->files_at].last <= c->after)
        c->files_at++;
    bool is_there = c->files_at < c->files_count && c->files[c->files_at].first <= c->to;
    return is_there ? &c->files[c->files_at] : NULL;
}

static enum records_result
archived_next(struct records_cursor *c, struct journal_record *out)
{
    struct records *r = c->records;
    for (;;) {
        const struct segment *s = c->segment == NULL ? file_next(c) : NULL;
        if (c->segment == NULL && s == NULL)
            return RECORDS_END;
        if (c->segment == NULL) {
            c->segment = segment_open(r->archive, s, r->why);
            c->files_at++;
        }
        if (c->segment == NULL)
            return RECORDS_FAILED;
        enum records_result result;
        do
            result = segment_next(c->segment, out);
        while (result == RECORDS_ONE && out->seq <= c->after);
        if (result == RECORDS_ONE && out->seq <= c->to)
            return RECORDS_ONE;
        if (result == RECORDS_FAILED)
            return RECORDS_FAILED;
        segment_reader_end(&c->segment);
        if (result == RECORDS_ONE)
            return RECORDS_END;
    }
}

static enum records_result
live_next(struct records_cursor *c, struct journal_record *out)
{
    struct records *r = c->records;
    if (r->pg == NULL)
        return RECORDS_END;
    if (c->live == NULL) {
        if (c->files_count > 0 && c->files[c->files_count - 1].last > c->after)
            c->after = c->files[c->files_count - 1].last;
        if (c->after >= c->to)
            return RECORDS_END;
        c->live = records_pg_read(r->pg, c->shard, c->after, c->to, c->rows_max);
    }
    return records_pg_next(c->live, out);
}

enum records_result
records_next(struct records_cursor *c, struct journal_record *out)
{
    if (c->is_over)
        return RECORDS_END;
    enum records_result result = RECORDS_END;
    if (c->live == NULL && c->files_count > 0)
        result = archived_next(c, out);
    if (result == RECORDS_END)
        result = live_next(c, out);
    c->is_over = result != RECORDS_ONE;
    return result;
}

void
records_end(struct records_cursor **c)
{
    if (*c == NULL)
        return;
    segment_reader_end(&(*c)->segment);
    records_pg_end(&(*c)->live);
    free(*c);
    *c = NULL;
}

/* ---- All shards by time ------------------------------------------------------------------- */

struct lane {
    struct records_cursor *cursor;
    struct journal_record record; /* its next one */
};

/* A heap by (time, shard); a shard's own records are in order already. */
struct records_merge {
    struct lane lanes[RECORDS_SHARDS];
    uint8_t heap[RECORDS_SHARDS];
    uint32_t count;
    struct lane *lent; /* whose record was given last: it moves on with the next call */
    bool is_failed;
};

static bool
is_before(const struct records_merge *m, uint32_t a, uint32_t b)
{
    const struct journal_record *x = &m->lanes[m->heap[a]].record;
    const struct journal_record *y = &m->lanes[m->heap[b]].record;
    return x->time_us != y->time_us ? x->time_us < y->time_us : x->shard < y->shard;
}

static void
sink(struct records_merge *m, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < m->count; child++)
            if (is_before(m, child, least))
                least = child;
        if (least == at)
            return;
        uint8_t swapped = m->heap[at];
        m->heap[at] = m->heap[least];
        m->heap[least] = swapped;
        at = least;
    }
}

struct records_merge *
records_merge(struct records *r, const bool shards[RECORDS_SHARDS], uint64_t after, uint64_t to)
{
    struct records_merge *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && !m->is_failed; shard++) {
        if (!shards[shard] || r->extents[shard].last <= after)
            continue;
        struct lane *lane = &m->lanes[shard];
        lane->cursor = cursor_new(r, shard, after, to, ROWS_MAX_MERGE);
        enum records_result result = records_next(lane->cursor, &lane->record);
        m->is_failed = result == RECORDS_FAILED;
        if (result == RECORDS_ONE)
            m->heap[m->count++] = (uint8_t)shard;
    }
    for (uint32_t i = m->count / 2; i-- > 0;)
        sink(m, i);
    return m;
}

/* The lane on top goes on to its next record. */
static bool
lane_advance(struct records_merge *m)
{
    enum records_result result = records_next(m->lent->cursor, &m->lent->record);
    m->lent = NULL;
    if (result == RECORDS_FAILED)
        return false;
    if (result == RECORDS_END)
        m->heap[0] = m->heap[--m->count];
    sink(m, 0);
    return true;
}

enum records_result
records_merge_next(struct records_merge *m, struct journal_record *out)
{
    if (!m->is_failed && m->lent != NULL)
        m->is_failed = !lane_advance(m);
    if (m->is_failed)
        return RECORDS_FAILED;
    if (m->count == 0)
        return RECORDS_END;
    m->lent = &m->lanes[m->heap[0]];
    *out = m->lent->record;
    return RECORDS_ONE;
}

void
records_merge_end(struct records_merge **m)
{
    if (*m == NULL)
        return;
    for (int i = 0; i < RECORDS_SHARDS; i++)
        records_end(&(*m)->lanes[i].cursor);
    free(*m);
    *m = NULL;
}
