/*
 * trigger.c - ladders of stop prices, groups of trailing orders.
 *
 * A way is a side of a book seen from the price: FALLING stops are keyed like bids and RISING ones
 * like asks, so that the stop to be met first is the ladder's best. A price meets a stop when its
 * key is not above the stop's. A group's best entry is its oldest extreme, the one that fires
 * first; new prices come in at the worst end. An order that trails and has seen no price yet
 * lies at the extreme that any price passes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/trigger.h"

#include "base/check.h"
#include "matcher/core/match.h"
#include "matcher/core/report.h"

#define BPS 10000

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
    return ladder_nodes_for(levels_max,
                            books_max * TRIGGER_FEEDS * TRIGGER_WAYS + groups_max(levels_max));
}

size_t
triggers_bytes(uint32_t levels_max, uint32_t books_max)
{
    return lines((size_t)nodes_max(levels_max, books_max) * sizeof(struct ladder_node)) +
           lines((size_t)books_max * TRIGGER_FEEDS * sizeof(struct trigger_prices)) +
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
    t->feeds = (struct trigger_prices *)(void *)at;
    at += lines((size_t)books_max * TRIGGER_FEEDS * sizeof(struct trigger_prices));
    t->levels = (struct trigger_level *)(void *)at;
    at += lines((size_t)levels_max * sizeof(struct trigger_level));
    t->groups = (struct trigger_group *)(void *)at;
    for (uint32_t i = 0; i < books_max * TRIGGER_FEEDS; i++)
        for (int way = 0; way < TRIGGER_WAYS; way++)
            watch_init(&t->feeds[i].watches[way]);
}

/* ---- Which feed, which way, which price ------------------------------------------------------ */

static enum side
side_of(enum trigger_way way)
{
    return way == TRIGGER_FALLING ? SIDE_BUY : SIDE_SELL;
}

static int64_t
key_of(enum trigger_way way, int64_t price)
{
    return ladder_key(side_of(way), price);
}

/* Whether a price meets a stop. */
static bool
meets(enum trigger_way way, int64_t price, int64_t stop)
{
    return key_of(way, price) <= key_of(way, stop);
}

/* The extreme of who has seen no price yet: every price is better. */
static int64_t
no_extreme(enum trigger_way way)
{
    return way == TRIGGER_FALLING ? 0 : INT64_MAX;
}

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

