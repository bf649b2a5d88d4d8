/*
 * lobster.c - see lobster.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lobster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/check.h"

/* ---- Lines ----------------------------------------------------------------------------------- */

/* A growing array: room for one more. */
static void *
room(void *at, uint32_t count, uint32_t *max, size_t size)
{
    if (count < *max)
        return at;
    *max = *max == 0 ? 1024 : *max * 2;
    at = realloc(at, *max * size);
    CHECK(at != NULL);
    return at;
}

static void *
zeroed(size_t count, size_t size)
{
    void *at = calloc(count > 0 ? count : 1, size);
    CHECK(at != NULL);
    return at;
}

struct line {
    int64_t time_ns, id, quantity, price;
    int type, direction;
};

static bool
line_read(const char *text, struct line *l)
{
    long long seconds, id, quantity, price;
    char digits[32] = "";
    if (sscanf(text, "%lld.%31[0-9],%d,%lld,%lld,%lld,%d", &seconds, digits, &l->type, &id,
               &quantity, &price, &l->direction) != 7)
        return false;
    int64_t fraction = 0;
    for (size_t i = 0; i < 9; i++)
        fraction = fraction * 10 + (i < strlen(digits) ? digits[i] - '0' : 0);
    l->time_ns = seconds * 1000000000 + fraction;
    l->id = id;
    l->quantity = quantity;
    l->price = price;
    return true;
}

static uint64_t
key_of(int64_t number)
{
    uint64_t key = map_mix((uint64_t)number);
    return key != 0 ? key : 1;
}

/* A map that grows: keys are mixed numbers, so that different ones stay different. */
struct index {
    struct map map;
    void *memory;
};

static void
index_set(struct index *x, uint64_t key, uint32_t value)
{
    if (x->memory == NULL || x->map.count == x->map.max) {
        struct map old = x->map;
        void *memory = x->memory;
        uint32_t max = memory == NULL ? 4096 : old.max * 2;
        x->memory = malloc(map_bytes(max));
        CHECK(x->memory != NULL);
        map_init(&x->map, max, x->memory);
        for (uint32_t i = 0; memory != NULL && i <= old.mask; i++)
            if (old.slots[i].key != 0)
                map_set(&x->map, old.slots[i].key, old.slots[i].value);
        free(memory);
    }
    map_set(&x->map, key, value);
}

static uint32_t
index_get(const struct index *x, uint64_t key)
{
    return x->memory != NULL ? map_get(&x->map, key) : MAP_NONE;
}

/* The level of a side and price, new or known. */
static uint32_t
level_of(struct lobster *l, struct index *levels, enum side side, int64_t price)
{
    uint64_t key = key_of(price * 4 + (int64_t)side);
    uint32_t level = index_get(levels, key);
    if (level != MAP_NONE)
        return level;
    l->levels = room(l->levels, l->levels_count, &l->levels_max, sizeof(*l->levels));
    l->levels[l->levels_count] = (struct lobster_level){.price = price, .side = side};
    index_set(levels, key, l->levels_count);
    return l->levels_count++;
}

/* The row of a line about an order that can be seen. False when it was never announced, or has
 * nothing left. */
static bool
take_visible(struct lobster *l, const struct line *line, struct index *orders, struct index *levels,
             int64_t *last_id, struct lobster_row *row)
{
    uint64_t key = key_of(line->id);
    uint32_t order = index_get(orders, key);
    if (line->type == LOBSTER_ADD) {
        order = l->orders_count++;
        l->orders = room(l->orders, order, &l->orders_max, sizeof(*l->orders));
        l->orders[order] = (struct lobster_order){
            .quantity = line->quantity,
            .first = l->rows_count,
            .last = LOBSTER_NONE,
            .level = level_of(l, levels, row->side, line->price),
            .is_late = line->id < *last_id,
        };
        *last_id = line->id > *last_id ? line->id : *last_id;
        index_set(orders, key, order);
    }
    if (order == MAP_NONE)
        return false;
    /* While the file is read, `wanted` is what is left. */
    int64_t *left = &l->orders[order].wanted;
    if (line->type == LOBSTER_ADD)
        *left = 2 * row->quantity; /* ends as what came */
    else if (*left == 0)
        return false;
    if (row->type == LOBSTER_REDUCE && row->quantity >= *left)
        row->type = LOBSTER_DELETE;
    if (row->type == LOBSTER_DELETE || row->quantity > *left)
        row->quantity = *left;
    *left -= row->quantity;
    row->order = order;
    row->level = l->orders[order].level;
    return true;
}

