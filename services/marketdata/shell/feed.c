/*
 * feed.c - the schedule of the sources.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/log.h"
#include "marketdata/shell/feed_priv.h"

#define TURN_BUDGET_US 2000
#define CLOCK_EVERY    16 /* events between two looks at the clock */

static void
on_ready(void *arg)
{
    struct feed_source *s = arg;
    if (s->state == FEED_WAITING)
        s->state = FEED_RUNNING;
    loop_soon(s->feed->o.loop);
}

static void
on_time(void *arg)
{
    (void)arg; /* waking the loop is all: feed_turn() follows */
}

static void
metrics_make(struct feed_source *s, uint32_t index)
{
    static const char *const KINDS[MD_EVENT_KINDS] = {
        "other", "trade", "quote",       "depth", "book", "mark",   "begin",
        "end",   "kline", "liquidation", "alive", "gap",  "healed", "away"};
    char labels[96];
    for (int i = 0; i < MD_EVENT_KINDS; i++) {
        snprintf(labels, sizeof(labels), "source=\"%u-%s\",kind=\"%s\"", index, s->ops->kind,
                 KINDS[i]);
        s->events[i] =
            metric_counter("scrip_marketdata_events_total", labels, "Events of the sources.");
    }
    snprintf(labels, sizeof(labels), "source=\"%u-%s\"", index, s->ops->kind);
    s->skipped = metric_counter("scrip_marketdata_lines_skipped_total", labels,
                                "Lines that could not be read.");
    s->ignored = metric_counter("scrip_marketdata_lines_ignored_total", labels,
                                "Well-formed lines that say nothing to us.");
    s->lag =
        metric_gauge("scrip_marketdata_lag_us", labels, "How late the last event was handed on.");
}

static void
on_rules(void *arg, const struct symbol_rules *rules, uint32_t count)
{
    const struct feed *f = ((struct feed_source *)arg)->feed;
    f->o.on_rules(f->o.arg, rules, count);
}

enum err
feed_source_open(struct feed_source *s, char *why)
{
    struct feed *f = s->feed;
    struct source_env env = {.loop = f->o.loop,
                             .net = f->o.net,
                             .rules = f->o.rules,
                             .rules_count = f->o.rules_count,
                             .counts = &s->counts,
                             .arg = s,
                             .on_ready = on_ready,
                             .on_rules = f->o.on_rules != NULL ? on_rules : NULL};
    return s->ops->open(&s->spec, &env, &s->self, why);
}

static void
source_init(struct feed_source *s, struct feed *f, const struct spec *spec)
{
    s->feed = f;
    s->spec = *spec;
    s->ops = source_for(spec);
    s->speed = spec->speed;
    s->loops = spec->loop;
    s->known = calloc(FEED_SYMBOLS_MAX, sizeof(*s->known));
    s->map_memory = malloc(map_bytes(FEED_SYMBOLS_MAX));
    CHECK(s->known != NULL && s->map_memory != NULL);
    map_init(&s->by_name, FEED_SYMBOLS_MAX, s->map_memory);
}

enum err
feed_open(const struct feed_options *o, struct feed **out, char why[SOURCE_WHY_BYTES])
{
    struct feed *f = calloc(1, sizeof(*f));
    CHECK(f != NULL);
    f->o = *o;
    f->sources = calloc(o->spec_count, sizeof(*f->sources));
    CHECK(f->sources != NULL);
    *out = f;
    for (uint32_t i = 0; i < o->spec_count; i++)
        source_init(&f->sources[i], f, &o->specs[i]);
    for (uint32_t i = 0; i < o->spec_count; i++) {
        struct feed_source *s = &f->sources[i];
        enum err e = feed_source_open(s, why);
        if (e != OK) {
            feed_close(out);
            return e;
        }
        metrics_make(s, i);
    }
    f->timer = loop_timer_new(o->loop, 1, 0, on_time, f);
    return OK;
}

