/*
 * http.h - HTTP/1.1 connections on the loop: accept, read, limits, answers in order, keep-alive.
 *
 * One request of a connection is worked on at a time; what the client pipelines waits in its
 * buffer, so answers always leave in order. Head and body of an answer go out in one send, and
 * the answers to pipelined requests that need nobody else in one together. A WebSocket upgrade
 * leaves for libwebsockets with its descriptor and its first bytes (docs/decisions/0007).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_HTTP_H
#define SCRIP_GATEWAY_SHELL_HTTP_H

#include "gateway/core/http1.h"
#include "host/loop.h"
#include "wire/codec.h"

struct http;

/* Names a connection's current request; stays safe when the connection is gone. */
struct http_ref {
    uint32_t index, generation;
};

struct http_request {
    struct http_ref ref;
    const struct http1_head *head;
    const char *body; /* lent for the call, not terminated */
    size_t body_length;
    uint64_t address_key; /* of the peer's address, for limits; never 0 */
};

struct http_reply {
    int status;
    const char *content_type; /* NULL = application/json */
    const char *body;
    size_t length;
    uint64_t corr;
    uint32_t retry_after_seconds; /* 0 = no header */
    const char *allow;            /* NULL = no header */
    bool authenticate;            /* WWW-Authenticate: Bearer */
    bool no_store;
};

struct http_options {
    struct loop *loop;
    const char *address;
    uint16_t port; /* 0 = a free one */
    uint32_t conns_max, head_max, body_max;
    int64_t request_ms, idle_ms;
    void *arg;
    /* The most that a request's body may have, once its head is read. */
    uint32_t (*body_limit)(void *arg, const struct http1_head *head);
    /* A whole request. It is answered now or later by http_reply(), exactly once. */
    void (*on_request)(void *arg, const struct http_request *r);
    /* A request that could not be read; to be answered at once, then the connection ends. */
    void (*on_bad)(void *arg, struct http_ref ref, enum err why, const char *detail);
    /* A WebSocket request: true when the descriptor was taken over. False after an answer. */
    bool (*on_websocket)(void *arg, const struct http_request *r, int fd, const char *bytes,
                         size_t length);
};

/* NULL with a logged reason when the address cannot be bound. */
struct http *http_open(const struct http_options *o);
void http_close(struct http **h);
uint16_t http_port(const struct http *h);
/* Whether the request behind a reference is still waited for. */
bool http_is_waiting(const struct http *h, struct http_ref ref);
/* Whether the client is gone, or has sent its last byte and so may be: for work that is dear. */
bool http_has_left(const struct http *h, struct http_ref ref);
void http_reply(struct http *h, struct http_ref ref, const struct http_reply *reply);
/* No new connections; each one ends with its current answer. */
void http_drain(struct http *h);
uint32_t http_connections(const struct http *h);

#endif
