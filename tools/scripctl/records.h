/*
 * records.h - where the journal's records are read from: segment files, a database, or first these
 * and then that.
 *
 * A database is read in one REPEATABLE READ transaction, so that journal and tables are of one
 * moment while the deployment goes on. All calls block.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_RECORDS_H
#define SCRIPCTL_RECORDS_H

#include <libpq-fe.h>

#include "host/store.h"

#define WHY_BYTES      512
#define RECORDS_SHARDS 64

struct records;
struct records_cursor;

struct records_options {
    const char *database; /* conninfo; NULL = none */
    const char *archive;  /* folder with a manifest; NULL = none */
};

/* What there is of a shard. */
struct records_extent {
    uint64_t first, last;       /* sequence numbers; last 0 = nothing was ever written */
    uint64_t live;              /* first one that the database has; 0 = none */
    uint8_t before[HASH_BYTES]; /* hash of the record before `first`; zeros before 1 */
    bool has_before;            /* false: nothing here tells that hash, and it is zeros */
};

enum records_result { RECORDS_ONE, RECORDS_END, RECORDS_FAILED };

/* NULL, and why, when nothing can be read. Files whose checksums are wrong are told when read. */
struct records *records_open(const struct records_options *o, char why[WHY_BYTES]);
void records_close(struct records **r);
/* Why the last call failed. */
const char *records_why(const struct records *r);

bool records_extent(struct records *r, uint16_t shard, struct records_extent *out);
/* The connection with the snapshot, for the tables; NULL without a database. A page that was asked
 * for ahead is taken in first, so ask for it anew before each use; never use it from within a
 * transaction command (COMMIT would end the snapshot). */
PGconn *records_connection(struct records *r);

/* Reads a shard's records with after < seq <= to in order; `to` 0 = the last. Gaps in the numbers
 * are not judged here. Several cursors may be open at a time. */
struct records_cursor *records_read(struct records *r, uint16_t shard, uint64_t after, uint64_t to);
/* The record is lent until the next call. */
enum records_result records_next(struct records_cursor *c, struct journal_record *out);
void records_end(struct records_cursor **c);

/* All chosen shards by (time, shard, seq). */
struct records_merge;
struct records_merge *records_merge(struct records *r, const bool shards[RECORDS_SHARDS],
                                    uint64_t after, uint64_t to);
enum records_result records_merge_next(struct records_merge *m, struct journal_record *out);
void records_merge_end(struct records_merge **m);

#endif
