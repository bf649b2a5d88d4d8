/*
 * model.c - see model.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/model.h"

#include "base/check.h"
#include "matcher/core/house.h"
#include "matcher/core/taker.h"

#define BIT(model)      (1u << (model))
#define LEVELS_TOLD_MAX 256 /* levels that one print is counted for */

static uint32_t
owner_of(const struct book *b, enum side side)
{
    return b->number * 4 + (uint32_t)side;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

/* What is known of the market's quantity at a price. */
static struct queue_word
word_of(const struct books *s, const struct book *b, enum side side, int64_t price)
{
    const struct house *h = &b->house;
    const struct ladder *l = &b->sides[side - 1].house;
    struct queue_word word = {-1, 0, h->word_us};
    if (!house_is_shown(s, b))
        return word;
    int64_t key = ladder_key(side, price), shown = book_shown(s, b, side, price);
    if (shown > 0) {
        word.shown = shown;
        word.unseen = spent_unseen(&b->spent, side, price);
    } else if (l->count > 0 && (h->source == LIQUIDITY_QUOTE ? key > l->best_key
                                                             : key > ladder_worst(&s->nodes, l))) {
        word.shown = 0;
    }
    return word;
}

static void
queue_enter(struct books *s, struct book *b, uint32_t order)
{
    struct resting *r = &s->orders.at[order];
    struct level_more *more = &s->levels_more[r->level];
    if (more->queue == QUEUE_NONE) {
        struct queue_word word = word_of(s, b, (enum side)r->side, r->price);
        more->queue = queue_new(&s->queues, owner_of(b, (enum side)r->side), r->price, &word);
        b->queues += more->queue != QUEUE_NONE;
    }
    if (more->queue == QUEUE_NONE) {
        s->queues.full++;
        r->model = FILL_MODEL_through;
        return;
    }
    struct queue_level *q = &s->queues.at[more->queue];
    struct order_more *cold = resting_need_more(&s->orders, order);
    struct queue_place place = queue_join(q, s->now_us);
    q->orders++;
    r->mark = place.reach;
    cold->after = place.after;
}

void
model_joined(struct books *s, struct book *b, uint32_t order)
{
    struct resting *r = &s->orders.at[order];
    struct price_level *level = &s->levels[r->level];
    if ((level->models & ~BIT(FILL_MODEL_NONE)) == 0)
        s->levels_more[r->level] = (struct level_more){.queue = QUEUE_NONE};
    if (r->model == FILL_MODEL_queue)
        queue_enter(s, b, order);
    level->models = (level->models | BIT(r->model)) & 15u;
    story_joined(s, b, order);
}

void
model_left(struct books *s, struct book *b, uint32_t order)
{
    const struct resting *r = &s->orders.at[order];
    struct level_more *more = &s->levels_more[r->level];
    story_left(s, b, order);
    if (r->model != FILL_MODEL_queue)
        return;
    struct queue_level *q = &s->queues.at[more->queue];
    if (--q->orders > 0)
        return;
    if (s->print.queue == more->queue)
        s->print.queue = QUEUE_NONE;
    queue_free(&s->queues, more->queue);
    b->queues--;
    more->queue = QUEUE_NONE;
}

void
model_renewed(struct books *s, uint32_t order)
{
    struct resting *r = &s->orders.at[order];
    if (r->model != FILL_MODEL_queue)
        return;
    struct queue_place place = queue_join(&s->queues.at[s->levels_more[r->level].queue], s->now_us);
    r->mark = place.reach;
    s->orders.more[order].after = place.after;
}

/* ---- Displayed quantity ---------------------------------------------------------------------- */

/* The models of orders that quantity displayed at their own price does not fill. */
static uint32_t
models_not_at(const struct book *b)
{
    uint32_t models = BIT(FILL_MODEL_through);
    return b->house.source == LIQUIDITY_TRADE ? models | BIT(FILL_MODEL_queue) : models;
}

uint32_t
model_first(struct books *s, const struct book *b, uint32_t level, bool is_at)
{
    const struct price_level *l = &s->levels[level];
    uint32_t not_at = models_not_at(b);
    if (!is_at || (l->models & not_at) == 0)
        return l->head;
    if ((l->models & ~not_at) == 0)
        return RESTING_NONE;
    /* While orders are filled one by one, those passed over stay passed over. */
    const struct resting *at = s->orders.at;
    uint32_t order = s->passed.level == level ? at[s->passed.order].next : l->head;
    for (; order != RESTING_NONE && (not_at & BIT(at[order].model)) != 0; order = at[order].next) {
        s->passed.level = level;
        s->passed.order = order;
    }
    return order;
}

void
model_shown(struct books *s, struct book *b, enum side side, int64_t price, int64_t quantity,
            int64_t word_us)
{
    uint32_t queue = queue_find(&s->queues, owner_of(b, side), price);
    if (queue != QUEUE_NONE)
        queue_level_changed(&s->queues.at[queue], quantity > 0 ? quantity : 0, word_us, s->now_us);
}

/* Only the best level is displayed. A level that the market has left holds nothing any more; one
 * that it has not come to yet keeps what was known of it. */
void
model_quoted(struct books *s, struct book *b, enum side side, int64_t before,
             const struct house_level *best)
{
    const struct ladder *l = &b->sides[side - 1].users;
    int64_t key = best->price > 0 ? ladder_key(side, best->price) : LADDER_NO_KEY;
    if (b->queues == 0)
        return;
    if (best->price > 0)
        model_shown(s, b, side, best->price, best->left, 0);
    if (before == 0 || ladder_key(side, before) <= key)
        return;
    struct ladder_at at;
    for (bool on = ladder_first(l, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        int64_t level_key = s->nodes.at[at.node].keys[at.i];
        if (level_key <= key)
            break;
        if (level_key <= ladder_key(side, before))
            model_shown(s, b, side, ladder_price(side, level_key), 0, 0);
    }
}

void
model_shown_all(struct books *s, struct book *b, int64_t word_us)
{
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        const struct ladder *l = &b->sides[side - 1].users;
        struct ladder_at at;
        for (bool on = ladder_first(l, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
            const struct price_level *level = &s->levels[ladder_slot(&s->nodes, at)];
            struct queue_word word = word_of(s, b, side, level->price);
            if (word.shown >= 0)
                model_shown(s, b, side, level->price, word.shown, word_us);
        }
    }
}

/* ---- Prints ---------------------------------------------------------------------------------- */

/* Counts the print for the levels of a side that it is at or through. Gives whether orders there
 * may have a fill model. */
static bool
count_print(struct books *s, const struct book *b, enum side side, int64_t price, int64_t quantity)
{
    const struct ladder *l = &b->sides[side - 1].users;
    struct ladder_at at;
    uint32_t levels = 0;
    bool has_any = false;
    if (l->best_key < ladder_key(side, price))
        return false;
    for (bool on = ladder_first(l, &s->nodes, &at); on; on = ladder_next(&s->nodes, &at)) {
        uint32_t slot = ladder_slot(&s->nodes, at);
        if (s->nodes.at[at.node].keys[at.i] < ladder_key(side, price))
            break;
        if (levels++ == LEVELS_TOLD_MAX)
            return true;
        if ((s->levels[slot].models & ~BIT(FILL_MODEL_NONE)) == 0)
            continue;
        int64_t *printed = &s->levels_more[slot].printed;
        *printed = quantity < INT64_MAX - *printed ? *printed + quantity : INT64_MAX;
        has_any = true;
    }
    return has_any;
}

/* What of a print hit a display that our own fills had taken already. */
static int64_t
spent_before(struct books *s, struct book *b, const struct print *p)
{
    int64_t key = ladder_key(p->resting, p->price), used = 0;
    uint32_t i = ladder_find(&s->nodes, &b->sides[p->resting - 1].house, key);
    if (i != LADDER_NONE) {
        int64_t taken = s->shown[i] - s->houses[i].left;
        used = taken < p->quantity ? taken : p->quantity;
        s->shown[i] -= used;
    }
    return used + spent_printed(&b->spent, p->resting, p->price, p->time_us, p->quantity - used);
}

bool
model_print(struct books *s, struct book *b, const struct md_trade *t)
{
    const struct public_trade *trade = &t->trade;
    enum side resting = trade->buyer_is_maker ? SIDE_BUY : SIDE_SELL;
    if (trade->price.v <= 0 || trade->quantity.v <= 0)
        return false;
    bool has_any = count_print(s, b, SIDE_BUY, trade->price.v, trade->quantity.v);
    has_any |= count_print(s, b, SIDE_SELL, trade->price.v, trade->quantity.v);
    if (b->house.source == LIQUIDITY_TRADE || b->venue == VENUE_OFF)
        return false;
    s->print = (struct print){
        .book = b->number,
        .resting = resting,
        .price = trade->price.v,
        .quantity = trade->quantity.v,
        .sequence = t->sequence,
        .time_us = trade->time_us,
        .queue = queue_find(&s->queues, owner_of(b, resting), trade->price.v),
        .side = SIDE_BUY,
        .key = INT64_MAX,
        .after = RESTING_NONE,
        .rank_max = house_is_late(b, trade->time_us) ? (uint64_t)b->house.word_at_us : UINT64_MAX,
    };
    if (s->print.rank_max == UINT64_MAX)
        spent_see(&b->spent, resting, trade->price.v, trade->quantity.v);
    s->print.spent = spent_before(s, b, &s->print);
    if (s->print.queue != QUEUE_NONE)
        queue_print_begins(&s->queues.at[s->print.queue], trade->time_us, s->now_us);
    if (!has_any)
        s->print.book = BOOK_NONE;
    return has_any;
}

/* What is left of the print for users of a side. */
static int64_t
left_for(const struct print *p, enum side side)
{
    return p->quantity - p->taken - (side != p->resting ? p->spent : 0);
}

/* How much of the print an order may have. */
static int64_t
share(const struct books *s, struct print *p, uint32_t order)
{
    const struct resting *r = &s->orders.at[order];
    enum side side = (enum side)r->side;
    int64_t left = left_for(p, side);
    bool is_through = r->price != p->price;
    switch ((enum fill_model)r->model) {
    case FILL_MODEL_NONE:
        return 0;
    case FILL_MODEL_touch:
        return left;
    case FILL_MODEL_through:
        return is_through ? left : 0;
    case FILL_MODEL_queue:
        break;
    }
    /* Who sold at its price to somebody else would have sold to it. */
    if (is_through || side != p->resting)
        return left;
    CHECK(p->queue != QUEUE_NONE);
    int64_t ahead = queue_ahead(&s->queues.at[p->queue],
                                (struct queue_place){r->mark, s->orders.more[order].after});
    /* Nobody overtakes who came before him. */
    p->ahead = ahead > p->ahead ? ahead : p->ahead;
    return left > p->ahead ? left - p->ahead : 0;
}

/* Goes on to the best level that is worse; LEVEL_NONE when the print does not reach it. */
static uint32_t
level_after(const struct books *s, const struct book *b, struct print *p)
{
    struct ladder_at at;
    if (!ladder_below(&b->sides[p->side - 1].users, &s->nodes, p->key, &at))
        return LEVEL_NONE;
    int64_t key = s->nodes.at[at.node].keys[at.i];
    if (key < ladder_key(p->side, p->price))
        return LEVEL_NONE;
    p->key = key;
    p->after = RESTING_NONE;
    return ladder_slot(&s->nodes, at);
}

/* The level where the walk stands, if it is still there. */
static uint32_t
level_here(const struct books *s, const struct book *b, const struct print *p)
{
    return p->key == INT64_MAX ? LEVEL_NONE
                               : ladder_find(&s->nodes, &b->sides[p->side - 1].users, p->key);
}

/* The next order of a level that the print fills, with its share; RESTING_NONE. */
static uint32_t
order_next(struct books *s, uint32_t level, struct print *p, int64_t *part)
{
    const struct price_level *l = &s->levels[level];
    const struct resting *at = s->orders.at;
    uint32_t fills = BIT(FILL_MODEL_touch) | BIT(FILL_MODEL_queue);
    if (l->price != p->price)
        fills |= BIT(FILL_MODEL_through);
    if ((l->models & fills) == 0)
        return RESTING_NONE;
    uint32_t order = p->after == RESTING_NONE ? l->head : at[p->after].next;
    for (; order != RESTING_NONE; order = at[order].next) {
        if (at[order].rank > p->rank_max)
            break;
        *part = share(s, p, order);
        if (*part > 0)
            return order;
        /* Those behind it in the queue get nothing either. */
        if ((l->models & ~BIT(FILL_MODEL_queue)) == 0)
            break;
        p->after = order;
    }
    return RESTING_NONE;
}

static void
print_end(struct books *s)
{
    struct print *p = &s->print;
    if (p->queue != QUEUE_NONE)
        queue_printed(&s->queues.at[p->queue], p->quantity, p->time_us, s->now_us);
    p->queue = QUEUE_NONE;
    p->book = BOOK_NONE;
}

static void
fill_order(struct books *s, struct book *b, uint32_t order, int64_t part, struct fill *f)
{
    struct print *p = &s->print;
    const struct resting *r = &s->orders.at[order];
    enum side side = (enum side)r->side;
    f->is_house = true;
    f->is_prevented = false;
    f->price = r->price;
    f->quantity = part < r->quantity ? part : r->quantity;
    f->maker = (struct filled){.price = p->price,
                               .shown = left_for(p, side),
                               .sequence = p->sequence,
                               .time_us = p->time_us,
                               .record = RESTING_NONE,
                               .source = LIQUIDITY_TRADE};
    p->taken += f->quantity;
    /* No display is left where it was: it would have filled the order before. */
    if (side != p->resting)
        spent_add(&b->spent,
                  (struct spent){SPENT_PRINT, p->resting, p->price, f->quantity, p->time_us});
    book_fill(s, b, order, f->quantity, &f->taker);
}

bool
model_print_next(struct books *s, struct book *b, struct fill *f)
{
    struct print *p = &s->print;
    if (p->book != b->number)
        return false;
    for (;;) {
        uint32_t level = left_for(p, p->side) > 0 ? level_here(s, b, p) : LEVEL_NONE;
        int64_t part = 0;
        uint32_t order = level != LEVEL_NONE ? order_next(s, level, p, &part) : RESTING_NONE;
        if (order != RESTING_NONE) {
            fill_order(s, b, order, part, f);
            return true;
        }
        if (left_for(p, p->side) > 0 && level_after(s, b, p) != LEVEL_NONE)
            continue;
        if (p->side == SIDE_SELL) {
            print_end(s);
            return false;
        }
        p->side = SIDE_SELL;
        p->key = INT64_MAX;
        p->ahead = 0;
    }
}

/* ---- Proof ----------------------------------------------------------------------------------- */

bool
model_may_lock(const struct books *s, const struct book *b, uint32_t level)
{
    for (uint32_t o = s->levels[level].head; o != RESTING_NONE; o = s->orders.at[o].next)
        if ((models_not_at(b) & BIT(s->orders.at[o].model)) == 0)
            return false;
    return true;
}

const char *
model_check(const struct books *s, uint32_t level)
{
    const struct price_level *l = &s->levels[level];
    uint32_t queued = 0;
    for (uint32_t o = l->head; o != RESTING_NONE; o = s->orders.at[o].next) {
        if ((l->models & BIT(s->orders.at[o].model)) == 0)
            return "model: a level does not know of the fill model of an order";
        queued += s->orders.at[o].model == FILL_MODEL_queue;
    }
    if ((l->models & ~BIT(FILL_MODEL_NONE)) == 0)
        return NULL;
    uint32_t queue = s->levels_more[level].queue;
    if (queue == QUEUE_NONE)
        return queued == 0 ? NULL : "model: a queue order's level has no state";
    const struct queue_level *q = &s->queues.at[queue];
    if (q->price != l->price || q->owner != l->owner || q->orders != queued || queued == 0 ||
        queue_find(&s->queues, q->owner, q->price) != queue)
        return "model: a level's state is not its own";
    return queue_check(q);
}
