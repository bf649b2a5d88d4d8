/*
 * taker.h - how orders trade: one fill at a time, the same code for both sides.
 *
 * A taker walks the other side of its book from the best price. At equal price the house comes
 * first, then users by rank; the maker's price is the price of the fill. What a fill takes is
 * gone: a house level stays consumed until the market's next word on it, so that nothing is
 * filled twice from one displayed quantity. A resting order that the house moves through fills
 * at its own price. The caller turns fills into reports.
 *
 * By quote amount: a buyer spends at most `funds`, in quantities cut down to `step_size`; it is
 * done when what is left does not buy one step, or only dust that costs nothing. A seller sells at
 * most `quantity` until `funds` are received, its last quantity rounded up to `step_size`. A fill's
 * quote amount is rounded down, so a fill of dust may be worth 0: both sides book the same 0, and
 * the symbol's NOTIONAL filter keeps whole orders above that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_CORE_TAKER_H
#define SCRIP_MATCHER_CORE_TAKER_H

#include "matcher/core/book.h"

struct taker {
    enum side side;
    int64_t limit;     /* worst price it takes */
    int64_t quantity;  /* still to fill; INT64_MAX for a buyer by quote amount */
    int64_t funds;     /* still to spend or to receive */
    int64_t step_size; /* at least 1 */
    bool by_funds;
    bool has_filled;
    bool is_done; /* has all that it asked for */
};

/* Who was on one side of a fill. */
struct filled {
    uint64_t order_id; /* 0 = the house, or the taker itself */
    uint16_t ledger;
    bool is_complete;
    int64_t price; /* shown by the house, or the order's limit */
    int64_t shown; /* quantity there before the fill */
    /* the house only */
    uint64_t sequence;
    int64_t time_us;
};

struct fill {
    int64_t price, quantity;
    bool is_house; /* `maker` is the house */
    struct filled maker;
    struct filled taker; /* book_uncross() and book_fire() only */
};

/* The next fill of a taker, carried out. False when it is done or finds nothing more. */
bool taker_next(struct books *s, struct book *b, struct taker *t, struct fill *f);

/* Whether the taker's quantity can be had at once, without changing anything. Not by_funds. */
bool taker_can_fill(const struct books *s, const struct book *b, const struct taker *t);

/* Whether its best opposite price, house's or users', is within its limit. */
static inline bool
taker_would_take(const struct book *b, const struct taker *t)
{
    enum side other = side_other(t->side);
    return book_best(b, other) >= ladder_key(other, t->limit);
}

/*
 * The next fill of a resting order that the house's liquidity crosses, carried out: best price
 * first, then rank, at the order's own price. `f->taker` is the order, `f->maker` the house.
 */
bool book_fire(struct books *s, struct book *b, struct fill *f);
/*
 * The next fill between two users' resting orders that cross, which only a resync can bring
 * about, carried out: best prices first; the lower rank is the maker and gives its price.
 */
bool book_uncross(struct books *s, struct book *b, struct fill *f);

#endif
