/*
 * shards.h - which ledger owns an account, as settings tell it: "0-31=ENDPOINT,32-63=ENDPOINT".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_SHARDS_H
#define SCRIP_HOST_SHARDS_H

#include <stdbool.h>

#include "base/shard.h"

/* Calls `take` for each part; false when one is of another form, or refused. */
bool shards_read(const char *text, void *arg,
                 bool (*take)(void *arg, unsigned from, unsigned to, const char *endpoint));

#endif
