/*
 * spec.c - reads the sources line, and says what is wrong with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/spec.h"

#include <string.h>

#include "base/instrument.h"
#include "base/scan.h"

#define RATE_MAX   10000u
#define LEVELS_MAX 1000u

/* The sentence is put together by hand: a core does not format. */
static enum err
refuse(char *why, const char *what, struct slice about)
{
    size_t at = 0, room = SPEC_WHY_BYTES - 1;
    for (const char *c = what; *c != '\0' && at < room; c++)
        why[at++] = *c;
    for (size_t i = 0; i < about.length && at < room; i++)
        why[at++] = about.at[i];
    why[at] = '\0';
    return ERR_CONFIG_BAD_VALUE;
}

/* Cuts the part before the separator off the rest; the last part leaves nothing. */
static struct slice
cut(struct slice *rest, char separator)
{
    const char *at = rest->length > 0 ? memchr(rest->at, separator, rest->length) : NULL;
    struct slice part = *rest;
    if (at == NULL) {
        rest->at += rest->length;
        rest->length = 0;
        return part;
    }
    part.length = (size_t)(at - rest->at);
    rest->length -= part.length + 1;
    rest->at = at + 1;
    return part;
}

static enum err
symbols_read(struct slice list, struct spec *s, char *why)
{
    while (list.length > 0) {
        struct slice name = cut(&list, ',');
        code_t symbol;
        if (name.length == 0 || code_from(name.at, name.length, &symbol) != OK)
            return refuse(why, "not a symbol's name: ", name);
        if (s->symbol_count > 0 && spec_takes(s, symbol))
            return refuse(why, "a symbol is named twice: ", name);
        if (s->symbol_count == SPEC_SYMBOLS_MAX)
            return refuse(why, "a source takes at most 1024 symbols: ", name);
        s->symbols[s->symbol_count++] = symbol;
    }
    return s->symbol_count > 0 ? OK : refuse(why, "symbols= names none", list);
}

static bool
number(struct slice value, uint64_t min, uint64_t max, uint64_t *out)
{
    value.kind = 'n';
    return slice_u64(value, out) && *out >= min && *out <= max;
}

static enum err
synthetic_option(struct slice name, struct slice value, struct spec *s, char *why)
{
    uint64_t n;
    if (slice_is(name, "seed")) {
        if (!number(value, 0, UINT64_MAX, &s->seed))
            return refuse(why, "seed= is a number from 0: ", value);
    } else if (slice_is(name, "rate")) {
        if (!number(value, 1, RATE_MAX, &n))
            return refuse(why, "rate= is 1 to 10000 updates a second: ", value);
        s->rate = (uint32_t)n;
    } else if (slice_is(name, "levels")) {
        if (!number(value, 1, LEVELS_MAX, &n))
            return refuse(why, "levels= is 1 to 1000: ", value);
        s->levels = (uint32_t)n;
    } else {
        return refuse(why, "synthetic takes seed, symbols, rate and levels, not ", name);
    }
    return OK;
}

static enum err
market_read(struct slice value, struct spec *s, char *why)
{
    s->market = slice_is(value, "usdm") ? TRADING_TYPE_futures : TRADING_TYPE_spot;
    if (s->market == TRADING_TYPE_spot && !slice_is(value, "spot"))
        return refuse(why, "the market is spot or usdm, not ", value);
    return OK;
}

static enum err
playback_option(struct slice name, struct slice value, struct spec *s, char *why)
{
    if (slice_is(name, "speed")) {
        value.kind = 'n';
        s->speed.v = 0;
        if (!slice_is(value, "max") &&
            (!slice_decimal(value, &s->speed.v) || s->speed.v <= 0 || s->speed.v > SPEC_SPEED_MAX))
            return refuse(why, "speed= is max or a number up to 1000000: ", value);
    } else if (slice_is(name, "clock")) {
        s->clock_now = slice_is(value, "now");
        if (!s->clock_now && !slice_is(value, "kept"))
            return refuse(why, "clock= is now or kept, not ", value);
    } else if (slice_is(name, "loop")) {
        s->loop = slice_is(value, "1");
        if (!s->loop && !slice_is(value, "0"))
            return refuse(why, "loop= is 1 or 0, not ", value);
    } else if (slice_is(name, "follow")) {
        s->follow = slice_is(value, "1");
        if (!s->follow && !slice_is(value, "0"))
            return refuse(why, "follow= is 1 or 0, not ", value);
    } else if (slice_is(name, "market")) {
        return market_read(value, s, why);
    } else {
        return refuse(why, "playback takes speed, clock, loop, follow, market and symbols, not ",
                      name);
    }
    return OK;
}

