/*
 * list_ask.c - order lists that are there: asked for, listed, cancelled. See list.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/account.h"
#include "ledger/core/cancel.h"
#include "ledger/core/list.h"
#include "ledger/core/order.h"
#include "ledger/core/waiter.h"

#define LISTS_MAX 500 /* of list_page */

/* The list as an account names it: ACCOUNT_NOT_FOUND, LIST_NOT_FOUND. OK with no orders when the
 * tables may have it. */
static enum err
list_seek(const struct ledger *l, uint64_t account_id, uint64_t list_id, struct list_legs *legs)
{
    const struct ledger_account *a = account_find(l, account_id);
    if (a == NULL)
        return ERR_ACCOUNT_NOT_FOUND;
    if (ledger_shard_of_id(list_id) != a->shard)
        return ERR_LIST_NOT_FOUND;
    *legs = list_legs(l, account_index(l, a), list_id);
    return legs->count == 0 && !order_some_evicted(a) ? ERR_LIST_NOT_FOUND : OK;
}

enum ledger_outcome
list_get(const struct ledger *l, const struct turn *t, const struct list_get *ask)
{
    struct list_legs legs;
    enum err e = list_seek(l, ask->account_id, ask->list_id, &legs);
    if (e != OK)
        return turn_refuse_plain(t, e);
    if (!list_is_whole(&legs))
        return LEDGER_LOOKUP;
    list_answer(l, t->out, t->who, &legs, NULL);
    return LEDGER_ANSWERED;
}

void
list_get_found(const struct ledger *l, const struct turn *t, const struct list_get *ask,
               const struct list_view *row)
{
    struct list_legs legs;
    enum err e = list_seek(l, ask->account_id, ask->list_id, &legs);
    if (e == OK && legs.count == 0 && row == NULL)
        e = ERR_LIST_NOT_FOUND;
    if (e != OK)
        turn_refuse_plain(t, e);
    else
        list_answer(l, t->out, t->who, &legs, row);
}

/* A list that memory has nothing of has ended, if it ever was. */
enum ledger_outcome
list_cancel(struct ledger *l, const struct turn *t, const struct list_cancel *cmd)
{
    struct list_legs legs;
    enum err e = list_seek(l, cmd->account_id, cmd->list_id, &legs);
    if (e == OK && legs.count == 0)
        e = ERR_LIST_NOT_FOUND;
    if (e == OK && !list_is_open(&legs))
        e = ERR_ORDER_DONE;
    struct ledger_order *keeper = e == OK ? list_keeper(&legs) : NULL;
    if (e == OK && !waiter_add(l, keeper, WAITER_LIST_CANCEL, t->who))
        e = ERR_LEDGER_BUSY;
    if (e != OK) {
        struct refused why = refusal(e);
        why.order_id = e == ERR_ORDER_DONE ? cmd->list_id : 0;
        return turn_refuse(t, &why);
    }
    cancel_pull_list(l, t, keeper);
    return LEDGER_ANSWERED;
}

void
list_open_list(const struct ledger *l, const struct turn *t, const struct list_open_list *ask)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    uint32_t symbol = code_empty(ask->symbol) ? LEDGER_NONE : symbol_find(l, ask->symbol);
    if (a == NULL || (symbol == LEDGER_NONE && !code_empty(ask->symbol))) {
        turn_refuse_plain(t, a == NULL ? ERR_ACCOUNT_NOT_FOUND : ERR_SYMBOL_UNKNOWN);
        return;
    }
    struct list *lists = arena_take(&t->out->lists, LISTS_MAX, sizeof(*lists));
    CHECK(lists != NULL);
    uint32_t count = 0;
    uint64_t previous = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct ledger_order *o = &l->orders[i];
        bool is_next = o->list_id != 0 && o->list_id != previous;
        previous = o->list_id;
        if (!is_next || count == LISTS_MAX || (symbol != LEDGER_NONE && o->symbol != symbol))
            continue;
        const struct list_legs legs = list_legs(l, o->account, o->list_id);
        lists[count++] = list_say(l, &legs, NULL);
    }
    struct msg *m = outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_list_page, t->who.corr);
    m->list_page.lists = lists;
    m->list_page.lists_count = count;
}
