/*
 * market_load.c - scripctl market load: history into the candle table, from an exchange's REST or
 * from archive files, and longer candles folded from what is there.
 *
 * What has been loaded is not asked for again: the table knows. So a load that was stopped goes on
 * where it was, and one that is repeated has nothing to do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/command.h"
#include "scripctl/market_files.h"
#include "scripctl/market_rest.h"
#include "scripctl/value.h"

#define SYMBOLS_MAX 256u
#define PATHS_BYTES 65536u

struct load {
    const struct call *c;
    struct market_table *table;
    code_t symbols[SYMBOLS_MAX];
    uint32_t symbol_count;
    enum interval intervals[INTERVALS];
    uint32_t interval_count;
    struct market_span range;
    int64_t now_us;
    uint64_t skipped;
    char why[WHY_BYTES];
};

/* ---- What was said ------------------------------------------------------------------------ */

/* One word of a list with commas; false at its end. */
static bool
list_next(const char **at, const char **word, size_t *length)
{
    if (*at == NULL || **at == '\0')
        return false;
    *word = *at;
    *length = strcspn(*at, ",");
    *at += *length + ((*at)[*length] == ',');
    return true;
}

static enum status
symbols_read(struct load *l)
{
    const char *at = l->c->o.symbol, *word;
    size_t length;
    while (list_next(&at, &word, &length)) {
        if (l->symbol_count == SYMBOLS_MAX || length == 0 ||
            code_from(word, length, &l->symbols[l->symbol_count]) != OK)
            return refuse(l->c, STATUS_USAGE, "SYMBOL_INVALID",
                          "'%.*s' is no symbol such as BTCUSDT, or one too many",
                          (int)(length < 40 ? length : 40), word);
        l->symbol_count++;
    }
    return STATUS_OK;
}

static enum interval
interval_of(const char *word, size_t length)
{
    for (uint32_t i = 1; i <= INTERVALS; i++) {
        const char *name = interval_name((enum interval)i);
        if (strlen(name) == length && strncmp(name, word, length) == 0)
            return (enum interval)i;
    }
    return (enum interval)0;
}

/* Seconds only by name: a day of them is sixty times the work, and they do not stay. */
static enum status
intervals_read(struct load *l)
{
    const char *at = l->c->o.interval, *word;
    size_t length;
    bool is_all = at != NULL && strcmp(at, "all") == 0;
    for (uint32_t i = 1; i <= INTERVALS && is_all; i++) {
        if (i != INTERVAL_1s)
            l->intervals[l->interval_count++] = (enum interval)i;
    }
    while (!is_all && list_next(&at, &word, &length)) {
        enum interval i = interval_of(word, length);
        if (i == 0 || l->interval_count == INTERVALS)
            return refuse(l->c, STATUS_USAGE, "INTERVAL_INVALID",
                          "'%.*s' is no interval: 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w "
                          "1M, or all",
                          (int)(length < 40 ? length : 40), word);
        l->intervals[l->interval_count++] = i;
    }
    return STATUS_OK;
}

static enum status
failed(struct load *l, const char *code)
{
    return refuse(l->c, STATUS_FAILED, code, "%s", l->why);
}

static void
told(struct load *l, const struct market_series *s)
{
    market_series_tell(s, l->c->out);
    l->skipped += s->unreadable + s->unaligned;
}

/* ---- From an exchange --------------------------------------------------------------------- */

/* Page after page, each from behind the last candle on, until there is none any more. */
static bool
span_load(struct load *l, struct market_rest *rest, struct market_series *s,
          struct market_span span, struct market_page *page, struct progress *p)
{
    int64_t at_us = span.from_us;
    s->next_us = span.from_us;
    while (at_us < span.until_us) {
        if (!market_rest_page(rest, s->symbol, s->interval, at_us, span.until_us, page, l->why))
            return false;
        s->unreadable += page->rows - page->count;
        for (uint32_t n = 0; n < page->count; n++) {
            if (!market_series_take(s, &page->candles[n], page->ends_us[n], true, l->why))
                return false;
        }
        progress_add(p, page->count);
        int64_t last_us = page->count == 0 ? 0 : page->candles[page->count - 1].open_time_us;
        if (last_us < at_us)
            break;
        at_us = interval_end(s->interval, last_us);
    }
    market_series_ends_at(s, span.until_us);
    return true;
}

