/*
 * ledger_random.h - the world of ledger_random_test.c and ledger_random_real.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_UNIT_LEDGER_RANDOM_H
#define SCRIP_TESTS_UNIT_LEDGER_RANDOM_H

#include "scenarios/ledger_tables.h"
#include "sim/naive_ledger.h"

#define ACCOUNTS  200u
#define OPEN_MAX  2048u
#define TRUTH_MAX 20000u /* REAL orders */
#define FILLS_MAX 12u    /* of each */

struct record {
    struct msg cmd;
    int64_t now_us;
};

/* What really became of a REAL order at the exchange. */
struct truth {
    uint64_t order_id, account_id;
    enum environment environment;
    enum exchange_state fate; /* SENDING: not decided */
    enum order_status status;
    int64_t quantity; /* 0: by quote amount */
    struct exchange_fill fills[FILLS_MAX];
    uint32_t fills_count;
};

struct world {
    uint64_t random;
    struct ledger ledger;
    void *memory;
    struct outbox out;
    struct naive_ledger naive;
    struct tables tables;
    struct record *records;
    uint32_t records_count;
    uint64_t orders[OPEN_MAX]; /* ids worth reporting on */
    uint32_t orders_count;
    int64_t now_us;
    uint64_t next_id, changed, refused, looked_up;
    struct truth *truths;
    uint32_t truths_count;
    uint64_t heard, known, wrong, twins, there;
};

static inline uint64_t
draw(struct world *w, uint64_t below)
{
    w->random += UINT64_C(0x9e3779b97f4a7c15);
    return map_mix(w->random) % below;
}

static inline bool
chance(struct world *w, uint64_t of_thousand)
{
    return draw(w, 1000) < of_thousand;
}

/* ledger_random_test.c: */
enum ledger_outcome run(struct world *w, struct msg *cmd);
uint64_t account(struct world *w);

/* ledger_random_real.c: */
/* What was said after a command: who hears of which orders, and how often. */
void real_hear(struct world *w, bool changed);
/* Something happens at the exchange, or is told of it, now and then. */
void real_step(struct world *w);
/* All of the truth is told at last: the ledger knows it then. */
void real_come_to_rest(struct world *w);
void real_must_have_happened(const struct world *w);
/* The lists of a journaled command outlive it. */
void record_lists_keep(struct msg *cmd);
void record_lists_free(struct msg *cmd);

#endif
