/*
 * store_life.h - one life after the other of a ledger in the test's own process: core, journal and
 * tables on a real PostgreSQL, without its sockets. It ends as by a kill, whatever it was doing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_STORE_LIFE_H
#define SCRIP_TESTS_STORE_LIFE_H

#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"
#include "ledger/shell/restore.h"

/* One life of a ledger process. */
struct life {
    struct loop *loop;
    struct loop_timer *limit, *tick;
    struct store *store;
    struct journal *journal;
    struct project *project;
    struct restore *restore;
    struct ledger ledger;
    void *memory;
    struct outbox out;
    bool owned[LEDGER_SHARDS];
    uint64_t epoch;
    bool is_restored;
};

extern struct life life;
extern uint64_t acknowledged[LEDGER_SHARDS]; /* seq that a released answer rests on */
extern uint64_t next_corr;
extern const char *conninfo;             /* of database_make() */
extern const char *expected_why;         /* part of the reason that a restore must give */
extern void (*while_restoring)(void);    /* every turn of a restore; may be NULL */
extern struct ledger_limits life_limits; /* of every ledger that is made from now on */

/* An empty ledger of life_limits and the rules that every life has. */
void ledger_make(struct ledger *l, void **memory, struct outbox *out);
void ledger_free(void *memory, struct outbox *out);

/* Takes the lease and restores. */
void life_begin(void);
void life_end(void);
/* Runs the loop for so long, or until a commit. */
void run_ms(int64_t ms);
/* Runs it until everything is committed and in the tables. */
void until_projected(void);

/* A command as the process would take it; a report has peer 0. */
void request(uint32_t peer, struct msg *cmd);
void open_account(uint64_t id);

#endif
