/*
 * store_standby.h - a second ledger in the test's own process, which follows a life and takes over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_STORE_STANDBY_H
#define SCRIP_TESTS_STORE_STANDBY_H

#include "ledger/shell/journal.h"
#include "ledger/shell/project.h"
#include "ledger/shell/restore.h"

struct standby {
    struct ledger ledger;
    void *memory;
    struct outbox out;
    struct journal *journal;
    struct restore *restore;
    struct project *project; /* once it has taken over */
    bool is_over;
};

extern struct standby standby;

/* Follows the life that has the lease, through the same store. */
void standby_begin(void);
/* Takes over from the life, which says no more; what it has sent is in the tables or fenced. */
void standby_take(void);
void standby_end(void);

#endif
