/*
 * shadow_real.c - the second account's real orders: what the exchange told of them, each fill once,
 * and wallets at the exchange, which are what was told last.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "scripctl/shadow_parts.h"

#define ID(id) ((unsigned long long)(id))

/* Contracts have a mark in their name, pairs have none: docs/decisions/0016. */
enum trading_type
shadow_type_of(code_t symbol)
{
    return strchr(symbol.text, '_') != NULL ? TRADING_TYPE_futures : TRADING_TYPE_spot;
}

static bool
is_unresolved(const struct shadow_order *o)
{
    return o->exchange_state == EXCHANGE_STATE_SENDING ||
           o->exchange_state == EXCHANGE_STATE_UNKNOWN;
}

/* ---- Before -------------------------------------------------------------------------------- */

static bool
place_is_right(const struct order_place *c, int64_t now_us, char why[WHY_BYTES])
{
    bool by_quote = c->quantity.v == 0;
    if (c->environment != ENVIRONMENT_testnet && c->environment != ENVIRONMENT_live)
        return shadow_wrong(why, "a real order is for no exchange");
    if (c->side != SIDE_BUY && c->side != SIDE_SELL)
        return shadow_wrong(why, "an order has no side");
    if (c->quantity.v < 0 || c->price.v < 0 || c->stop_price.v < 0 || c->iceberg_quantity.v < 0 ||
        c->reference_price.v < 0 || (by_quote != (c->quote_order_quantity.v > 0)))
        return shadow_wrong(why, "an order's amounts are out of range");
    if (c->send_by_us <= now_us)
        return shadow_wrong(why, "a real order may not be sent any more when it is placed");
    return true;
}

static bool
report_is_right(const struct shadow *s, const struct bridge_report *r, char why[WHY_BYTES])
{
    const struct shadow_order *o = shadow_order(s, r->order_id);
    if (o == NULL)
        return shadow_wrong(why, "the exchange tells of order %llu, which is not open",
                            ID(r->order_id));
    if (o->environment == ENVIRONMENT_NONE || o->environment != r->environment)
        return shadow_wrong(why, "another exchange tells of order %llu", ID(o->id));
    if (o->account_id != r->account_id)
        return shadow_wrong(why, "order %llu is another account's", ID(o->id));
    bool is_placed = r->exchange_state == EXCHANGE_STATE_PLACED;
    if (!is_placed && (r->fills_count > 0 || r->exchange_state <= EXCHANGE_STATE_SENDING))
        return shadow_wrong(why, "what is not at the exchange has fills there");
    if (!is_placed && !is_unresolved(o))
        return shadow_wrong(why, "order %llu is at the exchange, and is told not to be", ID(o->id));
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct exchange_fill *f = &r->fills[i];
        if (f->price.v <= 0 || f->quantity.v <= 0 || f->executed_after.v < f->quantity.v ||
            f->quote_quantity.v < 0)
            return shadow_wrong(why, "fill %u of order %llu is of nothing", i + 1, ID(o->id));
    }
    return true;
}

/* Nobody may call it not placed while it may still be sent. */
static bool
settle_is_right(const struct shadow *s, const struct order_settle *c, int64_t now_us,
                char why[WHY_BYTES])
{
    const struct shadow_order *o = shadow_order(s, c->order_id);
    if (o == NULL || !is_unresolved(o))
        return shadow_wrong(why, "what became of order %llu is known", ID(c->order_id));
    if (c->changed_by.text[0] == '\0' || c->reason.text[0] == '\0')
        return shadow_wrong(why, "nobody says why order %llu is settled", ID(c->order_id));
    return c->settlement != SETTLEMENT_NOT_PLACED || now_us > o->send_by_us ||
           shadow_wrong(why, "order %llu may still be sent to the exchange", ID(o->id));
}

