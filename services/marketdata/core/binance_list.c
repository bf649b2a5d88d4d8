/*
 * binance_list.c - one item of a REST list to one event.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/binance_list.h"

#include <string.h>

#include "marketdata/core/binance.h"
#include "marketdata/core/candle.h"

#define KLINE_VALUES 11 /* the twelfth says nothing */

void
binance_list_begin(struct binance_list *l, enum binance_items items, enum interval interval,
                   const char *json, size_t length)
{
    *l = (struct binance_list){.items = items, .interval = interval, .scan = {json, json + length}};
    if (!scan_take(&l->scan, '[')) {
        l->is_over = true;
        l->why = ERR_LINE_INVALID;
    } else if (scan_take(&l->scan, ']')) {
        l->is_over = true;
        l->why = scan_done(&l->scan) ? OK : ERR_LINE_INVALID;
    }
}

/* The members that trades have, by either of their names. */
struct trade_values {
    struct slice id, price, quantity, time, maker, first, last;
};

static struct slice *
slot_of(struct trade_values *v, struct slice name, bool is_aggregate)
{
    if (slice_is(name, is_aggregate ? "a" : "id"))
        return &v->id;
    if (slice_is(name, is_aggregate ? "p" : "price"))
        return &v->price;
    if (slice_is(name, is_aggregate ? "q" : "qty"))
        return &v->quantity;
    if (slice_is(name, is_aggregate ? "T" : "time"))
        return &v->time;
    if (slice_is(name, is_aggregate ? "m" : "isBuyerMaker"))
        return &v->maker;
    if (is_aggregate && slice_is(name, "f"))
        return &v->first;
    if (is_aggregate && slice_is(name, "l"))
        return &v->last;
    return NULL;
}

static bool
trade_collect(struct scan *s, bool is_aggregate, struct trade_values *v)
{
    if (!scan_take(s, '{'))
        return false;
    do {
        struct slice name, value;
        if (!scan_name(s, &name) || !scan_value(s, &value))
            return false;
        struct slice *slot = slot_of(v, name, is_aggregate);
        if (slot != NULL && slot->kind != 0)
            return false;
        if (slot != NULL)
            *slot = value;
    } while (scan_take(s, ','));
    return scan_take(s, '}');
}

static bool
trade_item(struct scan *s, bool is_aggregate, struct md_event *out)
{
    struct trade_values v = {0};
    struct public_trade *t = &out->trade;
    if (!trade_collect(s, is_aggregate, &v) || !slice_u64(v.id, &t->trade_id) ||
        !slice_decimal(v.price, &t->price.v) || !slice_decimal(v.quantity, &t->quantity.v) ||
        !binance_time_read(v.time, &t->time_us) || v.maker.kind != 'w')
        return false;
    if (is_aggregate &&
        (!slice_u64(v.first, &out->first_trade) || !slice_u64(v.last, &out->last_trade) ||
         out->last_trade < out->first_trade))
        return false;
    t->buyer_is_maker = slice_is(v.maker, "true");
    out->is_aggregate = is_aggregate;
    out->time_us = t->time_us;
    out->kind = MD_EVENT_TRADE;
    return t->trade_id > 0 && t->price.v > 0 && t->quantity.v > 0;
}

/* [open time, open, high, low, close, volume, close time, quote volume, trades, taker's base,
 * taker's quote, "0"]. */
static bool
kline_item(struct scan *s, struct md_event *out)
{
    struct slice v[KLINE_VALUES], more;
    if (!scan_take(s, '['))
        return false;
    for (int i = 0; i < KLINE_VALUES; i++) {
        if ((i > 0 && !scan_take(s, ',')) || !scan_value(s, &v[i]))
            return false;
    }
    while (scan_take(s, ',')) {
        if (!scan_value(s, &more))
            return false;
    }
    struct candle *c = &out->kline;
    if (!scan_take(s, ']') || !binance_time_read(v[0], &c->open_time_us) ||
        !slice_decimal(v[1], &c->open.v) || !slice_decimal(v[2], &c->high.v) ||
        !slice_decimal(v[3], &c->low.v) || !slice_decimal(v[4], &c->close.v) ||
        !slice_decimal(v[5], &c->volume.v) || !binance_time_read(v[6], &out->time_us) ||
        !slice_decimal(v[7], &c->quote_volume.v) || !slice_u64(v[8], &c->trades) ||
        !slice_decimal(v[9], &c->taker_buy_volume.v) ||
        !slice_decimal(v[10], &c->taker_buy_quote_volume.v))
        return false;
    out->kind = MD_EVENT_KLINE;
    return out->time_us >= c->open_time_us && candle_is_valid(c);
}

static bool
item_read(struct binance_list *l, struct md_event *out)
{
    if (l->has_item && !scan_take(&l->scan, ','))
        return false;
    l->has_item = true;
    if (l->items == BINANCE_KLINES) {
        out->interval = l->interval;
        return kline_item(&l->scan, out);
    }
    return trade_item(&l->scan, l->items == BINANCE_AGG_TRADES, out);
}

bool
binance_list_next(struct binance_list *l, struct md_event *out)
{
    *out = (struct md_event){0};
    if (l->is_over)
        return false;
    if (!item_read(l, out)) {
        *out = (struct md_event){0};
        l->is_over = true;
        l->why = ERR_LINE_INVALID;
        return false;
    }
    if (scan_take(&l->scan, ']')) {
        l->is_over = true;
        if (!scan_done(&l->scan))
            l->why = ERR_LINE_INVALID;
    }
    return true;
}

bool
binance_list_has_more(const struct binance_list *l)
{
    return !l->is_over;
}
