/*
 * sync.h - a book kept true from one snapshot and diffs, by Binance's rules.
 *
 *              diff                    snapshot that meets the diffs
 *     EMPTY ----------> WAITING ------------------------------------> TRUE
 *       |                  ^                                            |
 *       +-- snapshot --> TRUE        a gap, or a crossed book: WAITING -+
 *
 * While WAITING, diffs are kept for the snapshot to come. Spot: the first diff after the snapshot
 * L has U <= L + 1 <= u, each later one U = u' + 1; futures: U <= L <= u, then pu = u'. Older
 * diffs are dropped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SYNC_H
#define SCRIP_MARKETDATA_SYNC_H

#include "marketdata/core/book.h"
#include "marketdata/core/event.h"

#define SYNC_DIFFS_MAX 256u

enum sync_state { SYNC_EMPTY, SYNC_WAITING, SYNC_TRUE };

/* What one event did. */
enum sync_step {
    SYNC_KEPT,    /* kept for the snapshot, or dropped as old */
    SYNC_APPLIED, /* the diff changed the book */
    SYNC_BEGUN,   /* the book was set anew and is true */
    SYNC_GAP,     /* the book was true and is no longer; it is empty now */
    SYNC_INVALID, /* not to be believed (a price of 0, ids that run backwards): nothing changed */
};

struct sync_diff {
    uint64_t first_id, last_id, previous_id;
    bool has_previous_id;
    uint32_t bid_at, bid_count, ask_at, ask_count; /* in `kept_levels` */
};

struct sync {
    struct book book;
    enum sync_state state;
    uint64_t last_id;
    bool is_first; /* no diff has followed the snapshot yet */
    /* Diffs waiting for a snapshot. */
    struct sync_diff kept[SYNC_DIFFS_MAX];
    uint32_t kept_count;
    struct level *kept_levels;
    uint32_t kept_levels_count, kept_levels_max;
};

/* Takes its arrays from `memory`: 2 * levels_max + kept_levels_max levels. */
void sync_init(struct sync *s, uint32_t levels_max, uint32_t kept_levels_max, struct arena *memory);
/* The source starts anew: nothing of the old update ids holds. */
void sync_reset(struct sync *s);
/* For MD_EVENT_DIFF and MD_EVENT_BOOK. */
enum sync_step sync_apply(struct sync *s, const struct md_event *e);

#endif
