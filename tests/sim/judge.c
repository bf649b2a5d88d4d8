/*
 * judge.c - random operations by the million, against the naive matcher.
 *
 *   match_judge --ops 10000000 --seed 1        rounds of 50 000 operations, each with its own seed
 *   match_judge --ops 50000 --seed 1013        one round again
 *
 * A round that fails prints its seed, the operation and the first report that differs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/match_play.h"

#define ROUND_OPS   50000
#define CHECK_EVERY 1000

/* Rooms for orders: from one that is often full to one that never is. */
static const uint32_t rooms[] = {40, 150, 400, 2000};

static void
add(struct match_play_counts *sum, const struct match_play_counts *c)
{
    sum->fills += c->fills;
    sum->reports += c->reports;
    sum->pauses += c->pauses;
    sum->sessions += c->sessions;
    sum->pairs += c->pairs;
    sum->printed += c->printed;
    sum->triggered += c->triggered;
    sum->prevented += c->prevented;
    sum->trimmed += c->trimmed;
    sum->expired += c->expired;
    sum->stories += c->stories;
}

static int
round_of(uint64_t seed, uint64_t ops, struct match_play_counts *sum)
{
    struct match_play_options options = {.seed = seed, .orders_max = rooms[seed % 4]};
    struct match_play *p = match_play_new(&options);
    const char *wrong = NULL;
    int over = 0;
    uint64_t i = 0;
    for (; i < ops && wrong == NULL; i++) {
        wrong = match_play_step(p, &over);
        if (wrong == NULL && (i < 200 || i % CHECK_EVERY == 0))
            wrong = match_play_check(p);
    }
    if (wrong != NULL)
        printf("seed %" PRIu64 ", operation %" PRIu64 ": %s\n", seed, i - 1, wrong);
    add(sum, match_play_counts(p));
    match_play_destroy(&p);
    return wrong != NULL;
}

int
main(int argc, char **argv)
{
    uint64_t ops = 1000000, seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--ops") == 0)
            ops = value;
        else if (strcmp(argv[i], "--seed") == 0)
            seed = value;
        else
            return fprintf(stderr, "usage: match_judge [--ops N] [--seed S]\n"), 2;
    }
    struct match_play_counts sum = {0};
    int failed = 0;
    for (uint64_t left = ops; left > 0; seed++) {
        uint64_t round = left < ROUND_OPS ? left : ROUND_OPS;
        failed += round_of(seed, round, &sum);
        left -= round;
    }
    printf("%" PRIu64 " operations, %d rounds failed: %" PRIu64 " reports, %" PRIu64
           " fills (%" PRIu64 " from prints), %" PRIu64 " set off, %" PRIu64 " pairs, %" PRIu64
           " prevented, %" PRIu64 " trimmed, %" PRIu64 " expired, %" PRIu64 " stories, %" PRIu64
           " pauses, %" PRIu64 " sessions\n",
           ops, failed, sum.reports, sum.fills, sum.printed, sum.triggered, sum.pairs,
           sum.prevented, sum.trimmed, sum.expired, sum.stories, sum.pauses, sum.sessions);
    return failed != 0;
}
