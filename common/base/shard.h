/*
 * shard.h - which of the virtual shards an account is of, for the life of a deployment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_SHARD_H
#define SCRIP_BASE_SHARD_H

#include "base/map.h"

#define SHARDS 64

/* Of a user's account, not of the ledger's own. */
static inline uint32_t
shard_of_account(uint64_t account_id)
{
    return (uint32_t)(map_mix(account_id) & (SHARDS - 1));
}

#endif
