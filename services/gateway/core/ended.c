/*
 * ended.c - a ring in the order of time, and a map to find a session in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/ended.h"

#include "base/check.h"

size_t
ended_bytes(uint32_t max)
{
    return map_bytes(max) + max * sizeof(struct ended_session);
}

void
ended_init(struct ended *e, uint32_t max, int64_t keep_us, void *bytes)
{
    CHECK(max > 0 && keep_us > 0);
    *e = (struct ended){.max = max, .keep_us = keep_us};
    map_init(&e->map, max, bytes);
    e->ring = (void *)((uint8_t *)bytes + map_bytes(max));
}

static void
forget_first(struct ended *e)
{
    map_remove(&e->map, e->ring[e->first].id);
    e->first = (e->first + 1) % e->max;
    e->count--;
}

bool
ended_add(struct ended *e, uint64_t id, int64_t now_us)
{
    bool had_room = true;
    while (e->count > 0 && e->ring[e->first].until_us <= now_us)
        forget_first(e);
    if (ended_has(e, id))
        return true;
    if (e->count == e->max) {
        forget_first(e);
        had_room = false;
    }
    uint32_t at = (e->first + e->count) % e->max;
    e->ring[at] = (struct ended_session){id, now_us + e->keep_us};
    e->count++;
    map_set(&e->map, id, at);
    return had_room;
}

bool
ended_has(const struct ended *e, uint64_t id)
{
    return id != 0 && e->count > 0 && map_get(&e->map, id) != MAP_NONE;
}
