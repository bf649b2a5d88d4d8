/*
 * shadow_begin.c - orders of the second account as they begin: what was asked for, and nothing
 * done.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "scripctl/shadow_parts.h"

#define ID(id) ((unsigned long long)(id))

#define SAME_AS_ASKED(X)                                                                           \
    X(order.client_order_id, client_order_id)                                                      \
    X(order.symbol, symbol)                                                                        \
    X(order.side, side)                                                                            \
    X(order.type, type)                                                                            \
    X(order.time_in_force, time_in_force)                                                          \
    X(order.quantity, quantity)                                                                    \
    X(order.quote_order_quantity, quote_order_quantity)                                            \
    X(order.price, price)                                                                          \
    X(id_was_made, id_was_made)                                                                    \
    X(base_asset, base_asset)                                                                      \
    X(quote_asset, quote_asset)                                                                    \
    X(reference_price, reference_price)                                                            \
    X(worst_price, worst_price)                                                                    \
    X(step_size, step_size)                                                                        \
    X(maker_fee_rate, maker_fee_rate)                                                              \
    X(taker_fee_rate, taker_fee_rate)                                                              \
    X(hold, hold)                                                                                  \
    X(order.stop_price, stop_price)                                                                \
    X(order.trailing_delta, trailing_delta)                                                        \
    X(order.trigger_source, trigger_source)                                                        \
    X(order.iceberg_quantity, iceberg_quantity)                                                    \
    X(order.expire_us, expire_us)                                                                  \
    X(order.self_trade_prevention, self_trade_prevention)                                          \
    X(order.fill_model, fill_model)                                                                \
    X(order.fill_preset, fill_preset)                                                              \
    X(order.latency_us, latency_us)                                                                \
    X(cancel_latency_us, cancel_latency_us)                                                        \
    X(order.slippage_bps, slippage_bps)                                                            \
    X(order.market_us, market_us)                                                                  \
    X(order.reduce_only, reduce_only)                                                              \
    X(order.environment, environment)                                                              \
    X(order.send_by_us, send_by_us)

/* The first order's id is the shard's next one. */
struct shadow_asked
shadow_asked_by(const struct msg *cmd, uint64_t next_id)
{
    struct shadow_asked a = {.count = 0};
    if (cmd->type == MSG_order_place && cmd->order_place.environment != ENVIRONMENT_NONE) {
        a.account_id = cmd->order_place.account_id;
        a.is_real = true;
        a.twin_of = next_id;
        a.orders[a.count++] = shadow_wish_of_real(&cmd->order_place);
        if (cmd->order_place.has_twin)
            a.orders[a.count++] = shadow_wish_of_twin(&cmd->order_place, next_id);
    } else if (cmd->type == MSG_order_place) {
        a.account_id = cmd->order_place.account_id;
        a.orders[a.count++] = shadow_wish_of_place(&cmd->order_place);
    } else if (cmd->type == MSG_order_replace) {
        a.account_id = cmd->order_replace.account_id;
        a.orders[a.count++] = shadow_wish_of_replace(&cmd->order_replace);
    } else if (cmd->type == MSG_list_place) {
        a.account_id = cmd->list_place.account_id;
        a.contingency = cmd->list_place.contingency;
        while (a.count < cmd->list_place.orders_count && a.count < 3) {
            a.orders[a.count] = cmd->list_place.orders[a.count];
            a.count++;
        }
    }
    for (uint32_t i = 0; i < a.count; i++)
        a.is_refused = a.is_refused || a.orders[i].is_refused;
    return a;
}

/* The orders of a list are refused together; a real order is not, whatever its twin is. */
static bool
is_refused_at(const struct shadow_asked *a, uint32_t leg)
{
    return a->is_real ? a->orders[leg].is_refused : a->is_refused;
}

static bool
says_what_was_asked(const struct order_row *row, const struct order_wish *wish, char why[WHY_BYTES])
{
    const char *differs = NULL;
#define SAME(own, asked)                                                                           \
    if (memcmp(&row->own, &wish->asked, sizeof row->own) != 0)                                     \
        differs = #asked;
    SAME_AS_ASKED(SAME)
#undef SAME
    return differs == NULL ||
           shadow_wrong(why, "order %llu is not what was asked for: its %s differs",
                        ID(row->order.order_id), differs);
}

/* Nothing is done of it yet. */
static bool
is_fresh(const struct order_row *row, int64_t now_us)
{
    const struct order *o = &row->order;
    return o->created_us == now_us && o->updated_us == now_us && o->executed_quantity.v == 0 &&
           o->executed_quote_quantity.v == 0 && o->prevented_quantity.v == 0 &&
           o->triggered_us == 0 && o->amended_from.v == 0 && row->amends == 0 && row->fills == 0 &&
           row->rank == 0 && row->trail_extreme.v == 0;
}

/* The order that a new one waits for: the first of its list, or the one it replaces if it is open.
 */
