/*
 * ws_client_priv.h - what ws_client.c (one connection) and ws_clients.c (the library's context and
 * the clocks) share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_WS_CLIENT_PRIV_H
#define SCRIP_HOST_WS_CLIENT_PRIV_H

#include <libwebsockets.h>

#include "host/lookup.h"
#include "host/ws_client.h"
#include "host/ws_url.h"
#include "wire/codec.h"

#define WS_TICK_MS 50

struct ws_client {
    struct ws_clients *all;
    struct ws_client *next;
    struct ws_client_options o; /* without its url */
    struct ws_url url;
    bool is_open, is_connecting, has_failed, was_reached;
    bool wants_next; /* address, in a turn to come */
    struct lookup *lookup;
    struct lookup_found found;
    uint32_t tried; /* addresses */
    struct lws *wsi;
    struct bytes in; /* a message being put together */
    struct waiting *first, **last;
    size_t queued_bytes;
    int64_t give_up_us;          /* while it connects; steady clock, as all of these */
    int64_t heard_us, pinged_us; /* pinged_us = 0: nobody was asked since */
    uint64_t bytes_received;     /* as the kernel counted at the last look */
    bool ping_due;
    char why[WS_WHY_BYTES]; /* the first reason wins */
};

/* An owner is being called who may close the connection meanwhile. */
struct ws_call {
    struct ws_client *client; /* NULL once it is gone */
    struct ws_call *outer;
};

struct ws_clients {
    struct loop *loop;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct ws_client *first;
    struct ws_call *calls; /* under way, the innermost first */
    struct loop_timer *tick, *soon;
    uint32_t leaving; /* closed by their owners, still the library's */
    bool is_closing;
    struct metric *open, *opened, *failed, *silent;
};

/* ---- ws_client.c ---- */
int ws_on_library(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t length);
/* Tries the addresses from the next one on; ends the connection when none is left. */
void ws_connect_next(struct ws_client *c);
/* Ends a connection for a reason of ours; its owner hears it now. */
void ws_give_up(struct ws_client *c, const char *why);
void ws_client_free(struct ws_client *c);
void ws_heard(struct ws_client *c);
/* Around whatever may call owners: call_end is false when the connection is gone. */
void ws_call_begin(struct ws_client *c, struct ws_call *k);
bool ws_call_end(struct ws_clients *w, struct ws_call *k);
/* Calls the owner, if it wants to be; false when the connection is gone. */
bool ws_tell(struct ws_client *c, void (*callback)(void *arg));

/* ---- ws_clients.c ---- */
/* What the kernel has counted, 0 where it does not count. */
uint64_t ws_bytes_received(const struct ws_client *c);

#endif
