/*
 * contingent.h - orders that depend on each other: pairs, pending orders, replacements.
 *
 * A pair is two live orders of one list (both of an OCO, the last two of an OTOCO): whatever first
 * fills, triggers or ends one of them ends the other in the same step. A pair holds once: the
 * larger need, carried by its first order. A pending order waits for another one's end and holds
 * nothing; what the end must be is its rule. All of it follows from the report that is being
 * settled and from the orders alone, so a replay needs neither rules nor prices.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_CONTINGENT_H
#define SCRIP_LEDGER_CORE_CONTINGENT_H

#include "ledger/core/turn.h"

#define LIST_ORDERS_MAX 3

/* How many orders a list of this kind has. */
uint32_t contingent_orders(enum contingency c);
struct ledger_order *contingent_find_partner(const struct ledger *l, const struct ledger_order *o);
/* The other live order of its pair; NULL when there is none (any more). */
static inline struct ledger_order *
contingent_partner(const struct ledger *l, const struct ledger_order *o)
{
    return o->contingency == CONTINGENCY_NONE ? NULL : contingent_find_partner(l, o);
}
/* Whether it is the second open order of a pair, live or pending. */
bool contingent_is_second(const struct ledger *l, const struct ledger_order *o);
/* The order that was to replace it and still waits; NULL when there is none. */
struct ledger_order *contingent_replacement(const struct ledger *l, const struct ledger_order *o);

/* What an open order must hold: its own need, or its pair's, or nothing. */
money_t contingent_hold_needed(const struct ledger *l, const struct ledger_order *o);
/* What its end would set free: what it holds, and its partner. */
money_t contingent_held(const struct ledger *l, const struct ledger_order *o);
/* Sets free what it, or its pair, holds too much. Returns the amount. */
money_t contingent_release(struct ledger *l, struct ledger_order *o);

/* Opens the hold of new live orders (`second` NULL, or the other one of a pair), tells of them and
 * sends them to the matcher. The funds are there. */
void contingent_start(struct ledger *l, const struct turn *t, struct ledger_order *first,
                      struct ledger_order *second);
/* A report is about to fill, trigger or end `o`: its partner's hold becomes its own, and the
 * partner ends. Returns the partner, still to be told of; NULL when there is none. */
struct ledger_order *contingent_decide(struct ledger *l, const struct turn *t,
                                       struct ledger_order *o, const struct order_report *r);
/* After the end of `o`: what waited for it becomes live or ends, and who asked for it is told. */
void contingent_follow(struct ledger *l, const struct turn *t, struct ledger_order *o);

#endif
