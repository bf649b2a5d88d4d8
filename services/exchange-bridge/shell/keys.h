/*
 * keys.h - exchange keys and bindings: kept in the bridge's own schema, secrets encrypted.
 *
 * A secret is AES-256-GCM encrypted, with "scrip-key|user|trading type|environment|key id" as
 * associated data, by a master key that never touches the database. In memory it stays encrypted,
 * too; it is opened for one signature and wiped behind it. Rows are read at the start and again
 * when another replica has changed them (LISTEN/NOTIFY), so that every question is answered at
 * once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_KEYS_H
#define SCRIP_BRIDGE_SHELL_KEYS_H

#include "exchange-bridge/core/guard.h"
#include "exchange-bridge/shell/sign.h"
#include "host/loop.h"

struct keys;

/* What anybody here may know of a key. `number` stays the same while the key does. */
struct key_view {
    struct guard_key is_for;
    uint64_t number;
    struct exchange_key view;
};

/* In a later turn; OK, or why not. */
typedef void keys_done(void *arg, enum err e);

/* ---- Questions, answered at once from memory ---- */
bool keys_ready(const struct keys *k);
/* False when there is none. */
bool keys_find(const struct keys *k, uint64_t user_id, enum trading_type type, enum environment e,
               struct key_view *out);
struct guard_binding keys_binding(const struct keys *k, uint64_t account_id,
                                  enum trading_type type);
/* Walks the bindings: start with 0, the last answer + 1 goes on; UINT32_MAX at the end. */
uint32_t keys_next_binding(const struct keys *k, uint32_t from, struct guard_binding *out);
/* Opens the key for one use: wipe `out` behind it. ERR_KEYS_UNAVAILABLE when it cannot be opened.
 */
MUST_USE enum err keys_open_secret(const struct keys *k, uint64_t number, struct sign_key *out);
/* 6 characters, the same for the deployment's life; "" until they are read. */
const char *keys_deployment(const struct keys *k);

/* ---- Changes ---- */
/* `secret` is read during the call only. */
void keys_put(struct keys *k, const struct guard_key *is_for, const struct sign_key *secret,
              const struct exchange_key *view, keys_done *done, void *arg);
void keys_delete(struct keys *k, const struct guard_key *is_for, keys_done *done, void *arg);
/* What the exchange said of it when asked. */
void keys_note_check(struct keys *k, uint64_t number, const struct exchange_key *view);
/* environment NONE frees the account. */
void keys_bind(struct keys *k, const struct guard_binding *b, keys_done *done, void *arg);
/* Encrypts anew, a row at a time, while others work. */
typedef void keys_rotated(void *arg, enum err e, const struct bridge_rotated *r);
void keys_rotate(struct keys *k, bool dry_run, keys_rotated *done, void *arg);
/* Whether this process is the one that follows a key's user data stream: a lock of the database's,
 * lost with the connection. Asks when it is not known; called every second. */
bool keys_own(struct keys *k, uint64_t number);

struct keys_options {
    struct loop *loop;
    const char *database;
    const char *master_key_file; /* "" = the environment's SCRIP_BRIDGE_MASTER_KEY */
    void *arg;
    void (*on_change)(void *arg); /* keys or bindings are not what they were */
};
struct keys *keys_open(const struct keys_options *o);
void keys_close(struct keys **k);

#endif
