/*
 * naive_real.c - the naive ledger: REAL orders, what bridges tell of them, and of the exchange.
 *
 * A fill is noted when it begins where the noted ones end. What is at the exchange is what was told
 * last.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "naive_ledger.h"

/* Fills of one report at most. */
#define FILLS_MAX 64

static bool
no(text_t *why, const char *what)
{
    *why = text_of("%s", what);
    return false;
}

bool
naive_ledger_is_real(const struct naive_order *o)
{
    return o->cmd.environment != ENVIRONMENT_NONE;
}

static naive_wide
quote_of(const struct exchange_fill *f)
{
    if (f->quote_quantity.v != 0)
        return f->quote_quantity.v;
    return (naive_wide)f->price.v * f->quantity.v / 100000000;
}

naive_wide
naive_ledger_executed(const struct naive_order *o)
{
    naive_wide sum = 0;
    for (uint32_t i = 0; i < o->told_count; i++)
        sum += o->told[i].quantity.v;
    return sum;
}

naive_wide
naive_ledger_executed_quote(const struct naive_order *o)
{
    naive_wide sum = 0;
    for (uint32_t i = 0; i < o->told_count; i++)
        sum += quote_of(&o->told[i]);
    return sum;
}

static uint32_t
type_of(code_t symbol)
{
    return strchr(symbol.text, '_') != NULL ? 1 : 0;
}

/* ---- Placing ------------------------------------------------------------------------------ */

static bool
id_is_taken(const struct naive_ledger *n, const struct naive_account *a, const cid_t *cid)
{
    for (uint32_t i = 0; i < a->orders_count; i++)
        if (cid_same(&n->orders[a->orders[i]].cmd.client_order_id, cid))
            return true;
    return false;
}

static bool
note_twin(struct naive_ledger *n, const struct order_place *cmd, uint64_t real_id, text_t *why)
{
    struct order_place own = *cmd;
    own.environment = ENVIRONMENT_NONE;
    text_t name = text_of("twin-%llu", (unsigned long long)real_id);
    memset(&own.client_order_id, 0, sizeof(own.client_order_id));
    memcpy(own.client_order_id.text, name.text, strlen(name.text));
    const struct naive_order twin = {.cmd = own};
    if (id_is_taken(n, naive_ledger_account(n, cmd->account_id), &own.client_order_id))
        return no(why, "a twin's name is taken");
    if (naive_ledger_need(&twin) != own.hold.v || own.hold.v <= 0)
        return no(why, "a twin holds something else than it needs");
    if (!own.is_refused && naive_ledger_free_for(n, &twin) < own.hold.v)
        return no(why, "a twin was opened without the funds for it");
    (void)naive_ledger_add(n, &own);
    return true;
}

bool
naive_ledger_note_real(struct naive_ledger *n, const struct order_place *cmd, text_t *why)
{
    const struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    if (a == NULL || a->bound[type_of(cmd->symbol)] != cmd->environment)
        return no(why, "a real order was taken from an account that is not bound so");
    if (id_is_taken(n, a, &cmd->client_order_id))
        return no(why, "a client order id was taken twice");
    if (cmd->send_by_us < n->now_us)
        return no(why, "a real order was too late when it was taken");
    struct naive_order *o = naive_ledger_add(n, cmd);
    o->state = EXCHANGE_STATE_SENDING;
    o->end = ORDER_END_NONE;
    return !cmd->has_twin || note_twin(n, cmd, o->id, why);
}

/* ---- What is heard ------------------------------------------------------------------------ */

static enum order_end
end_at(enum order_status status)
{
    const enum order_end ends[] = {[ORDER_STATUS_FILLED] = ORDER_END_COMPLETE,
                                   [ORDER_STATUS_CANCELED] = ORDER_END_CLIENT_CANCEL,
                                   [ORDER_STATUS_REJECTED] = ORDER_END_EXCHANGE_REFUSED,
                                   [ORDER_STATUS_EXPIRED] = ORDER_END_EXCHANGE_EXPIRED,
                                   [ORDER_STATUS_EXPIRED_IN_MATCH] = ORDER_END_SELF_TRADE,
                                   [ORDER_STATUS_PENDING_NEW] = ORDER_END_NONE};
    return ends[status];
}

