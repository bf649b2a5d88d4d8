/*
 * market_read.c - how fast recordings are read: reader and decoder, and the reader alone.
 *
 *   market_read FILE[,FILE...]      prints one JSON object
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "marketdata/core/binance.h"
#include "marketdata/shell/reader.h"

#define LEVELS_MAX 5000u

/* Lines a second; `room` NULL = they are not decoded. */
static double
lines_a_second(const char *files, const struct binance_room *room, uint64_t *lines, uint64_t *bad)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    struct md_event e;
    const char *line;
    size_t length;
    enum reader_step step;
    int64_t from = now_ns();
    *lines = *bad = 0;
    if (reader_open(files, TRADING_TYPE_spot, &r, why) != OK) {
        fprintf(stderr, "market_read: %s\n", why);
        exit(1);
    }
    while ((step = reader_next(r, &line, &length)) != READER_END) {
        if (step != READER_LINE)
            continue;
        ++*lines;
        *bad += room != NULL && binance_line(line, length, room, &e) != OK;
    }
    reader_close(&r);
    return (double)*lines * 1e9 / (double)(now_ns() - from);
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: market_read FILE[,FILE...]\n");
        return 2;
    }
    struct binance_room room = {.levels_max = LEVELS_MAX};
    room.levels = calloc(2 * (size_t)LEVELS_MAX, sizeof(*room.levels));
    CHECK(room.levels != NULL);
    uint64_t lines, bad;
    double read = lines_a_second(argv[1], NULL, &lines, &bad);
    double decoded = lines_a_second(argv[1], &room, &lines, &bad);
    printf("{\"lines\":%llu,\"malformed\":%llu,\"read_per_s\":%.0f,\"decoded_per_s\":%.0f}\n",
           (unsigned long long)lines, (unsigned long long)bad, read, decoded);
    free(room.levels);
    return 0;
}
