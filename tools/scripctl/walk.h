/*
 * walk.h - records of several shards in the order of time, a range of each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_WALK_H
#define SCRIPCTL_WALK_H

#include "scripctl/records.h"

/* Records with after < seq <= to; nothing when to <= after. */
struct walk_range {
    uint64_t after, to;
};

struct walk;

/* By (time, shard, seq). */
struct walk *walk_begin(struct records *r, const struct walk_range ranges[RECORDS_SHARDS]);
/* The record is lent until the next call. */
enum records_result walk_next(struct walk *w, const struct journal_record **out);
void walk_end(struct walk **w);

#endif
