/*
 * real.h - REAL orders: placed at the exchange by a bridge, once, and settled by what is heard.
 *
 * The journal is the outbox: the command that places an order says until when a bridge may send it,
 * and whoever restarts takes every order that was not heard of for one that was perhaps sent. A
 * fill counts when it begins where the order stands, so that any number of reports in any order
 * come to the same. Paper funds, matchers and postings have no part in it.
 *
 * real.c places them, real_report.c hears of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_REAL_H
#define SCRIP_LEDGER_CORE_REAL_H

#include "ledger/core/turn.h"

/* After send_by_us an order may still be on its way to the exchange for so long: a request's time
 * to live there, how far two clocks may be apart, and what a commit takes. */
#define REAL_LAST_MOMENT_US INT64_C(20000000)

/* ---- Placing -------------------------------------------------------------------------------- */

/* Whether the account's orders in this symbol go to the exchange. */
bool real_is_for(const struct ledger_account *a, code_t symbol);
/* The trading type that a symbol's name says. */
enum trading_type real_type_of(code_t symbol);
/* Whether a deployment's orders may go there. */
bool real_is_allowed(enum ledger_trading mode, enum environment e);
/* Live: the refusals in the order of errors.def, then the enrichment, a twin's judgement included.
 * Filters and funds are the exchange's to judge. */
MUST_USE enum err real_admit(struct ledger *l, const struct ledger_account *a, int64_t now_us,
                             struct order_place *cmd, struct refused *why);
/* Refuses what real orders do not have: lists, replacements, amendments. */
struct refused real_unsupported(const char *field, const char *detail);
/* The order, its twin, and the bridge_place. */
enum ledger_outcome real_place_apply(struct ledger *l, const struct turn *t,
                                     const struct order_place *cmd);
/* Open REAL orders of the account in this trading type. */
uint32_t real_open(const struct ledger *l, const struct ledger_account *a, enum trading_type type);

/* ---- What bridges are told ------------------------------------------------------------------ */

struct bridge_place real_say(const struct ledger *l, const struct ledger_order *o);
static inline struct bridge_cancel
real_as_cancel(const struct bridge_place *m)
{
    return (struct bridge_cancel){m->account_id, m->user_id,         m->trading_type,
                                  m->order,      m->reference_price, m->position};
}
static inline struct bridge_ask
real_as_ask(const struct bridge_place *m)
{
    return (struct bridge_ask){m->account_id, m->user_id,         m->trading_type,
                               m->order,      m->reference_price, m->position};
}

/* ---- What is heard -------------------------------------------------------------------------- */

enum ledger_outcome real_report_apply(struct ledger *l, const struct turn *t,
                                      const struct bridge_report *r);
/* By an operator: to ask again, or that it was never placed. */
enum ledger_outcome real_settle_apply(struct ledger *l, const struct turn *t,
                                      const struct order_settle *cmd);
/* A page of the orders that are SENDING or UNKNOWN, of all accounts, by rising id. */
void real_unresolved(const struct ledger *l, struct asker who, const struct unresolved_list *ask,
                     struct outbox *out);

#endif
