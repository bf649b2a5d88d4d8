/*
 * verify_jobs.h - the shards of a verification given to several processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_VERIFY_JOBS_H
#define SCRIPCTL_VERIFY_JOBS_H

#include "scripctl/proof.h"

/* What differs in the tables. */
struct verify_found {
    struct tables_difference *items;
    uint32_t count, max;
};

/* Proves the shards that are set by `jobs` processes; 1 = by this one. False, and why. */
bool verify_shards(const struct proof_options *o, const bool shards[LEDGER_SHARDS], uint32_t jobs,
                   bool is_quiet, struct proof proofs[LEDGER_SHARDS], struct verify_found *found,
                   char why[WHY_BYTES]);

#endif
