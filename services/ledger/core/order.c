/*
 * order.c - the pool of orders, the lists they stand in, the ring of their fills.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/core/order.h"

#include <string.h>

#include "base/instrument.h"
#include "ledger/core/account.h"
#include "ledger/core/balance.h"
#include "ledger/core/contingent.h"
#include "ledger/core/dirty.h"
#include "ledger/core/kind.h"

static uint64_t
client_hash(uint32_t account, const cid_t *cid)
{
    uint64_t mixed = map_hash(cid->text, strnlen(cid->text, sizeof(cid->text))) + account;
    uint64_t hash = map_mix(mixed);
    return hash != 0 ? hash : 1;
}

uint32_t
order_index(const struct ledger *l, const struct ledger_order *o)
{
    return (uint32_t)(o - l->orders);
}

struct ledger_order *
order_find(const struct ledger *l, uint64_t order_id)
{
    uint32_t i = order_id == 0 ? MAP_NONE : map_get(&l->order_by_id, order_id);
    return i == MAP_NONE ? NULL : &l->orders[i];
}

struct ledger_order *
order_find_client(const struct ledger *l, uint32_t account, const cid_t *cid)
{
    uint32_t i = map_get(&l->order_by_client, client_hash(account, cid));
    for (; i != MAP_NONE; i = l->orders[i].same_hash)
        if (l->orders[i].account == account && cid_same(&l->orders[i].client_order_id, cid))
            return &l->orders[i];
    return NULL;
}

bool
order_room(const struct ledger *l)
{
    return l->orders_count < l->limits.orders_max;
}

bool
order_is_open(const struct ledger_order *o)
{
    return order_is_live(o) || order_is_pending(o);
}

bool
order_is_live(const struct ledger_order *o)
{
    return o->status == ORDER_STATUS_NEW || o->status == ORDER_STATUS_PARTIALLY_FILLED;
}

bool
order_is_pending(const struct ledger_order *o)
{
    return o->status == ORDER_STATUS_PENDING_NEW;
}

bool
order_has_spoken(const struct ledger_order *o)
{
    if (order_is_real(o))
        return o->exchange_state != EXCHANGE_STATE_SENDING;
    return o->rank != 0 || !order_is_open(o);
}

enum trading_type
order_type_of(const struct ledger *l, const struct ledger_order *o)
{
    code_t name = l->symbols[o->symbol].code;
    return instrument_fits(TRADING_TYPE_futures, name) ? TRADING_TYPE_futures : TRADING_TYPE_spot;
}

bool
order_some_evicted(const struct ledger_account *a)
{
    return a->orders_placed > a->orders;
}

bool
order_fills_known(const struct ledger_order *o)
{
    uint32_t shown = o->fills < LEDGER_VIEW_FILLS ? o->fills : LEDGER_VIEW_FILLS;
    return o->fills_kept >= shown;
}

/* ---- Lists ---------------------------------------------------------------------------- */

/* Newest first. New orders have the highest id, so the walk is for rows loaded out of order. */
static void
open_list_add(struct ledger *l, struct ledger_order *o)
{
    struct ledger_account *a = &l->accounts[o->account];
    uint32_t self = order_index(l, o);
    uint32_t newer = LEDGER_NONE;
    uint32_t older = a->newest_open;
    while (older != LEDGER_NONE && l->orders[older].id > o->id) {
        newer = older;
        older = l->orders[older].older;
    }
    o->newer = newer;
    o->older = older;
    if (older != LEDGER_NONE)
        l->orders[older].newer = self;
    if (newer != LEDGER_NONE)
        l->orders[newer].older = self;
    else
        a->newest_open = self;
    a->open_orders++;
    l->shards[a->shard].open_orders++;
    *income_sum(l, a->shard, order_gets(l, o)->asset) += order_income(o).v;
}

static void
open_list_remove(struct ledger *l, struct ledger_order *o)
{
    struct ledger_account *a = &l->accounts[o->account];
    if (o->newer != LEDGER_NONE)
        l->orders[o->newer].older = o->older;
    else
        a->newest_open = o->older;
    if (o->older != LEDGER_NONE)
        l->orders[o->older].newer = o->newer;
    a->open_orders--;
    l->shards[a->shard].open_orders--;
    *income_sum(l, a->shard, order_gets(l, o)->asset) -= order_income(o).v;
}

