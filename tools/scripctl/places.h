/*
 * places.h - numbers to places in an array, and arrays: both grow as they are filled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PLACES_H
#define SCRIPCTL_PLACES_H

#include <stddef.h>

#include "base/map.h"

/* Keys are never 0. */
struct places {
    struct map map;
    void *bytes;
};

void places_init(struct places *p);
void places_fini(struct places *p);
/* MAP_NONE when it has none. */
uint32_t places_get(const struct places *p, uint64_t key);
void places_set(struct places *p, uint64_t key, uint32_t place);
void places_drop(struct places *p, uint64_t key);

/* Room for one item behind `count` others: the array, which has moved when it was full. */
void *array_room(void *items, uint32_t count, uint32_t *max, size_t size);

#endif
