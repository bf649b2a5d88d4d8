/*
 * rows.c - what the tables are told (drain), what they tell back (load), what memory forgets.
 *
 * The tables are a projection: rows say how things stand now, not how they came about. Each
 * thing that changed is listed once, however often it changed since the last drain.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/order.h"

#include <string.h>

/* ---- Out ---------------------------------------------------------------------------------------
 */

uint32_t
ledger_dirty_rows(const struct ledger *l)
{
    uint64_t once = l->fill_ring.put - l->fill_ring.drained + l->change_ring.put -
                    l->change_ring.drained + l->story_ring.put - l->story_ring.drained;
    return (uint32_t)once + l->dirty_accounts.count + l->dirty_balances.count +
           l->dirty_orders.count;
}

struct shard_row
ledger_shard_row(const struct ledger *l, uint32_t shard)
{
    const struct ledger_shard *s = &l->shards[shard];
    return (struct shard_row){shard, s->order_sequence, s->trade_sequence, s->change_sequence};
}

static void
account_drain(struct ledger_account *a, const struct ledger_sink *sink)
{
    struct account_row row = {.account_id = a->id,
                              .user_id = a->user_id,
                              .event_sequence = a->event_sequence,
                              .orders_placed = a->orders_placed,
                              .tier = a->tier,
                              .commands_next = a->commands_next,
                              .dirty = a->dirty};
    memcpy(row.settings, a->settings, sizeof(row.settings));
    memcpy(row.commands, a->commands, sizeof(row.commands));
    memcpy(row.exchange_us, a->exchange_us, sizeof(row.exchange_us));
    a->dirty = 0;
    if (sink->on_account != NULL)
        sink->on_account(sink->arg, &row);
}

static void
balance_drain(struct ledger *l, struct ledger_balance *b, const struct ledger_sink *sink)
{
    const struct balance_row row = {.account_id = l->accounts[b->account].id,
                                    .wallet = (enum wallet)b->wallet,
                                    .asset = l->assets[b->asset],
                                    .free = b->free,
                                    .held = b->held};
    b->dirty = false;
    if (sink->on_balance != NULL)
        sink->on_balance(sink->arg, &row);
}

static void
order_drain(struct ledger *l, struct ledger_order *o, const struct ledger_sink *sink)
{
    const struct order_row row = {.order = order_say(l, o),
                                  .base_asset = l->assets[l->balances[o->base_balance].asset],
                                  .quote_asset = l->assets[l->balances[o->quote_balance].asset],
                                  .id_was_made = o->id_was_made,
                                  .worst_price = o->worst_price,
                                  .reference_price = o->reference_price,
                                  .step_size = o->step_size,
                                  .maker_fee_rate = o->maker_fee_rate,
                                  .taker_fee_rate = o->taker_fee_rate,
                                  .hold = o->hold,
                                  .rank = o->rank,
                                  .fills = o->fills,
                                  .live_us = o->live_us,
                                  .trail_extreme = o->trail_extreme,
                                  .amends = o->amends,
                                  .cancel_latency_us = o->cancel_latency_us,
                                  .contingency = (enum contingency)o->contingency,
                                  .leg = o->leg,
                                  .rule = (enum ledger_rule)o->rule,
                                  .is_new = !o->was_drained};
    o->dirty = false;
    o->was_drained = true;
    o->drained = l->generation;
    if (sink->on_order != NULL)
        sink->on_order(sink->arg, &row);
}

uint64_t
ledger_drain(struct ledger *l, const struct ledger_sink *sink)
{
    l->generation++;
    for (uint32_t i = 0; i < l->dirty_accounts.count; i++)
        account_drain(&l->accounts[l->dirty_accounts.items[i]], sink);
    for (uint32_t i = 0; i < l->dirty_balances.count; i++)
        balance_drain(l, &l->balances[l->dirty_balances.items[i]], sink);
    for (uint32_t i = 0; i < l->dirty_orders.count; i++)
        order_drain(l, &l->orders[l->dirty_orders.items[i]], sink);
    l->dirty_accounts.count = l->dirty_balances.count = l->dirty_orders.count = 0;
    for (; l->fill_ring.drained < l->fill_ring.put; l->fill_ring.drained++) {
        const struct ledger_fill *f = &l->fills[l->fill_ring.drained % l->fill_ring.max];
        const struct trade_row row = {f->account_id, f->trade};
        if (sink->on_trade != NULL)
            sink->on_trade(sink->arg, &row);
    }
    for (; l->change_ring.drained < l->change_ring.put; l->change_ring.drained++) {
        const struct ledger_change *c = &l->changes[l->change_ring.drained % l->change_ring.max];
        const struct change_row row = {c->account_id, c->wallet, c->change};
        if (sink->on_change != NULL)
            sink->on_change(sink->arg, &row);
    }
    for (; l->story_ring.drained < l->story_ring.put; l->story_ring.drained++) {
        const struct ledger_story *s = &l->stories[l->story_ring.drained % l->story_ring.max];
        const struct story_row row = {s->account_id, s->order_id, s->story};
        if (sink->on_story != NULL)
            sink->on_story(sink->arg, &row);
    }
    return l->generation;
}