static void
finished_list_add(struct ledger *l, struct ledger_order *o)
{
    uint32_t self = order_index(l, o);
    o->newer = LEDGER_NONE;
    o->older = l->finished_newest;
    if (l->finished_newest != LEDGER_NONE)
        l->orders[l->finished_newest].newer = self;
    else
        l->finished_oldest = self;
    l->finished_newest = self;
}

static void
finished_list_remove(struct ledger *l, struct ledger_order *o)
{
    if (o->newer != LEDGER_NONE)
        l->orders[o->newer].older = o->older;
    else
        l->finished_newest = o->older;
    if (o->older != LEDGER_NONE)
        l->orders[o->older].newer = o->newer;
    else
        l->finished_oldest = o->newer;
}

static void
client_list_add(struct ledger *l, struct ledger_order *o)
{
    uint64_t hash = client_hash(o->account, &o->client_order_id);
    o->same_hash = map_get(&l->order_by_client, hash);
    map_set(&l->order_by_client, hash, order_index(l, o));
}

static void
client_list_remove(struct ledger *l, const struct ledger_order *o)
{
    uint64_t hash = client_hash(o->account, &o->client_order_id);
    uint32_t self = order_index(l, o);
    uint32_t i = map_get(&l->order_by_client, hash);
    if (i == self && o->same_hash == LEDGER_NONE) {
        map_remove(&l->order_by_client, hash);
    } else if (i == self) {
        map_set(&l->order_by_client, hash, o->same_hash);
    } else {
        while (l->orders[i].same_hash != self)
            i = l->orders[i].same_hash;
        l->orders[i].same_hash = o->same_hash;
    }
}

/* Orders that wait for this one, by rising id: they are few, and new ones have the highest. Where
 * rows name an order that is not open, the proof finds it. */
static void
dependents_add(struct ledger *l, struct ledger_order *o)
{
    struct ledger_order *first = order_find(l, o->waits_for);
    if (first == NULL)
        return;
    uint32_t *link = &first->first_dependent;
    while (*link != LEDGER_NONE)
        link = &l->orders[*link].next_dependent;
    *link = order_index(l, o);
}

/* ---- Life ----------------------------------------------------------------------------- */

static uint32_t
opens(const struct ledger *l, uint32_t account, enum wallet w, uint32_t asset)
{
    return asset == LEDGER_NONE || balance_find(l, account, w, asset) == NULL;
}

uint32_t
order_bind_opens(const struct ledger *l, uint32_t account, enum wallet w, uint32_t base,
                 uint32_t quote, bool buys, bool sells)
{
    uint32_t count = opens(l, account, w, base) + opens(l, account, w, quote);
    if (wallet_is_exchange(w))
        return count;
    uint32_t shard = l->accounts[account].shard;
    uint32_t house = account_system_index(SYSTEM_HOUSE, shard);
    uint32_t fees = account_system_index(SYSTEM_FEES, shard);
    count += opens(l, house, w, base) + opens(l, house, w, quote);
    if (buys)
        count += opens(l, fees, w, base);
    if (sells)
        count += opens(l, fees, w, quote);
    return count;
}

static uint32_t
bind_system(struct ledger *l, enum system_account kind, uint32_t shard, uint32_t asset)
{
    return balance_index(l, balance_system(l, kind, shard, WALLET_spot, asset));
}

void
order_bind(struct ledger *l, struct ledger_order *o, uint32_t account, uint32_t base,
           uint32_t quote)
{
    uint32_t shard = l->accounts[account].shard;
    o->account = account;
    if (order_is_real(o)) {
        enum wallet w = wallet_at_exchange(order_type_of(l, o));
        o->base_balance = balance_index(l, balance_take(l, account, w, base));
        o->quote_balance = balance_index(l, balance_take(l, account, w, quote));
        o->house_base = o->house_quote = o->fees = LEDGER_NONE;
        return;
    }
    o->base_balance = balance_index(l, balance_take(l, account, WALLET_spot, base));
    o->quote_balance = balance_index(l, balance_take(l, account, WALLET_spot, quote));
    o->house_base = bind_system(l, SYSTEM_HOUSE, shard, base);
    o->house_quote = bind_system(l, SYSTEM_HOUSE, shard, quote);
    o->fees = bind_system(l, SYSTEM_FEES, shard, o->side == SIDE_BUY ? base : quote);
}

