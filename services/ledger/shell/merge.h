/*
 * merge.h - the records of all shards of a group in the order in which they were written.
 *
 * Each shard has a chain of its own; what joins them is the time, which never falls from one record
 * to the next one that a process writes, whatever their shards. A ledger that takes them in again
 * in that order never has more open than it had in its life. Records of one time may change places:
 * nothing was forgotten between them.
 *
 * Reads ahead, a page of a shard at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_MERGE_H
#define SCRIP_LEDGER_SHELL_MERGE_H

#include "host/loop.h"
#include "host/store.h"

struct merge;

struct merge_options {
    struct loop *loop;
    struct store *store;
    const bool *owned; /* of LEDGER_SHARDS; lent until the end */
};

struct merge *merge_new(const struct merge_options *o);
/* When a read is under way the store must be closed before it can answer. */
void merge_destroy(struct merge **m);

/* Of each owned shard what is behind `after`, up to `until`; NULL: all there is. Not while it
 * reads.
 */
void merge_begin(struct merge *m, const uint64_t *after, const uint64_t *until);
/* The next record, until merge_pass(). NULL: it must be read, or there is none. */
const struct journal_record *merge_next(struct merge *m);
void merge_pass(struct merge *m);
bool merge_is_over(const struct merge *m);
/* Asks the store for what is missing for the next record; the answer makes another turn. */
void merge_read(struct merge *m);
/* "", or why there will be no next one. */
const char *merge_why(const struct merge *m);

#endif
