/*
 * send_parts.h - what the two halves of a replay into another deployment share: what happens before
 * the first command, and what then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIPCTL_SEND_PARTS_H
#define SCRIPCTL_SEND_PARTS_H

#include "scripctl/asker.h"
#include "scripctl/command.h"
#include "scripctl/plan.h"
#include "scripctl/progress.h"

#define SEND_WORKS_BEFORE 5 /* parts that send_before() writes */

struct send {
    const struct call *c;
    struct plan plan;
    rate_t speed; /* 0 = as fast as it goes */
    uint32_t next;
    int64_t start_us; /* of the sending */
    int64_t round_us; /* no further look before; 0 = one is under way */
    int64_t patience_us;
    uint32_t known;     /* accounts and orders that are there beforehand */
    bool is_itself;     /* an order of the record, to the microsecond */
    bool is_silent;     /* nobody answers */
    struct money *cash; /* there, of accounts that were just opened */
    uint32_t *again;    /* commands that the ledger could not take; to be tried again */
    uint32_t again_count;
    int64_t again_us; /* not before */
    int64_t away_us;  /* since when it takes nothing; 0 = it does */
    bool is_trying, was_given_up;
    struct arena lists;
    struct progress progress;
};

/* Hands out the numbers below `count` to `put`, as room is there; `put` false: nothing was asked.
 */
int64_t send_hand_out(struct send *s, struct asker *a, uint32_t count,
                      bool (*put)(struct send *s, struct asker *a, uint32_t i));
/* The end of a part: whether the next one begins. */
bool send_goes_on(struct send *s);
/* The parts before the first command: what is there, and the accounts. */
void send_before(struct send *s, struct asker_work out[SEND_WORKS_BEFORE]);

#endif
