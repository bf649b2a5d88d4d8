/*
 * story.c - the pool of stories, and how a question is answered from what is counted anyway.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/story.h"

#include <string.h>

#include "base/check.h"
#include "matcher/core/house.h"
#include "matcher/core/queue.h"

size_t
stories_bytes(uint32_t max)
{
    return (size_t)max * sizeof(struct story_record);
}

void
stories_init(struct story_pool *p, uint32_t max, void *zeroed)
{
    *p = (struct story_pool){.at = zeroed, .max = max, .free = RESTING_NONE};
}

void
story_begin(struct books *s, const struct book *b, uint32_t order)
{
    const struct resting *r = &s->orders.at[order];
    struct story_pool *p = &s->stories;
    if (r->model == FILL_MODEL_NONE || (r->has_more && s->orders.more[order].story != RESTING_NONE))
        return;
    if (p->used == p->max) {
        p->dropped++;
        return;
    }
    uint32_t i = p->free != RESTING_NONE ? p->free : p->fresh++;
    if (p->free != RESTING_NONE)
        p->free = p->at[i].next_free;
    p->used++;
    p->at[i] = (struct story_record){
        .order_id = r->id,
        .arrived_us = s->now_us,
        .bid = book_shown_best(b, SIDE_BUY),
        .ask = book_shown_best(b, SIDE_SELL),
        .held_us = house_held_us(s, b),
    };
    resting_need_more(&s->orders, order)->story = i;
}

static struct story_record *
record_of(const struct books *s, uint32_t order)
{
    const struct resting *r = &s->orders.at[order];
    uint32_t i = r->has_more ? s->orders.more[order].story : RESTING_NONE;
    if (i == RESTING_NONE)
        return NULL;
    CHECK(s->stories.at[i].order_id == r->id);
    return &s->stories.at[i];
}

void
story_triggered(struct books *s, uint32_t order, int64_t price, uint64_t sequence)
{
    struct story_record *t = record_of(s, order);
    if (t == NULL)
        return;
    t->trigger_price = price;
    t->trigger_sequence = sequence;
}

/* What the level has counted for an order since it joined. */
static void
note_level(const struct books *s, const struct book *b, uint32_t order, struct story_record *t)
{
    const struct resting *r = &s->orders.at[order];
    const struct level_more *more = &s->levels_more[r->level];
    int64_t since = more->printed - t->printed_base;
    t->printed_base = more->printed;
    t->printed = since < INT64_MAX - t->printed ? t->printed + since : INT64_MAX;
    if (r->model != FILL_MODEL_queue || more->queue == QUEUE_NONE)
        return;
    const struct queue_level *q = &s->queues.at[more->queue];
    struct queue_place place = {r->mark, s->orders.more[order].after};
    t->ahead = queue_ahead_told(q, place);
    /* While a print fills orders the row does not have it yet; one through the price, or a seller
     * at a buyer's price, leaves nothing ahead. */
    const struct print *p = &s->print;
    bool is_at_row = p->queue == more->queue;
    if (p->book == b->number)
        t->ahead -= !is_at_row || t->ahead < p->quantity ? t->ahead : p->quantity;
    t->ahead_moved_us = t->ahead != t->ahead_at_arrival ? q->moved_us : 0;
}

void
story_joined(struct books *s, const struct book *b, uint32_t order)
{
    struct story_record *t = record_of(s, order);
    if (t == NULL)
        return;
    const struct resting *r = &s->orders.at[order];
    t->printed_base = s->levels_more[r->level].printed;
    t->is_joined = true;
    if (t->has_joined)
        return;
    t->has_joined = true;
    t->ahead_at_arrival = t->ahead = book_shown(s, b, (enum side)r->side, r->price);
}

void
story_left(struct books *s, const struct book *b, uint32_t order)
{
    struct story_record *t = record_of(s, order);
    if (t == NULL || !t->is_joined)
        return;
    note_level(s, b, order, t);
    t->is_joined = false;
}

/* ---- The best price of the other side -------------------------------------------------------- */

/* Keeps what may yet be the best since some moment: a time with its price, each worse than the one
 * before. Old ones are thinned out when there is no room, so that an old order may be told a price
 * that was seen, but was not the nearest. */
static void
touch_note(struct touch_past *p, int64_t key, int64_t now_us)
{
    while (p->count > 0 && p->at[p->count - 1].key <= key)
        p->count--;
    if (p->count == TOUCH_PAST_MAX) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < TOUCH_PAST_MAX; i++)
            if (i >= TOUCH_PAST_MAX / 2 || i % 2 == 0)
                p->at[kept++] = p->at[i];
        p->count = kept;
    }
    p->at[p->count].key = key;
    p->at[p->count++].us = now_us;
}

