/*
 * stats.c - sums are made anew once a minute, so that they cannot drift.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/stats.h"

void
stats_init(struct stats *s, const struct parts *minutes)
{
    CHECK(minutes->max >= STATS_MINUTES);
    *s = (struct stats){.minutes = minutes};
}

void
stats_reset(struct stats *s)
{
    *s = (struct stats){.minutes = s->minutes};
}

static int64_t
sum(int64_t a, int64_t b)
{
    int64_t out;
    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

static void
total_add(struct stats *s, const struct candle *c)
{
    if (candle_is_flat(c))
        return;
    if (s->high.v == 0) {
        s->open = c->open;
        s->low = c->low;
    }
    if (c->high.v > s->high.v)
        s->high = c->high;
    if (c->low.v < s->low.v)
        s->low = c->low;
    s->volume = sum(s->volume, c->volume.v);
    s->quote_volume = sum(s->quote_volume, c->quote_volume.v);
    s->trades += c->trades;
}

static int64_t
window_us(const struct stats *s)
{
    int64_t first = s->newest_us - (STATS_MINUTES - 1) * MINUTE_US;
    return first < 0 ? 0 : first;
}

/* Oldest minute first, so that the first one found holds the opening price. */
static void
rebuild(struct stats *s)
{
    s->open = s->high = s->low = (price_t){0};
    s->volume = s->quote_volume = 0;
    s->trades = 0;
    s->is_stale = false;
    for (int64_t at = window_us(s); at <= s->newest_us; at += MINUTE_US) {
        const struct part *minute = parts_find(s->minutes, at);
        if (minute != NULL)
            total_add(s, &minute->candle);
    }
}

void
stats_settle(struct stats *s)
{
    if (s->is_stale)
        rebuild(s);
}

bool
stats_advance(struct stats *s, int64_t time_us)
{
    if (time_us < s->newest_us + MINUTE_US)
        return false;
    s->newest_us = interval_open(INTERVAL_1m, time_us);
    rebuild(s);
    return true;
}

static bool
in_window(const struct stats *s, int64_t minute_us)
{
    return minute_us <= s->newest_us && minute_us >= window_us(s);
}

void
stats_trade(struct stats *s, int64_t minute_us, const struct candle_trade *t)
{
    if (!in_window(s, minute_us))
        return;
    if (minute_us != s->newest_us) {
        s->is_stale = true;
        return;
    }
    if (s->high.v == 0)
        s->open = s->low = t->price;
    if (t->price.v > s->high.v)
        s->high = t->price;
    if (t->price.v < s->low.v)
        s->low = t->price;
    s->volume = sum(s->volume, t->quantity.v);
    s->quote_volume = sum(s->quote_volume, t->quote.v);
    s->trades += t->count;
}

/* Whether the sums can be moved by the difference alone. */
static bool
moves(const struct stats *s, const struct candle *before, const struct candle *after)
{
    return before != NULL && !candle_is_flat(before) && !candle_is_flat(after) &&
           before->open.v == after->open.v && before->high.v <= after->high.v &&
           before->low.v >= after->low.v && s->volume < INT64_MAX && s->quote_volume < INT64_MAX &&
           after->volume.v < INT64_MAX && after->quote_volume.v < INT64_MAX;
}

void
stats_change(struct stats *s, const struct candle *before, const struct candle *after)
{
    if (!in_window(s, after->open_time_us) || s->is_stale)
        return;
    if (!moves(s, before, after)) {
        s->is_stale = true;
        return;
    }
    if (after->high.v > s->high.v)
        s->high = after->high;
    if (after->low.v < s->low.v)
        s->low = after->low;
    s->volume = sum(s->volume - before->volume.v, after->volume.v);
    s->quote_volume = sum(s->quote_volume - before->quote_volume.v, after->quote_volume.v);
    s->trades = s->trades - before->trades + after->trades;
}

price_t
stats_average(const struct stats *s)
{
    int64_t volume = 0, quote = 0;
    for (int64_t n = 0; n < AVERAGE_MINUTES; n++) {
        const struct part *minute = parts_find(s->minutes, s->newest_us - n * MINUTE_US);
        if (minute == NULL)
            continue;
        volume = sum(volume, minute->candle.volume.v);
        quote = sum(quote, minute->candle.quote_volume.v);
    }
    int64_t average;
    if (volume <= 0 || quote <= 0 || decimal_div_floor(quote, volume, &average) != OK ||
        average == 0)
        return s->last;
    return (price_t){average};
}
