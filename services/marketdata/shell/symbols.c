/*
 * symbols.c - see symbols.h. Everything is rare: lists are walked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "market/rules.h"

enum err
symbols_open(struct symbols *s, const char *rules_file, const struct spec *specs,
             uint32_t spec_count, uint64_t first_version)
{
    char why[RULES_WHY_BYTES];
    *s = (struct symbols){.specs = specs, .spec_count = spec_count, .version = first_version};
    s->file = calloc(RULES_MAX, sizeof(*s->file));
    s->told = calloc(RULES_MAX, sizeof(*s->told));
    s->merged[0] = calloc(RULES_MAX, sizeof(*s->told));
    s->merged[1] = calloc(RULES_MAX, sizeof(*s->told));
    s->making = calloc(RULES_MAX, sizeof(*s->told));
    CHECK(s->making != NULL);
    CHECK(s->file != NULL && s->told != NULL && s->merged[0] != NULL && s->merged[1] != NULL);
    enum err e = rules_load(rules_file, s->file, RULES_MAX, &s->file_count, why);
    if (e != OK)
        log_line(LOG_ERROR, "rules_not_loaded", "file=%s why=\"%s\"", rules_file, why);
    symbols_merge(s, false);
    return e;
}

void
symbols_close(struct symbols *s)
{
    free(s->file);
    free(s->told);
    free(s->merged[0]);
    free(s->merged[1]);
    free(s->making);
    free(s->changes);
    *s = (struct symbols){.count = 0};
}

uint32_t
symbols_source(const struct symbols *s, code_t symbol)
{
    for (uint32_t i = 0; i < s->changes_count; i++) {
        const struct symbol_change *c = &s->changes[i];
        if (!c->is_removed && c->source < s->spec_count && code_same(c->symbol, symbol))
            return c->source;
    }
    for (uint32_t i = 0; i < s->spec_count; i++) {
        if (s->specs[i].symbol_count > 0 && spec_takes(&s->specs[i], symbol) &&
            !symbols_are_barred(s, i, symbol))
            return i;
    }
    return UINT32_MAX;
}

/* ---- Rules ------------------------------------------------------------------------------ */

static bool
is_removed(const struct symbols *s, code_t symbol)
{
    for (uint32_t i = 0; i < s->changes_count; i++) {
        if (s->changes[i].is_removed && code_same(s->changes[i].symbol, symbol))
            return symbols_source(s, symbol) == UINT32_MAX;
    }
    return false;
}

const struct symbol_rules *
symbols_rules(const struct symbols *s, uint32_t *count)
{
    *count = s->count;
    return s->merged[s->at];
}

bool
symbols_hear(struct symbols *s, const struct symbol_rules *rules, uint32_t count,
             bool (*wants)(const void *arg, code_t symbol), const void *arg)
{
    bool is_news = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!wants(arg, rules[i].symbol))
            continue;
        is_news |= rules_put(s->told, RULES_MAX, &s->told_count, &rules[i]);
    }
    return is_news;
}

bool
symbols_merge(struct symbols *s, bool in_place)
{
    struct symbol_rules *list = s->making;
    uint32_t count = s->file_count;
    memcpy(list, s->file, count * sizeof(*list));
    for (uint32_t i = 0; i < s->told_count; i++)
        rules_put(list, RULES_MAX, &count, &s->told[i]);
    for (uint32_t i = 0; i < count; i++) {
        list[i].is_removed = is_removed(s, list[i].symbol);
        list[i].is_trading = list[i].is_trading && !list[i].is_removed;
    }
    if (count == s->count && memcmp(s->merged[s->at], list, count * sizeof(*list)) == 0)
        return false;
    if (!in_place)
        s->at = 1 - s->at;
    memcpy(s->merged[s->at], list, count * sizeof(*list));
    s->count = count;
    s->version++;
    return true;
}

/* ---- Changes ---------------------------------------------------------------------------- */

struct symbol_change *
symbols_change(const struct symbols *s, uint32_t source, code_t symbol)
{
    for (uint32_t i = 0; i < s->changes_count; i++) {
        if (s->changes[i].source == source && code_same(s->changes[i].symbol, symbol))
            return &s->changes[i];
    }
    return NULL;
}

struct symbol_change *
symbols_set(struct symbols *s, uint32_t source, code_t symbol, bool is_removed, int64_t now_us)
{
    struct symbol_change *c = symbols_change(s, source, symbol);
    if (c == NULL && s->changes_count == SYMBOL_CHANGES_MAX)
        return NULL;
    if (c == NULL && s->changes_count == s->changes_max) {
        s->changes_max = s->changes_max == 0 ? 64 : 2 * s->changes_max;
        s->changes = realloc(s->changes, s->changes_max * sizeof(*s->changes));
        CHECK(s->changes != NULL);
    }
    if (c == NULL)
        c = &s->changes[s->changes_count++];
    *c = (struct symbol_change){.symbol = symbol,
                                .source = source,
                                .is_removed = is_removed,
                                .is_own = true,
                                .changed_us = now_us};
    return c;
}

void
symbols_forget(struct symbols *s, struct symbol_change *c)
{
    *c = s->changes[--s->changes_count];
}

bool
symbols_are_barred(const struct symbols *s, uint32_t source, code_t symbol)
{
    const struct symbol_change *c = symbols_change(s, source, symbol);
    return c != NULL && c->is_removed;
}

bool
symbols_name_valid(code_t symbol)
{
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return !code_empty(symbol) && symbol.text[strspn(symbol.text, ALLOWED)] == '\0';
}