static enum err
options_read(struct slice rest, struct spec *s, char *why)
{
    while (rest.length > 0) {
        struct slice value = cut(&rest, ':');
        struct slice whole = value;
        if (memchr(value.at, '=', value.length) == NULL)
            return refuse(why, "an option is name=value: ", whole);
        struct slice name = cut(&value, '=');
        enum err e;
        if (slice_is(name, "symbols") || slice_is(name, "symbol"))
            e = symbols_read(value, s, why);
        else if (s->kind == SPEC_SYNTHETIC)
            e = synthetic_option(name, value, s, why);
        else if (s->kind == SPEC_BINANCE)
            e = refuse(why, "binance takes symbols, not ", name);
        else
            e = playback_option(name, value, s, why);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err
names_fit(const struct spec *s, char *why)
{
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        const char *text = s->symbols[i].text;
        struct slice name = {text, strlen(text), 's'};
        if (instrument_fits(s->market, s->symbols[i]))
            continue;
        if (s->market == TRADING_TYPE_spot)
            return refuse(why, "spot has no symbol ", name);
        return refuse(why, "of usdm, the perpetual of a pair is named PAIR_PERP, not ", name);
    }
    return OK;
}

static enum err
source_read(struct slice text, struct spec *s, char *why)
{
    struct slice kind = cut(&text, ':');
    enum err e = OK;
    *s = (struct spec){.speed = {DECIMAL_ONE},
                       .clock_now = true,
                       .market = TRADING_TYPE_spot,
                       .seed = 7,
                       .rate = 20,
                       .levels = 20};
    if (slice_is(kind, "playback")) {
        s->kind = SPEC_PLAYBACK;
        struct slice files = cut(&text, ':');
        if (files.length == 0 || files.length >= SPEC_FILES_BYTES)
            return refuse(why, "playback needs a file: playback:/path/to/file", files);
        memcpy(s->files, files.at, files.length);
    } else if (slice_is(kind, "synthetic")) {
        s->kind = SPEC_SYNTHETIC;
    } else if (slice_is(kind, "binance")) {
        /* What is heard is due at once, and keeps its times. */
        s->kind = SPEC_BINANCE;
        s->speed.v = 0;
        s->clock_now = false;
        e = market_read(cut(&text, ':'), s, why);
    } else {
        return refuse(why, "a source is synthetic, playback or binance, not ", kind);
    }
    if (e == OK)
        e = options_read(text, s, why);
    if (e == OK && s->loop && s->follow)
        return refuse(why, "a file that is followed has no end to begin again at: ", kind);
    if (e == OK && s->kind != SPEC_PLAYBACK && s->symbol_count == 0)
        return refuse(why, "a source that is not played back needs symbols=: ", kind);
    if (e == OK && s->kind == SPEC_BINANCE)
        return names_fit(s, why);
    return e;
}

/* One symbol from two sources would be two markets under one name. */
static enum err
clashes(const struct spec *specs, uint32_t count, char *why)
{
    const struct spec *last = &specs[count - 1];
    for (uint32_t i = 0; i + 1 < count; i++) {
        for (uint32_t n = 0; n < last->symbol_count; n++) {
            const char *text = last->symbols[n].text;
            if (specs[i].symbol_count > 0 && spec_takes(&specs[i], last->symbols[n]))
                return refuse(why, "two sources give ", (struct slice){text, strlen(text), 's'});
        }
    }
    return OK;
}

static struct slice
trim(struct slice s)
{
    while (s.length > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.length--;
    }
    while (s.length > 0 && (s.at[s.length - 1] == ' ' || s.at[s.length - 1] == '\t'))
        s.length--;
    return s;
}

enum err
spec_read(const char *text, struct spec out[SPEC_SOURCES_MAX], uint32_t *count,
          char why[SPEC_WHY_BYTES])
{
    struct slice rest = trim((struct slice){text, strlen(text), 's'});
    *count = 0;
    why[0] = '\0';
    if (rest.length == 0)
        return refuse(why, "sources is empty", rest);
    while (rest.length > 0) {
        struct slice source = trim(cut(&rest, ';'));
        if (source.length == 0)
            continue;
        if (*count == SPEC_SOURCES_MAX)
            return refuse(why, "at most 16 sources: ", source);
        enum err e = source_read(source, &out[(*count)++], why);
        if (e == OK)
            e = clashes(out, *count, why);
        if (e != OK)
            return e;
    }
    return OK;
}

bool
spec_takes(const struct spec *s, code_t symbol)
{
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        if (code_same(s->symbols[i], symbol))
            return true;
    }
    return s->symbol_count == 0;
}
