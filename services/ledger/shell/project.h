/*
 * project.h - the tables behind the journal: drained rows, written in one transaction with their
 * stamps.
 *
 * A drain is copied out of the core and waits until the journal is committed as far as it is true;
 * then it is sent, fenced, on its own connection. With commits going on beside it, it is sent with
 * synchronous_commit off, because the journal repeats it after a crash; it stays here until a
 * later commit of the journal has put it onto the disk too, and is sent again if the connection
 * breaks before that. (Rows are written over, so sending twice is harmless.)
 *
 *   IDLE ─drain─► READY ─journal committed─► SENT ─ok─► WRITTEN ─the journal committed─► IDLE
 *                   ▲                         │            │  ╲                             ▲
 *                   └────── lost, refused ────┴────────────┘   └─ the journal rests: FLUSHED ┘
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_PROJECT_H
#define SCRIP_LEDGER_SHELL_PROJECT_H

#include "host/loop.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"

struct project;

struct project_options {
    struct loop *loop;
    const char *conninfo;
    struct ledger *ledger;
    struct journal *journal;
    uint32_t group;
    uint64_t epoch;
    int64_t interval_us; /* between drains */
    uint32_t rows_max;   /* so many changed rows make a drain due earlier */
    void *arg;
    void (*on_fenced)(void *arg, const char *why);
};

struct project *project_open(const struct project_options *o);
void project_close(struct project **p);

/* What the tables say of a shard, as read at start. */
void project_set_stamp(struct project *p, uint16_t shard, uint64_t seq);
/* All stamps are set, and memory is to the tables as they say: from now on it is drained. */
void project_start(struct project *p);
/* Last record of the shard that the tables know of. Goes back when the connection ends before what
 * was written is on the disk. */
uint64_t project_stamp(const struct project *p, uint16_t shard);
/* Keeps what the core does not: the limits a paper balance was set under. After every command
 * that changed the state. */
void project_note(struct project *p, const struct msg *cmd);
/* Whether project_note() has room for so many commands. */
bool project_has_room(const struct project *p, uint32_t commands);
/* Makes the next drain due at once: somebody waits for the tables. */
void project_hurry(struct project *p);
/* Everything that was ever applied is in the tables. */
bool project_is_done(const struct project *p);
/* Nothing is on its way; the rings of the core are empty after the next drain. */
bool project_is_idle(const struct project *p);
/* NULL, or why the tables cannot be written. */
const char *project_trouble(const struct project *p);

/* Every turn, after journal_turn(); and when project_wake_us() says. */
void project_turn(struct project *p, int64_t steady_us);
int64_t project_wake_us(const struct project *p);

#endif
