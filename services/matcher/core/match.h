/*
 * match.h - the matcher's core: orders of ledgers and words of the market in, reports out.
 *
 * A pure state machine over all symbols. match_apply() takes one message; where its effects do
 * not fit into the outbox it stops between two fills, match_busy() says so, and match_resume()
 * goes on once the shell has sent what is there. Nothing else may be applied in between, so that
 * to every observer a message happens at once.
 *
 * Outbox: OUT_LEDGER (link_ready, link_lost, order_report, order_explained; `peer` is the ledger's)
 * and OUT_MARKET (md_snapshot_get). The first report of an order carries the correlation id of its
 * order_work, those that answer a pull or a trim the id of that, all others none.
 *
 * - A pull or a trim of an order that is not here is not answered, only counted. A session's
 *   frames are in order and complete, and a synced matcher has had every open order: so the report
 *   that ended this one is already under way to the ledger, in front of any answer.
 * - During a resync the ledger's orders wait outside of the books: nobody fills them. At
 *   link_synced those that had rested go back to their rank and the armed ones to their triggers,
 *   then what crosses is matched, then the others go on their way, in the order they were sent.
 * - Ranks rise: the time in microseconds, or one more than the greatest ever given or seen.
 * - Every order is in one place: with its ledger's resync, on its way, with its pair, armed, ready,
 *   being worked, in a book. life.h has the picture.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_MATCH_H
#define SCRIP_MATCHER_CORE_MATCH_H

#include "base/map.h"
#include "base/outbox.h"
#include "matcher/core/book.h"
#include "matcher/core/link.h"
#include "matcher/core/taker.h"
#include "matcher/core/timer.h"
#include "matcher/core/trigger.h"

#define MATCH_FILLS_MAX   64         /* fills in one order_report */
#define MATCH_OUT_MIN     8          /* what an outbox must have room for */
#define MATCH_OUT_BYTES   (16 << 10) /* likewise, for lists */
#define MATCH_LINK_NONE   UINT32_MAX
#define MATCH_REFUSED_MAX 64
#define MATCH_RANK_MAX    (UINT64_C(1) << 62)

struct match_limits {
    struct books_limits books;
    uint32_t ledgers_max;
    int64_t silence_us;        /* a ledger unheard for longer is away */
    int64_t market_silence_us; /* a market unheard for longer is withdrawn; 0 = never */
    int64_t ask_again_us;      /* between two questions for one symbol's snapshot */
    int64_t tell_again_us;     /* between two link_lost to one ledger */
    enum stale_fills stale_fills;
    uint32_t errands_max; /* pulls and trims on their way; what finds no room arrives at once */
};

struct match_counts {
    uint64_t works, pulls, reports, fills; /* a fill between two users counts once */
    uint64_t pulls_unknown;                /* see above: not an error */
    uint64_t works_invalid;                /* ended at once: amounts that cannot be worked */
    uint64_t works_repeated;               /* dropped: the order is here already */
    uint64_t stale;                        /* messages of a past session */
    uint64_t unexpected;                   /* messages that are not for a matcher */
    uint64_t sessions, losses;
    uint64_t gaps; /* times a house was withdrawn */
    uint64_t ticks;
    uint64_t symbols_refused;
    uint64_t triggered, expired; /* orders */
    uint64_t trims, trims_unknown;
};

/* An order that is being worked. */
struct work {
    uint64_t order_id, corr;
    uint32_t book;
    uint32_t record; /* RESTING_NONE = a plain order: it has none until it rests */
    uint16_t ledger;
    enum order_type type; /* MARKET, LIMIT, LIMIT_MAKER: what it is once it is set off */
    enum time_in_force in_force;
    int64_t price;
    int64_t total;     /* its quantity as a whole, what was executed included */
    int64_t prevented; /* of what the taker counts, told */
    struct taker taker;
};

