/*
 * number.h - a number from the command line of a benchmark, or the end of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BENCH_NUMBER_H
#define SCRIP_BENCH_NUMBER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline int64_t
number_of(const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < 0) {
        fprintf(stderr, "'%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

#endif
