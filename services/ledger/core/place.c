/*
 * place.c - order_place, live and replayed.
 *
 * The reply to a new order waits for the matcher's first report, so that it tells what became of
 * it. A retry with the same client order id and the same body is answered the same; the record
 * itself is the memory, and the tables are where the record goes when memory forgets it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/place.h"

#include "ledger/core/account.h"
#include "ledger/core/admit.h"
#include "ledger/core/balance.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/waiter.h"

static enum ledger_outcome
retry_differs(const struct turn *t, uint64_t order_id)
{
    struct refused why = refusal(ERR_ORDER_DIFFERS);
    why.field = code_of("client_order_id");
    why.order_id = order_id;
    return turn_refuse(t, &why);
}

/* The client order id is in memory. `row` may bring the fills that the ring has dropped. */
static enum ledger_outcome
retry_answer(struct ledger *l, const struct turn *t, struct ledger_order *o,
             const struct order_place *cmd, const struct order_view *row, bool looked_up)
{
    const struct order placed = order_say(l, o);
    if (!order_same(&placed, cmd))
        return retry_differs(t, o->id);
    if (order_is_open(o) && o->rank == 0) { /* the matcher has not spoken yet */
        if (t->who.peer != 0 && !waiter_add(l, o, WAITER_PLACE, t->who))
            return turn_refuse_plain(t, ERR_LEDGER_BUSY);
        return LEDGER_ANSWERED;
    }
    if (!looked_up && !order_fills_known(o))
        return LEDGER_LOOKUP;
    if (rejection_of((enum order_status)o->status, (enum order_end)o->end) != OK)
        reply_placed(l, t->out, t->who, o);
    else
        reply_order_known(l, t->out, t->who, o, row == NULL ? NULL : row->fills,
                          row == NULL ? 0 : row->fills_count);
    return LEDGER_ANSWERED;
}

/* The client order id is in the tables only. */
static enum ledger_outcome
retry_answer_row(const struct turn *t, const struct order_place *cmd, const struct order_view *row)
{
    if (!order_same(&row->order, cmd))
        return retry_differs(t, row->order.order_id);
    struct refused why = refusal(rejection_of(row->order.status, row->order.end_reason));
    if (why.error != OK) {
        why.order_id = row->order.order_id;
        return turn_refuse(t, &why);
    }
    struct msg *m = outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_order_view, t->who.corr);
    m->order_view = *row;
    m->order_view.was_known = true;
    return LEDGER_ANSWERED;
}

static enum ledger_outcome
order_place_judge(struct ledger *l, const struct turn *t, struct order_place *cmd, bool looked_up,
                  const struct order_view *row)
{
    struct refused why;
    if (admit_shape(cmd, &why) != OK)
        return turn_refuse(t, &why);
    const struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!cid_valid(&cmd->client_order_id)) {
        why = refusal(ERR_CLIENT_ID_INVALID);
        why.field = code_of("client_order_id");
        return turn_refuse(t, &why);
    }
    struct ledger_order *old = order_find_client(l, account_index(l, a), &cmd->client_order_id);
    if (old != NULL)
        return retry_answer(l, t, old, cmd, row, looked_up);
    if (row != NULL)
        return retry_answer_row(t, cmd, row);
    /* An id the gateway made is retried within seconds, and finished orders stay longer. */
    if (!looked_up && !cmd->id_was_made && order_some_evicted(a))
        return LEDGER_LOOKUP;
    if (admit_order(l, a, cmd, &why) != OK)
        return turn_refuse(t, &why);
    return order_place_apply(l, t, cmd);
}

enum ledger_outcome
order_place_request(struct ledger *l, const struct turn *t, struct order_place *cmd)
{
    return order_place_judge(l, t, cmd, false, NULL);
}

enum ledger_outcome
order_place_found(struct ledger *l, const struct turn *t, struct order_place *cmd,
                  const struct order_view *row)
{
    return order_place_judge(l, t, cmd, true, row);
}