/* The report that fills are gathered for. */
struct gathered {
    uint64_t order_id, corr;
    uint64_t rank;        /* of the slice that joined its level last */
    int64_t triggered_us; /* when it was set off, in this step */
    int64_t prevented;
    uint16_t ledger;
    uint32_t count;
    struct match_fill fills[MATCH_FILLS_MAX];
};

/* An order of this list could not be taken, and its other one had not come. */
struct refused_list {
    uint64_t list_id;
    uint16_t ledger;
};

struct match {
    struct match_limits limits;
    struct books books;
    struct book *book; /* by number */
    uint32_t books_count;
    struct map symbols; /* hash of the symbol to the book's number */
    struct link *links;
    uint32_t links_count;
    struct match_counts counts;
    /* what is left to do of the message at hand */
    int64_t now_us;
    struct timers timers;
    struct triggers triggers;
    struct chain ready;                             /* orders whose next step is due: see life.h */
    uint32_t delayed, pairs;                        /* orders on their way; pairs in hand */
    struct refused_list refused[MATCH_REFUSED_MAX]; /* lately: the two are sent close together */
    uint32_t refused_next;
    bool is_due;     /* times have come that are not carried out */
    bool is_working; /* `work` has not come to its end */
    struct work work;
    struct gathered gathered;
    uint32_t dirty;       /* first book in which something may cross, BOOK_NONE = none */
    uint32_t syncing;     /* link whose waiting orders are being placed, MATCH_LINK_NONE = none */
    uint32_t sync_before; /* order placed last, RESTING_NONE = none */
    bool is_busy;
};

size_t match_bytes(const struct match_limits *limits);
/* Lives in zeroed memory of match_bytes(), aligned to 64, borrowed for good. */
struct match *match_init(const struct match_limits *limits, void *zeroed);

/* Applies a message. `frame` heads the frame it came in and `peer` sent it (ledgers only; NULL
 * and 0 for market messages). The outbox has at least MATCH_OUT_MIN and MATCH_OUT_BYTES room. */
void match_apply(struct match *m, uint32_t peer, const struct frame *frame, const struct msg *msg,
                 int64_t now_us, struct outbox *out);
/* Whether the last message has more to say; match_resume() goes on with an emptied outbox. */
static inline bool
match_busy(const struct match *m)
{
    return m->is_busy;
}
void match_resume(struct match *m, struct outbox *out);

/* Time passes: silent ledgers and markets are given up, snapshots that did not come are asked for
 * again, and what is due is carried out; as match_apply(), it may pause. To be called a few times a
 * second. */
void match_time(struct match *m, int64_t now_us, struct outbox *out);
/* Carries out only what is due: arrivals, expiries, delayed pulls and trims. To be called at
 * match_next_us(), and before a message is applied that comes later. It may pause. */
void match_due(struct match *m, int64_t now_us, struct outbox *out);
/* When something is next due; TIMER_NEVER when nothing is. */
static inline int64_t
match_next_us(const struct match *m)
{
    return timers_next_us(&m->timers);
}
/* Begins to listen to a symbol: asks for its snapshot. */
void match_watch(struct match *m, code_t symbol, int64_t now_us, struct outbox *out);
/* A symbol's market is no more: what rests stays, with the house withdrawn, until the market speaks
 * again or is listened to anew. */
void match_unwatch(struct match *m, code_t symbol, int64_t now_us);
/* How the house trades in a symbol; to be said before any order of it comes. */
void match_set_venue(struct match *m, code_t symbol, enum venue venue);
/* A frame of this peer could not be read: its session is lost. */
void match_unreadable(struct match *m, uint32_t peer, int64_t now_us, struct outbox *out);

/* NULL when the symbol is not known. */
const struct book *match_book(const struct match *m, code_t symbol);
/* The link of a peer, NULL when it has none. */
const struct link *match_link(const struct match *m, uint32_t peer);
/* NULL, or which invariant is broken: sums, order, counts, or a book that crosses at rest. */
const char *match_check(const struct match *m);

#endif
