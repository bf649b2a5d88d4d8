/*
 * taker.c - the match loop's one step, and the two ways in which a book at rest can cross.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/taker.h"

#include "base/check.h"
#include "matcher/core/model.h"

#define BPS INT64_C(10000)

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

/* What a taker pays for what the house shows at a price. */
static int64_t
taker_price(const struct taker *t, int64_t shown)
{
    if (t->slippage_bps == 0)
        return shown;
    __int128 bps = t->side == SIDE_BUY ? (__int128)BPS + t->slippage_bps : BPS - t->slippage_bps;
    __int128 scaled = bps * shown;
    __int128 price = t->side == SIDE_BUY ? (scaled + BPS - 1) / BPS : scaled / BPS;
    bool is_beyond = t->side == SIDE_BUY ? price > t->limit : price < t->limit;
    return is_beyond ? t->limit : (int64_t)price;
}

/* Takes off a taker what it got, or what was prevented. */
static void
taker_pay(struct taker *t, int64_t price, int64_t quantity)
{
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

/* ---- Makers -------------------------------------------------------------------------------- */

static void
fill_house(struct books *s, struct book *b, enum side side, int64_t quantity, struct fill *f)
{
    const struct house_level *h = &s->houses[b->sides[side - 1].house.best_slot];
    f->is_house = true;
    f->maker = (struct filled){.price = h->price,
                               .shown = h->left,
                               .sequence = h->sequence,
                               .time_us = h->time_us,
                               .record = RESTING_NONE};
    book_consume(s, b, side, quantity);
}

static void
say_who(const struct books *s, uint32_t order, struct filled *who)
{
    const struct resting *r = &s->orders.at[order];
    *who = (struct filled){.order_id = r->id,
                           .record = order,
                           .ledger = r->ledger,
                           .price = r->price,
                           .shown = r->quantity};
}

/* Takes a quantity off a resting order and says whose it was; `end` is what it means when that was
 * its last. */
static void
take_user(struct books *s, struct book *b, uint32_t order, int64_t quantity, enum order_end end,
          struct filled *who)
{
    say_who(s, order, who);
    switch (book_reduce(s, b, order, quantity)) {
    case REDUCED_GOES_ON:
        break;
    case REDUCED_RENEWED:
        who->rank = s->orders.at[order].rank;
        break;
    case REDUCED_KEPT:
        who->is_kept = true;
        who->end = end;
        break;
    case REDUCED_FREED:
        who->end = end;
        break;
    }
}

/* ---- Self-trade prevention ------------------------------------------------------------------ */

static bool
is_prevented(enum self_trade_prevention mode, uint64_t account, const struct resting *maker)
{
    return mode > SELF_TRADE_PREVENTION_ALLOW && maker->account == account;
}

/* Ends a resting order with all that is left of it. */
static void
expire_user(struct books *s, struct book *b, uint32_t order, struct filled *who)
{
    say_who(s, order, who);
    who->prevented = book_left(s, order);
    who->end = ORDER_END_SELF_TRADE;
    who->is_kept = s->orders.at[order].has_more;
    book_unlink(s, b, order);
    if (!who->is_kept)
        resting_free(&s->orders, order);
}

static void
decrement_user(struct books *s, struct book *b, uint32_t order, int64_t quantity,
               struct filled *who)
{
    take_user(s, b, order, quantity, ORDER_END_SELF_TRADE, who);
    who->prevented = quantity;
}

static void
expire_taker(struct taker *t, int64_t want)
{
    t->prevented += t->by_funds ? want : t->quantity;
    t->is_done = t->is_prevented = true;
}

/* The next maker is of the taker's own account. False when no step came of it. */
static bool
prevent(struct books *s, struct book *b, struct taker *t, uint32_t order, int64_t want,
        struct fill *f)
{
    const struct resting *r = &s->orders.at[order];
    int64_t price = r->price, quantity = want < r->quantity ? want : r->quantity;
    f->price = price;
    f->quantity = 0;
    f->is_house = false;
    f->is_prevented = true;
    if (t->prevention == SELF_TRADE_PREVENTION_DECREMENT) {
        decrement_user(s, b, order, quantity, &f->maker);
        taker_pay(t, price, quantity);
        t->prevented += quantity;
        t->is_prevented = t->is_done;
        return true;
    }
    if (t->prevention != SELF_TRADE_PREVENTION_EXPIRE_MAKER)
        expire_taker(t, want);
    if (t->prevention == SELF_TRADE_PREVENTION_EXPIRE_TAKER)
        return false;
    expire_user(s, b, order, &f->maker);
    return true;
}

/* ---- Takers -------------------------------------------------------------------------------- */

/* At equal price, whether the house's level comes before the users'. */
static bool
house_is_first(const struct books *s, const struct book *b, enum side side)
{
    if (b->venue != VENUE_PARTICIPANT)
        return true;
    const struct book_side *bs = &b->sides[side - 1];
    uint32_t order = s->levels[bs->users.best_slot].head;
    return (uint64_t)s->since_us[bs->house.best_slot] < s->orders.at[order].rank;
}

bool
taker_next(struct books *s, struct book *b, struct taker *t, struct fill *f)
{
    enum side side = side_other(t->side);
    const struct book_side *bs = &b->sides[side - 1];
    if (t->is_done)
        return false;
    int64_t users = bs->users.best_key, house = book_house_best(b, side);
    int64_t key = house > users ? house : users;
    if (key < ladder_key(side, t->limit))
        return false;
    bool is_house = house > users || (house == users && house_is_first(s, b, side));
    int64_t price = ladder_price(side, key);
    if (is_house)
        price = taker_price(t, price);
    int64_t want = taker_want(t, price);
    if (want == 0) {
        t->is_done = t->has_filled && t->side == SIDE_BUY;
        return false;
    }
    if (is_house) {
        int64_t left = s->houses[bs->house.best_slot].left;
        f->quantity = want < left ? want : left;
        fill_house(s, b, side, f->quantity, f);
    } else {
        uint32_t order = s->levels[bs->users.best_slot].head;
        const struct resting *r = &s->orders.at[order];
        if (is_prevented(t->prevention, t->account, r))
            return prevent(s, b, t, order, want, f);
        f->quantity = want < r->quantity ? want : r->quantity;
        f->is_house = false;
        take_user(s, b, order, f->quantity, ORDER_END_COMPLETE, &f->maker);
    }
    f->is_prevented = false;
    f->price = price;
    t->has_filled = true;
    taker_pay(t, price, f->quantity);
    return true;
}

/* Where a count of what a taker may have came to an end: at an order of its own. */
struct stop {
    int64_t key; /* LADDER_NO_KEY = nowhere */
    uint64_t rank;
};

/* Takes off `left` what users of other accounts offer in one level; false when an own order ends
 * the count. What icebergs hide comes behind all others. */
static bool
count_level(const struct books *s, const struct taker *t, uint32_t level, int64_t *left,
            struct stop *stop)
{
    int64_t hidden = 0;
    for (uint32_t o = s->levels[level].head; o != RESTING_NONE && *left > 0;
         o = s->orders.at[o].next) {
        const struct resting *r = &s->orders.at[o];
        if (!is_prevented(t->prevention, t->account, r)) {
            *left -= r->quantity < *left ? r->quantity : *left;
            hidden += book_left(s, o) - r->quantity;
        } else if (t->prevention != SELF_TRADE_PREVENTION_EXPIRE_MAKER) {
            *stop = (struct stop){ladder_key((enum side)r->side, r->price), r->rank};
            return false;
        }
    }
    *left -= hidden < *left ? hidden : *left;
    return true;
}

/* Whether a house level comes before the order at which the count ended. */
static bool
is_before(const struct books *s, const struct book *b, uint32_t house, int64_t key,
          struct stop stop)
{
    if (key != stop.key)
        return key > stop.key;
    return b->venue != VENUE_PARTICIPANT || (uint64_t)s->since_us[house] < stop.rank;
}

/* As book_has(), less own orders and what lies behind one that would end the taker. */
static bool
others_have(const struct books *s, const struct book *b, const struct taker *t)
{
    enum side side = side_other(t->side);
    const struct book_side *bs = &b->sides[side - 1];
    int64_t limit = ladder_key(side, t->limit), left = t->quantity;
    struct stop stop = {LADDER_NO_KEY, 0};
    struct ladder_at at;
    for (bool on = ladder_first(&bs->users, &s->nodes, &at); on && left > 0;
         on = ladder_next(&s->nodes, &at))
        if (s->nodes.at[at.node].keys[at.i] < limit ||
            !count_level(s, t, ladder_slot(&s->nodes, at), &left, &stop))
            break;
    if (b->venue == VENUE_OFF)
        return left == 0;
    for (bool on = ladder_first(&bs->house, &s->nodes, &at); on && left > 0;
         on = ladder_next(&s->nodes, &at)) {
        uint32_t house = ladder_slot(&s->nodes, at);
        int64_t key = s->nodes.at[at.node].keys[at.i];
        if (key < limit || !is_before(s, b, house, key, stop))
            break;
        int64_t here = s->houses[house].left;
        left -= here < left ? here : left;
    }
    return left == 0;
}

bool
taker_can_fill(const struct books *s, const struct book *b, const struct taker *t)
{
    enum side side = side_other(t->side);
    if (t->prevention > SELF_TRADE_PREVENTION_ALLOW)
        return others_have(s, b, t);
    return book_has(s, b, side, ladder_key(side, t->limit), t->quantity);
}

void
book_fill(struct books *s, struct book *b, uint32_t order, int64_t quantity, struct filled *who)
{
    take_user(s, b, order, quantity, ORDER_END_COMPLETE, who);
}

/* ---- What crosses at rest ------------------------------------------------------------------- */

static bool
fire_side(struct books *s, struct book *b, enum side side, struct fill *f)
{
    enum side other = side_other(side);
    const struct ladder *users = &b->sides[side - 1].users;
    const struct ladder *house = &b->sides[other - 1].house;
    if (users->count == 0 || house->count == 0)
        return false;
    int64_t price = ladder_price(side, users->best_key);
    if (book_house_best(b, other) < ladder_key(other, price))
        return false;
    bool is_at = house->best_key == ladder_key(other, price);
    uint32_t order = model_first(s, b, users->best_slot, is_at);
    if (order == RESTING_NONE)
        return false;
    int64_t left = s->houses[house->best_slot].left;
    int64_t want = s->orders.at[order].quantity;
    f->price = price;
    f->quantity = want < left ? want : left;
    f->is_prevented = false;
    fill_house(s, b, other, f->quantity, f);
    take_user(s, b, order, f->quantity, ORDER_END_COMPLETE, &f->taker);
    return true;
}

bool
book_fire(struct books *s, struct book *b, struct fill *f)
{
    if (model_print_next(s, b, f) || fire_side(s, b, SIDE_BUY, f) || fire_side(s, b, SIDE_SELL, f))
        return true;
    s->passed.level = LEVEL_NONE;
    return false;
}

/* Two resting orders of one account would trade with each other. */
static void
prevent_uncross(struct books *s, struct book *b, uint32_t maker, uint32_t taker, struct fill *f)
{
    enum self_trade_prevention mode = (enum self_trade_prevention)s->orders.at[taker].prevention;
    int64_t quantity = f->quantity;
    f->quantity = 0;
    say_who(s, maker, &f->maker);
    say_who(s, taker, &f->taker);
    if (mode == SELF_TRADE_PREVENTION_DECREMENT) {
        decrement_user(s, b, maker, quantity, &f->maker);
        decrement_user(s, b, taker, quantity, &f->taker);
        return;
    }
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_TAKER)
        expire_user(s, b, maker, &f->maker);
    if (mode != SELF_TRADE_PREVENTION_EXPIRE_MAKER)
        expire_user(s, b, taker, &f->taker);
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
    uint32_t maker = bid_first ? bid : ask, taker = bid_first ? ask : bid;
    f->is_house = false;
    f->quantity = at[bid].quantity < at[ask].quantity ? at[bid].quantity : at[ask].quantity;
    f->price = at[maker].price;
    f->is_prevented = is_prevented((enum self_trade_prevention)at[taker].prevention,
                                   at[taker].account, &at[maker]);
    if (f->is_prevented) {
        prevent_uncross(s, b, maker, taker, f);
        return true;
    }
    take_user(s, b, maker, f->quantity, ORDER_END_COMPLETE, &f->maker);
    take_user(s, b, taker, f->quantity, ORDER_END_COMPLETE, &f->taker);
    return true;
}
