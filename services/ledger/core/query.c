/*
 * query.c - reads: nothing here changes the state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/query.h"

#include "ledger/core/account.h"
#include "ledger/core/order.h"

#define PAGE_ROWS_MAX 500

static void
query_refuse(struct outbox *out, struct asker who, enum err e)
{
    struct refused why = refusal(e);
    reply_refused(out, who, &why);
}

enum err
order_seek(const struct ledger *l, const struct order_key *key, bool looked_up,
           struct ledger_order **out)
{
    *out = NULL;
    if (key->order_id == 0 && cid_empty(key->client_order_id))
        return ERR_FIELD_MISSING;
    const struct ledger_account *a = account_find(l, key->account_id);
    if (a == NULL)
        return ERR_ACCOUNT_NOT_FOUND;
    uint32_t index = account_index(l, a);
    struct ledger_order *o;
    if (key->order_id != 0) {
        o = order_find(l, key->order_id);
        if (o != NULL && o->account != index)
            return ERR_ORDER_NOT_FOUND;
        if (ledger_shard_of_id(key->order_id) != a->shard)
            return ERR_ORDER_NOT_FOUND;
    } else {
        if (!cid_valid(key->client_order_id))
            return ERR_CLIENT_ID_INVALID;
        o = order_find_client(l, index, key->client_order_id);
    }
    *out = o;
    return o == NULL && (looked_up || !order_some_evicted(a)) ? ERR_ORDER_NOT_FOUND : OK;
}

enum ledger_outcome
query_order(const struct ledger *l, struct asker who, const struct order_get *ask,
            struct outbox *out)
{
    struct ledger_order *o;
    const struct order_key key = {ask->account_id, ask->order_id, &ask->client_order_id};
    enum err e = order_seek(l, &key, false, &o);
    if (e != OK) {
        query_refuse(out, who, e);
        return LEDGER_ANSWERED;
    }
    if (o == NULL || !order_fills_known(o))
        return LEDGER_LOOKUP;
    reply_order(l, out, who, o);
    return LEDGER_ANSWERED;
}

void
query_order_found(const struct ledger *l, struct asker who, const struct order_get *ask,
                  const struct order_view *row, struct outbox *out)
{
    struct ledger_order *o;
    const struct order_key key = {ask->account_id, ask->order_id, &ask->client_order_id};
    enum err e = order_seek(l, &key, row == NULL, &o);
    if (e != OK)
        query_refuse(out, who, e);
    else if (o != NULL && row != NULL)
        reply_order_with(l, out, who, o, row->fills, row->fills_count);
    else if (o != NULL)
        reply_order(l, out, who, o);
    else
        outbox_put(out, OUT_REPLY, who.peer, MSG_order_view, who.corr)->order_view = *row;
}

/* The account a page is asked of, or NULL after a refusal. Cursors are ids of the account's own
 * shard: another one was never given to it. */
static const struct ledger_account *
page_of(const struct ledger *l, struct asker who, const struct page *page, struct outbox *out)
{
    struct refused why = refusal(OK);
    const struct ledger_account *a = account_find(l, page->account_id);
    if (page->limit > PAGE_ROWS_MAX)
        why = refusal_of(ERR_NUMBER_RANGE, "limit", text_of("1 to 500"));
    else if (a != NULL && page->cursor != 0 && ledger_shard_of_id(page->cursor) != a->shard)
        why = refusal(ERR_CURSOR_INVALID);
    else if (a == NULL)
        why = refusal(ERR_ACCOUNT_NOT_FOUND);
    if (why.error == OK)
        return a;
    reply_refused(out, who, &why);
    return NULL;
}

void
query_open_orders(const struct ledger *l, struct asker who, const struct order_open_list *ask,
                  struct outbox *out)
{
    const struct page page = {ask->account_id, ask->cursor, ask->limit};
    const struct ledger_account *a = page_of(l, who, &page, out);
    if (a == NULL)
        return;
    uint32_t symbol = code_empty(ask->symbol) ? LEDGER_NONE : symbol_find(l, ask->symbol);
    if (symbol == LEDGER_NONE && !code_empty(ask->symbol)) {
        query_refuse(out, who, ERR_SYMBOL_UNKNOWN);
        return;
    }
    uint32_t limit = ask->limit == 0 ? PAGE_ROWS_MAX : ask->limit;
    struct order *list = arena_take(&out->lists, limit, sizeof(*list));
    CHECK(list != NULL);
    struct msg *m = outbox_put(out, OUT_REPLY, who.peer, MSG_order_page, who.corr);
    m->order_page.orders = list;
    uint32_t count = 0;
    for (uint32_t i = a->newest_open; i != LEDGER_NONE; i = l->orders[i].older) {
        const struct ledger_order *o = &l->orders[i];
        if ((ask->cursor != 0 && o->id >= ask->cursor) ||
            (symbol != LEDGER_NONE && o->symbol != symbol))
            continue;
        if (count == limit) {
            m->order_page.next_cursor = list[count - 1].order_id;
            break;
        }
        list[count++] = order_say(l, o);
    }
    m->order_page.orders_count = count;
}

void
query_account(const struct ledger *l, struct asker who, const struct account_get *ask,
              struct outbox *out)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    if (a == NULL)
        query_refuse(out, who, ERR_ACCOUNT_NOT_FOUND);
    else
        reply_account(l, out, who, a);
}

void
query_balance(const struct ledger *l, struct asker who, const struct balance_get *ask,
              struct outbox *out)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    if (a == NULL)
        query_refuse(out, who, ERR_ACCOUNT_NOT_FOUND);
    else
        reply_balance(l, out, who, a, ask->trading_type);
}

void
query_settings(const struct ledger *l, struct asker who, const struct settings_get *ask,
               struct outbox *out)
{
    const struct ledger_account *a = account_find(l, ask->account_id);
    if (a == NULL)
        query_refuse(out, who, ERR_ACCOUNT_NOT_FOUND);
    else
        reply_settings(l, out, who, a, ask->trading_type);
}

enum ledger_outcome
query_tables(const struct ledger *l, struct asker who, const struct page *page, struct outbox *out)
{
    return page_of(l, who, page, out) == NULL ? LEDGER_ANSWERED : LEDGER_LOOKUP;
}
