/*
 * map_test.c - the map against a plain array, through random sets and removals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "base/map.h"
#include "random_msg.h"

#define KEYS 300

/* Keys of a small range, so that they meet again; the naive judge is indexed by them. */
static void
run(uint64_t seed, uint32_t max, uint64_t stride)
{
    struct random r = {seed};
    uint32_t naive[KEYS + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i <= KEYS; i++)
        naive[i] = MAP_NONE;
    void *bytes = malloc(map_bytes(max));
    struct map m;
    map_init(&m, max, bytes);
    for (int i = 0; i < 20000; i++) {
        uint32_t key = (uint32_t)random_below(&r, KEYS) + 1;
        if (random_below(&r, 5) < 2) {
            cr_assert_eq(map_remove(&m, key * stride), naive[key] != MAP_NONE);
            count -= naive[key] != MAP_NONE;
            naive[key] = MAP_NONE;
        } else if (naive[key] != MAP_NONE || count < max) {
            count += naive[key] == MAP_NONE;
            naive[key] = (uint32_t)i;
            map_set(&m, key * stride, (uint32_t)i);
        }
        uint32_t asked = (uint32_t)random_below(&r, KEYS) + 1;
        cr_assert_eq(map_get(&m, asked * stride), naive[asked]);
        cr_assert_eq(m.count, count);
    }
    for (uint32_t key = 1; key <= KEYS; key++)
        cr_assert_eq(map_get(&m, key * stride), naive[key]);
    free(bytes);
}

Test(map, agrees_with_a_plain_array)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run(seed, KEYS, 1);
}

Test(map, agrees_when_full_and_with_far_keys)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        run(seed, 5, 1);
        run(seed, 100, UINT64_C(1) << 47);
        run(seed, 1, UINT64_C(0x8000000000000001));
    }
}

Test(map, a_full_map_is_the_caller_s_bug, .signal = SIGABRT)
{
    void *bytes = malloc(map_bytes(1));
    struct map m;
    map_init(&m, 1, bytes);
    map_set(&m, 1, 1);
    map_set(&m, 2, 2);
}

Test(map, key_zero_is_the_caller_s_bug, .signal = SIGABRT)
{
    void *bytes = malloc(map_bytes(1));
    struct map m;
    map_init(&m, 1, bytes);
    map_set(&m, 0, 1);
}

/* Shards are computed from these for the life of a deployment. */
Test(map, hashes_never_change)
{
    cr_assert_eq(map_mix(0), 0);
    cr_assert_eq(map_mix(1), UINT64_C(0x5692161d100b05e5));
    cr_assert_eq(map_mix(UINT64_C(0x9e3779b97f4a7c15)), UINT64_C(0xe220a8397b1dcdaf));
    cr_assert_eq(map_hash("", 0), map_hash("x", 0));
    cr_assert_neq(map_hash("a", 1), map_hash("a\0", 2));
    cr_assert_neq(map_hash("abcdefgh", 8), map_hash("abcdefghi", 9));
    cr_assert_eq(map_hash("BTCUSDT", 7), UINT64_C(0x681c70ec11ba05ee));
}