void
story_touch(const struct books *s, struct book *b)
{
    for (int i = 0; i < 2; i++) {
        struct touch_past *p = &b->past[i];
        int64_t key = b->sides[i].house.best_key;
        if (key == p->last_key)
            continue;
        p->last_key = key;
        if (key != LADDER_NO_KEY)
            touch_note(p, key, s->now_us);
    }
}

/* The best that the other side showed since the order came. */
static void
tell_nearest(const struct book *b, enum side other, const struct story_record *t, struct story *to)
{
    const struct touch_past *p = &b->past[other - 1];
    int64_t price = other == SIDE_BUY ? t->bid : t->ask;
    to->nearest_price.v = price;
    to->nearest_us = price > 0 ? t->arrived_us : 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->at[i].us < t->arrived_us)
            continue;
        if (price <= 0 || p->at[i].key > ladder_key(other, price)) {
            to->nearest_price.v = ladder_price(other, p->at[i].key);
            to->nearest_us = p->at[i].us;
        }
        return; /* the first is the best of them */
    }
}

/* ---- Telling --------------------------------------------------------------------------------- */

/* What a resting order still lacks. */
static enum waiting_for
rest_lacks(const struct books *s, const struct book *b, const struct resting *r, int64_t ahead)
{
    enum side side = (enum side)r->side;
    if (house_is_held(s, b))
        return WAITING_FOR_MARKET_DATA;
    if (b->sides[side - 1].house.best_key > ladder_key(side, r->price))
        return WAITING_FOR_PRICE;
    return r->model == FILL_MODEL_queue && ahead > 0 ? WAITING_FOR_QUEUE : WAITING_FOR_PRINTS;
}

static enum waiting_for
lacks(const struct books *s, const struct book *b, const struct resting *r, int64_t ahead)
{
    switch ((enum resting_state)r->state) {
    case RESTING_IN_BOOK:
        return rest_lacks(s, b, r, ahead);
    case RESTING_WAITING:
        return WAITING_FOR_MATCHER;
    case RESTING_DELAYED:
        return WAITING_FOR_LATENCY;
    case RESTING_PAIRING:
        return WAITING_FOR_LIST;
    case RESTING_ARMED:
        return WAITING_FOR_TRIGGER;
    default:
        return WAITING_FOR_NONE;
    }
}

static void
tell(const struct books *s, const struct book *b, uint32_t order, const struct story_record *from,
     struct story *to)
{
    const struct resting *r = &s->orders.at[order];
    struct story_record now = *from, *t = &now;
    if (t->is_joined)
        note_level(s, b, order, t);
    to->arrived_us = t->arrived_us;
    to->bid_at_arrival.v = t->bid;
    to->ask_at_arrival.v = t->ask;
    to->ahead_at_arrival.v = t->ahead_at_arrival;
    to->printed.v = t->printed;
    if (r->model == FILL_MODEL_queue && t->has_joined) {
        to->ahead.v = t->ahead;
        to->ahead_moved_us = t->ahead_moved_us;
        int64_t went = t->ahead_at_arrival - t->ahead;
        int64_t cancelled = went - (t->printed < went ? t->printed : went);
        to->cancelled_ahead.v = cancelled > 0 ? cancelled : 0;
    }
    to->trigger_price.v = t->trigger_price;
    to->trigger_sequence = t->trigger_sequence;
    to->held_us = house_held_us(s, b) - t->held_us;
    if (s->orders.more[order].is_tracking || s->orders.more[order].trail_extreme > 0)
        to->trail_extreme.v = s->orders.more[order].trail_extreme;
    tell_nearest(b, side_other((enum side)r->side), t, to);
}

bool
story_now(const struct books *s, const struct book *b, uint32_t order, struct story *to)
{
    const struct story_record *t = record_of(s, order);
    *to = (struct story){.bid = {book_shown_best(b, SIDE_BUY)},
                         .ask = {book_shown_best(b, SIDE_SELL)},
                         .is_stale = house_is_stale(b)};
    if (t != NULL)
        tell(s, b, order, t, to);
    to->waiting_for = lacks(s, b, &s->orders.at[order], to->ahead.v);
    return t != NULL;
}

bool
story_take(struct books *s, const struct book *b, uint32_t order, struct story *to)
{
    bool has_story = story_now(s, b, order, to);
    to->waiting_for = WAITING_FOR_NONE;
    story_drop(s, order);
    return has_story;
}

void
story_drop(struct books *s, uint32_t order)
{
    struct story_record *t = record_of(s, order);
    if (t == NULL)
        return;
    struct story_pool *p = &s->stories;
    t->order_id = 0;
    t->next_free = p->free;
    p->free = (uint32_t)(t - p->at);
    p->used--;
    s->orders.more[order].story = RESTING_NONE;
}
