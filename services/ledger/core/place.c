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
#include "ledger/core/contingent.h"
#include "ledger/core/events.h"
#include "ledger/core/order.h"
#include "ledger/core/real.h"
#include "ledger/core/shape.h"
#include "ledger/core/twin.h"
#include "ledger/core/waiter.h"

enum ledger_outcome
place_differs(const struct turn *t, uint64_t order_id)
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
    if (!order_same(&placed, cmd) || placed.list_id != 0 || placed.replaces != 0)
        return place_differs(t, o->id);
    if (!order_has_spoken(o)) {
        if (t->who.peer != 0 && !waiter_add(l, o, WAITER_PLACE, t->who))
            return turn_refuse_plain(t, ERR_LEDGER_BUSY);
        return LEDGER_ANSWERED;
    }
    if (!looked_up && !order_fills_known(o))
        return LEDGER_LOOKUP;
    if (rejection_said(&placed).error != OK)
        reply_placed(l, t->out, t->who, o);
    else
        reply_order_known(l, t->out, t->who, o, row == NULL ? NULL : row->fills,
                          row == NULL ? 0 : row->fills_count);
    return LEDGER_ANSWERED;
}

enum ledger_outcome
place_answer_row(const struct turn *t, const struct order_view *row)
{
    const struct refused why = rejection_said(&row->order);
    if (why.error != OK)
        return turn_refuse(t, &why);
    struct msg *m = outbox_put(t->out, OUT_REPLY, t->who.peer, MSG_order_view, t->who.corr);
    m->order_view = *row;
    m->order_view.was_known = true;
    return LEDGER_ANSWERED;
}

/* The client order id is in the tables only. */
static enum ledger_outcome
retry_answer_row(const struct turn *t, const struct order_place *cmd, const struct order_view *row)
{
    const struct order *placed = &row->order;
    if (!order_same(placed, cmd) || placed->list_id != 0 || placed->replaces != 0)
        return place_differs(t, placed->order_id);
    return place_answer_row(t, row);
}