void
feed_close(struct feed **f)
{
    if (*f == NULL)
        return;
    for (uint32_t i = 0; i < (*f)->o.spec_count; i++) {
        struct feed_source *s = &(*f)->sources[i];
        if (s->self != NULL)
            s->ops->close(&s->self);
        free(s->known);
        free(s->map_memory);
    }
    if ((*f)->timer != NULL)
        loop_timer_end(&(*f)->timer);
    free((*f)->sources);
    free(*f);
    *f = NULL;
}

/* ---- Handing on ------------------------------------------------------------------------- */

static uint32_t
index_of(const struct feed_source *s)
{
    return (uint32_t)(s - s->feed->sources);
}

void
feed_hand_on(struct feed_source *s, const struct md_event *e)
{
    metric_add(s->events[e->kind], 1);
    s->feed->o.on_event(s->feed->o.arg, index_of(s), e);
}

struct feed_symbol *
feed_known(struct feed_source *s, code_t symbol)
{
    uint64_t hash = map_hash(symbol.text, sizeof(symbol.text));
    uint32_t i = map_get(&s->by_name, hash);
    if (i != MAP_NONE)
        return code_same(s->known[i].symbol, symbol) ? &s->known[i] : NULL;
    if (s->known_count == FEED_SYMBOLS_MAX)
        return NULL;
    map_set(&s->by_name, hash, s->known_count);
    s->known[s->known_count] = (struct feed_symbol){.symbol = symbol};
    return &s->known[s->known_count++];
}

static void
event_deliver(struct feed_source *s, int64_t now_us)
{
    struct md_event *e = &s->event;
    s->lag_us = s->speed.v == 0 && feed_is_paced(s) ? 0 : now_us - feed_due_us(s);
    s->has_event = s->is_state = false;
    s->round_events++;
    s->given++;
    s->last_at_us = e->at_us;
    feed_times_set(s, e);
    struct feed_symbol *known = feed_known(s, e->symbol);
    /* Candles of the exchange do not fit where time was moved: ours are made from trades. */
    bool is_moved = e->kind == MD_EVENT_KLINE && s->exchange_shift_us != 0;
    if (known == NULL || known->is_removed || is_moved) {
        s->counts.ignored++;
        return;
    }
    if (!known->has_begun) {
        known->has_begun = true;
        struct md_event begin = {
            .kind = MD_EVENT_BEGIN, .symbol = e->symbol, .at_us = e->at_us, .time_us = e->time_us};
        feed_hand_on(s, &begin);
    }
    if (e->time_us > s->last_time_us)
        s->last_time_us = e->time_us;
    feed_hand_on(s, e);
}

static void
source_end(struct feed_source *s)
{
    s->state = FEED_ENDED;
    log_line(LOG_INFO, "source_ended", "source=%u kind=%s skipped=%llu", index_of(s), s->ops->kind,
             (unsigned long long)s->counts.skipped);
    for (uint32_t i = 0; i < s->known_count; i++) {
        struct md_event end = {.kind = MD_EVENT_END, .symbol = s->known[i].symbol};
        if (s->known[i].has_begun)
            feed_hand_on(s, &end);
    }
}

void
feed_round_begin(struct feed_source *s)
{
    s->has_event = s->is_state = s->has_base = false;
    s->round_events = 0;
    s->last_at_us = 0;
    for (uint32_t i = 0; i < s->known_count; i++)
        s->known[i].has_begun = false;
}

/* The end of a round: another one, or the end. */
static void
round_end(struct feed_source *s)
{
    char why[SOURCE_WHY_BYTES] = "";
    struct source_view v = {.begin_us = s->begin_us};
    if (s->ops->view != NULL)
        s->ops->view(s->self, &v);
    s->begin_us = v.begin_us;
    s->end_us = s->last_at_us > s->end_us ? s->last_at_us : s->end_us;
    s->ops->close(&s->self);
    bool is_over = s->spec.kind != SPEC_PLAYBACK || !s->loops || s->round_events == 0;
    if (!is_over && feed_source_open(s, why) != OK) {
        log_line(LOG_ERROR, "source_not_opened", "source=%u why=\"%s\"", index_of(s), why);
        is_over = true;
    }
    if (is_over)
        source_end(s);
    else
        feed_round_begin(s);
}

