/*
 * taker.h - how orders trade: one fill at a time, the same code for both sides.
 *
 * A taker walks the other side of its book from the best price. At equal price the house comes
 * first, then users by rank (or as the book's `venue` says); the maker's price is the price of the
 * fill. What a fill takes is gone: a house level stays consumed until the market's next word on
 * it, so that nothing is filled twice from one displayed quantity. A resting order that the house
 * moves through fills at its own price. The caller turns fills into reports.
 *
 * Slippage: what a taker gets from the house costs `slippage_bps` more than shown (rounded against
 * it to 10^-8), never beyond its limit. Users' prices are what they are.
 *
 * Self-trade prevention: where the next maker is of the taker's own account, the taker's mode
 * decides. Such a step is no fill: `is_prevented`, quantity 0. EXPIRE_TAKER ends the taker's rest
 * and needs no step. EXPIRE_MAKER ends the maker, hidden quantity included; EXPIRE_BOTH ends both.
 * DECREMENT takes the smaller of what the taker wants and the maker shows off both.
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
    uint64_t account;
    enum self_trade_prevention prevention; /* absent: as ALLOW */
    uint32_t slippage_bps;
    bool by_funds;
    bool has_filled;
    bool is_done;      /* has all that it asked for, or its rest was prevented */
    bool is_prevented; /* ended by self-trade prevention: SELF_TRADE, not COMPLETE */
    int64_t prevented; /* base quantity taken off it so far by self-trade prevention */
};

/* Who was on one side of a fill. */
struct filled {
    uint64_t order_id;  /* 0 = the house, or the taker itself */
    uint64_t rank;      /* set when an iceberg's next slice joined its level with this rank */
    int64_t prevented;  /* taken off it in this step by self-trade prevention */
    enum order_end end; /* COMPLETE, SELF_TRADE; NONE = it goes on */
    uint32_t record;    /* while it is there, and when is_kept */
    uint16_t ledger;
    bool is_kept;  /* it ended and `has_more`: unlinked; the caller lets go of its timer, story and
                      pair, then calls resting_free(). Others are forgotten already. */
    int64_t price; /* shown by the house, or the order's limit */
    int64_t shown; /* quantity there before the fill, of an iceberg what is in view */
    /* the house only */
    uint64_t sequence;
    int64_t time_us;
    enum liquidity source; /* TRADE = a print; absent: what the house is made of */
};

struct fill {
    int64_t price, quantity;
    bool is_house;     /* `maker` is the house */
    bool is_prevented; /* no fill: see above */
    struct filled maker;
    struct filled taker; /* book_uncross() and book_fire() only */
};

/* The next fill of a taker, carried out. False when it is done or finds nothing more. */
bool taker_next(struct books *s, struct book *b, struct taker *t, struct fill *f);

/* Whether the taker's quantity can be had at once, without changing anything. Not by_funds. Orders
 * of its own account, and what it would not come to after them, do not count. */
bool taker_can_fill(const struct books *s, const struct book *b, const struct taker *t);

/* Whether its best opposite price, house's or users', is within its limit. */
static inline bool
taker_would_take(const struct book *b, const struct taker *t)
{
    enum side other = side_other(t->side);
    return book_best(b, other) >= ladder_key(other, t->limit);
}

/*
 * The next fill of a resting order by the print under way, or by the house's liquidity that
 * crosses it as its fill model says, carried out: best price first, then rank, at the order's own
 * price. `f->taker` is the order, `f->maker` the house.
 */
bool book_fire(struct books *s, struct book *b, struct fill *f);
/* Fills a resting order for model.h, and says whose it was. */
void book_fill(struct books *s, struct book *b, uint32_t order, int64_t quantity,
               struct filled *who);
/*
 * The next fill between two users' resting orders that cross, which only a resync can bring
 * about, carried out: best prices first; the lower rank is the maker and gives its price. The
 * higher rank's mode of self-trade prevention holds, as if it were the taker.
 */
bool book_uncross(struct books *s, struct book *b, struct fill *f);

#endif