bool
shadow_real_before(const struct shadow *s, const struct msg *cmd, int64_t now_us,
                   char why[WHY_BYTES])
{
    switch ((int)cmd->type) {
    case MSG_order_place:
        return place_is_right(&cmd->order_place, now_us, why);
    case MSG_bridge_report:
        return report_is_right(s, &cmd->bridge_report, why);
    case MSG_order_settle:
        return settle_is_right(s, &cmd->order_settle, now_us, why);
    default:
        return true; /* exchange_account: each amount is judged as it is set */
    }
}

/* ---- What was asked for -------------------------------------------------------------------- */

/* The judgement is the twin's: a real order holds nothing and follows no fill rules. */
struct order_wish
shadow_wish_of_real(const struct order_place *from)
{
    struct order_wish w = shadow_wish_of_place(from);
    w.worst_price.v = w.step_size.v = w.hold.v = 0;
    w.maker_fee_rate.v = w.taker_fee_rate.v = 0;
    w.fill_model = FILL_MODEL_NONE;
    w.fill_preset = FILL_PRESET_NONE;
    w.latency_us = w.cancel_latency_us = w.slippage_bps = 0;
    w.is_refused = false;
    return w;
}

struct order_wish
shadow_wish_of_twin(const struct order_place *from, uint64_t real_id)
{
    struct order_wish w = shadow_wish_of_place(from);
    memset(&w.client_order_id, 0, sizeof w.client_order_id);
    snprintf(w.client_order_id.text, sizeof w.client_order_id.text, "twin-%llu", ID(real_id));
    w.id_was_made = true;
    w.environment = ENVIRONMENT_NONE;
    w.send_by_us = 0;
    w.reduce_only = false;
    return w;
}

/* ---- Fills --------------------------------------------------------------------------------- */

/* NULL, or which field is not the exchange's. */
static const char *
trade_differs(const struct shadow *s, const struct shadow_order *o, const struct exchange_fill *f,
              const struct twin_step *step, const struct trade_row *row)
{
    const struct trade *t = &row->trade;
    const struct evidence *e = &t->evidence;
    wide quote =
        f->quote_quantity.v != 0 ? f->quote_quantity.v : wide_floor(f->price.v, f->quantity.v);
    if (t->order_id != o->id || row->account_id != o->account_id)
        return "order";
    if (t->side != o->side || !code_same(t->symbol, s->codes[o->symbol]))
        return "side or symbol";
    if (t->price.v != f->price.v || t->quantity.v != f->quantity.v || t->is_maker != f->is_maker)
        return "price or quantity";
    if (t->quote_quantity.v != quote)
        return "quote quantity";
    if (t->fee.v != f->fee.v || !code_same(t->fee_asset, f->fee_asset))
        return "fee";
    if (e->source != LIQUIDITY_EXCHANGE || e->sequence != f->trade_id || e->price.v != f->price.v ||
        e->quantity.v != f->quantity.v || e->time_us != f->time_us || e->is_stale)
        return "evidence";
    return t->time_us == step->record->time_us ? NULL : "time";
}

/* The exchange numbers the trades of a symbol: none of them is twice in an order. */
static bool
is_first(struct shadow *s, const struct shadow_order *o, uint64_t trade_id)
{
    const uint64_t key[] = {o->id, trade_id};
    uint64_t hash = map_hash(key, sizeof key);
    if (places_get(&s->exchange_trades, hash) != MAP_NONE)
        return false;
    places_set(&s->exchange_trades, hash, 0);
    return true;
}

/* A fill counts that begins where the order stands; what is told of again is left out. */
bool
shadow_real_trades(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    const struct bridge_report *r = &step->cmd->bridge_report;
    const struct shadow_order *o = shadow_order(s, r->order_id);
    uint32_t made = 0;
    if (o == NULL)
        return shadow_wrong(why, "it tells of order %llu, which is not open", ID(r->order_id));
    wide executed = o->executed.v;
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct exchange_fill *f = &r->fills[i];
        if ((wide)f->executed_after.v - f->quantity.v != executed)
            continue;
        if (made == step->trades_count)
            return shadow_wrong(why, "fill %u of order %llu makes no trade", i + 1, ID(o->id));
        const char *differs = trade_differs(s, o, f, step, &step->trades[made]);
        if (!shadow_next_trade(s, step, made, why))
            return false;
        if (differs != NULL)
            return shadow_wrong(why, "trade %llu: its %s is not what the exchange told",
                                ID(step->trades[made].trade.trade_id), differs);
        if (!is_first(s, o, f->trade_id))
            return shadow_wrong(why, "trade %llu of the exchange fills order %llu twice",
                                ID(f->trade_id), ID(o->id));
        executed = f->executed_after.v;
        made++;
    }
    if (made != step->trades_count || step->stories_count != 0)
        return shadow_wrong(why, "it makes %u trades, and %u fills count", step->trades_count,
                            made);
    return true;
}

