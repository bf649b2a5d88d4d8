/*
 * trigger.c - what a price sets off, and how orders are armed.
 *
 * A group's best entry is its oldest extreme, the one that fires first; new prices come in at the
 * worst end. An order that trails and has seen no price yet lies at the extreme that any price
 * passes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/trigger.h"

#include "base/check.h"
#include "matcher/core/match.h"
#include "matcher/core/report.h"
#include "matcher/core/trigger_parts.h"

static bool
is_take_profit(enum order_type type)
{
    return type == ORDER_TYPE_TAKE_PROFIT || type == ORDER_TYPE_TAKE_PROFIT_LIMIT ||
           type == ORDER_TYPE_TRAILING_STOP;
}

/* How the price has to move to meet the stop price. */
static enum trigger_way
stop_way(enum side side, enum order_type type)
{
    return (side == SIDE_BUY) != is_take_profit(type) ? TRIGGER_RISING : TRIGGER_FALLING;
}

/* How it has to move to come back by the delta. */
static enum trigger_way
trail_way(enum side side)
{
    return side == SIDE_BUY ? TRIGGER_RISING : TRIGGER_FALLING;
}

/* ---- A price sets off ------------------------------------------------------------------------ */

/* A price met the stop of an order: it is set off, or begins to trail. */
static void
set_off(struct match *m, uint32_t record, int64_t price)
{
    struct order_more *more = &m->books.orders.more[record];
    more->is_untold = true;
    if (more->trailing_delta > 0 && !more->is_tracking) {
        more->is_tracking = true;
        more->trail_extreme = price;
        return;
    }
    more->is_triggered = true;
    m->counts.triggered++;
    const struct book *b = &m->book[m->books.orders.at[record].book];
    story_triggered(&m->books, record, price, b->house.sequence);
}

/* Takes all orders of a level off their arms; what they trail from stays with them. */
static void
level_fire(struct match *m, uint32_t i, struct chain *fired)
{
    struct triggers *t = &m->triggers;
    struct trigger_level *l = &t->levels[i];
    struct resting_pool *p = &m->books.orders;
    uint32_t feed = feed_of_watch(l->watch);
    for (uint32_t o = l->orders.head; o != RESTING_NONE; o = p->at[o].next) {
        p->more[o].level = TRIGGER_NONE;
        p->at[o].state = RESTING_READY;
        if (l->group != TRIGGER_NONE)
            p->more[o].trail_extreme = l->price;
        set_off(m, o, price_at(t, feed));
    }
    *armed_at(t, feed) -= l->count;
    t->armed -= l->count;
    chain_join(p->at, fired, &l->orders);
    trigger_level_remove(t, i);
}

/* The key of the price that set an order off, higher = met earlier. */
static int64_t
fired_key(const struct resting_pool *p, uint32_t record)
{
    const struct order_more *more = &p->more[record];
    enum side side = (enum side)p->at[record].side;
    if (more->is_tracking && more->is_triggered) {
        enum trigger_way way = trail_way(side);
        return key_of(way, trigger_fire_price(way, more->trail_extreme, more->trailing_delta));
    }
    return key_of(stop_way(side, (enum order_type)more->type), more->stop_price);
}

static bool
fires_before(const struct resting_pool *p, uint32_t b, uint32_t a)
{
    int64_t key_a = fired_key(p, a), key_b = fired_key(p, b);
    return key_a != key_b ? key_b > key_a : p->at[b].rank < p->at[a].rank;
}

/* Whether the ledgers know an extreme that is too far from this one: a tenth of the delta. */
static bool
is_news(const struct trigger_level *l, uint32_t delta)
{
    if (l->told == 0)
        return true;
    __int128 moved = l->price > l->told ? l->price - l->told : l->told - l->price;
    return moved * TRIGGER_BPS * 10 >= (__int128)l->told * delta;
}

/* The one of two tellings that is further behind. */
static int64_t
older_told(enum trigger_way way, int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return key_of(way, a) < key_of(way, b) ? a : b;
}

/* Joins the orders of two levels; the smaller one's are moved. Gives the level that is left: the
 * other one has no orders. */
static uint32_t
levels_join(struct match *m, uint32_t a, uint32_t b)
{
    struct trigger_level *levels = m->triggers.levels;
    uint32_t to = levels[a].count >= levels[b].count ? a : b, from = to == a ? b : a;
    struct resting_pool *p = &m->books.orders;
    for (uint32_t o = levels[from].orders.head; o != RESTING_NONE; o = p->at[o].next)
        p->more[o].level = to;
    chain_join(p->at, &levels[to].orders, &levels[from].orders);
    levels[to].count += levels[from].count;
    levels[from].count = 0;
    levels[to].told = older_told(way_of(levels[to].watch), levels[a].told, levels[b].told);
    return to;
}

