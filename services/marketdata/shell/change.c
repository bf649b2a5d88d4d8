/*
 * change.c - what changes while the process runs: recordings that are steered, symbols that come
 * and go, rules that exchanges tell.
 *
 * Everyone who keeps symbols or rules of his own hears of a change by its version, on the topic
 * "s.", and asks for the list. A symbol's change is answered once the database has it, so that who
 * was told `is_kept` finds it after a restart; without a database it lives as long as the process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "marketdata/shell/serve_priv.h"

/* A change that waits for the database. */
struct kept_call {
    struct serve *serve;
    uint32_t peer, source;
    uint64_t corr;
    code_t symbol;
};

/* ---- Rules ------------------------------------------------------------------------------ */

void
change_beat(struct serve *s)
{
    uint32_t count;
    (void)symbols_rules(&s->listed, &count);
    const struct md_symbols_beat beat = {.version = s->listed.version, .count = count};
    bus_publish(s->publisher, "s.", MSG_md_symbols_beat, 0, &beat);
    metric_add(s->published, 1);
}

/* The core's at once: the next event may be of a new symbol. The feed may be the one who is
 * speaking, and is told at the end of the turn. */
static void
rules_renew(struct serve *s)
{
    uint32_t count;
    if (!symbols_merge(&s->listed, s->feed_is_behind))
        return;
    const struct symbol_rules *rules = symbols_rules(&s->listed, &count);
    md_rules_set(&s->md, rules, count);
    s->feed_is_behind = true;
    change_beat(s);
    log_line(LOG_INFO, "rules_changed", "version=%llu symbols=%u",
             (unsigned long long)s->listed.version, count);
    loop_soon(s->host->loop);
}

void
change_turn(struct serve *s)
{
    uint32_t count;
    if (!s->feed_is_behind)
        return;
    const struct symbol_rules *rules = symbols_rules(&s->listed, &count);
    feed_rules_set(s->feed, rules, count);
    s->feed_is_behind = false;
}

/* The source that gives a symbol, or is to give it; UINT32_MAX when none is. */
static uint32_t
giver_of(const struct serve *s, code_t symbol)
{
    uint32_t index = serve_symbol_index(s, symbol);
    if (index != UINT32_MAX)
        return s->symbols[index].source;
    return symbols_source(&s->listed, symbol);
}

/* An exchange lists thousands; what nobody gives is nothing to trade here. */
static bool
is_wanted(const void *arg, code_t symbol)
{
    const struct serve *s = arg;
    return md_rules_find(&s->md, symbol) != NULL || giver_of(s, symbol) != UINT32_MAX;
}

void
change_rules(void *arg, const struct symbol_rules *rules, uint32_t count)
{
    struct serve *s = arg;
    if (symbols_hear(&s->listed, rules, count, is_wanted, s))
        rules_renew(s);
}

/* ---- Answers ---------------------------------------------------------------------------- */

static void
answer_view(struct serve *s, uint32_t peer, uint64_t corr, uint32_t source, code_t symbol)
{
    const struct symbol_change *c = symbols_change(&s->listed, source, symbol);
    const struct md_symbol *y = md_symbol_find(&s->md, symbol);
    const struct md_symbol_view view = {.symbol = symbol,
                                        .source = source,
                                        .state = y == NULL ? STREAM_STATE_NONE : y->state,
                                        .is_removed = c != NULL && c->is_removed,
                                        .is_kept = c != NULL && c->is_kept};
    answer_reply(s, peer, MSG_md_symbol_view, corr, &view);
}

static void
on_kept(void *arg, bool is_kept)
{
    struct kept_call call = *(struct kept_call *)arg;
    free(arg);
    struct symbol_change *c = symbols_change(&call.serve->listed, call.source, call.symbol);
    if (c != NULL)
        c->is_kept = is_kept;
    if (call.peer != 0)
        answer_view(call.serve, call.peer, call.corr, call.source, call.symbol);
}

/* `peer` 0: nobody waits for the answer. */
static void
change_keep(struct serve *s, struct symbol_change *c, uint32_t peer, uint64_t corr)
{
    struct kept_call *call = malloc(sizeof(*call));
    CHECK(call != NULL);
    *call = (struct kept_call){s, peer, c->source, corr, c->symbol};
    if (s->kept != NULL && kept_put(s->kept, c, on_kept, call))
        return;
    free(call);
    if (peer != 0)
        answer_view(s, peer, corr, c->source, c->symbol);
}

