/*
 * events.c - numbering events, keeping the latest, giving the missed ones again.
 *
 * Events of one account are linked backwards through the ring by their places. A place that the
 * ring has given away shows by its distance from the put position, so nothing needs unlinking.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/events.h"

#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/order.h"

/* Takes the next number and the next place; the caller fills in what happened. */
static struct ledger_event *
event_put(struct ledger *l, struct ledger_account *a, enum msg_type type, int64_t now_us)
{
    uint64_t place = l->event_ring.put++;
    struct ledger_event *e = &l->events[place % l->event_ring.max];
    e->account_id = a->id;
    e->sequence = ++a->event_sequence;
    e->previous = a->last_event;
    e->type = type;
    e->time_us = now_us;
    a->last_event = place + 1;
    account_touch(l, a, DIRTY_ACCOUNT);
    return e;
}

static void
event_say(const struct ledger_event *e, struct outbox *out, enum out_to to, struct asker who)
{
    struct msg *m = outbox_put(out, to, who.peer, e->type, who.corr);
    if (e->type == MSG_event_order) {
        m->event_order = (struct event_order){
            .account_id = e->account_id, .sequence = e->sequence, .order = e->order};
    } else if (e->type == MSG_event_trade) {
        m->event_trade = (struct event_trade){
            .account_id = e->account_id, .sequence = e->sequence, .trade = e->trade};
    } else if (e->type == MSG_event_list) {
        m->event_list = (struct event_list){
            .account_id = e->account_id, .sequence = e->sequence, .list = e->list};
    } else {
        m->event_balance = (struct event_balance){.account_id = e->account_id,
                                                  .sequence = e->sequence,
                                                  .balance = e->balance,
                                                  .time_us = e->time_us};
    }
}

static const struct asker nobody = {0, 0};

void
event_of_order(struct ledger *l, const struct ledger_order *o, struct outbox *out)
{
    struct ledger_event *e = event_put(l, &l->accounts[o->account], MSG_event_order, o->updated_us);
    e->order = order_say(l, o);
    event_say(e, out, OUT_EVENT, nobody);
}

void
event_of_list(struct ledger *l, const struct ledger_account *a, const struct list *list,
              struct outbox *out)
{
    struct ledger_event *e =
        event_put(l, &l->accounts[account_index(l, a)], MSG_event_list, list->updated_us);
    e->list = *list;
    event_say(e, out, OUT_EVENT, nobody);
}

void
event_of_trade(struct ledger *l, const struct ledger_account *a, const struct trade *t,
               struct outbox *out)
{
    struct ledger_event *e =
        event_put(l, &l->accounts[account_index(l, a)], MSG_event_trade, t->time_us);
    e->trade = *t;
    event_say(e, out, OUT_EVENT, nobody);
}

void
event_of_balance(struct ledger *l, const struct ledger_balance *b, int64_t now_us,
                 struct outbox *out)
{
    struct ledger_event *e = event_put(l, &l->accounts[b->account], MSG_event_balance, now_us);
    e->balance = balance_say(l, b);
    event_say(e, out, OUT_EVENT, nobody);
}

/* NULL when the ring has given the place away. `link` is place + 1. */
static const struct ledger_event *
event_at(const struct ledger *l, uint64_t link)
{
    if (link == 0 || l->event_ring.put - (link - 1) > l->event_ring.max)
        return NULL;
    return &l->events[(link - 1) % l->event_ring.max];
}

/* How many events the account had after `after`; false when not all of them are kept. */
static bool
events_missed(const struct ledger *l, const struct ledger_account *a, uint64_t after,
              uint32_t *count)
{
    *count = 0;
    if (after > a->event_sequence || a->event_sequence - after > EVENTS_RESUME_MAX)
        return false;
    uint64_t link = a->last_event;
    while (*count < a->event_sequence - after) {
        const struct ledger_event *e = event_at(l, link);
        if (e == NULL)
            return false;
        link = e->previous;
        (*count)++;
    }
    return true;
}

static void
events_snapshot(const struct ledger *l, const struct ledger_account *a, struct outbox *out,
                struct event_resumed *said)
{
    said->is_snapshot = true;
    said->balances = list_balances(l, out, a, &said->balances_count);
    struct order *orders = arena_take(&out->lists, a->open_orders, sizeof(*orders));
    CHECK(orders != NULL || a->open_orders == 0);
    uint32_t count = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        orders[count++] = order_say(l, &l->orders[i]);
    said->orders = orders;
    said->orders_count = count;
}

void
events_resume(const struct ledger *l, struct asker who, const struct event_resume *ask,
              struct outbox *out)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    if (a == NULL) {
        struct refused why = refusal(ERR_ACCOUNT_NOT_FOUND);
        reply_refused(out, who, &why);
        return;
    }
    uint32_t count;
    bool kept = events_missed(l, a, ask->after, &count);
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_event_resumed, who.corr);
    m->event_resumed.account_id = a->id;
    m->event_resumed.sequence = a->event_sequence;
    if (!kept) {
        events_snapshot(l, a, out, &m->event_resumed);
        return;
    }
    m->event_resumed.events = count;
    uint64_t *links = arena_take(&out->lists, count, sizeof(*links));
    CHECK(links != NULL || count == 0);
    uint64_t link = a->last_event;
    for (uint32_t i = count; i > 0; i--) {
        links[i - 1] = link;
        link = event_at(l, link)->previous;
    }
    for (uint32_t i = 0; i < count; i++)
        event_say(event_at(l, links[i]), out, OUT_REPLY, who);
}