/* A new price passes the worst extremes of a group: all of them are now this price. */
static void
group_extend(struct match *m, uint32_t group, int64_t price)
{
    struct triggers *t = &m->triggers;
    struct trigger_group *g = &t->groups[group];
    enum trigger_way way = way_of(g->watch);
    int64_t key = key_of(way, price);
    uint32_t all = ladder_find(&t->nodes, &g->extremes, key);
    if (all != LADDER_NONE)
        ladder_remove(&t->nodes, &g->extremes, key);
    while (g->extremes.count > 0) {
        int64_t worst = ladder_worst(&t->nodes, &g->extremes);
        if (worst >= key)
            break;
        uint32_t passed = ladder_find(&t->nodes, &g->extremes, worst);
        ladder_remove(&t->nodes, &g->extremes, worst);
        if (all == LADDER_NONE) {
            all = passed;
            continue;
        }
        uint32_t to = levels_join(m, all, passed);
        trigger_level_free(t, to == all ? passed : all);
        all = to;
    }
    struct trigger_level *l = &t->levels[all];
    l->price = price;
    /* At least one entry was removed just now. */
    CHECK(ladder_add(&t->nodes, &g->extremes, key, all));
    if (l->is_telling || !is_news(l, g->delta))
        return;
    l->is_telling = true;
    l->next = t->telling;
    t->telling = all;
}

static void
watch_bounds(const struct triggers *t, struct trigger_watch *w, const struct trigger_group *g)
{
    int64_t fires = trigger_group_fires(t, g), extends = ladder_worst(&t->nodes, &g->extremes);
    if (fires > w->fires)
        w->fires = fires;
    if (extends < w->extends)
        w->extends = extends;
}

static void
watch_groups(struct match *m, struct trigger_watch *w, enum trigger_way way, int64_t price,
             struct chain *fired)
{
    struct triggers *t = &m->triggers;
    int64_t key = key_of(way, price);
    if (w->groups == TRIGGER_NONE || (key > w->fires && key <= w->extends))
        return;
    w->fires = INT64_MIN;
    w->extends = INT64_MAX;
    for (uint32_t i = w->groups, next; i != TRIGGER_NONE; i = next) {
        struct trigger_group *g = &t->groups[i];
        next = g->next;
        if (ladder_worst(&t->nodes, &g->extremes) < key)
            group_extend(m, i, price);
        while (g->delta != 0 && trigger_group_fires(t, g) >= key)
            level_fire(m, g->extremes.best_slot, fired);
        if (g->delta != 0)
            watch_bounds(t, w, g);
    }
}

void
trigger_price(struct match *m, uint32_t book, enum trigger_feed feed, int64_t price)
{
    struct triggers *t = &m->triggers;
    uint32_t number = book * TRIGGER_FEEDS + (uint32_t)feed;
    t->prices[book].price[feed] = price;
    if (t->prices[book].armed[feed] == 0 || price <= 0)
        return;
    for (int way = 0; way < TRIGGER_WAYS; way++) {
        struct trigger_watch *w = watch_of(t, number * TRIGGER_WAYS + (uint32_t)way);
        struct chain fired;
        chain_init(&fired);
        int64_t key = key_of((enum trigger_way)way, price);
        while (w->stops.best_key >= key)
            level_fire(m, w->stops.best_slot, &fired);
        watch_groups(m, w, (enum trigger_way)way, price, &fired);
        if (chain_is_empty(&fired))
            continue;
        chain_sort(&m->books.orders, &fired, fires_before);
        chain_join(m->books.orders.at, &m->ready, &fired);
    }
}

bool
trigger_tell(struct match *m, struct outbox *out)
{
    struct triggers *t = &m->triggers;
    const struct resting *at = m->books.orders.at;
    while (t->telling != TRIGGER_NONE) {
        struct trigger_level *l = &t->levels[t->telling];
        uint32_t o = t->told_to != RESTING_NONE ? at[t->told_to].next : l->orders.head;
        for (; o != RESTING_NONE; o = at[o].next) {
            if (!report_room(out))
                return false;
            report_alone(m, out, at[o].id, at[o].ledger, 0, NULL)->trail_extreme.v = l->price;
            t->told_to = o;
        }
        t->told_to = RESTING_NONE;
        l->told = l->price;
        l->is_telling = false;
        t->telling = l->next;
    }
    return true;
}

/* ---- Arming ---------------------------------------------------------------------------------- */

