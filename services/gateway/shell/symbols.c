/*
 * symbols.c - the names of the symbols, from market data; so that a stream of nothing is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/shell.h"

#define ASK_US   60000000
#define AGAIN_US 2000000

void
symbols_tick(struct shell *s)
{
    int64_t now_us = loop_steady_us(s->loop);
    if (now_us < s->symbols_at_us || s->draining)
        return;
    struct md_symbols_get body = {0};
    s->symbols_at_us = now_us + (s->symbol_count == 0 ? AGAIN_US : ASK_US);
    enum err e = call_send(s, s->market_server, MSG_md_symbols_get, corr_new(s), SYMBOLS_OWNER,
                           false, &body);
    (void)e; /* away or busy: asked again when its time comes */
}

void
symbols_answer(struct shell *s, const struct msg *m)
{
    if (m == NULL || m->type != MSG_md_symbols || m->md_symbols.symbols_count == 0)
        return;
    uint32_t count = m->md_symbols.symbols_count;
    code_t *symbols = calloc(count, sizeof *symbols);
    CHECK(symbols != NULL);
    for (uint32_t i = 0; i < count; i++)
        symbols[i] = m->md_symbols.symbols[i].symbol;
    free(s->symbols);
    s->symbols = symbols;
    s->symbol_count = count;
}

bool
symbols_known(const struct shell *s, const char *symbol)
{
    for (uint32_t i = 0; i < s->symbol_count; i++)
        if (strcmp(s->symbols[i].text, symbol) == 0)
            return true;
    return s->symbol_count == 0;
}
