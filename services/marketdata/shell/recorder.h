/*
 * recorder.h - everything that was heard, to compressed segment files.
 *
 * Lines leave the loop at once: a thread of its own compresses and writes them. A line is what a
 * raw recording holds, `<receive time, ns> <JSON>`, in the order in which the core was given it, so
 * that playing a recording gives the core the same events. docs/recordings.md has the form.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_RECORDER_H
#define SCRIP_MARKETDATA_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"
#include "host/loop.h"

struct recorder;

struct recorder_options {
    struct loop *loop;
    const char *folder;     /* made when it is not there; copied */
    int64_t segment_ms;     /* a segment ends after so long, at an aligned time */
    int64_t segment_bytes;  /* or at so many bytes of file */
    int64_t keep_ms;        /* older segments are deleted; 0 = never */
    int64_t keep_bytes;     /* the oldest ones, when there is more; 0 = never */
    size_t queue_bytes_max; /* lines that wait for the disk; beyond that they are lost, counted and
                               marked in the recording */
};

/* NULL with a logged reason when the folder cannot be written. */
struct recorder *recorder_open(const struct recorder_options *o);
/* Writes what waits, closes the segment; waits for the disk. */
void recorder_close(struct recorder **r);
/* One line of a market (segments are of one market each): spot or futures. `json` is one object,
 * without a newline. */
void recorder_line(struct recorder *r, enum trading_type market, int64_t received_ns,
                   const char *json, size_t length);
/* A remark of ours, in a line of its own: gap, heal, lost, connected, away. Playback counts them.
 * `about` is the symbol; first to last are trade or update ids, 0 where there are none. */
void recorder_mark(struct recorder *r, enum trading_type market, int64_t received_ns,
                   const char *what, code_t about, uint64_t first, uint64_t last);
/* The segment being written, "" when there is none. */
const char *recorder_path(const struct recorder *r, enum trading_type market);

#endif
