/*
 * place.h - order_place: a retry is answered from what is there, a new order is opened.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_PLACE_H
#define SCRIP_LEDGER_CORE_PLACE_H

#include "ledger/core/turn.h"

/* Live. LEDGER_LOOKUP when the client order id may be in the tables. */
enum ledger_outcome order_place_request(struct ledger *l, const struct turn *t,
                                        struct order_place *cmd);
/* Live, after the tables were asked. */
enum ledger_outcome order_place_found(struct ledger *l, const struct turn *t,
                                      struct order_place *cmd, const struct order_view *row);
/* ---- For all commands that place orders ----------------------------------------------------- */

struct place_names {
    uint32_t symbol, base, quote;
};

/* How a new order stands to others. */
struct place_ties {
    enum contingency contingency; /* of its list, which is made of ids in a row */
    uint32_t leg;
    uint64_t waits_for, replaces;
    uint64_t twin_of; /* the REAL order it mirrors */
    enum ledger_rule rule;
    enum order_end end; /* it is rejected at once */
};

/* Refuses: the client order id was used by this order, which differs. */
enum ledger_outcome place_differs(const struct turn *t, uint64_t order_id);
/* Answers a retry from what the tables have of the order. */
enum ledger_outcome place_answer_row(const struct turn *t, const struct order_view *row);
/* Whether there is room for the orders and for what settling them needs; ORDERS_FULL. */
MUST_USE enum err place_room(struct ledger *l, const struct ledger_account *a,
                             const struct order_place *cmd, uint32_t orders,
                             struct place_names *names);
/* Whether what it holds is free; FUNDS_TOO_LOW. */
MUST_USE enum err place_funds(const struct ledger *l, const struct ledger_account *a,
                              const struct order_place *cmd, const struct place_names *names);
/* An order with the account's next id. It holds nothing yet and nobody is told. */
struct ledger_order *place_add(struct ledger *l, const struct turn *t, struct ledger_account *a,
                               const struct order_place *cmd, const struct place_names *names,
                               const struct place_ties *ties);
/* What the journal must not contain: an order that was never enriched. */
bool place_is_enriched(const struct order_place *cmd);

/* Opens the order of an enriched command: holds, the order, order_work for the matcher. */
enum ledger_outcome order_place_apply(struct ledger *l, const struct turn *t,
                                      const struct order_place *cmd);

#endif
