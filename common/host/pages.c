/*
 * pages.c - mmap() with a wish for huge pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

static size_t
whole_pages(size_t bytes)
{
    return (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

void *
pages_take(size_t bytes)
{
    size_t length = whole_pages(bytes);
    uint8_t *block =
        mmap(NULL, length + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)block % HUGE_BYTES;
    if (before > 0)
        munmap(block, before);
    if (before < HUGE_BYTES)
        munmap(block + before + length, HUGE_BYTES - before);
    madvise(block + before, length, MADV_HUGEPAGE); /* where there are none, small ones do */
    return block + before;
}

void
pages_give(void *at, size_t bytes)
{
    if (at != NULL)
        munmap(at, whole_pages(bytes));
}
