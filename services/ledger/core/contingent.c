/*
 * contingent.c - what the end of one order does to others, in the record of that end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/contingent.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/cancel.h"
#include "ledger/core/events.h"
#include "ledger/core/list.h"
#include "ledger/core/order.h"
#include "ledger/core/send.h"
#include "ledger/core/waiter.h"

/* ---- Who belongs to whom ------------------------------------------------------------------ */

uint32_t
contingent_orders(enum contingency c)
{
    switch (c) {
    case CONTINGENCY_NONE:
        return 1;
    case CONTINGENCY_OCO:
    case CONTINGENCY_OTO:
        return 2;
    case CONTINGENCY_OTOCO:
        return 3;
    }
    return 0;
}

struct ledger_order *
contingent_find_partner(const struct ledger *l, const struct ledger_order *o)
{
    uint64_t other = 0;
    if (o->contingency == CONTINGENCY_OCO)
        other = o->list_id + (o->leg == 0);
    else if (o->contingency == CONTINGENCY_OTOCO && o->leg > 0)
        other = o->list_id + (o->leg == 1 ? 2 : 1);
    if (other == 0 || !order_is_live(o))
        return NULL;
    struct ledger_order *p = order_find(l, other);
    return p != NULL && order_is_live(p) ? p : NULL;
}

bool
contingent_is_second(const struct ledger *l, const struct ledger_order *o)
{
    bool is_last = (o->contingency == CONTINGENCY_OCO && o->leg == 1) ||
                   (o->contingency == CONTINGENCY_OTOCO && o->leg == 2);
    const struct ledger_order *p = is_last ? order_find(l, o->id - 1) : NULL;
    return p != NULL && order_is_open(p);
}

struct ledger_order *
contingent_replacement(const struct ledger *l, const struct ledger_order *o)
{
    for (uint32_t i = o->first_dependent; i != LEDGER_NONE; i = l->orders[i].next_dependent)
        if (l->orders[i].replaces == o->id)
            return &l->orders[i];
    return NULL;
}

/* ---- Holds -------------------------------------------------------------------------------- */

money_t
contingent_hold_needed(const struct ledger *l, const struct ledger_order *o)
{
    if (!order_is_live(o))
        return (money_t){0};
    money_t need = order_need(o);
    const struct ledger_order *p = contingent_partner(l, o);
    if (p == NULL)
        return need;
    if (p->leg < o->leg)
        return (money_t){0};
    money_t other = order_need(p);
    return money_less(need, other) ? other : need;
}

money_t
contingent_held(const struct ledger *l, const struct ledger_order *o)
{
    const struct ledger_order *p = contingent_partner(l, o);
    return p == NULL ? o->held : money_add(o->held, p->held);
}

money_t
contingent_release(struct ledger *l, struct ledger_order *o)
{
    struct ledger_order *p = contingent_partner(l, o);
    struct ledger_order *bears = p != NULL && p->leg < o->leg ? p : o;
    money_t needed = contingent_hold_needed(l, bears);
    money_t over = money_sub(bears->held, needed);
    hold_release(l, order_pays(l, bears), over);
    bears->held = needed;
    if (over.v != 0)
        order_touch(l, bears);
    return over;
}

/* ---- Becoming live ------------------------------------------------------------------------ */

static void
order_send(const struct ledger *l, const struct turn *t, const struct ledger_order *o)
{
    struct msg *m = send_matcher(t, o, MSG_order_work);
    order_ask_matcher(l, o, &m->order_work);
}

void
contingent_start(struct ledger *l, const struct turn *t, struct ledger_order *first,
                 struct ledger_order *second)
{
    first->held = contingent_hold_needed(l, first);
    hold_open(l, order_pays(l, first), first->held);
    event_of_order(l, first, t->out);
    if (second != NULL)
        event_of_order(l, second, t->out);
    event_of_balance(l, order_pays(l, first), t->now_us, t->out);
    order_send(l, t, first);
    if (second != NULL)
        order_send(l, t, second);
    /* A cancel may have been asked for while they waited. */
    if (first->pulled_us != 0)
        cancel_pull_now(l, t, first);
    if (second != NULL && second->pulled_us != 0)
        cancel_pull_now(l, t, second);
}

static void
pending_refuse(struct ledger *l, const struct turn *t, struct ledger_order *o, enum err why)
{
    o->refused_by = (uint16_t)why;
    o->live_us = 0;
    order_set_status(l, o, ORDER_STATUS_REJECTED, ORDER_END_NOT_ACTIVATED);
    event_of_order(l, o, t->out);
}

static void
pending_live(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    o->waits_for = 0;
    o->live_us = o->updated_us = t->now_us;
    order_set_status(l, o, ORDER_STATUS_NEW, ORDER_END_NONE);
}

/* Its time has passed while it waited. */
static bool
pending_is_over(const struct turn *t, const struct ledger_order *o)
{
    return o->expire_us != 0 && o->expire_us <= t->now_us;
}