static enum ledger_outcome
order_place_judge(struct ledger *l, const struct turn *t, struct order_place *cmd, bool looked_up,
                  const struct order_view *row)
{
    struct refused why;
    if (shape_order(cmd, &why) != OK)
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
    if (twin_judge_id(&cmd->client_order_id, &why) != OK)
        return turn_refuse(t, &why);
    if (real_is_for(a, cmd->symbol)) {
        if (real_admit(l, a, t->now_us, cmd, &why) != OK)
            return turn_refuse(t, &why);
        return real_place_apply(l, t, cmd);
    }
    const struct admit_with alone = {.now_us = t->now_us};
    if (admit_order(l, a, &alone, cmd, &why) != OK)
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

/* ---- Applying ----------------------------------------------------------------------------- */

/* Its view lists so many balances at most; those it pays from and gets may be its first. */
static bool
balances_fit(const struct ledger *l, const struct ledger_account *a, enum wallet w, uint32_t base,
             uint32_t quote)
{
    if (a->balances + 2 <= BALANCES_PER_ACCOUNT)
        return true;
    uint32_t account = account_index(l, a), more = 0;
    more += balance_find(l, account, w, base) == NULL;
    more += balance_find(l, account, w, quote) == NULL;
    return a->balances + more <= BALANCES_PER_ACCOUNT;
}

static bool
balances_are_there(const struct ledger *l, const struct ledger_account *a, enum wallet w,
                   const struct order_place *cmd, uint32_t orders, const struct place_names *names)
{
    if (balance_room(l, ORDER_BIND_MOST))
        return true;
    bool buys = false, sells = false;
    for (uint32_t i = 0; i < orders; i++) {
        buys |= cmd[i].side == SIDE_BUY;
        sells |= cmd[i].side == SIDE_SELL;
    }
    return balance_room(
        l, order_bind_opens(l, account_index(l, a), w, names->base, names->quote, buys, sells));
}

enum err
place_room(struct ledger *l, const struct ledger_account *a, const struct order_place *cmd,
           uint32_t orders, struct place_names *names)
{
    names->symbol = symbol_take(l, cmd->symbol);
    names->base = asset_take(l, cmd->base_asset);
    names->quote = asset_take(l, cmd->quote_asset);
    if (names->symbol == LEDGER_NONE || names->base == LEDGER_NONE || names->quote == LEDGER_NONE ||
        names->base == names->quote)
        return ERR_ORDERS_FULL;
    enum wallet w = cmd->environment == ENVIRONMENT_NONE
                        ? WALLET_spot
                        : wallet_at_exchange(real_type_of(cmd->symbol));
    if (l->limits.orders_max - l->orders_count < orders ||
        !balances_are_there(l, a, w, cmd, orders, names) ||
        !balances_fit(l, a, w, names->base, names->quote))
        return ERR_ORDERS_FULL;
    return OK;
}

enum err
place_funds(const struct ledger *l, const struct ledger_account *a, const struct order_place *cmd,
            const struct place_names *names)
{
    const struct ledger_balance *pays = balance_find(
        l, account_index(l, a), WALLET_spot, cmd->side == SIDE_BUY ? names->quote : names->base);
    return pays == NULL || money_less(pays->free, cmd->hold) ? ERR_FUNDS_TOO_LOW : OK;
}

static void
place_fill_in(const struct order_place *cmd, struct ledger_order *o)
{
    o->client_order_id = cmd->client_order_id;
    o->side = (uint8_t)cmd->side;
    o->type = (uint8_t)cmd->type;
    o->time_in_force = (uint8_t)cmd->time_in_force;
    o->id_was_made = cmd->id_was_made;
    o->price = cmd->price;
    o->worst_price = cmd->worst_price;
    o->reference_price = cmd->reference_price;
    o->quantity = cmd->quantity;
    o->quote_quantity = cmd->quote_order_quantity;
    o->step_size = cmd->step_size;
    o->hold = cmd->hold;
    o->maker_fee_rate = cmd->maker_fee_rate;
    o->taker_fee_rate = cmd->taker_fee_rate;
    o->stop_price = cmd->stop_price;
    o->trailing_delta = cmd->trailing_delta;
    o->trigger_source = (uint8_t)cmd->trigger_source;
    o->iceberg_quantity = cmd->iceberg_quantity;
    o->expire_us = cmd->expire_us;
    o->self_trade_prevention = (uint8_t)cmd->self_trade_prevention;
    o->fill_preset = (uint8_t)cmd->fill_preset;
    o->fill_model = (uint8_t)cmd->fill_model;
    o->latency_us = cmd->latency_us;
    o->cancel_latency_us = cmd->cancel_latency_us;
    o->slippage_bps = cmd->slippage_bps;
    o->market_us = cmd->market_us;
    o->environment = (uint8_t)cmd->environment;
    if (cmd->environment == ENVIRONMENT_NONE)
        return;
    o->exchange_state = EXCHANGE_STATE_SENDING;
    o->send_by_us = cmd->send_by_us;
    o->reduce_only = cmd->reduce_only;
    o->twin_refused = (uint16_t)cmd->twin_refused;
}

struct ledger_order *
place_add(struct ledger *l, const struct turn *t, struct ledger_account *a,
          const struct order_place *cmd, const struct place_names *names,
          const struct place_ties *ties)
{
    struct ledger_order fresh = {.id = (uint64_t)a->shard << 47 |
                                       ++l->shards[a->shard].order_sequence,
                                 .symbol = (uint16_t)names->symbol,
                                 .status = ORDER_STATUS_NEW,
                                 .created_us = t->now_us,
                                 .updated_us = t->now_us,
                                 .live_us = t->now_us,
                                 .contingency = (uint8_t)ties->contingency,
                                 .leg = (uint8_t)ties->leg,
                                 .rule = (uint8_t)ties->rule,
                                 .waits_for = ties->waits_for,
                                 .replaces = ties->replaces,
                                 .twin_of = ties->twin_of};
    if (ties->contingency != CONTINGENCY_NONE)
        fresh.list_id = fresh.id - ties->leg;
    if (ties->waits_for != 0)
        fresh.status = ORDER_STATUS_PENDING_NEW;
    if (ties->end != ORDER_END_NONE) {
        fresh.status = ORDER_STATUS_REJECTED;
        fresh.end = (uint8_t)ties->end;
        fresh.waits_for = 0;
    }
    if (fresh.status != ORDER_STATUS_NEW)
        fresh.live_us = 0;
    place_fill_in(cmd, &fresh);
    order_bind(l, &fresh, account_index(l, a), names->base, names->quote);
    struct ledger_order *o = order_add(l, &fresh);
    a->orders_placed++;
    order_touch(l, o);
    account_touch(l, a, DIRTY_ACCOUNT);
    return o;
}

/* What the journal must not contain: an order that was never enriched. */
bool
place_is_enriched(const struct order_place *cmd)
{
    return cmd->worst_price.v > 0 && cmd->hold.v > 0 && !code_empty(cmd->base_asset) &&
           !code_empty(cmd->quote_asset);
}

enum ledger_outcome
order_place_apply(struct ledger *l, const struct turn *t, const struct order_place *cmd)
{
    if (cmd->environment != ENVIRONMENT_NONE)
        return real_place_apply(l, t, cmd);
    struct ledger_account *a = account_find(l, cmd->account_id);
    if (a == NULL)
        return turn_refuse_plain(t, ERR_ACCOUNT_NOT_FOUND);
    if (!t->live && (!place_is_enriched(cmd) ||
                     order_find_client(l, account_index(l, a), &cmd->client_order_id) != NULL))
        return turn_refuse_plain(t, ERR_INTERNAL);
    bool waits = t->live && t->who.peer != 0;
    if (waits && l->waiters_spare == 0)
        return turn_refuse_plain(t, ERR_LEDGER_BUSY);
    struct place_names names;
    enum err e = place_room(l, a, cmd, 1, &names);
    if (e == OK && !cmd->is_refused)
        e = place_funds(l, a, cmd, &names);
    if (e != OK)
        return turn_refuse_plain(t, e);

    /* Nothing below can fail. */
    const struct place_ties ties = {.end = cmd->is_refused ? ORDER_END_SIMULATED_REJECT
                                                           : ORDER_END_NONE};
    struct ledger_order *o = place_add(l, t, a, cmd, &names, &ties);
    if (cmd->is_refused) {
        event_of_order(l, o, t->out);
        reply_placed(l, t->out, t->who, o);
        return LEDGER_CHANGED;
    }
    if (waits)
        CHECK(waiter_add(l, o, WAITER_PLACE, t->who));
    contingent_start(l, t, o, NULL);
    return LEDGER_CHANGED;
}
