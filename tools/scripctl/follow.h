/*
 * follow.h - records as they are committed, of all wanted shards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_FOLLOW_H
#define SCRIPCTL_FOLLOW_H

#include "scripctl/records.h"

struct follow;

/* Where each shard is followed from: records behind `seq`. */
struct follow_heads {
    uint64_t seq[RECORDS_SHARDS];
    bool is_wanted[RECORDS_SHARDS];
};

/* NULL, and why, when there is no connection. */
struct follow *follow_open(const char *database, const struct follow_heads *heads,
                           char why[WHY_BYTES]);
/* The next record, lent until the next call. RECORDS_END when there is none at the moment; the
 * call after that waits before it looks again. */
enum records_result follow_next(struct follow *f, struct journal_record *out, char why[WHY_BYTES]);
void follow_close(struct follow **f);

#endif