struct ledger_order *
order_add(struct ledger *l, const struct ledger_order *o)
{
    CHECK(order_room(l));
    uint32_t i = l->orders_free;
    if (i != LEDGER_NONE)
        l->orders_free = l->orders[i].newer;
    else
        i = l->orders_reached++;
    l->orders_count++;

    struct ledger_order *own = &l->orders[i];
    *own = *o;
    own->first_fill = own->last_fill = 0;
    own->fills_kept = 0;
    own->first_waiter = LEDGER_NONE;
    own->first_dependent = own->next_dependent = LEDGER_NONE;
    own->pulled_us = own->trimmed_us = own->heard_us = 0;
    own->pins = 0;
    own->dirty = false;
    own->drained = 0;
    map_set(&l->order_by_id, own->id, i);
    client_list_add(l, own);
    l->accounts[own->account].orders++;
    if (order_is_pending(own))
        dependents_add(l, own);
    if (order_is_open(own))
        open_list_add(l, own);
    else
        finished_list_add(l, own);
    return own;
}

void
order_set_status(struct ledger *l, struct ledger_order *o, enum order_status status,
                 enum order_end end)
{
    CHECK(order_is_open(o));
    o->status = (uint8_t)status;
    o->end = (uint8_t)end;
    order_touch(l, o);
    if (order_is_open(o))
        return;
    CHECK(end != ORDER_END_NONE);
    open_list_remove(l, o);
    finished_list_add(l, o);
}

void
order_forget(struct ledger *l, struct ledger_order *o)
{
    CHECK(!order_is_open(o) && o->first_waiter == LEDGER_NONE && o->pins == 0 && !o->dirty);
    finished_list_remove(l, o);
    client_list_remove(l, o);
    map_remove(&l->order_by_id, o->id);
    l->accounts[o->account].orders--;
    l->orders_count--;
    o->id = 0;
    o->status = ORDER_STATUS_NONE;
    o->newer = l->orders_free;
    l->orders_free = order_index(l, o);
}

void
order_touch(struct ledger *l, struct ledger_order *o)
{
    if (o->dirty)
        return;
    o->dirty = true;
    dirty_add(&l->dirty_orders, order_index(l, o));
}

/* ---- What it needs and what it says ----------------------------------------------------- */

money_t
order_need(const struct ledger_order *o)
{
    if (order_is_real(o))
        return (money_t){0};
    if (o->quantity.v == 0 && o->side == SIDE_SELL)
        return money_sub(o->hold, money_of_qty(o->executed));
    if (o->quantity.v == 0)
        return money_sub(o->quote_quantity, o->executed_quote);
    if (o->side == SIDE_SELL)
        return money_of_qty(order_remaining(o));
    money_t needed;
    /* The whole order's amount fitted when it was opened, and this is a part of it. */
    enum err e = notional_ceil(o->worst_price, order_remaining(o), &needed);
    CHECK(e == OK);
    return needed;
}

void
order_lower(struct ledger *l, struct ledger_order *o, qty_t quantity)
{
    ledger_sum *incomes = income_sum(l, l->accounts[o->account].shard, order_gets(l, o)->asset);
    *incomes -= order_income(o).v;
    if (o->amended_from.v == 0)
        o->amended_from = o->quantity;
    o->quantity = quantity;
    o->amends++;
    *incomes += order_income(o).v;
}

/* By quantity a buyer gets just that. A seller by quote amount may get a step more than it asked.
 */
