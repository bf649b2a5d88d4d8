/*
 * bridge_keys_stage.h - two replicas of the store of keys on one database, and one change at a
 * time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_BRIDGE_KEYS_STAGE_H
#define SCRIP_TESTS_BRIDGE_KEYS_STAGE_H

#include "exchange-bridge/shell/keys.h"

#define MASTER_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define MASTER_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

extern struct loop *loop;
extern const char *database;
extern struct keys *one, *two; /* with the master key "a" in a file */
extern int changes_heard;      /* by both */

void keys_set_up(void);
void keys_tear_down(void);
/* Until it is so, looked at every millisecond. */
void await(bool (*so)(void), const char *what);
/* What the file of master keys holds from now on. */
void write_master(const char *text);

/* With &came; outcome() waits for it. */
extern enum err came;
extern bool has_come;
void on_done(void *arg, enum err e);
enum err outcome(void);

struct guard_key use_of(uint64_t user, enum trading_type type, enum environment e);
struct guard_key testnet_of(uint64_t user); /* spot */
enum err put(struct keys *k, struct guard_key use, const char *api_key, const char *secret);
enum err drop(struct keys *k, struct guard_key use);
enum err bind_account(struct keys *k, uint64_t account, uint64_t user, enum environment e);
enum environment bound(const struct keys *k, uint64_t account);
uint64_t number_of(const struct keys *k, struct guard_key use);
void assert_opens(const struct keys *k, struct guard_key use, const char *api_key,
                  const char *secret);

#endif
