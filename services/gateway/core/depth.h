/*
 * depth.h - the true book of one symbol, and for any follower what changed since it last heard.
 *
 * The messages of "t.<SYMBOL>." are numbered. A missing number is asked for again, and where that
 * is too old a snapshot is; until the answer the book stands still and its caller keeps what comes.
 *
 *     AWAITS_BOOK --md_book--> TRUE --gap--> AWAITS_RESEND --all of it--> TRUE
 *          ^                    |                |
 *          +-- numbers fall back+----- too old --+
 *
 * Each message that changes the book is a step, which remembers the prices it touched. A follower
 * has a place among the steps: it gets the levels touched since, as they are now. So a slow
 * follower's changes merge by themselves and nothing is kept for it. Who is further behind than the
 * steps reach, or was there before the book was set anew, needs a snapshot.
 *
 * Of a source without depth the book is the touch: one level a side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_DEPTH_H
#define SCRIP_GATEWAY_CORE_DEPTH_H

#include "base/msg.h"

#define DEPTH_LEVELS_MAX  5000u /* a side */
#define DEPTH_STEPS_MAX   1024u
#define DEPTH_CHANGES_MAX 8192u
#define DEPTH_NO_PLACE    0 /* of a follower that has nothing yet */

enum depth_state { DEPTH_AWAITS_BOOK, DEPTH_AWAITS_RESEND, DEPTH_TRUE };

enum depth_verdict {
    DEPTH_SAME,    /* taken or known; the book is as it was */
    DEPTH_CHANGED, /* followers have something to hear */
    DEPTH_HOLD,    /* an answer is awaited: keep it, and give it again then */
    DEPTH_ASK      /* as DEPTH_HOLD, and the question is new: see the state */
};

struct depth_side {
    struct level *levels; /* the best is the last */
    uint32_t count;
};

struct depth_step {
    uint64_t previous, sequence; /* the book was true after the one, and then after the other */
    uint64_t first_update_id, last_update_id;
    uint64_t changes_begin, changes_end; /* counted ever, as the steps themselves */
};

struct depth {
    code_t symbol;
    enum depth_state state;
    uint64_t sequence;         /* of the last message taken */
    uint64_t changed_sequence; /* of the last that changed the book */
    uint64_t missing_to;       /* AWAITS_RESEND: from sequence + 1 to this */
    uint64_t resent_to;        /* and what the answer under way brings; 0 = none is */
    uint64_t last_update_id;
    int64_t time_us;
    enum liquidity source;
    enum stream_state stream;
    struct depth_side sides[2]; /* bids, asks */
    uint32_t levels_max;
    struct depth_step *steps;
    uint64_t steps_begin, steps_end; /* counted ever, from 1 */
    int64_t *changes;                /* prices; asks are negative */
    uint64_t changes_end;
};

size_t depth_bytes(uint32_t levels_max);
/* Borrows `bytes`, of depth_bytes(), aligned to 16. Awaits its book. */
void depth_init(struct depth *d, code_t symbol, uint32_t levels_max, void *bytes);

/* A message as it is published; `is_late` when it was kept or asked for. Others are DEPTH_SAME. */
enum depth_verdict depth_take(struct depth *d, const struct msg *m, bool is_late);
/* Answers. The book: what was kept is to be given now. False: it was not awaited. */
bool depth_take_book(struct depth *d, const struct md_book *book);
/* What follows it comes by depth_take_resent(), true at the last of it: what was kept is to be
 * given now. CHANGED there says that it changed something. */
enum depth_verdict depth_take_head(struct depth *d, const struct md_resent *head);
bool depth_take_resent(struct depth *d, const struct msg *m, enum depth_verdict *out);

/* Whether a follower at this place has something to hear. */
static inline bool
depth_is_due(const struct depth *d, uint64_t place)
{
    return d->state != DEPTH_AWAITS_BOOK && place != d->steps_end;
}

/* The levels touched since a place, best first, each once, into `room` of DEPTH_CHANGES_MAX; moves
 * the place. False: a snapshot is needed. */
bool depth_since(const struct depth *d, uint64_t *place, struct level *room, struct md_depth *out,
                 uint64_t *previous);
/* The best `levels` of each side into `room` of 2 * levels. */
void depth_snapshot(const struct depth *d, uint32_t levels, uint64_t *place, struct level *room,
                    struct md_book *out);
void depth_check(const struct depth *d);

#endif
