/*
 * playback.c - recorded files as a source: raw recordings of Binance's streams, and public CSVs.
 *
 * A seek reads on from where the books before the time are known, tells nobody of what comes up to
 * it (past.h), and then how each symbol stood.
 *
 * Which of the two a file is, its first line tells: a raw recording begins `<time> {`. Lines that
 * cannot be read are counted and passed over, with a log line at most every ten seconds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "host/log.h"
#include "market/recording.h"
#include "market/rules.h"
#include "marketdata/core/binance.h"
#include "marketdata/core/csv.h"
#include "marketdata/shell/past.h"
#include "marketdata/shell/reader.h"
#include "marketdata/shell/source.h"

#define LEVELS_MAX   5000u
#define LOG_EVERY_US 10000000
#define FOLLOW_MS    5
#define LOOK_BACK_US 10000000 /* what traded so long before a seek has its last price at once */

enum format { FORMAT_UNKNOWN, FORMAT_RAW, FORMAT_CSV, FORMAT_NEITHER };

struct playback {
    const struct spec *spec;
    const struct symbol_rules *rules;
    uint32_t rules_count;
    struct source_counts *counts;
    struct reader *reader;
    enum format format; /* of the current file */
    struct csv_layout layout;
    /* Whose lines these are: CSV files and REST snapshots do not say. */
    code_t symbol; /* of the current CSV file, or the only one seen in the recording so far */
    bool has_many; /* more than one symbol was seen */
    price_t tick;
    struct binance_room room;
    struct md_event rows[CSV_EVENTS_MAX];
    uint32_t row_count, row_at;
    int64_t begin_us; /* receive time of the first event; 0 = not read yet */
    /* A seek. */
    struct past *past; /* NULL when there is none */
    int64_t seek_us;
    enum { SEEK_NONE, SEEK_READS, SEEK_TELLS } seek;
    bool has_held, has_ended; /* the first event behind it was read; there is none */
    struct md_event held;
    struct loop *loop;
    struct loop_timer *timer; /* of a followed file: when it is looked at again */
    struct source_env env;
};

/* The market of the current file. */
static enum trading_type
market_of(const struct playback *p)
{
    enum trading_type own = reader_market(p->reader);
    return own != 0 ? own : p->spec->market;
}

/* A file with a thousand bad lines gets one log line every ten seconds; the metric has them all. */
static void
skip(struct playback *p, const char *what)
{
    p->counts->skipped++;
    snprintf(p->counts->why, sizeof p->counts->why, "%s: %s", reader_path(p->reader), what);
    int64_t now_us = p->loop == NULL ? 0 : loop_steady_us(p->loop);
    if (p->counts->has_logged && now_us - p->counts->logged_us < LOG_EVERY_US)
        return;
    p->counts->has_logged = true;
    p->counts->logged_us = now_us;
    log_line(LOG_WARN, "line_skipped", "file=\"%s\" why=\"%s\" skipped=%llu",
             reader_path(p->reader), what, (unsigned long long)p->counts->skipped);
}

/* The symbol in a file's name, such as BTCUSDT-trades-2024-08.csv: the only part of the name that
 * has rules. */
static bool
symbol_of_name(const struct playback *p, const char *path, code_t *out)
{
    const char *at = strrchr(path, '/');
    at = at == NULL ? path : at + 1;
    uint32_t found = 0;
    while (*at != '\0') {
        size_t length = 0;
        while (isalnum((unsigned char)at[length]))
            length++;
        code_t symbol;
        if (length > 0 && code_from(at, length, &symbol) == OK &&
            instrument_from_exchange(market_of(p), symbol, &symbol) &&
            rules_find(p->rules, p->rules_count, symbol) != NULL) {
            *out = symbol;
            found++;
        }
        at += length + (at[length] != '\0');
    }
    return found == 1;
}

static bool
csv_symbol(struct playback *p)
{
    if (p->spec->symbol_count == 1)
        p->symbol = p->spec->symbols[0];
    else if (!symbol_of_name(p, reader_path(p->reader), &p->symbol) ||
             !spec_takes(p->spec, p->symbol))
        return false;
    const struct symbol_rules *r = rules_find(p->rules, p->rules_count, p->symbol);
    if (r == NULL)
        return false;
    p->tick = r->tick_size;
    return true;
}

static bool
is_raw(const char *line, size_t length)
{
    const char *blank = memchr(line, ' ', length < 32 ? length : 32);
    return blank != NULL && blank + 1 < line + length && blank[1] == '{';
}

