/*
 * sync.h - the paper balance set to what the exchange has: read by the user's key, then given to
 * the ledger as any other balance. A failure changes nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SYNC_H
#define SCRIP_BRIDGE_SHELL_SYNC_H

#include "exchange-bridge/shell/shell.h"

struct sync_wish {
    uint64_t account_id, user_id;
    enum trading_type trading_type;
    enum balance_source source;
    uint64_t command_id; /* the same one is carried out once */
};
/* `why` is NULL where `balance` is not. */
typedef void sync_done(void *arg, const struct bridge_balance *balance, const struct refused *why);

/* `done` in a later turn, or at once when it is refused at once. */
void sync_begin(struct shell *s, const struct sync_wish *w, sync_done *done, void *arg);

#endif
