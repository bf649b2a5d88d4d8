/*
 * ws_client.c - one WebSocket: from the look-up of its host to its end.
 *
 *   LOOKING UP -> CONNECTING (address after address) -> OPEN -> gone
 *
 * libwebsockets tells by ws_on_library() what happens; owners are told from here and from the
 * clocks in ws_clients.c. An owner may close any connection while it is told something, so every
 * such call ends with a look whether its connection is still there.
 *
 * A connection that its owner has closed is the library's alone: it is marked with the address of
 * the whole in place of ours, and says goodbye by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/ws_client.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/metrics.h"
#include "host/ws_client_priv.h"

#define QUEUE_BYTES (1u << 20)
#define BURST_MAX   32
#define GOODBYE_S   3

struct waiting {
    struct waiting *next;
    size_t length;
    unsigned char room[]; /* LWS_PRE, then the text */
};

/* ---- Reasons ----------------------------------------------------------------------------- */

static void
why_set(struct ws_client *c, const char *text, size_t length)
{
    if (c->why[0] != 0)
        return;
    size_t kept = length < WS_WHY_BYTES ? length : (size_t)WS_WHY_BYTES - 1;
    for (size_t i = 0; i < kept; i++)
        c->why[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : ' ';
    c->why[kept] = 0;
}

static void
why_text(struct ws_client *c, const char *text)
{
    why_set(c, text, strlen(text));
}

/* A close frame: two bytes of code, then a reason. */
static void
why_closed(struct ws_client *c, const unsigned char *in, size_t length)
{
    char text[WS_WHY_BYTES];
    if (length < 2) {
        why_text(c, "closed by the other side without a code");
        return;
    }
    int used = snprintf(text, sizeof text, "closed by the other side with code %d%s%.*s",
                        in[0] << 8 | in[1], length > 2 ? ": " : "", (int)(length - 2),
                        (const char *)in + 2);
    why_set(c, text, (size_t)used < sizeof text ? (size_t)used : sizeof text - 1);
}

/* ---- Ends -------------------------------------------------------------------------------- */

static void
queue_clear(struct ws_client *c)
{
    while (c->first != NULL) {
        struct waiting *m = c->first;
        c->first = m->next;
        free(m);
    }
    c->last = &c->first;
    c->queued_bytes = 0;
}

/* Leaves the connection to the library, which ends it: politely when it is open. */
static void
let_go(struct ws_client *c, bool politely)
{
    struct lws *wsi = c->wsi;
    if (wsi == NULL)
        return;
    c->wsi = NULL;
    c->all->leaving++;
    lws_set_opaque_user_data(wsi, c->all);
    if (politely) {
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, GOODBYE_S);
        lws_callback_on_writable(wsi);
    } else {
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    }
    lws_cancel_service(c->all->context);
}

static void
tick_set(struct ws_clients *w)
{
    if (w->first == NULL && w->leaving == 0)
        loop_timer_stop(w->tick);
}

void
ws_client_free(struct ws_client *c)
{
    struct ws_clients *w = c->all;
    struct ws_client **at = &w->first;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    for (struct ws_call *k = w->calls; k != NULL; k = k->outer)
        if (k->client == c)
            k->client = NULL;
    if (c->is_open)
        metric_add(w->open, -1);
    lookup_drop(&c->lookup);
    queue_clear(c);
    bytes_free(&c->in);
    ws_url_free(&c->url);
    free(c);
    tick_set(w);
}

/* It is over: its owner hears why. */
static void
finish(struct ws_client *c)
{
    struct ws_clients *w = c->all;
    char why[WS_WHY_BYTES];
    why_text(c, c->is_open ? "the connection broke" : "the connection could not be made");
    memcpy(why, c->why, sizeof why);
    void (*on_close)(void *, const char *) = c->o.on_close;
    void *arg = c->o.arg;
    bool was_open = c->is_open;
    let_go(c, false);
    ws_client_free(c);
    metric_add(w->failed, !was_open);
    on_close(arg, why);
}

void
ws_call_begin(struct ws_client *c, struct ws_call *k)
{
    *k = (struct ws_call){c, c->all->calls};
    c->all->calls = k;
}

/* False when the connection is gone. */
bool
ws_call_end(struct ws_clients *w, struct ws_call *k)
{
    w->calls = k->outer;
    return k->client != NULL;
}