static void
take_line(struct lobster *l, const struct line *line, struct index *orders, struct index *levels,
          int64_t *last_id)
{
    if (line->type < LOBSTER_ADD || line->type > LOBSTER_PRINT || line->quantity <= 0 ||
        line->price <= 0) {
        l->skipped++;
        return;
    }
    struct lobster_row row = {.time_ns = line->time_ns,
                              .price = line->price,
                              .quantity = line->quantity,
                              .order = LOBSTER_NONE,
                              .level = LOBSTER_NONE,
                              .side = line->direction > 0 ? SIDE_BUY : SIDE_SELL,
                              .type = (enum lobster_type)line->type};
    if (line->type != LOBSTER_PRINT && !take_visible(l, line, orders, levels, last_id, &row)) {
        if (line->type != LOBSTER_EXECUTE)
            return;
        row.type = LOBSTER_PRINT;
    }
    l->rows = room(l->rows, l->rows_count, &l->rows_max, sizeof(*l->rows));
    l->rows[l->rows_count++] = row;
}

const char *
lobster_read(struct lobster *l, const char *path, uint32_t lines)
{
    *l = (struct lobster){0};
    gzFile file = gzopen(path, "rb");
    if (file == NULL)
        return "it cannot be opened";
    struct index orders = {0}, levels = {0};
    const char *wrong = NULL;
    char text[256];
    int64_t last_id = 0;
    for (uint32_t n = 0; n < lines && wrong == NULL && gzgets(file, text, sizeof(text)) != NULL;
         n++) {
        struct line line;
        if (!line_read(text, &line))
            wrong = "a line is not: time, type, order id, size, price, direction";
        else if (l->rows_count > 0 && line.time_ns < l->rows[l->rows_count - 1].time_ns)
            wrong = "its times fall back";
        else
            take_line(l, &line, &orders, &levels, &last_id);
    }
    gzclose(file);
    free(orders.memory);
    free(levels.memory);
    if (wrong == NULL && l->orders_count == 0)
        wrong = "it holds no order";
    if (wrong != NULL)
        lobster_free(l);
    return wrong;
}

void
lobster_free(struct lobster *l)
{
    free(l->rows);
    free(l->orders);
    free(l->levels);
    free(l->places);
    *l = (struct lobster){0};
}

/* ---- Levels ---------------------------------------------------------------------------------- */

struct by_price {
    int64_t key; /* higher is better */
    uint32_t level;
};

static int
compare_keys(const void *a, const void *b)
{
    int64_t x = ((const struct by_price *)a)->key, y = ((const struct by_price *)b)->key;
    return (x < y) - (x > y);
}

/* Sets each level's neighbours. */
static void
sort_levels(struct lobster *l)
{
    struct by_price *at = zeroed(l->levels_count, sizeof(*at));
    for (enum side side = SIDE_BUY; side <= SIDE_SELL; side++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < l->levels_count; i++)
            if (l->levels[i].side == side)
                at[count++] = (struct by_price){
                    side == SIDE_BUY ? l->levels[i].price : -l->levels[i].price, i};
        qsort(at, count, sizeof(*at), compare_keys);
        for (uint32_t i = 0; i < count; i++) {
            l->levels[at[i].level].better = i > 0 ? at[i - 1].level : LOBSTER_NONE;
            l->levels[at[i].level].worse = i + 1 < count ? at[i + 1].level : LOBSTER_NONE;
        }
    }
    free(at);
}

/* Lists each level's rows. */
static void
list_rows(struct lobster *l)
{
    uint32_t *places = zeroed(l->rows_count, sizeof(*places)), total = 0;
    for (uint32_t i = 0; i < l->levels_count; i++)
        l->levels[i].rows_count = 0;
    for (uint32_t i = 0; i < l->rows_count; i++)
        if (l->rows[i].level != LOBSTER_NONE)
            l->levels[l->rows[i].level].rows_count++;
    for (uint32_t i = 0; i < l->levels_count; i++) {
        l->levels[i].rows = places + total;
        total += l->levels[i].rows_count;
        l->levels[i].rows_count = 0;
    }
    for (uint32_t i = 0; i < l->rows_count; i++) {
        const struct lobster_row *row = &l->rows[i];
        if (row->level == LOBSTER_NONE)
            continue;
        struct lobster_level *level = &l->levels[row->level];
        if (row->type == LOBSTER_ADD)
            l->orders[row->order].place = level->rows_count;
        level->rows[level->rows_count++] = i;
    }
    free(l->places);
    l->places = places;
}

/* ---- Views ----------------------------------------------------------------------------------- */

/* What is displayed at a moment. */
struct view {
    const struct lobster *l;
    int64_t *shown;   /* by level */
    uint32_t best[2]; /* levels by enum side - 1, LOBSTER_NONE = nothing is displayed */
};

static bool
is_better(const struct lobster *l, uint32_t a, uint32_t b)
{
    int64_t x = l->levels[a].price, y = l->levels[b].price;
    return l->levels[a].side == SIDE_BUY ? x > y : x < y;
}

static void
view_set(struct view *v, uint32_t level, int64_t shown)
{
    uint32_t *best = &v->best[v->l->levels[level].side - 1];
    v->shown[level] = shown;
    if (shown > 0 && (*best == LOBSTER_NONE || is_better(v->l, level, *best)))
        *best = level;
    while (*best != LOBSTER_NONE && v->shown[*best] == 0)
        *best = v->l->levels[*best].worse;
}