/* The fills that come after the noted ones; false when one of them all cannot be. */
static bool
next_fills(const struct naive_order *o, const struct bridge_report *r,
           const struct exchange_fill *next[FILLS_MAX], uint32_t *count)
{
    naive_wide sum = naive_ledger_executed(o);
    *count = 0;
    for (uint32_t i = 0; i < r->fills_count; i++) {
        const struct exchange_fill *f = &r->fills[i];
        naive_wide begins = (naive_wide)f->executed_after.v - f->quantity.v;
        bool is_more = o->cmd.quantity.v > 0 && f->executed_after.v > o->cmd.quantity.v;
        if (f->price.v <= 0 || f->quantity.v <= 0 || begins < 0 || f->quote_quantity.v < 0 ||
            is_more)
            return false;
        if (begins != sum)
            continue;
        sum += f->quantity.v;
        next[(*count)++] = f;
    }
    return true;
}

static bool
note_placed(struct naive_order *o, const struct bridge_report *r)
{
    const struct exchange_fill *next[FILLS_MAX];
    uint32_t count;
    bool was_there = o->state == EXCHANGE_STATE_PLACED;
    bool is_other =
        o->exchange_id != 0 && r->exchange_order_id != 0 && o->exchange_id != r->exchange_order_id;
    if (o->end != ORDER_END_NONE || is_other || r->placed_quantity.v < 0 || r->placed_price.v < 0 ||
        r->executed_quantity.v < 0 || !next_fills(o, r, next, &count))
        return false;
    naive_wide sum = naive_ledger_executed(o);
    for (uint32_t i = 0; i < count; i++)
        sum += next[i]->quantity.v;
    bool ends = end_at(r->status) != ORDER_END_NONE && sum == r->executed_quantity.v;
    if (ends && r->status == ORDER_STATUS_FILLED && sum == 0)
        return false;
    bool is_news = (o->exchange_id == 0 && r->exchange_order_id != 0) ||
                   (o->placed_quantity == 0 && r->placed_quantity.v != 0) ||
                   (o->placed_price == 0 && r->placed_price.v != 0);
    if (was_there && count == 0 && !ends && !is_news)
        return false;
    o->state = EXCHANGE_STATE_PLACED;
    o->exchange_id = o->exchange_id != 0 ? o->exchange_id : r->exchange_order_id;
    o->placed_quantity = o->placed_quantity != 0 ? o->placed_quantity : r->placed_quantity.v;
    o->placed_price = o->placed_price != 0 ? o->placed_price : r->placed_price.v;
    for (uint32_t i = 0; i < count; i++) {
        o->told = naive_ledger_more(o->told, o->told_count, sizeof(*o->told));
        o->told[o->told_count++] = *next[i];
    }
    if (ends)
        o->end = end_at(r->status);
    return true;
}

bool
naive_ledger_note_heard(struct naive_ledger *n, const struct bridge_report *r)
{
    struct naive_order *o = naive_ledger_order(n, r->order_id);
    if (o == NULL || !naive_ledger_is_real(o) || o->cmd.account_id != r->account_id ||
        o->cmd.environment != r->environment)
        return false;
    bool nobody_knows = o->state == EXCHANGE_STATE_SENDING || o->state == EXCHANGE_STATE_UNKNOWN;
    if (r->exchange_state == EXCHANGE_STATE_PLACED)
        return (nobody_knows || o->state == EXCHANGE_STATE_PLACED) && note_placed(o, r);
    bool is_late =
        o->state != EXCHANGE_STATE_SENDING && r->exchange_state == EXCHANGE_STATE_UNKNOWN;
    if (!nobody_knows || is_late || r->fills_count > 0 ||
        r->exchange_state == EXCHANGE_STATE_SENDING || r->exchange_state == EXCHANGE_STATE_NONE)
        return false;
    o->state = r->exchange_state;
    if (r->exchange_state == EXCHANGE_STATE_REFUSED)
        o->end = ORDER_END_EXCHANGE_REFUSED;
    if (r->exchange_state == EXCHANGE_STATE_NOT_PLACED)
        o->end = ORDER_END_NOT_PLACED;
    return true;
}

