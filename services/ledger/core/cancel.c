/*
 * cancel.c - order_cancel and order_cancel_all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/cancel.h"

#include "ledger/core/account.h"
#include "ledger/core/order.h"
#include "ledger/core/query.h"
#include "ledger/core/waiter.h"

static void
order_pull_put(struct ledger *l, struct ledger_order *o, struct outbox *out)
{
    if (o->is_pulled)
        return;
    o->is_pulled = true;
    struct msg *m = outbox_put(out, OUT_MATCHER, 0, MSG_order_pull, 0);
    m->order_pull.order_id = o->id;
    m->order_pull.symbol = l->symbols[o->symbol].code;
}

static enum ledger_outcome
cancel_refuse(struct outbox *out, struct asker who, enum err e, uint64_t order_id)
{
    struct refused why = refusal(e);
    why.order_id = order_id;
    reply_refused(out, who, &why);
    return LEDGER_ANSWERED;
}

static enum ledger_outcome
cancel_seek(struct ledger *l, struct asker who, const struct order_cancel *cmd, bool looked_up,
            struct outbox *out)
{
    struct ledger_order *o;
    const struct order_key key = {cmd->account_id, cmd->order_id, &cmd->client_order_id};
    enum err e = order_seek(l, &key, looked_up, &o);
    if (e != OK)
        return cancel_refuse(out, who, e, 0);
    if (o == NULL)
        return LEDGER_LOOKUP;
    if (!order_is_open(o))
        return cancel_refuse(out, who, ERR_ORDER_DONE, o->id);
    if (!waiter_add(l, o, WAITER_CANCEL, who))
        return cancel_refuse(out, who, ERR_LEDGER_BUSY, o->id);
    order_pull_put(l, o, out);
    return LEDGER_ANSWERED;
}

enum ledger_outcome
cancel_one(struct ledger *l, struct asker who, const struct order_cancel *cmd, struct outbox *out)
{
    return cancel_seek(l, who, cmd, false, out);
}

enum ledger_outcome
cancel_found(struct ledger *l, struct asker who, const struct order_cancel *cmd,
             const struct order_view *row, struct outbox *out)
{
    enum ledger_outcome outcome = cancel_seek(l, who, cmd, row == NULL, out);
    if (outcome != LEDGER_LOOKUP)
        return outcome;
    /* It is in the tables and not in memory: only finished orders are. */
    return cancel_refuse(out, who, ERR_ORDER_DONE, row->order.order_id);
}

void
cancel_all(struct ledger *l, struct asker who, const struct order_cancel_all *cmd,
           struct outbox *out)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL) {
        struct refused why = refusal(ERR_ACCOUNT_NOT_FOUND);
        reply_refused(out, who, &why);
        return;
    }
    if (group_waits(l, a, who))
        return;
    uint32_t symbol = code_empty(cmd->symbol) ? LEDGER_NONE : symbol_find(l, cmd->symbol);
    if (symbol == LEDGER_NONE && !code_empty(cmd->symbol)) {
        struct refused why = refusal(ERR_SYMBOL_UNKNOWN);
        reply_refused(out, who, &why);
        return;
    }
    uint32_t members = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older)
        members += symbol == LEDGER_NONE || l->orders[i].symbol == symbol;
    if (members == 0) {
        outbox_put(out, OUT_REPLY, who.peer, MSG_order_page, who.corr);
        return;
    }
    struct ledger_group *g = group_open(l, a, who, members);
    if (g == NULL) {
        struct refused why = refusal(ERR_LEDGER_BUSY);
        reply_refused(out, who, &why);
        return;
    }
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        if (symbol != LEDGER_NONE && l->orders[i].symbol != symbol)
            continue;
        group_add(l, g, &l->orders[i]);
        order_pull_put(l, &l->orders[i], out);
    }
}
