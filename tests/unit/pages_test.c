/*
 * pages_test.c - blocks for pools: aligned, zeroed, taken only where they are written, or before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/pages.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "host/prefault.h"

Test(pages, a_block_is_aligned_and_zeroed)
{
    const size_t sizes[] = {1, (size_t)2 << 20, ((size_t)6 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = pages_take(sizes[i]);
        cr_assert_not_null(block);
        cr_expect_eq((uintptr_t)block % ((size_t)2 << 20), 0);
        cr_expect_eq(block[0] | block[sizes[i] / 2] | block[sizes[i] - 1], 0);
        block[0] = block[sizes[i] - 1] = 1;
        pages_give(block, sizes[i]);
    }
    pages_give(NULL, 1);
}

Test(pages, nothing_is_taken_where_nothing_is_written)
{
    const size_t bytes = (size_t)64 << 20;
    uint8_t *block = pages_take(bytes);
    cr_assert_not_null(block);
    static unsigned char resident[((size_t)64 << 20) / 4096];
    block[bytes - 1] = 1;
    cr_assert_eq(mincore(block, bytes, resident), 0);
    cr_expect_eq(resident[0] & 1, 0);
    cr_expect_eq(resident[sizeof resident - 1] & 1, 1);
    pages_give(block, bytes);
}

Test(pages, more_than_there_is_is_not_given)
{
    cr_expect_null(pages_take((size_t)1 << 60));
}

static unsigned char resident[((size_t)16 << 20) / 4096];

static bool
is_made(uint8_t *at, size_t bytes)
{
    cr_assert_eq(mincore(at, bytes, resident), 0);
    return memchr(resident, 0, bytes / 4096) == NULL;
}

Test(prefault, what_was_asked_for_is_made_and_nothing_else, .timeout = 20)
{
    const size_t bytes = (size_t)16 << 20, part = (size_t)4 << 20;
    uint8_t *block = pages_take(bytes);
    cr_assert_not_null(block);
    block[part] = 7;
    struct prefault *p = prefault_new();
    prefault_ask(p, block, 0);
    prefault_ask(p, block + part, part);
    while (!is_made(block + part, part))
        ;
    cr_expect_eq(block[part], 7);
    prefault_end(&p);
    cr_assert_eq(mincore(block, bytes, resident), 0);
    cr_expect_eq(resident[0] & 1, 0);
    cr_expect_eq(resident[2 * part / 4096] & 1, 0);
    pages_give(block, bytes);
}

Test(prefault, it_ends_with_more_asked_for_than_it_keeps, .timeout = 20)
{
    const size_t bytes = (size_t)16 << 20;
    uint8_t *block = pages_take(bytes);
    cr_assert_not_null(block);
    struct prefault *p = prefault_new();
    for (int i = 0; i < 1000; i++)
        prefault_ask(p, block, bytes);
    prefault_end(&p);
    cr_expect_null(p);
    pages_give(block, bytes);
}
