/*
 * book.c - where resting orders and house levels lie.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/book.h"

#include "base/check.h"
#include "matcher/core/level.h"
#include "matcher/core/model.h"

static size_t
lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Records for price levels: those with orders and the empty ones. */
static uint32_t
levels_max(const struct books_limits *l)
{
    return l->levels_max + l->levels_max / 8 + 8;
}

static uint32_t
nodes_max(const struct books_limits *l)
{
    return ladder_nodes_for(levels_max(l) + l->house_levels_max, l->books_max * 4);
}

size_t
books_bytes(const struct books_limits *l)
{
    return lines(resting_bytes(l->orders_max)) +
           lines((size_t)nodes_max(l) * sizeof(struct ladder_node)) +
           lines((size_t)levels_max(l) * sizeof(struct price_level)) +
           lines((size_t)l->house_levels_max * sizeof(struct house_level)) +
           2 * lines((size_t)l->house_levels_max * sizeof(int64_t)) +
           lines(sizeof(uint32_t) << BOOK_RECENT_BITS) +
           lines((size_t)levels_max(l) * sizeof(struct level_more)) +
           lines(queues_bytes(l->queues_max)) + lines(stories_bytes(l->stories_max));
}

void
books_init(struct books *s, const struct books_limits *l, void *zeroed)
{
    CHECK(((uintptr_t)zeroed & 63) == 0);
    CHECK(l->levels_max > 0 && l->house_levels_max > 0 && l->books_max > 0);
    uint8_t *at = zeroed;
    *s = (struct books){.levels_free = LEVEL_NONE,
                        .houses_free = LEVEL_NONE,
                        .levels_max = l->levels_max,
                        .empties_max = levels_max(l) - l->levels_max,
                        .houses_max = l->house_levels_max};
    resting_init(&s->orders, l->orders_max, at);
    at += lines(resting_bytes(l->orders_max));
    ladder_nodes_init(&s->nodes, (struct ladder_node *)(void *)at, nodes_max(l));
    at += lines((size_t)nodes_max(l) * sizeof(struct ladder_node));
    s->levels = (struct price_level *)(void *)at;
    at += lines((size_t)levels_max(l) * sizeof(struct price_level));
    s->houses = (struct house_level *)(void *)at;
    at += lines((size_t)l->house_levels_max * sizeof(struct house_level));
    s->since_us = (int64_t *)(void *)at;
    at += lines((size_t)l->house_levels_max * sizeof(int64_t));
    s->shown = (int64_t *)(void *)at;
    at += lines((size_t)l->house_levels_max * sizeof(int64_t));
    s->recent = (uint32_t *)(void *)at;
    at += lines(sizeof(uint32_t) << BOOK_RECENT_BITS);
    s->levels_more = (struct level_more *)(void *)at;
    at += lines((size_t)levels_max(l) * sizeof(struct level_more));
    queues_init(&s->queues, l->queues_max, at);
    at += lines(queues_bytes(l->queues_max));
    stories_init(&s->stories, l->stories_max, at);
    s->print.book = BOOK_NONE;
    s->passed.level = LEVEL_NONE;
}

void
book_open(struct book *b, code_t symbol, uint32_t number)
{
    *b = (struct book){.symbol = symbol, .number = number, .dirty_next = BOOK_NONE};
    for (int i = 0; i < 2; i++) {
        ladder_init(&b->sides[i].users);
        ladder_init(&b->sides[i].house);
        b->sides[i].empty_first = b->sides[i].empty_last = LEVEL_NONE;
        b->past[i].last_key = LADDER_NO_KEY;
    }
}

/* ---- Users' orders -------------------------------------------------------------------------- */

