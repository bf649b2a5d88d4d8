/*
 * waiter.c - two pools, the lists of each order, and who is answered what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/waiter.h"

#include "ledger/core/order.h"
#include "ledger/core/why.h"

uint32_t
groups_max(const struct ledger_limits *limits)
{
    return limits->waiters_max / 8 + 8;
}

void
waiters_init(struct ledger *l)
{
    for (uint32_t i = 0; i < l->limits.waiters_max; i++)
        l->waiters[i].next = i + 1 < l->limits.waiters_max ? i + 1 : LEDGER_NONE;
    for (uint32_t i = 0; i < groups_max(&l->limits); i++)
        l->groups[i].next = i + 1 < groups_max(&l->limits) ? i + 1 : LEDGER_NONE;
    l->waiters_free = l->limits.waiters_max > 0 ? 0 : LEDGER_NONE;
    l->waiters_spare = l->limits.waiters_max;
    l->groups_free = 0;
}

static bool
asker_same(struct asker a, struct asker b)
{
    return a.peer == b.peer && a.corr == b.corr;
}

static uint32_t
waiter_take(struct ledger *l)
{
    uint32_t i = l->waiters_free;
    l->waiters_free = l->waiters[i].next;
    l->waiters_spare--;
    return i;
}

static void
waiter_free(struct ledger *l, uint32_t i)
{
    l->waiters[i].next = l->waiters_free;
    l->waiters_free = i;
    l->waiters_spare++;
}

static void
waiter_append(struct ledger *l, struct ledger_order *o, uint32_t self)
{
    uint32_t *link = &o->first_waiter;
    while (*link != LEDGER_NONE)
        link = &l->waiters[*link].next;
    *link = self;
    l->waiters[self].next = LEDGER_NONE;
    l->waiters[self].order = order_index(l, o);
}

/* Takes it out of its order's list without freeing it. */
static void
waiter_unlink(struct ledger *l, uint32_t self)
{
    uint32_t *link = &l->orders[l->waiters[self].order].first_waiter;
    while (*link != self)
        link = &l->waiters[*link].next;
    *link = l->waiters[self].next;
}

static bool
waiter_put(struct ledger *l, struct ledger_order *o, const struct ledger_waiter *fresh)
{
    uint32_t count = 0;
    uint32_t oldest = LEDGER_NONE;
    for (uint32_t i = o->first_waiter; i != LEDGER_NONE; i = l->waiters[i].next) {
        const struct ledger_waiter *w = &l->waiters[i];
        if (w->kind == WAITER_GROUP)
            continue;
        if (w->kind == fresh->kind && asker_same(w->who, fresh->who))
            return true;
        if (oldest == LEDGER_NONE)
            oldest = i;
        count++;
    }
    if (count == WAITERS_PER_ORDER) {
        waiter_unlink(l, oldest);
        waiter_free(l, oldest);
    }
    if (l->waiters_free == LEDGER_NONE)
        return false;
    uint32_t self = waiter_take(l);
    l->waiters[self] = *fresh;
    waiter_append(l, o, self);
    return true;
}

bool
waiter_add(struct ledger *l, struct ledger_order *o, enum waiter_kind kind, struct asker who)
{
    const struct ledger_waiter fresh = {.kind = kind, .who = who, .group = LEDGER_NONE};
    return waiter_put(l, o, &fresh);
}

bool
waiter_add_amend(struct ledger *l, struct ledger_order *o, qty_t quantity, struct asker who)
{
    const struct ledger_waiter fresh = {
        .kind = WAITER_AMEND, .who = who, .group = LEDGER_NONE, .quantity = quantity};
    return waiter_put(l, o, &fresh);
}

/* ---- Groups ----------------------------------------------------------------------------- */

static void
group_close(struct ledger *l, struct ledger_group *g)
{
    for (uint32_t i = g->first_member; i != LEDGER_NONE;) {
        struct ledger_waiter *w = &l->waiters[i];
        uint32_t next = w->next_member;
        if (!w->answered)
            waiter_unlink(l, i);
        l->orders[w->order].pins--;
        waiter_free(l, i);
        i = next;
    }
    uint32_t self = (uint32_t)(g - l->groups);
    uint32_t *link = &l->accounts[g->account].first_group;
    while (*link != self)
        link = &l->groups[*link].next;
    *link = g->next;
    g->next = l->groups_free;
    l->groups_free = self;
}