/* From the first candle that opens within the range to the last one that is over. */
static struct market_span
range_of(const struct load *l, enum interval i)
{
    struct market_span s = {interval_open(i, l->range.from_us), l->range.until_us};
    if (s.from_us < l->range.from_us)
        s.from_us = interval_end(i, s.from_us);
    int64_t open_us = interval_open(i, l->now_us);
    if (s.until_us > open_us)
        s.until_us = open_us;
    return s;
}

static bool
series_load(struct load *l, struct market_rest *rest, struct market_series *s,
            struct market_page *page)
{
    struct market_span *spans = NULL, range = range_of(l, s->interval);
    uint32_t count = 0;
    char what[64];
    struct progress p;
    if (range.from_us >= range.until_us)
        return true;
    if (!market_table_missing(l->table, s->symbol, s->interval, range, &spans, &count, l->why))
        return false;
    uint64_t total = 0;
    int64_t width_us = interval_end(s->interval, range.from_us) - range.from_us;
    for (uint32_t n = 0; n < count; n++)
        total += (uint64_t)((spans[n].until_us - spans[n].from_us) / width_us);
    snprintf(what, sizeof what, "%s %s", s->symbol.text, interval_name(s->interval));
    progress_begin(&p, what, "candles", total, l->c->o.quiet);
    bool is_well = true;
    for (uint32_t n = 0; n < count && is_well; n++)
        is_well = span_load(l, rest, s, spans[n], page, &p);
    progress_end(&p);
    free(spans);
    return is_well && market_series_leave(s, l->why);
}

static enum status
exchange_load(struct load *l)
{
    if (l->symbol_count == 0 || l->interval_count == 0 || l->c->o.since == INT64_MIN)
        return refuse(l->c, STATUS_USAGE, "USAGE",
                      "name --symbol, --interval and --since, or --files, or --build");
    const struct market_rest_options o = {
        .url = l->c->o.url, .ca_file = l->c->o.ca_file, .redis = l->c->o.redis};
    struct market_rest *rest = market_rest_open(&o, l->why);
    if (rest == NULL)
        return failed(l, "NOT_LOADED");
    struct market_page *page = calloc(1, sizeof *page);
    struct market_series *all = calloc((size_t)l->symbol_count * l->interval_count, sizeof *all);
    CHECK(page != NULL && all != NULL);
    bool is_well = true;
    uint32_t count = 0;
    market_series_columns(l->c->out);
    for (uint32_t n = 0; n < l->symbol_count && is_well; n++) {
        for (uint32_t i = 0; i < l->interval_count && is_well; i++) {
            struct market_series *s = &all[count++];
            market_series_init(s, l->table, l->symbols[n], l->intervals[i],
                               range_of(l, l->intervals[i]), l->now_us);
            is_well = series_load(l, rest, s, page);
            told(l, s);
        }
    }
    for (uint32_t n = 0; n < count; n++)
        market_series_tell_gaps(&all[n], l->c->out);
    free(all);
    free(page);
    market_rest_close(&rest);
    return is_well ? STATUS_OK : failed(l, "NOT_LOADED");
}

/* ---- Folding ------------------------------------------------------------------------------ */

static bool
fold_all(struct load *l, code_t symbol, struct market_span span)
{
    for (uint32_t i = INTERVAL_3m; i <= INTERVALS; i++) {
        if (i != INTERVAL_1s &&
            !market_table_fold(l->table, symbol, (enum interval)i, span, l->why))
            return false;
    }
    return true;
}

static enum status
build(struct load *l)
{
    if (l->symbol_count == 0)
        return refuse(l->c, STATUS_USAGE, "USAGE", "name with --symbol whose candles are folded");
    out_table(l->c->out, "symbol from until written>");
    for (uint32_t n = 0; n < l->symbol_count; n++) {
        struct market_span span;
        uint64_t before = market_table_written(l->table);
        if (!market_table_stored(l->table, l->symbols[n], &span, l->why))
            return refuse(l->c, STATUS_NO, "NOTHING_STORED", "%s", l->why);
        if (span.from_us < l->range.from_us)
            span.from_us = l->range.from_us;
        if (span.until_us > l->range.until_us)
            span.until_us = l->range.until_us;
        if (!fold_all(l, l->symbols[n], span))
            return failed(l, "NOT_WRITTEN");
        out_text(l->c->out, l->symbols[n].text);
        out_time(l->c->out, span.from_us);
        out_time(l->c->out, span.until_us);
        out_uint(l->c->out, market_table_written(l->table) - before);
        out_row_end(l->c->out);
    }
    return STATUS_OK;
}

