/*
 * hash_pool.h - passwords hashed and compared on threads of their own (argon2id), off the loop.
 *
 * Jobs are few and bounded. Passwords are wiped when their job is done.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_HASH_POOL_H
#define SCRIP_GATEWAY_SHELL_HASH_POOL_H

#include "base/err.h"
#include "host/loop.h"

#define PASSWORD_BYTES 513 /* 128 characters of at most 4 bytes, and a NUL */
#define HASH_BYTES     160 /* an encoded argon2id hash and its NUL */

struct hash_pool;

struct hash_pool_options {
    struct loop *loop;
    uint32_t threads, queue_max;
    uint32_t kib, passes;
};

/* On the loop. `hash` is the encoded hash that was made, NULL after a comparison. */
typedef void hash_done(void *arg, bool ok, const char *hash);

struct hash_pool *hash_pool_open(const struct hash_pool_options *o);
/* Waits for the jobs under way; their callbacks are not called any more. */
void hash_pool_close(struct hash_pool **p);
/* GATEWAY_BUSY when too many wait. */
MUST_USE enum err hash_pool_make(struct hash_pool *p, const char *password, hash_done *done,
                                 void *arg);
/* `hash` NULL compares with a hash nobody has: the same time for a user who does not exist. */
MUST_USE enum err hash_pool_compare(struct hash_pool *p, const char *hash, const char *password,
                                    hash_done *done, void *arg);

#endif
