/*
 * live.c - memory, symbols, time, and what is given next; the rest is in live_*.c by concern.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/live.h"

#include <string.h>

#include "base/arena.h"
#include "base/instrument.h"
#include "marketdata/core/live_priv.h"

/* Which connection of a symbol carries a stream. */
static const uint8_t groups_of[2][LIVE_KINDS] = {
    {0, 0, 0, 0, LIVE_GROUPS_MAX, LIVE_GROUPS_MAX}, /* spot */
    {1, 0, 0, 1, 1, 1},                             /* USD-M: public, market */
};
#define SYMBOL_STREAMS_MAX 4u /* of one group */

/* ---- Memory ----------------------------------------------------------------------------- */

static uint32_t
lines_of(const struct live_options *o)
{
    uint32_t each = o->streams_max / SYMBOL_STREAMS_MAX;
    return LIVE_GROUPS_MAX * ((o->symbols_max + each - 1) / each);
}

static size_t
aligned(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

/* Of one symbol's sync: no levels, but its arrays may not be empty. */
#define SYNC_BYTES (4 * aligned(sizeof(struct level)))

size_t
live_bytes(const struct live_options *o)
{
    return o->symbols_max * (sizeof(struct live_symbol) + SYNC_BYTES) +
           2 * aligned(map_bytes(o->symbols_max)) + lines_of(o) * sizeof(struct live_line) +
           o->asks_max * sizeof(struct live_ask) + o->held_max * sizeof(struct live_held) +
           2 * o->levels_max * sizeof(struct level) + LIVE_TEXT_BYTES + LIVE_WRITTEN_BYTES + 256;
}

static void
held_init(struct live *l)
{
    for (uint32_t i = 0; i < l->o.held_max; i++)
        l->held[i].next = i + 1 < l->o.held_max ? i + 1 : LIVE_NONE;
    l->held_free = 0;
}

void
live_init(struct live *l, const struct live_options *o, void *bytes)
{
    CHECK(o->streams_max >= SYMBOL_STREAMS_MAX && o->held_max > 0 && o->asks_max > 0);
    CHECK(o->attempts_max >= 4);
    *l = (struct live){.o = *o, .random = o->seed};
    l->groups = o->market == TRADING_TYPE_spot ? 1 : 2;
    l->lines_symbols = o->streams_max / SYMBOL_STREAMS_MAX;
    l->lines_max = lines_of(o);
    struct arena a;
    arena_init(&a, bytes, live_bytes(o));
    l->symbols = arena_take(&a, o->symbols_max, sizeof(*l->symbols));
    l->lines = arena_take(&a, l->lines_max, sizeof(*l->lines));
    l->asks = arena_take(&a, o->asks_max, sizeof(*l->asks));
    l->held = arena_take(&a, o->held_max, sizeof(*l->held));
    l->levels = arena_take(&a, 2 * o->levels_max, sizeof(*l->levels));
    l->text = arena_take(&a, LIVE_TEXT_BYTES, 1);
    l->written = arena_take(&a, LIVE_WRITTEN_BYTES, 1);
    void *wire = arena_take(&a, map_bytes(o->symbols_max), 1);
    void *name = arena_take(&a, map_bytes(o->symbols_max), 1);
    CHECK(l->symbols != NULL && l->lines != NULL && l->asks != NULL && l->held != NULL &&
          l->levels != NULL && l->text != NULL && l->written != NULL && wire != NULL &&
          name != NULL);
    map_init(&l->by_wire, o->symbols_max, wire);
    map_init(&l->by_name, o->symbols_max, name);
    for (uint32_t i = 0; i < o->symbols_max; i++)
        sync_init(&l->symbols[i].book.sync, 1, 1, &a);
    held_init(l);
    l->dirty_first = l->dirty_last = LIVE_NONE;
    l->rules_wanted = true;
}

/* ---- Small things ----------------------------------------------------------------------- */

uint64_t
live_random(struct live *l, uint64_t below)
{
    l->random += UINT64_C(0x9e3779b97f4a7c15);
    return below == 0 ? 0 : map_mix(l->random) % below;
}

int64_t
live_backoff(struct live *l, uint32_t failures, int64_t least_us, int64_t most_us)
{
    int64_t top = least_us;
    for (uint32_t i = 0; i < failures && top < most_us; i++)
        top *= 2;
    if (top > most_us)
        top = most_us;
    return least_us / 2 + (int64_t)live_random(l, (uint64_t)(top - least_us / 2) + 1);
}

uint32_t
live_index(const struct live *l, const struct live_symbol *s)
{
    return (uint32_t)(s - l->symbols);
}

uint32_t
live_group(const struct live *l, enum live_kind kind)
{
    uint8_t group = groups_of[l->o.market == TRADING_TYPE_spot ? 0 : 1][kind];
    return group < LIVE_GROUPS_MAX ? group : LIVE_NONE;
}

struct live_symbol *
live_symbol_of(struct live *l, uint32_t symbol, uint32_t generation)
{
    struct live_symbol *s = &l->symbols[symbol];
    return s->is_used && !s->is_leaving && s->generation == generation ? s : NULL;
}

/* ---- Symbols ---------------------------------------------------------------------------- */

static uint64_t
key_of(const char *text)
{
    return map_hash(text, strlen(text));
}

/* The exchange's name of ours; false when it cannot be one of this market. */
static bool
wire_name(enum trading_type market, code_t name, char out[CODE_BYTES])
{
    code_t wire = instrument_at_exchange(name);
    if (!instrument_fits(market, name))
        return false;
    for (const char *c = wire.text; *c != '\0'; c++) {
        bool is_plain = (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_';
        if (!is_plain)
            return false;
    }
    memcpy(out, wire.text, CODE_BYTES);
    return true;
}

/* Everything that was known of a place's symbol. */
static void
symbol_begin(struct live *l, struct live_symbol *s, code_t name, bool has_rules)
{
    const struct live_symbol old = *s;
    *s = (struct live_symbol){.name = name,
                              .is_used = true,
                              .has_rules = has_rules,
                              .generation = old.generation + 1,
                              .line = {LIVE_NONE, LIVE_NONE},
                              .next_dirty = LIVE_NONE,
                              .told_us = l->now_us};
    s->trades.head = s->trades.tail = LIVE_NONE;
    s->book.sync = old.book.sync;
    sync_reset(&s->book.sync);
    if (old.is_leaving) {
        memcpy(s->line, old.line, sizeof(s->line));
        memcpy(s->sub, old.sub, sizeof(s->sub));
        s->is_dirty = old.is_dirty;
        s->next_dirty = old.next_dirty;
    }
    s->minutes.is_wanted = s->days.is_wanted = true;
    CHECK(wire_name(l->o.market, name, s->wire));
    memcpy(s->lower, instrument_small(code_of(s->wire)).text, CODE_BYTES);
}

/* One that is still being left is taken back: its streams would be left after the new one's were
 * asked for. */
static struct live_symbol *
symbol_place(struct live *l, const char *wire)
{
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        if (s->is_used && s->is_leaving && strcmp(s->wire, wire) == 0)
            return s;
    }
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        if (!l->symbols[i].is_used)
            return &l->symbols[i];
    }
    return NULL;
}

