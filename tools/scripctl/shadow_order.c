/*
 * shadow_order.c - open orders of the second account: what was asked for, how they move, what they
 * hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "scripctl/shadow_parts.h"

#define ID(id) ((unsigned long long)(id))

const struct shadow_order *
shadow_order(const struct shadow *s, uint64_t order_id)
{
    uint32_t place = order_id == 0 ? MAP_NONE : places_get(&s->order_by_id, order_id);
    return place == MAP_NONE ? NULL : &s->orders[place];
}

/* ---- From rows ---------------------------------------------------------------------------- */

static uint64_t
fold(uint64_t hash, const void *bytes, size_t size)
{
    const char *at = bytes;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 29;
    }
    return hash;
}

/* What an order keeps for as long as it lives. */
static uint64_t
fixed_of(const struct order_row *row)
{
    const struct order *o = &row->order;
    const uint64_t words[] = {o->account_id,
                              o->side,
                              o->type,
                              o->time_in_force,
                              o->mode,
                              (uint64_t)o->price.v,
                              (uint64_t)o->quote_order_quantity.v,
                              (uint64_t)o->created_us,
                              (uint64_t)o->stop_price.v,
                              o->trailing_delta,
                              o->trigger_source,
                              (uint64_t)o->iceberg_quantity.v,
                              (uint64_t)o->expire_us,
                              o->self_trade_prevention,
                              o->list_id,
                              o->fill_preset,
                              o->fill_model,
                              o->latency_us,
                              o->slippage_bps,
                              (uint64_t)o->market_us,
                              o->replaces,
                              row->id_was_made,
                              (uint64_t)row->worst_price.v,
                              (uint64_t)row->reference_price.v,
                              (uint64_t)row->step_size.v,
                              (uint64_t)row->maker_fee_rate.v,
                              (uint64_t)row->taker_fee_rate.v,
                              (uint64_t)row->hold.v,
                              row->cancel_latency_us,
                              row->contingency,
                              row->leg,
                              (uint64_t)row->rule,
                              o->environment,
                              (uint64_t)o->send_by_us,
                              o->reduce_only,
                              o->twin_of,
                              o->twin,
                              o->twin_refused};
    uint64_t hash = fold(o->order_id, words, sizeof words);
    hash = fold(hash, &o->client_order_id, sizeof o->client_order_id);
    hash = fold(hash, &o->symbol, sizeof o->symbol);
    hash = fold(hash, &row->base_asset, sizeof row->base_asset);
    return fold(hash, &row->quote_asset, sizeof row->quote_asset);
}

/* All but the balances. */
static void
order_read(const struct order_row *row, struct shadow_order *o)
{
    const struct order *r = &row->order;
    o->id = r->order_id;
    o->account_id = r->account_id;
    o->list_id = r->list_id;
    o->waits_for = r->waits_for;
    o->rank = row->rank;
    o->side = r->side;
    o->type = r->type;
    o->time_in_force = r->time_in_force;
    o->status = r->status;
    o->fill_model = r->fill_model;
    o->contingency = row->contingency;
    o->rule = row->rule;
    o->price = r->price;
    o->worst_price = row->worst_price;
    o->trail_extreme = row->trail_extreme;
    o->quantity = r->quantity;
    o->executed = r->executed_quantity;
    o->prevented = r->prevented_quantity;
    o->amended_from = r->amended_from;
    o->iceberg_quantity = r->iceberg_quantity;
    o->quote_quantity = r->quote_order_quantity;
    o->executed_quote = r->executed_quote_quantity;
    o->hold = row->hold;
    o->held = r->held;
    o->maker_fee_rate = row->maker_fee_rate;
    o->taker_fee_rate = row->taker_fee_rate;
    o->created_us = r->created_us;
    o->updated_us = r->updated_us;
    o->live_us = row->live_us;
    o->triggered_us = r->triggered_us;
    o->expire_us = r->expire_us;
    o->fills = row->fills;
    o->amends = row->amends;
    o->leg = row->leg;
    o->slippage_bps = r->slippage_bps;
    o->environment = r->environment;
    o->exchange_state = r->exchange_state;
    o->exchange_order_id = r->exchange_order_id;
    o->exchange_code = r->exchange_code;
    o->send_by_us = r->send_by_us;
    o->refused_by = r->refused_by;
    o->placed_quantity = r->placed_quantity;
    o->placed_price = r->placed_price;
}

/* ---- Memory ------------------------------------------------------------------------------- */

