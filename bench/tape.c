/*
 * tape.c - see tape.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tape.h"

#include <stdio.h>
#include <stdlib.h>

#include "market/rules.h"
#include "marketdata/core/md.h"
#include "marketdata/shell/source.h"

#define RULES_HERE 64

struct tape {
    struct symbol_rules rules[RULES_HERE];
    uint32_t rules_count;
    struct spec spec;
    const struct source_ops *ops;
    void *source;
    struct source_counts counts;
    struct md md;
    void *md_memory, *symbol_memory, *lists;
    struct md_symbol *symbol;
    struct outbox out;
    struct out slots[MD_OUT_MAX];
    struct outbox answer;
    struct out answer_slots[MD_OUT_MAX];
    void *answer_lists;
    struct md_event next;
    bool has_next;
    int64_t at_us;
    uint64_t events;
};

static const struct md_limits limits = {.symbols_max = 1,
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

static enum err
open_source(struct tape *t, const char *rules, const char *source, char why[TAPE_WHY_BYTES])
{
    struct spec specs[SPEC_SOURCES_MAX];
    uint32_t count;
    enum err e = rules_load(rules, t->rules, RULES_HERE, &t->rules_count, why);
    if (e == OK)
        e = spec_read(source, specs, &count, why);
    if (e != OK)
        return e;
    if (count != 1 || specs[0].symbol_count != 1) {
        snprintf(why, TAPE_WHY_BYTES, "one source with one symbol is needed");
        return ERR_CONFIG_BAD_VALUE;
    }
    t->spec = specs[0];
    t->ops = source_of(t->spec.kind);
    const struct source_env env = {
        .rules = t->rules, .rules_count = t->rules_count, .counts = &t->counts};
    return t->ops->open(&t->spec, &env, &t->source, why);
}

struct tape *
tape_open(const char *rules, const char *source, char why[TAPE_WHY_BYTES])
{
    struct tape *t = memory(sizeof(*t));
    if (open_source(t, rules, source, why) != OK) {
        free(t);
        return NULL;
    }
    t->md_memory = memory(md_bytes(&limits));
    t->symbol_memory = memory(md_symbol_bytes(&limits));
    t->lists = memory(MD_LISTS_BYTES);
    t->answer_lists = memory(MD_LISTS_BYTES);
    md_init(&t->md, &limits, t->rules, t->rules_count, t->md_memory);
    enum err e = md_symbol_add(&t->md, t->spec.symbols[0], 1, t->symbol_memory);
    if (e != OK) {
        snprintf(why, TAPE_WHY_BYTES, "there are no rules for %s", t->spec.symbols[0].text);
        tape_close(&t);
        return NULL;
    }
    t->symbol = md_symbol_find(&t->md, t->spec.symbols[0]);
    outbox_init(&t->out, t->slots, MD_OUT_MAX, t->lists, MD_LISTS_BYTES);
    outbox_init(&t->answer, t->answer_slots, MD_OUT_MAX, t->answer_lists, MD_LISTS_BYTES);
    return t;
}

void
tape_close(struct tape **t)
{
    (*t)->ops->close(&(*t)->source);
    free((*t)->md_memory);
    free((*t)->symbol_memory);
    free((*t)->lists);
    free((*t)->answer_lists);
    free(*t);
    *t = NULL;
}

bool
tape_peek(struct tape *t, int64_t *at_us)
{
    while (!t->has_next) {
        enum source_step step = t->ops->next(t->source, &t->next);
        if (step == SOURCE_END)
            return false;
        t->has_next = step == SOURCE_EVENT;
    }
    if (t->next.at_us > t->at_us)
        t->at_us = t->next.at_us;
    *at_us = t->at_us;
    return true;
}

void
tape_take(struct tape *t)
{
    CHECK(t->has_next);
    outbox_clear(&t->out);
    t->has_next = false;
    if (md_apply(&t->md, &t->next, t->at_us, &t->out) == OK)
        t->events++;
}

const struct msg *
tape_msg(const struct tape *t, uint32_t i)
{
    return i < t->out.count ? &t->out.slots[i].msg : NULL;
}

const struct msg *
tape_book(struct tape *t)
{
    struct msg ask = {.type = MSG_md_snapshot_get, .corr = 1};
    ask.md_snapshot_get.symbol = t->spec.symbols[0];
    outbox_clear(&t->answer);
    return md_ask(&t->md, 1, &ask, &t->answer) == OK ? &t->answer.slots[0].msg : NULL;
}

const struct md_touch *
tape_touch(const struct tape *t)
{
    return &t->symbol->touch;
}

const struct symbol_rules *
tape_rules(const struct tape *t)
{
    return &t->symbol->rules;
}

uint64_t
tape_events(const struct tape *t)
{
    return t->events;
}

uint64_t
tape_skipped(const struct tape *t)
{
    return t->counts.skipped;
}
