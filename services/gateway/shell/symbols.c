/*
 * symbols.c - the names of the symbols, from market data; so that a stream of nothing is refused,
 * and one whose symbol goes is ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/shell.h"
#include "gateway/shell/ws.h"

#define ASK_US   60000000
#define AGAIN_US 2000000

void
symbols_tick(struct shell *s)
{
    int64_t now_us = loop_steady_us(s->loop);
    if (now_us < s->symbols_at_us || s->draining || s->symbols_asked)
        return;
    struct md_symbols_get body = {0};
    s->symbols_at_us = now_us + (s->symbol_count == 0 ? AGAIN_US : ASK_US);
    enum err e = call_send(s, s->market_server, MSG_md_symbols_get, corr_new(s), SYMBOLS_OWNER,
                           false, &body);
    s->symbols_asked = e == OK; /* away or busy: asked again when its time comes */
}

void
symbols_beat(struct shell *s, const struct md_symbols_beat *beat)
{
    if (beat->version == s->symbols_version)
        return;
    s->symbols_at_us = 0;
    symbols_tick(s);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const code_t *)a)->text, ((const code_t *)b)->text);
}

static bool
name_has(const code_t *names, uint32_t count, const char *symbol)
{
    code_t key = {{0}};
    memcpy(key.text, symbol, strnlen(symbol, sizeof key.text - 1));
    return count > 0 && strcmp(key.text, symbol) == 0 &&
           bsearch(&key, names, count, sizeof *names, by_name) != NULL;
}

void
symbols_answer(struct shell *s, const struct msg *m)
{
    s->symbols_asked = false;
    if (m == NULL || m->type != MSG_md_symbols || m->md_symbols.symbols_count == 0)
        return;
    uint32_t count = 0, old_count = s->symbol_count;
    code_t *symbols = calloc(m->md_symbols.symbols_count, sizeof *symbols), *old = s->symbols;
    CHECK(symbols != NULL);
    for (uint32_t i = 0; i < m->md_symbols.symbols_count; i++)
        if (!m->md_symbols.symbols[i].is_removed)
            symbols[count++] = m->md_symbols.symbols[i].symbol;
    qsort(symbols, count, sizeof *symbols, by_name);
    s->symbols = symbols;
    s->symbol_count = count;
    s->symbols_version = m->md_symbols.version;
    for (uint32_t i = 0; i < old_count; i++)
        if (!name_has(symbols, count, old[i].text))
            ws_symbol_removed(s->ws, old[i].text);
    free(old);
}

bool
symbols_known(const struct shell *s, const char *symbol)
{
    return s->symbols == NULL || name_has(s->symbols, s->symbol_count, symbol);
}
