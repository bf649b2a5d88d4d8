/*
 * market_chain.c - see market_chain.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/market_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/instrument.h"
#include "market/recording.h"

#define LEVELS_MAX 5000u

struct chains *
chains_new(void)
{
    struct chains *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->list = calloc(CHAINS_MAX, sizeof(*c->list));
    c->map_memory = malloc(map_bytes(CHAINS_MAX));
    c->room.levels_max = LEVELS_MAX;
    c->room.levels = calloc(2 * (size_t)LEVELS_MAX, sizeof(*c->room.levels));
    CHECK(c->list != NULL && c->map_memory != NULL && c->room.levels != NULL);
    map_init(&c->by_name, CHAINS_MAX, c->map_memory);
    return c;
}

void
chains_free(struct chains **c)
{
    free((*c)->list);
    free((*c)->map_memory);
    free((*c)->room.levels);
    free(*c);
    *c = NULL;
}

/* A line without a name belongs to the only symbol there is. */
static struct chain *
chain_of(struct chains *c, code_t symbol)
{
    if (code_empty(symbol))
        return c->count == 1 ? &c->list[0] : NULL;
    if (!instrument_from_exchange(c->market, symbol, &symbol))
        return NULL;
    uint64_t hash = map_hash(symbol.text, sizeof(symbol.text));
    uint32_t i = map_get(&c->by_name, hash);
    if (i != MAP_NONE)
        return &c->list[i];
    if (c->count == CHAINS_MAX)
        return NULL;
    map_set(&c->by_name, hash, c->count);
    c->list[c->count].symbol = symbol;
    return &c->list[c->count++];
}

void
chains_file(struct chains *c, enum trading_type market)
{
    /* Segments of the other market begin again at the first time. */
    if (market != c->market)
        c->last_us = 0;
    c->market = market;
}

/* ---- One line --------------------------------------------------------------------------- */

static void
trade_take(struct chain *s, uint64_t id, bool is_aggregate)
{
    uint64_t *last = &s->last_trade[is_aggregate];
    s->trades++;
    if (*last == 0 || id == *last + 1) {
        *last = id;
    } else if (id <= *last) {
        s->doubled++;
    } else {
        uint64_t hole = id - *last - 1, told = s->told_to > *last ? s->told_to - *last : 0;
        if (s->may_jump || told > hole)
            told = hole;
        s->marked_missing += told;
        s->missing += hole - told;
        *last = id;
    }
    s->may_jump = false;
}

static void
diff_take(struct chain *s, const struct md_event *e)
{
    bool follows =
        e->has_previous_id ? e->previous_id == s->last_update : e->first_id == s->last_update + 1;
    s->diffs++;
    if (s->last_update != 0 && !follows) {
        s->marked_breaks += s->may_break;
        s->breaks += !s->may_break;
    }
    s->last_update = e->last_id;
    s->may_break = false;
}

/* All symbols, or one of them, may begin anew. */
static void
mark_take(struct chains *c, const struct recording_mark *m)
{
    c->marks++;
    c->missed += m->lines;
    bool is_hole = strcmp(m->what, "missed") == 0 || strcmp(m->what, "begin") == 0;
    bool is_pause = strcmp(m->what, "connected") == 0 || strcmp(m->what, "away") == 0;
    if (code_empty(m->symbol)) {
        for (uint32_t i = 0; i < c->count; i++) {
            c->list[i].may_jump |= is_hole;
            c->list[i].may_break |= is_hole || is_pause;
        }
        return;
    }
    struct chain *s = chain_of(c, m->symbol);
    if (s == NULL)
        return;
    s->marks++;
    s->may_break |= is_hole || is_pause || strcmp(m->what, "break") == 0;
    s->may_jump |= is_hole;
    if (strcmp(m->what, "lost") == 0 && m->last > s->told_to)
        s->told_to = m->last;
}

/* What is nothing to the core: marks, and trades that nobody could have made. */
static void
other_take(struct chains *c, const char *line, size_t length)
{
    struct recording_mark m;
    if (recording_mark_read(line, length, &m)) {
        mark_take(c, &m);
        return;
    }
    struct recording_trade t;
    if (!recording_trade_read(line, length, &t))
        return;
    struct chain *s = chain_of(c, t.symbol);
    if (s != NULL)
        trade_take(s, t.id, false);
}

void
chains_line(struct chains *c, const char *line, size_t length)
{
    struct md_event e;
    c->lines++;
    if (binance_line(line, length, &c->room, &e) != OK) {
        c->malformed++;
        return;
    }
    if (e.at_us < c->last_us)
        c->backwards++;
    c->last_us = e.at_us;
    if (e.kind == MD_EVENT_NONE) {
        other_take(c, line, length);
        return;
    }
    struct chain *s = chain_of(c, e.symbol);
    if (s == NULL)
        return;
    if (e.kind == MD_EVENT_TRADE)
        trade_take(s, e.trade.trade_id, e.is_aggregate);
    else if (e.kind == MD_EVENT_DIFF)
        diff_take(s, &e);
    s->books += e.kind == MD_EVENT_BOOK;
    s->quotes += e.kind == MD_EVENT_QUOTE;
}