/* The order after which an order of this rank stands; RESTING_NONE = before all. */
static uint32_t
place_of(const struct books *s, const struct price_level *level, uint64_t rank, uint32_t hint)
{
    const struct resting *at = s->orders.at;
    /* Who came last goes to the end; the record there may be far away in memory. */
    if (level->tail == RESTING_NONE || rank == s->last_rank || at[level->tail].rank < rank)
        return level->tail;
    uint32_t after = hint;
    uint32_t next = hint != RESTING_NONE ? at[hint].next : level->head;
    /* Ranks that matchers with clocks apart gave may be the same. */
    while (next != RESTING_NONE && at[next].rank < rank) {
        after = next;
        next = at[next].next;
    }
    return after;
}

/* The second step: the order's record, and for a new one the level it will join. */
static void
ahead_records(const struct books *s, const struct book_ahead *soon, uint32_t count,
              uint32_t *records, uint32_t *levels)
{
    for (uint32_t i = 0; i < count; i++) {
        records[i] = resting_ahead_record(&s->orders, soon[i].id);
        levels[i] = soon[i].book != NULL ? level_ahead(s, soon[i].book, soon[i].side, soon[i].price)
                                         : LEVEL_NONE;
    }
}

void
books_ahead(const struct books *s, const struct book_ahead *soon, uint32_t count)
{
    uint32_t records[BOOKS_AHEAD_MAX], levels[BOOKS_AHEAD_MAX];
    const struct resting *at = s->orders.at;
    CHECK(count <= BOOKS_AHEAD_MAX);
    for (uint32_t i = 0; i < count; i++)
        resting_ahead(&s->orders, soon[i].id);
    ahead_records(s, soon, count, records, levels);
    for (uint32_t i = 0; i < count; i++) {
        const struct resting *r = &at[records[i]];
        bool is_new = levels[i] != LEVEL_NONE;
        uint32_t before = is_new ? s->levels[levels[i]].tail : r->prev;
        uint32_t after = is_new ? before : r->next;
        __builtin_prefetch(&at[before < s->orders.max ? before : 0], 1);
        __builtin_prefetch(&at[after < s->orders.max ? after : 0], 1);
        __builtin_prefetch(&s->levels[r->level < s->levels_fresh ? r->level : 0], 1);
    }
}

bool
book_link(struct books *s, struct book *b, uint32_t order, uint32_t hint)
{
    struct resting *r = &s->orders.at[order];
    enum side side = (enum side)r->side;
    uint32_t i = level_find(s, b, side, r->price);
    bool is_new = i == LEVEL_NONE;
    if (is_new)
        i = level_new(s, b, side, r->price);
    if (i == LEVEL_NONE || (s->levels[i].count == 0 && s->levels_used >= s->levels_max + is_new))
        return false;
    struct price_level *level = &s->levels[i];
    int64_t sum;
    if (__builtin_add_overflow(level->quantity, book_left(s, order), &sum))
        return false;

    /* Nothing below can fail. */
    if (level->count == 0 && !is_new)
        level_return(s, b, side, i);
    uint32_t after = place_of(s, level, r->rank, hint);
    struct resting *at = s->orders.at;
    r->level = i;
    r->prev = after;
    if (after == level->tail) /* its record is written to, but not waited for */
        r->next = RESTING_NONE;
    else
        r->next = after == RESTING_NONE ? level->head : at[after].next;
    *(after == RESTING_NONE ? &level->head : &at[after].next) = order;
    *(r->next == RESTING_NONE ? &level->tail : &at[r->next].prev) = order;
    level->quantity = sum;
    level->count++;
    b->orders++;
    if (r->model == FILL_MODEL_NONE)
        level->models |= 1;
    else
        model_joined(s, b, order);
    return true;
}

void
book_unlink(struct books *s, struct book *b, uint32_t order)
{
    struct resting *at = s->orders.at;
    const struct resting *r = &at[order];
    struct price_level *level = &s->levels[r->level];
    if (r->model != FILL_MODEL_NONE)
        model_left(s, b, order);
    b->orders--;
    if (--level->count == 0) {
        level_leave(s, b, (enum side)r->side, r->level);
        return;
    }
    level->quantity -= book_left(s, order);
    *(r->prev == RESTING_NONE ? &level->head : &at[r->prev].next) = r->next;
    *(r->next == RESTING_NONE ? &level->tail : &at[r->next].prev) = r->prev;
}

