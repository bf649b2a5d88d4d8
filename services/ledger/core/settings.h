/*
 * settings.h - trading settings of an account, and its fee tier.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_CORE_SETTINGS_H
#define SCRIP_LEDGER_CORE_SETTINGS_H

#include "ledger/core/turn.h"

/* Live: judges them, writes out what a preset stands for, and applies. */
enum ledger_outcome settings_set_request(struct ledger *l, const struct turn *t,
                                         struct settings_set *cmd);
enum ledger_outcome settings_set_apply(struct ledger *l, const struct turn *t,
                                       const struct settings_set *cmd);
enum ledger_outcome tier_set_apply(struct ledger *l, const struct turn *t,
                                   const struct tier_set *cmd);

#endif
