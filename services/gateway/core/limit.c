/*
 * limit.c - token buckets in a table of fixed size, the least recently used one given away.
 *
 * No I/O, no clock, no allocation after init.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/limit.h"

#include "base/check.h"

#define NOBODY UINT32_MAX

static size_t
map_part(uint32_t max)
{
    return (map_bytes(max) + 15) & ~(size_t)15;
}

size_t
limit_bytes(uint32_t max)
{
    return map_part(max) + max * sizeof(struct limit_bucket);
}

void
limit_init(struct limit *l, uint32_t max, void *bytes)
{
    CHECK(max > 0);
    map_init(&l->map, max, bytes);
    l->buckets = (struct limit_bucket *)((char *)bytes + map_part(max));
    l->count = 0;
    l->max = max;
    l->newest = l->oldest = NOBODY;
}

static void
bucket_unlink(struct limit *l, uint32_t index)
{
    struct limit_bucket *b = &l->buckets[index];
    if (b->newer == NOBODY)
        l->newest = b->older;
    else
        l->buckets[b->newer].older = b->older;
    if (b->older == NOBODY)
        l->oldest = b->newer;
    else
        l->buckets[b->older].newer = b->newer;
}

static void
bucket_push(struct limit *l, uint32_t index)
{
    struct limit_bucket *b = &l->buckets[index];
    b->newer = NOBODY;
    b->older = l->newest;
    if (l->newest == NOBODY)
        l->oldest = index;
    else
        l->buckets[l->newest].newer = index;
    l->newest = index;
}

static struct limit_bucket *
bucket_of(struct limit *l, uint64_t key)
{
    uint32_t index = map_get(&l->map, key);
    if (index != MAP_NONE) {
        if (l->newest != index) {
            bucket_unlink(l, index);
            bucket_push(l, index);
        }
        return &l->buckets[index];
    }
    if (l->count < l->max) {
        index = l->count++;
    } else {
        index = l->oldest;
        map_remove(&l->map, l->buckets[index].key);
        bucket_unlink(l, index);
    }
    l->buckets[index].key = key;
    l->buckets[index].full_us = 0;
    map_set(&l->map, key, index);
    bucket_push(l, index);
    return &l->buckets[index];
}

bool
limit_take_many(struct limit *l, uint64_t key, struct limit_rate rate, uint32_t count,
                int64_t now_us, uint32_t *retry_after_seconds)
{
    CHECK(key != 0 && rate.token_us > 0 && rate.tokens_max > 0);
    int64_t needed = count < rate.tokens_max ? count : rate.tokens_max;
    struct limit_bucket *b = bucket_of(l, key);
    int64_t full_us = b->full_us > now_us ? b->full_us : now_us;
    int64_t ahead_us = full_us + rate.token_us * needed - now_us;
    int64_t over_us = ahead_us - rate.token_us * rate.tokens_max;
    if (over_us > 0) {
        *retry_after_seconds = (uint32_t)((over_us + 999999) / 1000000);
        return false;
    }
    b->full_us = full_us + rate.token_us * count;
    return true;
}

bool
limit_take(struct limit *l, uint64_t key, struct limit_rate rate, int64_t now_us,
           uint32_t *retry_after_seconds)
{
    return limit_take_many(l, key, rate, 1, now_us, retry_after_seconds);
}
