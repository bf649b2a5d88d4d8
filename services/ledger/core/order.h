/*
 * order.h - orders in memory: finding, opening, ending, and the ring of their fills.
 *
 * An open order stands in its account's list, newest first. A finished one stands in the list of
 * finished orders, oldest first, until it is evicted. order_set_status() is the only mover.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_ORDER_H
#define SCRIP_LEDGER_CORE_ORDER_H

#include "ledger/core/ledger.h"

/* NULL when not in memory. */
struct ledger_order *order_find(const struct ledger *l, uint64_t order_id);
struct ledger_order *order_find_client(const struct ledger *l, uint32_t account, const cid_t *cid);
uint32_t order_index(const struct ledger *l, const struct ledger_order *o);
bool order_room(const struct ledger *l);
/* Live or pending. */
bool order_is_open(const struct ledger_order *o);
/* The matcher has it, or will as soon as it hears of it. */
bool order_is_live(const struct ledger_order *o);
/* It waits for the end of another order: the matcher does not know it, and it holds nothing. */
bool order_is_pending(const struct ledger_order *o);
/* It is for the exchange, and no matcher's. */
static inline bool
order_is_real(const struct ledger_order *o)
{
    return o->environment != ENVIRONMENT_NONE;
}
/* REAL: nobody has heard what became of it. */
static inline bool
order_is_unresolved(const struct ledger_order *o)
{
    return o->exchange_state == EXCHANGE_STATE_SENDING ||
           o->exchange_state == EXCHANGE_STATE_UNKNOWN;
}
/* The trading type of its symbol. */
enum trading_type order_type_of(const struct ledger *l, const struct ledger_order *o);
/* Whether it is known where it stands: it rests, is armed, or has ended. A REAL order: whether its
 * outcome was told, be it that it is unknown. */
bool order_has_spoken(const struct ledger_order *o);
/* Whether orders of this account are in the tables only. */
bool order_some_evicted(const struct ledger_account *a);
/* Whether the fills an order_view shows are all in the ring. */
bool order_fills_known(const struct ledger_order *o);

/* Opens every balance that settling the order can touch, so that no fill fails for want of one; of
 * a REAL order, which is settled at the exchange, the two of its wallet there. CHECKs room: see
 * order_bind_opens(). `o` has its side, symbol and environment set. */
void order_bind(struct ledger *l, struct ledger_order *o, uint32_t account, uint32_t base,
                uint32_t quote);
/* How many balances order_bind() would open for an order in this wallet; for two, of both sides,
 * when it both buys and sells. Neither more nor less: who replays has room for that. */
uint32_t order_bind_opens(const struct ledger *l, uint32_t account, enum wallet w, uint32_t base,
                          uint32_t quote, bool buys, bool sells);
#define ORDER_BIND_MOST 6 /* it is never more */
/* Takes a slot for a copy of `o` (id, account, client id and status set) and lists it. */
struct ledger_order *order_add(struct ledger *l, const struct ledger_order *o);
/* Ends an open order, or moves it from PENDING_NEW to NEW and from there to PARTIALLY_FILLED. */
void order_set_status(struct ledger *l, struct ledger_order *o, enum order_status status,
                      enum order_end end);
/* Forgets a finished order. CHECKs that nobody waits for it. */
void order_forget(struct ledger *l, struct ledger_order *o);
void order_touch(struct ledger *l, struct ledger_order *o);

/* What its remainder needs at worst; what it must hold is up to contingent.h. */
money_t order_need(const struct ledger_order *o);
/* Lowers the quantity as a whole: an amendment. */
void order_lower(struct ledger *l, struct ledger_order *o, qty_t quantity);
/* What it may bring in as a whole: at its limit, or at the price known when it was accepted, which
 * of them is better for it. INT64_MAX when it is more. */
money_t order_income(const struct ledger_order *o);
/* What is left to fill; 0 for a buyer by quote amount. */
qty_t order_remaining(const struct ledger_order *o);
/* The balance it pays from, and the one it receives into. */
struct ledger_balance *order_pays(const struct ledger *l, const struct ledger_order *o);
struct ledger_balance *order_gets(const struct ledger *l, const struct ledger_order *o);

/* The record of messages.def. */
struct order order_say(const struct ledger *l, const struct ledger_order *o);
void order_ask_matcher(const struct ledger *l, const struct ledger_order *o,
                       struct order_work *work);
/* Whether a command asks for just this order: the retry of the one that placed it. */
bool order_same(const struct order *placed, const struct order_place *cmd);

/* The fill behind a link (place + 1) of the ring; NULL for 0. */
const struct ledger_fill *fill_at(const struct ledger *l, uint64_t link);
/* Keeps a fill of the order; the ring's oldest makes room. */
void fill_keep(struct ledger *l, struct ledger_order *o, const struct trade *t);

#endif
