/*
 * match_fuzz.c - bytes decide what traders, ledgers and the market do; the naive matcher judges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "sim/match_play.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct match_play_options options = {.data = data, .length = size, .orders_max = 24};
    struct match_play *p = match_play_new(&options);
    for (int over = 0, i = 0; !over; i++) {
        const char *wrong = match_play_step(p, &over);
        if (wrong == NULL && i % 16 == 0)
            wrong = match_play_check(p);
        if (wrong != NULL) {
            fprintf(stderr, "step %d: %s\n", i, wrong);
            abort();
        }
    }
    match_play_destroy(&p);
    return 0;
}
