/*
 * ahead.h - a playback that reads ahead: unpacking and parsing on a thread of their own.
 *
 * Files are read, unpacked and parsed on the thread into batches of events; the loop takes them
 * from there, in order, and has its own processor for applying and publishing them. What is given
 * is the same, event by event. The thread is parked while the loop asks the playback for anything
 * else (a seek, a view).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_AHEAD_H
#define SCRIP_MARKETDATA_AHEAD_H

#include "marketdata/shell/source.h"

/* Playback behind a thread; needs env->loop. Not for a file that is still being written: whether
 * there is more of that only time tells. */
extern const struct source_ops source_ahead;

#endif