static struct live_symbol *
symbol_find(const struct live *l, const struct map *by, const char *text)
{
    uint32_t index = map_get(by, key_of(text));
    return index == MAP_NONE ? NULL : &l->symbols[index];
}

struct live_symbol *
live_symbol_find(const struct live *l, code_t name)
{
    return symbol_find(l, &l->by_name, name.text);
}

enum err
live_symbol_add(struct live *l, code_t name, bool has_rules)
{
    char wire[CODE_BYTES];
    struct live_symbol *s = live_symbol_find(l, name);
    if (!wire_name(l->o.market, name, wire))
        return ERR_SYMBOL_UNKNOWN;
    if (s != NULL) {
        if (has_rules)
            live_rules_known(l, name);
        return OK;
    }
    if (symbol_find(l, &l->by_wire, wire) != NULL)
        return ERR_SYMBOL_UNKNOWN;
    s = symbol_place(l, wire);
    if (s == NULL)
        return ERR_SYMBOLS_FULL;
    symbol_begin(l, s, name, has_rules);
    map_set(&l->by_wire, key_of(s->wire), live_index(l, s));
    map_set(&l->by_name, key_of(name.text), live_index(l, s));
    if (l->by_name.count > LIVE_RULES_NAMED)
        l->rules_whole = true;
    if (!has_rules)
        l->rules_wanted = true;
    else
        live_streams_want(l, s);
    l->is_due = true;
    return OK;
}

