/*
 * cancel.c - order_cancel and order_cancel_all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/cancel.h"

#include "ledger/core/account.h"
#include "ledger/core/list.h"
#include "ledger/core/order.h"
#include "ledger/core/query.h"
#include "ledger/core/send.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

/* Asked again while a pull is on its way, the matcher has it; after a second it may have got
 * lost, and pulling twice harms nobody. */
#define PULL_AGAIN_US 1000000

void
cancel_pull_now(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    o->pulled_us = t->now_us;
    if (order_is_real(o)) { /* the wish is kept until the exchange is known to have it */
        if (o->exchange_state == EXCHANGE_STATE_PLACED)
            send_bridge(l, t, o, MSG_bridge_cancel);
        return;
    }
    struct msg *m = send_matcher(t, o, MSG_order_pull);
    m->order_pull.order_id = o->id;
    m->order_pull.symbol = l->symbols[o->symbol].code;
    m->order_pull.latency_us = o->cancel_latency_us;
}

void
cancel_pull(struct ledger *l, const struct turn *t, struct ledger_order *o)
{
    if (o->pulled_us != 0 && t->now_us - o->pulled_us < PULL_AGAIN_US)
        return;
    if (order_is_live(o))
        cancel_pull_now(l, t, o);
    else /* the wish is kept until the matcher knows it */
        o->pulled_us = t->now_us;
}

void
cancel_pull_list(struct ledger *l, const struct turn *t, const struct ledger_order *o)
{
    const struct list_legs legs = list_legs(l, o->account, o->list_id);
    for (uint32_t i = 0; i < legs.count; i++)
        if (legs.at[i] != NULL && order_is_open(legs.at[i]))
            cancel_pull(l, t, legs.at[i]);
}

static enum ledger_outcome
cancel_refuse(const struct turn *t, enum err e, uint64_t order_id)
{
    struct refused why = refusal(e);
    why.order_id = order_id;
    return turn_refuse(t, &why);
}

static enum ledger_outcome
cancel_seek(struct ledger *l, const struct turn *t, const struct order_cancel *cmd, bool looked_up)
{
    struct ledger_order *o;
    const struct order_key key = {cmd->account_id, cmd->order_id, &cmd->client_order_id};
    enum err e = order_seek(l, &key, looked_up, &o);
    if (e != OK)
        return cancel_refuse(t, e, 0);
    if (o == NULL)
        return LEDGER_LOOKUP;
    if (!order_is_open(o))
        return cancel_refuse(t, ERR_ORDER_DONE, o->id);
    if (!waiter_add(l, o, WAITER_CANCEL, t->who))
        return cancel_refuse(t, ERR_LEDGER_BUSY, o->id);
    if (o->list_id != 0) /* one of them, all of them */
        cancel_pull_list(l, t, o);
    else
        cancel_pull(l, t, o);
    if (o->twin != 0)
        twin_pull(l, t, o);
    return LEDGER_ANSWERED;
}

enum ledger_outcome
cancel_one(struct ledger *l, const struct turn *t, const struct order_cancel *cmd)
{
    return cancel_seek(l, t, cmd, false);
}

enum ledger_outcome
cancel_found(struct ledger *l, const struct turn *t, const struct order_cancel *cmd,
             const struct order_view *row)
{
    enum ledger_outcome outcome = cancel_seek(l, t, cmd, row == NULL);
    if (outcome != LEDGER_LOOKUP)
        return outcome;
    /* It is in the tables and not in memory: only finished orders are. */
    return cancel_refuse(t, ERR_ORDER_DONE, row->order.order_id);
}

static bool
cancel_means(const struct ledger_order *o, uint32_t symbol)
{
    return symbol == LEDGER_NONE || o->symbol == symbol;
}

void
cancel_all(struct ledger *l, const struct turn *t, const struct order_cancel_all *cmd)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL) {
        turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
        return;
    }
    uint32_t symbol = code_empty(cmd->symbol) ? LEDGER_NONE : symbol_find(l, cmd->symbol);
    if (symbol == LEDGER_NONE && !code_empty(cmd->symbol)) {
        turn_refuse_plain(t, ERR_SYMBOL_UNKNOWN);
        return;
    }
    uint32_t members = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        members += cancel_means(&l->orders[i], symbol);
    bool waits = group_waits(l, a, t->who);
    if (members == 0 && !waits) {
        outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_order_page, t->who.corr);
        return;
    }
    struct ledger_group *g = waits ? NULL : group_open(l, a, t->who, members);
    if (!waits && g == NULL) {
        turn_refuse_plain(t, ERR_LEDGER_BUSY);
        return;
    }
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        if (!cancel_means(&l->orders[i], symbol))
            continue;
        if (g != NULL)
            group_add(l, g, &l->orders[i]);
        cancel_pull(l, t, &l->orders[i]);
    }
}
