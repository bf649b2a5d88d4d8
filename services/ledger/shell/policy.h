/*
 * policy.h - the ledger's settings, and what they mean to the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_POLICY_H
#define SCRIP_LEDGER_SHELL_POLICY_H

#include "ledger/core/ledger.h"

#define CONFIG_DEF    "ledger/config.def"
#define CONFIG_STRUCT ledger_config
#include "host/config_rows.h"

/* Each refuses with CONFIG_BAD_VALUE and says in `why` what is wrong. */
MUST_USE enum err policy_limits(const struct ledger_config *c, struct ledger_limits *out,
                                text_t *why);
MUST_USE enum err policy_read(const struct ledger_config *c, struct ledger_policy *out,
                              text_t *why);
/* "0-15,32": which shards are ours. */
MUST_USE enum err policy_shards(const char *text, bool owned[LEDGER_SHARDS], text_t *why);

#endif
