/*
 * live_text.c - Binance's names and forms, written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/live_text.h"

#include <string.h>

#include "marketdata/core/live_priv.h"

struct pen
pen_on(char *text, size_t max)
{
    CHECK(max > 0);
    *text = '\0';
    return (struct pen){text, 0, max};
}

void
pen_text(struct pen *p, const char *text)
{
    size_t length = strlen(text);
    CHECK(p->length + length < p->max);
    memcpy(p->text + p->length, text, length + 1);
    p->length += length;
}

void
pen_u64(struct pen *p, uint64_t value)
{
    char digits[21];
    size_t at = sizeof(digits);
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    pen_text(p, digits + at);
}

void
pen_decimal(struct pen *p, int64_t value)
{
    char text[DECIMAL_BYTES];
    decimal_write(value, text);
    pen_text(p, text);
}

/* ---- Streams ---------------------------------------------------------------------------- */

static const char *
suffix(const struct live *l, enum live_kind kind)
{
    switch (kind) {
    case LIVE_TRADES:
        return l->o.market == TRADING_TYPE_spot ? "@trade" : "@aggTrade";
    case LIVE_QUOTES:
        return "@bookTicker";
    case LIVE_DEPTH:
        return "@depth@100ms";
    case LIVE_KLINES:
        return "@kline_1m";
    case LIVE_MARKS:
        return "@markPrice@1s";
    case LIVE_FORCED:
        return "@forceOrder";
    case LIVE_KINDS:
        break;
    }
    return "";
}

void
live_stream_write(struct pen *p, const struct live *l, const struct live_symbol *s,
                  enum live_kind kind)
{
    pen_text(p, s->lower);
    pen_text(p, suffix(l, kind));
}

/* ---- Requests --------------------------------------------------------------------------- */

/* Spot takes a list of symbols, and its whole answer is long; futures always tell all. */
static void
rules_write(struct pen *p, const struct live *l)
{
    bool is_first = true;
    pen_text(p, "exchangeInfo");
    if (l->o.market != TRADING_TYPE_spot || l->rules_whole)
        return;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        if (!s->is_used || s->is_leaving)
            continue;
        pen_text(p, is_first ? "?symbols=%5B%22" : "%22,%22");
        pen_text(p, s->wire);
        is_first = false;
    }
    if (!is_first)
        pen_text(p, "%22%5D");
}

static void
query_write(struct pen *p, const char *path, const struct live_symbol *s, const char *name,
            uint64_t value)
{
    pen_text(p, path);
    pen_text(p, "?symbol=");
    pen_text(p, s->wire);
    if (name != NULL) {
        pen_text(p, name);
        pen_u64(p, value);
    }
}

static uint32_t
depth_weight(bool is_spot, uint32_t levels)
{
    if (levels <= 100)
        return 5;
    if (levels <= 500)
        return is_spot ? 25 : 10;
    return is_spot ? 50 : 20;
}

void
live_ask_write(struct pen *p, const struct live *l, const struct live_ask *a, uint32_t *weight)
{
    const struct live_symbol *s = &l->symbols[a->symbol];
    bool is_spot = l->o.market == TRADING_TYPE_spot;
    pen_text(p, is_spot ? "/api/v3/" : "/fapi/v1/");
    switch (a->kind) {
    case LIVE_ASK_RULES:
        rules_write(p, l);
        *weight = is_spot ? 20 : 1;
        break;
    case LIVE_ASK_TRADES:
    case LIVE_ASK_LOST:
        query_write(p, is_spot ? "historicalTrades" : "aggTrades", s, "&fromId=", a->from);
        pen_text(p, "&limit=1000");
        *weight = is_spot ? 25 : 20;
        break;
    case LIVE_ASK_BOOK:
        query_write(p, "depth", s, "&limit=", l->o.snapshot_levels);
        *weight = depth_weight(is_spot, l->o.snapshot_levels);
        break;
    case LIVE_ASK_MINUTES:
        query_write(p, "klines", s, "&interval=1m&startTime=", a->from);
        pen_text(p, "&limit=1000");
        *weight = is_spot ? 2 : 5;
        break;
    case LIVE_ASK_DAYS:
        query_write(p, "klines", s, "&interval=1d&limit=", LIVE_DAYS);
        *weight = is_spot ? 2 : 1;
        break;
    case LIVE_ASK_NONE:
    case LIVE_ASK_KINDS:
        CHECK(false);
    }
}

