/*
 * why.h - order_why: why an order filled, or did not.
 *
 * One that waits for another order is answered from memory, one at the matcher after the matcher
 * was asked, one that ended from the tables, which have its story.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_WHY_H
#define SCRIP_LEDGER_CORE_WHY_H

#include "ledger/core/turn.h"

/* LEDGER_LOOKUP when the tables have the answer. */
enum ledger_outcome why_request(struct ledger *l, const struct turn *t,
                                const struct order_why *ask);
/* What the tables have but for the sentence; NULL: no such order. */
void why_found(const struct ledger *l, const struct turn *t, const struct order_why *ask,
               const struct order_story *row);
/* What the matcher says of an order. */
enum ledger_outcome why_explained(struct ledger *l, const struct turn *t,
                                  const struct order_explained *said);
/* Tells of an order in memory; `story` NULL: the matcher said nothing of it. */
void why_answer(const struct ledger *l, struct outbox *out, struct asker who,
                const struct ledger_order *o, const struct story *story);
/* Half a sentence: "it was cancelled". */
const char *why_ended(enum order_end end);

#endif