/* The next slice of an iceberg comes into view, behind everybody at its price. */
static void
renew(struct books *s, uint32_t order, struct order_more *more)
{
    struct resting *at = s->orders.at, *r = &at[order];
    struct price_level *level = &s->levels[r->level];
    r->quantity = more->slice > 0 && more->slice < more->hidden ? more->slice : more->hidden;
    more->hidden -= r->quantity;
    r->rank = books_next_rank(s);
    if (r->model != FILL_MODEL_NONE)
        model_renewed(s, order);
    if (r->next == RESTING_NONE)
        return;
    at[r->next].prev = r->prev;
    if (r->prev == RESTING_NONE)
        level->head = r->next;
    else
        at[r->prev].next = r->next;
    at[level->tail].next = order;
    r->prev = level->tail;
    r->next = RESTING_NONE;
    level->tail = order;
}

enum reduced
book_reduce(struct books *s, struct book *b, uint32_t order, int64_t quantity)
{
    struct resting *r = &s->orders.at[order];
    CHECK(quantity > 0 && quantity <= r->quantity);
    if (quantity < r->quantity || (r->has_more && s->orders.more[order].hidden > 0)) {
        s->levels[r->level].quantity -= quantity;
        r->quantity -= quantity;
        if (r->quantity > 0)
            return REDUCED_GOES_ON;
        renew(s, order, &s->orders.more[order]);
        return REDUCED_RENEWED;
    }
    book_unlink(s, b, order);
    if (r->has_more)
        return REDUCED_KEPT;
    resting_free(&s->orders, order);
    return REDUCED_FREED;
}

void
book_trim(struct books *s, uint32_t order, int64_t left)
{
    struct resting *r = &s->orders.at[order];
    int64_t cut = book_left(s, order) - left;
    CHECK(left > 0 && cut >= 0);
    s->levels[r->level].quantity -= cut;
    if (r->has_more) {
        struct order_more *more = &s->orders.more[order];
        int64_t hidden = more->hidden < cut ? more->hidden : cut;
        more->hidden -= hidden;
        cut -= hidden;
    }
    r->quantity -= cut;
}

/* ---- The house's levels ------------------------------------------------------------------- */

static void
house_free(struct books *s, struct book *b, enum side side, uint32_t i)
{
    ladder_remove(&s->nodes, &book_side(b, side)->house, ladder_key(side, s->houses[i].price));
    s->houses[i].price = 0;
    s->houses[i].time_us = s->houses_free;
    s->houses_free = i;
    s->houses_used--;
}

/* LEVEL_NONE when there is no room. */
static uint32_t
house_new(struct books *s, struct book *b, enum side side, int64_t key)
{
    struct ladder *l = &book_side(b, side)->house;
    if (s->houses_used == s->houses_max) {
        if (l->count == 0 || ladder_worst(&s->nodes, l) > key)
            return LEVEL_NONE;
        house_free(s, b, side, ladder_find(&s->nodes, l, ladder_worst(&s->nodes, l)));
    }
    uint32_t i = s->houses_free != LEVEL_NONE ? s->houses_free : s->houses_fresh;
    if (!ladder_add(&s->nodes, l, key, i))
        return LEVEL_NONE;
    if (s->houses_free != LEVEL_NONE)
        s->houses_free = (uint32_t)s->houses[i].time_us;
    else
        s->houses_fresh++;
    s->houses_used++;
    return i;
}

/* Takes a quantity off a level; one that is used up goes, and is remembered. */
static void
house_use(struct books *s, struct book *b, enum side side, uint32_t i, int64_t quantity)
{
    struct house_level *h = &s->houses[i];
    h->left -= quantity;
    if (h->left > 0)
        return;
    spent_add(&b->spent, (struct spent){SPENT_WHOLE, side, h->price, s->shown[i], h->time_us});
    house_free(s, b, side, i);
}

