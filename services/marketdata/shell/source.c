/*
 * source.c - the kinds of sources, and the synthetic one, which is all core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "market/rules.h"
#include "marketdata/core/synth.h"
#include "marketdata/shell/ahead.h"

struct synthetic {
    struct synth synth;
    void *bytes;
};

static enum err
synthetic_open(const struct spec *spec, const struct source_env *env, void **self,
               char why[SOURCE_WHY_BYTES])
{
    const struct symbol_rules *rules[SPEC_SYMBOLS_MAX];
    for (uint32_t i = 0; i < spec->symbol_count; i++) {
        rules[i] = rules_find(env->rules, env->rules_count, spec->symbols[i]);
        if (rules[i] == NULL) {
            snprintf(why, SOURCE_WHY_BYTES, "there are no rules for %s", spec->symbols[i].text);
            return ERR_SYMBOL_UNKNOWN;
        }
    }
    struct synthetic *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    s->bytes = malloc(synth_bytes(spec->symbol_count, spec->levels));
    CHECK(s->bytes != NULL);
    /* Its clock starts at 1 us: the feed moves it to now, and the same seed gives the same run. */
    synth_init(&s->synth, rules, spec->symbol_count, spec->seed, spec->levels, spec->rate, 1,
               s->bytes);
    *self = s;
    return OK;
}

static enum source_step
synthetic_next(void *self, struct md_event *out)
{
    synth_next(&((struct synthetic *)self)->synth, out);
    return SOURCE_EVENT;
}

static void
synthetic_close(void **self)
{
    struct synthetic *s = *self;
    if (s == NULL)
        return;
    free(s->bytes);
    free(s);
    *self = NULL;
}

static const char *
synthetic_where(const void *self)
{
    (void)self;
    return "synthetic";
}

const struct source_ops source_synthetic = {
    .kind = "synthetic",
    .open = synthetic_open,
    .next = synthetic_next,
    .close = synthetic_close,
    .where = synthetic_where,
};

const struct source_ops *
source_of(enum spec_kind kind)
{
    switch (kind) {
    case SPEC_SYNTHETIC:
        return &source_synthetic;
    case SPEC_PLAYBACK:
        return &source_playback;
    case SPEC_BINANCE:
        return &source_binance;
    }
    return NULL;
}

const struct source_ops *
source_for(const struct spec *spec)
{
    return spec->kind == SPEC_PLAYBACK && !spec->follow ? &source_ahead : source_of(spec->kind);
}