static void
answer_sources(struct serve *s, uint32_t peer, uint64_t corr, uint32_t first, uint32_t count)
{
    static struct source_view views[SPEC_SOURCES_MAX]; /* lent until it is packed */
    for (uint32_t i = 0; i < count; i++) {
        struct source_view *v = &views[i];
        *v = (struct source_view){.source = first + i};
        feed_view(s->feed, first + i, v);
        v->symbols = 0;
        for (uint32_t n = 0; n < s->md.count; n++)
            v->symbols += s->symbols[n].source == first + i;
    }
    const struct md_sources answer = {.sources = views, .sources_count = count};
    answer_reply(s, peer, MSG_md_sources, corr, &answer);
}

static void
sources_get(struct serve *s, const struct bus_in *in)
{
    uint32_t only = in->msg->md_sources_get.source;
    if (only >= s->spec_count)
        answer_refuse(s, in->peer, in->msg->corr, ERR_SOURCE_UNKNOWN, "source");
    else if (only > 0)
        answer_sources(s, in->peer, in->msg->corr, only, 1);
    else
        answer_sources(s, in->peer, in->msg->corr, 0, s->spec_count);
}

static void
playback_set(struct serve *s, const struct bus_in *in)
{
    const struct md_playback_set *set = &in->msg->md_playback_set;
    char why[SOURCE_WHY_BYTES] = "";
    if (set->source >= s->spec_count) {
        answer_refuse(s, in->peer, in->msg->corr, ERR_SOURCE_UNKNOWN, "source");
        return;
    }
    enum err e = feed_steer(s->feed, set, why);
    if (e != OK) {
        answer_refuse_why(s, in->peer, in->msg->corr, e, e == ERR_NUMBER_RANGE ? "to_us" : "source",
                          why);
        return;
    }
    log_line(LOG_INFO, "playback_set", "source=%u action=%s", set->source,
             msg_enum_name(MSG_ENUM_playback_action, set->action));
    answer_sources(s, in->peer, in->msg->corr, set->source, 1);
    loop_soon(s->host->loop);
}

/* ---- Symbols ---------------------------------------------------------------------------- */

/* A source that hears an exchange asks it for the rules of what it does not know. */
static bool
asks_for_rules(const struct spec *spec)
{
    return spec->kind != SPEC_PLAYBACK && spec->kind != SPEC_SYNTHETIC;
}

static enum err
judge_add(const struct serve *s, const struct md_symbol_add *add, text_t *detail)
{
    if (add->source >= s->spec_count)
        return ERR_SOURCE_UNKNOWN;
    if (!symbols_name_valid(add->symbol) ||
        (md_rules_find(&s->md, add->symbol) == NULL && !asks_for_rules(&s->specs[add->source])))
        return ERR_SYMBOL_UNKNOWN;
    uint32_t giver = giver_of(s, add->symbol);
    if (giver != UINT32_MAX && giver != add->source) {
        *detail = text_of("source %u gives it", giver);
        return ERR_SOURCE_FIXED;
    }
    if (giver == UINT32_MAX && s->md.count == s->md.limits.symbols_max) {
        *detail = text_of("symbols_max %u", s->md.limits.symbols_max);
        return ERR_SYMBOLS_FULL;
    }
    return OK;
}

/* The change stands before the source is asked, which may tell rules at once: is_wanted(). */
static enum err
change_add(struct serve *s, uint32_t source, code_t symbol, int64_t now_us,
           char why[SOURCE_WHY_BYTES])
{
    bool is_given = giver_of(s, symbol) == source;
    const struct symbol_change *old = symbols_change(&s->listed, source, symbol);
    const struct symbol_change before =
        old == NULL ? (struct symbol_change){.source = source} : *old;
    struct symbol_change *c = symbols_set(&s->listed, source, symbol, false, now_us);
    if (c == NULL)
        return ERR_SYMBOLS_FULL;
    enum err e = is_given ? OK : feed_symbol_add(s->feed, source, symbol, why);
    c = symbols_change(&s->listed, source, symbol);
    if (e != OK && code_empty(before.symbol))
        symbols_forget(&s->listed, c);
    else if (e != OK)
        *c = before;
    else
        rules_renew(s);
    return e;
}