static uint32_t
system_balance(struct shadow *s, enum system_account kind, uint64_t account_id, code_t asset)
{
    uint64_t id = ledger_system_id(kind, ledger_shard_of(account_id));
    return shadow_balance_take(s, id, WALLET_spot, asset);
}

/* While one is open its account stays at its exchange. */
static void
count_real(struct shadow *s, const struct shadow_order *o, uint32_t more)
{
    struct shadow_account *a = shadow_account(s, o->account_id);
    if (o->environment != ENVIRONMENT_NONE && a != NULL)
        a->real_open[shadow_type_of(s->codes[o->symbol]) - TRADING_TYPE_spot] += more;
}

static struct shadow_order *
order_open(struct shadow *s, const struct order_row *row)
{
    const struct order *r = &row->order;
    uint32_t place = s->orders_free;
    if (place != SHADOW_NONE) {
        s->orders_free = s->orders[place].base;
    } else {
        s->orders = array_room(s->orders, s->orders_reached, &s->orders_max, sizeof *s->orders);
        place = s->orders_reached++;
    }
    struct shadow_order *o = &s->orders[place];
    memset(o, 0, sizeof *o);
    order_read(row, o);
    o->fixed = fixed_of(row);
    o->symbol = shadow_code(s, r->symbol);
    enum wallet wallet =
        shadow_is_real(r) ? wallet_at_exchange(shadow_type_of(r->symbol)) : WALLET_spot;
    o->base = shadow_balance_take(s, r->account_id, wallet, row->base_asset);
    o->quote = shadow_balance_take(s, r->account_id, wallet, row->quote_asset);
    o->house_base = system_balance(s, SYSTEM_HOUSE, r->account_id, row->base_asset);
    o->house_quote = system_balance(s, SYSTEM_HOUSE, r->account_id, row->quote_asset);
    o->fees = system_balance(s, SYSTEM_FEES, r->account_id,
                             r->side == SIDE_BUY ? row->base_asset : row->quote_asset);
    places_set(&s->order_by_id, o->id, place);
    count_real(s, o, 1);
    return o;
}

static void
order_close(struct shadow *s, struct shadow_order *o)
{
    count_real(s, o, UINT32_MAX); /* one less */
    places_drop(&s->order_by_id, o->id);
    o->base = s->orders_free;
    s->orders_free = (uint32_t)(o - s->orders);
}

static void
holds_move(struct shadow *s, const struct shadow_order *o, int64_t more)
{
    uint32_t pays = o->side == SIDE_BUY ? o->quote : o->base;
    s->balances[pays].orders_held += more;
    shadow_list(s, pays);
}

static bool
order_begins(struct shadow *s, const struct twin_step *step, const struct shadow_asked *asked,
             uint32_t leg, const struct order_row *row, char why[WHY_BYTES])
{
    if (!shadow_begins(s, step, asked, leg, row, why))
        return false;
    if (shadow_is_open(row->order.status))
        holds_move(s, order_open(s, row), row->order.held.v);
    return true;
}

/* ---- Known orders ------------------------------------------------------------------------- */

static enum order_status
status_of_end(enum order_end end, const struct order_row *row)
{
    bool none = row->order.executed_quantity.v == 0;
    switch (end) {
    case ORDER_END_NONE:
        return none ? ORDER_STATUS_NEW : ORDER_STATUS_PARTIALLY_FILLED;
    case ORDER_END_COMPLETE:
        return ORDER_STATUS_FILLED;
    case ORDER_END_CLIENT_CANCEL:
        return ORDER_STATUS_CANCELED;
    case ORDER_END_SELF_TRADE:
        return ORDER_STATUS_EXPIRED_IN_MATCH;
    case ORDER_END_BOOK_FULL:
        return none ? ORDER_STATUS_REJECTED : ORDER_STATUS_EXPIRED;
    case ORDER_END_WOULD_TAKE:
    case ORDER_END_LIST_REJECTED:
    case ORDER_END_SIMULATED_REJECT:
    case ORDER_END_NOT_ACTIVATED:
    case ORDER_END_CANCEL_FAILED:
    case ORDER_END_EXCHANGE_REFUSED:
    case ORDER_END_NOT_PLACED:
        return ORDER_STATUS_REJECTED;
    case ORDER_END_IOC_REMAINDER:
    case ORDER_END_FOK_UNFILLABLE:
    case ORDER_END_INSUFFICIENT_LIQUIDITY:
    case ORDER_END_SYMBOL_REMOVED:
    case ORDER_END_OCO_TRIGGER:
    case ORDER_END_OTO_PHASE_ONE_EXPIRED:
    case ORDER_END_GTD_REACHED:
    case ORDER_END_MARKET_STALE:
    case ORDER_END_EXCHANGE_EXPIRED:
        return ORDER_STATUS_EXPIRED;
    }
    return ORDER_STATUS_NONE;
}