void
live_symbol_remove(struct live *l, code_t name)
{
    struct live_symbol *s = live_symbol_find(l, name);
    if (s == NULL)
        return;
    map_remove(&l->by_wire, key_of(s->wire));
    map_remove(&l->by_name, key_of(name.text));
    live_trades_forget(l, s);
    s->is_leaving = true;
    s->pending = 0;
    live_streams_leave(l, s);
    l->is_due = true;
}

void
live_rules_known(struct live *l, code_t name)
{
    struct live_symbol *s = live_symbol_find(l, name);
    if (s == NULL || s->has_rules)
        return;
    s->has_rules = true;
    live_streams_want(l, s);
    l->is_due = true;
}

bool
live_symbol_has_rules(const struct live *l, code_t name)
{
    const struct live_symbol *s = symbol_find(l, &l->by_name, name.text);
    return s != NULL && s->has_rules;
}

/* ---- Time ------------------------------------------------------------------------------- */

void
live_time(struct live *l, int64_t now_us, int64_t wall_us)
{
    l->now_us = now_us;
    l->wall_us = wall_us;
}

/* A quiet symbol is alive while its connections are: its line's last word is newer than its own. */
static void
alive_tick(struct live *l, struct live_symbol *s)
{
    if (!s->has_given || s->is_away || l->now_us - s->told_us < LIVE_SECOND_US)
        return;
    int64_t heard_us = l->now_us;
    for (uint32_t g = 0; g < l->groups; g++) {
        const struct live_line *line = &l->lines[s->line[g]];
        if (line->heard_us < heard_us)
            heard_us = line->heard_us;
    }
    if (heard_us > s->told_us) {
        s->told_us = l->now_us;
        live_dirty(l, s, LIVE_TELL_ALIVE);
    }
}

/* All streams are there again, and a diff told whether the book still is true; where little happens
 * that is not waited for. */
static bool
is_back(const struct live *l, struct live_symbol *s)
{
    if (!live_carried(l, s)) {
        s->missed_us = l->now_us;
        return false;
    }
    for (uint32_t slot = 0; slot < LIVE_SLOTS; slot++) {
        if (live_carries(l, s, slot, LIVE_DEPTH) && (s->heard[slot] & 1u << LIVE_DEPTH) != 0)
            return true;
    }
    return l->now_us - s->missed_us >= LIVE_SECOND_US;
}

void
live_tick(struct live *l)
{
    live_conns_tick(l);
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        struct live_symbol *s = &l->symbols[i];
        if (!s->is_used)
            continue;
        if (s->is_leaving) {
            if (live_streams_gone(s) && !s->is_dirty) {
                live_streams_drop(l, s);
                s->is_used = false;
            }
            continue;
        }
        if (!s->has_rules)
            continue;
        live_trades_tick(l, s);
        live_streams_tick(l, s);
        if (s->is_away && is_back(l, s))
            live_dirty(l, s, LIVE_TELL_ALIVE);
        alive_tick(l, s);
    }
    live_asks_tick(l);
    l->is_due = true;
}

/* ---- What is given ---------------------------------------------------------------------- */

void
live_dirty(struct live *l, struct live_symbol *s, enum live_pending pending)
{
    s->pending |= pending;
    if (s->is_dirty)
        return;
    s->is_dirty = true;
    s->next_dirty = LIVE_NONE;
    if (l->dirty_last == LIVE_NONE)
        l->dirty_first = live_index(l, s);
    else
        l->symbols[l->dirty_last].next_dirty = live_index(l, s);
    l->dirty_last = live_index(l, s);
}

void
live_give(struct live *l, struct live_symbol *s, const struct md_event *e, const char *text,
          size_t length)
{
    CHECK(!l->has_given);
    l->has_given = true;
    l->given = (struct live_given){.has_event = true, .event = *e, .text = text, .length = length};
    l->given.event.symbol = s->name;
    l->given.event.at_us = l->wall_us;
    s->has_given = true;
    s->told_us = l->now_us;
}

void
live_mark(struct live *l, const char *mark, uint64_t first, uint64_t last)
{
    CHECK(l->has_given);
    l->given.mark = mark;
    l->given.mark_first = first;
    l->given.mark_last = last;
}