money_t
order_income(const struct ledger_order *o)
{
    if (order_is_real(o))
        return (money_t){0};
    bool buys = o->side == SIDE_BUY;
    price_t best = o->worst_price;
    if (o->reference_price.v > 0 && buys == (o->reference_price.v < best.v))
        best = o->reference_price;
    if (!buys && o->stop_price.v > best.v)
        best = o->stop_price;
    money_t income = money_of_qty(o->quantity), step;
    enum err e = OK;
    if (buys && o->quantity.v == 0)
        e = decimal_div_floor(o->quote_quantity.v, best.v, &income.v);
    else if (!buys && o->quantity.v > 0)
        e = notional_ceil(best, o->quantity, &income);
    else if (!buys && (e = notional_ceil(best, o->step_size, &step)) == OK)
        e = money_try_add(o->quote_quantity, step, &income);
    return e == OK ? income : (money_t){INT64_MAX};
}

qty_t
order_remaining(const struct ledger_order *o)
{
    if (o->quantity.v > 0)
        return qty_sub(qty_sub(o->quantity, o->executed), o->prevented);
    return o->side == SIDE_SELL ? (qty_t){o->held.v} : (qty_t){0};
}

struct ledger_balance *
order_pays(const struct ledger *l, const struct ledger_order *o)
{
    return &l->balances[o->side == SIDE_BUY ? o->quote_balance : o->base_balance];
}

struct ledger_balance *
order_gets(const struct ledger *l, const struct ledger_order *o)
{
    return &l->balances[o->side == SIDE_BUY ? o->base_balance : o->quote_balance];
}

struct order
order_say(const struct ledger *l, const struct ledger_order *o)
{
    return (struct order){.order_id = o->id,
                          .client_order_id = o->client_order_id,
                          .account_id = l->accounts[o->account].id,
                          .symbol = l->symbols[o->symbol].code,
                          .side = (enum side)o->side,
                          .type = (enum order_type)o->type,
                          .time_in_force = (enum time_in_force)o->time_in_force,
                          .status = (enum order_status)o->status,
                          .end_reason = (enum order_end)o->end,
                          .price = o->price,
                          .quantity = o->quantity,
                          .quote_order_quantity = o->quote_quantity,
                          .executed_quantity = o->executed,
                          .executed_quote_quantity = o->executed_quote,
                          .held = o->held,
                          .created_us = o->created_us,
                          .updated_us = o->updated_us,
                          .mode = order_is_real(o) ? TRADING_MODE_REAL : TRADING_MODE_PAPER,
                          .stop_price = o->stop_price,
                          .trailing_delta = o->trailing_delta,
                          .trigger_source = (enum trigger_source)o->trigger_source,
                          .triggered_us = o->triggered_us,
                          .iceberg_quantity = o->iceberg_quantity,
                          .expire_us = o->expire_us,
                          .self_trade_prevention =
                              (enum self_trade_prevention)o->self_trade_prevention,
                          .prevented_quantity = o->prevented,
                          .list_id = o->list_id,
                          .waits_for = o->waits_for,
                          .fill_preset = (enum fill_preset)o->fill_preset,
                          .fill_model = (enum fill_model)o->fill_model,
                          .latency_us = o->latency_us,
                          .slippage_bps = o->slippage_bps,
                          .refused_by = (enum err)o->refused_by,
                          .replaces = o->replaces,
                          .amended_from = o->amended_from,
                          .market_us = o->market_us,
                          .environment = (enum environment)o->environment,
                          .exchange_state = (enum exchange_state)o->exchange_state,
                          .exchange_order_id = o->exchange_order_id,
                          .exchange_code = o->exchange_code,
                          .send_by_us = o->send_by_us,
                          .reduce_only = o->reduce_only,
                          .twin_of = o->twin_of,
                          .twin = o->twin,
                          .twin_refused = (enum err)o->twin_refused,
                          .placed_quantity = o->placed_quantity,
                          .placed_price = o->placed_price};
}