/* The page of what it cancelled, newest first. */
static void
group_answer(struct ledger *l, struct ledger_group *g, struct outbox *out)
{
    struct order *list = arena_take(&out->lists, g->members, sizeof(*list));
    CHECK(list != NULL || g->members == 0);
    uint32_t count = 0;
    for (uint32_t i = g->first_member; i != LEDGER_NONE; i = l->waiters[i].next_member) {
        const struct ledger_order *o = &l->orders[l->waiters[i].order];
        if (o->end == ORDER_END_CLIENT_CANCEL)
            list[count++] = order_say(l, o);
    }
    struct msg *m = outbox_put(out, OUT_REPLY, g->who.peer, MSG_order_page, g->who.corr);
    m->order_page.orders = list;
    m->order_page.orders_count = count;
}

bool
group_waits(const struct ledger *l, const struct ledger_account *a, struct asker who)
{
    for (uint32_t i = a->first_group; i != LEDGER_NONE; i = l->groups[i].next)
        if (asker_same(l->groups[i].who, who))
            return true;
    return false;
}

struct ledger_group *
group_open(struct ledger *l, struct ledger_account *a, struct asker who, uint32_t members)
{
    uint32_t count = 0;
    uint32_t oldest = LEDGER_NONE;
    for (uint32_t i = a->first_group; i != LEDGER_NONE; i = l->groups[i].next) {
        oldest = i; /* new ones are put in front */
        count++;
    }
    if (count == GROUPS_PER_ACCOUNT)
        group_close(l, &l->groups[oldest]);
    if (l->groups_free == LEDGER_NONE || l->waiters_spare < members)
        return NULL;
    uint32_t self = l->groups_free;
    struct ledger_group *g = &l->groups[self];
    l->groups_free = g->next;
    *g = (struct ledger_group){.who = who,
                               .account = (uint32_t)(a - l->accounts),
                               .next = a->first_group,
                               .first_member = LEDGER_NONE};
    a->first_group = self;
    return g;
}

void
group_add(struct ledger *l, struct ledger_group *g, struct ledger_order *o)
{
    uint32_t self = waiter_take(l);
    l->waiters[self] = (struct ledger_waiter){.kind = WAITER_GROUP,
                                              .who = g->who,
                                              .group = (uint32_t)(g - l->groups),
                                              .next_member = LEDGER_NONE};
    waiter_append(l, o, self);
    /* Orders are added newest first, and the page lists them so. */
    uint32_t *link = &g->first_member;
    if (g->members > 0)
        link = &l->waiters[g->last_member].next_member;
    *link = self;
    g->last_member = self;
    g->members++;
    g->left++;
    o->pins++;
}

/* ---- Answering -------------------------------------------------------------------------- */

static void
waiter_refuse(const struct ledger_order *o, enum err e, struct asker who, struct outbox *out)
{
    struct refused why = refusal(e);
    why.order_id = o->id;
    reply_refused(out, who, &why);
}

static void
cancel_answer(struct ledger *l, struct ledger_order *o, struct asker who, struct outbox *out)
{
    if (o->end == ORDER_END_CLIENT_CANCEL)
        reply_order(l, out, who, o);
    else
        waiter_refuse(o, ERR_ORDER_DONE, who, out);
}

/* Whether this waiter has got its answer and can be freed. */
static bool
waiter_answer(struct ledger *l, struct ledger_waiter *w, struct ledger_order *o, bool is_first,
              struct outbox *out)
{
    switch (w->kind) {
    case WAITER_PLACE:
        if (is_first)
            reply_placed(l, out, w->who, o);
        return is_first;
    case WAITER_CANCEL:
        if (order_is_open(o))
            return false;
        cancel_answer(l, o, w->who, out);
        return true;
    case WAITER_AMEND:
        if (order_is_open(o))
            return false;
        waiter_refuse(o, ERR_ORDER_DONE, w->who, out);
        return true;
    case WAITER_WHY:
        if (order_is_open(o))
            return false;
        why_answer(l, out, w->who, o, NULL);
        return true;
    case WAITER_GROUP:
    case WAITER_LIST_PLACE:
    case WAITER_LIST_CANCEL:
        return false;
    }
    CHECK(false);
    return false;
}

