/*
 * cores.h - the ledger's core and the matcher's, wired to each other, over a market that walks.
 *
 * Everything is drawn from the seed: orders of every kind, lists, amendments, replacements,
 * cancels, settings; sessions break now and then and begin from the books. Whoever asks is told of
 * each command that changed the ledger, as the journal would be.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_CORES_H
#define SCRIP_TESTS_CORES_H

#include "ledger/core/ledger.h"
#include "matcher/core/match.h"
#include "random_orders.h"

#define CORES_QUEUE_MAX 4096u
#define CORES_OUTS      16u

struct cores_options {
    uint64_t seed;
    uint32_t accounts;   /* with the ids from 1 on */
    uint32_t orders_max; /* in memory */
    void *arg;
    /* NULL, or told of each command that was applied. */
    void (*on_changed)(void *arg, const struct msg *cmd, int64_t now_us);
};

struct cores {
    struct cores_options o;
    struct random_orders orders;
    uint32_t step;
    struct ledger ledger;
    void *ledger_memory;
    struct outbox out;
    struct match *match;
    struct outbox match_out;
    struct out match_outs[CORES_OUTS];
    uint8_t match_lists[MATCH_OUT_BYTES] __attribute__((aligned(16)));
    struct frame frame;
    struct msg queue[CORES_QUEUE_MAX]; /* from the ledger to the matcher */
    uint32_t queue_first, queue_end;
    int64_t now_us;
    uint64_t sequence;
    bool is_asked;
    uint64_t reports, ends[32], refusals;
    text_t wrong; /* a report that the ledger refused; empty: none */
};

struct cores *cores_new(const struct cores_options *o);
void cores_destroy(struct cores **c);
/* One thing happens, and all that comes of it. */
void cores_step(struct cores *c);

#endif