/* Whether there is room for the order and what settling it needs, and the funds for it. */
static enum err
place_reserve(struct ledger *l, const struct ledger_account *a, const struct order_place *cmd,
              struct ledger_order *o)
{
    uint32_t symbol = symbol_take(l, cmd->symbol);
    uint32_t base = asset_take(l, cmd->base_asset);
    uint32_t quote = asset_take(l, cmd->quote_asset);
    if (symbol == LEDGER_NONE || base == LEDGER_NONE || quote == LEDGER_NONE || base == quote)
        return ERR_ORDERS_FULL;
    uint32_t account = account_index(l, a);
    bool buys = cmd->side == SIDE_BUY;
    const struct ledger_balance *pays =
        balance_find(l, account, TRADING_TYPE_spot, buys ? quote : base);
    if (pays == NULL || money_less(pays->free, cmd->hold))
        return ERR_FUNDS_TOO_LOW;
    /* Its view lists so many balances at most; the one it gets may be the first of its asset. */
    bool fits = a->balances < BALANCES_PER_ACCOUNT ||
                balance_find(l, account, TRADING_TYPE_spot, buys ? base : quote) != NULL;
    if (!order_room(l) || !balance_room(l, 5) || !fits)
        return ERR_ORDERS_FULL;
    o->side = (uint8_t)cmd->side;
    o->symbol = (uint16_t)symbol;
    order_bind(l, o, account, base, quote);
    return OK;
}

static void
place_fill_in(struct ledger *l, const struct turn *t, const struct ledger_account *a,
              const struct order_place *cmd, struct ledger_order *o)
{
    o->id = (uint64_t)a->shard << 47 | ++l->shards[a->shard].order_sequence;
    o->client_order_id = cmd->client_order_id;
    o->type = (uint8_t)cmd->type;
    o->time_in_force = (uint8_t)cmd->time_in_force;
    o->status = ORDER_STATUS_NEW;
    o->id_was_made = cmd->id_was_made;
    o->price = cmd->price;
    o->worst_price = cmd->worst_price;
    o->reference_price = cmd->reference_price;
    o->quantity = cmd->quantity;
    o->quote_quantity = cmd->quote_order_quantity;
    o->step_size = cmd->step_size;
    o->hold = o->held = cmd->hold;
    o->maker_fee_rate = cmd->maker_fee_rate;
    o->taker_fee_rate = cmd->taker_fee_rate;
    o->created_us = o->updated_us = t->now_us;
}

/* What the journal must not contain: an order that was never enriched. */
static bool
place_is_enriched(const struct order_place *cmd)
{
    return cmd->worst_price.v > 0 && cmd->hold.v > 0 && !code_empty(cmd->base_asset) &&
           !code_empty(cmd->quote_asset);
}

enum ledger_outcome
order_place_apply(struct ledger *l, const struct turn *t, const struct order_place *cmd)
{
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!t->live && (!place_is_enriched(cmd) ||
                     order_find_client(l, account_index(l, a), &cmd->client_order_id) != NULL))
        return turn_refuse_plain(t, ERR_INTERNAL);
    bool waits = t->live && t->who.peer != 0;
    if (waits && l->waiters_spare == 0)
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    struct ledger_order fresh = {.id = 0};
    enum err e = place_reserve(l, a, cmd, &fresh);
    if (e != OK)
        return turn_refuse_plain(t, e);

    /* Nothing below can fail. */
    place_fill_in(l, t, a, cmd, &fresh);
    struct ledger_order *o = order_add(l, &fresh);
    a->orders_placed++;
    hold_open(l, order_pays(l, o), o->hold);
    order_touch(l, o);
    account_touch(l, a, DIRTY_ACCOUNT);
    if (waits)
        CHECK(waiter_add(l, o, WAITER_PLACE, t->who));
    event_of_order(l, o, t->out);
    event_of_balance(l, order_pays(l, o), t->now_us, t->out);
    struct msg *m = outbox_put(t->out, OUT_MATCHER, 0, MSG_order_work, t->who.corr);
    order_ask_matcher(l, o, &m->order_work);
    return LEDGER_CHANGED;
}