/* The order that a report, or an operator, says something of. */
static uint64_t
order_told_of(const struct msg *cmd)
{
    switch ((int)cmd->type) {
    case MSG_order_report:
        return cmd->order_report.order_id;
    case MSG_bridge_report:
        return cmd->bridge_report.order_id;
    case MSG_order_settle:
        return cmd->order_settle.order_id;
    default:
        return 0;
    }
}

/* What a report and its trades make of an order; of one that it is not about, nothing. */
static struct shadow_order
after_report(const struct shadow_order *before, const struct twin_step *step)
{
    struct shadow_order o = *before;
    const struct order_report *r = &step->cmd->order_report;
    if (order_told_of(step->cmd) != o.id)
        return o;
    for (uint32_t i = 0; i < step->trades_count; i++) {
        o.executed.v += step->trades[i].trade.quantity.v;
        o.executed_quote.v += step->trades[i].trade.quote_quantity.v;
    }
    o.fills += step->trades_count;
    if (step->cmd->type != MSG_order_report) {
        shadow_real_moves(&o, step->cmd);
        return o;
    }
    o.prevented.v += r->prevented.v;
    if (r->rank != 0)
        o.rank = r->rank;
    if (r->trail_extreme.v != 0)
        o.trail_extreme = r->trail_extreme;
    if (r->triggered_us != 0)
        o.triggered_us = r->triggered_us;
    if (r->trimmed_to.v != 0) {
        o.amends++;
        if (o.amended_from.v == 0)
            o.amended_from = o.quantity;
        o.quantity = r->trimmed_to;
    }
    return o;
}

/* NULL, or what moved that should not have. */
static const char *
moved_wrongly(const struct shadow_order *o, const struct order_row *row)
{
    const struct order *r = &row->order;
    if (fixed_of(row) != o->fixed)
        return "what never changes";
    if (r->executed_quantity.v != o->executed.v)
        return "executed quantity";
    if (r->executed_quote_quantity.v != o->executed_quote.v)
        return "executed quote quantity";
    if (row->fills != o->fills)
        return "number of fills";
    if (r->prevented_quantity.v != o->prevented.v)
        return "prevented quantity";
    if (r->quantity.v != o->quantity.v || r->amended_from.v != o->amended_from.v ||
        row->amends != o->amends)
        return "quantity";
    if (row->rank != o->rank)
        return "rank";
    if (r->triggered_us != o->triggered_us || row->trail_extreme.v != o->trail_extreme.v)
        return "trigger";
    if (r->exchange_state != o->exchange_state || r->exchange_order_id != o->exchange_order_id ||
        r->placed_quantity.v != o->placed_quantity.v || r->placed_price.v != o->placed_price.v)
        return "state at the exchange";
    if (shadow_is_real(r) &&
        (r->refused_by != o->refused_by || r->exchange_code != o->exchange_code))
        return "refusal";
    return NULL;
}

/* The same of a real order, which ends as the exchange told. `o` is as expected. */
static const char *
real_turned_wrongly(const struct shadow_order *o, const struct twin_step *step,
                    const struct order_row *row)
{
    const struct order *r = &row->order;
    if (r->end_reason != shadow_real_end(o, step->cmd))
        return "end is not the exchange's";
    if (r->status != status_of_end(r->end_reason, row))
        return "status does not fit its end";
    if (row->live_us != o->live_us || r->waits_for != 0)
        return "time of becoming live is wrong";
    return r->updated_us == step->record->time_us ? NULL : "time of its last change is wrong";
}

