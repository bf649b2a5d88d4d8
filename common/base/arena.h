/*
 * arena.h - memory for the lists of messages: handed out in one direction, taken back at once.
 *
 * The arena is given its bytes at start and never asks for more. What arena_take returns lives
 * until the next arena_reset.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_ARENA_H
#define SCRIP_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *bytes;
    size_t size;
    size_t used;
};

/* Borrows `bytes` (aligned to 16) for as long as the arena is used. */
void arena_init(struct arena *a, void *bytes, size_t size);
void arena_reset(struct arena *a);
/* Zeroed room for count items of size bytes, aligned to 16; NULL when the arena is full. */
void *arena_take(struct arena *a, size_t count, size_t size);
/* The same with whatever was there: for what is written before it is read. Memory that nobody ever
 * needs is then never touched. */
void *arena_take_unset(struct arena *a, size_t count, size_t size);

#endif
