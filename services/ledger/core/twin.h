/*
 * twin.h - live twins: a paper order beside a REAL one, so that both can be compared.
 *
 * The command that places the real order carries the twin's judgement, and both are opened by it.
 * From then on the twin is a paper order like any other; when its real order ends short of being
 * filled, it is pulled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_TWIN_H
#define SCRIP_LEDGER_CORE_TWIN_H

#include "ledger/core/turn.h"

/* Client order ids of this kind are the twins' own. */
bool twin_owns(const cid_t *cid);
/* Refuses a new order of such a name; OK for all others. */
MUST_USE enum err twin_judge_id(const cid_t *cid, struct refused *why);
/* Live: judges the paper order that is to mirror `cmd`; writes its judgement, or why it is none. */
void twin_judge(const struct ledger *l, const struct ledger_account *a, int64_t now_us,
                struct order_place *cmd);
/* Whether the twin of an enriched command can be opened; FUNDS_TOO_LOW, ORDERS_FULL. */
MUST_USE enum err twin_room(const struct ledger *l, const struct ledger_account *a,
                            const struct order_place *cmd);
/* Opens it beside its real order. Cannot fail after twin_room(). */
void twin_place(struct ledger *l, const struct turn *t, struct ledger_account *a,
                const struct order_place *cmd, struct ledger_order *real);
/* Its real order is to be cancelled, or has ended short of being filled. */
void twin_pull(struct ledger *l, const struct turn *t, const struct ledger_order *real);

#endif
