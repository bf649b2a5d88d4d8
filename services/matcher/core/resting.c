/*
 * resting.c - the pool of orders and its index.
 *
 * The index has no chains and moves nothing when an order goes: a line that was once full counts
 * who had to pass it, and a search ends at the first line that nobody passed. Searching a line
 * compares all of it without branches; an order's own record is read only when 32 bits agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/resting.h"

#include <string.h>

#include "base/check.h"

#define LINES_MIN  128u /* of the first table */
#define PASSED_MAX UINT8_MAX

/* A power of two of lines, at most half full. */
static uint64_t
lines_for(uint32_t max)
{
    uint64_t lines = LINES_MIN;
    while (lines * INDEX_LINE < (uint64_t)max * 2)
        lines *= 2;
    return lines;
}

size_t
resting_bytes(uint32_t max)
{
    return (size_t)max * (sizeof(struct resting) + sizeof(struct order_more)) +
           lines_for(max) * (sizeof(struct index_line) + 1) * 3 / 2;
}

void
resting_init(struct resting_pool *p, uint32_t max, void *zeroed)
{
    uint64_t full = lines_for(max);
    CHECK(max > 0 && full * INDEX_LINE <= UINT32_MAX);
    struct resting *at = zeroed;
    struct order_more *more = (struct order_more *)(void *)(at + max);
    struct index_line *lines = (struct index_line *)(void *)(more + max);
    uint8_t *passed = (uint8_t *)(lines + full + full / 2);
    *p = (struct resting_pool){.at = at, .more = more, .free = RESTING_NONE, .max = max};
    p->rooms[0] = (struct resting_index){.lines = lines, .passed = passed};
    p->rooms[1] = (struct resting_index){.lines = lines + full, .passed = passed + full};
    /* Tables take turns, and the largest must come to lie in the larger room. */
    int room = 0;
    for (uint64_t count = LINES_MIN; count < full; count *= 2)
        room = 1 - room;
    p->index = p->rooms[room];
    p->index.mask = LINES_MIN - 1;
    p->index.shift = (uint32_t)__builtin_clz(p->index.mask);
}

/* ---- The index ------------------------------------------------------------------------------ */

/* The low bits tell apart those that share a line; the high ones, where ids of many shards that
 * count alike differ most, choose it. */
