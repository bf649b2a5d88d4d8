/*
 * tape.c - see tape.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backtest/tape.h"

#include <stdio.h>
#include <stdlib.h>

#include "market/rules.h"
#include "marketdata/core/md.h"
#include "marketdata/shell/source.h"

struct tape_source {
    const struct source_ops *ops;
    void *self;
    struct source_counts counts;
    struct md_event next;
    bool has_next, has_ended;
    int64_t shift_us; /* of a synthetic source, to its begin */
};

struct tape {
    struct symbol_rules *rules;
    uint32_t rules_count;
    struct spec specs[SPEC_SOURCES_MAX];
    struct tape_source sources[SPEC_SOURCES_MAX];
    uint32_t count;
    bool has_begun;
    struct tape_source *first; /* whose event is next; NULL = not looked for */
    struct md md;
    void *md_memory, *symbols[TAPE_SYMBOLS_MAX];
    struct outbox out, answer;
    struct out slots[MD_OUT_MAX], answer_slots[MD_OUT_MAX];
    void *lists, *answer_lists;
    int64_t at_us;
    uint64_t events;
};

static const struct md_limits limits = {.symbols_max = TAPE_SYMBOLS_MAX,
                                        .levels_max = MD_LEVELS_MAX,
                                        .kept_levels_max = 16384,
                                        .ring_messages = 1024,
                                        .ring_bytes = 1u << 16,
                                        .stale_after_us = INT64_MAX / 2,
                                        .heal_after_us = 5000000,
                                        .price_every_us = 100000,
                                        .candle_every_us = 250000,
                                        .beat_every_us = 1000000,
                                        .candle_grace_us = 2000000};

static void *
memory(size_t size)
{
    void *at = calloc(1, size);
    CHECK(at != NULL);
    return at;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static enum err
source_open(struct tape *t, uint32_t i, char why[TAPE_WHY_BYTES])
{
    struct tape_source *s = &t->sources[i];
    const struct spec *spec = &t->specs[i];
    if (spec->loop || spec->follow) {
        snprintf(why, TAPE_WHY_BYTES, "a source with loop=1 or follow=1 has no end");
        return ERR_CONFIG_BAD_VALUE;
    }
    const struct source_env env = {
        .rules = t->rules, .rules_count = t->rules_count, .counts = &s->counts};
    enum err e = source_of(spec->kind)->open(spec, &env, &s->self, why);
    if (e == OK)
        s->ops = source_of(spec->kind);
    return e;
}

static enum err
sources_open(struct tape *t, const char *rules, const char *sources, char why[TAPE_WHY_BYTES])
{
    t->rules = memory(RULES_MAX * sizeof(*t->rules));
    enum err e = rules_load(rules, t->rules, RULES_MAX, &t->rules_count, why);
    if (e == OK)
        e = spec_read(sources, t->specs, &t->count, why);
    if (e != OK)
        t->count = 0;
    for (uint32_t i = 0; i < t->count && e == OK; i++)
        e = source_open(t, i, why);
    return e;
}

struct tape *
tape_open(const char *rules, const char *sources, char why[TAPE_WHY_BYTES])
{
    struct tape *t = memory(sizeof(*t));
    t->md_memory = memory(md_bytes(&limits));
    t->lists = memory(MD_LISTS_BYTES);
    t->answer_lists = memory(MD_LISTS_BYTES);
    outbox_init(&t->out, t->slots, MD_OUT_MAX, t->lists, MD_LISTS_BYTES);
    outbox_init(&t->answer, t->answer_slots, MD_OUT_MAX, t->answer_lists, MD_LISTS_BYTES);
    if (sources_open(t, rules, sources, why) != OK) {
        tape_close(&t);
        return NULL;
    }
    md_init(&t->md, &limits, t->rules, t->rules_count, t->md_memory);
    return t;
}

void
tape_close(struct tape **t)
{
    if (*t == NULL)
        return;
    for (uint32_t i = 0; i < (*t)->count; i++)
        if ((*t)->sources[i].ops != NULL)
            (*t)->sources[i].ops->close(&(*t)->sources[i].self);
    for (uint32_t i = 0; i < TAPE_SYMBOLS_MAX; i++)
        free((*t)->symbols[i]);
    free((*t)->rules);
    free((*t)->md_memory);
    free((*t)->lists);
    free((*t)->answer_lists);
    free(*t);
    *t = NULL;
}

bool
tape_is_endless(const struct tape *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->specs[i].kind == SPEC_SYNTHETIC)
            return true;
    return false;
}

/* ---- The next event -------------------------------------------------------------------------- */

static bool
source_fill(struct tape_source *s)
{
    while (!s->has_next && !s->has_ended) {
        enum source_step step = s->ops->next(s->self, &s->next);
        s->has_next = step == SOURCE_EVENT;
        s->has_ended = step == SOURCE_END || step == SOURCE_WAIT;
    }
    return s->has_next;
}

/* Where synthetic sources begin: with the first recorded one. */
static void
begin(struct tape *t)
{
    int64_t begin_us = INT64_MAX;
    t->has_begun = true;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->specs[i].kind == SPEC_PLAYBACK && source_fill(&t->sources[i]) &&
            t->sources[i].next.at_us < begin_us)
            begin_us = t->sources[i].next.at_us;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->specs[i].kind == SPEC_SYNTHETIC && source_fill(&t->sources[i]))
            t->sources[i].shift_us =
                (begin_us == INT64_MAX ? TAPE_START_US : begin_us) - t->sources[i].next.at_us;
}

