/*
 * tables.h - whether the tables of a database are what its journal comes to.
 *
 * Each shard's tables are true at a stamp. Up to there every record's rows are noted: those of
 * accounts, balances and open orders as they stand, of all that is finished only fingerprints in
 * buckets. Then the tables are read through once. Where a bucket differs its rows are noted by a
 * second replay and compared one by one, so that memory grows with what lives and not with what
 * ever was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_TABLES_H
#define SCRIPCTL_TABLES_H

#include "scripctl/cells.h"
#include "scripctl/twin.h"

/* What is in a table and should not be, or the other way round. */
struct tables_difference {
    uint16_t shard;
    const char *table;
    char key[CELLS_TEXT_BYTES];
    char column[CELLS_NAME_BYTES]; /* "" = the row as a whole is missing, or should not be there */
    char found[CELLS_TEXT_BYTES];  /* in the database; "" = no such row */
    char expected[CELLS_TEXT_BYTES];
};

typedef void tables_found(void *arg, const struct tables_difference *d);

struct tables;

struct tables *tables_new(tables_found *on_difference, void *arg);
void tables_destroy(struct tables **t);

/* Reads the stamps. False, and why, when the connection has no such tables. */
bool tables_stamps(struct tables *t, PGconn *connection, char why[WHY_BYTES]);
/* Record at which the tables of a shard are true; 0 = they have nothing of it. */
uint64_t tables_stamp(const struct tables *t, uint16_t shard);

/* A record's rows, those up to the stamp alone. After the one at the stamp also tables_at(). */
void tables_note(struct tables *t, const struct twin_step *step);
void tables_at(struct tables *t, uint16_t shard, const struct ledger *l,
               const uint8_t hash[HASH_BYTES]);

/* Reads the tables through for the shards of which tables_at() was called. */
bool tables_compare(struct tables *t, PGconn *connection, char why[WHY_BYTES]);
/* Whether rows of a shard have to be noted again: then tables_look() with each step up to the
 * stamp, and at the end tables_name(). */
bool tables_must_look(const struct tables *t, uint16_t shard);
void tables_look(struct tables *t, const struct twin_step *step);
bool tables_name(struct tables *t, PGconn *connection, char why[WHY_BYTES]);

/* How many differences there are, those not named included. */
uint64_t tables_differences(const struct tables *t, uint16_t shard);
/* Rows that were compared. */
uint64_t tables_rows(const struct tables *t, uint16_t shard);

/* "ledger.balance, account_id 7, asset USDT: free is 1 in the table and 2 by the journal". */
const char *tables_say(const struct tables_difference *d, char out[WHY_BYTES * 2]);

#endif
