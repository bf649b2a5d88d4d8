/*
 * trigger_check.c - the proof that every armed order is where its price will find it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/match.h"
#include "matcher/core/trigger_parts.h"

static const char *
check_level(const struct match *m, uint32_t i, uint32_t watch, uint32_t group, int64_t key)
{
    const struct trigger_level *l = &m->triggers.levels[i];
    const struct resting_pool *p = &m->books.orders;
    if (l->watch != watch || l->group != group || key_of(way_of(watch), l->price) != key)
        return "triggers: a level is not where its ladder says";
    uint32_t count = 0, prev = RESTING_NONE;
    for (uint32_t o = l->orders.head; o != RESTING_NONE; prev = o, o = p->at[o].next, count++) {
        const struct resting *r = &p->at[o];
        const struct order_more *more = &p->more[o];
        if (r->id == 0 || r->state != RESTING_ARMED || more->level != i || r->prev != prev)
            return "triggers: an order does not belong to the level it is linked in";
        if (trigger_feed_number(m, o) != watch / TRIGGER_WAYS)
            return "triggers: an order looks at another price than its level";
        if (group == TRIGGER_NONE ? more->stop_price != l->price
                                  : more->trailing_delta != m->triggers.groups[group].delta)
            return "triggers: an order waits for another price than its level";
    }
    return count > 0 && count == l->count && prev == l->orders.tail
               ? NULL
               : "triggers: a level's count or tail is wrong";
}

static const char *
check_ladder(const struct match *m, const struct ladder *ladder, uint32_t watch, uint32_t group,
             uint32_t *armed)
{
    const struct ladder_nodes *n = &m->triggers.nodes;
    const char *wrong = ladder_check(n, ladder);
    struct ladder_at at;
    for (bool on = ladder_first(ladder, n, &at); on && wrong == NULL; on = ladder_next(n, &at)) {
        uint32_t level = ladder_slot(n, at);
        wrong = check_level(m, level, watch, group, n->at[at.node].keys[at.i]);
        *armed += m->triggers.levels[level].count;
    }
    return wrong;
}

/* A price that is known has set off all it meets. */
static const char *
check_met(const struct match *m, uint32_t watch)
{
    const struct trigger_watch *w = &m->triggers.watches[watch];
    int64_t price = price_at(&m->triggers, feed_of_watch(watch));
    int64_t key = key_of(way_of(watch), price);
    if (price > 0 && w->stops.best_key >= key)
        return "triggers: an order is armed whose price is met";
    for (uint32_t g = w->groups; g != TRIGGER_NONE && price > 0; g = m->triggers.groups[g].next)
        if (trigger_group_fires(&m->triggers, &m->triggers.groups[g]) >= key)
            return "triggers: an order trails whose price is met";
    return NULL;
}

const char *
triggers_check(const struct match *m)
{
    const struct triggers *t = &m->triggers;
    uint32_t armed = 0;
    const char *wrong = NULL;
    for (uint32_t i = 0; i < m->books_count * TRIGGER_FEEDS && wrong == NULL; i++) {
        uint32_t here = 0;
        for (uint32_t way = 0; way < TRIGGER_WAYS && wrong == NULL; way++) {
            uint32_t watch = i * TRIGGER_WAYS + way;
            wrong = check_ladder(m, &t->watches[watch].stops, watch, TRIGGER_NONE, &here);
            for (uint32_t g = t->watches[watch].groups; g != TRIGGER_NONE && wrong == NULL;
                 g = t->groups[g].next)
                wrong = check_ladder(m, &t->groups[g].extremes, watch, g, &here);
            if (wrong == NULL)
                wrong = check_met(m, watch);
        }
        if (wrong == NULL && here != t->prices[i / TRIGGER_FEEDS].armed[i % TRIGGER_FEEDS])
            wrong = "triggers: the number of a feed's armed orders is wrong";
        armed += here;
    }
    return wrong == NULL && armed != t->armed ? "triggers: the number of armed orders is wrong"
                                              : wrong;
}
