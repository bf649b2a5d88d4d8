/*
 * ledger_link.h - what the bridge asks the ledgers, sent again until it is answered.
 *
 * The bridge is a client of each ledger's ROUTER, as a gateway is. ZeroMQ delivers at most once, so
 * a message goes out again every 500 ms with the same correlation id; the ledger takes it once.
 * What waits is bounded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_LEDGER_LINK_H
#define SCRIP_BRIDGE_SHELL_LEDGER_LINK_H

#include "base/msg.h"
#include "host/loop.h"

struct ledger_link;

/* The answer, or NULL when none came in time. Lent. */
typedef void ledger_answer(void *arg, const struct msg *m);

/* NULL, logged, when the endpoints do not name each shard once. */
struct ledger_link *ledger_link_open(struct loop *loop, const char *name, const char *endpoints,
                                     uint32_t waiting_max);
void ledger_link_close(struct ledger_link **l);
/* Messages without an answer. */
uint32_t ledger_link_waiting(const struct ledger_link *l);
uint64_t ledger_link_corr(struct ledger_link *l);
/* Sends to the account's ledger; `patience_ms` 0 = until it is answered. False when as many wait as
 * may: `done` is not called. */
MUST_USE bool ledger_link_ask(struct ledger_link *l, uint64_t account_id, enum msg_type type,
                              uint64_t corr, const void *body, int64_t patience_ms,
                              ledger_answer *done, void *arg);

#endif
