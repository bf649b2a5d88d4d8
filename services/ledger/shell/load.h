/*
 * load.h - the tables into memory, at a start: over several connections at once.
 *
 * Each connection is a lane with shards of its own and reads their tables in one transaction, all
 * lanes as of one moment: no order refers from one shard to another, but what was open in two of
 * them at different moments, while their owner writes on, need not have fitted into memory
 * together. Rows come through cursors, page by page, so that the server reads on while a page is
 * taken, and memory holds two pages a lane. When a connection breaks, everything begins again with
 * an empty ledger.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_LOAD_H
#define SCRIP_LEDGER_SHELL_LOAD_H

#include "host/loop.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"

struct load;

struct load_options {
    struct loop *loop;
    const char *conninfo;
    struct ledger *ledger;
    struct journal *journal;
    const bool *owned; /* LEDGER_SHARDS of them; lent until the end */
    uint32_t lanes;    /* connections; fewer when there are fewer shards */
};

/* Begins, when the first connection is up. The ledger must be empty. */
struct load *load_begin(const struct load_options *o);
void load_end(struct load **l);
/* Every turn. True when it has ended: all is in memory, or load_why() tells why not. */
bool load_turn(struct load *l);
/* "" when all is well. */
const char *load_why(const struct load *l);
/* What the slowest lane is doing, for /readyz. */
const char *load_step(const struct load *l);
uint64_t load_rows(const struct load *l);

#endif
