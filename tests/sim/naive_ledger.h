/*
 * naive_ledger.h - an independent judge of the ledger: a notebook of what happened, and the sums.
 *
 * It shares no code with services/ledger: it keeps the list of orders and the list of fills, and
 * whenever it is asked it adds everything up again from the first line. Slow and plain on purpose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_NAIVE_LEDGER_H
#define SCRIP_TESTS_NAIVE_LEDGER_H

#include "ledger/core/ledger.h"

struct naive_order {
    uint64_t id;
    struct order_place cmd; /* as enriched */
    struct match_fill *fills;
    uint32_t fills_count;
    enum order_end end;
    uint64_t rank;
};

/* Paper money given (or taken, below zero) from a shard's issuance. */
struct naive_grant {
    enum trading_type wallet;
    int64_t amount;
};

struct naive_account {
    uint64_t id;
    struct naive_grant *grants;
    uint32_t grants_count;
    uint32_t *orders; /* its orders, as they came */
    uint32_t orders_count;
};

struct naive_ledger {
    struct naive_account *accounts;
    uint32_t accounts_count;
    struct naive_order *orders; /* of all shards, as they came */
    uint32_t orders_count;
    uint32_t *by_shard[LEDGER_SHARDS]; /* the nth order of a shard */
    uint32_t by_shard_count[LEDGER_SHARDS];
};

void naive_ledger_free(struct naive_ledger *n);

/*
 * Notes a command that the ledger took (as enriched). For an order_report, which the ledger judges
 * by the books alone, call it whatever the ledger did: true when the report is a good one and was
 * noted, false when it must be refused. False with `why` for any other command means that the
 * ledger took what it must not take.
 */
bool naive_ledger_apply(struct naive_ledger *n, const struct msg *cmd, text_t *why);

/*
 * Adds everything up again and compares it with the ledger: every balance of every account, system
 * accounts too; every open order's hold, fills and status; finished ones as far as the ledger has
 * them in memory. True, or false with the first difference.
 */
bool naive_ledger_compare(const struct naive_ledger *n, const struct ledger *l, text_t *why);

#endif
