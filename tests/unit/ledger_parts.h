/*
 * ledger_parts.h - what tests of the ledger's core share: a digest of all shards, and tables that
 * take every row and keep none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_UNIT_LEDGER_PARTS_H
#define SCRIP_TESTS_UNIT_LEDGER_PARTS_H

#include "ledger/core/ledger.h"

static inline void
digest_sink(void *arg, const void *bytes, size_t length)
{
    uint64_t *hash = arg;
    const uint8_t *b = bytes;
    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ b[i]) * UINT64_C(1099511628211);
}

static inline uint64_t
digest(const struct ledger *l)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a, 64 bits */
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        ledger_digest(l, shard, digest_sink, &hash);
    return hash;
}

#define LEDGER_PARTS_NO(kind)                                                                      \
    static inline void no_##kind(void *arg, const struct kind##_row *row)                          \
    {                                                                                              \
        (void)arg, (void)row;                                                                      \
    }
LEDGER_PARTS_NO(account)
LEDGER_PARTS_NO(balance)
LEDGER_PARTS_NO(order)
LEDGER_PARTS_NO(trade)
LEDGER_PARTS_NO(change)
LEDGER_PARTS_NO(story)
#undef LEDGER_PARTS_NO

/* What changed counts as written. */
static inline void
ledger_settle_nowhere(struct ledger *l)
{
    static const struct ledger_sink nowhere = {NULL,     no_account, no_balance, no_order,
                                               no_trade, no_change,  no_story};
    ledger_projected(l, ledger_drain(l, &nowhere));
}

#endif