/* The first line of a file. Gives whether the line is spent. */
static bool
format_find(struct playback *p, const char *line, size_t length)
{
    bool is_header = false;
    if (is_raw(line, length)) {
        p->format = FORMAT_RAW;
    } else if (csv_layout_read(line, length, &p->layout, &is_header) != OK) {
        p->format = FORMAT_NEITHER;
        skip(p, "the file is neither a raw recording nor a CSV of trades, aggTrades or klines");
    } else if (!csv_symbol(p)) {
        p->format = FORMAT_NEITHER;
        skip(p, "a CSV file needs symbols=, or one symbol with rules in its name");
    } else {
        p->format = FORMAT_CSV;
    }
    return is_header || p->format == FORMAT_NEITHER;
}

/* A snapshot without a name belongs to the recording's only symbol. */
static bool
symbol_settle(struct playback *p, struct md_event *e)
{
    if (!instrument_from_exchange(market_of(p), e->symbol, &e->symbol))
        return false;
    if (!code_empty(e->symbol)) {
        if (code_empty(p->symbol))
            p->symbol = e->symbol;
        else if (!code_same(p->symbol, e->symbol))
            p->has_many = true;
        return true;
    }
    if (p->spec->symbol_count == 1)
        e->symbol = p->spec->symbols[0];
    else if (!p->has_many)
        e->symbol = p->symbol;
    return !code_empty(e->symbol);
}

/* What the recorder remarked is told to the core as the live source did. */
static void
mark_read(const char *line, size_t length, struct md_event *e)
{
    struct recording_mark m;
    if (!recording_mark_read(line, length, &m) || code_empty(m.symbol))
        return;
    e->symbol = m.symbol;
    e->first_id = m.first;
    e->last_id = m.last;
    if (strcmp(m.what, "gap") == 0) {
        e->kind = MD_EVENT_GAP;
    } else if (strcmp(m.what, "heal") == 0 || strcmp(m.what, "lost") == 0) {
        e->kind = MD_EVENT_HEALED;
        e->lost = m.what[0] == 'l' && m.last >= m.first ? m.last - m.first + 1 : 0;
    } else if (strcmp(m.what, "away") == 0) {
        e->kind = MD_EVENT_AWAY;
    }
}

static enum source_step
raw_line(struct playback *p, const char *line, size_t length, struct md_event *out)
{
    if (binance_line(line, length, &p->room, out) != OK) {
        skip(p, "the line is malformed");
        return SOURCE_MORE;
    }
    if (out->kind == MD_EVENT_NONE)
        mark_read(line, length, out);
    if (out->kind == MD_EVENT_NONE || !symbol_settle(p, out) || !spec_takes(p->spec, out->symbol)) {
        p->counts->ignored++;
        return SOURCE_MORE;
    }
    return SOURCE_EVENT;
}

static enum source_step
csv_line(struct playback *p, const char *line, size_t length)
{
    p->row_at = 0;
    if (length > 0 && csv_row(&p->layout, line, length, p->tick, p->rows, &p->row_count) != OK) {
        p->row_count = 0;
        skip(p, "the line is malformed");
    }
    return SOURCE_MORE;
}

static enum source_step
take_line(struct playback *p, const char *line, size_t length, struct md_event *out)
{
    if (reader_is_first_line(p->reader)) {
        p->format = FORMAT_UNKNOWN;
        if (format_find(p, line, length))
            return SOURCE_MORE;
    }
    switch (p->format) {
    case FORMAT_RAW:
        return raw_line(p, line, length, out);
    case FORMAT_CSV:
        return csv_line(p, line, length);
    case FORMAT_UNKNOWN:
    case FORMAT_NEITHER:
        p->counts->skipped++;
        break;
    }
    return SOURCE_MORE;
}

static void
on_time(void *arg)
{
    const struct playback *p = arg;
    p->env.on_ready(p->env.arg);
}

/* A file that is written to does not call: it is looked at again after a moment. */
static enum source_step
wait_for_more(struct playback *p)
{
    if (p->loop == NULL)
        return SOURCE_WAIT;
    if (p->timer == NULL)
        p->timer = loop_timer_new(p->loop, FOLLOW_MS, 0, on_time, p);
    else
        loop_timer_again(p->timer, FOLLOW_MS);
    return SOURCE_WAIT;
}

/* The next event of the files. */
static enum source_step
event_next(struct playback *p, struct md_event *out)
{
    if (p->row_at < p->row_count) {
        *out = p->rows[p->row_at++];
        out->symbol = p->symbol;
        return SOURCE_EVENT;
    }
    const char *line;
    size_t length;
    switch (reader_next(p->reader, &line, &length)) {
    case READER_LINE:
        return take_line(p, line, length, out);
    case READER_MORE:
        return SOURCE_MORE;
    case READER_WAIT:
        return wait_for_more(p);
    case READER_LONG:
        skip(p, "the line is longer than 1 MiB");
        return SOURCE_MORE;
    case READER_BAD:
        p->counts->skipped++;
        snprintf(p->counts->why, sizeof p->counts->why, "%s", reader_why(p->reader));
        log_line(LOG_ERROR, "file_unreadable", "why=\"%s\"", reader_why(p->reader));
        return SOURCE_MORE;
    case READER_END:
        break;
    }
    return SOURCE_END;
}

