/*
 * paper.h - paper balances: opening an account with them, setting them, the record of changes.
 *
 * Paper money comes from the shard's issuance account and goes back there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_PAPER_H
#define SCRIP_LEDGER_CORE_PAPER_H

#include "ledger/core/turn.h"

/* Writes the configuration that applies into the command. Live only. */
void account_open_enrich(const struct ledger *l, struct account_open *cmd);
void balance_set_enrich(const struct ledger *l, struct balance_set *cmd);

enum ledger_outcome account_open_apply(struct ledger *l, const struct turn *t,
                                       const struct account_open *cmd);
enum ledger_outcome balance_set_apply(struct ledger *l, const struct turn *t,
                                      const struct balance_set *cmd);

#endif
