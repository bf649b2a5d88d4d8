/*
 * stats.c - minute buckets in a ring; sums are rebuilt once a minute, so that they cannot drift.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/stats.h"

#include <string.h>

#define MINUTE_US INT64_C(60000000)

void
stats_init(struct stats *s, struct stats_bucket *buckets)
{
    *s = (struct stats){.buckets = buckets};
    stats_reset(s);
}

void
stats_reset(struct stats *s)
{
    struct stats_bucket *buckets = s->buckets;
    *s = (struct stats){.buckets = buckets};
    memset(buckets, 0, STATS_MINUTES * sizeof(*buckets));
}

static int64_t
sum(int64_t a, int64_t b)
{
    int64_t out;
    return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

static int64_t
minute_of(int64_t time_us)
{
    return time_us / MINUTE_US;
}

static struct stats_bucket *
bucket_of(const struct stats *s, int64_t minute)
{
    return &s->buckets[minute % STATS_MINUTES];
}

static void
total_add(struct stats *s, const struct stats_bucket *b)
{
    if (s->trades == 0) {
        s->open = b->open;
        s->high = b->high;
        s->low = b->low;
    }
    if (b->high.v > s->high.v)
        s->high = b->high;
    if (b->low.v < s->low.v)
        s->low = b->low;
    s->volume = sum(s->volume, b->volume);
    s->quote_volume = sum(s->quote_volume, b->quote_volume);
    s->trades += b->trades;
}

/* Oldest minute first, so that the first bucket found holds the opening price. */
static void
rebuild(struct stats *s)
{
    s->open = s->high = s->low = (price_t){0};
    s->volume = s->quote_volume = 0;
    s->trades = 0;
    int64_t first = s->newest - STATS_MINUTES + 1;
    for (int64_t m = first < 0 ? 0 : first; m <= s->newest; m++) {
        const struct stats_bucket *b = bucket_of(s, m);
        if (b->trades > 0 && b->minute == m)
            total_add(s, b);
    }
}

bool
stats_advance(struct stats *s, int64_t time_us)
{
    int64_t minute = minute_of(time_us);
    if (minute <= s->newest)
        return false;
    s->newest = minute;
    rebuild(s);
    return true;
}

/* Adds to the bucket of a minute in the window, and gives whether the totals must be rebuilt. */
static void
bucket_add(struct stats *s, const struct stats_bucket *part)
{
    struct stats_bucket *b = bucket_of(s, part->minute);
    if (b->trades == 0 || b->minute != part->minute) {
        *b = *part;
        return;
    }
    if (part->high.v > b->high.v)
        b->high = part->high;
    if (part->low.v < b->low.v)
        b->low = part->low;
    b->close = part->close;
    b->volume = sum(b->volume, part->volume);
    b->quote_volume = sum(b->quote_volume, part->quote_volume);
    b->trades += part->trades;
}

static bool
in_window(const struct stats *s, int64_t minute)
{
    return minute >= 0 && minute <= s->newest && minute > s->newest - STATS_MINUTES;
}

void
stats_trade(struct stats *s, const struct public_trade *t)
{
    money_t quote;
    if (notional_floor(t->price, t->quantity, &quote) != OK)
        quote.v = INT64_MAX;
    struct stats_bucket part = {.minute = minute_of(t->time_us),
                                .open = t->price,
                                .high = t->price,
                                .low = t->price,
                                .close = t->price,
                                .volume = t->quantity.v,
                                .quote_volume = quote.v,
                                .trades = 1};
    s->last = t->price;
    stats_advance(s, t->time_us);
    if (!in_window(s, part.minute))
        return;
    bucket_add(s, &part);
    if (part.minute == s->newest)
        total_add(s, &part);
    else
        rebuild(s);
}

static struct stats_bucket
bucket_from(const struct candle *minute)
{
    return (struct stats_bucket){.minute = minute_of(minute->open_time_us),
                                 .open = minute->open,
                                 .high = minute->high,
                                 .low = minute->low,
                                 .close = minute->close,
                                 .volume = minute->volume.v,
                                 .quote_volume = minute->quote_volume.v,
                                 .trades = minute->trades};
}

void
stats_remember(struct stats *s, const struct candle *minute)
{
    struct stats_bucket part = bucket_from(minute);
    if (part.trades == 0 || !in_window(s, part.minute))
        return;
    struct stats_bucket *b = bucket_of(s, part.minute);
    if (b->trades > 0 && b->minute == part.minute)
        return;
    *b = part;
    rebuild(s);
}

void
stats_remember_part(struct stats *s, const struct candle *part)
{
    int64_t minute = minute_of(part->open_time_us);
    struct stats_bucket *b = bucket_of(s, minute);
    if (part->trades == 0 || !in_window(s, minute) || b->trades == 0 || b->minute != minute)
        return;
    struct stats_bucket own = *b;
    *b = bucket_from(part);
    bucket_add(s, &own);
    rebuild(s);
}

price_t
stats_average(const struct stats *s)
{
    int64_t volume = 0, quote = 0;
    for (int64_t m = s->newest - AVERAGE_MINUTES + 1; m <= s->newest; m++) {
        if (m < 0)
            continue;
        const struct stats_bucket *b = bucket_of(s, m);
        if (b->trades > 0 && b->minute == m) {
            volume = sum(volume, b->volume);
            quote = sum(quote, b->quote_volume);
        }
    }
    int64_t average;
    if (volume <= 0 || quote <= 0 || decimal_div_floor(quote, volume, &average) != OK ||
        average == 0)
        return s->last;
    return (price_t){average};
}
