/*
 * reply_account.h - how balances and positions come into an account; private to reply*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_REPLY_ACCOUNT_H
#define SCRIP_BRIDGE_CORE_REPLY_ACCOUNT_H

#include "exchange-bridge/core/reply_read.h"

/* LEFT_OUT: well formed, and larger than anything here. */
enum balance_kind { BALANCE_FINE, BALANCE_LEFT_OUT, BALANCE_REFUSED };

/* All but the rooms. */
void account_clear(struct reply_account *a);
/* False: malformed, or no room. An absent `locked` is none. */
bool account_balance(struct reply_account *to, struct slice name, struct slice free,
                     struct slice locked, bool even_zero);
bool account_position(struct reply_account *to, struct slice symbol, struct slice quantity,
                      struct slice entry, bool even_zero);

#endif