static void
pending_expire(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    enum order_end end = pending_is_over(t, o) ? ORDER_END_GTD_REACHED : ORDER_END_OCO_TRIGGER;
    o->waits_for = 0;
    o->updated_us = t->now_us;
    order_set_status(l, o, ORDER_STATUS_EXPIRED, end);
    event_of_order(l, o, t->out);
}

/* Both or neither: a pair holds once, and one that is over ends the other. */
static void
pending_start(struct ledger *l, const struct turn *t, struct ledger_order *first,
              struct ledger_order *second)
{
    if (pending_is_over(t, first) || (second != NULL && pending_is_over(t, second))) {
        pending_expire(l, t, first);
        if (second != NULL)
            pending_expire(l, t, second);
        return;
    }
    pending_live(l, t, first);
    if (second != NULL)
        pending_live(l, t, second);
    if (!money_less(order_pays(l, first)->free, contingent_hold_needed(l, first))) {
        contingent_start(l, t, first, second);
        return;
    }
    pending_refuse(l, t, first, ERR_FUNDS_TOO_LOW);
    if (second != NULL)
        pending_refuse(l, t, second, ERR_FUNDS_TOO_LOW);
}

/* ---- Ends --------------------------------------------------------------------------------- */

static enum order_status
ended_status(enum order_end end)
{
    if (end == ORDER_END_CLIENT_CANCEL)
        return ORDER_STATUS_CANCELED;
    if (end == ORDER_END_LIST_REJECTED || end == ORDER_END_CANCEL_FAILED)
        return ORDER_STATUS_REJECTED;
    return ORDER_STATUS_EXPIRED;
}

static bool
report_decides(const struct order_report *r)
{
    return r->fills_count > 0 || r->triggered_us != 0 || r->end != ORDER_END_NONE;
}

/* Why the partner of an order ends with which this happened. */
static enum order_end
partner_end(const struct ledger_order *o, const struct order_report *r)
{
    bool none = o->executed.v == 0 && r->fills_count == 0;
    if (r->end == ORDER_END_CLIENT_CANCEL)
        return ORDER_END_CLIENT_CANCEL;
    if (r->end == ORDER_END_WOULD_TAKE || (r->end == ORDER_END_BOOK_FULL && none))
        return ORDER_END_LIST_REJECTED;
    return ORDER_END_OCO_TRIGGER;
}

struct ledger_order *
contingent_decide(struct ledger *l, const struct turn *t, struct ledger_order *o,
                  const struct order_report *r)
{
    struct ledger_order *p = report_decides(r) ? contingent_partner(l, o) : NULL;
    if (p == NULL)
        return NULL;
    o->held = money_add(o->held, p->held);
    p->held.v = 0;
    p->updated_us = t->now_us;
    enum order_end end = partner_end(o, r);
    order_set_status(l, p, ended_status(end), end);
    return p;
}

static bool
rule_is_met(const struct ledger_order *d, enum order_end end)
{
    switch ((enum ledger_rule)d->rule) {
    case RULE_NONE:
        return false;
    case RULE_COMPLETE:
        return end == ORDER_END_COMPLETE;
    case RULE_CANCELLED:
        return end == ORDER_END_CLIENT_CANCEL;
    case RULE_ANY_END:
        return true;
    }
    return false;
}

static void
pending_end(struct ledger *l, const struct turn *t, struct ledger_order *d, enum order_end end)
{
    enum order_end own = ORDER_END_OTO_PHASE_ONE_EXPIRED;
    if (d->rule == RULE_CANCELLED)
        own = ORDER_END_CANCEL_FAILED;
    else if (end == ORDER_END_CLIENT_CANCEL)
        own = ORDER_END_CLIENT_CANCEL;
    d->waits_for = 0;
    d->updated_us = t->now_us;
    order_set_status(l, d, ended_status(own), own);
    event_of_order(l, d, t->out);
}

/* The next one that waits for `o`, no longer linked to it; NULL when there is none. */
static struct ledger_order *
dependent_take(struct ledger *l, struct ledger_order *o)
{
    if (o->first_dependent == LEDGER_NONE)
        return NULL;
    struct ledger_order *d = &l->orders[o->first_dependent];
    o->first_dependent = d->next_dependent;
    d->next_dependent = LEDGER_NONE;
    return d;
}

static void
dependents_settle(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    for (;;) {
        struct ledger_order *d = dependent_take(l, o);
        struct ledger_order *second = NULL;
        if (d == NULL)
            return;
        if (d->contingency == CONTINGENCY_OTOCO && d->leg == 1)
            second = dependent_take(l, o);
        if (rule_is_met(d, (enum order_end)o->end)) {
            pending_start(l, t, d, second);
        } else {
            pending_end(l, t, d, (enum order_end)o->end);
            if (second != NULL)
                pending_end(l, t, second, (enum order_end)o->end);
        }
        waiters_answer(l, d, order_has_spoken(d), t->out);
        if (second != NULL)
            waiters_answer(l, second, order_has_spoken(second), t->out);
    }
}

void
contingent_follow(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    if (!order_is_open(o) && o->first_dependent != LEDGER_NONE)
        dependents_settle(l, t, o);
}
