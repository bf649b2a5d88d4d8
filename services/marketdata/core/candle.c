/*
 * candle.c - alignment and folding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/candle.h"

#define SECOND_US INT64_C(1000000)

int64_t
interval_us(enum interval i)
{
    static const int64_t WIDTHS[] = {
        0,
        MINUTE_US,
        3 * MINUTE_US,
        5 * MINUTE_US,
        15 * MINUTE_US,
        30 * MINUTE_US,
        60 * MINUTE_US,
        120 * MINUTE_US,
        240 * MINUTE_US,
        360 * MINUTE_US,
        480 * MINUTE_US,
        720 * MINUTE_US,
        DAY_US,
        SECOND_US,
        3 * DAY_US,
        7 * DAY_US,
        0,
    };
    return (uint32_t)i <= INTERVALS ? WIDTHS[i] : 0;
}

/* ---- Months ----------------------------------------------------------------------------- */

/* The civil calendar without a library's time zones. Years are counted from March, so that the
 * leap day is a year's last one; 400 years are 146097 days. */
static int64_t
days_of_month(int64_t year, int64_t month)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t months = (month + 9) % 12; /* since March */
    int64_t day_of_year = (153 * months + 2) / 5;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468; /* 1970-01-01 is day 719468 of that count */
}

static void
month_of_days(int64_t days, int64_t *year, int64_t *month)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t months = (5 * day_of_year + 2) / 153;
    *month = months < 10 ? months + 3 : months - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static int64_t
floor_to(int64_t time_us, int64_t width_us)
{
    int64_t rest = time_us % width_us;
    return time_us - (rest < 0 ? rest + width_us : rest);
}

int64_t
interval_open(enum interval i, int64_t time_us)
{
    if (i == INTERVAL_1M) {
        int64_t year, month;
        month_of_days(floor_to(time_us, DAY_US) / DAY_US, &year, &month);
        return days_of_month(year, month) * DAY_US;
    }
    /* 1970 began on a Thursday: the Monday before it was three days earlier. */
    if (i == INTERVAL_1w)
        return floor_to(time_us + 3 * DAY_US, 7 * DAY_US) - 3 * DAY_US;
    int64_t width = interval_us(i);
    CHECK(width > 0);
    return floor_to(time_us, width);
}

int64_t
interval_end(enum interval i, int64_t open_us)
{
    if (i == INTERVAL_1M) /* 31 days on, it is the next month whatever this one is */
        return interval_open(i, open_us + 31 * DAY_US);
    return open_us + interval_us(i);
}

const char *
interval_name(enum interval i)
{
    return msg_enum_name(MSG_ENUM_interval, i);
}

/* ---- Folding ---------------------------------------------------------------------------- */

/* A file can hold any volume: the sum stays at the top instead of turning negative. */
static int64_t
sum(int64_t a, int64_t b)
{
    int64_t out;
    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

struct candle_trade
candle_trade_of(const struct public_trade *t, uint64_t count)
{
    struct candle_trade out = {.price = t->price,
                               .quantity = t->quantity,
                               .count = count,
                               .buyer_is_maker = t->buyer_is_maker};
    if (notional_floor(t->price, t->quantity, &out.quote) != OK)
        out.quote.v = INT64_MAX;
    return out;
}

static void
add_volumes(struct candle *c, const struct candle_trade *t)
{
    c->volume.v = sum(c->volume.v, t->quantity.v);
    c->quote_volume.v = sum(c->quote_volume.v, t->quote.v);
    c->trades += t->count;
    if (!t->buyer_is_maker) {
        c->taker_buy_volume.v = sum(c->taker_buy_volume.v, t->quantity.v);
        c->taker_buy_quote_volume.v = sum(c->taker_buy_quote_volume.v, t->quote.v);
    }
}

void
candle_begin(struct candle *c, int64_t open_us, const struct candle_trade *t)
{
    *c = (struct candle){.open_time_us = open_us,
                         .open = t->price,
                         .high = t->price,
                         .low = t->price,
                         .close = t->price};
    add_volumes(c, t);
}

void
candle_add(struct candle *c, const struct candle_trade *t)
{
    if (t->price.v > c->high.v)
        c->high = t->price;
    if (t->price.v < c->low.v)
        c->low = t->price;
    c->close = t->price;
    add_volumes(c, t);
}

bool
candle_is_flat(const struct candle *c)
{
    return c->trades == 0 && c->volume.v == 0;
}

void
candle_join(struct candle *c, const struct candle *later)
{
    bool was_flat = candle_is_flat(c), is_flat = candle_is_flat(later);
    if (is_flat && !was_flat)
        return;
    if (was_flat && !is_flat) {
        int64_t open_us = c->open_time_us;
        *c = *later;
        c->open_time_us = open_us;
        return;
    }
    if (later->high.v > c->high.v)
        c->high = later->high;
    if (later->low.v < c->low.v)
        c->low = later->low;
    c->close = later->close;
    c->volume.v = sum(c->volume.v, later->volume.v);
    c->quote_volume.v = sum(c->quote_volume.v, later->quote_volume.v);
    c->trades += later->trades;
    c->taker_buy_volume.v = sum(c->taker_buy_volume.v, later->taker_buy_volume.v);
    c->taker_buy_quote_volume.v = sum(c->taker_buy_quote_volume.v, later->taker_buy_quote_volume.v);
}

bool
candle_is_valid(const struct candle *c)
{
    int64_t lower = c->open.v < c->close.v ? c->open.v : c->close.v;
    int64_t upper = c->open.v < c->close.v ? c->close.v : c->open.v;
    return c->low.v > 0 && c->low.v <= lower && upper <= c->high.v && c->volume.v >= 0 &&
           c->quote_volume.v >= 0 && c->taker_buy_volume.v >= 0 &&
           c->taker_buy_volume.v <= c->volume.v && c->taker_buy_quote_volume.v >= 0;
}

bool
candle_same(const struct candle *a, const struct candle *b)
{
    return a->open_time_us == b->open_time_us && a->open.v == b->open.v && a->high.v == b->high.v &&
           a->low.v == b->low.v && a->close.v == b->close.v && a->volume.v == b->volume.v &&
           a->quote_volume.v == b->quote_volume.v && a->trades == b->trades &&
           a->taker_buy_volume.v == b->taker_buy_volume.v &&
           a->taker_buy_quote_volume.v == b->taker_buy_quote_volume.v;
}
