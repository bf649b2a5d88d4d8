/*
 * reply_order.c - orders and trades of REST replies; see reply.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "exchange-bridge/core/reply_read.h"

/* ---- Fills of a placement ----------------------------------------------------------------- */

static bool
fill_read(struct slice object, struct exchange_fill *out)
{
    struct slice price, quantity, fee, asset, id;
    const struct member list[] = {{"price", &price},
                                  {"qty", &quantity},
                                  {"commission", &fee},
                                  {"commissionAsset", &asset},
                                  {"tradeId", &id}};
    *out = (struct exchange_fill){0};
    return members_read(object, MEMBERS(list)) && read_trade_id(id, &out->trade_id) &&
           read_amount(price, &out->price.v) && out->price.v > 0 &&
           read_amount(quantity, &out->quantity.v) && out->quantity.v > 0 &&
           (!is_there(fee) || read_signed(fee, &out->fee.v)) &&
           (!is_there(asset) || read_code(asset, &out->fee_asset)) &&
           notional_floor(out->price, out->quantity, &out->quote_quantity) == OK;
}

/* They begin with the order's first: each tells how far it then was. */
static bool
fills_read(struct slice fills, struct reply_order *o)
{
    struct items it;
    struct slice item;
    qty_t after = {0};
    if (!items_begin(&it, fills))
        return false;
    while (items_next(&it, &item)) {
        struct exchange_fill f;
        if (!fill_read(item, &f) || f.quantity.v > o->executed.v - after.v)
            return false;
        after = qty_add(after, f.quantity);
        f.executed_after = after;
        f.time_us = o->time_us;
        if (o->fills_count < REPLY_FILLS_MAX)
            o->fills[o->fills_count++] = f;
    }
    return it.is_whole;
}

/* ---- Orders ------------------------------------------------------------------------------- */

struct order_members {
    struct slice symbol, id, client, original, status, quantity, executed, price;
    struct slice transacted, updated, created, fills;
};

/* When it last changed: a placement or cancel of spot says transactTime, a query updateTime. */
static bool
time_of(const struct order_members *m, int64_t *out)
{
    struct slice time = m->transacted;
    *out = 0;
    if (!is_there(time))
        time = m->updated;
    if (!is_there(time))
        time = m->created;
    return !is_there(time) || read_time(time, out);
}

/* Amounts that are not told stay 0: an ACK has none of them. */
static bool
amounts_of(const struct order_members *m, struct reply_order *out)
{
    return (!is_there(m->quantity) || read_amount(m->quantity, &out->quantity.v)) &&
           (!is_there(m->executed) || read_amount(m->executed, &out->executed.v)) &&
           (!is_there(m->price) || read_amount(m->price, &out->price.v));
}

bool
order_read(struct slice object, struct reply_order *out)
{
    struct order_members m;
    const struct member list[] = {{"symbol", &m.symbol},
                                  {"orderId", &m.id},
                                  {"clientOrderId", &m.client},
                                  {"origClientOrderId", &m.original},
                                  {"status", &m.status},
                                  {"origQty", &m.quantity},
                                  {"executedQty", &m.executed},
                                  {"price", &m.price},
                                  {"transactTime", &m.transacted},
                                  {"updateTime", &m.updated},
                                  {"time", &m.created},
                                  {"fills", &m.fills}};
    out->client_id = (cid_t){""};
    out->status = ORDER_STATUS_NONE;
    out->quantity = out->executed = (qty_t){0};
    out->price = (price_t){0};
    out->fills_count = 0;
    if (!members_read(object, MEMBERS(list)) || !read_code(m.symbol, &out->symbol) ||
        !slice_u64(m.id, &out->exchange_order_id) || out->exchange_order_id == 0 ||
        !read_client_id(is_there(m.original) ? m.original : m.client, &out->client_id) ||
        !amounts_of(&m, out) || !time_of(&m, &out->time_us))
        return false;
    if (out->quantity.v != 0 && out->executed.v > out->quantity.v)
        return false;
    if (is_there(m.status)) {
        out->status = read_status(m.status, out->executed);
        if (out->status == ORDER_STATUS_NONE)
            return false;
    }
    return !is_there(m.fills) || fills_read(m.fills, out);
}

bool
reply_order(const char *json, size_t length, struct reply_order *out)
{
    struct scan s = {json, json + length};
    struct slice object;
    return scan_value(&s, &object) && scan_done(&s) && order_read(object, out);
}

bool
reply_open_orders(const char *json, size_t length, struct reply_open *out, uint32_t max,
                  uint32_t *count)
{
    struct scan s = {json, json + length};
    struct slice list, item;
    struct items it;
    struct reply_order o;
    *count = 0;
    if (!scan_value(&s, &list) || !scan_done(&s) || !items_begin(&it, list))
        return false;
    while (items_next(&it, &item)) {
        if (*count == max || !order_read(item, &o))
            return false;
        out[(*count)++] = (struct reply_open){o.client_id, o.status, o.executed};
    }
    return it.is_whole;
}

/* ---- Trades ------------------------------------------------------------------------------- */

static bool
trade_read(enum trading_type market, struct slice object, struct exchange_fill *out,
           uint64_t *order_id)
{
    struct slice id, order, price, quantity, quote, fee, asset, time, maker;
    bool spot = market == TRADING_TYPE_spot;
    const struct member list[] = {{"id", &id},
                                  {"orderId", &order},
                                  {"price", &price},
                                  {"qty", &quantity},
                                  {"quoteQty", &quote},
                                  {"commission", &fee},
                                  {"commissionAsset", &asset},
                                  {"time", &time},
                                  {spot ? "isMaker" : "maker", &maker}};
    *out = (struct exchange_fill){0};
    if (!members_read(object, MEMBERS(list)) || !read_trade_id(id, &out->trade_id) ||
        !slice_u64(order, order_id) || !read_amount(price, &out->price.v) || out->price.v == 0 ||
        !read_amount(quantity, &out->quantity.v) || out->quantity.v == 0 ||
        !read_amount(quote, &out->quote_quantity.v) || !read_signed(fee, &out->fee.v) ||
        !read_time(time, &out->time_us) || maker.kind != 'w')
        return false;
    out->is_maker = read_true(maker);
    return !is_there(asset) || read_code(asset, &out->fee_asset);
}

bool
reply_trades(enum trading_type market, const char *json, size_t length, uint64_t exchange_order_id,
             struct exchange_fill *out, uint32_t max, uint32_t *count, uint32_t *there)
{
    struct scan s = {json, json + length};
    struct slice list, item;
    struct items it;
    qty_t after = {0};
    uint64_t last = 0;
    *count = *there = 0;
    if (!scan_value(&s, &list) || !scan_done(&s) || !items_begin(&it, list))
        return false;
    while (items_next(&it, &item)) {
        struct exchange_fill f;
        uint64_t order_id;
        if (!trade_read(market, item, &f, &order_id))
            return false;
        if (order_id != exchange_order_id)
            continue;
        if ((last != 0 && f.trade_id < last) || f.quantity.v > AMOUNT_MAX - after.v)
            return false;
        last = f.trade_id;
        if (++*there > max)
            continue;
        after = qty_add(after, f.quantity);
        f.executed_after = after;
        out[(*count)++] = f;
    }
    return it.is_whole;
}