/* The source whose event comes first; of several the first named. */
static struct tape_source *
first_source(struct tape *t)
{
    struct tape_source *first = NULL;
    if (!t->has_begun)
        begin(t);
    for (uint32_t i = 0; i < t->count; i++) {
        struct tape_source *s = &t->sources[i];
        if (source_fill(s) &&
            (first == NULL || s->next.at_us + s->shift_us < first->next.at_us + first->shift_us))
            first = s;
    }
    return first;
}

bool
tape_peek(struct tape *t, int64_t *at_us)
{
    if (t->first == NULL)
        t->first = first_source(t);
    if (t->first == NULL)
        return false;
    int64_t next_us = t->first->next.at_us + t->first->shift_us;
    if (next_us > t->at_us)
        t->at_us = next_us;
    *at_us = t->at_us;
    return true;
}

/* ---- Applying it ----------------------------------------------------------------------------- */

static void
times_set(struct md_event *e, int64_t shift_us)
{
    e->at_us += shift_us;
    e->time_us = e->time_us == 0 ? e->at_us : e->time_us + shift_us;
    if (e->mark.funding_us > 0)
        e->mark.funding_us += shift_us;
    e->trade.time_us = e->quote.time_us = e->time_us;
}

/* The symbol's place; on its first event it is added, and told that its source begins. */
static bool
symbol_take(struct tape *t, const struct md_event *e)
{
    if (md_symbol_find(&t->md, e->symbol) != NULL)
        return true;
    uint32_t i = t->md.count;
    if (i == TAPE_SYMBOLS_MAX)
        return false;
    t->symbols[i] = memory(md_symbol_bytes(&limits));
    if (md_symbol_add(&t->md, e->symbol, 1, t->symbols[i]) != OK) {
        free(t->symbols[i]);
        t->symbols[i] = NULL;
        return false;
    }
    const struct md_event begins = {
        .kind = MD_EVENT_BEGIN, .symbol = e->symbol, .at_us = e->at_us, .time_us = e->time_us};
    return md_apply(&t->md, &begins, t->at_us, &t->out) == OK;
}

code_t
tape_take(struct tape *t)
{
    struct tape_source *s = t->first;
    CHECK(s != NULL);
    t->first = NULL;
    s->has_next = false;
    outbox_clear(&t->out);
    times_set(&s->next, s->shift_us);
    if (!symbol_take(t, &s->next))
        return (code_t){{0}};
    outbox_clear(&t->out);
    if (md_apply(&t->md, &s->next, t->at_us, &t->out) != OK)
        return (code_t){{0}};
    t->events++;
    return s->next.symbol;
}

void
tape_tick(struct tape *t, code_t symbol, int64_t now_us)
{
    struct md_symbol *s = md_symbol_find(&t->md, symbol);
    outbox_clear(&t->out);
    if (s != NULL)
        md_tick(&t->md, s, now_us, &t->out);
}

const struct msg *
tape_msg(const struct tape *t, uint32_t i)
{
    return i < t->out.count ? &t->out.slots[i].msg : NULL;
}

const struct msg *
tape_book(struct tape *t, code_t symbol)
{
    struct msg ask = {.type = MSG_md_snapshot_get, .corr = 1};
    ask.md_snapshot_get.symbol = symbol;
    outbox_clear(&t->answer);
    return md_ask(&t->md, 1, &ask, &t->answer) == OK ? &t->answer.slots[0].msg : NULL;
}

/* ---- What is known --------------------------------------------------------------------------- */

const struct md_touch *
tape_touch(const struct tape *t, code_t symbol)
{
    const struct md_symbol *s = md_symbol_find(&t->md, symbol);
    return s == NULL ? NULL : &s->touch;
}

bool
tape_price(const struct tape *t, code_t symbol, struct md_price *out)
{
    const struct md_symbol *s = md_symbol_find(&t->md, symbol);
    if (s == NULL || !md_has_price(s))
        return false;
    md_view_price(s, out);
    return true;
}

const struct symbol_rules *
tape_rules(const struct tape *t, uint32_t *count)
{
    *count = t->rules_count;
    return t->rules;
}

const struct symbol_rules *
tape_only(const struct tape *t)
{
    if (t->count != 1 || t->specs[0].symbol_count != 1)
        return NULL;
    return rules_find(t->rules, t->rules_count, t->specs[0].symbols[0]);
}

bool
tape_may_have(const struct tape *t, code_t symbol)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (spec_takes(&t->specs[i], symbol))
            return true;
    return false;
}

const struct symbol_rules *
tape_heard(const struct tape *t, uint32_t i)
{
    return i < t->md.count ? &t->md.symbols[i]->rules : NULL;
}

uint64_t
tape_events(const struct tape *t)
{
    return t->events;
}

uint64_t
tape_skipped(const struct tape *t)
{
    uint64_t skipped = 0;
    for (uint32_t i = 0; i < t->count; i++)
        skipped += t->sources[i].counts.skipped;
    return skipped;
}

const char *
tape_complaint(const struct tape *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->sources[i].counts.why[0] != '\0')
            return t->sources[i].counts.why;
    return "";
}
