/*
 * candle_rig.c - the core and the naive fold side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "candle_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Lists ------------------------------------------------------------------------------ */

void
candle_book_free(struct candle_book *b)
{
    for (uint32_t i = 0; i <= INTERVALS; i++)
        free(b->of[i].items);
    *b = (struct candle_book){0};
}

/* The first place whose candle does not open before. */
static uint32_t
place_of(const struct candle_list *l, int64_t open_us)
{
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (l->items[middle].open_time_us < open_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct candle *
candle_book_find(const struct candle_book *b, enum interval i, int64_t open_us)
{
    const struct candle_list *l = &b->of[i];
    uint32_t at = place_of(l, open_us);
    return at < l->count && l->items[at].open_time_us == open_us ? &l->items[at] : NULL;
}

void
candle_book_put(struct candle_book *b, enum interval i, const struct candle *c)
{
    struct candle_list *l = &b->of[i];
    struct candle *there = candle_book_find(b, i, c->open_time_us);
    if (there != NULL) {
        *there = *c;
        return;
    }
    if (l->count == l->max) {
        l->max = l->max == 0 ? 64 : 2 * l->max;
        l->items = realloc(l->items, l->max * sizeof(*l->items));
        cr_assert(l->items != NULL);
    }
    uint32_t at = place_of(l, c->open_time_us);
    memmove(&l->items[at + 1], &l->items[at], (l->count - at) * sizeof(*l->items));
    l->items[at] = *c;
    l->count++;
}

/* ---- The naive fold --------------------------------------------------------------------- */

static int64_t
seconds_of(enum interval i)
{
    static const struct {
        enum interval i;
        int64_t seconds;
    } TABLE[] = {{INTERVAL_1s, 1},     {INTERVAL_1m, 60},     {INTERVAL_3m, 180},
                 {INTERVAL_5m, 300},   {INTERVAL_15m, 900},   {INTERVAL_30m, 1800},
                 {INTERVAL_1h, 3600},  {INTERVAL_2h, 7200},   {INTERVAL_4h, 14400},
                 {INTERVAL_6h, 21600}, {INTERVAL_8h, 28800},  {INTERVAL_12h, 43200},
                 {INTERVAL_1d, 86400}, {INTERVAL_3d, 259200}, {INTERVAL_1w, 604800}};
    for (size_t n = 0; n < sizeof(TABLE) / sizeof(TABLE[0]); n++) {
        if (TABLE[n].i == i)
            return TABLE[n].seconds;
    }
    return 0;
}

int64_t
naive_open(enum interval i, int64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm t;
    gmtime_r(&seconds, &t);
    if (i == INTERVAL_1M || i == INTERVAL_1w) {
        t.tm_sec = t.tm_min = t.tm_hour = 0;
        t.tm_mday = i == INTERVAL_1M ? 1 : t.tm_mday - (t.tm_wday + 6) % 7;
        return (int64_t)timegm(&t) * 1000000;
    }
    return (int64_t)(seconds - seconds % seconds_of(i)) * 1000000;
}

int64_t
naive_end(enum interval i, int64_t open_us)
{
    if (i != INTERVAL_1M)
        return open_us + seconds_of(i) * 1000000;
    time_t seconds = (time_t)(open_us / 1000000);
    struct tm t;
    gmtime_r(&seconds, &t);
    t.tm_mon++;
    return (int64_t)timegm(&t) * 1000000;
}

void
naive_part(struct candle_book *b, enum interval i, const struct candle *part)
{
    int64_t open_us = naive_open(i, part->open_time_us);
    struct candle *c = candle_book_find(b, i, open_us), first = *part;
    bool is_empty = part->trades == 0 && part->volume.v == 0;
    if (c == NULL || (c->trades == 0 && c->volume.v == 0 && !is_empty)) {
        first.open_time_us = open_us;
        first.is_closed = false;
        candle_book_put(b, i, &first);
        return;
    }
    if (is_empty && (c->trades != 0 || c->volume.v != 0))
        return;
    c->high.v = part->high.v > c->high.v ? part->high.v : c->high.v;
    c->low.v = part->low.v < c->low.v ? part->low.v : c->low.v;
    c->close = part->close;
    c->volume.v += part->volume.v;
    c->quote_volume.v += part->quote_volume.v;
    c->trades += part->trades;
    c->taker_buy_volume.v += part->taker_buy_volume.v;
    c->taker_buy_quote_volume.v += part->taker_buy_quote_volume.v;
}

void
naive_trade(struct candle_book *b, const struct public_trade *t, uint64_t count)
{
    int64_t quote = (int64_t)((__int128)t->price.v * t->quantity.v / 100000000);
    struct candle part = {.open_time_us = t->time_us,
                          .open = t->price,
                          .high = t->price,
                          .low = t->price,
                          .close = t->price,
                          .volume = t->quantity,
                          .quote_volume = {quote},
                          .trades = count};
    if (!t->buyer_is_maker) {
        part.taker_buy_volume = t->quantity;
        part.taker_buy_quote_volume.v = quote;
    }
    for (enum interval i = 1; (uint32_t)i <= INTERVALS; i++)
        naive_part(b, i, &part);
}

/* ---- The core --------------------------------------------------------------------------- */

static const struct md_limits LIMITS = {.symbols_max = 2,
                                        .levels_max = 16,
                                        .kept_levels_max = 64,
                                        .ring_messages = 64,
                                        .ring_bytes = 1u << 12,
                                        .stale_after_us = 10000000,
                                        .heal_after_us = 5000000,
                                        .price_every_us = 100000,
                                        .candle_every_us = 250000,
                                        .beat_every_us = 1000000,
                                        .candle_grace_us = 2000000};

static void
core_begin(struct candle_rig *r)
{
    r->memory = malloc(md_bytes(&LIMITS));
    r->symbol_memory = malloc(md_symbol_bytes(&LIMITS));
    md_init(&r->md, &LIMITS, &r->rules, 1, r->memory);
    cr_assert(md_symbol_add(&r->md, r->rules.symbol, 1, r->symbol_memory) == OK);
    r->symbol = md_symbol_find(&r->md, r->rules.symbol);
}

struct candle_rig *
candle_rig_new(const char *symbol)
{
    struct candle_rig *r = calloc(1, sizeof(*r));
    r->rules = (struct symbol_rules){.symbol = code_of(symbol), .is_trading = true};
    r->lists = malloc(MD_LISTS_BYTES);
    outbox_init(&r->out, r->slots, MD_OUT_MAX, r->lists, MD_LISTS_BYTES);
    core_begin(r);
    return r;
}

void
candle_rig_free(struct candle_rig *r)
{
    candle_book_free(&r->told);
    candle_book_free(&r->kept);
    free(r->memory);
    free(r->symbol_memory);
    free(r->lists);
    free(r);
}

/* What the table makes of the oldest that wait. */
static void
kept_take(struct candle_rig *r, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        const struct md_candle *m = &r->waiting[n];
        const struct candle *there =
            candle_book_find(&r->kept, m->interval, m->candle.open_time_us);
        if (there == NULL || m->candle.is_final ||
            (!there->is_final && m->candle.trades >= there->trades))
            candle_book_put(&r->kept, m->interval, &m->candle);
    }
    r->waiting_count -= count;
    memmove(r->waiting, &r->waiting[count], r->waiting_count * sizeof(r->waiting[0]));
}

void
candle_rig_keep(struct candle_rig *r)
{
    kept_take(r, r->waiting_count);
}

void
candle_rig_restart(struct candle_rig *r, uint32_t lost)
{
    kept_take(r, lost < r->waiting_count ? r->waiting_count - lost : 0);
    r->waiting_count = 0;
    free(r->memory);
    free(r->symbol_memory);
    core_begin(r);
}

static void
told_take(struct candle_rig *r)
{
    for (uint32_t n = 0; n < r->out.count; n++) {
        const struct msg *m = &r->out.slots[n].msg;
        if (m->type != MSG_md_candle || !m->md_candle.candle.is_closed)
            continue;
        if (r->waiting_count == RIG_WAITING)
            kept_take(r, 1);
        r->waiting[r->waiting_count++] = m->md_candle;
        if (r->out.slots[n].to == OUT_KEEP)
            continue;
        candle_book_put(&r->told, m->md_candle.interval, &m->md_candle.candle);
        r->told_count++;
    }
    outbox_clear(&r->out);
}

void
candle_rig_apply(struct candle_rig *r, struct md_event *e, int64_t now_us)
{
    e->symbol = r->rules.symbol;
    r->now_us = now_us;
    cr_assert(md_apply(&r->md, e, now_us, &r->out) == OK);
    told_take(r);
}

void
candle_rig_tick(struct candle_rig *r, int64_t now_us)
{
    r->now_us = now_us;
    md_tick(&r->md, r->symbol, now_us, &r->out);
    told_take(r);
}

void
candle_rig_settle(struct candle_rig *r)
{
    do {
        candle_rig_tick(r, r->now_us);
    } while (r->symbol->minutes.in_debt + r->symbol->days.in_debt > 0);
    md_check(&r->md);
}

void
candle_rig_begin(struct candle_rig *r, int64_t now_us)
{
    struct md_event e = {.kind = MD_EVENT_BEGIN, .time_us = now_us};
    candle_rig_apply(r, &e, now_us);
}

void
candle_rig_kline(struct candle_rig *r, enum interval i, const struct candle *c, uint64_t last_trade,
                 int64_t now_us)
{
    struct md_event e = {.kind = MD_EVENT_KLINE,
                         .time_us = now_us,
                         .interval = i,
                         .kline = *c,
                         .kline_last_trade = last_trade};
    candle_rig_apply(r, &e, now_us);
}
