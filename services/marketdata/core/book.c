/*
 * book.c - sorted levels: binary search, then a short move towards the best end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/book.h"

#include <string.h>

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
    b->bids.count = 0;
    b->asks.count = 0;
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

static void
level_remove(struct book_side *s, uint32_t at)
{
    s->count--;
    memmove(&s->levels[at], &s->levels[at + 1], (s->count - at) * sizeof(s->levels[0]));
}

static void
level_insert(struct book_side *s, uint32_t at, struct level level)
{
    if (s->count == s->max) {
        if (at == 0)
            return;
        level_remove(s, 0);
        at--;
    }
    memmove(&s->levels[at + 1], &s->levels[at], (s->count - at) * sizeof(s->levels[0]));
    s->levels[at] = level;
    s->count++;
}

void
book_side_apply(struct book_side *s, const struct level *levels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = place_of(s, levels[i].price);
        bool found = at < s->count && s->levels[at].price.v == levels[i].price.v;
        if (levels[i].quantity.v == 0) {
            if (found)
                level_remove(s, at);
        } else if (found) {
            s->levels[at].quantity = levels[i].quantity;
        } else {
            level_insert(s, at, levels[i]);
        }
    }
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
    uint32_t count = s->count < limit ? s->count : limit;
    struct level *copy = arena_take(lists, count, sizeof(*copy));
    CHECK(copy != NULL || count == 0);
    for (uint32_t i = 0; i < count; i++)
        copy[i] = s->levels[s->count - 1 - i];
    *out = copy;
    return count;
}

static void
side_check(const struct book_side *s)
{
    CHECK(s->count <= s->max);
    for (uint32_t i = 0; i < s->count; i++) {
        CHECK(s->levels[i].price.v > 0 && s->levels[i].quantity.v > 0);
        CHECK(i == 0 || worse(s->side, s->levels[i - 1].price, s->levels[i].price));
    }
}

void
book_check(const struct book *b)
{
    side_check(&b->bids);
    side_check(&b->asks);
}
