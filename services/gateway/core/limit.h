/*
 * limit.h - how often somebody may ask: one token bucket a key, a bounded number of keys.
 *
 * A bucket is one number, the time at which it would be full again (GCRA): each request moves it
 * by the time one token takes to come back, and a request is refused while that lies further
 * ahead than the whole bucket. When the table is full the key unused for longest is forgotten,
 * which is harmless for those who ask rarely.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_LIMIT_H
#define SCRIP_GATEWAY_CORE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct limit_bucket {
    uint64_t key;
    int64_t full_us;       /* when the bucket is full again */
    uint32_t newer, older; /* by last use */
};

struct limit {
    struct map map;
    struct limit_bucket *buckets;
    uint32_t count, max;
    uint32_t newest, oldest;
};

/* How fast a bucket refills and how much it holds. */
struct limit_rate {
    int64_t token_us;   /* time one token takes to come back */
    int64_t tokens_max; /* bucket size */
};

size_t limit_bytes(uint32_t max);
/* Borrows `bytes`, of limit_bytes(max). */
void limit_init(struct limit *l, uint32_t max, void *bytes);
/* Takes `count` tokens of a key (not 0): all that the bucket holds are enough for more than that,
 * and the rest is owed. Otherwise false and when they are there. */
bool limit_take_many(struct limit *l, uint64_t key, struct limit_rate rate, uint32_t count,
                     int64_t now_us, uint32_t *retry_after_seconds);
/* Takes one. */
bool limit_take(struct limit *l, uint64_t key, struct limit_rate rate, int64_t now_us,
                uint32_t *retry_after_seconds);

#endif
