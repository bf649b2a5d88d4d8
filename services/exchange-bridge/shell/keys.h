/*
 * keys.h - exchange keys and bindings: kept in the bridge's own schema, secrets encrypted.
 *
 * A secret is AES-256-GCM encrypted, with "scrip-key|user|trading type|environment|key id" as
 * associated data, by a master key that never touches the database. In memory it stays encrypted,
 * too; it is opened for one signature and wiped behind it. Rows are read at the start and again
 * when another replica has changed them (LISTEN/NOTIFY), so that every question is answered at
 * once. While the database is away nobody is known to be bound, for what was read may be old.
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
/* Whether what is in memory is what the database has, and listens to. */
bool keys_ready(const struct keys *k);
/* False when there is none. */
bool keys_find(const struct keys *k, uint64_t user_id, enum trading_type type, enum environment e,
               struct key_view *out);
struct guard_binding keys_binding(const struct keys *k, uint64_t account_id,
                                  enum trading_type type);
/* Walks the bindings: start with 0, the last answer + 1 goes on; UINT32_MAX at the end. */
uint32_t keys_next_binding(const struct keys *k, uint32_t from, struct guard_binding *out);
/* Opens the key for one use: wipe `out` behind it. ERR_KEYS_UNAVAILABLE when it cannot be opened,
 * which the log tells of. */
MUST_USE enum err keys_open_secret(const struct keys *k, uint64_t number, struct sign_key *out);
/* 6 characters, the same for the deployment's life; "" until they are read. */
const char *keys_deployment(const struct keys *k);
/* The same as it was when an order of the ledger was created: those from before a restore have
 * their names at the exchange from the id of then. 0: now. */
const char *keys_deployment_at(const struct keys *k, int64_t created_us);

/* ---- Changes: what is asked for is so, in memory too, when done tells OK; it may be asked again.
 * ERR_KEYS_UNAVAILABLE when the database is away: it may have been done, or not. ---- */
/* `secret` is read during the call only. Puts it in the place of one that is there, unless an
 * account is bound with that: ERR_KEY_IN_USE, for another key may be another account's. */
void keys_put(struct keys *k, const struct guard_key *is_for, const struct sign_key *secret,
              const struct exchange_key *view, keys_done *done, void *arg);
/* ERR_KEY_IN_USE while an account is bound with it. What is not there is deleted. */
void keys_delete(struct keys *k, const struct guard_key *is_for, keys_done *done, void *arg);
/* What the exchange said of it when asked. */
void keys_note_check(struct keys *k, uint64_t number, const struct exchange_key *view);
/* environment NONE frees the account. ERR_CREDENTIALS_MISSING without a key,
 * ERR_ENVIRONMENT_MISMATCH while it is bound to another environment or as another user's. */
void keys_bind(struct keys *k, const struct guard_binding *b, keys_done *done, void *arg);
/* Encrypts anew, a row at a time, while others work, by the newest master key that is in the file
 * now. */
typedef void keys_rotated(void *arg, enum err e, const struct bridge_rotated *r);
void keys_rotate(struct keys *k, bool dry_run, keys_rotated *done, void *arg);
/* Whether this process is the one that follows a key's user data stream: a lock of the database's,
 * lost with the connection. Asks when it is not known; called every second. */
bool keys_own(struct keys *k, uint64_t number);

struct keys_options {
    struct loop *loop;
    const char *database;
    const char *master_key_file; /* "" = what `master_key` holds */
    const char *master_key;      /* "" = none: nothing can be stored or signed */
    void *arg;
    void (*on_change)(void *arg); /* keys or bindings are not what they were */
};
/* NULL when the master keys cannot be read. The conninfo is copied. */
struct keys *keys_open(const struct keys_options *o);
void keys_close(struct keys **k);

#endif
