/*
 * binance.c - names of Binance's fields to events.
 *
 * The same letter means different things in different messages ("a" is a list, a price or an id),
 * so the values are collected as slices first and read once the message's kind is known.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/binance.h"

#include <stddef.h>
#include <string.h>

#include "base/instrument.h"
#include "base/scan.h"
#include "marketdata/core/candle.h"

/* Values of one message by name. */
struct values {
    struct slice letter['z' + 1]; /* names of one letter, 'A' to 'z' */
    struct slice pu, st, ap, last_update_id, bids, asks, stream, data, scrip, id;
    bool is_result, is_refused; /* the answer to a subscription */
};

int64_t
binance_time_us(uint64_t value)
{
    if (value >= UINT64_C(100000000000) && value < UINT64_C(100000000000000))
        return (int64_t)(value * 1000);
    if (value >= UINT64_C(100000000000000) && value < UINT64_C(100000000000000000))
        return (int64_t)value;
    if (value >= UINT64_C(100000000000000000) && value < UINT64_C(10000000000000000000))
        return (int64_t)(value / 1000);
    return 0;
}

/* Only what is read: most of a small message's cost would be zeros. */
static void
values_clear(struct values *v)
{
    memset(&v->letter['A'], 0, sizeof(*v) - offsetof(struct values, letter['A']));
}

static struct slice *
slot_of(struct values *v, struct slice name)
{
    if (name.length == 1)
        return name.at[0] >= 'A' && name.at[0] <= 'z' ? &v->letter[(int)name.at[0]] : NULL;
    if (slice_is(name, "pu"))
        return &v->pu;
    if (slice_is(name, "st"))
        return &v->st;
    if (slice_is(name, "ap"))
        return &v->ap;
    if (slice_is(name, "scrip"))
        return &v->scrip;
    if (slice_is(name, "id"))
        return &v->id;
    if (slice_is(name, "lastUpdateId"))
        return &v->last_update_id;
    if (slice_is(name, "bids"))
        return &v->bids;
    if (slice_is(name, "asks"))
        return &v->asks;
    if (slice_is(name, "stream"))
        return &v->stream;
    if (slice_is(name, "data"))
        return &v->data;
    return NULL;
}

/* One object's members. A name that comes twice is refused: which one would be meant? Those of an
 * envelope's `data` are taken as if they stood beside it: no name of one is a name of the other. */
static bool
collect(struct scan *s, struct values *v, bool is_envelope)
{
    if (!scan_take(s, '{'))
        return false;
    if (scan_take(s, '}'))
        return true;
    do {
        struct slice name, value;
        if (!scan_name(s, &name))
            return false;
        if (is_envelope && slice_is(name, "data") && s->at < s->end && *s->at == '{') {
            if (v->data.kind != 0 || !collect(s, v, false))
                return false;
            v->data.kind = '{';
            continue;
        }
        if (!scan_value(s, &value))
            return false;
        struct slice *slot = slot_of(v, name);
        if (slot != NULL) {
            if (slot->kind != 0)
                return false;
            *slot = value;
        } else if (slice_is(name, "result")) {
            v->is_result = true;
        } else if (slice_is(name, "error") || slice_is(name, "code")) {
            v->is_result = v->is_refused = true;
        }
    } while (scan_take(s, ','));
    return scan_take(s, '}');
}

static bool
symbol_read(struct slice s, code_t *out)
{
    return s.kind == 's' && s.length > 0 && memchr(s.at, '\\', s.length) == NULL &&
           code_from(s.at, s.length, out) == OK;
}

/* "btcusdt@depth20@100ms" names the symbol in small letters. */
static bool
symbol_of_stream(struct slice stream, code_t *out)
{
    const char *at = stream.kind == 's' ? memchr(stream.at, '@', stream.length) : NULL;
    if (at == NULL)
        return false;
    struct slice name = {stream.at, (size_t)(at - stream.at), 's'};
    if (!symbol_read(name, out))
        return false;
    *out = instrument_large(*out);
    return true;
}

bool
binance_time_read(struct slice s, int64_t *out)
{
    uint64_t value;
    if (!slice_u64(s, &value))
        return false;
    *out = binance_time_us(value);
    return *out > 0;
}

/* A level as Binance writes it, `["61737.63000000","0.00000000"]`, in one pass; another form is for
 * level_read(). */
