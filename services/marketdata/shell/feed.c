/*
 * feed.c - the schedule of the sources.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/log.h"
#include "host/metrics.h"

#define TURN_BUDGET_US 2000
#define CLOCK_EVERY    16 /* events between two looks at the clock */

enum feed_state { FEED_RUNNING, FEED_WAITING, FEED_ENDED };

struct feed_symbol {
    code_t symbol;
    bool has_begun; /* in this round */
};

struct feed_source {
    struct feed *feed;
    const struct spec *spec;
    const struct source_ops *ops;
    void *self;
    enum feed_state state;
    struct source_counts counts;
    struct feed_symbol known[SPEC_SYMBOLS_MAX];
    uint32_t known_count;
    /* The event that waits for its time. */
    bool has_event;
    struct md_event event;
    /* This round. */
    bool has_base, has_exchange_shift;
    int64_t base_at_us, base_now_us; /* receive time of the first event, and when it was due */
    int64_t shift_us, exchange_shift_us;
    uint64_t round_events;
    int64_t last_time_us; /* latest time handed on, over all rounds */
    int64_t lag_us;       /* how late the last event was */
    struct metric *events[MD_EVENT_KINDS], *skipped, *ignored, *lag;
};

struct feed {
    struct feed_options o;
    struct feed_source *sources;
    struct loop_timer *timer;
    uint32_t first; /* whose turn it is to go first */
};

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

static enum err
source_open(struct feed_source *s, char *why)
{
    struct feed *f = s->feed;
    struct source_env env = {.loop = f->o.loop,
                             .rules = f->o.rules,
                             .rules_count = f->o.rules_count,
                             .counts = &s->counts,
                             .arg = s,
                             .on_ready = on_ready};
    return s->ops->open(s->spec, &env, &s->self, why);
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
    for (uint32_t i = 0; i < o->spec_count; i++) {
        struct feed_source *s = &f->sources[i];
        s->feed = f;
        s->spec = &o->specs[i];
        s->ops = source_of(s->spec->kind);
        enum err e = source_open(s, why);
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
    }
    if ((*f)->timer != NULL)
        loop_timer_end(&(*f)->timer);
    free((*f)->sources);
    free(*f);
    *f = NULL;
}

/* ---- Times ------------------------------------------------------------------------------ */

static void
base_set(struct feed_source *s, const struct md_event *e, int64_t now_us)
{
    s->has_base = true;
    s->has_exchange_shift = false;
    s->base_at_us = e->at_us;
    s->base_now_us = now_us;
    /* At another speed than 1 the market's clock runs away from ours: a further round goes on
     * from where it had come. */
    int64_t begin_us = s->last_time_us >= now_us ? s->last_time_us + 1 : now_us;
    s->shift_us = s->spec->clock_now || s->spec->kind == SPEC_SYNTHETIC ? begin_us - e->at_us : 0;
}

/* When the waiting event is due, by our clock. */
static int64_t
due_us(const struct feed_source *s)
{
    if (s->spec->speed.v == 0)
        return s->base_now_us;
    __int128 passed = (__int128)(s->event.at_us - s->base_at_us) * DECIMAL_ONE;
    return s->base_now_us + (int64_t)(passed / s->spec->speed.v);
}

static bool
is_kept(const struct feed_source *s)
{
    return s->spec->kind == SPEC_PLAYBACK && !s->spec->clock_now;
}

/* Moves the event's times to this run. What has no exchange time gets its receive time. */
static void
times_set(struct feed_source *s, struct md_event *e)
{
    if (e->time_us == 0) {
        e->time_us = e->at_us + s->shift_us;
    } else if (!is_kept(s)) {
        if (!s->has_exchange_shift) {
            s->exchange_shift_us = e->at_us + s->shift_us - e->time_us;
            s->has_exchange_shift = true;
        }
        e->time_us += s->exchange_shift_us;
        if (e->mark.funding_us > 0)
            e->mark.funding_us += s->exchange_shift_us;
    }
    e->trade.time_us = e->quote.time_us = e->time_us;
    e->at_us += s->shift_us;
}

/* ---- Handing on ------------------------------------------------------------------------- */

static uint32_t
index_of(const struct feed_source *s)
{
    return (uint32_t)(s - s->feed->sources);
}

static void
hand_on(struct feed_source *s, const struct md_event *e)
{
    metric_add(s->events[e->kind], 1);
    s->feed->o.on_event(s->feed->o.arg, index_of(s), e);
}

static struct feed_symbol *
known_symbol(struct feed_source *s, code_t symbol)
{
    for (uint32_t i = 0; i < s->known_count; i++) {
        if (code_same(s->known[i].symbol, symbol))
            return &s->known[i];
    }
    if (s->known_count == SPEC_SYMBOLS_MAX)
        return NULL;
    s->known[s->known_count] = (struct feed_symbol){.symbol = symbol};
    return &s->known[s->known_count++];
}

static void
event_deliver(struct feed_source *s, int64_t now_us)
{
    struct md_event *e = &s->event;
    s->has_event = false;
    s->round_events++;
    s->lag_us = s->spec->speed.v == 0 ? 0 : now_us - due_us(s);
    times_set(s, e);
    struct feed_symbol *known = known_symbol(s, e->symbol);
    if (known == NULL) {
        s->counts.ignored++;
        return;
    }
    if (!known->has_begun) {
        known->has_begun = true;
        struct md_event begin = {
            .kind = MD_EVENT_BEGIN, .symbol = e->symbol, .at_us = e->at_us, .time_us = e->time_us};
        hand_on(s, &begin);
    }
    if (e->time_us > s->last_time_us)
        s->last_time_us = e->time_us;
    hand_on(s, e);
}

static void
source_end(struct feed_source *s)
{
    s->state = FEED_ENDED;
    log_line(LOG_INFO, "source_ended", "source=%u kind=%s skipped=%llu", index_of(s), s->ops->kind,
             (unsigned long long)s->counts.skipped);
    for (uint32_t i = 0; i < s->known_count; i++) {
        struct md_event end = {.kind = MD_EVENT_END, .symbol = s->known[i].symbol};
        hand_on(s, &end);
    }
}

/* The end of a round: another one, or the end. */
static void
round_end(struct feed_source *s)
{
    char why[SOURCE_WHY_BYTES] = "";
    s->ops->close(&s->self);
    bool is_over = s->spec->kind != SPEC_PLAYBACK || !s->spec->loop || s->round_events == 0;
    if (!is_over && source_open(s, why) != OK) {
        log_line(LOG_ERROR, "source_not_opened", "source=%u why=\"%s\"", index_of(s), why);
        is_over = true;
    }
    if (is_over) {
        source_end(s);
        return;
    }
    s->has_base = false;
    s->round_events = 0;
    for (uint32_t i = 0; i < s->known_count; i++)
        s->known[i].has_begun = false;
}

/* One step of one source: fetches an event, or hands on the one that is due. Gives false when
 * there is nothing to do before *next_us. */
static bool
source_step(struct feed_source *s, int64_t now_us, int64_t *next_us)
{
    if (s->state != FEED_RUNNING)
        return false;
    if (!s->has_event) {
        switch (s->ops->next(s->self, &s->event)) {
        case SOURCE_EVENT:
        case SOURCE_STATE:
            s->has_event = true;
            if (s->event.at_us == 0)
                s->event.at_us = now_us;
            if (!s->has_base)
                base_set(s, &s->event, now_us);
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
    int64_t due = due_us(s);
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
