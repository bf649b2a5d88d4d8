/*
 * ahead.h - the memory that the ledger's pools will reach next is made before they reach it.
 *
 * Pools are written from their beginning on, so each has an edge behind which no memory is taken
 * yet. A thread of its own keeps a few megabytes ahead of every edge. (Maps are zeroed, and so
 * made, at the start.)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_AHEAD_H
#define SCRIP_LEDGER_SHELL_AHEAD_H

#include "ledger/core/ledger.h"

struct ahead;

struct ahead *ahead_new(const struct ledger *l);
void ahead_end(struct ahead **a);
/* Every turn. */
void ahead_turn(struct ahead *a);

#endif