/* Calls the owner; false when the owner has closed the connection in there. */
bool
ws_tell(struct ws_client *c, void (*callback)(void *arg))
{
    struct ws_clients *w = c->all;
    struct ws_call k;
    if (callback == NULL)
        return true;
    ws_call_begin(c, &k);
    callback(c->o.arg);
    return ws_call_end(w, &k);
}

static bool
tell_text(struct ws_client *c, const char *text, size_t length)
{
    struct ws_clients *w = c->all;
    struct ws_call k;
    ws_call_begin(c, &k);
    c->o.on_text(c->o.arg, text, length);
    return ws_call_end(w, &k);
}

/* ---- Connecting -------------------------------------------------------------------------- */

/* Tries the addresses from the next one on; finishes the client when none is left. */
void
ws_connect_next(struct ws_client *c)
{
    while (c->tried < c->found.count) {
        c->has_failed = c->was_reached = c->wants_next = false;
        c->why[0] = 0;
        struct lws_client_connect_info i;
        memset(&i, 0, sizeof i);
        i.context = c->all->context;
        i.vhost = c->all->vhost;
        i.address = c->found.address[c->tried++];
        i.port = c->url.port;
        i.path = c->url.path;
        i.host = c->url.authority;
        i.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (c->url.is_tls ? LCCSCF_USE_SSL : 0);
        i.alpn = "http/1.1";
        i.opaque_user_data = c;
        i.pwsi = &c->wsi;
        c->is_connecting = true;
        struct lws *wsi = lws_client_connect_via_info(&i);
        c->is_connecting = false;
        lws_cancel_service(c->all->context);
        if (wsi != NULL && !c->has_failed)
            return;
        c->wsi = NULL;
    }
    finish(c);
}

/* The library is through with the connection. */
static void
went(struct ws_client *c)
{
    c->wsi = NULL;
    c->has_failed = true;
    if (c->is_connecting)
        return; /* ws_connect_next() goes on */
    if (!c->is_open && !c->was_reached && c->tried < c->found.count) {
        c->wants_next = true; /* not from within the library's own ending of this one */
        loop_timer_again(c->all->soon, 0);
        return;
    }
    finish(c);
}

static void
on_found(void *arg, const struct lookup_found *found)
{
    struct ws_client *c = arg;
    c->lookup = NULL;
    c->found = *found;
    if (found->count == 0)
        why_text(c, "the host name was not found");
    ws_connect_next(c);
}

static void
conn_failed(struct ws_client *c, struct lws *wsi, const char *in, size_t length)
{
    char text[WS_WHY_BYTES];
    unsigned status = c->was_reached ? lws_http_client_http_response(wsi) : 0;
    if (status > 0 && status != 101)
        snprintf(text, sizeof text, "the handshake was answered with HTTP status %u", status);
    else
        snprintf(text, sizeof text, "not connected: %.*s", in == NULL ? 0 : (int)length, in);
    why_text(c, text);
    went(c);
}

/* ---- Open -------------------------------------------------------------------------------- */

void
ws_heard(struct ws_client *c)
{
    c->heard_us = loop_steady_us(c->all->loop);
    c->pinged_us = 0;
}

static void
conn_opened(struct ws_client *c)
{
    c->is_open = true;
    ws_heard(c);
    c->bytes_received = ws_bytes_received(c);
    metric_add(c->all->opened, 1);
    metric_add(c->all->open, 1);
    ws_tell(c, c->o.on_open);
}

/* Ends a connection for a reason of ours. */
void
ws_give_up(struct ws_client *c, const char *why)
{
    why_text(c, why);
    finish(c);
}

static void
conn_received(struct ws_client *c, struct lws *wsi, const char *data, size_t length)
{
    ws_heard(c);
    if (lws_is_first_fragment(wsi))
        bytes_clear(&c->in);
    if (lws_frame_is_binary(wsi)) {
        ws_give_up(c, "the other side sent a binary message");
        return;
    }
    if (c->in.length + length > c->o.message_bytes_max) {
        char text[WS_WHY_BYTES];
        snprintf(text, sizeof text, "the other side sent a message longer than %zu bytes",
                 c->o.message_bytes_max);
        ws_give_up(c, text);
        return;
    }
    bool is_whole = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
    if (is_whole && c->in.length == 0) {
        tell_text(c, data, length); /* the usual case is not copied */
        return;
    }
    bytes_add(&c->in, data, length);
    if (is_whole && tell_text(c, (const char *)c->in.data, c->in.length))
        bytes_clear(&c->in);
}

