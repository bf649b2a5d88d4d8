/*
 * model.h - the fill models: what of the market's words fills a resting order, and when.
 *
 *              displayed opposite quantity      prints
 *   (absent)   at its price or through it       -
 *   touch      at its price or through it       at its price or through it
 *   through    through it                       through it
 *   queue      at its price or through it       through it; at its price once all that is ahead
 *                                               of it has traded or gone: see queue.h
 *
 * A print is an amount that resting orders share, best price first, then by rank; what one took
 * is gone for the next. It is spent in steps, so that the caller may pause between two fills.
 * Where the source knows only trades, the last print is the display, and queue is as through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_MODEL_H
#define SCRIP_MATCHER_CORE_MODEL_H

#include "matcher/core/book.h"

struct fill;

/* An order with a fill model has joined its level. A queue order that finds no room for a state of
 * its level becomes one of the model through. */
void model_joined(struct books *s, struct book *b, uint32_t order);
/* It is about to leave it. */
void model_left(struct books *s, struct book *b, uint32_t order);
/* An iceberg's next slice has joined the end of its level. */
void model_renewed(struct books *s, uint32_t order);

/* The first order of a level that is filled by quantity displayed on the other side, at the
 * level's own price or through it; RESTING_NONE when there is none. */
uint32_t model_first(struct books *s, const struct book *b, uint32_t level, bool is_at);

/* The market displays this much at a price of a side, by its word of word_us. */
void model_shown(struct books *s, struct book *b, enum side side, int64_t price, int64_t quantity,
                 int64_t word_us);
/* The market's best bid or ask, where that is all it displays, is now this; it was `before`. */
void model_quoted(struct books *s, struct book *b, enum side side, int64_t before,
                  const struct house_level *best);
/* After a snapshot: every level with a state is told what is displayed there. */
void model_shown_all(struct books *s, struct book *b, int64_t word_us);
/* A print begins to fill orders. False when there is nothing for it to do. */
bool model_print(struct books *s, struct book *b, const struct md_trade *t);
/* Its next fill, carried out; as book_fire(). False when it is done. */
bool model_print_next(struct books *s, struct book *b, struct fill *f);

/* Whether all orders of a level may rest where the other side displays its own price. */
bool model_may_lock(const struct books *s, const struct book *b, uint32_t level);
/* NULL, or what is wrong with a level of orders with fill models. Looks at everything. */
const char *model_check(const struct books *s, uint32_t level);

#endif