/* ---- Records ---------------------------------------------------------------------------- */

/* As Binance's: milliseconds, or microseconds where there are any. */
static void
time_write(struct pen *p, int64_t time_us)
{
    pen_u64(p, (uint64_t)(time_us % 1000 == 0 ? time_us / 1000 : time_us));
}

static void
member(struct pen *p, const char *name, int64_t value)
{
    pen_text(p, name);
    pen_decimal(p, value);
}

static void
envelope(struct pen *p, const char *lower, const char *stream, const char *event, int64_t time_us,
         const char *wire)
{
    pen_text(p, "{\"stream\":\"");
    pen_text(p, lower);
    pen_text(p, stream);
    pen_text(p, "\",\"data\":{\"e\":\"");
    pen_text(p, event);
    pen_text(p, "\",\"E\":");
    time_write(p, time_us);
    pen_text(p, ",\"s\":\"");
    pen_text(p, wire);
}

void
live_trade_write(struct pen *p, const struct live *l, const struct live_symbol *s,
                 const struct md_event *e, const char *mark)
{
    bool is_spot = l->o.market == TRADING_TYPE_spot;
    const struct public_trade *t = &e->trade;
    envelope(p, s->lower, suffix(l, LIVE_TRADES), is_spot ? "trade" : "aggTrade", t->time_us,
             s->wire);
    pen_text(p, is_spot ? "\",\"t\":" : "\",\"a\":");
    pen_u64(p, t->trade_id);
    member(p, ",\"p\":\"", t->price.v);
    member(p, "\",\"q\":\"", t->quantity.v);
    pen_text(p, "\"");
    if (!is_spot) {
        pen_text(p, ",\"f\":");
        pen_u64(p, e->first_trade);
        pen_text(p, ",\"l\":");
        pen_u64(p, e->last_trade);
    }
    pen_text(p, ",\"T\":");
    time_write(p, t->time_us);
    pen_text(p, t->buyer_is_maker ? ",\"m\":true}" : ",\"m\":false}");
    if (mark != NULL) {
        pen_text(p, ",\"scrip\":\"");
        pen_text(p, mark);
        pen_text(p, "\"");
    }
    pen_text(p, "}");
}

void
live_kline_write(struct pen *p, const struct live_symbol *s, const struct md_event *e)
{
    bool is_day = e->interval == INTERVAL_1d;
    const struct candle *c = &e->kline;
    envelope(p, s->lower, is_day ? "@kline_1d" : "@kline_1m", "kline", e->time_us, s->wire);
    pen_text(p, "\",\"k\":{\"t\":");
    time_write(p, c->open_time_us);
    pen_text(p, is_day ? ",\"i\":\"1d\",\"f\":-1,\"L\":-1" : ",\"i\":\"1m\",\"f\":-1,\"L\":-1");
    member(p, ",\"o\":\"", c->open.v);
    member(p, "\",\"c\":\"", c->close.v);
    member(p, "\",\"h\":\"", c->high.v);
    member(p, "\",\"l\":\"", c->low.v);
    member(p, "\",\"v\":\"", c->volume.v);
    pen_text(p, "\",\"n\":");
    pen_u64(p, c->trades);
    pen_text(p, c->is_closed ? ",\"x\":true" : ",\"x\":false");
    member(p, ",\"q\":\"", c->quote_volume.v);
    member(p, "\",\"V\":\"", c->taker_buy_volume.v);
    member(p, "\",\"Q\":\"", c->taker_buy_quote_volume.v);
    pen_text(p, "\"}},\"scrip\":\"backfill\"}");
}
