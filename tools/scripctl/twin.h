/*
 * twin.h - a ledger core that replays the journal, and an account of its own of what that moved.
 *
 * One record at a time: its hash is checked, it is applied, and what it did to balances, holds and
 * orders is summed up a second time by code that shares nothing with the core (shadow.h): each
 * record moves nothing out of nothing, no user is below zero, what is held is what open orders
 * hold, and each fill is allowed by its order's limit and its evidence (evidence.h). The first
 * record that fails any of it is the verdict.
 *
 * Memory grows with accounts, open orders and fills of real orders, not with the journal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_TWIN_H
#define SCRIPCTL_TWIN_H

#include "host/store.h"
#include "ledger/core/ledger.h"
#include "scripctl/records.h"

struct twin;

/* One change of a balance by the last record. */
struct twin_posting {
    uint64_t account_id; /* system accounts too */
    enum wallet wallet;
    code_t asset;
    money_t free_before, held_before, free, held;
};

/* What the last record did; lent until the next call. */
struct twin_step {
    const struct journal_record *record;
    const struct msg *cmd; /* unpacked */
    const struct twin_posting *postings;
    uint32_t postings_count;
    const struct order_row *orders; /* that it changed, as they stand now */
    uint32_t orders_count;
    const struct trade_row *trades;
    uint32_t trades_count;
    const struct change_row *changes;
    uint32_t changes_count;
    const struct story_row *stories;
    uint32_t stories_count;
    const struct account_row *accounts; /* opened, or with other settings */
    uint32_t accounts_count;
};

struct twin_options {
    bool is_trusting;   /* applies only: no chain, no second account */
    bool skips_books;   /* chain and core: no second account */
    bool is_chain_only; /* chain alone: nothing is applied, so that it may begin anywhere */
};

struct twin *twin_new(const struct twin_options *o);
void twin_destroy(struct twin **t);
/* A shard's first records are not there: its chain begins with `seq`, behind that hash. */
void twin_begin(struct twin *t, uint16_t shard, uint64_t seq, const uint8_t before[HASH_BYTES]);
/* The same where nothing tells the hash before its first record: that is taken as it is. */
void twin_begin_at(struct twin *t, const struct journal_record *first);
/* False with the verdict in twin_why(): "shard 7 record 1234 (order_report): ...". */
bool twin_apply(struct twin *t, const struct journal_record *r);
const char *twin_why(const struct twin *t);
/* The same without the record's name. */
const char *twin_wrong(const struct twin *t);
const struct twin_step *twin_step(const struct twin *t);
const struct ledger *twin_ledger(const struct twin *t);
uint64_t twin_seq(const struct twin *t, uint16_t shard);
/* SHA-256 of the shard's state (ledger_digest()), and of all shards' one after the other. */
void twin_state_hash(struct twin *t, uint16_t shard, uint8_t out[HASH_BYTES]);
void twin_state_hash_all(struct twin *t, uint8_t out[HASH_BYTES]);

#endif
