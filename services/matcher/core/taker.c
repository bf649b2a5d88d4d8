/*
 * taker.c - the match loop's one step, and the two ways in which a book at rest can cross.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/taker.h"

#include "base/check.h"

/* How much of a maker at this price the taker still wants. */
static int64_t
taker_want(const struct taker *t, int64_t price)
{
    if (!t->by_funds)
        return t->quantity;
    int64_t want;
    if (t->funds <= 0)
        return 0;
    if (t->side == SIDE_BUY) {
        if (decimal_div_floor(t->funds, price, &want) != OK)
            want = INT64_MAX;
        want -= want % t->step_size;
        /* What costs nothing would never use up the funds. */
        int64_t quote = 0;
        if (decimal_mul_floor(price, want, &quote) == OK && quote == 0)
            want = 0;
    } else {
        if (decimal_div_ceil(t->funds, price, &want) != OK)
            want = INT64_MAX;
        int64_t over = want % t->step_size;
        if (over != 0 && __builtin_add_overflow(want, t->step_size - over, &want))
            want = INT64_MAX;
    }
    return want < t->quantity ? want : t->quantity;
}

static void
taker_pay(struct taker *t, int64_t price, int64_t quantity)
{
    t->has_filled = true;
    if (!t->by_funds || t->quantity != INT64_MAX)
        t->quantity -= quantity;
    if (!t->by_funds) {
        t->is_done = t->quantity == 0;
        return;
    }
    int64_t quote;
    /* House levels and users' buys keep to int64 quote, and a buyer pays at most its funds. */
    CHECK(decimal_mul_floor(price, quantity, &quote) == OK);
    t->funds -= quote;
    /* A seller that ran out of quantity did not get what it asked for. */
    t->is_done = t->side == SIDE_BUY ? taker_want(t, price) == 0 : t->funds <= 0;
}

static void
fill_house(struct books *s, struct book *b, enum side side, int64_t quantity, struct fill *f)
{
    const struct house_level *h = &s->houses[b->sides[side - 1].house.best_slot];
    f->is_house = true;
    f->maker = (struct filled){
        .price = h->price, .shown = h->left, .sequence = h->sequence, .time_us = h->time_us};
    book_consume(s, b, side, quantity);
}

/* Takes a quantity off a resting order and says whose it was. */
static void
fill_user(struct books *s, struct book *b, uint32_t order, int64_t quantity, struct filled *who)
{
    const struct resting *r = &s->orders.at[order];
    *who = (struct filled){.order_id = r->id,
                           .ledger = r->ledger,
                           .is_complete = r->quantity == quantity,
                           .price = r->price,
                           .shown = r->quantity};
    (void)book_reduce(s, b, order, quantity);
}

bool
taker_next(struct books *s, struct book *b, struct taker *t, struct fill *f)
{
    enum side side = side_other(t->side);
    const struct book_side *bs = &b->sides[side - 1];
    if (t->is_done)
        return false;
    bool is_house = bs->house.best_key >= bs->users.best_key;
    int64_t key = is_house ? bs->house.best_key : bs->users.best_key;
    if (key < ladder_key(side, t->limit))
        return false;
    int64_t price = ladder_price(side, key);
    int64_t want = taker_want(t, price);
    if (want == 0) {
        t->is_done = t->has_filled && t->side == SIDE_BUY;
        return false;
    }
    f->price = price;
    if (is_house) {
        int64_t left = s->houses[bs->house.best_slot].left;
        f->quantity = want < left ? want : left;
        fill_house(s, b, side, f->quantity, f);
    } else {
        uint32_t order = s->levels[bs->users.best_slot].head;
        int64_t left = s->orders.at[order].quantity;
        f->quantity = want < left ? want : left;
        f->is_house = false;
        fill_user(s, b, order, f->quantity, &f->maker);
    }
    taker_pay(t, price, f->quantity);
    return true;
}

bool
taker_can_fill(const struct books *s, const struct book *b, const struct taker *t)
{
    enum side side = side_other(t->side);
    return book_has(s, b, side, ladder_key(side, t->limit), t->quantity);
}

static bool
fire_side(struct books *s, struct book *b, enum side side, struct fill *f)
{
    enum side other = side_other(side);
    const struct ladder *users = &b->sides[side - 1].users;
    const struct ladder *house = &b->sides[other - 1].house;
    if (users->count == 0 || house->count == 0)
        return false;
    int64_t price = ladder_price(side, users->best_key);
    if (house->best_key < ladder_key(other, price))
        return false;
    uint32_t order = s->levels[users->best_slot].head;
    int64_t left = s->houses[house->best_slot].left;
    int64_t want = s->orders.at[order].quantity;
    f->price = price;
    f->quantity = want < left ? want : left;
    fill_house(s, b, other, f->quantity, f);
    fill_user(s, b, order, f->quantity, &f->taker);
    return true;
}

bool
book_fire(struct books *s, struct book *b, struct fill *f)
{
    return fire_side(s, b, SIDE_BUY, f) || fire_side(s, b, SIDE_SELL, f);
}

bool
book_uncross(struct books *s, struct book *b, struct fill *f)
{
    const struct ladder *bids = &b->sides[SIDE_BUY - 1].users;
    const struct ladder *asks = &b->sides[SIDE_SELL - 1].users;
    if (bids->count == 0 || asks->count == 0 ||
        bids->best_key < ladder_price(SIDE_SELL, asks->best_key))
        return false;
    uint32_t bid = s->levels[bids->best_slot].head, ask = s->levels[asks->best_slot].head;
    const struct resting *at = s->orders.at;
    bool bid_first = at[bid].rank < at[ask].rank;
    f->is_house = false;
    f->quantity = at[bid].quantity < at[ask].quantity ? at[bid].quantity : at[ask].quantity;
    f->price = bid_first ? at[bid].price : at[ask].price;
    fill_user(s, b, bid_first ? bid : ask, f->quantity, &f->maker);
    fill_user(s, b, bid_first ? ask : bid, f->quantity, &f->taker);
    return true;
}