static bool
link_in(struct match *m, uint32_t record, uint32_t watch, uint32_t group, int64_t price)
{
    struct triggers *t = &m->triggers;
    uint32_t i = trigger_level_get(t, watch, group, price);
    if (i == TRIGGER_NONE)
        return false;
    struct trigger_level *l = &t->levels[i];
    chain_append(m->books.orders.at, &l->orders, record);
    l->count++;
    m->books.orders.more[record].level = i;
    m->books.orders.at[record].state = RESTING_ARMED;
    ++*armed_at(t, feed_of_watch(watch));
    t->armed++;
    return true;
}

/* Lets an order trail, from the extreme in its record; 0 = from the next price. */
static bool
trail(struct match *m, uint32_t record, uint32_t watch)
{
    struct triggers *t = &m->triggers;
    const struct order_more *more = &m->books.orders.more[record];
    struct trigger_watch *w = watch_of(t, watch);
    uint32_t group = trigger_group_find(t, w, more->trailing_delta);
    if (group == TRIGGER_NONE)
        group = trigger_group_new(t, watch, more->trailing_delta);
    if (group == TRIGGER_NONE)
        return false;
    int64_t extreme = more->trail_extreme > 0 ? more->trail_extreme : no_extreme(way_of(watch));
    if (!link_in(m, record, watch, group, extreme)) {
        if (t->groups[group].extremes.count == 0)
            trigger_group_free(t, group);
        return false;
    }
    struct trigger_level *l = &t->levels[more->level];
    if (l->count == 1 && more->trail_extreme > 0)
        l->told = more->trail_extreme;
    watch_bounds(t, w, &t->groups[group]);
    return true;
}

/* An order that trails already; `p` is the price now, 0 = not known. */
static enum trigger_armed
arm_trailing(struct match *m, uint32_t record, uint32_t feed)
{
    int64_t price = price_at(&m->triggers, feed);
    struct order_more *more = &m->books.orders.more[record];
    enum trigger_way way = trail_way((enum side)m->books.orders.at[record].side);
    if (price > 0 && more->trail_extreme > 0) {
        if (!meets(way, price, more->trail_extreme)) {
            more->trail_extreme = price;
            more->is_untold = true;
        }
        if (meets(way, price, trigger_fire_price(way, more->trail_extreme, more->trailing_delta))) {
            set_off(m, record, price);
            return TRIGGER_MET;
        }
    }
    if (!trail(m, record, feed * TRIGGER_WAYS + (uint32_t)way))
        return TRIGGER_FULL;
    bool is_untold = more->is_untold;
    more->is_untold = false;
    return is_untold ? TRIGGER_TRAILS : TRIGGER_ARMED;
}

enum trigger_armed
trigger_arm(struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    struct order_more *more = &m->books.orders.more[record];
    uint32_t feed = trigger_feed_number(m, record);
    int64_t price = price_at(&m->triggers, feed);
    enum trigger_way way = stop_way((enum side)r->side, (enum order_type)more->type);
    if (more->trailing_delta > 0 && more->stop_price == 0)
        more->is_tracking = true;
    if (!more->is_tracking && price > 0 && meets(way, price, more->stop_price))
        set_off(m, record, price);
    if (more->is_triggered)
        return TRIGGER_MET;
    if (more->is_tracking)
        return arm_trailing(m, record, feed);
    uint32_t watch = feed * TRIGGER_WAYS + (uint32_t)way;
    return link_in(m, record, watch, TRIGGER_NONE, more->stop_price) ? TRIGGER_ARMED : TRIGGER_FULL;
}

void
trigger_unlink(struct match *m, uint32_t record)
{
    struct triggers *t = &m->triggers;
    struct order_more *more = &m->books.orders.more[record];
    struct trigger_level *l = &t->levels[more->level];
    more->trail_extreme = trigger_extreme(m, record);
    chain_remove(m->books.orders.at, &l->orders, record);
    --*armed_at(t, feed_of_watch(l->watch));
    t->armed--;
    if (--l->count == 0)
        trigger_level_remove(t, more->level);
    more->level = TRIGGER_NONE;
}

int64_t
trigger_extreme(const struct match *m, uint32_t record)
{
    const struct order_more *more = &m->books.orders.more[record];
    bool is_armed = m->books.orders.at[record].state == RESTING_ARMED;
    const struct trigger_level *l = is_armed ? &m->triggers.levels[more->level] : NULL;
    if (l == NULL || l->group == TRIGGER_NONE)
        return more->trail_extreme;
    return l->price != no_extreme(way_of(l->watch)) ? l->price : 0;
}