/* Reads on to the time, quietly. */
static enum source_step
seek_read(struct playback *p)
{
    enum source_step step = event_next(p, &p->held);
    if (step == SOURCE_EVENT && p->held.at_us < p->seek_us) {
        past_apply(p->past, &p->held);
        return SOURCE_MORE;
    }
    if (step != SOURCE_EVENT && step != SOURCE_END)
        return step;
    p->has_held = step == SOURCE_EVENT;
    p->has_ended = step == SOURCE_END;
    p->seek = SEEK_TELLS;
    return SOURCE_MORE;
}

/* How each symbol stood, then the event that was read last; its lists are still there. */
static enum source_step
seek_tell(struct playback *p, struct md_event *out)
{
    if (past_next(p->past, p->seek_us, out))
        return SOURCE_STATE;
    p->seek = SEEK_NONE;
    past_free(&p->past);
    if (!p->has_held)
        return p->has_ended ? SOURCE_END : SOURCE_MORE;
    *out = p->held;
    return SOURCE_EVENT;
}

static enum source_step
playback_next(void *self, struct md_event *out)
{
    struct playback *p = self;
    enum source_step step = SOURCE_MORE;
    switch (p->seek) {
    case SEEK_NONE:
        step = event_next(p, out);
        break;
    case SEEK_READS:
        return seek_read(p);
    case SEEK_TELLS:
        return seek_tell(p, out);
    }
    if (step == SOURCE_EVENT && p->begin_us == 0)
        p->begin_us = out->at_us;
    return step;
}

static enum err
playback_seek(void *self, int64_t to_us, char why[SOURCE_WHY_BYTES])
{
    struct playback *p = self;
    (void)why;
    if (p->timer != NULL)
        loop_timer_stop(p->timer);
    past_free(&p->past);
    p->past = past_new();
    p->seek = SEEK_READS;
    p->seek_us = to_us;
    p->row_at = p->row_count = 0;
    p->has_held = p->has_ended = false;
    reader_seek(p->reader, to_us - LOOK_BACK_US);
    return OK;
}

static void
playback_view(const void *self, struct source_view *out)
{
    const struct playback *p = self;
    reader_range(p->reader, &out->begin_us, &out->end_us);
    if (out->begin_us == 0)
        out->begin_us = p->begin_us;
}

static void
playback_rules_set(void *self, const struct symbol_rules *rules, uint32_t count)
{
    struct playback *p = self;
    p->rules = rules;
    p->rules_count = count;
}

static void
playback_close(void **self)
{
    struct playback *p = *self;
    if (p == NULL)
        return;
    if (p->timer != NULL)
        loop_timer_end(&p->timer);
    past_free(&p->past);
    reader_close(&p->reader);
    free(p->room.levels);
    free(p);
    *self = NULL;
}

static enum err
playback_open(const struct spec *spec, const struct source_env *env, void **self,
              char why[SOURCE_WHY_BYTES])
{
    for (uint32_t i = 0; i < spec->symbol_count; i++) {
        if (rules_find(env->rules, env->rules_count, spec->symbols[i]) == NULL) {
            snprintf(why, SOURCE_WHY_BYTES, "there are no rules for %s", spec->symbols[i].text);
            return ERR_SYMBOL_UNKNOWN;
        }
    }
    struct playback *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    p->spec = spec;
    p->rules = env->rules;
    p->rules_count = env->rules_count;
    p->counts = env->counts;
    p->loop = env->loop;
    p->env = *env;
    enum err e = reader_open(spec->files, spec->market, &p->reader, why);
    if (e != OK) {
        free(p);
        return e;
    }
    if (spec->follow)
        reader_follow(p->reader);
    p->room.levels_max = LEVELS_MAX;
    p->room.levels = calloc(2 * (size_t)LEVELS_MAX, sizeof(*p->room.levels));
    CHECK(p->room.levels != NULL);
    *self = p;
    return OK;
}

static const char *
playback_where(const void *self)
{
    const struct playback *p = self;
    return reader_path(p->reader);
}

const struct source_ops source_playback = {
    .kind = "playback",
    .open = playback_open,
    .next = playback_next,
    .close = playback_close,
    .where = playback_where,
    .seek = playback_seek,
    .rules_set = playback_rules_set,
    .view = playback_view,
};
