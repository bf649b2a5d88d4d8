/*
 * restore.h - the way back: tables into memory, then the journal's tail through the same door.
 *
 * The tables are true at their stamps; the records behind the stamps are replayed, and each must
 * carry the hash that follows from the one before it. At the end the books are proved. Anything
 * that does not agree stops the start: a ledger that guesses is worse than none.
 *
 * A standby does the first half before its time, and then follows: what the owner has written into
 * the tables it replays from the journal, up to their stamps and no further, and forgets that it
 * changed. So when the lease is its own there is little left to replay, and memory is to the tables
 * as if it had been loaded from them. Should they be behind what was replayed, which a server that
 * crashed may have made of them, everything is loaded anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_RESTORE_H
#define SCRIP_LEDGER_SHELL_RESTORE_H

#include "host/loop.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"

struct restore;

struct restore_options {
    struct loop *loop;
    const char *conninfo;
    struct store *store;
    struct ledger *ledger;
    struct journal *journal;
    struct project *project; /* NULL: the lease is another's yet; follow */
    const bool *owned;       /* LEDGER_SHARDS of them; lent until the end */
    void *arg;
    /* `why` is "" when all is well. */
    void (*on_done)(void *arg, const char *why);
};

/* Begins. The ledger must be empty. */
struct restore *restore_begin(const struct restore_options *o);
void restore_end(struct restore **r);
/* The lease is ours now: comes to its end. */
void restore_take(struct restore *r, struct project *project);
/* Whether it has loaded the tables of another owner. */
bool restore_is_following(const struct restore *r);
/* Every turn, after project_turn(), until on_done. */
void restore_turn(struct restore *r);
/* What it is doing, for /readyz. */
const char *restore_step(const struct restore *r);

#endif
