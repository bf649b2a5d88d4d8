/*
 * arena.c - memory handed out in one direction.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/arena.h"

#include <string.h>

#include "base/check.h"

#define ARENA_ALIGN 16u

void
arena_init(struct arena *a, void *bytes, size_t size)
{
    CHECK(((uintptr_t)bytes & (ARENA_ALIGN - 1)) == 0);
    *a = (struct arena){bytes, size, 0};
}

void
arena_reset(struct arena *a)
{
    a->used = 0;
}

void *
arena_take_unset(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > a->size - a->used)
        return NULL;
    /* The last piece may end where the arena does, short of a whole alignment unit. */
    size_t rounded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    void *out = a->bytes + a->used;
    a->used = rounded < a->size - a->used ? a->used + rounded : a->size;
    return out;
}

void *
arena_take(struct arena *a, size_t count, size_t size)
{
    void *out = arena_take_unset(a, count, size);
    if (out != NULL)
        memset(out, 0, count * size);
    return out;
}
