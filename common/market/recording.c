/*
 * recording.c - names of segments, entries of their index, and what a line tells of itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "market/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/instrument.h"
#include "market/recording_form.h"

#define STREAM_WITHIN 96u  /* a line's stream is named in its first bytes */
#define TIME_WITHIN   256u /* and so is the time it was sent */

const char *
recording_market(enum trading_type market)
{
    return market == TRADING_TYPE_futures ? "usdm" : "spot";
}

void
recording_name(enum trading_type market, int64_t start_us, char out[RECORDING_NAME_BYTES])
{
    time_t seconds = (time_t)(start_us / 1000000);
    struct tm t;
    char text[24];
    CHECK(gmtime_r(&seconds, &t) != NULL);
    strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &t);
    snprintf(out, RECORDING_NAME_BYTES, "%s-%s.%06uZ.zst", recording_market(market), text,
             (unsigned)(start_us % 1000000));
}

bool
recording_name_read(const char *name, enum trading_type *market, int64_t *start_us)
{
    struct tm t = {0};
    unsigned us;
    char written[RECORDING_NAME_BYTES];
    *market = strncmp(name, "usdm-", 5) == 0 ? TRADING_TYPE_futures : TRADING_TYPE_spot;
    if (strlen(name) >= RECORDING_NAME_BYTES ||
        sscanf(name + (name[0] == '\0' ? 0 : strcspn(name, "-")), "-%4d%2d%2dT%2d%2d%2d.%6uZ.zst",
               &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec, &us) != 7)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *start_us = (int64_t)timegm(&t) * 1000000 + (int64_t)us;
    if (*start_us < 0)
        return false;
    /* Only what would be written is read. */
    recording_name(*market, *start_us, written);
    return strcmp(written, name) == 0;
}

/* Milli-, micro- or nanoseconds to microseconds, told apart by size. */
static int64_t
to_us(uint64_t value)
{
    if (value >= UINT64_C(100000000000000000))
        return (int64_t)(value / 1000);
    return (int64_t)(value >= UINT64_C(100000000000000) ? value : value * 1000);
}

static uint64_t
digits(const char *at, const char *end)
{
    uint64_t value = 0;
    for (int n = 0; at < end && *at >= '0' && *at <= '9' && n < 19; at++, n++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

static bool
has_text(const char *line, size_t length, const char *text)
{
    return memmem(line, length, text, strlen(text)) != NULL;
}

static void
span(int64_t *first, int64_t *last, int64_t us)
{
    if (us <= 0)
        return;
    if (*first == 0)
        *first = us;
    if (us > *last)
        *last = us;
}

void
recording_line(struct recording_frame *f, const char *line, size_t length)
{
    const char *end = line + length;
    size_t head = length < STREAM_WITHIN ? length : STREAM_WITHIN;
    f->lines++;
    span(&f->first_us, &f->last_us, to_us(digits(line, end)));
    if (has_text(line, head, "@trade\"") || has_text(line, head, "@aggTrade\""))
        f->trades++;
    else if (has_text(line, head, "@scrip\""))
        f->marks++;
    head = length < TIME_WITHIN ? length : TIME_WITHIN;
    const char *sent = memmem(line, head, "\"E\":", 4);
    if (sent != NULL)
        span(&f->first_market_us, &f->last_market_us, to_us(digits(sent + 4, end)));
}

/* The number behind `name`; 0 where there is none. */
static uint64_t
number_of(const char *line, size_t length, const char *name)
{
    const char *at = memmem(line, length, name, strlen(name));
    return at == NULL ? 0 : digits(at + strlen(name), line + length);
}

/* The symbol of a stream that ends with `tail`, in capitals. Gives what follows the tail; NULL when
 * the line is of another stream. */
static const char *
stream_read(const char *line, size_t length, const char *tail, code_t *symbol)
{
    static const char BEGIN[] = "{\"stream\":\"";
    const char *end = line + length, *at = memmem(line, length, BEGIN, strlen(BEGIN));
    *symbol = (code_t){""};
    if (at == NULL)
        return NULL;
    at += strlen(BEGIN);
    const char *stop = memmem(at, (size_t)(end - at), tail, strlen(tail));
    if (stop == NULL || code_from(at, (size_t)(stop - at), symbol) != OK)
        return NULL;
    *symbol = instrument_large(*symbol);
    return stop + strlen(tail);
}

bool
recording_mark_read(const char *line, size_t length, struct recording_mark *out)
{
    *out = (struct recording_mark){0};
    const char *what = stream_read(line, length, "@scrip\",\"data\":{\"mark\":\"", &out->symbol);
    if (what == NULL)
        return false;
    for (size_t n = 0; n + 1 < sizeof(out->what) && what < line + length && *what != '"'; n++)
        out->what[n] = *what++;
    out->first = number_of(line, length, "\"first\":");
    out->last = number_of(line, length, "\"last\":");
    out->lines = number_of(line, length, "\"lines\":");
    return true;
}

bool
recording_trade_read(const char *line, size_t length, struct recording_trade *out)
{
    *out = (struct recording_trade){0};
    if (stream_read(line, length, "@trade\",\"data\":{", &out->symbol) == NULL)
        return false;
    out->id = number_of(line, length, "\"t\":");
    return out->id > 0;
}

void
form_put_entry(uint8_t *at, const struct recording_frame *f)
{
    at = form_put(at, f->offset);
    at = form_put(at, (uint64_t)f->bytes << 32 | f->plain_bytes);
    at = form_put(at, (uint64_t)f->first_us);
    at = form_put(at, (uint64_t)f->last_us);
    at = form_put(at, (uint64_t)f->first_market_us);
    at = form_put(at, (uint64_t)f->last_market_us);
    at = form_put(at, f->lines);
    at = form_put(at, f->trades);
    form_put(at,
             (uint64_t)f->marks << 32 | (f->begins_books ? 1u : 0u) | (f->ends_books ? 2u : 0u));
}

void
form_get_entry(const uint8_t *at, struct recording_frame *f)
{
    uint64_t sizes = form_get(at + 8), marks = form_get(at + 64);
    *f = (struct recording_frame){.offset = form_get(at),
                                  .bytes = (uint32_t)(sizes >> 32),
                                  .plain_bytes = (uint32_t)sizes,
                                  .first_us = (int64_t)form_get(at + 16),
                                  .last_us = (int64_t)form_get(at + 24),
                                  .first_market_us = (int64_t)form_get(at + 32),
                                  .last_market_us = (int64_t)form_get(at + 40),
                                  .lines = (uint32_t)form_get(at + 48),
                                  .trades = (uint32_t)form_get(at + 56),
                                  .marks = (uint32_t)(marks >> 32),
                                  .begins_books = (marks & 1) != 0,
                                  .ends_books = (marks & 2) != 0};
}
