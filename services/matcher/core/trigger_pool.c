/*
 * trigger_pool.c - the ladders, levels and groups of armed orders, and the prices they stand for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/check.h"
#include "matcher/core/match.h"
#include "matcher/core/trigger_parts.h"

#define WATCHES (TRIGGER_FEEDS * TRIGGER_WAYS) /* of a book */

static size_t
lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static uint32_t
groups_max(uint32_t levels_max)
{
    return levels_max < TRIGGER_GROUPS_MAX ? levels_max : TRIGGER_GROUPS_MAX;
}

static uint32_t
nodes_max(uint32_t levels_max, uint32_t books_max)
{
    return ladder_nodes_for(levels_max, books_max * WATCHES + groups_max(levels_max));
}

size_t
triggers_bytes(uint32_t levels_max, uint32_t books_max)
{
    return lines((size_t)nodes_max(levels_max, books_max) * sizeof(struct ladder_node)) +
           lines((size_t)books_max * sizeof(struct trigger_prices)) +
           lines((size_t)books_max * WATCHES * sizeof(struct trigger_watch)) +
           lines((size_t)levels_max * sizeof(struct trigger_level)) +
           lines((size_t)groups_max(levels_max) * sizeof(struct trigger_group));
}

static void
watch_init(struct trigger_watch *w)
{
    ladder_init(&w->stops);
    w->groups = TRIGGER_NONE;
    w->fires = INT64_MIN;
    w->extends = INT64_MAX;
}

void
triggers_init(struct triggers *t, uint32_t levels_max, uint32_t books_max, void *zeroed)
{
    uint8_t *at = zeroed;
    uint32_t nodes = nodes_max(levels_max, books_max);
    *t = (struct triggers){.levels_free = TRIGGER_NONE,
                           .levels_max = levels_max,
                           .groups_free = TRIGGER_NONE,
                           .groups_max = groups_max(levels_max),
                           .telling = TRIGGER_NONE,
                           .told_to = RESTING_NONE};
    ladder_nodes_init(&t->nodes, (struct ladder_node *)(void *)at, nodes);
    at += lines((size_t)nodes * sizeof(struct ladder_node));
    t->prices = (struct trigger_prices *)(void *)at;
    at += lines((size_t)books_max * sizeof(struct trigger_prices));
    t->watches = (struct trigger_watch *)(void *)at;
    at += lines((size_t)books_max * WATCHES * sizeof(struct trigger_watch));
    t->levels = (struct trigger_level *)(void *)at;
    at += lines((size_t)levels_max * sizeof(struct trigger_level));
    t->groups = (struct trigger_group *)(void *)at;
    for (uint32_t i = 0; i < books_max * WATCHES; i++)
        watch_init(&t->watches[i]);
}

/* ---- Which feed, which price ----------------------------------------------------------------- */

int64_t
trigger_fire_price(enum trigger_way way, int64_t extreme, uint32_t delta)
{
    __int128 scaled = extreme;
    if (way == TRIGGER_FALLING)
        return (int64_t)(scaled * (TRIGGER_BPS - (int64_t)delta) / TRIGGER_BPS);
    scaled = (scaled * (TRIGGER_BPS + (int64_t)delta) + TRIGGER_BPS - 1) / TRIGGER_BPS;
    return scaled < INT64_MAX ? (int64_t)scaled : INT64_MAX;
}

int64_t
trigger_group_fires(const struct triggers *t, const struct trigger_group *g)
{
    enum trigger_way way = way_of(g->watch);
    int64_t extreme = t->levels[g->extremes.best_slot].price;
    return key_of(way, trigger_fire_price(way, extreme, g->delta));
}

static enum trigger_feed
feed_of(enum trigger_source source, enum side side)
{
    switch (source) {
    case TRIGGER_SOURCE_BID_ASK:
        return side == SIDE_SELL ? TRIGGER_BID : TRIGGER_ASK;
    case TRIGGER_SOURCE_MARK:
        return TRIGGER_MARK;
    case TRIGGER_SOURCE_NONE:
    case TRIGGER_SOURCE_LAST:
        break;
    }
    return TRIGGER_LAST;
}

