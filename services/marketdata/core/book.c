/*
 * book.c - sorted levels with empty places among them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/book.h"

#include <string.h>

#define COMPACT_FROM 64u

/* Whether a stands nearer to the worst end than b. */
static bool
worse(enum side side, price_t a, price_t b)
{
    return side == SIDE_BUY ? a.v < b.v : a.v > b.v;
}

void
book_init(struct book *b, struct level *bids, struct level *asks, uint32_t max)
{
    b->bids = (struct book_side){.side = SIDE_BUY, .levels = bids, .max = max};
    b->asks = (struct book_side){.side = SIDE_SELL, .levels = asks, .max = max};
}

void
book_clear(struct book *b)
{
    b->bids.count = b->bids.empty = 0;
    b->asks.count = b->asks.empty = 0;
}

bool
book_levels_valid(const struct level *levels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (levels[i].price.v <= 0 || levels[i].quantity.v < 0)
            return false;
    }
    return true;
}

/* The first place whose level is not worse than the price. A level near the touch is found by a
 * few steps from the end; only a far one needs the halving. */
static uint32_t
place_of(const struct book_side *s, price_t price)
{
    uint32_t high = s->count, steps = 0;
    while (high > 0 && !worse(s->side, s->levels[high - 1].price, price)) {
        high--;
        if (++steps == 8)
            break;
    }
    if (steps < 8)
        return high;
    uint32_t low = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (worse(s->side, s->levels[middle].price, price))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
book_side_compact(struct book_side *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->levels[i].quantity.v > 0)
            s->levels[kept++] = s->levels[i];
    }
    s->count = kept;
    s->empty = 0;
}

static void
level_empty(struct book_side *s, uint32_t at)
{
    if (s->levels[at].quantity.v > 0)
        s->empty++;
    s->levels[at].quantity.v = 0;
    while (s->count > 0 && s->levels[s->count - 1].quantity.v == 0) {
        s->count--;
        s->empty--;
    }
}

/* Moves into an empty place beside it; false when there is none. */
static bool
level_move_in(struct book_side *s, uint32_t at, const struct level *level)
{
    if (at < s->count && s->levels[at].quantity.v == 0) {
        s->levels[at] = *level;
    } else if (at > 0 && s->levels[at - 1].quantity.v == 0) {
        s->levels[at - 1] = *level;
    } else {
        return false;
    }
    s->empty--;
    return true;
}

static void
level_insert(struct book_side *s, uint32_t at, const struct level *level)
{
    if (level_move_in(s, at, level))
        return;
    if (s->count == s->max && s->empty > 0) {
        book_side_compact(s);
        at = place_of(s, level->price);
    }
    if (s->count == s->max) {
        if (at == 0)
            return;
        at--;
        memmove(&s->levels[0], &s->levels[1], at * sizeof(s->levels[0]));
    } else {
        memmove(&s->levels[at + 1], &s->levels[at], (s->count - at) * sizeof(s->levels[0]));
        s->count++;
    }
    s->levels[at] = *level;
}

static void
level_apply(struct book_side *s, const struct level *level)
{
    uint32_t at = place_of(s, level->price);
    bool found = at < s->count && s->levels[at].price.v == level->price.v;
    if (!found && level->quantity.v > 0) {
        level_insert(s, at, level);
    } else if (found && level->quantity.v == 0) {
        level_empty(s, at);
    } else if (found) {
        s->empty -= s->levels[at].quantity.v == 0;
        s->levels[at].quantity = level->quantity;
    }
}

/* Whether this is a whole side as a snapshot tells it: best first, no price twice. */
static bool
is_sorted(const struct book_side *s, const struct level *levels, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (!worse(s->side, levels[i].price, levels[i - 1].price))
            return false;
    }
    return true;
}

void
book_side_apply(struct book_side *s, const struct level *levels, uint32_t count)
{
    if (s->count == 0 && count <= s->max && is_sorted(s, levels, count)) {
        /* Worst first: each is put behind the others, and none is moved. */
        for (uint32_t i = count; i > 0; i--)
            level_apply(s, &levels[i - 1]);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        level_apply(s, &levels[i]);
    if (s->empty > COMPACT_FROM && s->empty > s->count / 2)
        book_side_compact(s);
}

const struct level *
book_side_best(const struct book_side *s)
{
    return s->count == 0 ? NULL : &s->levels[s->count - 1];
}

bool
book_crossed(const struct book *b)
{
    const struct level *bid = book_side_best(&b->bids), *ask = book_side_best(&b->asks);
    return bid != NULL && ask != NULL && bid->price.v >= ask->price.v;
}

uint32_t
book_side_copy(const struct book_side *s, uint32_t limit, struct arena *lists,
               const struct level **out)
{
    uint32_t held = s->count - s->empty;
    uint32_t count = held < limit ? held : limit, copied = 0;
    struct level *copy = arena_take(lists, count, sizeof(*copy));
    CHECK(copy != NULL || count == 0);
    for (uint32_t i = s->count; copied < count; i--) {
        if (s->levels[i - 1].quantity.v > 0)
            copy[copied++] = s->levels[i - 1];
    }
    *out = copy;
    return count;
}

static void
side_check(const struct book_side *s)
{
    uint32_t empty = 0;
    CHECK(s->count <= s->max);
    CHECK(s->count == 0 || s->levels[s->count - 1].quantity.v > 0);
    for (uint32_t i = 0; i < s->count; i++) {
        empty += s->levels[i].quantity.v == 0;
        CHECK(s->levels[i].price.v > 0 && s->levels[i].quantity.v >= 0);
        CHECK(i == 0 || worse(s->side, s->levels[i - 1].price, s->levels[i].price));
    }
    CHECK(empty == s->empty);
}

void
book_check(const struct book *b)
{
    side_check(&b->bids);
    side_check(&b->asks);
}
