/*
 * live_priv.h - the state of a live source; shared by live.c and live_net.c only.
 *
 * What is heard waits in a queue, in the order in which it came, and goes to the core one by one,
 * as the feed asks for events: what the core gives is lent until the next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SHELL_LIVE_PRIV_H
#define SCRIP_MARKETDATA_SHELL_LIVE_PRIV_H

#include "host/budget.h"
#include "host/fetch.h"
#include "host/ws_client.h"
#include "marketdata/config.h"
#include "marketdata/core/live.h"
#include "marketdata/shell/recorder.h"
#include "marketdata/shell/source.h"

#define LIVE_SYMBOLS_MAX SPEC_SYMBOLS_MAX
#define LIVE_ASKS_MAX    8u
#define LIVE_PATH_BYTES  8192u

enum live_input_kind {
    LIVE_IN_TICK,
    LIVE_IN_OPENED,
    LIVE_IN_CLOSED,
    LIVE_IN_ALIVE,
    LIVE_IN_TEXT,
    LIVE_IN_ANSWER
};

struct live_input {
    struct live_input *next;
    enum live_input_kind kind;
    uint32_t conn; /* of an answer: the ask */
    enum live_reply reply;
    int status;
    int64_t retry_us;
    size_t length;
    char text[]; /* NUL-terminated */
};

struct live_source;

/* A connection's place: the core's number is its index. */
struct live_socket {
    struct live_source *source;
    struct ws_client *client; /* NULL = none */
};

struct live_request {
    struct live_source *source;
    bool is_used;
    uint32_t ask; /* the core's number */
    enum live_ask_kind what;
    uint64_t budget_ask, fetch_request; /* 0 = not under way there */
    char path[LIVE_PATH_BYTES];
};

struct live_source {
    struct live core;
    void *memory;
    struct source_env env;
    enum trading_type market;
    const char *stream_url, *rest_url;
    struct live_socket *sockets;
    uint32_t sockets_count;
    struct live_request requests[LIVE_ASKS_MAX];
    struct loop_timer *tick;
    struct live_input *first, *last, *current; /* current: what the core reads from */
    size_t queued_bytes;
    bool has_tick; /* one is in the queue */
    bool is_open;  /* further symbols were added at run time */
    char *line;    /* a record that is put together */
    size_t line_bytes;
    struct symbol_rules *rules; /* of one answer */
};

/* ---- live_net.c ---- */
/* Puts what happened into the queue. */
void live_heard(struct live_source *s, enum live_input_kind kind, uint32_t number, const char *text,
                size_t length);
/* Does what the core wants done. */
void live_act(struct live_source *s);
/* Ends all connections and requests, without a word. */
void live_net_close(struct live_source *s);

#endif