/* ---- From files --------------------------------------------------------------------------- */

static const struct market_series *
minutes_of(const struct market_files *f, code_t symbol)
{
    uint32_t n = 0;
    while (f->series[n].interval != INTERVAL_1m || !code_same(f->series[n].symbol, symbol))
        n++;
    return &f->series[n];
}

/* What came as trades gives all intervals. */
static enum status
files_fold(struct load *l, const struct market_files *f)
{
    for (uint32_t n = 0; n < f->folded_count; n++) {
        const struct market_series *s = minutes_of(f, f->folded[n]);
        const struct market_span span = {s->first_us, s->last_us + 1};
        if (s->first_us != 0 && !fold_all(l, s->symbol, span))
            return failed(l, "NOT_WRITTEN");
    }
    return STATUS_OK;
}

static enum status
files_tell(struct load *l, const struct market_files *f)
{
    market_series_columns(l->c->out);
    for (uint32_t n = 0; n < f->count; n++)
        told(l, &f->series[n]);
    for (uint32_t n = 0; n < f->count; n++)
        market_series_tell_gaps(&f->series[n], l->c->out);
    if (f->trades > 0)
        out_say(l->c->out, "%" PRIu64 " trades folded, %" PRIu64 " missing among them", f->trades,
                f->lost_trades);
    if (f->bad_files > 0)
        return refuse(l->c, STATUS_NO, "FILE_UNREADABLE", "%s%s", f->bad_why,
                      f->bad_files > 1 ? ", and further files" : "");
    return STATUS_OK;
}

static enum status
files_load(struct load *l)
{
    const struct options *o = &l->c->o;
    char *paths = calloc(1, PATHS_BYTES);
    struct market_files *f = calloc(1, sizeof *f);
    CHECK(paths != NULL && f != NULL);
    size_t length = 0;
    for (uint32_t n = 0; n < o->files_count && length < PATHS_BYTES; n++)
        length += (size_t)snprintf(paths + length, PATHS_BYTES - length, "%s%s", n > 0 ? "," : "",
                                   o->files[n]);
    struct market_files_options options = {
        .paths = paths, .range = l->range, .now_us = l->now_us, .is_quiet = o->quiet};
    if (l->symbol_count == 1)
        options.symbol = l->symbols[0];
    if (l->interval_count == 1)
        options.interval = l->intervals[0];
    enum status status = STATUS_OK;
    if (l->symbol_count > 1 || l->interval_count > 1 || length >= PATHS_BYTES)
        status = refuse(l->c, STATUS_USAGE, "USAGE",
                        "files have one --symbol and one --interval, or tell them by their names");
    else if (!market_files_load(&options, l->table, f, l->why))
        status = failed(l, "NOT_LOADED");
    if (status == STATUS_OK)
        status = files_fold(l, f);
    if (status == STATUS_OK)
        status = files_tell(l, f);
    free(f);
    free(paths);
    return status;
}

/* ---- The command -------------------------------------------------------------------------- */

static enum status
load_all(struct load *l)
{
    enum status status = l->c->o.files_count > 0 ? files_load(l)
                         : l->c->o.build         ? build(l)
                                                 : exchange_load(l);
    if (status == STATUS_OK && l->c->o.files_count > 0 && l->c->o.build)
        status = build(l);
    if (status == STATUS_OK && l->skipped > 0)
        return refuse(l->c, STATUS_NO, "ROWS_INVALID",
                      "%" PRIu64 " rows could not be read or do not open where an interval does",
                      l->skipped);
    return status;
}

enum status
market_load(const struct call *c)
{
    struct load l = {.c = c, .now_us = value_now_us()};
    l.range = (struct market_span){c->o.since == INT64_MIN ? 0 : c->o.since,
                                   c->o.until == INT64_MIN ? INT64_MAX : c->o.until};
    if (c->o.database == NULL)
        return refuse(c, STATUS_USAGE, "USAGE",
                      "candles go into a database: name it with "
                      "--database");
    enum status status = symbols_read(&l);
    if (status == STATUS_OK)
        status = intervals_read(&l);
    if (status != STATUS_OK)
        return status;
    l.table = market_table_open(c->o.database, l.why);
    status = l.table == NULL ? failed(&l, "SOURCE_UNREADABLE") : load_all(&l);
    market_table_close(&l.table);
    return status;
}
