/*
 * reply.h - answers to askers: who asked, refusals, and the views they get.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_REPLY_H
#define SCRIP_LEDGER_CORE_REPLY_H

#include "ledger/core/ledger.h"

/* peer 0: nobody asked (replay); nothing is answered. */
struct asker {
    uint32_t peer;
    uint64_t corr;
};

/* A refusal without more to say than the error. */
struct refused refusal(enum err why);
/* A refusal that names the field and says what was found. */
struct refused refusal_of(enum err why, const char *field, text_t detail);
void reply_refused(struct outbox *out, struct asker who, const struct refused *why);

void reply_account(const struct ledger *l, struct outbox *out, struct asker who,
                   const struct ledger_account *a);
void reply_balance(const struct ledger *l, struct outbox *out, struct asker who,
                   const struct ledger_account *a, enum trading_type wallet);
void reply_settings(const struct ledger *l, struct outbox *out, struct asker who,
                    const struct ledger_account *a, enum trading_type wallet);
/* The order with what the fill ring has of its fills. */
void reply_order(const struct ledger *l, struct outbox *out, struct asker who,
                 const struct ledger_order *o);
/* As reply_order(); `older` are fills from the tables that the ring may have dropped. */
void reply_order_with(const struct ledger *l, struct outbox *out, struct asker who,
                      const struct ledger_order *o, const struct trade *older, uint32_t count);
/* The same in answer to a retry: it says that the order was there already. */
void reply_order_known(const struct ledger *l, struct outbox *out, struct asker who,
                       const struct ledger_order *o, const struct trade *older, uint32_t count);
/* What placing an order is answered with: its view, or why it was rejected. */
void reply_placed(const struct ledger *l, struct outbox *out, struct asker who,
                  const struct ledger_order *o);
/* The error a rejected order is answered with; OK for all others. */
enum err rejection_of(enum order_status status, enum order_end end);
/* The same with all that is known of it: of a REAL order what the exchange said, or that nobody
 * knows what became of it. */
struct refused rejection_said(const struct order *o);

/* The order's fills that the ring has, as a list in the outbox's memory. */
const struct trade *list_fills(const struct ledger *l, struct outbox *out,
                               const struct ledger_order *o, uint32_t *count);
/* Every balance of an account as a list in the outbox's memory. */
const struct balance *list_balances(const struct ledger *l, struct outbox *out,
                                    const struct ledger_account *a, uint32_t *count);
/* USDT of a wallet: free and held. */
money_t paper_balance(const struct ledger *l, const struct ledger_account *a,
                      enum trading_type wallet);

#endif