/* AWAY and ALIVE go before trades that were kept back. */
static void
symbol_next(struct live *l, struct live_symbol *s)
{
    struct md_event e = {.kind = MD_EVENT_AWAY, .until_alive = true};
    if (s->pending & LIVE_TELL_AWAY) {
        s->pending &= ~(unsigned)LIVE_TELL_AWAY;
        s->is_away = true;
        live_give(l, s, &e, NULL, 0);
        live_mark(l, "away", 0, 0);
    } else if (s->pending & LIVE_TELL_ALIVE) {
        s->pending &= ~(unsigned)LIVE_TELL_ALIVE;
        s->is_away = false;
        e = (struct md_event){.kind = MD_EVENT_ALIVE};
        live_give(l, s, &e, NULL, 0);
    } else if (!live_trades_next(l, s)) {
        s->pending &= ~(unsigned)LIVE_TELL_TRADES;
    }
}

static void
dirty_next(struct live *l)
{
    struct live_symbol *s = &l->symbols[l->dirty_first];
    if (s->pending != 0)
        symbol_next(l, s);
    if (s->pending != 0)
        return;
    s->is_dirty = false;
    l->dirty_first = s->next_dirty;
    if (l->dirty_first == LIVE_NONE)
        l->dirty_last = LIVE_NONE;
}

bool
live_next(struct live *l, struct live_given *out)
{
    for (;;) {
        if (l->has_given) {
            l->has_given = false;
            *out = l->given;
            return true;
        }
        if (l->dirty_first != LIVE_NONE)
            dirty_next(l);
        else if (l->answer.kind == LIVE_ASK_NONE || !live_answer_next(l))
            return false;
    }
}

void
live_text(struct live *l, uint32_t conn, const char *text, size_t length)
{
    struct binance_room room = {l->levels, l->o.levels_max};
    struct md_event e;
    struct binance_control control;
    CHECK(conn < l->lines_max * LIVE_SLOTS);
    if (l->lines[conn / LIVE_SLOTS].conn[conn % LIVE_SLOTS].state != LIVE_OPEN)
        return;
    if (binance_json(text, length, &room, &e) != OK) {
        l->counts.invalid++;
        return;
    }
    live_conn_heard(l, conn);
    if (e.kind == MD_EVENT_NONE) {
        if (binance_control_read(text, length, &control))
            live_control(l, conn, &control);
        return;
    }
    struct live_symbol *s = symbol_find(l, &l->by_wire, e.symbol.text);
    if (s == NULL || strcmp(s->wire, e.symbol.text) != 0 || !s->has_rules) {
        l->counts.ignored++;
        return;
    }
    e.symbol = s->name;
    live_event_take(l, s, conn % LIVE_SLOTS, &e, text, length);
}

/* ---- Views ------------------------------------------------------------------------------ */

bool
live_is_complete(const struct live *l)
{
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        const struct live_symbol *s = &l->symbols[i];
        if (s->is_used && !s->is_leaving && (!s->has_rules || !live_carried(l, s)))
            return false;
    }
    return true;
}

/* The chain of one symbol's held trades: in order, and as many as are counted. */
static uint32_t
chain_check(const struct live *l, const struct live_symbol *s)
{
    const struct live_trades *t = &s->trades;
    uint64_t before = t->last_id;
    uint32_t count = 0, last = LIVE_NONE;
    for (uint32_t i = t->head; i != LIVE_NONE; i = l->held[i].next) {
        CHECK(l->held[i].trade.trade_id > before);
        before = l->held[i].trade.trade_id;
        last = i;
        count++;
    }
    CHECK(count == t->held && last == t->tail);
    return count;
}

void
live_check(const struct live *l)
{
    uint32_t held = 0, used = 0;
    for (uint32_t i = 0; i < l->o.symbols_max; i++) {
        if (!l->symbols[i].is_used)
            continue;
        held += chain_check(l, &l->symbols[i]);
        used += !l->symbols[i].is_leaving;
    }
    for (uint32_t i = l->held_free; i != LIVE_NONE; i = l->held[i].next)
        held++;
    CHECK(held == l->o.held_max && used == l->by_name.count && used == l->by_wire.count);
}
