/*
 * caller.h - calls to the exchange: within the budget, signed, sent, judged.
 *
 * A call waits for room in the request weight of its host and, where it counts, in the order limits
 * of its key, both shared by all replicas through Redis. It is signed when there is room, with the
 * exchange's own clock. What the verdict allows to be sent again is, within `patience_ms`: after
 * -1021 once with the clock read anew, after a definite failure with exponential backoff and
 * jitter. A placement that may have been executed is never sent again. Hosts that fail again and
 * again are left alone for a while (circuit breaker), and so is a key that was refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_CALLER_H
#define SCRIP_BRIDGE_SHELL_CALLER_H

#include "exchange-bridge/core/verdict.h"
#include "exchange-bridge/shell/keys.h"
#include "host/fetch.h"
#include "host/redis_link.h"

struct caller;

struct caller_reply {
    struct ruling ruling;
    int status;       /* of HTTP, 0 = none */
    int64_t code;     /* the exchange's */
    text_t message;   /* the exchange's, or what happened; no secrets */
    const char *body; /* lent; "" = none */
    size_t length;
    uint32_t retry_after_s; /* with EXCHANGE_LIMITED and EXCHANGE_BUSY; at least 1 */
    int64_t sent_us;        /* exchange time when it was last signed; 0 = it was never sent */
    uint32_t attempts;      /* requests that left */
};
typedef void caller_done(void *arg, const struct caller_reply *r);

struct caller_request {
    enum environment environment;
    const struct call *call;      /* copied */
    uint64_t key;                 /* number of keys.h; 0 for public calls */
    const struct sign_key *trial; /* instead of `key`: one that is not stored yet; copied, wiped */
    int64_t patience_ms;          /* waits and attempts together; 0 = the configuration's */
    int64_t send_by_us; /* clock of this machine: not sent later than this; 0 = any time */
    bool is_urgent;     /* reduce-only: with the priority of cancels */
    caller_done *done;  /* in a later turn, once */
    void *arg;
};

/* Its number, 0 when as many wait as may (ERR_EXCHANGE_BUSY). */
uint64_t caller_send(struct caller *c, const struct caller_request *r);
/* Its done is not called any more; a request that left stays sent. */
void caller_drop(struct caller *c, uint64_t call);
/* The exchange's clock; 0 until it was read. */
int64_t caller_exchange_us(const struct caller *c, enum environment e, enum trading_type type);
/* recvWindow that is sent, in milliseconds. */
int64_t caller_recv_window_ms(const struct caller *c);
/* A signed request of the WebSocket API (sorted by name, not encoded, apiKey within): the value of
 * `params` as JSON into `out`; its length, 0 when the key cannot be opened. */
size_t caller_sign_ws(struct caller *c, enum environment e, uint64_t key, char *out, size_t size);

struct caller_host {
    enum environment environment;
    enum trading_type type;
    const char *base_url;     /* "" = there is none: calls are refused */
    uint32_t weight_limit;    /* a minute; 0 = the exchange's usual one until exchangeInfo tells */
    uint32_t alone_percent;   /* its share of each limit without Redis; 0 = 20 */
    int64_t weight_window_ms; /* 0 = a minute; tests and measurements have no time for that */
};
struct caller_options {
    struct loop *loop;
    struct keys *keys;
    struct redis_link *redis;
    const char *ca_file;
    const struct caller_host *hosts; /* 4 at most; copied */
    uint32_t host_count;
    uint32_t waiting_max, in_flight_max;
    int64_t timeout_ms, recv_window_ms, patience_ms;
};
struct caller *caller_open(const struct caller_options *o);
void caller_close(struct caller **c);
/* Limits that exchangeInfo told. */
void caller_set_limits(struct caller *c, enum environment e, enum trading_type type,
                       uint32_t weight_1m, uint32_t orders_10s, uint32_t orders_1m,
                       uint32_t orders_1d);

#endif
