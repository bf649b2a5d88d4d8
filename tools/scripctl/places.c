/*
 * places.c - see places.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/places.h"

#include <stdlib.h>

#include "base/check.h"

#define PLACES_FIRST 1024
#define ARRAY_FIRST  64

static void
places_begin(struct places *p, uint32_t max)
{
    p->bytes = malloc(map_bytes(max));
    CHECK(p->bytes != NULL);
    map_init(&p->map, max, p->bytes);
}

void
places_init(struct places *p)
{
    places_begin(p, PLACES_FIRST);
}

void
places_fini(struct places *p)
{
    free(p->bytes);
    p->bytes = NULL;
}

uint32_t
places_get(const struct places *p, uint64_t key)
{
    return map_get(&p->map, key);
}

static void
places_grow(struct places *p)
{
    struct places old = *p;
    places_begin(p, 2 * old.map.max);
    for (uint32_t i = 0; i <= old.map.mask; i++)
        if (old.map.slots[i].key != 0)
            map_set(&p->map, old.map.slots[i].key, old.map.slots[i].value);
    places_fini(&old);
}

void
places_set(struct places *p, uint64_t key, uint32_t place)
{
    if (p->map.count == p->map.max)
        places_grow(p);
    map_set(&p->map, key, place);
}

void
places_drop(struct places *p, uint64_t key)
{
    map_remove(&p->map, key);
}

void *
array_room(void *items, uint32_t count, uint32_t *max, size_t size)
{
    if (count < *max)
        return items;
    *max = *max == 0 ? ARRAY_FIRST : 2 * *max;
    items = realloc(items, *max * size);
    CHECK(items != NULL);
    return items;
}
