/*
 * streams.h - the user data streams of the keys that this replica follows.
 *
 * A key with a bound account is followed by one replica (keys_own). What its stream tells becomes
 * reports of orders and balances; after each connect, and every `catch_up_seconds`, the account is
 * read by REST, and what the stream tells meanwhile is applied behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_STREAMS_H
#define SCRIP_BRIDGE_SHELL_STREAMS_H

#include "exchange-bridge/shell/shell.h"

/* NULL, logged, when there is no WebSocket to be had. */
struct streams *streams_open(struct shell *s);
void streams_close(struct streams **t);

#endif
