/*
 * replay.h - a journal applied again, into memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_REPLAY_H
#define SCRIPCTL_REPLAY_H

#include "scripctl/progress.h"
#include "scripctl/twin.h"

/* Up to which record, and how far it came. */
struct replay_range {
    uint64_t upto;    /* 0 = the last */
    int64_t until_us; /* INT64_MIN = no matter when */
    uint64_t seq, records;
    int64_t time_us; /* of the last one applied */
};

enum replay_result { REPLAY_DONE, REPLAY_WRONG, REPLAY_UNREADABLE };

/* Applies a shard's records from the first one on. REPLAY_WRONG: twin_why() says which record
 * cannot be; REPLAY_UNREADABLE: records_why(). */
enum replay_result replay_shard(struct records *r, struct twin *t, uint16_t shard,
                                struct replay_range *range, struct progress *progress);

#endif