void
order_ask_matcher(const struct ledger *l, const struct ledger_order *o, struct order_work *work)
{
    bool is_armed = order_is_armed(o);
    *work = (struct order_work){.order_id = o->id,
                                .account_id = l->accounts[o->account].id,
                                .symbol = l->symbols[o->symbol].code,
                                .side = (enum side)o->side,
                                .type = (enum order_type)o->type,
                                .time_in_force = (enum time_in_force)o->time_in_force,
                                .price = o->worst_price,
                                .quantity = order_remaining(o),
                                .rank = o->rank,
                                .time_us = o->live_us,
                                .stop_price = o->stop_price,
                                .trailing_delta = o->trailing_delta,
                                .trigger_source = (enum trigger_source)o->trigger_source,
                                .is_triggered = !is_armed && kind_is_stop((enum order_type)o->type),
                                .trail_extreme = is_armed ? o->trail_extreme : (price_t){0},
                                /* An amendment may have cut the last slice. */
                                .iceberg_quantity = qty_min(o->iceberg_quantity, o->quantity),
                                .expire_us = o->expire_us,
                                .self_trade_prevention =
                                    (enum self_trade_prevention)o->self_trade_prevention,
                                .fill_model = (enum fill_model)o->fill_model,
                                .latency_us = o->latency_us,
                                .slippage_bps = o->slippage_bps,
                                .list_id = contingent_partner(l, o) == NULL ? 0 : o->list_id,
                                /* What is taken off is done too: an amendment counts from there. */
                                .executed = qty_add(o->executed, o->prevented)};
    if (o->quantity.v == 0) {
        work->funds = money_sub(o->quote_quantity, o->executed_quote);
        work->step_size = o->step_size;
    }
}

bool
order_same(const struct order *placed, const struct order_place *cmd)
{
    bool same_expiry =
        cmd->time_in_force != TIME_IN_FORCE_GTD || placed->expire_us == cmd->expire_us;
    qty_t quantity = placed->amended_from.v != 0 ? placed->amended_from : placed->quantity;
    return code_same(placed->symbol, cmd->symbol) && placed->side == cmd->side &&
           placed->type == cmd->type && placed->time_in_force == cmd->time_in_force &&
           quantity.v == cmd->quantity.v &&
           placed->quote_order_quantity.v == cmd->quote_order_quantity.v &&
           placed->price.v == cmd->price.v && placed->stop_price.v == cmd->stop_price.v &&
           placed->trailing_delta == cmd->trailing_delta &&
           placed->trigger_source == cmd->trigger_source &&
           placed->iceberg_quantity.v == cmd->iceberg_quantity.v && same_expiry &&
           placed->self_trade_prevention == cmd->self_trade_prevention &&
           placed->reduce_only == cmd->reduce_only &&
           (cmd->fill_model == FILL_MODEL_NONE || placed->fill_model == cmd->fill_model);
}

/* ---- Fills ------------------------------------------------------------------------------ */

const struct ledger_fill *
fill_at(const struct ledger *l, uint64_t link)
{
    return link == 0 ? NULL : &l->fills[(link - 1) % l->fill_ring.max];
}

/* The ring's oldest fill goes: it is always the first one its order still has. */
static void
fill_drop(struct ledger *l, uint64_t link)
{
    const struct ledger_fill *f = fill_at(l, link);
    struct ledger_order *o = &l->orders[f->order];
    if (o->id != f->trade.order_id)
        return;
    CHECK(o->first_fill == link);
    o->first_fill = f->next;
    if (f->next == 0)
        o->last_fill = 0;
    o->fills_kept--;
}

void
fill_keep(struct ledger *l, struct ledger_order *o, const struct trade *t)
{
    uint64_t place = l->fill_ring.put;
    CHECK(place - l->fill_ring.drained < l->fill_ring.max);
    if (place >= l->fill_ring.max)
        fill_drop(l, place - l->fill_ring.max + 1);
    l->fill_ring.put++;
    struct ledger_fill *f = &l->fills[place % l->fill_ring.max];
    f->trade = *t;
    f->account_id = l->accounts[o->account].id;
    f->next = 0;
    f->order = order_index(l, o);
    if (o->last_fill != 0)
        l->fills[(o->last_fill - 1) % l->fill_ring.max].next = place + 1;
    else
        o->first_fill = place + 1;
    o->last_fill = place + 1;
    o->fills_kept++;
}