/* ---- Forgetting --------------------------------------------------------------------------------
 */

void
ledger_projected(struct ledger *l, uint64_t generation)
{
    CHECK(generation <= l->generation);
    if (generation > l->projected)
        l->projected = generation;
}

/* Nobody waits for it, and the tables have it. */
static bool
is_forgettable(const struct ledger *l, const struct ledger_order *o)
{
    return !o->dirty && o->drained <= l->projected && o->pins == 0;
}

uint32_t
ledger_evict(struct ledger *l, int64_t now_us)
{
    uint32_t count = 0;
    while (l->orders_count > l->limits.orders_high && l->finished_oldest != LEDGER_NONE) {
        struct ledger_order *o = &l->orders[l->finished_oldest];
        if (!is_forgettable(l, o) || now_us - o->updated_us < l->limits.keep_us)
            break;
        order_forget(l, o);
        count++;
    }
    l->orders_evicted += count;
    return count;
}

uint32_t
ledger_make_room(struct ledger *l)
{
    uint32_t count = 0;
    for (uint32_t i = l->finished_oldest, newer; i != LEDGER_NONE; i = newer) {
        newer = l->orders[i].newer;
        if (!is_forgettable(l, &l->orders[i]))
            continue;
        order_forget(l, &l->orders[i]);
        count++;
    }
    l->orders_evicted += count;
    return count;
}

/* ---- In ----------------------------------------------------------------------------------------
 */

enum err
ledger_load_shard(struct ledger *l, const struct shard_row *row)
{
    if (row->shard >= LEDGER_SHARDS)
        return ERR_INTERNAL;
    struct ledger_shard *s = &l->shards[row->shard];
    s->order_sequence = row->order_sequence;
    s->trade_sequence = row->trade_sequence;
    s->change_sequence = row->change_sequence;
    return OK;
}

enum err
ledger_load_account(struct ledger *l, const struct account_row *row)
{
    if (row->account_id == 0 || row->account_id >= SYSTEM_ACCOUNT_FIRST ||
        account_find(l, row->account_id) != NULL || row->commands_next >= LEDGER_COMMANDS_MAX)
        return ERR_INTERNAL;
    if (!account_room(l) || !balance_room(l, LEDGER_TYPES))
        return ERR_ACCOUNTS_FULL;
    struct ledger_account *a = account_add(l, row->account_id, row->user_id, row->tier);
    a->event_sequence = row->event_sequence;
    a->orders_placed = row->orders_placed;
    a->commands_next = row->commands_next;
    memcpy(a->settings, row->settings, sizeof(a->settings));
    memcpy(a->commands, row->commands, sizeof(a->commands));
    memcpy(a->exchange_us, row->exchange_us, sizeof(a->exchange_us));
    /* Every account has its cash, whether or not a row of it was ever written. */
    uint32_t cash = asset_find(l, code_of(LEDGER_CASH));
    for (enum trading_type w = TRADING_TYPE_spot; w <= TRADING_TYPE_futures; w++) {
        struct ledger_balance *b = balance_take(l, account_index(l, a), wallet_on_paper(w), cash);
        b->dirty = false;
        l->dirty_balances.count--;
    }
    return OK;
}

enum err
ledger_load_balance(struct ledger *l, const struct balance_row *row)
{
    const struct ledger_account *a = account_find_any(l, row->account_id);
    bool known_wallet = row->wallet >= WALLET_spot && row->wallet <= WALLET_exchange_futures;
    bool may_lack = a != NULL && (account_is_system(a) || row->wallet == WALLET_exchange_futures);
    if (a == NULL || !known_wallet || row->held.v < 0 || (row->free.v < 0 && !may_lack))
        return ERR_INTERNAL;
    uint32_t asset = asset_take(l, row->asset);
    if (asset == LEDGER_NONE)
        return ERR_ACCOUNTS_FULL;
    struct ledger_balance *b = balance_find(l, account_index(l, a), row->wallet, asset);
    if (b == NULL && !balance_room(l, 1))
        return ERR_ACCOUNTS_FULL;
    if (b == NULL) {
        b = balance_take(l, account_index(l, a), row->wallet, asset);
        b->dirty = false;
        l->dirty_balances.count--;
    }
    b->free = row->free;
    b->held = row->held;
    return OK;
}

