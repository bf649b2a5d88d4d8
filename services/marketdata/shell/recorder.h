/*
 * recorder.h - everything that was heard, to compressed segment files.
 *
 * Lines leave the loop at once: a thread of its own compresses and writes them. A line is what a
 * raw recording holds, `<receive time, ns> <JSON>`, in the order in which the core was given it, so
 * that playing a recording gives the core the same events. docs/recordings.md has the form.
 *
 * What is on the disk: whole frames, at most a second old. A process that dies leaves a segment
 * that is read up to its last whole frame; the next one begins a new segment. When the disk takes
 * nothing (full, or an error), lines are lost, counted and marked, and the loop never waits.
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
    int64_t books_ms;       /* all books are written anew after so long; 0 = only in new segments */
    void *arg;
    /* Writes the next symbol's whole book of this market with recorder_book(), from the first one
     * on when `is_first`; false when there is none left. May be NULL. */
    bool (*on_book)(void *arg, enum trading_type market, bool is_first);
};

/* NULL with a logged reason when the folder cannot be written. */
struct recorder *recorder_open(const struct recorder_options *o);
/* Writes what waits, closes the segment; waits for the disk. */
void recorder_close(struct recorder **r);
/* One line of a market (segments are of one market each): spot or futures. `json` is one object,
 * without a newline. */
void recorder_line(struct recorder *r, enum trading_type market, int64_t received_ns,
                   const char *json, size_t length);
/* The whole book of a symbol as the core has it, in answer to on_book: `json` as for
 * recorder_line(). Its receive time is that of the line before it. */
void recorder_book(struct recorder *r, enum trading_type market, const char *json, size_t length);
/* A remark of ours, in a line of its own: gap, heal, lost, connected, away. Playback gives gap,
 * heal, lost and away to the core again. `about` is the symbol by our name; first to last are trade
 * or update ids, 0 where there are none. */
void recorder_mark(struct recorder *r, enum trading_type market, int64_t received_ns,
                   const char *what, code_t about, uint64_t first, uint64_t last);
/* The segment being written, "" when there is none. */
const char *recorder_path(const struct recorder *r, enum trading_type market);

#endif
