/*
 * market_files.c - see market_files.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/market_files.h"

#include <stdio.h>
#include <string.h>

#include "marketdata/core/csv.h"
#include "marketdata/shell/reader.h"

/* The file that is being read. */
struct file {
    struct csv_layout layout;
    code_t symbol;
    enum interval interval; /* of klines; 0 = not known yet */
    bool is_usable;
    struct market_series *series;
    /* Of trades: the minute under way, and the trade before. */
    struct candle minute;
    bool has_minute, is_whole;
    uint64_t last_id;
};

struct loading {
    const struct market_files_options *o;
    struct market_table *table;
    struct market_files *out;
    struct file file;
    struct progress progress;
    char *why;
};

/* ---- Names -------------------------------------------------------------------------------- */

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* BTCUSDT of BTCUSDT-1m-2024-08.zip. */
static bool
symbol_named(const char *path, code_t *out)
{
    const char *name = base_name(path);
    size_t length = strcspn(name, "-");
    return name[length] == '-' && length > 0 && code_from(name, length, out) == OK;
}

/* 1m of it; months are written 1mo in archives, since 1m is a minute. */
static enum interval
interval_named(const char *path)
{
    const char *word = base_name(path);
    while (*word != '\0') {
        size_t length = strcspn(word, "-_.");
        for (uint32_t i = 1; i <= INTERVALS; i++) {
            const char *name = i == INTERVAL_1M ? "1mo" : interval_name((enum interval)i);
            if (strlen(name) == length && strncmp(word, name, length) == 0)
                return (enum interval)i;
        }
        word += length + (word[length] != '\0');
    }
    return (enum interval)0;
}

static enum interval
interval_of_width(int64_t open_us, int64_t end_us)
{
    for (uint32_t i = 1; i <= INTERVALS; i++) {
        if (end_us != 0 && interval_end((enum interval)i, open_us) == end_us)
            return (enum interval)i;
    }
    return (enum interval)0;
}

/* ---- Series ------------------------------------------------------------------------------- */

static bool
series_leave(struct loading *l)
{
    struct market_series *s = l->file.series;
    l->file.series = NULL;
    return s == NULL || market_series_leave(s, l->why);
}

static bool
series_enter(struct loading *l, enum interval i)
{
    struct market_files *f = l->out;
    uint32_t at = 0;
    while (at < f->count &&
           (!code_same(f->series[at].symbol, l->file.symbol) || f->series[at].interval != i))
        at++;
    if (at == MARKET_SERIES_MAX) {
        snprintf(l->why, WHY_BYTES, "more than %u symbols and intervals at once",
                 MARKET_SERIES_MAX);
        return false;
    }
    l->file.series = &f->series[at];
    if (at < f->count) {
        market_series_enter(l->file.series);
    } else {
        f->count++;
        market_series_init(l->file.series, l->table, l->file.symbol, i, l->o->range, l->o->now_us);
    }
    return true;
}

/* ---- Trades ------------------------------------------------------------------------------- */

static bool
minute_end(struct loading *l, bool is_whole)
{
    struct file *f = &l->file;
    if (!f->has_minute)
        return true;
    f->has_minute = false;
    f->minute.is_closed = true;
    return market_series_take(f->series, &f->minute, 0, is_whole, l->why);
}

/* Whether the trades before this one are all there. */
static bool
id_follows(struct loading *l, const struct md_event *e)
{
    struct file *f = &l->file;
    bool has_range = e->is_aggregate && e->first_trade > 0;
    uint64_t first = has_range ? e->first_trade : e->trade.trade_id;
    uint64_t before = f->last_id;
    f->last_id = has_range ? e->last_trade : e->trade.trade_id;
    if (before == 0 || first == before + 1)
        return true;
    if (first > before)
        l->out->lost_trades += first - before - 1;
    return false;
}

static bool
trade_take(struct loading *l, const struct md_event *e)
{
    struct file *f = &l->file;
    int64_t open_us = interval_open(INTERVAL_1m, e->trade.time_us);
    uint64_t count = e->last_trade > e->first_trade ? e->last_trade - e->first_trade + 1 : 1;
    struct candle_trade t = candle_trade_of(&e->trade, count);
    bool is_first = f->last_id == 0, follows = id_follows(l, e);
    l->out->trades += count;
    if (f->has_minute && f->minute.open_time_us == open_us) {
        candle_add(&f->minute, &t);
        f->is_whole = f->is_whole && follows;
        return true;
    }
    /* Missing trades may have been at the end of the minute before, or in this one. */
    if (!minute_end(l, f->is_whole && follows))
        return false;
    candle_begin(&f->minute, open_us, &t);
    f->has_minute = true;
    f->is_whole = follows && !is_first;
    return true;
}

