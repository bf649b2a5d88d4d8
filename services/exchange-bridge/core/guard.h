/*
 * guard.h - what may be sent to which exchange, by the bridge's own data alone.
 *
 * Whatever a message says: an order goes out only when the deployment's mode allows the
 * environment, the account is bound to it for that trading type, the binding's user is the
 * message's, the key is of that user and environment, and the base URL belongs to it. Anything
 * else, or not known, is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_CORE_GUARD_H
#define SCRIP_BRIDGE_CORE_GUARD_H

#include "base/msg.h"

/* TRADING_MODE. */
enum guard_mode { GUARD_PAPER, GUARD_TESTNET, GUARD_LIVE };

struct guard_binding {
    bool is_known;
    uint64_t account_id, user_id;
    enum trading_type trading_type;
    enum environment environment;
};
struct guard_key {
    bool is_known;
    uint64_t user_id;
    enum trading_type trading_type;
    enum environment environment;
};

MUST_USE bool guard_mode_read(const char *text, enum guard_mode *out);
/* paper: none; testnet: testnet; live: both. */
bool guard_mode_allows(enum guard_mode mode, enum environment e);
/* For a message that makes a signed call for an account. Refusals, in this order:
 * ENVIRONMENT_MISMATCH (the message contradicts itself: not a REAL order, no environment, another
 * account's order, a symbol of the other market), ENVIRONMENT_NOT_ALLOWED, NOT_BOUND,
 * ENVIRONMENT_MISMATCH (bound elsewhere), CREDENTIALS_MISSING. A NULL binding or key is not known.
 */
MUST_USE enum err guard_order(enum guard_mode mode, const struct bridge_place *m,
                              const struct guard_binding *b, const struct guard_key *k);
/* A testnet URL must not lead to the exchange itself, nor a live one to a testnet; the exchange's
 * own hosts are spoken to by https and wss alone. A URL of nobody known (a stand-in) is taken for
 * either, but not one that only looks like the exchange's, or that two readers could take for two
 * hosts. "" leads nowhere and passes. */
MUST_USE bool guard_url(enum environment e, const char *url);

#endif
