/*
 * resting.c - the pool of orders and its index.
 *
 * The hash in a slot tells the slot's home, so that deletion can move later slots back without
 * looking at the orders themselves, and a lookup reads an order only when 32 bits agree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "matcher/core/resting.h"

#include "base/check.h"

#define RUN 8u /* ids in a row that share a line of slots */

/* A power of two at least twice as large as the pool. */
static uint64_t
slots_for(uint32_t max)
{
    uint64_t slots = 64;
    while (slots < (uint64_t)max * 2)
        slots *= 2;
    return slots;
}

size_t
resting_bytes(uint32_t max)
{
    return (size_t)max * (sizeof(struct resting) + sizeof(struct order_more)) +
           slots_for(max) * sizeof(uint64_t);
}

void
resting_init(struct resting_pool *p, uint32_t max, void *zeroed)
{
    uint64_t slots = slots_for(max);
    CHECK(max > 0 && slots <= UINT32_MAX);
    struct resting *at = zeroed;
    struct order_more *more = (struct order_more *)(void *)(at + max);
    *p = (struct resting_pool){.at = at,
                               .more = more,
                               .slots = (uint64_t *)(void *)(more + max),
                               .mask = (uint32_t)(slots - 1),
                               .free = RESTING_NONE,
                               .max = max};
}

static inline uint32_t
hash_of(uint64_t id)
{
    uint32_t spread = (uint32_t)((id / RUN) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    return (spread & ~(RUN - 1)) | (uint32_t)(id & (RUN - 1));
}

/* The slot of an id, or the empty slot that ends its run. */
static inline uint32_t
slot_of(const struct resting_pool *p, uint64_t id)
{
    uint32_t hash = hash_of(id);
    uint32_t i = hash & p->mask;
    for (; p->slots[i] != 0; i = (i + 1) & p->mask)
        if ((uint32_t)(p->slots[i] >> 32) == hash && p->at[(uint32_t)p->slots[i] - 1].id == id)
            break;
    return i;
}

uint32_t
resting_find(const struct resting_pool *p, uint64_t id)
{
    uint64_t slot = p->slots[slot_of(p, id)];
    return slot != 0 ? (uint32_t)slot - 1 : RESTING_NONE;
}

uint32_t
resting_new(struct resting_pool *p, uint64_t id)
{
    if (p->used == p->max)
        return RESTING_NONE;
    uint32_t i = slot_of(p, id);
    CHECK(id != 0 && p->slots[i] == 0);
    uint32_t record = p->free;
    if (record != RESTING_NONE)
        p->free = p->at[record].next;
    else
        record = p->fresh++;
    p->used++;
    p->slots[i] = (uint64_t)hash_of(id) << 32 | (record + 1);
    p->at[record].id = id;
    p->at[record].has_more = 0;
    p->at[record].model = FILL_MODEL_NONE;
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

static void
slot_empty(struct resting_pool *p, uint32_t hole)
{
    for (uint32_t i = (hole + 1) & p->mask; p->slots[i] != 0; i = (i + 1) & p->mask) {
        /* A slot may move into the hole unless its home lies behind the hole. */
        uint32_t home = (uint32_t)(p->slots[i] >> 32) & p->mask;
        if (((i - home) & p->mask) >= ((i - hole) & p->mask)) {
            p->slots[hole] = p->slots[i];
            hole = i;
        }
    }
    p->slots[hole] = 0;
}

void
resting_free(struct resting_pool *p, uint32_t record)
{
    struct resting *r = &p->at[record];
    uint32_t hash = hash_of(r->id);
    uint32_t i = hash & p->mask;
    while ((uint32_t)p->slots[i] != record + 1) {
        CHECK(p->slots[i] != 0);
        i = (i + 1) & p->mask;
    }
    slot_empty(p, i);
    r->id = 0;
    r->next = p->free;
    p->free = record;
    p->used--;
}

const char *
resting_check(const struct resting_pool *p)
{
    uint32_t used = 0, indexed = 0;
    for (uint32_t i = 0; i < p->fresh; i++) {
        if (p->at[i].id == 0)
            continue;
        used++;
        if (resting_find(p, p->at[i].id) != i)
            return "orders: the index does not find an order";
    }
    for (uint64_t i = 0; i <= p->mask; i++)
        indexed += p->slots[i] != 0;
    return used == p->used && indexed == p->used ? NULL : "orders: the pool's count is wrong";
}
