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

static bool
is_open(enum order_status status)
{
    return status == ORDER_STATUS_NEW || status == ORDER_STATUS_PARTIALLY_FILLED ||
           status == ORDER_STATUS_PENDING_NEW;
}

static bool
is_live(enum order_status status)
{
    return is_open(status) && status != ORDER_STATUS_PENDING_NEW;
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
                              (uint64_t)row->rule};
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
}

/* ---- Memory ------------------------------------------------------------------------------- */

static uint32_t
system_balance(struct shadow *s, enum system_account kind, uint64_t account_id, code_t asset)
{
    uint64_t id = ledger_system_id(kind, ledger_shard_of(account_id));
    return shadow_balance_take(s, id, WALLET_spot, asset);
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
    o->base = shadow_balance_take(s, r->account_id, WALLET_spot, row->base_asset);
    o->quote = shadow_balance_take(s, r->account_id, WALLET_spot, row->quote_asset);
    o->house_base = system_balance(s, SYSTEM_HOUSE, r->account_id, row->base_asset);
    o->house_quote = system_balance(s, SYSTEM_HOUSE, r->account_id, row->quote_asset);
    o->fees = system_balance(s, SYSTEM_FEES, r->account_id,
                             r->side == SIDE_BUY ? row->base_asset : row->quote_asset);
    places_set(&s->order_by_id, o->id, place);
    return o;
}

