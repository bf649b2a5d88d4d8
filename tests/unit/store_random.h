/*
 * store_random.h - random commands for a ledger: what gateways ask, and what a matcher might say.
 *
 * Every order type, lists, replacements, amendments, fill rules and stories come up. Much of it is
 * refused, as it would be; what is accepted changes every field that the tables must keep.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_STORE_RANDOM_H
#define SCRIP_TESTS_STORE_RANDOM_H

#include "ledger/core/ledger.h"

#define RANDOM_PRICE    (INT64_C(100) * DECIMAL_ONE)
#define RANDOM_ACCOUNTS 40

/* Below `below`; the same numbers in each run. */
uint64_t roll(uint64_t below);

/* Gives one command, or report (peer 0), to `request`. */
void random_command(const struct ledger *l, int64_t now_us,
                    void (*request)(uint32_t peer, struct msg *cmd));

#endif