static bool
level_plain(struct scan *s, struct level *out)
{
    const char *at = s->at, *end = s->end;
    if (end - at < 4 || at[0] != '[' || at[1] != '"')
        return false;
    const char *price = at + 2;
    const char *price_end = memchr(price, '"', (size_t)(end - price));
    if (price_end == NULL || end - price_end < 4 || price_end[1] != ',' || price_end[2] != '"')
        return false;
    const char *quantity = price_end + 3;
    const char *quantity_end = memchr(quantity, '"', (size_t)(end - quantity));
    if (quantity_end == NULL || end - quantity_end < 2 || quantity_end[1] != ']' ||
        decimal_read(price, (size_t)(price_end - price), &out->price.v) != OK ||
        decimal_read(quantity, (size_t)(quantity_end - quantity), &out->quantity.v) != OK)
        return false;
    s->at = quantity_end + 2;
    return true;
}

/* Further elements of a level are passed over. */
static bool
level_read(struct scan *s, struct level *out)
{
    struct slice price, quantity, more;
    if (!scan_take(s, '[') || !scan_value(s, &price) || !scan_take(s, ',') ||
        !scan_value(s, &quantity))
        return false;
    while (scan_take(s, ',')) {
        if (!scan_value(s, &more))
            return false;
    }
    return scan_take(s, ']') && slice_decimal(price, &out->price.v) &&
           slice_decimal(quantity, &out->quantity.v);
}

/* [["61737.63000000","0.00000000"],...] */
static bool
levels_read(struct slice list, struct level *out, uint32_t max, uint32_t *count)
{
    *count = 0;
    if (list.kind != '[')
        return false;
    struct scan s = {list.at, list.at + list.length};
    if (!scan_take(&s, '['))
        return false;
    if (scan_take(&s, ']'))
        return true;
    do {
        if (*count == max)
            return false;
        struct level *l = &out[(*count)++];
        if ((!level_plain(&s, l) && !level_read(&s, l)) || l->price.v <= 0 || l->quantity.v < 0)
            return false;
    } while (scan_take(&s, ','));
    return scan_take(&s, ']');
}

static bool
sides_read(struct slice bids, struct slice asks, const struct binance_room *room,
           struct md_event *out)
{
    out->bids = room->levels;
    out->asks = room->levels + room->levels_max;
    return levels_read(bids, room->levels, room->levels_max, &out->bid_count) &&
           levels_read(asks, room->levels + room->levels_max, room->levels_max, &out->ask_count);
}

/* `T` is when it happened; `E`, when it was sent, stands in where there is no T. */
static bool
event_time(const struct values *v, int64_t *out)
{
    *out = 0;
    if (v->letter['T'].kind != 0)
        return binance_time_read(v->letter['T'], out);
    return v->letter['E'].kind == 0 || binance_time_read(v->letter['E'], out);
}

static bool
trade_read(const struct values *v, char id, struct md_event *out)
{
    struct public_trade *t = &out->trade;
    struct slice maker = v->letter['m'], kind = v->letter['X'];
    /* Futures mark trades of the insurance fund and the like: nobody could have traded there. */
    if (kind.kind != 0 && !slice_is(kind, "MARKET"))
        return true;
    if (!symbol_read(v->letter['s'], &out->symbol) ||
        !slice_u64(v->letter[(int)id], &t->trade_id) ||
        !slice_decimal(v->letter['p'], &t->price.v) ||
        !slice_decimal(v->letter['q'], &t->quantity.v) || maker.kind != 'w' ||
        !binance_time_read(v->letter['T'], &t->time_us))
        return false;
    if (t->price.v <= 0 || t->quantity.v <= 0 || t->trade_id == 0)
        return false;
    /* What an aggregated trade stands for; old recordings may lack it. */
    if (id == 'a' && v->letter['f'].kind != 0 && v->letter['l'].kind != 0 &&
        (!slice_u64(v->letter['f'], &out->first_trade) ||
         !slice_u64(v->letter['l'], &out->last_trade) || out->last_trade < out->first_trade))
        return false;
    t->buyer_is_maker = slice_is(maker, "true");
    out->is_aggregate = id == 'a';
    out->time_us = t->time_us;
    out->kind = MD_EVENT_TRADE;
    return true;
}

