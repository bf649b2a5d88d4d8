/*
 * recorder_parts.h - between the two halves of the recorder: recorder.c on the loop's thread,
 * recorder_thread.c on its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_RECORDER_PARTS_H
#define SCRIP_MARKETDATA_RECORDER_PARTS_H

#include <pthread.h>

#include "market/recording.h"
#include "marketdata/shell/recorder.h"

#define RECORDER_MARKETS 2u
#define RECORDER_FOLDER  400u

/* What goes through the queue, each behind its head. */
enum recorder_kind {
    RECORDER_LINE,
    RECORDER_SEGMENT, /* a new segment begins here */
    RECORDER_BOOKS,   /* the books of all symbols follow */
    RECORDER_BOOKS_DONE,
};

struct recorder_item {
    int64_t received_ns;
    uint32_t length; /* of the JSON behind this head */
    uint16_t market; /* index */
    uint16_t kind;
};

struct recorder_queue {
    char *bytes;
    size_t length, room;
};

/* What the thread tells, under the lock. */
struct recorder_told {
    char path[RECORDER_MARKETS][RECORDER_FOLDER + RECORDING_NAME_BYTES];
    bool wants_segment[RECORDER_MARKETS]; /* the one there is full, or has failed */
    uint64_t lines, plain_bytes, bytes, segments, deleted;
    uint64_t lost, errors; /* lines that could not be written, and how often writing failed */
    char why[RECORDING_WHY_BYTES];
};

struct recorder_options_copy {
    char folder[RECORDER_FOLDER];
    int64_t segment_bytes, keep_ms, keep_bytes;
};

struct recorder_thread {
    struct recorder_options_copy o;
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct recorder_queue queue; /* filled by the loop */
    bool has_signalled, stops;
    struct recorder_told told;
};

/* Bytes in the queue that wake the thread at once; otherwise it looks by itself. */
#define RECORDER_WAKE_BYTES (128u << 10)

void *recorder_thread_run(void *arg);
/* Deletes closed segments by age and by bytes; `keep` are the paths being written. Gives how many.
 */
uint64_t recorder_retain(const struct recorder_options_copy *o,
                         const char *const keep[RECORDER_MARKETS], int64_t now_us);

#endif
