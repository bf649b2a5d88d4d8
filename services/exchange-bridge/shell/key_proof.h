/*
 * key_proof.h - what the exchange says of a key: whether it works, may trade, and cannot withdraw.
 *
 * The account's answer proves that the key works, and tells what the account may do. What the key
 * itself may do the exchange tells elsewhere, for keys of either market at the address of spot; its
 * testnets do not tell it. Where it is not told, the account's word stands for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_KEY_PROOF_H
#define SCRIP_BRIDGE_SHELL_KEY_PROOF_H

#include "exchange-bridge/shell/shell.h"

/* `r` is the account's answer, without its body; `view` is as it was unless that proves something:
 * VERDICT_OK, the key works, or VERDICT_KEY, it does not. Both are lent. */
typedef void key_proved(void *arg, const struct caller_reply *r, const struct exchange_key *view);

/* `view` says of which market and environment the key is, `number` which one, or `trial` what it
 * is, which stays where it is until `done`. Once, in a later turn; false when too much waits. */
MUST_USE bool key_prove(struct shell *s, const struct exchange_key *view, uint64_t number,
                        const struct sign_key *trial, key_proved *done, void *arg);

#endif
