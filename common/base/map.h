/*
 * map.h - uint64 keys to uint32 values, open addressing, fixed capacity, no allocation.
 *
 * Key 0 is not allowed. For keys that are not numbers, hash them (map_hash), compare what is
 * found, and chain the values that share a hash in the caller's own records.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_MAP_H
#define SCRIP_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_NONE UINT32_MAX

struct map_slot {
    uint64_t key;
    uint32_t value;
    uint32_t spare;
};

struct map {
    struct map_slot *slots;
    uint32_t mask;
    uint32_t count, max;
};

/* Bytes that map_init needs for at most `max` keys. */
size_t map_bytes(uint32_t max);
/* Borrows `bytes`, of map_bytes(max), zeroed here. */
void map_init(struct map *m, uint32_t max, void *bytes);
/* MAP_NONE when absent. */
uint32_t map_get(const struct map *m, uint64_t key);
/* Sets or replaces. CHECKs that there is room: callers refuse before. */
void map_set(struct map *m, uint64_t key, uint32_t value);
/* Returns whether it was there. Deletion moves later slots back; there are no tombstones. */
bool map_remove(struct map *m, uint64_t key);
/* splitmix64 of the bytes, never 0. The same on every machine: shards depend on it. */
uint64_t map_hash(const void *bytes, size_t length);
/* splitmix64 finaliser of a number; used for account -> shard. */
uint64_t map_mix(uint64_t x);

#endif