static void
folded_add(struct market_files *f, code_t symbol)
{
    for (uint32_t i = 0; i < f->folded_count; i++) {
        if (code_same(f->folded[i], symbol))
            return;
    }
    f->folded[f->folded_count++] = symbol;
}

/* ---- Files and lines ---------------------------------------------------------------------- */

static void
file_bad(struct loading *l, const char *path, const char *reason)
{
    l->file.is_usable = false;
    if (l->out->bad_files++ == 0)
        snprintf(l->out->bad_why, WHY_BYTES, "%s%s%s", path, *path == 0 ? "" : ": ", reason);
}

/* Files of the same symbol's trades may join: 23:59 of one and 00:00 of the next. */
static bool
file_begin(struct loading *l, const char *path, const char *line, size_t length, bool *is_spent)
{
    struct file before = l->file;
    struct file *f = &l->file;
    *f = (struct file){.symbol = l->o->symbol, .interval = l->o->interval, .is_usable = true};
    *is_spent = true;
    if (csv_layout_read(line, length, &f->layout, is_spent) != OK)
        file_bad(l, path, "these are neither klines nor trades");
    else if (f->symbol.text[0] == '\0' && !symbol_named(path, &f->symbol))
        file_bad(l, path, "its name does not begin with a symbol; --symbol tells");
    if (f->interval == 0)
        f->interval = interval_named(path);
    bool is_trades = f->is_usable && f->layout.kind != CSV_KLINES;
    if (is_trades && before.has_minute && code_same(before.symbol, f->symbol) &&
        before.layout.kind == f->layout.kind) {
        before.layout = f->layout;
        *f = before;
        return true;
    }
    struct file next = *f;
    *f = before;
    if (!minute_end(l, false) || !series_leave(l))
        return false;
    *f = next;
    if (!is_trades)
        return true;
    folded_add(l->out, f->symbol);
    return series_enter(l, INTERVAL_1m);
}

static bool
kline_take(struct loading *l, const char *path, const char *line, size_t length)
{
    struct file *f = &l->file;
    struct candle c;
    int64_t end_us;
    bool is_read = csv_candle(&f->layout, line, length, &c, &end_us) == OK;
    if (f->series == NULL) {
        enum interval i = is_read ? interval_of_width(c.open_time_us, end_us) : (enum interval)0;
        if (i == 0)
            i = f->interval;
        if (i == 0) {
            file_bad(l, path, "neither it nor its name tells the interval; --interval does");
            return true;
        }
        if (!series_enter(l, i))
            return false;
    }
    if (!is_read) {
        f->series->read++;
        f->series->unreadable++;
        return true;
    }
    return market_series_take(f->series, &c, end_us, true, l->why);
}

static bool
line_take(struct loading *l, const char *path, const char *line, size_t length)
{
    struct md_event events[CSV_EVENTS_MAX];
    uint32_t count = 0;
    struct file *f = &l->file;
    if (!f->is_usable || length == 0)
        return true;
    progress_add(&l->progress, 1);
    if (f->layout.kind == CSV_KLINES)
        return kline_take(l, path, line, length);
    if (csv_row(&f->layout, line, length, (price_t){0}, events, &count) != OK || count != 1) {
        f->series->unreadable++;
        f->is_whole = false;
        return true;
    }
    return trade_take(l, &events[0]);
}

static bool
lines_take(struct loading *l, struct reader *r)
{
    const char *line = NULL;
    size_t length = 0;
    for (;;) {
        bool is_spent = false;
        switch (reader_next(r, &line, &length)) {
        case READER_LINE:
            if (reader_is_first_line(r) && !file_begin(l, reader_path(r), line, length, &is_spent))
                return false;
            if (!is_spent && !line_take(l, reader_path(r), line, length))
                return false;
            break;
        case READER_BAD:
            file_bad(l, "", reader_why(r)); /* it names the file itself */
            break;
        case READER_END:
            return minute_end(l, false) && series_leave(l);
        case READER_MORE:
        case READER_LONG:
        case READER_WAIT:
            break;
        }
    }
}

bool
market_files_load(const struct market_files_options *o, struct market_table *t,
                  struct market_files *out, char why[WHY_BYTES])
{
    struct loading l = {.o = o, .table = t, .out = out, .why = why};
    struct reader *r = NULL;
    char reader_said[READER_WHY_BYTES];
    if (reader_open(o->paths, (enum trading_type)0, &r, reader_said) != OK) {
        snprintf(why, WHY_BYTES, "%s", reader_said);
        return false;
    }
    progress_begin(&l.progress, "loading", "rows", 0, o->is_quiet);
    bool is_well = lines_take(&l, r);
    progress_end(&l.progress);
    reader_close(&r);
    return is_well;
}
