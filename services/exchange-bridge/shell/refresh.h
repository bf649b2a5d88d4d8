/*
 * refresh.h - an account as the exchange has it, read by REST: each open real order, and balances.
 *
 * Where more than a few orders are open, the exchange's list of open orders is read first, and only
 * those are asked about that it has otherwise, or not at all.
 *
 * Done when a user asks, after each (re)connect of a user data stream, and every
 * `catch_up_seconds`: what a stream did not tell is found here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_REFRESH_H
#define SCRIP_BRIDGE_SHELL_REFRESH_H

#include "exchange-bridge/shell/shell.h"

/* `r` adds up what was found; `why` is NULL when all was read. */
typedef void refresh_done(void *arg, const struct bridge_refreshed *r, const struct refused *why);

struct refreshes *refreshes_open(struct shell *s);
void refreshes_close(struct refreshes **r);
/* One market of an account that is bound. `done` in a later turn, or at once when it is refused. */
void refresh_begin(struct refreshes *r, const struct guard_binding *b, refresh_done *done,
                   void *arg);
/* bridge_refresh. */
void refresh_take(struct refreshes *r, struct ask *k, const struct bridge_refresh *m);
/* Only the account: something of it has changed. */
void refresh_account(struct refreshes *r, const struct guard_binding *b);

#endif
