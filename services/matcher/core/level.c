/*
 * level.c - where price levels come from and go to.
 *
 * A level is looked for in a small table of levels found lately before the ladder is searched:
 * most orders join a level that exists. A freed level has price 0 and no owner, so that whatever
 * still names it in that table is seen to be stale. Empty levels that are kept are few a side, so
 * that a touch that moves past them drops them in no time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/level.h"

#define EMPTIES_MAX 256 /* a side */

static inline uint32_t *
recent_of(const struct books *s, uint32_t owner, int64_t price)
{
    uint64_t mixed = ((uint64_t)price + owner * UINT64_C(0x632be59bd9b4e019));
    return &s->recent[mixed * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BOOK_RECENT_BITS)];
}

uint32_t
level_find(const struct books *s, struct book *b, enum side side, int64_t price)
{
    uint32_t owner = level_owner(b, side);
    uint32_t *recent = recent_of(s, owner, price);
    const struct price_level *level = &s->levels[*recent];
    if (level->price == price && level->owner == owner)
        return *recent;
    uint32_t found = ladder_find(&s->nodes, &book_side(b, side)->users, ladder_key(side, price));
    if (found != LADDER_NONE)
        *recent = found;
    return found;
}

uint32_t
level_ahead(const struct books *s, const struct book *b, enum side side, int64_t price)
{
    uint32_t level = *recent_of(s, level_owner(b, side), price);
    __builtin_prefetch(&s->levels[level], 1);
    return level;
}

uint32_t
level_new(struct books *s, struct book *b, enum side side, int64_t price)
{
    if (s->levels_used == s->levels_max)
        return LEVEL_NONE;
    uint32_t i = s->levels_free != LEVEL_NONE ? s->levels_free : s->levels_fresh;
    if (!ladder_add(&s->nodes, &book_side(b, side)->users, ladder_key(side, price), i))
        return LEVEL_NONE;
    if (s->levels_free != LEVEL_NONE)
        s->levels_free = s->levels[i].owner;
    else
        s->levels_fresh++;
    s->levels_used++;
    uint32_t owner = level_owner(b, side);
    s->levels[i] = (struct price_level){price, 0, RESTING_NONE, RESTING_NONE, 0, 0, owner};
    *recent_of(s, owner, price) = i;
    return i;
}

static void
level_free(struct books *s, struct book_side *bs, enum side side, uint32_t i)
{
    struct price_level *level = &s->levels[i];
    ladder_remove(&s->nodes, &bs->users, ladder_key(side, level->price));
    level->price = 0;
    level->owner = s->levels_free;
    s->levels_free = i;
}

/* Takes a level out of the list of empty ones. */
static void
empty_unlink(struct books *s, struct book_side *bs, uint32_t i)
{
    struct level_more *more = s->levels_more;
    uint32_t older = more[i].older, newer = more[i].newer;
    *(older == LEVEL_NONE ? &bs->empty_first : &more[older].newer) = newer;
    *(newer == LEVEL_NONE ? &bs->empty_last : &more[newer].older) = older;
    bs->empties--;
    s->empties--;
}

static void
empty_append(struct books *s, struct book_side *bs, uint32_t i)
{
    struct level_more *more = s->levels_more;
    more[i].older = bs->empty_last;
    more[i].newer = LEVEL_NONE;
    *(bs->empty_last == LEVEL_NONE ? &bs->empty_first : &more[bs->empty_last].newer) = i;
    bs->empty_last = i;
    bs->empties++;
    s->empties++;
}

static void
empty_free(struct books *s, struct book_side *bs, enum side side, uint32_t i)
{
    empty_unlink(s, bs, i);
    level_free(s, bs, side, i);
}

void
level_leave(struct books *s, struct book *b, enum side side, uint32_t i)
{
    struct book_side *bs = book_side(b, side);
    s->levels_used--;
    /* Empty to whoever walks over it. */
    s->levels[i].quantity = 0;
    s->levels[i].head = s->levels[i].tail = RESTING_NONE;
    s->levels[i].models = 0;
    if (i == bs->users.best_slot) {
        level_free(s, bs, side, i);
        while (bs->users.count > 0 && s->levels[bs->users.best_slot].count == 0)
            empty_free(s, bs, side, bs->users.best_slot);
        return;
    }
    if (bs->empties == EMPTIES_MAX || (s->empties == s->empties_max && bs->empties > 0))
        empty_free(s, bs, side, bs->empty_first);
    if (s->empties < s->empties_max)
        empty_append(s, bs, i);
    else
        level_free(s, bs, side, i);
}

void
level_return(struct books *s, struct book *b, enum side side, uint32_t i)
{
    empty_unlink(s, book_side(b, side), i);
    s->levels_used++;
}
