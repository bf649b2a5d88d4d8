/*
 * market_record.c - raw recordings through the recorder into segments: what a line costs.
 *
 *   market_record FOLDER FILE...      prints one JSON object
 *
 * Every line of the files goes to the recorder as a live source would give it, as fast as the
 * loop's thread can; so FOLDER is a recording of the same market. The loop's time is that of its
 * thread alone, the recorder's that of the process less the loop's and the reader's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host/metrics.h"
#include "marketdata/shell/reader.h"
#include "marketdata/shell/recorder.h"

#define LINES_MAX 4000000u

struct line {
    int64_t received_ns;
    char *json;
    size_t length;
};

struct run {
    struct loop *loop;
    struct recorder *recorder;
    struct line *lines;
    uint32_t count, at;
    uint64_t bytes, loop_ns;
};

static uint64_t
thread_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* All lines of all files, in memory, so that nothing but the recorder is measured. */
static bool
lines_read(struct run *run, const char *files)
{
    char why[READER_WHY_BYTES];
    struct reader *r;
    const char *line;
    size_t length;
    enum reader_step step;
    if (reader_open(files, TRADING_TYPE_spot, &r, why) != OK) {
        fprintf(stderr, "market_record: %s\n", why);
        return false;
    }
    run->lines = calloc(LINES_MAX, sizeof(*run->lines));
    CHECK(run->lines != NULL);
    while ((step = reader_next(r, &line, &length)) != READER_END && run->count < LINES_MAX) {
        const char *blank = step == READER_LINE ? memchr(line, ' ', length) : NULL;
        if (blank == NULL)
            continue;
        struct line *l = &run->lines[run->count++];
        l->received_ns = strtoll(line, NULL, 10);
        l->length = length - (size_t)(blank + 1 - line);
        l->json = malloc(l->length);
        CHECK(l->json != NULL);
        memcpy(l->json, blank + 1, l->length);
        run->bytes += length + 1;
    }
    reader_close(&r);
    return true;
}

/* A thousand lines in each turn. */
static void
on_turn(void *arg)
{
    struct run *run = arg;
    uint64_t from = thread_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t n = 0; n < 1000 && run->at < run->count; n++, run->at++) {
        const struct line *l = &run->lines[run->at];
        recorder_line(run->recorder, TRADING_TYPE_spot, l->received_ns, l->json, l->length);
    }
    run->loop_ns += thread_ns(CLOCK_THREAD_CPUTIME_ID) - from;
    if (run->at < run->count)
        loop_soon(run->loop);
    else
        loop_stop(run->loop);
}

int
main(int argc, char **argv)
{
    struct run run = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: market_record FOLDER FILE[,FILE...]\n");
        return 2;
    }
    if (!lines_read(&run, argv[2]))
        return 1;
    run.loop = loop_new();
    run.recorder = recorder_open(&(struct recorder_options){.loop = run.loop,
                                                            .folder = argv[1],
                                                            .segment_ms = 3600000,
                                                            .segment_bytes = 1 << 28,
                                                            .queue_bytes_max = 1u << 30});
    if (run.recorder == NULL)
        return 1;
    uint64_t cpu = thread_ns(CLOCK_PROCESS_CPUTIME_ID), wall = thread_ns(CLOCK_MONOTONIC);
    loop_on_turn(run.loop, on_turn, &run);
    loop_soon(run.loop);
    loop_run(run.loop);
    uint64_t given = thread_ns(CLOCK_MONOTONIC) - wall;
    recorder_close(&run.recorder);
    wall = thread_ns(CLOCK_MONOTONIC) - wall;
    cpu = thread_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - run.loop_ns;
    int64_t packed = metric_value(metric_counter("scrip_marketdata_recorded_bytes_total", "", ""));
    int64_t lost = metric_value(metric_counter("scrip_marketdata_recorded_lost_total", "", ""));
    printf("{\"lines\":%u,\"bytes\":%llu,\"packed_bytes\":%lld,\"lost\":%lld,\"ratio\":%.2f,"
           "\"loop_ns_per_line\":%.0f,\"thread_ns_per_line\":%.0f,\"given_per_s\":%.0f,"
           "\"written_per_s\":%.0f}\n",
           run.count, (unsigned long long)run.bytes, (long long)packed, (long long)lost,
           (double)run.bytes / (double)packed, (double)run.loop_ns / run.count,
           (double)cpu / run.count, run.count * 1e9 / (double)given,
           run.count * 1e9 / (double)wall);
    loop_destroy(&run.loop);
    for (uint32_t i = 0; i < run.count; i++)
        free(run.lines[i].json);
    free(run.lines);
    return 0;
}