/* False: the library is to close the connection. */
static bool
conn_write(struct ws_client *c, struct lws *wsi)
{
    if (c->ping_due) {
        unsigned char room[LWS_PRE + 8] = {0};
        c->ping_due = false;
        if (lws_write(wsi, room + LWS_PRE, 0, LWS_WRITE_PING) < 0)
            return false;
    }
    for (int i = 0; i < BURST_MAX && c->first != NULL && !lws_send_pipe_choked(wsi); i++) {
        struct waiting *m = c->first;
        c->first = m->next;
        if (c->first == NULL)
            c->last = &c->first;
        c->queued_bytes -= m->length;
        int written = lws_write(wsi, m->room + LWS_PRE, m->length, LWS_WRITE_TEXT);
        free(m);
        if (written < 0)
            return false;
    }
    if (c->first != NULL)
        lws_callback_on_writable(wsi);
    return true;
}

/* What the library says of a connection that its owner has closed. */
static int
on_leaving(struct ws_clients *w, struct lws *wsi, enum lws_callback_reasons reason)
{
    if (reason == LWS_CALLBACK_WSI_DESTROY) {
        lws_set_opaque_user_data(wsi, NULL);
        w->leaving--;
        tick_set(w);
        return 0;
    }
    if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED)
        return -1;
    if (reason == LWS_CALLBACK_CLIENT_WRITEABLE) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1;
    }
    return 0;
}

int
ws_on_library(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
              size_t length)
{
    (void)user;
    struct lws_context *context = lws_get_context(wsi);
    struct ws_clients *w = context == NULL ? NULL : lws_context_user(context);
    void *owner = w == NULL || w->is_closing ? NULL : lws_get_opaque_user_data(wsi);
    struct ws_client *c = owner;
    if (owner == NULL)
        return 0;
    if (owner == w)
        return on_leaving(w, wsi, reason);
    if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER) {
        c->was_reached = true;
    } else if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
        conn_opened(c);
    } else if (reason == LWS_CALLBACK_CLIENT_RECEIVE) {
        conn_received(c, wsi, in, length);
    } else if (reason == LWS_CALLBACK_CLIENT_RECEIVE_PONG) {
        ws_heard(c);
        ws_tell(c, c->o.on_alive);
    } else if (reason == LWS_CALLBACK_CLIENT_WRITEABLE) {
        return conn_write(c, wsi) ? 0 : -1;
    } else if (reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE) {
        why_closed(c, in, length);
    } else if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR) {
        lws_set_opaque_user_data(wsi, NULL);
        conn_failed(c, wsi, in, length);
    } else if (reason == LWS_CALLBACK_CLIENT_CLOSED || reason == LWS_CALLBACK_WSI_DESTROY) {
        lws_set_opaque_user_data(wsi, NULL);
        went(c);
    }
    /* The many other reasons are none of ours. */
    return 0;
}

/* ---- One connection ---------------------------------------------------------------------- */

struct ws_client *
ws_client_open(struct ws_clients *w, const struct ws_client_options *o, char why[WS_WHY_BYTES])
{
    struct ws_client *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    if (!ws_url_read(o->url, &c->url, why)) {
        free(c);
        return NULL;
    }
    c->all = w;
    c->o = *o;
    c->o.url = NULL;
    c->last = &c->first;
    c->give_up_us = loop_steady_us(w->loop) + o->connect_ms * 1000;
    if (w->first == NULL && w->leaving == 0)
        loop_timer_again(w->tick, WS_TICK_MS);
    c->next = w->first;
    w->first = c;
    c->lookup = lookup_start(w->loop, c->url.host, on_found, c);
    return c;
}

void
ws_client_close(struct ws_client **client)
{
    struct ws_client *c = *client;
    if (c == NULL)
        return;
    *client = NULL;
    let_go(c, c->is_open);
    ws_client_free(c);
}

bool
ws_client_is_open(const struct ws_client *c)
{
    return c->is_open && c->wsi != NULL;
}

bool
ws_client_send(struct ws_client *c, const char *text, size_t length)
{
    if (!ws_client_is_open(c) || c->queued_bytes + length > QUEUE_BYTES)
        return false;
    struct waiting *m = malloc(sizeof *m + LWS_PRE + length);
    CHECK(m != NULL);
    m->next = NULL;
    m->length = length;
    memcpy(m->room + LWS_PRE, text, length);
    *c->last = m;
    c->last = &m->next;
    c->queued_bytes += length;
    lws_callback_on_writable(c->wsi);
    return true;
}