/* ---- How far it has come ------------------------------------------------------------------- */

static void
report_moves(struct shadow_order *o, const struct bridge_report *r)
{
    bool is_repeated =
        r->exchange_state == EXCHANGE_STATE_UNKNOWN && o->exchange_state >= EXCHANGE_STATE_UNKNOWN;
    if (is_unresolved(o) && !is_repeated)
        o->exchange_state = r->exchange_state;
    if (r->exchange_state == EXCHANGE_STATE_REFUSED) {
        o->refused_by = r->error == OK ? ERR_EXCHANGE_REFUSED : r->error;
        o->exchange_code = r->exchange_code;
    }
    if (r->exchange_state != EXCHANGE_STATE_PLACED)
        return;
    if (o->exchange_order_id == 0)
        o->exchange_order_id = r->exchange_order_id;
    if (o->placed_quantity.v == 0)
        o->placed_quantity = r->placed_quantity;
    if (o->placed_price.v == 0)
        o->placed_price = r->placed_price;
}

void
shadow_real_moves(struct shadow_order *o, const struct msg *cmd)
{
    if (cmd->type == MSG_bridge_report)
        report_moves(o, &cmd->bridge_report);
    else if (cmd->order_settle.settlement == SETTLEMENT_NOT_PLACED)
        o->exchange_state = EXCHANGE_STATE_NOT_PLACED;
}

/* An end counts once all that was filled is here. */
enum order_end
shadow_real_end(const struct shadow_order *o, const struct msg *cmd)
{
    const struct bridge_report *r = &cmd->bridge_report;
    if (o->exchange_state == EXCHANGE_STATE_NOT_PLACED)
        return ORDER_END_NOT_PLACED;
    if (o->exchange_state == EXCHANGE_STATE_REFUSED)
        return ORDER_END_EXCHANGE_REFUSED;
    if (cmd->type != MSG_bridge_report || r->exchange_state != EXCHANGE_STATE_PLACED ||
        o->executed.v != r->executed_quantity.v)
        return ORDER_END_NONE;
    switch (r->status) {
    case ORDER_STATUS_FILLED:
        return ORDER_END_COMPLETE;
    case ORDER_STATUS_CANCELED:
        return ORDER_END_CLIENT_CANCEL;
    case ORDER_STATUS_EXPIRED:
        return ORDER_END_EXCHANGE_EXPIRED;
    case ORDER_STATUS_EXPIRED_IN_MATCH:
        return ORDER_END_SELF_TRADE;
    case ORDER_STATUS_REJECTED:
        return ORDER_END_EXCHANGE_REFUSED;
    default:
        return ORDER_END_NONE;
    }
}

/* ---- Wallets at the exchange --------------------------------------------------------------- */

/* The last word of a record on an asset of its wallet. */
static bool
told_of(const struct exchange_account *c, code_t asset, int64_t *free, int64_t *held)
{
    bool is_named = c->is_whole;
    *free = *held = 0;
    for (uint32_t i = 0; i < c->balances_count; i++)
        if (code_same(c->balances[i].asset, asset)) {
            *free = c->balances[i].free.v;
            *held = c->trading_type == TRADING_TYPE_futures ? 0 : c->balances[i].locked.v;
            is_named = true;
        }
    for (uint32_t i = 0; i < c->positions_count; i++)
        if (code_same(c->positions[i].symbol, asset)) {
            *free = c->positions[i].quantity.v;
            *held = 0;
            is_named = true;
        }
    return is_named;
}

