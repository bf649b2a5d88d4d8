/*
 * past.c - see past.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/past.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "marketdata/core/sync.h"

#define SYMBOLS_MAX     4096u
#define LEVELS_MAX      5000u
#define KEPT_LEVELS_MAX 4096u

struct symbol {
    code_t name;
    struct sync *sync; /* NULL until it has a book or a diff */
    void *memory;
    bool has_quote, has_trade;
    struct md_event quote, trade; /* the last of each */
};

struct past {
    struct symbol *symbols;
    uint32_t count, told; /* told: two steps a symbol */
    struct map by_name;
    void *map_memory;
};

struct past *
past_new(void)
{
    struct past *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    p->symbols = calloc(SYMBOLS_MAX, sizeof(*p->symbols));
    p->map_memory = malloc(map_bytes(SYMBOLS_MAX));
    CHECK(p->symbols != NULL && p->map_memory != NULL);
    map_init(&p->by_name, SYMBOLS_MAX, p->map_memory);
    return p;
}

void
past_free(struct past **p)
{
    if (*p == NULL)
        return;
    for (uint32_t i = 0; i < (*p)->count; i++) {
        free((*p)->symbols[i].sync);
        free((*p)->symbols[i].memory);
    }
    free((*p)->symbols);
    free((*p)->map_memory);
    free(*p);
    *p = NULL;
}

static struct symbol *
symbol_of(struct past *p, code_t name)
{
    uint64_t hash = map_hash(name.text, sizeof(name.text));
    uint32_t i = map_get(&p->by_name, hash);
    if (i != MAP_NONE)
        return code_same(p->symbols[i].name, name) ? &p->symbols[i] : NULL;
    if (p->count == SYMBOLS_MAX)
        return NULL;
    map_set(&p->by_name, hash, p->count);
    p->symbols[p->count].name = name;
    return &p->symbols[p->count++];
}

static void
sync_make(struct symbol *y)
{
    struct arena a;
    size_t bytes = (2 * LEVELS_MAX + KEPT_LEVELS_MAX) * sizeof(struct level) + 64;
    y->sync = calloc(1, sizeof(*y->sync));
    y->memory = malloc(bytes);
    CHECK(y->sync != NULL && y->memory != NULL);
    arena_init(&a, y->memory, bytes);
    sync_init(y->sync, LEVELS_MAX, KEPT_LEVELS_MAX, &a);
}

void
past_apply(struct past *p, const struct md_event *e)
{
    if (e->kind != MD_EVENT_BOOK && e->kind != MD_EVENT_DIFF && e->kind != MD_EVENT_QUOTE &&
        e->kind != MD_EVENT_TRADE)
        return;
    struct symbol *y = symbol_of(p, e->symbol);
    if (y == NULL)
        return;
    if (e->kind == MD_EVENT_QUOTE) {
        y->has_quote = true;
        y->quote = *e;
        return;
    }
    if (e->kind == MD_EVENT_TRADE) {
        y->has_trade = true;
        y->trade = *e;
        return;
    }
    if (y->sync == NULL)
        sync_make(y);
    /* What cannot be believed changes nothing, and a gap is healed by the next book. */
    (void)sync_apply(y->sync, e);
}

/* The book, or the quote where there is no true book. */
static bool
touch_tell(const struct symbol *y, struct md_event *out)
{
    if (y->sync == NULL || y->sync->state != SYNC_TRUE) {
        *out = y->quote;
        return y->has_quote;
    }
    struct book *b = &y->sync->book;
    book_side_compact(&b->bids);
    book_side_compact(&b->asks);
    *out = (struct md_event){.kind = MD_EVENT_BOOK,
                             .symbol = y->name,
                             .last_id = y->sync->last_id,
                             .bids = b->bids.levels,
                             .bid_count = b->bids.count,
                             .asks = b->asks.levels,
                             .ask_count = b->asks.count};
    return true;
}

bool
past_next(struct past *p, int64_t at_us, struct md_event *out)
{
    while (p->told < 2 * p->count) {
        const struct symbol *y = &p->symbols[p->told / 2];
        bool is_there = p->told % 2 == 0 ? touch_tell(y, out) : y->has_trade;
        if (p->told++ % 2 == 1)
            *out = y->trade;
        out->at_us = at_us;
        out->time_us = 0; /* it is so now, whenever it became so */
        if (is_there)
            return true;
    }
    return false;
}