static void
order_close(struct shadow *s, struct shadow_order *o)
{
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

/* ---- New orders --------------------------------------------------------------------------- */

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
    X(order.market_us, market_us)

/* The orders that a command places. */
struct asked {
    struct order_wish orders[3];
    uint32_t count;
    uint64_t account_id;
    enum contingency contingency;
    bool is_refused; /* one of them */
};

static struct asked
asked_by(const struct msg *cmd)
{
    struct asked a = {.count = 0};
    if (cmd->type == MSG_order_place) {
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
waits_for(const struct shadow *s, const struct msg *cmd, const struct asked *asked, uint32_t leg,
          uint64_t id)
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

static bool
order_begins(struct shadow *s, const struct twin_step *step, const struct asked *asked,
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
    if (!says_what_was_asked(row, &asked->orders[leg], why) || !follows_rules(s, row, why))
        return false;
    uint64_t waits = waits_for(s, step->cmd, asked, leg, id);
    enum order_status status = asked->is_refused ? ORDER_STATUS_REJECTED
                               : waits != 0      ? ORDER_STATUS_PENDING_NEW
                                                 : ORDER_STATUS_NEW;
    if (o->waits_for != waits)
        return shadow_wrong(why, "order %llu waits for order %llu, and should for %llu", ID(id),
                            ID(o->waits_for), ID(waits));
    int64_t live_us = status == ORDER_STATUS_NEW ? step->record->time_us : 0;
    if (o->status != status || row->live_us != live_us ||
        (o->end_reason != ORDER_END_NONE) == is_open(status))
        return shadow_wrong(why, "order %llu begins %s, and should be %s", ID(id),
                            msg_enum_name(MSG_ENUM_order_status, o->status),
                            msg_enum_name(MSG_ENUM_order_status, status));
    if (!is_open(status))
        return o->held.v == 0 || shadow_wrong(why, "order %llu is rejected and holds", ID(id));
    holds_move(s, order_open(s, row), o->held.v);
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

/* What a report and its trades make of an order; of one that it is not about, nothing. */
static struct shadow_order
after_report(const struct shadow_order *before, const struct twin_step *step)
{
    struct shadow_order o = *before;
    const struct order_report *r = &step->cmd->order_report;
    if (r->order_id != o.id)
        return o;
    for (uint32_t i = 0; i < step->trades_count; i++) {
        o.executed.v += step->trades[i].trade.quantity.v;
        o.executed_quote.v += step->trades[i].trade.quote_quantity.v;
    }
    o.fills += step->trades_count;
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
    return NULL;
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
    if (o->quantity.v > 0 &&
        (done > o->quantity.v || (is_open(o->status) && done == o->quantity.v)))
        return shadow_wrong(why, "order %llu is %s with %s of %s done", ID(o->order_id),
                            msg_enum_name(MSG_ENUM_order_status, o->status),
                            amount_text((int64_t)done).text, amount_text(o->quantity.v).text);
    if (o->quantity.v == 0 && o->side == SIDE_BUY &&
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
    if (step->cmd->type != MSG_order_report)
        return shadow_wrong(why, "order %llu changes without a report", ID(o->id));
    const struct shadow_order expected = after_report(o, step);
    const char *wrong = moved_wrongly(&expected, row);
    if (wrong != NULL)
        return shadow_wrong(why, "order %llu: its %s is not what the record makes of it", ID(o->id),
                            wrong);
    wrong = turned_wrongly(o, step, row);
    if (wrong != NULL)
        return shadow_wrong(why, "order %llu: its %s", ID(o->id), wrong);
    if (!done_fits(row, why))
        return false;
    holds_move(s, o, row->order.held.v - o->held.v);
    order_read(row, o);
    return true;
}

/* ---- Holds -------------------------------------------------------------------------------- */

/* What the rest of an order needs at worst. */
static wide
need(const struct shadow_order *o)
{
    wide left = (wide)o->quantity.v - o->executed.v - o->prevented.v;
    if (o->quantity.v == 0)
        return o->side == SIDE_SELL ? (wide)o->hold.v - o->executed.v
                                    : (wide)o->quote_quantity.v - o->executed_quote.v;
    return o->side == SIDE_SELL ? left : wide_ceil(o->worst_price.v, (int64_t)left);
}

/* The other live order of its pair. */
static const struct shadow_order *
partner(const struct shadow *s, const struct shadow_order *o)
{
    uint64_t other = 0;
    if (o->contingency == CONTINGENCY_OCO)
        other = o->leg == 0 ? o->list_id + 1 : o->list_id;
    else if (o->contingency == CONTINGENCY_OTOCO && o->leg > 0)
        other = o->leg == 1 ? o->list_id + 2 : o->list_id + 1;
    const struct shadow_order *p = shadow_order(s, other);
    return p != NULL && is_live(p->status) ? p : NULL;
}

static bool
holds_what_it_needs(const struct shadow *s, const struct shadow_order *o, char why[WHY_BYTES])
{
    if (!is_live(o->status))
        return o->held.v == 0 || shadow_wrong(why, "order %llu is not live and holds %s", ID(o->id),
                                              amount_text(o->held.v).text);
    const struct shadow_order *p = partner(s, o);
    wide needs = need(o), held = o->held.v;
    if (p != NULL) {
        const struct shadow_order *second = p->leg < o->leg ? o : p;
        needs = need(p) > needs ? need(p) : needs;
        held = second->held.v == 0 ? held + p->held.v : -1;
    }
    return held == needs ||
           shadow_wrong(why, "order %llu holds %s, the rest of it needs %s", ID(o->id),
                        amount_text(o->held.v).text, amount_text((int64_t)needs).text);
}

/* Those that ended are forgotten. */
static bool
orders_settle(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    for (uint32_t i = 0; i < step->orders_count; i++) {
        uint32_t place = places_get(&s->order_by_id, step->orders[i].order.order_id);
        if (place != MAP_NONE && !holds_what_it_needs(s, &s->orders[place], why))
            return false;
    }
    for (uint32_t i = 0; i < step->orders_count; i++) {
        uint32_t place = places_get(&s->order_by_id, step->orders[i].order.order_id);
        if (place != MAP_NONE && !is_open(s->orders[place].status))
            order_close(s, &s->orders[place]);
    }
    return true;
}

bool
shadow_orders(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    const struct asked asked = asked_by(step->cmd);
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