static void
order_load_fields(const struct order_row *row, struct ledger_order *o)
{
    const struct order *r = &row->order;
    o->id = r->order_id;
    o->client_order_id = r->client_order_id;
    o->side = (uint8_t)r->side;
    o->type = (uint8_t)r->type;
    o->time_in_force = (uint8_t)r->time_in_force;
    o->status = (uint8_t)r->status;
    o->end = (uint8_t)r->end_reason;
    o->id_was_made = row->id_was_made;
    o->price = r->price;
    o->worst_price = row->worst_price;
    o->reference_price = row->reference_price;
    o->quantity = r->quantity;
    o->quote_quantity = r->quote_order_quantity;
    o->step_size = row->step_size;
    o->executed = r->executed_quantity;
    o->executed_quote = r->executed_quote_quantity;
    o->hold = row->hold;
    o->held = r->held;
    o->maker_fee_rate = row->maker_fee_rate;
    o->taker_fee_rate = row->taker_fee_rate;
    o->rank = row->rank;
    o->fills = row->fills;
    o->created_us = r->created_us;
    o->updated_us = r->updated_us;
    o->was_drained = true;
}

/* What only some orders have. */
static void
order_load_terms(const struct order_row *row, struct ledger_order *o)
{
    const struct order *r = &row->order;
    o->stop_price = r->stop_price;
    o->trailing_delta = r->trailing_delta;
    o->trigger_source = (uint8_t)r->trigger_source;
    o->triggered_us = r->triggered_us;
    o->trail_extreme = row->trail_extreme;
    o->iceberg_quantity = r->iceberg_quantity;
    o->expire_us = r->expire_us;
    o->self_trade_prevention = (uint8_t)r->self_trade_prevention;
    o->prevented = r->prevented_quantity;
    o->list_id = r->list_id;
    o->contingency = (uint8_t)row->contingency;
    o->leg = (uint8_t)row->leg;
    o->waits_for = r->waits_for;
    o->rule = (uint8_t)row->rule;
    o->replaces = r->replaces;
    o->live_us = row->live_us;
    o->fill_preset = (uint8_t)r->fill_preset;
    o->fill_model = (uint8_t)r->fill_model;
    o->latency_us = r->latency_us;
    o->cancel_latency_us = row->cancel_latency_us;
    o->slippage_bps = r->slippage_bps;
    o->market_us = r->market_us;
    o->refused_by = (uint16_t)r->refused_by;
    o->amended_from = r->amended_from;
    o->amends = row->amends;
}

static void
order_load_real(const struct order *r, struct ledger_order *o)
{
    o->environment = (uint8_t)r->environment;
    o->exchange_state = (uint8_t)r->exchange_state;
    o->exchange_order_id = r->exchange_order_id;
    o->exchange_code = r->exchange_code;
    o->send_by_us = r->send_by_us;
    o->reduce_only = r->reduce_only;
    o->placed_quantity = r->placed_quantity;
    o->placed_price = r->placed_price;
    o->twin = r->twin;
    o->twin_refused = (uint16_t)r->twin_refused;
    o->twin_of = r->twin_of;
}

enum err
ledger_load_order(struct ledger *l, const struct order_row *row)
{
    const struct ledger_account *a = account_find(l, row->order.account_id);
    if (a == NULL || row->order.order_id == 0 || order_find(l, row->order.order_id) != NULL ||
        ledger_shard_of_id(row->order.order_id) != a->shard)
        return ERR_INTERNAL;
    uint32_t symbol = symbol_take(l, row->order.symbol);
    uint32_t base = asset_take(l, row->base_asset);
    uint32_t quote = asset_take(l, row->quote_asset);
    if (symbol == LEDGER_NONE || base == LEDGER_NONE || quote == LEDGER_NONE || !order_room(l))
        return ERR_ORDERS_FULL;
    struct ledger_order o = {.symbol = (uint16_t)symbol};
    order_load_fields(row, &o);
    order_load_terms(row, &o);
    order_load_real(&row->order, &o);
    enum wallet w = order_is_real(&o) ? wallet_at_exchange(order_type_of(l, &o)) : WALLET_spot;
    bool buys = row->order.side == SIDE_BUY;
    if (!balance_room(l, ORDER_BIND_MOST) &&
        !balance_room(l, order_bind_opens(l, account_index(l, a), w, base, quote, buys, !buys)))
        return ERR_ORDERS_FULL;
    order_bind(l, &o, account_index(l, a), base, quote);
    order_add(l, &o);
    return OK;
}

enum err
ledger_load_fill(struct ledger *l, const struct trade_row *row)
{
    struct ledger_order *o = order_find(l, row->trade.order_id);
    if (o == NULL)
        return OK;
    if (l->accounts[o->account].id != row->account_id || o->fills_kept >= o->fills)
        return ERR_INTERNAL;
    fill_keep(l, o, &row->trade);
    l->fill_ring.drained = l->fill_ring.put;
    return OK;
}
