/*
 * anchoring.h - when the ledger signs what it has committed, and where that goes.
 *
 * At takeover, every interval and before the end: when a shard's committed head has changed since
 * the last anchor, the heads of all shards are signed on a thread, added to ledger.anchor behind
 * the fence, on a connection of its own, and then put into a folder if there is one. Nothing
 * waits for it. What fails is told once, counted, and tried again.
 *
 *   READING ─the last one─► RESTING ─due─► SIGNING ─► SENT ─► RESTING
 *      ▲ ╲________ refused, lost, no key: after a while ________╱
 *
 * The ledger signs nothing that contradicts the last anchor: then the journal, or the table of
 * anchors, is no longer what it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_ANCHORING_H
#define SCRIP_LEDGER_SHELL_ANCHORING_H

#include "host/loop.h"
#include "ledger/shell/journal.h"

struct anchoring;

struct anchoring_options {
    struct loop *loop;
    const char *conninfo;
    const struct journal *journal;
    const bool *owned; /* shards */
    uint32_t group;
    uint64_t epoch;
    const char *key_file;
    const char *folder; /* "" = none */
    int64_t interval_us, retry_us;
    void *arg;
    void (*on_fenced)(void *arg, const char *why);
};

struct anchoring *anchoring_open(const struct anchoring_options *o);
/* NULL is fine, as for all below: a ledger without a key writes no anchors. */
void anchoring_close(struct anchoring **a);
/* The last anchor is due now: the process is about to end. */
void anchoring_hurry(struct anchoring *a);
/* After that: everything committed is anchored, or it was tried long enough. */
bool anchoring_is_done(const struct anchoring *a);
/* Every turn, after journal_turn(); and when anchoring_wake_us() says. */
void anchoring_turn(struct anchoring *a, int64_t steady_us);
int64_t anchoring_wake_us(const struct anchoring *a);

#endif
