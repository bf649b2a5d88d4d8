/*
 * walk.c - see walk.h. A heap of cursors, the earliest record on top.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/walk.h"

#include <stdlib.h>

#include "base/check.h"

struct walk {
    struct records_cursor *cursors[RECORDS_SHARDS];
    struct journal_record next[RECORDS_SHARDS];
    uint16_t heap[RECORDS_SHARDS];
    uint32_t count;
    bool is_lent; /* the record on top */
    bool has_failed;
};

static bool
is_earlier(const struct walk *w, uint16_t a, uint16_t b)
{
    const struct journal_record *x = &w->next[a], *y = &w->next[b];
    return x->time_us != y->time_us ? x->time_us < y->time_us : a < b;
}

static void
sift(struct walk *w, uint32_t at)
{
    for (;;) {
        uint32_t least = at, left = 2 * at + 1;
        for (uint32_t child = left; child < left + 2 && child < w->count; child++)
            if (is_earlier(w, w->heap[child], w->heap[least]))
                least = child;
        if (least == at)
            return;
        uint16_t other = w->heap[at];
        w->heap[at] = w->heap[least];
        w->heap[least] = other;
        at = least;
    }
}

static enum records_result
advance(struct walk *w, uint16_t shard)
{
    enum records_result result = records_next(w->cursors[shard], &w->next[shard]);
    w->has_failed |= result == RECORDS_FAILED;
    return result;
}

struct walk *
walk_begin(struct records *r, const struct walk_range ranges[RECORDS_SHARDS])
{
    struct walk *w = calloc(1, sizeof(*w));
    CHECK(w != NULL);
    for (uint16_t shard = 0; shard < RECORDS_SHARDS && !w->has_failed; shard++) {
        if (ranges[shard].to <= ranges[shard].after)
            continue;
        w->cursors[shard] = records_read(r, shard, ranges[shard].after, ranges[shard].to);
        w->has_failed |= w->cursors[shard] == NULL;
        if (!w->has_failed && advance(w, shard) == RECORDS_ONE)
            w->heap[w->count++] = shard;
    }
    for (uint32_t i = w->count / 2; i-- > 0;)
        sift(w, i);
    return w;
}

enum records_result
walk_next(struct walk *w, const struct journal_record **out)
{
    if (w->is_lent && !w->has_failed) {
        if (advance(w, w->heap[0]) != RECORDS_ONE)
            w->heap[0] = w->heap[--w->count];
        sift(w, 0);
    }
    w->is_lent = false;
    if (w->has_failed)
        return RECORDS_FAILED;
    if (w->count == 0)
        return RECORDS_END;
    w->is_lent = true;
    *out = &w->next[w->heap[0]];
    return RECORDS_ONE;
}

void
walk_end(struct walk **w)
{
    if (*w == NULL)
        return;
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++)
        if ((*w)->cursors[i] != NULL)
            records_end(&(*w)->cursors[i]);
    free(*w);
    *w = NULL;
}