static enum err
change_remove(struct serve *s, uint32_t source, code_t symbol, int64_t now_us,
              char why[SOURCE_WHY_BYTES])
{
    struct symbol_change *c = symbols_change(&s->listed, source, symbol);
    if (c == NULL && s->listed.changes_count == SYMBOL_CHANGES_MAX)
        return ERR_SYMBOLS_FULL;
    enum err e = feed_symbol_remove(s->feed, source, symbol, why);
    if (e != OK)
        return e;
    (void)symbols_set(&s->listed, source, symbol, true, now_us);
    serve_symbol_remove(s, symbol);
    rules_renew(s);
    return OK;
}

static void
symbol_add(struct serve *s, const struct bus_in *in)
{
    const struct md_symbol_add *add = &in->msg->md_symbol_add;
    char why[SOURCE_WHY_BYTES] = "";
    text_t detail = {{0}};
    enum err e = judge_add(s, add, &detail);
    if (e == OK) {
        e = change_add(s, add->source, add->symbol, loop_now_us(s->host->loop), why);
        detail = text_of("%s", why);
    }
    if (e != OK) {
        answer_refuse_why(s, in->peer, in->msg->corr, e,
                          e == ERR_SOURCE_UNKNOWN ? "source" : "symbol", detail.text);
        return;
    }
    log_line(LOG_INFO, "symbol_wanted", "symbol=%s source=%u", add->symbol.text, add->source);
    change_keep(s, symbols_change(&s->listed, add->source, add->symbol), in->peer, in->msg->corr);
}

static void
symbol_remove(struct serve *s, const struct bus_in *in)
{
    code_t symbol = in->msg->md_symbol_remove.symbol;
    char why[SOURCE_WHY_BYTES] = "";
    uint32_t source = giver_of(s, symbol);
    enum err e = source == UINT32_MAX
                     ? ERR_SYMBOL_UNKNOWN
                     : change_remove(s, source, symbol, loop_now_us(s->host->loop), why);
    if (e != OK) {
        answer_refuse_why(s, in->peer, in->msg->corr, e, "symbol", why);
        return;
    }
    log_line(LOG_INFO, "symbol_removed", "symbol=%s source=%u", symbol.text, source);
    change_keep(s, symbols_change(&s->listed, source, symbol), in->peer, in->msg->corr);
}

/* ---- What was kept ---------------------------------------------------------------------- */

/* A source that does not name it has nothing to let go. */
static enum err
kept_remove(struct serve *s, uint32_t source, code_t symbol)
{
    char why[SOURCE_WHY_BYTES];
    enum err e = feed_symbol_remove(s->feed, source, symbol, why);
    if (symbols_set(&s->listed, source, symbol, true, 0) == NULL)
        return ERR_SYMBOLS_FULL;
    if (e == OK)
        serve_symbol_remove(s, symbol);
    rules_renew(s);
    return OK;
}

/* What this process was told meanwhile is newer. */
void
change_kept_row(void *arg, uint32_t source, code_t symbol, bool is_removed)
{
    struct serve *s = arg;
    char why[SOURCE_WHY_BYTES] = "it is not there";
    const struct symbol_change *own = symbols_change(&s->listed, source, symbol);
    if (own != NULL && own->is_own)
        return;
    enum err e = ERR_SOURCE_UNKNOWN;
    if (source < s->spec_count)
        e = is_removed ? kept_remove(s, source, symbol) : change_add(s, source, symbol, 0, why);
    if (e != OK) {
        log_line(LOG_WARN, "kept_symbol_not_applied", "symbol=%s source=%u error=%s why=\"%s\"",
                 symbol.text, source, err_name(e), why);
        return;
    }
    struct symbol_change *c = symbols_change(&s->listed, source, symbol);
    c->is_own = false;
    c->is_kept = true;
}

void
change_kept_loaded(void *arg)
{
    struct serve *s = arg;
    serve_begin(s);
    for (uint32_t i = 0; i < s->listed.changes_count; i++) {
        if (!s->listed.changes[i].is_kept)
            change_keep(s, &s->listed.changes[i], 0, 0);
    }
}

/* ---- The door --------------------------------------------------------------------------- */

void
change_msg(struct serve *s, const struct bus_in *in)
{
    switch (in->msg->type) {
    case MSG_md_sources_get:
        sources_get(s, in);
        return;
    case MSG_md_playback_set:
        playback_set(s, in);
        return;
    case MSG_md_symbol_add:
        symbol_add(s, in);
        return;
    case MSG_md_symbol_remove:
        symbol_remove(s, in);
        return;
    default:
        CHECK(!"a message that changes nothing");
    }
}
