/*
 * bridges.h - the ledger's end of its exchange bridges: real orders go out once, and what became of
 * them is asked until it is known.
 *
 * An order is sent to one bridge, when its record is durable, and never again by anybody: it may be
 * lost on the way, and it is not doubled. While nobody knows what became of it, any bridge is
 * asked, after 2 s, then in twice the time, up to 30 s, and the next bridge each time; a cancel
 * that is wished is asked for every 2 s until the order has ended. Bridges answer with
 * bridge_report, which comes through the ledger's own door. A ledger that has just taken over asks
 * about every order that the one before it may have sent.
 *
 *   placed ──► told of ──silence──► asked ──► asked ... ──report──► known: forgotten here
 *   taken over ──────────────────────┘
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_BRIDGES_H
#define SCRIP_LEDGER_SHELL_BRIDGES_H

#include "host/loop.h"
#include "ledger/core/ledger.h"

struct bridges;

struct bridges_options {
    struct loop *loop;
    struct ledger *ledger;
    const char *endpoints; /* with commas between; "" = there is none */
    uint32_t group;        /* "ledger-<group>" is our name there */
    uint64_t epoch;
    uint32_t asks_max; /* under way at most */
};

/* Opens the sockets; all that is in memory is committed. NULL, logged, when an endpoint makes no
 * sense. */
struct bridges *bridges_open(const struct bridges_options *o);
void bridges_close(struct bridges **b);

/* A bridge_place, bridge_cancel or bridge_ask of the core, packed, that rests on nothing
 * uncommitted any more. */
void bridges_send(struct bridges *b, const uint8_t *data, size_t length);
/* A bridge has reported of the order: it is not asked about at once. */
void bridges_heard(struct bridges *b, uint64_t order_id);
/* One answers, or there is none to be waited for. */
bool bridges_are_there(struct bridges *b);
/* Orders whose outcome nobody knows. */
uint32_t bridges_unresolved(const struct bridges *b);

#endif
