/*
 * vault.h - the master keys, and what is sealed by them.
 *
 * Master keys come from a file or a text with lines `KEYID:64 hex digits`; the first is the newest,
 * and new secrets are sealed by it. AES-256-GCM with a nonce of its own for each secret; whose it
 * is, for what and by which master key is associated data, so that what is moved to another row
 * does not open. The keys lie in memory that is neither swapped nor dumped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_VAULT_H
#define SCRIP_BRIDGE_SHELL_VAULT_H

#include <stdint.h>

#include "exchange-bridge/core/guard.h"

#define VAULT_NONCE_BYTES 12u
#define VAULT_TAG_BYTES   16u
#define VAULT_EXTRA_BYTES (VAULT_NONCE_BYTES + VAULT_TAG_BYTES)

struct vault;

/* With `file` "" the keys are in `text`; without either there are none, and nothing can be sealed
 * or opened. ERR_CONFIG_BAD_VALUE, and a line in the log, when they cannot be read. */
MUST_USE enum err vault_open(const char *file, const char *text, struct vault **out);
void vault_close(struct vault **v);
/* Reads the file again; what is known stays when that fails. */
MUST_USE enum err vault_reload(struct vault *v);
/* Of the newest key; empty when there is none. */
code_t vault_newest(const struct vault *v);
bool vault_has(const struct vault *v, const code_t *key_id);

/* Nonce, ciphertext and tag: `length` + VAULT_EXTRA_BYTES into `out`, by the newest key, which is
 * named. ERR_KEYS_UNAVAILABLE when there is none. */
MUST_USE enum err vault_seal(const struct vault *v, const struct guard_key *is_for,
                             const void *plain, size_t length, code_t *key_id, uint8_t *out);
/* `length` - VAULT_EXTRA_BYTES into `out`, which holds nothing of it when that is refused:
 * ERR_KEYS_UNAVAILABLE, be it the master key that is missing or the bytes that are not right. */
MUST_USE enum err vault_unseal(const struct vault *v, const struct guard_key *is_for,
                               const code_t *key_id, const uint8_t *sealed, size_t length,
                               void *out);

#endif
