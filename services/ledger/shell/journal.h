/*
 * journal.h - group commit and output commit: what the core decided leaves only when it is durable.
 *
 * One batch fills while up to two are on their way to the store, which takes each only behind the
 * one before it, also when that was committed long ago: what the store has lost is found out.
 * Replies, events and what is for a bridge are held in the batch they rest on and are released, in
 * order, when it is committed; what rests on nothing uncommitted is released at once. When a batch
 * fails, nothing new is sent until the other one is answered, too; then they are settled from the
 * oldest on. No clock and no sockets of its own: tests drive it with the fake store.
 *
 *   IDLE ──due──► WRITING ──all done──► IDLE        (each releases what was held when it is done)
 *                  │ ▲ │
 *    refused, gap  │ │ └─lost, taken─► UNSURE ──asked: there──► the next batch, or IDLE
 *                  ▼ │                   └─────asked: absent──► WAITING
 *                WAITING (for the store)          anything ──fenced──► FENCED
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_JOURNAL_H
#define SCRIP_LEDGER_SHELL_JOURNAL_H

#include "base/msg.h"
#include "host/store.h"

struct journal;

enum journal_state {
    JOURNAL_IDLE,    /* nothing on its way */
    JOURNAL_WRITING, /* a batch is on its way, or two */
    JOURNAL_WAITING, /* the oldest is known not to be in the store: sent (again) when possible */
    JOURNAL_UNSURE,  /* nobody knows whether the oldest is in the store: asked when possible */
    JOURNAL_ASKING,
    JOURNAL_FENCED, /* somebody else writes this journal: the process must end */
};

struct journal_options {
    struct store *store;
    uint32_t records_max; /* of one batch */
    uint32_t bytes_max;   /* payloads of one batch; at least 1 MB */
    uint32_t held_max;    /* messages held by one batch; at least 4 * LEDGER_OUT_MAX */
    int64_t delay_us;     /* how long a batch may wait when nobody waits for it */
    int64_t stall_us;     /* a commit that takes longer means: not writable */
    void *arg;
    void (*on_reply)(void *arg, uint32_t peer, const uint8_t *data, size_t length);
    void (*on_event)(void *arg, uint64_t account_id, const uint8_t *data, size_t length);
    void (*on_bridge)(void *arg, const uint8_t *data, size_t length);
    /* A batch is durable; called before what it holds is released. May be NULL. */
    void (*on_committed)(void *arg);
    void (*on_fenced)(void *arg, const char *why);
};

struct journal *journal_new(const struct journal_options *o);
void journal_destroy(struct journal **j);

/* Where a shard's chain stands, as read at start: the next record is seq + 1. */
void journal_set_head(struct journal *j, uint16_t shard, uint64_t seq,
                      const uint8_t hash[HASH_BYTES]);
/* Last record appended, and last one committed; and their hashes. */
uint64_t journal_applied(const struct journal *j, uint16_t shard);
uint64_t journal_committed(const struct journal *j, uint16_t shard);
void journal_head_hash(const struct journal *j, uint16_t shard, uint8_t out[HASH_BYTES]);
/* The time for what is applied and appended now: the clock's, but never before the newest record of
 * any shard, and after the newest one that others wrote. While the clock is behind that, time goes
 * on at half its pace, so that what waits for a time to pass does not wait for the clock to catch
 * up. */
int64_t journal_time_us(const struct journal *j, int64_t now_us);
/* Time of the newest record of any shard; 0 = there is none. */
int64_t journal_newest_us(const struct journal *j);
/* The clock's time, but never after the newest record: another clock may have written that. What
 * is not recent by this was not recent when it was written. */
static inline int64_t
journal_past_us(const struct journal *j, int64_t now_us)
{
    int64_t newest_us = journal_newest_us(j);
    return newest_us > 0 && newest_us < now_us ? newest_us : now_us;
}
void journal_committed_hash(const struct journal *j, uint16_t shard, uint8_t out[HASH_BYTES]);

/* Whether one more command and all its output fit. */
bool journal_has_room(const struct journal *j);
/* Half of the room is used: take no more from those who can be told to wait. */
bool journal_is_crowded(const struct journal *j);
/* Whether commits go through: false while the store is away, refuses, or stalls. */
bool journal_is_writable(const struct journal *j, int64_t steady_us);
enum journal_state journal_state_now(const struct journal *j);
/* Nothing waits for a commit and nothing is held. */
bool journal_is_empty(const struct journal *j);
/* Records that are not yet durable. */
uint32_t journal_pending(const struct journal *j);
/* How often a batch was sent, and which of these sendings the last commit was heard of. What the
 * database had taken in before sending n + 1 is on its disk when that one is durable. */
uint64_t journal_sends(const struct journal *j);
uint64_t journal_sends_durable(const struct journal *j);

/* Appends the command to the filling batch. CHECKs for room, and for a time that goes back. */
void journal_append(struct journal *j, uint16_t shard, const struct msg *cmd, code_t source,
                    int64_t now_us);
/* Holds a message until everything appended so far is durable. A reply makes the batch due at
 * once, and so does what is for a bridge; an event may wait `delay_us` with it. */
void journal_reply(struct journal *j, uint32_t peer, const struct msg *m);
void journal_event(struct journal *j, uint64_t account_id, const struct msg *m);
void journal_bridge(struct journal *j, const struct msg *m);

/* At the end of every turn, and no later than journal_wake_us() says (INT64_MAX = no need). */
void journal_turn(struct journal *j, int64_t steady_us);
int64_t journal_wake_us(const struct journal *j);
/* From now on every batch is due at once. */
void journal_hurry(struct journal *j);

#endif