/* An event was fetched: from when on it counts. */
static void
event_take(struct feed_source *s, bool is_state, int64_t now_us)
{
    s->has_event = true;
    s->is_state = is_state;
    if (s->event.at_us == 0)
        s->event.at_us = now_us;
    if (!s->has_base)
        feed_base_set(s, &s->event, now_us);
    else if (!feed_is_paced(s))
        s->base_now_us = now_us;
    else
        feed_silence_cut(s);
}

/* One step of one source: fetches an event, or hands on the one that is due. Gives false when
 * there is nothing to do before *next_us. */
static bool
source_step(struct feed_source *s, int64_t now_us, int64_t *next_us)
{
    if (s->state != FEED_RUNNING)
        return false;
    if (!s->has_event) {
        enum source_step step = s->ops->next(s->self, &s->event);
        switch (step) {
        case SOURCE_EVENT:
        case SOURCE_STATE:
            event_take(s, step == SOURCE_STATE, now_us);
            break;
        case SOURCE_MORE:
            return true;
        case SOURCE_WAIT:
            s->state = FEED_WAITING;
            return false;
        case SOURCE_END:
            round_end(s);
            return s->state == FEED_RUNNING;
        }
    }
    int64_t due = feed_due_us(s);
    if (due > now_us) {
        if (due < *next_us)
            *next_us = due;
        return false;
    }
    event_deliver(s, now_us);
    return true;
}

/* All that is due of one source, within the budget; false when the budget is spent. */
static bool
source_turn(struct feed_source *s, int64_t now_us, int64_t *next_us, int64_t until_us)
{
    for (uint32_t n = 1; source_step(s, now_us, next_us); n++) {
        if (n % CLOCK_EVERY == 0 && loop_measure_us() >= until_us)
            return false;
    }
    return true;
}

void
feed_turn(struct feed *f)
{
    int64_t now_us = loop_now_us(f->o.loop), next_us = INT64_MAX;
    int64_t until_us = loop_measure_us() + TURN_BUDGET_US;
    bool done = true;
    for (uint32_t i = 0; i < f->o.spec_count && done; i++)
        done =
            source_turn(&f->sources[(f->first + i) % f->o.spec_count], now_us, &next_us, until_us);
    /* Whoever used up the turn goes last in the next one. */
    f->first = (f->first + 1) % f->o.spec_count;
    if (!done)
        loop_soon(f->o.loop);
    else if (next_us != INT64_MAX)
        loop_timer_again(f->timer, (next_us - now_us + 999) / 1000);
}

void
feed_measure(struct feed *f)
{
    for (uint32_t i = 0; i < f->o.spec_count; i++) {
        struct feed_source *s = &f->sources[i];
        metric_add(s->skipped, (int64_t)s->counts.skipped - metric_value(s->skipped));
        metric_add(s->ignored, (int64_t)s->counts.ignored - metric_value(s->ignored));
        metric_set(s->lag, s->lag_us);
    }
}

bool
feed_has_ended(const struct feed *f, uint32_t source)
{
    return f->sources[source].state == FEED_ENDED;
}

const char *
feed_where(const struct feed *f, uint32_t source)
{
    const struct feed_source *s = &f->sources[source];
    return s->self == NULL ? "" : s->ops->where(s->self);
}

const char *
feed_complaint(const struct feed *f, uint32_t source)
{
    return f->sources[source].counts.why;
}

void
feed_book_lost(struct feed *f, uint32_t source, code_t symbol)
{
    const struct feed_source *s = &f->sources[source];
    if (s->self != NULL && s->ops->book_lost != NULL)
        s->ops->book_lost(s->self, symbol);
}