/* The market has a new word on this level: what was used of the old one is remembered. */
static void
house_told(struct books *s, struct book *b, enum side side, uint32_t i, int64_t time_us)
{
    int64_t used = s->shown[i] - s->houses[i].left;
    if (used > 0)
        spent_add(&b->spent,
                  (struct spent){SPENT_DISPLAY, side, s->houses[i].price, used, time_us});
}

/* Whether a quantity is worth more than an int64 holds; without the division. */
static bool
is_too_much(int64_t price, int64_t quantity)
{
    return (__int128)price * quantity >= ((__int128)INT64_MAX + 1) * DECIMAL_ONE;
}

void
book_show(struct books *s, struct book *b, enum side side, const struct house_level *shown)
{
    int64_t key = ladder_key(side, shown->price), used = 0;
    uint32_t i = ladder_find(&s->nodes, &book_side(b, side)->house, key);
    if (b->spent.count > 0)
        used = spent_displayed(&b->spent, side, shown->price, shown->time_us);
    if (i != LADDER_NONE && s->shown[i] != s->houses[i].left)
        house_told(s, b, side, i, shown->time_us);
    bool is_gone = shown->left <= 0 || is_too_much(shown->price, shown->left);
    if (is_gone) {
        if (i != LADDER_NONE)
            house_free(s, b, side, i);
        return;
    }
    bool is_new = i == LADDER_NONE;
    if (is_new)
        i = house_new(s, b, side, key);
    if (i == LEVEL_NONE) {
        s->houses_dropped++;
        return;
    }
    s->houses[i] = *shown;
    s->shown[i] = shown->left;
    if (is_new)
        s->since_us[i] = s->now_us;
    if (used > 0)
        house_use(s, b, side, i, used < shown->left ? used : shown->left);
}

void
book_show_only(struct books *s, struct book *b, enum side side, const struct house_level *shown)
{
    const struct ladder *l = &book_side(b, side)->house;
    bool is_shown = shown->price > 0 && shown->left > 0;
    if (b->spent.count > 0)
        spent_replace(&b->spent, side, shown->time_us);
    if (!is_shown || l->count != 1 || l->best_key != ladder_key(side, shown->price)) {
        if (l->count == 1)
            house_told(s, b, side, l->best_slot, shown->time_us);
        book_hide(s, b, side);
    }
    if (is_shown)
        book_show(s, b, side, shown);
}

void
book_consume(struct books *s, struct book *b, enum side side, int64_t quantity)
{
    uint32_t i = book_side(b, side)->house.best_slot;
    CHECK(quantity > 0 && quantity <= s->houses[i].left);
    house_use(s, b, side, i, quantity);
}

