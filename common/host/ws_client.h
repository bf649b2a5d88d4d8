/*
 * ws_client.h - WebSocket connections to elsewhere, over libwebsockets on the loop.
 *
 * Pings are answered by themselves with their payload. A connection that is silent is asked with a
 * ping of our own and given up when nothing comes. TLS is always verified. Redirects are not
 * followed, and a proxy of the environment is not used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_WS_CLIENT_H
#define SCRIP_HOST_WS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

#define WS_WHY_BYTES 128u

struct ws_clients; /* the library's context; one a process */
struct ws_client;  /* one connection */

/* `ca_file` NULL or "" = the system's certificates. NULL with a logged reason. */
struct ws_clients *ws_clients_open(struct loop *l, const char *ca_file);
/* Closes all that is still open, without a word. Not from within a callback. */
void ws_clients_close(struct ws_clients **w);

struct ws_client_options {
    const char *url;    /* ws:// or wss://, with path and query; copied */
    int64_t connect_ms; /* until it is open, or given up */
    int64_t silence_ms; /* without a byte: a ping; as long again without an answer: given up */
    size_t message_bytes_max;
    void *arg;
    void (*on_open)(void *arg);
    /* A whole text message, lent. */
    void (*on_text)(void *arg, const char *text, size_t length);
    /* What proves the other side to be there without a whole text: a ping, a pong, a part of a
     * text. NULL = not wanted. */
    void (*on_alive)(void *arg);
    /* It ended, or never opened; `why` is one sentence. The connection is gone after this. */
    void (*on_close)(void *arg, const char *why);
};

/* Begins to connect; every callback comes in a later turn. NULL with a reason when the URL is not
 * valid. */
struct ws_client *ws_client_open(struct ws_clients *w, const struct ws_client_options *o,
                                 char why[WS_WHY_BYTES]);
/* Ends it with close code 1000; no callback comes any more. */
void ws_client_close(struct ws_client **c);
bool ws_client_is_open(const struct ws_client *c);
/* Queues a text message; false when it is not open or 1 MiB waits already. */
bool ws_client_send(struct ws_client *c, const char *text, size_t length);

#endif