static bool
quote_read(const struct values *v, struct md_event *out)
{
    struct md_touch *q = &out->quote;
    if (!symbol_read(v->letter['s'], &out->symbol) || !slice_u64(v->letter['u'], &q->update_id) ||
        !slice_decimal(v->letter['b'], &q->bid.v) || !slice_decimal(v->letter['a'], &q->ask.v) ||
        !slice_decimal(v->letter['B'], &q->bid_quantity.v) ||
        !slice_decimal(v->letter['A'], &q->ask_quantity.v) || !event_time(v, &out->time_us))
        return false;
    q->time_us = out->time_us;
    out->kind = MD_EVENT_QUOTE;
    return true;
}

static bool
diff_read(const struct values *v, const struct binance_room *room, struct md_event *out)
{
    if (!symbol_read(v->letter['s'], &out->symbol) || !slice_u64(v->letter['U'], &out->first_id) ||
        !slice_u64(v->letter['u'], &out->last_id) || !event_time(v, &out->time_us) ||
        !sides_read(v->letter['b'], v->letter['a'], room, out))
        return false;
    if (v->pu.kind != 0) {
        out->has_previous_id = true;
        if (!slice_u64(v->pu, &out->previous_id))
            return false;
    }
    out->kind = MD_EVENT_DIFF;
    return true;
}

static bool
snapshot_read(const struct values *v, const struct binance_room *room, struct md_event *out)
{
    if (!slice_u64(v->last_update_id, &out->last_id) || !event_time(v, &out->time_us) ||
        !sides_read(v->bids, v->asks, room, out))
        return false;
    if (v->stream.kind != 0 && !symbol_of_stream(v->stream, &out->symbol))
        return false;
    out->kind = MD_EVENT_BOOK;
    return true;
}

/* `T` is when funding is next due; a contract that has none gives 0 and no rate. */
static bool
mark_read(const struct values *v, struct md_event *out)
{
    struct md_mark_price *m = &out->mark;
    struct slice index = v->letter['i'], rate = v->letter['r'];
    uint64_t funding;
    if (!symbol_read(v->letter['s'], &out->symbol) || !slice_decimal(v->letter['p'], &m->mark.v) ||
        m->mark.v <= 0 || !binance_time_read(v->letter['E'], &out->time_us) ||
        !slice_u64(v->letter['T'], &funding))
        return false;
    if (index.length > 0 && (!slice_decimal(index, &m->index.v) || m->index.v < 0))
        return false;
    if (rate.length > 0 && !slice_decimal(rate, &m->funding_rate.v))
        return false;
    m->funding_us = binance_time_us(funding);
    out->kind = MD_EVENT_MARK;
    return true;
}

/* A message within a message: the members of `k` or `o`. */
static bool
inner_read(struct slice object, struct values *out)
{
    values_clear(out);
    if (object.kind != '{')
        return false;
    struct scan s = {object.at, object.at + object.length};
    return collect(&s, out, false);
}

/* -1 where there is no trade in it. */
static uint64_t
trade_id_or_none(struct slice s)
{
    uint64_t id;
    return slice_u64(s, &id) ? id : 0;
}

static bool
kline_read(const struct values *v, struct md_event *out)
{
    struct values k;
    struct candle *c = &out->kline;
    if (!inner_read(v->letter['k'], &k) || !symbol_read(v->letter['s'], &out->symbol) ||
        !binance_time_read(v->letter['E'], &out->time_us) || k.letter['i'].kind != 's' ||
        k.letter['i'].length > 3 || k.letter['x'].kind != 'w')
        return false;
    char name[4] = "";
    memcpy(name, k.letter['i'].at, k.letter['i'].length);
    out->interval = (enum interval)msg_enum_by_name(MSG_ENUM_interval, name);
    if (out->interval == 0 || !binance_time_read(k.letter['t'], &c->open_time_us) ||
        !slice_decimal(k.letter['o'], &c->open.v) || !slice_decimal(k.letter['h'], &c->high.v) ||
        !slice_decimal(k.letter['l'], &c->low.v) || !slice_decimal(k.letter['c'], &c->close.v) ||
        !slice_decimal(k.letter['v'], &c->volume.v) ||
        !slice_decimal(k.letter['q'], &c->quote_volume.v) ||
        !slice_decimal(k.letter['V'], &c->taker_buy_volume.v) ||
        !slice_decimal(k.letter['Q'], &c->taker_buy_quote_volume.v) ||
        !slice_u64(k.letter['n'], &c->trades))
        return false;
    c->is_closed = slice_is(k.letter['x'], "true");
    out->kline_last_trade = trade_id_or_none(k.letter['L']);
    out->kind = MD_EVENT_KLINE;
    return candle_is_valid(c);
}