static int64_t
view_best(const struct view *v, enum side side)
{
    uint32_t level = v->best[side - 1];
    return level != LOBSTER_NONE ? v->l->levels[level].price : 0;
}

/* What an order finds that enters at this level. */
static struct lobster_entry
view_entry(const struct view *v, uint32_t level, uint32_t from, int64_t word_ns)
{
    const struct lobster_level *at = &v->l->levels[level];
    struct lobster_entry e = {.from = from, .word_ns = word_ns, .shown = v->shown[level]};
    uint32_t worse = at->worse;
    while (worse != LOBSTER_NONE && v->shown[worse] == 0)
        worse = v->l->levels[worse].worse;
    e.worse = worse != LOBSTER_NONE ? v->l->levels[worse].price : 0;
    int64_t other = view_best(v, side_other(at->side));
    e.crosses = other != 0 && (at->side == SIDE_BUY ? other <= at->price : other >= at->price);
    return e;
}

/* Carries a row out on its order. */
static void
tell_order(struct lobster_order *o, const struct lobster_row *row, uint32_t i)
{
    if (row->type == LOBSTER_REDUCE)
        o->wanted -= row->quantity;
    if (row->type != LOBSTER_EXECUTE && row->type != LOBSTER_DELETE)
        return;
    if (row->type == LOBSTER_EXECUTE)
        o->executed += row->quantity;
    if (row->type == LOBSTER_EXECUTE && o->executed < o->wanted)
        return;
    o->last = i;
    o->end_ns = row->time_ns;
    o->full_ns = row->time_ns;
    o->class = row->type == LOBSTER_EXECUTE ? LOBSTER_FULL
               : o->executed > 0            ? LOBSTER_PART
                                            : LOBSTER_UNFILLED;
}

/* The fresh view: totals and best prices of every row, what became of every order. */
static void
follow_rows(struct lobster *l)
{
    struct view v = {l, zeroed(l->levels_count, sizeof(int64_t)), {LOBSTER_NONE, LOBSTER_NONE}};
    uint32_t from = 0;
    int64_t word_ns = 0;
    for (uint32_t i = 0; i < l->rows_count; i++) {
        struct lobster_row *row = &l->rows[i];
        if (row->type != LOBSTER_PRINT) {
            struct lobster_order *o = &l->orders[row->order];
            if (row->type == LOBSTER_ADD) {
                o->entry = view_entry(&v, row->level, from, word_ns);
                o->was_behind = o->entry.shown > 0;
                o->wanted = o->quantity;
                o->executed = 0;
            }
            row->after =
                v.shown[row->level] + (row->type == LOBSTER_ADD ? row->quantity : -row->quantity);
            CHECK(row->after >= 0);
            view_set(&v, row->level, row->after);
            tell_order(o, row, i);
            from = i + 1;
            word_ns = row->time_ns;
        }
        row->best[0] = view_best(&v, SIDE_BUY);
        row->best[1] = view_best(&v, SIDE_SELL);
    }
    free(v.shown);
}

int64_t
lobster_interval(const struct lobster *l, int64_t time_ns)
{
    return time_ns - time_ns % l->interval_ns;
}

/* The entries as they are by a view of intervals. */
static void
follow_intervals(struct lobster *l)
{
    struct view v = {l, zeroed(l->levels_count, sizeof(int64_t)), {LOBSTER_NONE, LOBSTER_NONE}};
    uint32_t from = 0;
    int64_t word_ns = 0;
    for (uint32_t i = 0; i < l->rows_count; i++) {
        const struct lobster_row *row = &l->rows[i];
        int64_t began_ns = lobster_interval(l, row->time_ns);
        for (; from < i && l->rows[from].time_ns < began_ns; from++)
            if (l->rows[from].level != LOBSTER_NONE)
                view_set(&v, l->rows[from].level, l->rows[from].after);
        word_ns = began_ns;
        if (row->type == LOBSTER_ADD)
            l->orders[row->order].entry = view_entry(&v, row->level, from, word_ns);
    }
    free(v.shown);
}

/* Whether each order's price came to be the best. */
static void
follow_best(struct lobster *l)
{
    for (uint32_t i = 0; i < l->orders_count; i++) {
        struct lobster_order *o = &l->orders[i];
        const struct lobster_level *level = &l->levels[o->level];
        uint32_t last = o->last != LOBSTER_NONE ? o->last : l->rows_count;
        o->was_best = false;
        for (uint32_t r = o->first; r < last && !o->was_best; r++)
            o->was_best = l->rows[r].best[level->side - 1] == level->price;
    }
}

void
lobster_prepare(struct lobster *l, int64_t interval_ns)
{
    l->interval_ns = interval_ns;
    sort_levels(l);
    list_rows(l);
    follow_rows(l);
    if (interval_ns > 0)
        follow_intervals(l);
    follow_best(l);
}

bool
lobster_is_judged(const struct lobster_order *o)
{
    return !o->is_late && o->last != LOBSTER_NONE && !o->entry.crosses;
}
