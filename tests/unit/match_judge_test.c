/*
 * match_judge_test.c - two million random operations, judged by the naive matcher.
 *
 * Each round has a seed of its own, printed when it fails: run it again with MATCH_SEED=<seed>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/match_play.h"

#define ROUND_STEPS 50000
#define CHECK_EVERY 1000

static void
round_of(uint64_t seed, uint32_t orders_max)
{
    struct match_play_options options = {.seed = seed, .orders_max = orders_max};
    struct match_play *p = match_play_new(&options);
    int over = 0;
    for (int i = 0; i < ROUND_STEPS; i++) {
        const char *wrong = match_play_step(p, &over);
        if (wrong == NULL && (i < 200 || i % CHECK_EVERY == 0))
            wrong = match_play_check(p);
        if (wrong != NULL)
            cr_assert_fail("seed %llu, step %d: %s", (unsigned long long)seed, i, wrong);
    }
    const struct match_play_counts *c = match_play_counts(p);
    cr_assert(c->fills > ROUND_STEPS / 100 && c->pauses > 0 && c->printed > 0 && c->pairs > 0 &&
                  c->triggered > 0 && c->prevented > 0 && c->trimmed > 0 && c->expired > 0 &&
                  c->stories > 0 && c->sessions > 0,
              "seed %llu was a dull round", (unsigned long long)seed);
    match_play_destroy(&p);
}

static void
rounds(uint64_t first, uint32_t orders_max)
{
    const char *only = getenv("MATCH_SEED");
    if (only != NULL) {
        round_of(strtoull(only, NULL, 10), orders_max);
        return;
    }
    printf("match_judge_test: seeds %llu to %llu, %u orders at most\n", (unsigned long long)first,
           (unsigned long long)first + 9, orders_max);
    for (uint64_t seed = first; seed < first + 10; seed++)
        round_of(seed, orders_max);
}

Test(match_judge, agrees_with_the_naive_matcher_on_small_books)
{
    rounds(100, 40);
}

Test(match_judge, agrees_with_the_naive_matcher_on_middling_books)
{
    rounds(200, 150);
}

Test(match_judge, agrees_with_the_naive_matcher_on_larger_books)
{
    rounds(300, 400);
}

Test(match_judge, agrees_with_the_naive_matcher_when_there_is_always_room)
{
    rounds(400, 2000);
}
