/*
 * ring.h - the last messages of a symbol as they were sent, by number, to send them again.
 *
 * Holds the packed bytes, which the shell makes anyway. Numbers rise by one; the oldest fall out
 * when either the count or the bytes run full.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_RING_H
#define SCRIP_MARKETDATA_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"

struct ring_slot {
    uint64_t at; /* position of its first byte, counted since the ring began */
    uint32_t length;
};

struct ring {
    uint8_t *bytes;
    uint64_t bytes_max;
    struct ring_slot *slots;
    uint32_t slots_max;
    uint64_t written;     /* bytes since the ring began */
    uint64_t first, last; /* numbers held; last = first - 1 while empty */
};

/* Takes both blocks from `memory`. The next message has the number `first`. */
void ring_init(struct ring *r, uint32_t messages_max, uint32_t bytes_max, uint64_t first,
               struct arena *memory);
/* Keeps message last + 1. One that is larger than the ring empties it. */
void ring_put(struct ring *r, const void *data, size_t length);
/* NULL when it fell out or has not been sent yet. Lent until the next ring_put(). */
const uint8_t *ring_get(const struct ring *r, uint64_t number, size_t *length);

#endif