/* Whether it started or ended as the report says, or as its partner or the one it waited for. */
static const char *
turned_wrongly(const struct shadow_order *before, const struct twin_step *step,
               const struct order_row *row)
{
    const struct order *r = &row->order;
    const struct order_report *report = &step->cmd->order_report;
    bool is_told = report->order_id == before->id;
    bool was_pending = before->status == ORDER_STATUS_PENDING_NEW;
    int64_t now_us = step->record->time_us;
    if (is_told && r->end_reason != report->end)
        return "end is not the report's";
    enum order_status status = status_of_end(r->end_reason, row);
    bool stays_pending = was_pending && is_told && r->end_reason == ORDER_END_NONE;
    if (r->status != (stays_pending ? ORDER_STATUS_PENDING_NEW : status))
        return "status does not fit its end";
    bool becomes_live = was_pending && r->status == ORDER_STATUS_NEW;
    if (row->live_us != (becomes_live ? now_us : before->live_us))
        return "time of becoming live is wrong";
    if (r->waits_for != (r->status == ORDER_STATUS_PENDING_NEW ? before->waits_for : 0))
        return "wait for another order is wrong";
    if (r->updated_us != now_us && r->updated_us != before->updated_us)
        return "time of its last change is wrong";
    return NULL;
}

static bool
done_fits(const struct order_row *row, char why[WHY_BYTES])
{
    const struct order *o = &row->order;
    wide done = (wide)o->executed_quantity.v + o->prevented_quantity.v;
    bool may_be_done =
        !shadow_is_open(o->status) || shadow_is_real(o); /* the exchange says when it is over */
    if (o->quantity.v > 0 && (done > o->quantity.v || (!may_be_done && done == o->quantity.v)))
        return shadow_wrong(why, "order %llu is %s with %s of %s done", ID(o->order_id),
                            msg_enum_name(MSG_ENUM_order_status, o->status),
                            amount_text((int64_t)done).text, amount_text(o->quantity.v).text);
    if (o->quantity.v == 0 && o->side == SIDE_BUY && !shadow_is_real(o) &&
        o->executed_quote_quantity.v > o->quote_order_quantity.v)
        return shadow_wrong(why, "order %llu spent %s, and may spend %s", ID(o->order_id),
                            amount_text(o->executed_quote_quantity.v).text,
                            amount_text(o->quote_order_quantity.v).text);
    return true;
}

static bool
order_goes_on(struct shadow *s, const struct twin_step *step, struct shadow_order *o,
              const struct order_row *row, char why[WHY_BYTES])
{
    bool is_at_exchange = o->environment != ENVIRONMENT_NONE;
    if (is_at_exchange ? order_told_of(step->cmd) != o->id : step->cmd->type != MSG_order_report)
        return shadow_wrong(why, "order %llu changes without a report", ID(o->id));
    const struct shadow_order expected = after_report(o, step);
    const char *wrong = moved_wrongly(&expected, row);
    if (wrong != NULL)
        return shadow_wrong(why, "order %llu: its %s is not what the record makes of it", ID(o->id),
                            wrong);
    wrong =
        is_at_exchange ? real_turned_wrongly(&expected, step, row) : turned_wrongly(o, step, row);
    if (wrong != NULL)
        return shadow_wrong(why, "order %llu: its %s", ID(o->id), wrong);
    if (!done_fits(row, why))
        return false;
    holds_move(s, o, row->order.held.v - o->held.v);
    order_read(row, o);
    return true;
}

/* ---- The record ---------------------------------------------------------------------------- */

/* Those that ended are forgotten. */
static bool
orders_settle(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    for (uint32_t i = 0; i < step->orders_count; i++) {
        uint32_t place = places_get(&s->order_by_id, step->orders[i].order.order_id);
        if (place != MAP_NONE && !shadow_holds(s, &s->orders[place], why))
            return false;
    }
    for (uint32_t i = 0; i < step->orders_count; i++) {
        uint32_t place = places_get(&s->order_by_id, step->orders[i].order.order_id);
        if (place != MAP_NONE && !shadow_is_open(s->orders[place].status))
            order_close(s, &s->orders[place]);
    }
    return true;
}

bool
shadow_orders(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    uint32_t shard = step->record->shard;
    const struct shadow_asked asked =
        shadow_asked_by(step->cmd, (uint64_t)shard << 47 | (s->shards[shard].orders + 1));
    uint32_t begun = 0;
    for (uint32_t i = 0; i < step->orders_count; i++) {
        const struct order_row *row = &step->orders[i];
        uint32_t place = places_get(&s->order_by_id, row->order.order_id);
        bool is_right = place == MAP_NONE ? order_begins(s, step, &asked, begun++, row, why)
                                          : order_goes_on(s, step, &s->orders[place], row, why);
        if (!is_right)
            return false;
    }
    if (begun != asked.count)
        return shadow_wrong(why, "%u orders were asked for and %u begin", asked.count, begun);
    return orders_settle(s, step, why);
}