static inline uint32_t
hash_of(uint64_t id)
{
    uint32_t spread = (uint32_t)((id / INDEX_LINE) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    return (spread & ~(INDEX_LINE - 1u)) | (uint32_t)(id & (INDEX_LINE - 1u));
}

static inline uint32_t
home_of(const struct resting_index *x, uint32_t hash)
{
    return hash >> x->shift;
}

typedef uint32_t four_words __attribute__((vector_size(16)));

/* Which of the eight words of half a line are this one, as bits. Without branches: what lies in a
 * line is chance. */
static inline uint32_t
same(const uint32_t *words, uint32_t word)
{
    const four_words wanted = {word, word, word, word};
    const four_words low_bits = {1, 2, 4, 8}, high_bits = {16, 32, 64, 128};
    four_words low, high;
    memcpy(&low, words, sizeof(low));
    memcpy(&high, words + 4, sizeof(high));
    four_words bits =
        ((four_words)(low == wanted) & low_bits) | ((four_words)(high == wanted) & high_bits);
    uint64_t halves[2];
    memcpy(halves, &bits, sizeof(halves));
    halves[0] |= halves[1];
    return (uint32_t)halves[0] | (uint32_t)(halves[0] >> 32);
}

static inline uint32_t
index_find(const struct resting_pool *p, const struct resting_index *x, uint64_t id, uint32_t hash,
           uint32_t *place)
{
    uint32_t l = home_of(x, hash);
    for (uint32_t seen = 0; seen <= x->mask; seen++, l = (l + 1) & x->mask) {
        const struct index_line *line = &x->lines[l];
        for (uint32_t bits = same(line->hash, hash); bits != 0; bits &= bits - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(bits), record = line->record[i];
            if (record != 0 && p->at[record - 1].id == id) {
                *place = l * INDEX_LINE + i;
                return record - 1;
            }
        }
        if (x->passed[l] == 0)
            break;
    }
    return RESTING_NONE;
}

static inline void
index_add(struct resting_index *x, uint32_t hash, uint32_t record)
{
    uint32_t l = home_of(x, hash), empty;
    while ((empty = same(x->lines[l].record, 0)) == 0) {
        if (x->passed[l] < PASSED_MAX)
            x->passed[l]++;
        l = (l + 1) & x->mask;
    }
    uint32_t i = (uint32_t)__builtin_ctz(empty);
    x->lines[l].hash[i] = hash;
    x->lines[l].record[i] = record + 1;
    x->used++;
}

/* Empties a place of a line. */
static inline void
index_empty(struct resting_index *x, uint32_t line, uint32_t i)
{
    uint32_t l = home_of(x, x->lines[line].hash[i]);
    for (; l != line; l = (l + 1) & x->mask)
        if (x->passed[l] < PASSED_MAX)
            x->passed[l]--;
    x->lines[line].hash[i] = 0;
    x->lines[line].record[i] = 0;
    x->used--;
}

/* False when it is not in this table. */
static inline bool
index_remove(struct resting_index *x, uint32_t hash, uint32_t record)
{
    uint32_t l = home_of(x, hash);
    for (uint32_t seen = 0; seen <= x->mask; seen++, l = (l + 1) & x->mask) {
        uint32_t bits = same(x->lines[l].record, record + 1);
        if (bits != 0) {
            index_empty(x, l, (uint32_t)__builtin_ctz(bits));
            return true;
        }
        if (x->passed[l] == 0)
            break;
    }
    return false;
}

/* A table of twice the size takes over. */
static void
index_grow(struct resting_pool *p)
{
    p->old = p->index;
    p->moved = 0;
    p->index = p->rooms[p->old.lines == p->rooms[0].lines ? 1 : 0];
    p->index.mask = p->old.mask * 2 + 1;
    p->index.shift = p->old.shift - 1;
}

/* Moves one line of the old table. */
static void
index_move(struct resting_pool *p)
{
    const struct index_line *line = &p->old.lines[p->moved];
    for (uint32_t i = 0; i < INDEX_LINE; i++) {
        if (line->record[i] == 0)
            continue;
        index_add(&p->index, line->hash[i], line->record[i] - 1);
        index_empty(&p->old, p->moved, i);
    }
    p->moved++;
}

/* ---- The pool ------------------------------------------------------------------------------- */

static inline uint32_t
find(const struct resting_pool *p, uint64_t id, uint32_t *place)
{
    uint32_t hash = hash_of(id);
    uint32_t record = index_find(p, &p->index, id, hash, place);
    if (record == RESTING_NONE && p->old.used > 0)
        record = index_find(p, &p->old, id, hash, place);
    return record;
}

uint32_t
resting_find(const struct resting_pool *p, uint64_t id)
{
    uint32_t place;
    return find(p, id, &place);
}

uint32_t
resting_seek(struct resting_pool *p, uint64_t id)
{
    return find(p, id, &p->sought_at);
}

void
resting_ahead(const struct resting_pool *p, uint64_t id)
{
    __builtin_prefetch(&p->index.lines[home_of(&p->index, hash_of(id))], 1);
}

uint32_t
resting_ahead_record(const struct resting_pool *p, uint64_t id)
{
    uint32_t hash = hash_of(id);
    const struct index_line *line = &p->index.lines[home_of(&p->index, hash)];
    uint32_t bits = same(line->hash, hash);
    uint32_t number = line->record[__builtin_ctz(bits | 1u << (INDEX_LINE - 1))];
    /* A new order, and the few that lie in a later line, get the first record: it does no harm. */
    uint32_t record = bits != 0 && number != 0 ? number - 1 : 0;
    __builtin_prefetch(&p->at[record], 1);
    return record;
}

uint32_t
resting_new(struct resting_pool *p, uint64_t id)
{
    CHECK(id != 0);
    if (p->used == p->max)
        return RESTING_NONE;
    if (p->old.used > 0)
        index_move(p);
    else if (p->used >= (p->index.mask + 1) * (INDEX_LINE / 2))
        index_grow(p);
    uint32_t record = p->free;
    if (record != RESTING_NONE)
        p->free = p->at[record].next;
    else
        record = p->fresh++;
    p->used++;
    index_add(&p->index, hash_of(id), record);
    p->at[record] = (struct resting){.id = id};
    return record;
}

struct order_more *
resting_more(struct resting_pool *p, uint32_t record)
{
    struct order_more *more = &p->more[record];
    *more = (struct order_more){
        .story = RESTING_NONE, .pair = RESTING_NONE, .timer = RESTING_NONE, .level = RESTING_NONE};
    p->at[record].has_more = 1;
    return more;
}

struct order_more *
resting_need_more(struct resting_pool *p, uint32_t record)
{
    if (p->at[record].has_more)
        return &p->more[record];
    int64_t total = p->at[record].total;
    struct order_more *more = resting_more(p, record);
    more->total = total;
    return more;
}

void
resting_free(struct resting_pool *p, uint32_t record)
{
    struct resting *r = &p->at[record];
    uint32_t line = p->sought_at / INDEX_LINE, i = p->sought_at % INDEX_LINE;
    if (line <= p->index.mask && p->index.lines[line].record[i] == record + 1) {
        index_empty(&p->index, line, i);
    } else {
        uint32_t hash = hash_of(r->id);
        bool is_new = index_remove(&p->index, hash, record);
        CHECK(is_new || (p->old.used > 0 && index_remove(&p->old, hash, record)));
    }
    r->id = 0;
    r->next = p->free;
    p->free = record;
    p->used--;
}

/* Orders in a table, or RESTING_NONE when its own count is another. */
static uint32_t
index_count(const struct resting_index *x)
{
    uint32_t count = 0;
    for (uint64_t l = 0; x->lines != NULL && l <= x->mask; l++)
        for (uint32_t i = 0; i < INDEX_LINE; i++)
            count += x->lines[l].record[i] != 0;
    return count == x->used ? count : RESTING_NONE;
}

const char *
resting_check(const struct resting_pool *p)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < p->fresh; i++) {
        if (p->at[i].id == 0)
            continue;
        used++;
        if (resting_find(p, p->at[i].id) != i)
            return "orders: the index does not find an order";
    }
    uint32_t indexed = index_count(&p->index) + index_count(&p->old);
    return used == p->used && indexed == p->used ? NULL : "orders: the pool's count is wrong";
}
