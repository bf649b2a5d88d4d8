/*
 * sync.c - Binance's procedure for a local book, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/sync.h"

#include <string.h>

void
sync_init(struct sync *s, uint32_t levels_max, uint32_t kept_levels_max, struct arena *memory)
{
    *s = (struct sync){.kept_levels_max = kept_levels_max};
    struct level *bids = arena_take_unset(memory, levels_max, sizeof(*bids));
    struct level *asks = arena_take_unset(memory, levels_max, sizeof(*asks));
    s->kept_levels = arena_take_unset(memory, kept_levels_max, sizeof(*s->kept_levels));
    CHECK(bids != NULL && asks != NULL && s->kept_levels != NULL);
    book_init(&s->book, bids, asks, levels_max);
}

static void
kept_clear(struct sync *s)
{
    s->kept_count = 0;
    s->kept_levels_count = 0;
}

void
sync_reset(struct sync *s)
{
    book_clear(&s->book);
    kept_clear(s);
    s->state = SYNC_EMPTY;
    s->last_id = 0;
    s->is_first = false;
}

/* Keeps a diff. When there is no room the old ones go: a snapshot taken later than they were
 * does not need them, and one taken earlier will show a gap. */
static void
diff_keep(struct sync *s, const struct md_event *e)
{
    uint32_t levels = e->bid_count + e->ask_count;
    if (s->kept_count == SYNC_DIFFS_MAX || s->kept_levels_count + levels > s->kept_levels_max)
        kept_clear(s);
    if (levels > s->kept_levels_max)
        return;
    struct sync_diff *d = &s->kept[s->kept_count++];
    *d = (struct sync_diff){.first_id = e->first_id,
                            .last_id = e->last_id,
                            .previous_id = e->previous_id,
                            .has_previous_id = e->has_previous_id,
                            .bid_at = s->kept_levels_count,
                            .bid_count = e->bid_count,
                            .ask_at = s->kept_levels_count + e->bid_count,
                            .ask_count = e->ask_count};
    if (e->bid_count > 0)
        memcpy(&s->kept_levels[d->bid_at], e->bids, e->bid_count * sizeof(struct level));
    if (e->ask_count > 0)
        memcpy(&s->kept_levels[d->ask_at], e->asks, e->ask_count * sizeof(struct level));
    s->kept_levels_count += levels;
}

static bool
diff_is_old(const struct sync *s, const struct md_event *e)
{
    /* A futures diff that ends at the snapshot's id is the one to start with. */
    if (s->is_first && e->has_previous_id)
        return e->last_id < s->last_id;
    return e->last_id <= s->last_id;
}

static bool
diff_follows(const struct sync *s, const struct md_event *e)
{
    /* A book of a recording stands at the end of a diff: the next one names it. */
    if (s->is_first && !(e->has_previous_id && e->previous_id == s->last_id))
        return e->first_id <= s->last_id + (e->has_previous_id ? 0 : 1);
    return e->has_previous_id ? e->previous_id == s->last_id : e->first_id == s->last_id + 1;
}

static enum sync_step
gap(struct sync *s)
{
    book_clear(&s->book);
    s->state = SYNC_WAITING;
    return SYNC_GAP;
}

static enum sync_step
diff_apply(struct sync *s, const struct md_event *e)
{
    if (diff_is_old(s, e))
        return SYNC_KEPT;
    if (!diff_follows(s, e))
        return gap(s);
    book_side_apply(&s->book.bids, e->bids, e->bid_count);
    book_side_apply(&s->book.asks, e->asks, e->ask_count);
    s->last_id = e->last_id;
    s->is_first = false;
    return book_crossed(&s->book) ? gap(s) : SYNC_APPLIED;
}

/* The kept diffs, in order, on top of the snapshot. */
static enum sync_step
kept_apply(struct sync *s)
{
    for (uint32_t i = 0; i < s->kept_count; i++) {
        const struct sync_diff *d = &s->kept[i];
        struct md_event e = {.first_id = d->first_id,
                             .last_id = d->last_id,
                             .previous_id = d->previous_id,
                             .has_previous_id = d->has_previous_id,
                             .bids = &s->kept_levels[d->bid_at],
                             .bid_count = d->bid_count,
                             .asks = &s->kept_levels[d->ask_at],
                             .ask_count = d->ask_count};
        if (diff_apply(s, &e) == SYNC_GAP)
            return SYNC_GAP;
    }
    kept_clear(s);
    return SYNC_BEGUN;
}

static enum sync_step
snapshot_apply(struct sync *s, const struct md_event *e)
{
    /* One that is no newer than a true book tells nothing. */
    if (s->state == SYNC_TRUE && e->last_id <= s->last_id)
        return SYNC_KEPT;

    enum sync_state before = s->state;
    book_clear(&s->book);
    book_side_apply(&s->book.bids, e->bids, e->bid_count);
    book_side_apply(&s->book.asks, e->asks, e->ask_count);
    s->last_id = e->last_id;
    s->is_first = true;
    s->state = SYNC_TRUE;
    if (book_crossed(&s->book) || kept_apply(s) == SYNC_GAP) {
        /* Too old for the diffs that were kept: the next snapshot may meet them. */
        gap(s);
        return before == SYNC_TRUE ? SYNC_GAP : SYNC_KEPT;
    }
    return SYNC_BEGUN;
}

enum sync_step
sync_apply(struct sync *s, const struct md_event *e)
{
    if (!book_levels_valid(e->bids, e->bid_count) || !book_levels_valid(e->asks, e->ask_count))
        return SYNC_INVALID;
    if (e->kind == MD_EVENT_BOOK)
        return snapshot_apply(s, e);

    CHECK(e->kind == MD_EVENT_DIFF);
    if (e->first_id > e->last_id)
        return SYNC_INVALID;
    if (s->state == SYNC_TRUE) {
        enum sync_step step = diff_apply(s, e);
        if (step == SYNC_GAP)
            diff_keep(s, e);
        return step;
    }
    s->state = SYNC_WAITING;
    diff_keep(s, e);
    return SYNC_KEPT;
}
