/*
 * shell.h - the bridge process: its parts, which all of them may ask.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SHELL_H
#define SCRIP_BRIDGE_SHELL_SHELL_H

#include "exchange-bridge/config.h"
#include "exchange-bridge/core/flow.h"
#include "exchange-bridge/core/guard.h"
#include "exchange-bridge/shell/asks.h"
#include "exchange-bridge/shell/caller.h"
#include "exchange-bridge/shell/keys.h"
#include "exchange-bridge/shell/ledger_link.h"
#include "exchange-bridge/shell/pending.h"
#include "host/metrics.h"
#include "host/pg.h"
#include "host/service.h"

struct orders;
struct refreshes;
struct rules;
struct schedule;
struct streams;

#define MARKETS      2u /* spot, futures */
#define ENVIRONMENTS 2u /* testnet, live */

struct shell {
    struct host *host;
    struct loop *loop;
    const struct bridge_config *config;
    enum guard_mode mode;
    struct bus *bus;
    struct pending pending;
    struct asks *asks;
    struct keys *keys;
    struct redis_link *redis;
    struct caller *caller;
    struct ledger_link *ledgers;
    struct pg *pg;
    struct rules *rules;
    struct orders *orders;
    struct refreshes *refreshes;
    struct schedule *schedule;
    struct streams *streams;
    struct loop_timer *drain; /* NULL until it is to end */
    int64_t drain_us;         /* steady; since when */
};

/* What a failed call is told as: its error, the exchange's words, when to come back. */
struct refused shell_refusal(const struct caller_reply *r);
/* Keys may be of this environment here: testnet alone where only testnet is traded. */
bool shell_keeps(const struct shell *s, enum environment e);
/* The key by which balances are read: of the deployment's own environment first. */
MUST_USE bool shell_reading_key(const struct shell *s, uint64_t user_id, enum trading_type type,
                                struct key_view *out);
/* The deployment's own: what keys and accounts are for where nothing is said. */
enum environment shell_environment(const struct shell *s);

#endif
