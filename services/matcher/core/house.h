/*
 * house.h - what the market's messages mean for a book: the house's liquidity, prices, prints.
 *
 *   DEPTH   the levels of the market's book; quotes and trades do not change them
 *           (a print may fill resting orders all the same: model.h)
 *   QUOTE   one level a side, the best bid and ask; a side that did not change keeps what our
 *           fills left of it
 *   TRADE   the last print gives its quantity at its price on both sides
 *
 * Every word of the market on a level sets it anew; until then it is what our fills left of it.
 * Messages of a symbol are numbered. A gap, or numbers that fall back (the publisher began anew),
 * makes the house await a snapshot; so does silence: marketdata beats every second, whatever the
 * market does. Meanwhile, as books.stale_fills says, the house is withdrawn, so that no fill rests
 * on a book that may be wrong, or stays as it was last. What it misses it gets with the snapshot.
 * A publisher that says its own stream is STALE or HEALING makes the house doubtful: it is
 * withdrawn likewise, or goes on with what comes, until the publisher says that it is LIVE again.
 *
 *   UNKNOWN --any message--> AWAITING --md_book--> LIVE --gap, fall back, silence--> AWAITING
 *      ^                         |                   |
 *      +---- the symbol is removed ------------------+
 *
 * The caller keeps messages that arrive while a book is AWAITING and gives them again, in order,
 * after the snapshot: those that the snapshot covers are skipped here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_HOUSE_H
#define SCRIP_MATCHER_CORE_HOUSE_H

#include "matcher/core/book.h"

enum house_outcome {
    HOUSE_SAME,    /* nothing that could trade has changed */
    HOUSE_CHANGED, /* resting orders may now cross */
    HOUSE_LOST     /* withdrawn just now: a snapshot is needed */
};

/* Applies md_trade, md_quote, md_depth, md_mark, md_liquidation, md_book or md_beat of the book's
 * symbol. A md_book with a `corr` answers a question, and is not part of the numbered stream. */
enum house_outcome house_apply(struct books *s, struct book *b, const struct msg *m);
/* Its market is no more: the house is withdrawn, and asks for nothing until somebody speaks of the
 * symbol again. */
void house_withdraw(struct books *s, struct book *b);
/* The house awaits a snapshot from here on. */
enum house_outcome house_lose(struct books *s, struct book *b);

/* Whether its levels are shown to be traded with. */
static inline bool
house_is_shown(const struct books *s, const struct book *b)
{
    return b->house.state == HOUSE_LIVE ||
           (b->house.state == HOUSE_AWAITING && s->stale_fills != STALE_HOLD);
}

/* Whether it is withdrawn because its market may have said what nobody heard. */
static inline bool
house_is_held(const struct books *s, const struct book *b)
{
    return b->house.state == HOUSE_AWAITING && s->stale_fills == STALE_HOLD;
}

/* Whether what it shows may be wrong. */
static inline bool
house_is_stale(const struct book *b)
{
    return b->house.state == HOUSE_AWAITING || b->house.is_doubtful;
}

/* How long, all in all, this book's house was withdrawn after it had been live. */
int64_t house_held_us(const struct books *s, const struct book *b);
/* Whether a print of this time happened before the market's last word on its levels. */
bool house_is_late(const struct book *b, int64_t time_us);

#endif