bool
naive_ledger_note_settle(struct naive_ledger *n, const struct order_settle *cmd, text_t *why)
{
    struct naive_order *o = naive_ledger_order(n, cmd->order_id);
    if (o == NULL || (o->state != EXCHANGE_STATE_SENDING && o->state != EXCHANGE_STATE_UNKNOWN))
        return no(why, "an order was settled of which all is known");
    if (n->now_us <= o->cmd.send_by_us)
        return no(why, "an order was settled that may still be sent");
    o->state = EXCHANGE_STATE_NOT_PLACED;
    o->end = ORDER_END_NOT_PLACED;
    return true;
}

/* ---- The exchange ------------------------------------------------------------------------- */

static bool
has_real_orders(const struct naive_ledger *n, const struct naive_account *a, uint32_t type)
{
    for (uint32_t i = 0; i < a->orders_count; i++) {
        const struct naive_order *o = &n->orders[a->orders[i]];
        if (naive_ledger_is_real(o) && o->end == ORDER_END_NONE && type_of(o->cmd.symbol) == type)
            return true;
    }
    return false;
}

static void
forget(struct naive_account *a, enum wallet wallet)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->there_count; i++)
        if (a->there[i].wallet != wallet)
            a->there[kept++] = a->there[i];
    a->there_count = kept;
}

bool
naive_ledger_note_settings(struct naive_ledger *n, const struct settings_set *cmd, text_t *why)
{
    struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    uint32_t type = cmd->trading_type == TRADING_TYPE_futures;
    enum environment to = cmd->mode == TRADING_MODE_REAL ? cmd->environment : ENVIRONMENT_NONE;
    if (cmd->mode == TRADING_MODE_NONE)
        return true;
    if (a == NULL || (cmd->mode == TRADING_MODE_REAL && to == ENVIRONMENT_NONE))
        return no(why, "an account was bound to no exchange");
    if (a->bound[type] == to)
        return true;
    if (a->bound[type] != ENVIRONMENT_NONE && has_real_orders(n, a, type))
        return no(why, "an account with open real orders left its exchange");
    a->bound[type] = to;
    a->as_of_us[type] = 0;
    forget(a, type == 0 ? WALLET_exchange_spot : WALLET_exchange_futures);
    return true;
}

static void
tell(struct naive_account *a, enum wallet wallet, code_t asset, int64_t free, int64_t held)
{
    uint32_t i = 0;
    while (i < a->there_count &&
           (a->there[i].wallet != wallet || !code_same(a->there[i].asset, asset)))
        i++;
    if (i == a->there_count) {
        /* Forgetting makes room that doubling does not know of. */
        a->there = realloc(a->there, (a->there_count + 1) * sizeof(*a->there));
        CHECK(a->there != NULL);
        a->there_count++;
    }
    a->there[i] = (struct naive_there){wallet, asset, free, held};
}

bool
naive_ledger_note_exchange(struct naive_ledger *n, const struct exchange_account *cmd, text_t *why)
{
    struct naive_account *a = naive_ledger_account(n, cmd->account_id);
    bool futures = cmd->trading_type == TRADING_TYPE_futures;
    enum wallet wallet = futures ? WALLET_exchange_futures : WALLET_exchange_spot;
    if (a == NULL || a->bound[futures] != cmd->environment)
        return no(why, "another exchange's balances were taken");
    if (cmd->as_of_us <= a->as_of_us[futures])
        return no(why, "older balances were taken");
    a->as_of_us[futures] = cmd->as_of_us;
    if (cmd->is_whole)
        forget(a, wallet);
    for (uint32_t i = 0; i < cmd->balances_count; i++)
        tell(a, wallet, cmd->balances[i].asset, cmd->balances[i].free.v,
             futures ? 0 : cmd->balances[i].locked.v);
    for (uint32_t i = 0; i < cmd->positions_count; i++)
        tell(a, wallet, cmd->positions[i].symbol, cmd->positions[i].quantity.v, 0);
    return true;
}
