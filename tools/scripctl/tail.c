/*
 * tail.c - journal tail: the last records, and with --follow those that come.
 *
 * The end of each shard is read in windows that grow until enough is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "scripctl/follow.h"
#include "scripctl/list.h"
#include "scripctl/source.h"

#define LINES_DEFAULT 10
#define LINES_MAX     1000000
#define WINDOW_FIRST  512
#define WINDOW_TIMES  8

/* The latest records that were found, copied. */
struct line {
    struct journal_record record;
    uint64_t account_id, order_id;
    uint8_t *payload;
};

struct lines {
    struct line *items; /* a ring */
    uint64_t found;     /* ever; the last of them is in place (found - 1) % max */
    uint32_t max;
};

static void
lines_put(struct lines *l, const struct filter_hit *hit)
{
    struct line *line = &l->items[l->found++ % l->max];
    uint32_t length = hit->record->payload_length;
    free(line->payload);
    *line = (struct line){*hit->record, hit->account_id, hit->order_id, malloc(length + 1)};
    CHECK(line->payload != NULL);
    memcpy(line->payload, hit->record->payload, length);
    line->record.payload = line->payload;
}

static uint32_t
lines_count(const struct lines *l)
{
    return l->found < l->max ? (uint32_t)l->found : l->max;
}

static struct line *
lines_at(const struct lines *l, uint32_t index)
{
    return &l->items[(l->found - lines_count(l) + index) % l->max];
}

static void
lines_fini(struct lines *l)
{
    for (uint32_t i = 0; i < l->max; i++)
        free(l->items[i].payload);
    free(l->items);
}

/* What was read of each shard's end. */
struct window {
    struct walk_range ranges[RECORDS_SHARDS];
    int64_t first_us[RECORDS_SHARDS]; /* of the first record; INT64_MIN: nothing is before it */
};

static bool
read_window(struct records *r, struct filter *f, struct window *w, uint64_t size, struct lines *l)
{
    const struct journal_record *record;
    struct filter_hit hit;
    bool is_first[RECORDS_SHARDS];
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++) {
        struct walk_range *range = &w->ranges[i];
        *range = f->ranges[i];
        is_first[i] = range->to > range->after && range->to - range->after > size && !f->counts;
        if (is_first[i])
            range->after = range->to - size;
        w->first_us[i] = INT64_MIN;
    }
    l->found = 0;
    struct walk *walk = walk_begin(r, w->ranges);
    enum records_result result;
    while ((result = walk_next(walk, &record)) == RECORDS_ONE) {
        if (is_first[record->shard])
            w->first_us[record->shard] = record->time_us;
        is_first[record->shard] = false;
        if (filter_take(f, record, &hit))
            lines_put(l, &hit);
    }
    walk_end(&walk);
    return result != RECORDS_FAILED;
}

/* Whether nothing before the windows can be among the last ones. */
static bool
is_enough(const struct window *w, const struct lines *l)
{
    bool is_full = lines_count(l) == l->max;
    int64_t oldest_us = is_full ? lines_at(l, 0)->record.time_us : INT64_MIN;
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++)
        if (w->first_us[i] > oldest_us)
            return false;
    return true;
}

static bool
find_last(struct records *r, struct filter *f, struct lines *l)
{
    struct window w;
    for (uint64_t size = l->max > WINDOW_FIRST ? l->max : WINDOW_FIRST;; size *= WINDOW_TIMES) {
        if (!read_window(r, f, &w, size, l))
            return false;
        if (is_enough(&w, l))
            return true;
    }
}

static void
show_last(const struct call *c, struct filter *f, const struct lines *l)
{
    list_begin(c->out);
    for (uint32_t i = 0; i < lines_count(l); i++) {
        const struct line *line = lines_at(l, i);
        struct filter_hit hit = {&line->record, NULL, line->account_id, line->order_id};
        if (filter_unpack(f, &line->record))
            hit.cmd = &f->cmd;
        list_put(c->out, &hit);
    }
}

/* Shows what comes; only a failure or a signal ends it. */
static enum status
follow_on(const struct call *c, struct records *r, struct filter *f)
{
    struct follow_heads heads;
    struct journal_record record;
    struct filter_hit hit;
    char why[WHY_BYTES] = "";
    for (uint16_t i = 0; i < RECORDS_SHARDS; i++) {
        struct records_extent extent;
        if (!records_extent(r, i, &extent))
            return source_failed(c, r);
        heads.seq[i] = extent.last;
        heads.is_wanted[i] = f->is_wanted[i];
    }
    struct follow *follow = follow_open(c->o.database, &heads, why);
    enum records_result result = follow == NULL ? RECORDS_FAILED : RECORDS_END;
    while (result != RECORDS_FAILED) {
        out_flush(c->out);
        while ((result = follow_next(follow, &record, why)) == RECORDS_ONE)
            if (filter_take(f, &record, &hit))
                list_put(c->out, &hit);
    }
    follow_close(&follow);
    return refuse(c, STATUS_FAILED, "SOURCE_UNREADABLE", "%s", why);
}

enum status
journal_tail(const struct call *c)
{
    enum status status;
    struct filter f;
    struct lines lines = {.max = LINES_DEFAULT};
    if (c->o.limit > LINES_MAX)
        return refuse(c, STATUS_USAGE, "USAGE", "--limit of 'journal tail' is %d at most",
                      LINES_MAX);
    if (c->o.limit > 0)
        lines.max = (uint32_t)c->o.limit;
    if (c->o.follow && (c->o.database == NULL || c->o.upto != 0 || c->o.until != INT64_MIN))
        return refuse(c, STATUS_USAGE, "USAGE",
                      "--follow needs a --database and an open end: no --upto, no --until");
    struct records *r = source_open(c, &status);
    if (r == NULL)
        return status;
    lines.items = calloc(lines.max, sizeof(lines.items[0]));
    CHECK(lines.items != NULL);
    status = filter_open(&f, c, r);
    if (status == STATUS_OK && !find_last(r, &f, &lines))
        status = source_failed(c, r);
    if (status == STATUS_OK) {
        show_last(c, &f, &lines);
        if (c->o.follow)
            status = follow_on(c, r, &f);
    }
    filter_close(&f);
    lines_fini(&lines);
    records_close(&r);
    return status;
}
