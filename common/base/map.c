/*
 * map.c - open addressing with linear probing, at most two thirds full.
 *
 * Deletion moves later slots of the run back, so that lookups never pass tombstones and the
 * table does not age.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/map.h"

#include <string.h>

#include "base/check.h"

/* A power of two of which `max` is at most two thirds. */
static uint32_t
map_slots(uint32_t max)
{
    uint64_t least = (uint64_t)max + max / 2 + 1;
    uint64_t slots = 8;
    while (slots < least)
        slots *= 2;
    CHECK(slots <= UINT32_MAX);
    return (uint32_t)slots;
}

size_t
map_bytes(uint32_t max)
{
    return (size_t)map_slots(max) * sizeof(struct map_slot);
}

void
map_init(struct map *m, uint32_t max, void *bytes)
{
    uint32_t slots = map_slots(max);
    memset(bytes, 0, (size_t)slots * sizeof(struct map_slot));
    *m = (struct map){bytes, slots - 1, 0, max};
}

/* The slot of a key, or the free slot where it belongs. Ends: there are always free slots. */
static uint32_t
map_seek(const struct map *m, uint64_t key)
{
    uint32_t i = (uint32_t)map_mix(key) & m->mask;
    while (m->slots[i].key != key && m->slots[i].key != 0)
        i = (i + 1) & m->mask;
    return i;
}

uint32_t
map_get(const struct map *m, uint64_t key)
{
    CHECK(key != 0);
    const struct map_slot *slot = &m->slots[map_seek(m, key)];
    return slot->key == key ? slot->value : MAP_NONE;
}

void
map_set(struct map *m, uint64_t key, uint32_t value)
{
    CHECK(key != 0);
    struct map_slot *slot = &m->slots[map_seek(m, key)];
    if (slot->key == 0) {
        CHECK(m->count < m->max);
        m->count++;
        slot->key = key;
    }
    slot->value = value;
}

bool
map_remove(struct map *m, uint64_t key)
{
    CHECK(key != 0);
    uint32_t hole = map_seek(m, key);
    if (m->slots[hole].key == 0)
        return false;
    for (uint32_t i = (hole + 1) & m->mask; m->slots[i].key != 0; i = (i + 1) & m->mask) {
        /* A slot may move into the hole unless its home lies behind the hole. */
        uint32_t home = (uint32_t)map_mix(m->slots[i].key) & m->mask;
        if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0, 0, 0};
    m->count--;
    return true;
}

uint64_t
map_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Little-endian on every machine, so that hashes are the same. */
static uint64_t
map_word(const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;
    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t
map_hash(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t state = map_mix(UINT64_C(0x9e3779b97f4a7c15) + length);
    for (size_t left = length; left > 0;) {
        size_t step = left < 8 ? left : 8;
        state = map_mix((state ^ map_word(at, step)) + UINT64_C(0x9e3779b97f4a7c15));
        at += step;
        left -= step;
    }
    return state != 0 ? state : 1;
}
