/*
 * md_book_test.c - the book against a list that is searched from end to end, and the ring.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "marketdata/core/book.h"
#include "marketdata/core/ring.h"

#define MAX 50u

/* The naive book: every price that was ever shown, quantity 0 when it is gone. */
struct naive {
    struct level levels[4096];
    uint32_t count;
};

static void
naive_set(struct naive *n, struct level l)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->levels[i].price.v == l.price.v) {
            n->levels[i].quantity = l.quantity;
            return;
        }
    }
    n->levels[n->count++] = l;
}

static int
best_bid_first(const void *a, const void *b)
{
    int64_t x = ((const struct level *)a)->price.v, y = ((const struct level *)b)->price.v;
    return (x < y) - (x > y);
}

static uint32_t
naive_sorted(const struct naive *n, bool is_bid, struct level *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        if (n->levels[i].quantity.v > 0)
            out[count++] = n->levels[i];
    }
    qsort(out, count, sizeof(*out), best_bid_first);
    for (uint32_t i = 0; !is_bid && i < count / 2; i++) {
        struct level swap = out[i];
        out[i] = out[count - 1 - i];
        out[count - 1 - i] = swap;
    }
    return count;
}

static void
side_same(const struct book_side *s, const struct naive *n, struct arena *lists)
{
    static struct level expected[4096];
    const struct level *got;
    uint32_t wanted = naive_sorted(n, s->side == SIDE_BUY, expected);
    arena_reset(lists);
    uint32_t count = book_side_copy(s, MAX, lists, &got);
    cr_assert_eq(count, wanted);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(got[i].price.v, expected[i].price.v);
        cr_assert_eq(got[i].quantity.v, expected[i].quantity.v);
    }
}

Test(book, random_changes_give_what_the_naive_book_gives)
{
    static struct level bids[MAX], asks[MAX];
    static struct naive naive_bids, naive_asks;
    static uint8_t memory[MAX * 16 + 64] __attribute__((aligned(16)));
    struct arena lists;
    struct book b;
    arena_init(&lists, memory, sizeof(memory));
    book_init(&b, bids, asks, MAX);
    uint64_t random = 1;
    for (int n = 0; n < 20000; n++) {
        random = map_mix(random + (uint64_t)n);
        /* 40 prices a side: never more than the book holds. */
        struct level l = {.price = {(int64_t)(1 + random % 40)},
                          .quantity = {(int64_t)(random >> 20) % 4}};
        if (random >> 63) {
            book_side_apply(&b.bids, &l, 1);
            naive_set(&naive_bids, l);
        } else {
            l.price.v += 100;
            book_side_apply(&b.asks, &l, 1);
            naive_set(&naive_asks, l);
        }
        if (random % 97 == 0) {
            book_side_compact(&b.bids);
            cr_assert_eq(b.bids.empty, 0);
        }
        book_check(&b);
        side_same(&b.bids, &naive_bids, &lists);
        side_same(&b.asks, &naive_asks, &lists);
    }
}

Test(book, a_full_side_keeps_the_best)
{
    static struct level bids[3], asks[3];
    struct book b;
    book_init(&b, bids, asks, 3);
    for (int64_t p = 1; p <= 10; p++) {
        struct level l = {.price = {p}, .quantity = {1}};
        book_side_apply(&b.bids, &l, 1);
        book_side_apply(&b.asks, &l, 1);
    }
    cr_assert_eq(book_side_best(&b.bids)->price.v, 10);
    cr_assert_eq(b.bids.levels[0].price.v, 8);
    cr_assert_eq(book_side_best(&b.asks)->price.v, 1);
    cr_assert_eq(b.asks.levels[0].price.v, 3);
    book_check(&b);
}

/* Messages of every length, the number in each byte: what the ring gives is what was put. */
Test(ring, what_is_there_is_whole_and_the_oldest_fall_out)
{
    static uint8_t memory[4096] __attribute__((aligned(16)));
    struct arena a;
    struct ring r;
    arena_init(&a, memory, sizeof(memory));
    ring_init(&r, 16, 1000, 5, &a);
    size_t length;
    cr_assert(ring_get(&r, 4, &length) == NULL && ring_get(&r, 5, &length) == NULL);
    for (uint64_t n = 5; n < 5000; n++) {
        uint8_t data[300];
        size_t size = map_mix(n) % sizeof(data);
        memset(data, (int)(n & 255), size);
        ring_put(&r, data, size);
        cr_assert_eq(r.last, n);
        cr_assert(r.last - r.first < 16);
        for (uint64_t k = r.first; k <= r.last; k++) {
            const uint8_t *got = ring_get(&r, k, &length);
            cr_assert(got != NULL);
            cr_assert_eq(length, map_mix(k) % sizeof(data));
            for (size_t i = 0; i < length; i++)
                cr_assert_eq(got[i], (uint8_t)(k & 255));
        }
        cr_assert(ring_get(&r, r.first - 1, &length) == NULL);
        cr_assert(ring_get(&r, r.last + 1, &length) == NULL);
    }
}

Test(ring, a_message_that_is_too_large_empties_it)
{
    static uint8_t memory[1024] __attribute__((aligned(16)));
    static const uint8_t DATA[200];
    struct arena a;
    struct ring r;
    size_t length;
    arena_init(&a, memory, sizeof(memory));
    ring_init(&r, 4, 100, 1, &a);
    ring_put(&r, DATA, 10);
    ring_put(&r, DATA, 200);
    cr_assert(ring_get(&r, 1, &length) == NULL && ring_get(&r, 2, &length) == NULL);
    ring_put(&r, DATA, 100);
    cr_assert(ring_get(&r, 3, &length) != NULL);
    cr_assert_eq(length, 100);
}