static uint64_t
waits_for(const struct shadow *s, const struct msg *cmd, const struct shadow_asked *asked,
          uint32_t leg, uint64_t id)
{
    if (asked->is_refused)
        return 0;
    if (asked->contingency > CONTINGENCY_OCO && leg > 0)
        return id - leg;
    if (cmd->type != MSG_order_replace)
        return 0;
    const struct shadow_order *old = shadow_order(s, cmd->order_replace.cancel_order_id);
    return old != NULL && old->account_id == asked->account_id ? old->id : 0;
}

/* The fill rules it came with are its account's. */
static bool
follows_rules(const struct shadow *s, const struct order_row *row, char why[WHY_BYTES])
{
    uint32_t place = places_get(&s->account_by_id, row->order.account_id);
    if (place == MAP_NONE)
        return shadow_wrong(why, "account %llu was never opened", ID(row->order.account_id));
    const struct fill_rules *rules = &s->accounts[place].settings[WALLET_spot - 1].fill;
    return (row->order.fill_preset == rules->fill_preset &&
            row->order.slippage_bps == rules->slippage_bps) ||
           shadow_wrong(why, "order %llu does not follow its account's fill rules",
                        ID(row->order.order_id));
}

/* A real order goes to the exchange that its account is bound to. */
static bool
is_bound(const struct shadow *s, const struct order *o, char why[WHY_BYTES])
{
    const struct shadow_account *a = shadow_account(s, o->account_id);
    if (a == NULL)
        return shadow_wrong(why, "account %llu was never opened", ID(o->account_id));
    const struct ledger_settings *set = &a->settings[shadow_type_of(o->symbol) - TRADING_TYPE_spot];
    return (set->mode == TRADING_MODE_REAL && set->environment == o->environment &&
            !set->dry_run_mode) ||
           shadow_wrong(why, "order %llu is for an exchange that its account is not bound to",
                        ID(o->order_id));
}

/* Nothing of it is at the exchange yet; and it and its twin know of each other. */
static bool
is_where_asked(const struct shadow_asked *asked, uint32_t leg, const struct order_row *row,
               char why[WHY_BYTES])
{
    const struct order *o = &row->order;
    bool is_first = asked->is_real && leg == 0;
    enum exchange_state state = is_first ? EXCHANGE_STATE_SENDING : EXCHANGE_STATE_NONE;
    uint64_t twin = is_first && asked->count > 1 ? o->order_id + 1 : 0;
    uint64_t twin_of = asked->is_real && leg == 1 ? asked->twin_of : 0;
    bool is_right = o->exchange_state == state && o->exchange_order_id == 0 &&
                    o->exchange_code == 0 && o->placed_quantity.v == 0 && o->placed_price.v == 0 &&
                    o->twin == twin && o->twin_of == twin_of &&
                    o->mode == (is_first ? TRADING_MODE_REAL : TRADING_MODE_PAPER);
    return is_right ||
           shadow_wrong(why, "order %llu does not begin where it was asked for", ID(o->order_id));
}

bool
shadow_begins(struct shadow *s, const struct twin_step *step, const struct shadow_asked *asked,
              uint32_t leg, const struct order_row *row, char why[WHY_BYTES])
{
    uint32_t shard = step->record->shard;
    const struct order *o = &row->order;
    uint64_t id = (uint64_t)shard << 47 | (s->shards[shard].orders + 1);
    if (leg >= asked->count)
        return shadow_wrong(why, "order %llu changes and is not open", ID(o->order_id));
    if (o->order_id != id)
        return shadow_wrong(why, "order %llu begins, and %llu is the next number", ID(o->order_id),
                            ID(id));
    s->shards[shard].orders++;
    if (o->account_id != asked->account_id || !is_fresh(row, step->record->time_us))
        return shadow_wrong(why, "order %llu does not begin with nothing done", ID(id));
    if (!says_what_was_asked(row, &asked->orders[leg], why) ||
        !is_where_asked(asked, leg, row, why))
        return false;
    if (shadow_is_real(o) ? !is_bound(s, o, why) : !follows_rules(s, row, why))
        return false;
    uint64_t waits = waits_for(s, step->cmd, asked, leg, id);
    enum order_status status = is_refused_at(asked, leg) ? ORDER_STATUS_REJECTED
                               : waits != 0              ? ORDER_STATUS_PENDING_NEW
                                                         : ORDER_STATUS_NEW;
    if (o->waits_for != waits)
        return shadow_wrong(why, "order %llu waits for order %llu, and should for %llu", ID(id),
                            ID(o->waits_for), ID(waits));
    int64_t live_us = status == ORDER_STATUS_NEW ? step->record->time_us : 0;
    if (o->status != status || row->live_us != live_us ||
        (o->end_reason != ORDER_END_NONE) == shadow_is_open(status))
        return shadow_wrong(why, "order %llu begins %s, and should be %s", ID(id),
                            msg_enum_name(MSG_ENUM_order_status, o->status),
                            msg_enum_name(MSG_ENUM_order_status, status));
    if (!shadow_is_open(status))
        return o->held.v == 0 || shadow_wrong(why, "order %llu is rejected and holds", ID(id));
    return true;
}