uint32_t
trigger_feed_number(const struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    return r->book * TRIGGER_FEEDS +
           (uint32_t)feed_of((enum trigger_source)more->source, (enum side)r->side);
}

/* ---- Groups --------------------------------------------------------------------------------- */

uint32_t
trigger_group_find(const struct triggers *t, const struct trigger_watch *w, uint32_t delta)
{
    uint32_t i = w->groups;
    while (i != TRIGGER_NONE && t->groups[i].delta != delta)
        i = t->groups[i].next;
    return i;
}

uint32_t
trigger_group_new(struct triggers *t, uint32_t watch, uint32_t delta)
{
    if (t->groups_used == t->groups_max)
        return TRIGGER_NONE;
    uint32_t i = t->groups_free != TRIGGER_NONE ? t->groups_free : t->groups_fresh;
    if (t->groups_free != TRIGGER_NONE)
        t->groups_free = t->groups[i].next;
    else
        t->groups_fresh++;
    t->groups_used++;
    struct trigger_watch *w = watch_of(t, watch);
    struct trigger_group *g = &t->groups[i];
    *g = (struct trigger_group){
        .watch = watch, .delta = delta, .prev = TRIGGER_NONE, .next = w->groups};
    ladder_init(&g->extremes);
    if (w->groups != TRIGGER_NONE)
        t->groups[w->groups].prev = i;
    w->groups = i;
    return i;
}

void
trigger_group_free(struct triggers *t, uint32_t i)
{
    struct trigger_group *g = &t->groups[i];
    if (g->prev == TRIGGER_NONE)
        watch_of(t, g->watch)->groups = g->next;
    else
        t->groups[g->prev].next = g->next;
    if (g->next != TRIGGER_NONE)
        t->groups[g->next].prev = g->prev;
    g->delta = 0;
    g->next = t->groups_free;
    t->groups_free = i;
    t->groups_used--;
}

/* ---- Levels --------------------------------------------------------------------------------- */

static struct ladder *
ladder_of(struct triggers *t, uint32_t watch, uint32_t group)
{
    return group != TRIGGER_NONE ? &t->groups[group].extremes : &watch_of(t, watch)->stops;
}

uint32_t
trigger_level_get(struct triggers *t, uint32_t watch, uint32_t group, int64_t price)
{
    struct ladder *ladder = ladder_of(t, watch, group);
    int64_t key = key_of(way_of(watch), price);
    uint32_t i = ladder_find(&t->nodes, ladder, key);
    if (i != LADDER_NONE)
        return i;
    if (t->levels_used == t->levels_max)
        return TRIGGER_NONE;
    i = t->levels_free != TRIGGER_NONE ? t->levels_free : t->levels_fresh;
    if (!ladder_add(&t->nodes, ladder, key, i))
        return TRIGGER_NONE;
    if (t->levels_free != TRIGGER_NONE)
        t->levels_free = t->levels[i].next;
    else
        t->levels_fresh++;
    t->levels_used++;
    t->levels[i] = (struct trigger_level){
        .price = price, .watch = watch, .group = group, .next = TRIGGER_NONE};
    chain_init(&t->levels[i].orders);
    return i;
}

/* An entry of the list of those to be told is taken out: it will not be told. */
static void
tell_not(struct triggers *t, uint32_t level)
{
    uint32_t *at = &t->telling;
    while (*at != level)
        at = &t->levels[*at].next;
    *at = t->levels[level].next;
    t->levels[level].is_telling = false;
}

void
trigger_level_free(struct triggers *t, uint32_t i)
{
    struct trigger_level *l = &t->levels[i];
    if (l->is_telling)
        tell_not(t, i);
    l->next = t->levels_free;
    l->watch = TRIGGER_NONE;
    t->levels_free = i;
    t->levels_used--;
}

void
trigger_level_remove(struct triggers *t, uint32_t i)
{
    const struct trigger_level *l = &t->levels[i];
    uint32_t group = l->group;
    ladder_remove(&t->nodes, ladder_of(t, l->watch, group), key_of(way_of(l->watch), l->price));
    trigger_level_free(t, i);
    if (group != TRIGGER_NONE && t->groups[group].extremes.count == 0)
        trigger_group_free(t, group);
}