static bool
liquidation_read(const struct values *v, struct md_event *out)
{
    struct values o;
    struct md_forced_order *f = &out->liquidation;
    if (!inner_read(v->letter['o'], &o) || !symbol_read(o.letter['s'], &out->symbol) ||
        !slice_decimal(o.letter['q'], &f->quantity.v) ||
        !slice_decimal(o.letter['p'], &f->price.v) ||
        !binance_time_read(o.letter['T'], &out->time_us) || o.letter['S'].kind != 's' ||
        f->quantity.v <= 0 || f->price.v <= 0)
        return false;
    f->side = slice_is(o.letter['S'], "BUY") ? SIDE_BUY : SIDE_SELL;
    if (o.letter['z'].kind != 0 && !slice_decimal(o.letter['z'], &f->executed.v))
        return false;
    if (o.ap.kind != 0 && !slice_decimal(o.ap, &f->average_price.v))
        return false;
    out->kind = MD_EVENT_LIQUIDATION;
    return f->executed.v >= 0 && f->average_price.v >= 0;
}

static bool
message_read(const struct values *v, const struct binance_room *room, struct md_event *out)
{
    struct slice e = v->letter['e'];
    /* Streams of all symbols (`!...@arr`) carry other markets too: 1 is USD-M. */
    if (v->st.kind == 'n' && !slice_is(v->st, "1"))
        return true;
    if (e.kind == 's') {
        if (slice_is(e, "trade"))
            return trade_read(v, 't', out);
        if (slice_is(e, "aggTrade"))
            return trade_read(v, 'a', out);
        if (slice_is(e, "depthUpdate"))
            return diff_read(v, room, out);
        if (slice_is(e, "bookTicker"))
            return quote_read(v, out);
        if (slice_is(e, "markPriceUpdate"))
            return mark_read(v, out);
        if (slice_is(e, "kline"))
            return kline_read(v, out);
        if (slice_is(e, "forceOrder"))
            return liquidation_read(v, out);
        return true;
    }
    if (v->last_update_id.kind != 0)
        return snapshot_read(v, room, out);
    /* The spot bookTicker has neither "e" nor a time. */
    if (v->letter['u'].kind != 0 && v->letter['s'].kind != 0 && v->letter['B'].kind != 0)
        return quote_read(v, out);
    return v->is_result || v->stream.kind != 0;
}

/* The members of a message, out of its envelope too. */
static bool
values_read(const char *json, size_t length, struct values *v)
{
    values_clear(v);
    struct scan s = {json, json + length};
    return collect(&s, v, true) && scan_done(&s);
}

bool
binance_control_read(const char *json, size_t length, struct binance_control *out)
{
    struct values v;
    *out = (struct binance_control){0};
    if (!values_read(json, length, &v))
        return false;
    out->is_shutdown = v.letter['e'].kind == 's' && slice_is(v.letter['e'], "serverShutdown");
    out->is_answer = v.is_result;
    out->is_refused = v.is_refused;
    if (v.id.kind == 'n' && !slice_u64(v.id, &out->id))
        return false;
    return true;
}

enum err
binance_json(const char *json, size_t length, const struct binance_room *room, struct md_event *out)
{
    struct values v;
    *out = (struct md_event){0};
    if (!values_read(json, length, &v))
        return ERR_LINE_INVALID;
    /* Trades that were found after the core had gone on without them: for the record only. */
    if (v.scrip.kind == 's' && slice_is(v.scrip, "late"))
        return OK;
    if (!message_read(&v, room, out)) {
        *out = (struct md_event){0};
        return ERR_LINE_INVALID;
    }
    return OK;
}

enum err
binance_line(const char *line, size_t length, const struct binance_room *room, struct md_event *out)
{
    const char *blank = memchr(line, ' ', length);
    uint64_t received;
    *out = (struct md_event){0};
    if (blank == NULL || blank - line > 20 ||
        !slice_u64((struct slice){line, (size_t)(blank - line), 'n'}, &received) ||
        binance_time_us(received) == 0)
        return ERR_LINE_INVALID;
    size_t head = (size_t)(blank - line) + 1;
    enum err e = binance_json(line + head, length - head, room, out);
    out->at_us = binance_time_us(received);
    return e;
}
