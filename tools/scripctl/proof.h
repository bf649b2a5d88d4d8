/*
 * proof.h - one shard's records proved, and the tables of many; what was found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_PROOF_H
#define SCRIPCTL_PROOF_H

#include "host/anchor.h"
#include "scripctl/progress.h"
#include "scripctl/records.h"
#include "scripctl/tables.h"

#define PROOF_WRONG_BYTES 768
#define PROOF_KIND_BYTES  24

/* What is known of a shard at the end. No pointers: it goes through a pipe. */
struct proof {
    bool is_there; /* there is something of it to prove */
    uint64_t first, last, records, fills, postings, accounts, orders;
    uint64_t tables_at;                      /* stamp that was compared; 0 = none */
    uint64_t table_rows, differences, named; /* of the tables */
    uint64_t anchored;                       /* records that an anchor has vouched for */
    uint64_t wrong_seq; /* first wrong record; 0 = none, or none in particular */
    int64_t wrong_us, took_us;
    char wrong_kind[PROOF_KIND_BYTES];
    char wrong[PROOF_WRONG_BYTES]; /* "shard 7 record 12 (order_report), TIME: ..."; "" = right */
};

struct proof_options {
    struct records_options source;
    const struct anchors *anchors; /* may have none */
    bool is_chain_only;
};

static inline bool
proof_is_right(const struct proof *p)
{
    return p->wrong[0] == '\0' && p->differences == 0;
}

/* Proves the shards that are set, one after the other, then their tables. False, and why, when
 * something could not be read or there is not enough to prove it; what is wrong is in `proofs`. */
bool proof_run(const struct proof_options *o, const bool shards[LEDGER_SHARDS],
               struct progress *progress, tables_found *on_difference, void *arg,
               struct proof proofs[LEDGER_SHARDS], char why[WHY_BYTES]);

#endif
