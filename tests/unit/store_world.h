/*
 * store_world.h - a world for ledger processes: a gateway, a matcher and a market in the test.
 *
 * The matcher keeps to the link's protocol, fills market orders at once at the market's price and
 * rests all others, until world_fill(); it has one story for all that rested. The gateway resends
 * until it is answered, as real ones do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_STORE_WORLD_H
#define SCRIP_TESTS_STORE_WORLD_H

#include <sys/types.h>

#include "base/msg.h"
#include "host/loop.h"

#define WORLD_PRICE INT64_C(5000000000000) /* 50000 */

struct world {
    struct loop *loop;
    uint32_t works, pulls, sessions, synced; /* what the matcher has heard */
    uint64_t epoch;                          /* of the last hello */
    uint32_t trims, explains;                /* likewise */
    uint32_t events, list_events;            /* heard by the follower */
    bool is_silent; /* the matcher answers nothing: orders stay as they are */
};

/* Opens the sockets under a directory of its own. */
struct world *world_open(const char *conninfo);
void world_close(void);

/* Starts a ledger process under this name. */
pid_t world_ledger(const char *name);
/* Sends the signal and waits for the end; the exit status, or 128 + the signal that ended it. */
int world_end(pid_t pid, int signal);
/* Waits for the end without a signal. */
int world_wait(pid_t pid);
/* Runs the loop until the matcher has a synced session of an epoch above this one. */
void world_await_synced(uint64_t above_epoch);
/* Runs the loop for so long, in ms. */
void world_run(int64_t ms);

/* Asks with a fresh correlation id and resends until there is an answer other than
 * LEDGER_UNAVAILABLE, LEDGER_BUSY, MATCHER_UNAVAILABLE, BRIDGE_UNAVAILABLE or PRICE_UNKNOWN. Its
 * lists live until the next call. */
const struct msg *world_ask(struct msg *request);
/* The first answer, whatever it is. */
const struct msg *world_ask_once(struct msg *request);
/* Where a socket of this name lies; those of bridges are "bridge-a" and "bridge-b". */
const char *world_endpoint(const char *socket);
/* Sends and does not wait. */
void world_send(const struct msg *request);
/* The matcher forgets the session and says link_lost. */
void world_lose_link(void);
/* The matcher fills an order that rests, whole, at its limit. */
void world_fill(const struct order *o);
/* The story it has: it arrived at this time. */
#define WORLD_ARRIVED_US 777
/* Counts events of an account from now on. */
void world_follow(uint64_t account_id);

/* Requests, ready to ask. */
struct msg world_account_open(uint64_t account_id);
struct msg world_market_order(uint64_t account_id, const char *client_id, enum side side,
                              int64_t quantity);
struct msg world_limit_order(uint64_t account_id, const char *client_id, enum side side,
                             int64_t quantity, int64_t price);

#endif
