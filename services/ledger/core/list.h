/*
 * list.h - order lists: placing them, asking for them, cancelling them.
 *
 * There is no list apart from its orders: its id is that of its first order, the ids of the others
 * follow, and each order knows its place. A list is open while one of its orders is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_LIST_H
#define SCRIP_LEDGER_CORE_LIST_H

#include "ledger/core/contingent.h"

/* A list's orders as far as memory has them; those that are missing have ended. */
struct list_legs {
    struct ledger_order *at[LIST_ORDERS_MAX];
    enum contingency contingency; /* NONE: memory has no order of it */
    uint32_t count;               /* how many orders the list has */
};

struct list_legs list_legs(const struct ledger *l, uint32_t account, uint64_t list_id);
bool list_is_whole(const struct list_legs *legs);
bool list_is_open(const struct list_legs *legs);
/* The order of an open list at which askers wait; NULL when none is open. */
struct ledger_order *list_keeper(const struct list_legs *legs);
/* The record of messages.def. `row` is what the tables have of it, or NULL; memory wins. */
struct list list_say(const struct ledger *l, const struct list_legs *legs,
                     const struct list_view *row);

/* Live. LEDGER_LOOKUP when the first order's client order id may be in the tables. */
enum ledger_outcome list_place_request(struct ledger *l, const struct turn *t,
                                       struct list_place *cmd);
enum ledger_outcome list_place_found(struct ledger *l, const struct turn *t, struct list_place *cmd,
                                     const struct list_view *row);
/* Opens the orders of an enriched command. */
enum ledger_outcome list_place_apply(struct ledger *l, const struct turn *t,
                                     const struct list_place *cmd);

/* The view of a list, or when it was just placed, why it was rejected. `row` as in list_say(). */
void list_answer(const struct ledger *l, struct outbox *out, struct asker who,
                 const struct list_legs *legs, const struct list_view *row);
/* LEDGER_LOOKUP when memory does not have all of it. */
enum ledger_outcome list_get(const struct ledger *l, const struct turn *t,
                             const struct list_get *ask);
void list_get_found(const struct ledger *l, const struct turn *t, const struct list_get *ask,
                    const struct list_view *row);
enum ledger_outcome list_cancel(struct ledger *l, const struct turn *t,
                                const struct list_cancel *cmd);
void list_open_list(const struct ledger *l, const struct turn *t, const struct list_open_list *ask);

/* A report changed this order of a list: tells what became of the list, to all and to askers. Who
 * waited is told of the orders that memory still has. */
void list_settled(struct ledger *l, const struct turn *t, const struct ledger_order *o);

#endif