/* What moved in these wallets moved against the exchange's own account. */
static void
postings_due(struct shadow *s, const struct twin_step *step)
{
    uint64_t other = ledger_system_id(SYSTEM_EXCHANGE, step->record->shard);
    for (uint32_t i = 0; i < step->postings_count; i++) {
        const struct twin_posting *p = &step->postings[i];
        if (!shadow_is_exchange(p->wallet) || p->account_id >= SYSTEM_ACCOUNT_FIRST)
            continue;
        wide by = (wide)p->free.v + p->held.v - p->free_before.v - p->held_before.v;
        shadow_due(s, shadow_balance_take(s, p->account_id, p->wallet, p->asset), by);
        shadow_due(s, shadow_balance_take(s, other, p->wallet, p->asset), -by);
    }
}

/* Everything that the account has there, moved or not. */
static bool
wallet_is_right(const struct shadow *s, const struct shadow_account *a, const struct msg *cmd,
                enum trading_type type, char why[WHY_BYTES])
{
    bool leaves = cmd->type == MSG_settings_set;
    for (uint32_t i = a->first_exchange[type - TRADING_TYPE_spot]; i != SHADOW_NONE;
         i = s->balances[i].next_exchange) {
        const struct shadow_balance *b = &s->balances[i];
        int64_t free = 0, held = 0;
        if (!leaves && !told_of(&cmd->exchange_account, s->codes[b->asset], &free, &held))
            continue;
        if (b->free.v != free || b->held.v != held)
            return shadow_wrong(why, "account %llu has %s %s at the exchange, and %s was told",
                                ID(a->id), amount_text(b->free.v).text, s->codes[b->asset].text,
                                amount_text(free).text);
    }
    return true;
}

/* Each asset that is named is there, if it is anything. */
static bool
named_are_there(struct shadow *s, const struct exchange_account *c, char why[WHY_BYTES])
{
    enum wallet w = wallet_at_exchange(c->trading_type);
    int64_t free, held;
    for (uint32_t i = 0; i < c->balances_count + c->positions_count; i++) {
        code_t asset = i < c->balances_count ? c->balances[i].asset
                                             : c->positions[i - c->balances_count].symbol;
        (void)told_of(c, asset, &free, &held);
        if (free == 0 && held == 0)
            continue;
        const struct shadow_balance *b =
            &s->balances[shadow_balance_take(s, c->account_id, w, asset)];
        if (b->free.v != free || b->held.v != held)
            return shadow_wrong(why, "account %llu: the exchange told of %s %s, and it has %s",
                                ID(c->account_id), amount_text(free).text, asset.text,
                                amount_text(b->free.v).text);
    }
    return true;
}

bool
shadow_exchange(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    const struct msg *cmd = step->cmd;
    bool is_told = cmd->type == MSG_exchange_account, is_set = cmd->type == MSG_settings_set;
    if (!is_told && !is_set)
        return true;
    uint64_t id = is_told ? cmd->exchange_account.account_id : cmd->settings_set.account_id;
    enum trading_type type =
        is_told ? cmd->exchange_account.trading_type : cmd->settings_set.trading_type;
    const struct shadow_account *a = shadow_account(s, id);
    if (a == NULL)
        return shadow_wrong(why, "account %llu was never opened", ID(id));
    if (is_set && !shadow_leaves_exchange(a, cmd, type))
        return true;
    const struct ledger_settings *settings = &a->settings[type - TRADING_TYPE_spot];
    if (is_told && (settings->mode != TRADING_MODE_REAL ||
                    settings->environment != cmd->exchange_account.environment))
        return shadow_wrong(why, "account %llu is not bound to that exchange", ID(id));
    postings_due(s, step);
    return wallet_is_right(s, a, cmd, type, why) &&
           (!is_told || named_are_there(s, &cmd->exchange_account, why));
}