static int64_t
fire_price(enum trigger_way way, int64_t extreme, uint32_t delta)
{
    __int128 scaled = extreme;
    if (way == TRIGGER_FALLING)
        return (int64_t)(scaled * (BPS - (int64_t)delta) / BPS);
    scaled = (scaled * (BPS + (int64_t)delta) + BPS - 1) / BPS;
    return scaled < INT64_MAX ? (int64_t)scaled : INT64_MAX;
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

/* The number of the feed that an order out of every book looks at. */
static uint32_t
feed_number(const struct match *m, uint32_t record)
{
    const struct resting *r = &m->books.orders.at[record];
    const struct order_more *more = &m->books.orders.more[record];
    return r->book * TRIGGER_FEEDS +
           (uint32_t)feed_of((enum trigger_source)more->source, (enum side)r->side);
}

const struct trigger_prices *
trigger_prices_of(const struct match *m, uint32_t record)
{
    return &m->triggers.feeds[feed_number(m, record)];
}

static struct trigger_watch *
watch_of(struct triggers *t, uint32_t watch)
{
    return &t->feeds[watch / TRIGGER_WAYS].watches[watch % TRIGGER_WAYS];
}

static enum trigger_way
way_of(uint32_t watch)
{
    return (enum trigger_way)(watch % TRIGGER_WAYS);
}

/* ---- Groups --------------------------------------------------------------------------------- */

static uint32_t
group_find(const struct triggers *t, const struct trigger_watch *w, uint32_t delta)
{
    uint32_t i = w->groups;
    while (i != TRIGGER_NONE && t->groups[i].delta != delta)
        i = t->groups[i].next;
    return i;
}

static uint32_t
group_new(struct triggers *t, uint32_t watch, uint32_t delta)
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

static void
group_free(struct triggers *t, uint32_t i)
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

/* The level of a price, or a new one; TRIGGER_NONE when there is no room. */
static uint32_t
level_get(struct triggers *t, uint32_t watch, uint32_t group, int64_t price)
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

/* Gives back a level that has no orders and is in no ladder. */
static void
level_free(struct triggers *t, uint32_t i)
{
    struct trigger_level *l = &t->levels[i];
    if (l->is_telling)
        tell_not(t, i);
    l->next = t->levels_free;
    l->watch = TRIGGER_NONE;
    t->levels_free = i;
    t->levels_used--;
}

static void
level_remove(struct triggers *t, uint32_t i)
{
    const struct trigger_level *l = &t->levels[i];
    uint32_t group = l->group;
    ladder_remove(&t->nodes, ladder_of(t, l->watch, group), key_of(way_of(l->watch), l->price));
    level_free(t, i);
    if (group != TRIGGER_NONE && t->groups[group].extremes.count == 0)
        group_free(t, group);
}

/* ---- A price sets off ------------------------------------------------------------------------ */

/* A price met the stop of an order: it is set off, or begins to trail. */
static void
set_off(struct match *m, uint32_t record, const struct trigger_prices *f)
{
    struct order_more *more = &m->books.orders.more[record];
    more->is_untold = true;
    if (more->trailing_delta > 0 && !more->is_tracking) {
        more->is_tracking = true;
        more->trail_extreme = f->price;
        return;
    }
    more->is_triggered = true;
    m->counts.triggered++;
    story_triggered(&m->books, record, f->price, f->sequence);
}

/* Takes all orders of a level off their arms; what they trail from stays with them. */
static void
level_fire(struct match *m, uint32_t i, struct chain *fired)
{
    struct triggers *t = &m->triggers;
    struct trigger_level *l = &t->levels[i];
    struct resting_pool *p = &m->books.orders;
    struct trigger_prices *f = &t->feeds[l->watch / TRIGGER_WAYS];
    for (uint32_t o = l->orders.head; o != RESTING_NONE; o = p->at[o].next) {
        p->more[o].level = TRIGGER_NONE;
        p->at[o].state = RESTING_READY;
        if (l->group != TRIGGER_NONE)
            p->more[o].trail_extreme = l->price;
        set_off(m, o, f);
    }
    f->armed -= l->count;
    t->armed -= l->count;
    chain_join(p->at, fired, &l->orders);
    level_remove(t, i);
}

/* The key of the price that set an order off, higher = met earlier. */
static int64_t
fired_key(const struct resting_pool *p, uint32_t record)
{
    const struct order_more *more = &p->more[record];
    enum side side = (enum side)p->at[record].side;
    if (more->is_tracking && more->is_triggered) {
        enum trigger_way way = trail_way(side);
        return key_of(way, fire_price(way, more->trail_extreme, more->trailing_delta));
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
    return moved * BPS * 10 >= (__int128)l->told * delta;
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
        level_free(t, to == all ? passed : all);
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

/* The best entry of a group's ladder fires first, the worst is extended first. */
static int64_t
group_fires(const struct triggers *t, const struct trigger_group *g)
{
    enum trigger_way way = way_of(g->watch);
    int64_t extreme = t->levels[g->extremes.best_slot].price;
    return key_of(way, fire_price(way, extreme, g->delta));
}

static void
watch_bounds(const struct triggers *t, struct trigger_watch *w, const struct trigger_group *g)
{
    int64_t fires = group_fires(t, g), extends = ladder_worst(&t->nodes, &g->extremes);
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
        while (g->delta != 0 && group_fires(t, g) >= key)
            level_fire(m, g->extremes.best_slot, fired);
        if (g->delta != 0)
            watch_bounds(t, w, g);
    }
}

void
trigger_price(struct match *m, uint32_t book, enum trigger_feed feed, int64_t price,
              uint64_t sequence)
{
    struct triggers *t = &m->triggers;
    struct trigger_prices *f = &t->feeds[book * TRIGGER_FEEDS + (uint32_t)feed];
    f->price = price;
    f->sequence = sequence;
    if (f->armed == 0 || price <= 0)
        return;
    for (int way = 0; way < TRIGGER_WAYS; way++) {
        struct trigger_watch *w = &f->watches[way];
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
    uint32_t i = level_get(t, watch, group, price);
    if (i == TRIGGER_NONE)
        return false;
    struct trigger_level *l = &t->levels[i];
    chain_append(m->books.orders.at, &l->orders, record);
    l->count++;
    m->books.orders.more[record].level = i;
    m->books.orders.at[record].state = RESTING_ARMED;
    t->feeds[watch / TRIGGER_WAYS].armed++;
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
    uint32_t group = group_find(t, w, more->trailing_delta);
    if (group == TRIGGER_NONE)
        group = group_new(t, watch, more->trailing_delta);
    if (group == TRIGGER_NONE)
        return false;
    int64_t extreme = more->trail_extreme > 0 ? more->trail_extreme : no_extreme(way_of(watch));
    if (!link_in(m, record, watch, group, extreme)) {
        if (t->groups[group].extremes.count == 0)
            group_free(t, group);
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
arm_trailing(struct match *m, uint32_t record, const struct trigger_prices *f, uint32_t feed)
{
    struct order_more *more = &m->books.orders.more[record];
    enum trigger_way way = trail_way((enum side)m->books.orders.at[record].side);
    if (f->price > 0 && more->trail_extreme > 0) {
        if (!meets(way, f->price, more->trail_extreme)) {
            more->trail_extreme = f->price;
            more->is_untold = true;
        }
        if (meets(way, f->price, fire_price(way, more->trail_extreme, more->trailing_delta))) {
            set_off(m, record, f);
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
    uint32_t feed = feed_number(m, record);
    const struct trigger_prices *f = &m->triggers.feeds[feed];
    enum trigger_way way = stop_way((enum side)r->side, (enum order_type)more->type);
    if (more->trailing_delta > 0 && more->stop_price == 0)
        more->is_tracking = true;
    if (!more->is_tracking && f->price > 0 && meets(way, f->price, more->stop_price))
        set_off(m, record, f);
    if (more->is_triggered)
        return TRIGGER_MET;
    if (more->is_tracking)
        return arm_trailing(m, record, f, feed);
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
    t->feeds[l->watch / TRIGGER_WAYS].armed--;
    t->armed--;
    if (--l->count == 0)
        level_remove(t, more->level);
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

/* ---- Proof ---------------------------------------------------------------------------------- */

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
        if (feed_number(m, o) != watch / TRIGGER_WAYS)
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
check_met(const struct match *m, const struct trigger_prices *f, uint32_t watch)
{
    const struct trigger_watch *w = &f->watches[watch % TRIGGER_WAYS];
    int64_t key = key_of(way_of(watch), f->price);
    if (f->price > 0 && w->stops.best_key >= key)
        return "triggers: an order is armed whose price is met";
    for (uint32_t g = w->groups; g != TRIGGER_NONE && f->price > 0; g = m->triggers.groups[g].next)
        if (group_fires(&m->triggers, &m->triggers.groups[g]) >= key)
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
        const struct trigger_prices *f = &t->feeds[i];
        uint32_t here = 0;
        for (uint32_t way = 0; way < TRIGGER_WAYS && wrong == NULL; way++) {
            uint32_t watch = i * TRIGGER_WAYS + way;
            wrong = check_ladder(m, &f->watches[way].stops, watch, TRIGGER_NONE, &here);
            for (uint32_t g = f->watches[way].groups; g != TRIGGER_NONE && wrong == NULL;
                 g = t->groups[g].next)
                wrong = check_ladder(m, &t->groups[g].extremes, watch, g, &here);
            if (wrong == NULL)
                wrong = check_met(m, f, watch);
        }
        if (wrong == NULL && here != f->armed)
            wrong = "triggers: the number of a feed's armed orders is wrong";
        armed += here;
    }
    return wrong == NULL && armed != t->armed ? "triggers: the number of armed orders is wrong"
                                              : wrong;
}
