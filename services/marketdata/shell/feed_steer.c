/*
 * feed_steer.c - a feed as it stands, and what may be changed of it while it runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "marketdata/shell/feed_priv.h"

/* ---- Views ------------------------------------------------------------------------------ */

static enum source_state
state_of(const struct feed_source *s)
{
    if (s->state == FEED_ENDED)
        return SOURCE_STATE_ENDED;
    return s->is_paused ? SOURCE_STATE_PAUSED : SOURCE_STATE_RUNNING;
}

void
feed_view(const struct feed *f, uint32_t source, struct source_view *out)
{
    const struct feed_source *s = &f->sources[source];
    *out = (struct source_view){.source = source,
                                .kind = code_of(s->ops->kind),
                                .where = text_of("%s", feed_where(f, source)),
                                .state = state_of(s),
                                .events = s->given,
                                .skipped = s->counts.skipped,
                                .lag_us = s->lag_us};
    for (uint32_t i = 0; i < s->known_count; i++)
        out->symbols += s->known[i].has_begun && !s->known[i].is_removed;
    if (s->spec.kind == SPEC_PLAYBACK) {
        out->speed = s->speed;
        out->loop = s->loops;
        out->market_us = feed_position_us(s, loop_now_us(f->o.loop));
    } else {
        out->market_us = s->last_time_us;
    }
    if (s->self != NULL && s->ops->view != NULL)
        s->ops->view(s->self, out);
    if (s->spec.kind == SPEC_PLAYBACK) {
        out->begin_us = out->begin_us == 0 ? s->begin_us : out->begin_us;
        out->end_us = out->end_us == 0 ? s->end_us : out->end_us;
    }
}

/* ---- Steering --------------------------------------------------------------------------- */

static enum err
refuse(enum err e, char *why, const char *sentence)
{
    snprintf(why, SOURCE_WHY_BYTES, "%s", sentence);
    return e;
}

/* A source that has ended is there again, at its beginning. */
static enum err
revive(struct feed_source *s, char *why)
{
    if (s->state != FEED_ENDED)
        return OK;
    enum err e = s->self == NULL ? feed_source_open(s, why) : OK;
    if (e != OK)
        return e;
    s->state = FEED_RUNNING;
    feed_round_begin(s);
    return OK;
}

static enum err
seek(struct feed_source *s, int64_t to_us, char *why)
{
    if (to_us <= 0)
        return refuse(ERR_NUMBER_RANGE, why, "a seek goes to a recorded time");
    enum err e = revive(s, why);
    if (e == OK)
        e = s->ops->seek(s->self, to_us, why);
    if (e != OK)
        return e;
    s->state = FEED_RUNNING;
    feed_round_begin(s);
    return OK;
}

static enum err
play(struct feed_source *s, int64_t now_us, char *why)
{
    enum err e = revive(s, why);
    if (e == OK && s->is_paused) {
        s->is_paused = false;
        s->base_now_us = now_us;
    }
    return e;
}

enum err
feed_steer(struct feed *f, const struct md_playback_set *set, char why[SOURCE_WHY_BYTES])
{
    if (set->source >= f->o.spec_count)
        return refuse(ERR_SOURCE_UNKNOWN, why, "there is no such source");
    struct feed_source *s = &f->sources[set->source];
    if (s->ops->seek == NULL)
        return refuse(ERR_SOURCE_FIXED, why, "only a recording can be steered");
    int64_t now_us = loop_now_us(f->o.loop);
    enum err e = OK;
    switch (set->action) {
    case PLAYBACK_ACTION_PLAY:
        e = play(s, now_us, why);
        break;
    case PLAYBACK_ACTION_PAUSE:
        if (!s->is_paused)
            feed_base_move(s, now_us);
        s->is_paused = true;
        break;
    case PLAYBACK_ACTION_SEEK:
        e = seek(s, set->to_us, why);
        break;
    case PLAYBACK_ACTION_SPEED:
        if (set->speed.v < 0 || set->speed.v > SPEC_SPEED_MAX)
            return refuse(ERR_NUMBER_RANGE, why, "speed is 0 to 1000000");
        feed_base_move(s, now_us);
        s->speed = set->speed;
        break;
    case PLAYBACK_ACTION_LOOP:
        s->loops = set->loop;
        break;
    case PLAYBACK_ACTION_NONE:
        return refuse(ERR_FIELD_MISSING, why, "what is to be done");
    }
    if (e != OK)
        return e;
    loop_soon(f->o.loop);
    return OK;
}

/* ---- Symbols ---------------------------------------------------------------------------- */

static enum err
playback_takes(struct feed_source *s, code_t symbol, char *why)
{
    if (spec_takes(&s->spec, symbol))
        return OK;
    if (s->spec.symbol_count == SPEC_SYMBOLS_MAX)
        return refuse(ERR_SYMBOLS_FULL, why, "the source names as many symbols as it can");
    s->spec.symbols[s->spec.symbol_count++] = symbol;
    return OK;
}

/* The source, and its place for the symbol. */
static enum err
symbol_place(struct feed *f, uint32_t source, code_t symbol, struct feed_symbol **out, char *why)
{
    if (source >= f->o.spec_count)
        return refuse(ERR_SOURCE_UNKNOWN, why, "there is no such source");
    *out = feed_known(&f->sources[source], symbol);
    return *out != NULL
               ? OK
               : refuse(ERR_SYMBOLS_FULL, why, "the source has no room for another symbol");
}

enum err
feed_symbol_add(struct feed *f, uint32_t source, code_t symbol, char why[SOURCE_WHY_BYTES])
{
    struct feed_symbol *known;
    enum err e = symbol_place(f, source, symbol, &known, why);
    if (e != OK)
        return e;
    struct feed_source *s = &f->sources[source];
    if (s->spec.kind == SPEC_PLAYBACK)
        e = playback_takes(s, symbol, why);
    if (e == OK && s->self != NULL && s->ops->symbol_add != NULL)
        e = s->ops->symbol_add(s->self, symbol, why);
    else if (e == OK && !spec_takes(&s->spec, symbol))
        e = refuse(ERR_SOURCE_FIXED, why, "the source gives the symbols it was made with");
    if (e == OK && known->is_removed)
        known->is_removed = known->has_begun = false;
    loop_soon(f->o.loop);
    return e;
}

enum err
feed_symbol_remove(struct feed *f, uint32_t source, code_t symbol, char why[SOURCE_WHY_BYTES])
{
    struct feed_symbol *known;
    enum err e = symbol_place(f, source, symbol, &known, why);
    if (e != OK)
        return e;
    const struct feed_source *s = &f->sources[source];
    if (s->self != NULL && s->ops->symbol_remove != NULL)
        s->ops->symbol_remove(s->self, symbol);
    known->is_removed = true;
    known->has_begun = false;
    return OK;
}

void
feed_rules_set(struct feed *f, const struct symbol_rules *rules, uint32_t count)
{
    f->o.rules = rules;
    f->o.rules_count = count;
    for (uint32_t i = 0; i < f->o.spec_count; i++) {
        struct feed_source *s = &f->sources[i];
        if (s->self != NULL && s->ops->rules_set != NULL)
            s->ops->rules_set(s->self, rules, count);
    }
}
