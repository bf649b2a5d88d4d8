/*
 * key_asks.h - what users ask for about their exchange keys: stored once the exchange has proved
 * them, shown without the secret, deleted; accounts bound to an exchange, and freed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_KEY_ASKS_H
#define SCRIP_BRIDGE_SHELL_KEY_ASKS_H

#include "exchange-bridge/shell/shell.h"

void key_ask_put(struct shell *s, struct ask *k, const struct bridge_keys_put *m);
void key_ask_get(struct shell *s, struct ask *k, const struct bridge_keys_get *m);
void key_ask_delete(struct shell *s, struct ask *k, const struct bridge_keys_delete *m);
void key_ask_bind(struct shell *s, struct ask *k, const struct bridge_bind *m);
void key_ask_rotate(struct shell *s, struct ask *k, const struct bridge_rotate *m);

#endif