/* Of an order_cancel_all: its order has ended, or will not be cancelled. The last one answers. */
static void
member_answer(struct ledger *l, uint32_t i, struct outbox *out)
{
    struct ledger_waiter *w = &l->waiters[i];
    struct ledger_group *g = &l->groups[w->group];
    waiter_unlink(l, i);
    w->answered = true;
    if (--g->left == 0) {
        group_answer(l, g, out);
        group_close(l, g);
    }
}

void
waiters_answer(struct ledger *l, struct ledger_order *o, bool is_first, struct outbox *out)
{
    for (uint32_t i = o->first_waiter; i != LEDGER_NONE;) {
        struct ledger_waiter *w = &l->waiters[i];
        uint32_t next = w->next;
        if (w->kind == WAITER_GROUP && !order_is_open(o)) {
            member_answer(l, i, out);
        } else if (waiter_answer(l, w, o, is_first, out)) {
            waiter_unlink(l, i);
            waiter_free(l, i);
        }
        i = next;
    }
}

static void
waiter_done(struct ledger *l, uint32_t i)
{
    waiter_unlink(l, i);
    waiter_free(l, i);
}

void
waiters_refuse(struct ledger *l, struct ledger_order *o, enum waiter_kind kind,
               const struct refused *why, struct outbox *out)
{
    for (uint32_t i = o->first_waiter; i != LEDGER_NONE;) {
        uint32_t next = l->waiters[i].next;
        if (l->waiters[i].kind == kind) {
            reply_refused(out, l->waiters[i].who, why);
            waiter_done(l, i);
        } else if (kind == WAITER_CANCEL && l->waiters[i].kind == WAITER_GROUP) {
            member_answer(l, i, out);
        }
        i = next;
    }
}

/* Whether an amendment to this quantity can still come about. */
static bool
amend_is_possible(const struct ledger_order *o, qty_t quantity)
{
    return quantity.v < o->quantity.v && quantity.v > o->executed.v + o->prevented.v;
}

void
waiters_trimmed(struct ledger *l, struct ledger_order *o, qty_t to, struct outbox *out)
{
    for (uint32_t i = o->first_waiter; i != LEDGER_NONE;) {
        const struct ledger_waiter *w = &l->waiters[i];
        uint32_t next = w->next;
        bool is_made = w->quantity.v == o->quantity.v && o->amends > 0;
        if (w->kind == WAITER_AMEND && is_made) {
            reply_order(l, out, w->who, o);
            waiter_done(l, i);
        } else if (w->kind == WAITER_AMEND && (to.v == 0 || !amend_is_possible(o, w->quantity))) {
            waiter_refuse(o, ERR_AMEND_NOT_LOWER, w->who, out);
            waiter_done(l, i);
        }
        i = next;
    }
}

void
waiters_explained(struct ledger *l, struct ledger_order *o, const struct story *story,
                  struct outbox *out)
{
    for (uint32_t i = o->first_waiter; i != LEDGER_NONE;) {
        uint32_t next = l->waiters[i].next;
        if (l->waiters[i].kind == WAITER_WHY) {
            why_answer(l, out, l->waiters[i].who, o, story);
            waiter_done(l, i);
        }
        i = next;
    }
}

bool
waiter_take_list(struct ledger *l, struct ledger_order *o, enum waiter_kind kind, struct asker *who)
{
    uint32_t i = o->first_waiter;
    while (i != LEDGER_NONE && l->waiters[i].kind != kind)
        i = l->waiters[i].next;
    if (i == LEDGER_NONE)
        return false;
    *who = l->waiters[i].who;
    waiter_done(l, i);
    return true;
}
