/*
 * partition.h - the journal's partitions in the database: what is in them, and taking one off.
 *
 * A partition goes in steps that can be repeated: its segment files are named in ledger.archive, it
 * is detached, its table is dropped. Nothing is detached that ledger.archive does not name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PARTITION_H
#define SCRIPCTL_PARTITION_H

#include "scripctl/manifest.h"

#define PARTITION_NAME_BYTES 64

struct partition {
    char name[PARTITION_NAME_BYTES];
    int64_t from_us, to_us;
    bool is_listed; /* ledger.archive has it */
};

/* What a partition has of a shard; first 0 = nothing. */
struct partition_share {
    uint64_t first, last;
};

/* All that are attached or listed, with a table that is still there, by time. To be freed; NULL,
 * and why. */
struct partition *partitions_read(PGconn *db, uint32_t *count, char why[WHY_BYTES]);
/* The time of the journal's newest record: what is in its partition stays. */
bool partitions_newest_us(PGconn *db, int64_t *out, char why[WHY_BYTES]);
/* Up to where the tables are true. */
bool partitions_stamps(PGconn *db, uint64_t stamps[RECORDS_SHARDS], char why[WHY_BYTES]);
/* What is in it; false, and why, when numbers are missing. */
bool partition_shares(PGconn *db, const struct partition *p,
                      struct partition_share shares[RECORDS_SHARDS], uint64_t *records,
                      char why[WHY_BYTES]);
/* Names its segment files in ledger.archive, all at once, if it still has so many records. */
bool partition_list(PGconn *db, const struct partition *p, const struct manifest *m,
                    const struct partition_share shares[RECORDS_SHARDS], uint64_t records,
                    char why[WHY_BYTES]);
/* Detaches and drops one that is listed. Waits for whoever reads it; the ledger never does. */
bool partition_drop(PGconn *db, const struct partition *p, char why[WHY_BYTES]);

#endif