void
book_hide(struct books *s, struct book *b, enum side side)
{
    struct ladder *l = &book_side(b, side)->house;
    struct ladder_at at;
    for (bool on = ladder_first(l, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        uint32_t i = ladder_slot(&s->nodes, at);
        s->houses[i].price = 0;
        s->houses[i].time_us = s->houses_free;
        s->houses_free = i;
        s->houses_used--;
    }
    ladder_clear(&s->nodes, l);
}

void
book_replace(struct books *s, struct book *b, enum side side, int64_t time_us)
{
    const struct ladder *l = &book_side(b, side)->house;
    struct ladder_at at;
    if (b->spent.count > 0)
        spent_replace(&b->spent, side, time_us);
    for (bool on = ladder_first(l, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at))
        house_told(s, b, side, ladder_slot(&s->nodes, at), time_us);
    book_hide(s, b, side);
}

/* ---- Questions ---------------------------------------------------------------------------- */

int64_t
book_shown(const struct books *s, const struct book *b, enum side side, int64_t price)
{
    uint32_t i = ladder_find(&s->nodes, &b->sides[side - 1].house, ladder_key(side, price));
    return i != LADDER_NONE ? s->shown[i] : spent_whole(&b->spent, side, price);
}

bool
book_has(const struct books *s, const struct book *b, enum side side, int64_t key, int64_t quantity)
{
    const struct book_side *bs = &b->sides[side - 1];
    const struct ladder *ladders[2] = {&bs->house, &bs->users};
    int64_t left = quantity;
    for (int k = b->venue != VENUE_OFF ? 0 : 1; k < 2; k++) {
        struct ladder_at at;
        for (bool on = ladder_first(ladders[k], &s->nodes, &at); on && left > 0;
             on = ladder_next(&s->nodes, &at)) {
            uint32_t slot = ladder_slot(&s->nodes, at);
            if (s->nodes.at[at.node].keys[at.i] < key)
                break;
            int64_t here = k == 0 ? s->houses[slot].left : s->levels[slot].quantity;
            left -= here < left ? here : left;
        }
    }
    return left == 0;
}

static const char *
check_level(const struct books *s, const struct book *b, enum side side, int64_t key, uint32_t i)
{
    const struct price_level *level = &s->levels[i];
    if (level->owner != level_owner(b, side) || ladder_key(side, level->price) != key)
        return "book: a level is not where its ladder says";
    if (level->count == 0)
        return level->quantity == 0 && level->models == 0 && i != b->sides[side - 1].users.best_slot
                   ? NULL
                   : "book: an empty level is the best, or has a quantity";
    int64_t sum = 0;
    uint32_t count = 0, prev = RESTING_NONE;
    uint64_t rank = 0;
    for (uint32_t o = level->head; o != RESTING_NONE; o = s->orders.at[o].next, count++) {
        const struct resting *r = &s->orders.at[o];
        if (r->id == 0 || r->level != i || r->prev != prev || r->price != level->price ||
            r->side != side || r->state != RESTING_IN_BOOK)
            return "book: an order does not belong to the level it is linked in";
        if (r->quantity <= 0)
            return "book: an order rests with nothing left";
        if (count > 0 && r->rank < rank)
            return "book: ranks do not rise within a level";
        rank = r->rank;
        prev = o;
        sum += book_left(s, o);
    }
    if (count == 0 || count != level->count || prev != level->tail || sum != level->quantity)
        return "book: a level's sum, count or tail is wrong";
    return model_check(s, i);
}

static const char *
check_side(const struct books *s, const struct book *b, enum side side, uint32_t *orders)
{
    const struct book_side *bs = &b->sides[side - 1];
    const char *wrong = ladder_check(&s->nodes, &bs->users);
    if (wrong == NULL)
        wrong = ladder_check(&s->nodes, &bs->house);
    struct ladder_at at;
    uint32_t empties = 0;
    for (bool on = ladder_first(&bs->users, &s->nodes, &at); on && wrong == NULL;
         on = ladder_next(&s->nodes, &at)) {
        uint32_t slot = ladder_slot(&s->nodes, at);
        wrong = check_level(s, b, side, s->nodes.at[at.node].keys[at.i], slot);
        *orders += s->levels[slot].count;
        empties += s->levels[slot].count == 0;
    }
    if (wrong == NULL && empties != bs->empties)
        wrong = "book: the number of empty levels is wrong";
    for (bool on = ladder_first(&bs->house, &s->nodes, &at); on && wrong == NULL;
         on = ladder_next(&s->nodes, &at)) {
        const struct house_level *h = &s->houses[ladder_slot(&s->nodes, at)];
        if (h->left <= 0 || ladder_key(side, h->price) != s->nodes.at[at.node].keys[at.i])
            wrong = "book: a house level is empty or not where its ladder says";
    }
    return wrong;
}

const char *
book_verify(const struct books *s, const struct book *b)
{
    uint32_t orders = 0;
    const char *wrong = check_side(s, b, SIDE_BUY, &orders);
    if (wrong == NULL)
        wrong = check_side(s, b, SIDE_SELL, &orders);
    if (wrong == NULL && orders != b->orders)
        wrong = "book: the number of orders is wrong";
    return wrong;
}
