/*
 * ctl_real.h - a journal of real orders: a real core places them and hears of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_CTL_REAL_H
#define SCRIP_TESTS_CTL_REAL_H

#include "ctl_journal.h"

extern int64_t ctl_real_now_us;
extern uint64_t ctl_real_order_id; /* of the order that was placed last */

/* What changes is journaled there. */
void ctl_real_begin(struct ctl_journal *to, uint64_t of);
void ctl_real_end(void);

enum ledger_outcome ctl_real_tell(struct msg *m);
void ctl_real_must_tell(struct msg *m);
/* Opens the account and binds it to the testnet. */
void ctl_real_open(bool with_twin);
void ctl_real_place(const char *cid);
/* Of the order placed last, with so many of two fills. */
struct msg ctl_real_report(enum exchange_state state, enum order_status status, uint32_t fills);
/* Every kind of record: orders that are filled, refused, and settled by an operator. */
void ctl_real_live(void);
void ctl_real_to_paper(void);

#endif
