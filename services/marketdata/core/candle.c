/*
 * candle.c - alignment and folding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/candle.h"

#define MINUTE_US INT64_C(60000000)

int64_t
interval_us(enum interval i)
{
    static const int64_t MINUTES[] = {0, 1, 3, 5, 15, 30, 60, 120, 240, 360, 480, 720, 1440};
    return (uint32_t)i <= INTERVALS ? MINUTES[i] * MINUTE_US : 0;
}

int64_t
interval_open(enum interval i, int64_t time_us)
{
    int64_t width = interval_us(i);
    CHECK(width > 0);
    int64_t rest = time_us % width;
    return time_us - (rest < 0 ? rest + width : rest);
}

const char *
interval_name(enum interval i)
{
    return msg_enum_name(MSG_ENUM_interval, i);
}

/* A file can hold any volume: the sum stays at the top instead of turning negative. */
static int64_t
sum(int64_t a, int64_t b)
{
    int64_t out;
    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

static int64_t
quote_of(const struct public_trade *t)
{
    money_t quote;
    return notional_floor(t->price, t->quantity, &quote) == OK ? quote.v : INT64_MAX;
}

static void
add_volumes(struct candle *c, const struct public_trade *t)
{
    int64_t quote = quote_of(t);
    c->volume.v = sum(c->volume.v, t->quantity.v);
    c->quote_volume.v = sum(c->quote_volume.v, quote);
    c->trades++;
    if (!t->buyer_is_maker) {
        c->taker_buy_volume.v = sum(c->taker_buy_volume.v, t->quantity.v);
        c->taker_buy_quote_volume.v = sum(c->taker_buy_quote_volume.v, quote);
    }
}

void
candle_begin(struct candle *c, enum interval i, const struct public_trade *t)
{
    *c = (struct candle){.open_time_us = interval_open(i, t->time_us),
                         .open = t->price,
                         .high = t->price,
                         .low = t->price,
                         .close = t->price};
    add_volumes(c, t);
}

void
candle_add(struct candle *c, const struct public_trade *t)
{
    if (t->price.v > c->high.v)
        c->high = t->price;
    if (t->price.v < c->low.v)
        c->low = t->price;
    c->close = t->price;
    add_volumes(c, t);
}

void
candle_add_earlier(struct candle *c, const struct candle *earlier)
{
    c->open = earlier->open;
    if (earlier->high.v > c->high.v)
        c->high = earlier->high;
    if (earlier->low.v < c->low.v)
        c->low = earlier->low;
    c->volume.v = sum(c->volume.v, earlier->volume.v);
    c->quote_volume.v = sum(c->quote_volume.v, earlier->quote_volume.v);
    c->trades += earlier->trades;
    c->taker_buy_volume.v = sum(c->taker_buy_volume.v, earlier->taker_buy_volume.v);
    c->taker_buy_quote_volume.v =
        sum(c->taker_buy_quote_volume.v, earlier->taker_buy_quote_volume.v);
}
