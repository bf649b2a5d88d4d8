/*
 * ctl_journal.h - journals in memory: what the real cores make of drawn orders, hashed as the
 * ledger's shell does it, and ways to tamper with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_CTL_JOURNAL_H
#define SCRIP_TESTS_CTL_JOURNAL_H

#include "cores.h"
#include "host/store.h"

struct ctl_journal {
    struct journal_record *records; /* payloads are their own */
    uint32_t count, max;
    struct {
        uint64_t seq;
        uint8_t hash[HASH_BYTES];
    } heads[LEDGER_SHARDS];
    struct journal_hasher *hasher;
    uint64_t epoch;
};

void ctl_journal_init(struct ctl_journal *j);
void ctl_journal_fini(struct ctl_journal *j);
/* A record more, behind the last one of its shard. */
void ctl_journal_add(struct ctl_journal *j, const struct msg *cmd, int64_t now_us);
/* `steps` of a world of cores. */
void ctl_journal_make(struct ctl_journal *j, uint64_t seed, uint32_t accounts, uint32_t steps);
/* Gives a record another command. Its hash stays as it is. */
void ctl_journal_change(struct ctl_journal *j, uint32_t i, const struct msg *cmd);
/* Takes record `i` away. */
void ctl_journal_remove(struct ctl_journal *j, uint32_t i);
/* Numbers and hashes all records anew, as somebody would who wants it to look whole. */
void ctl_journal_rehash(struct ctl_journal *j);
/* Reads record `i`; its lists are in `lists`. */
struct msg ctl_journal_read(const struct ctl_journal *j, uint32_t i, struct arena *lists);

#endif
