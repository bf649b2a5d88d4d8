/*
 * house.h - what the market's messages mean for the house's liquidity of a book.
 *
 *   DEPTH   the levels of the market's book; quotes and trades do not change them
 *   QUOTE   one level a side, the best bid and ask; a side that did not change keeps what our
 *           fills left of it
 *   TRADE   the last print gives its quantity at its price on both sides
 *
 * Every word of the market on a level sets it anew; until then it is what our fills left of it.
 * Messages of a symbol are numbered. A gap, or numbers that fall back (the publisher began anew),
 * withdraws the house until a snapshot comes: no fill rests on a book that may be wrong. So does
 * silence: marketdata beats every second, whatever the market does.
 *
 *   UNKNOWN --any message--> AWAITING --md_book--> LIVE --gap, fall back, silence--> AWAITING
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

/* The symbol of a market message that a book listens to; NULL for other messages. */
const code_t *house_symbol(const struct msg *m);
/* Applies md_trade, md_quote, md_depth, md_book or md_beat of the book's symbol. A md_book with a
 * `corr` answers a question, and is not part of the numbered stream. */
enum house_outcome house_apply(struct books *s, struct book *b, const struct msg *m);
/* Withdraws the house until a snapshot comes. */
enum house_outcome house_lose(struct books *s, struct book *b);

#endif
