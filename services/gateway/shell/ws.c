/*
 * ws.c - WebSocket connections: libwebsockets on the loop, queues, heartbeats, closing.
 *
 * libwebsockets only ever sees connections whose upgrade request http.c has read; it does the
 * handshake and the frames. Its timers run behind its own events, so the clocks that matter
 * (heartbeat, closing) are kept here, and lws_cancel_service() makes it look up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/ws_conn.h"
#include "host/log.h"

#define NOBODY         UINT32_MAX
#define SUBS_PER_CONN  8 /* room on average; one connection may have more */
#define TIMER_MS       500
#define CLOSE_US       5000000
#define BURST_MAX      32
#define MESSAGE_US     20000 /* 50 messages a second */
#define MESSAGES_BURST 200
#define TX_BYTES       1048576

struct note_link {
    struct note *note;
    struct note_link *next;
};

/* ---- Texts and queues -------------------------------------------------------------------- */

struct note *
note_new(const char *text, size_t length)
{
    struct note *n = malloc(sizeof *n + LWS_PRE + length);
    CHECK(n != NULL);
    n->refs = 1;
    n->length = length;
    n->text = (char *)(n + 1) + LWS_PRE;
    memcpy(n->text, text, length);
    return n;
}

void
note_drop(struct note *n)
{
    if (--n->refs == 0)
        free(n);
}

static struct note *
queue_pop(struct ws_conn *c)
{
    struct note_link *link = c->first;
    if (link == NULL)
        return NULL;
    struct note *n = link->note;
    c->first = link->next;
    if (c->first == NULL)
        c->last = &c->first;
    c->queued_bytes -= n->length;
    free(link);
    return n;
}

static void
queue_clear(struct ws_conn *c)
{
    struct note *n;
    while ((n = queue_pop(c)) != NULL)
        note_drop(n);
}

void
ws_cut(struct ws_conn *c, int code, const char *reason)
{
    if (c->close_code != 0)
        return;
    ws_forget(c);
    queue_clear(c);
    c->close_code = code;
    c->close_reason = reason;
    c->close_by_us = loop_steady_us(c->ws->shell->loop) + CLOSE_US;
    lws_callback_on_writable(c->wsi);
}

void
ws_send(struct ws_conn *c, struct note *n)
{
    if (c->close_code != 0)
        return;
    if (c->queued_bytes + n->length > (size_t)c->ws->shell->config->stream_queue_bytes) {
        metric_add(c->ws->slow, 1);
        ws_cut(c, WS_TOO_SLOW, err_name(ERR_STREAM_TOO_SLOW));
        return;
    }
    struct note_link *link = malloc(sizeof *link);
    CHECK(link != NULL);
    *link = (struct note_link){n, NULL};
    n->refs++;
    *c->last = link;
    c->last = &link->next;
    c->queued_bytes += n->length;
    if (c->first == link)
        lws_callback_on_writable(c->wsi);
}

void
ws_send_text(struct ws_conn *c, const struct bytes *text)
{
    struct note *n = note_new((const char *)text->data, text->length);
    ws_send(c, n);
    note_drop(n);
}

/* ---- Connections ------------------------------------------------------------------------- */

static struct ws_conn *
conn_open(struct ws *w, struct lws *wsi)
{
    if (w->free_first == NOBODY)
        return NULL;
    struct ws_conn *c = &w->conns[w->free_first];
    w->free_first = c->next;
    uint32_t index = c->index, generation = c->generation;
    memset(c, 0, sizeof *c);
    c->ws = w;
    c->index = index;
    c->generation = generation;
    c->wsi = wsi;
    c->last = &c->first;
    c->heard_us = loop_steady_us(w->shell->loop);
    lws_set_opaque_user_data(wsi, c);
    metric_set(w->open, ++w->count);
    return c;
}

static void
conn_close(struct ws_conn *c)
{
    struct ws *w = c->ws;
    ws_forget(c);
    queue_clear(c);
    bytes_free(&c->in);
    lws_set_opaque_user_data(c->wsi, NULL);
    c->wsi = NULL;
    c->generation = (c->generation + 1) & INT32_MAX;
    c->next = w->free_first;
    w->free_first = c->index;
    metric_set(w->open, --w->count);
}

/* False: libwebsockets is to close the connection. */
static bool
conn_receive(struct ws_conn *c, const void *data, size_t length)
{
    const struct gateway_config *config = c->ws->shell->config;
    int64_t now_us = loop_steady_us(c->ws->shell->loop);
    c->heard_us = now_us;
    if (c->close_code != 0)
        return true;
    if (lws_is_first_fragment(c->wsi))
        bytes_clear(&c->in);
    if (c->in.length + length > (size_t)config->stream_message_bytes) {
        ws_cut(c, WS_TOO_BIG, err_name(ERR_BODY_TOO_LARGE));
        return true;
    }
    if (lws_frame_is_binary(c->wsi)) {
        ws_cut(c, WS_TEXT_ONLY, err_name(ERR_STREAM_MESSAGE_INVALID));
        return true;
    }
    bytes_add(&c->in, data, length);
    if (!lws_is_final_fragment(c->wsi) || lws_remaining_packet_payload(c->wsi) > 0)
        return true;

    if (c->messages_full_us < now_us)
        c->messages_full_us = now_us;
    c->messages_full_us += MESSAGE_US;
    if (c->messages_full_us - now_us > MESSAGE_US * MESSAGES_BURST) {
        ws_cut(c, WS_TOO_MANY, err_name(ERR_RATE_LIMITED));
        return true;
    }
    ws_op(c, (const char *)c->in.data, c->in.length);
    bytes_clear(&c->in);
    return true;
}

/* False: libwebsockets is to close the connection. */
static bool
conn_write(struct ws_conn *c)
{
    if (c->close_code != 0) {
        lws_close_reason(c->wsi, (enum lws_close_status)c->close_code,
                         (unsigned char *)c->close_reason, strlen(c->close_reason));
        return false;
    }
    if (c->ping_due) {
        unsigned char room[LWS_PRE + 8] = {0};
        c->ping_due = false;
        if (lws_write(c->wsi, room + LWS_PRE, 0, LWS_WRITE_PING) < 0)
            return false;
    }
    for (int i = 0; i < BURST_MAX && c->first != NULL && !lws_send_pipe_choked(c->wsi); i++) {
        struct note *n = queue_pop(c);
        int written = lws_write(c->wsi, (unsigned char *)n->text, n->length, LWS_WRITE_TEXT);
        note_drop(n);
        if (written < 0)
            return false;
        metric_add(c->ws->sent, 1);
    }
    if (c->first != NULL)
        lws_callback_on_writable(c->wsi);
    return true;
}

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    struct lws_context *context = lws_get_context(wsi);
    struct ws *w = context == NULL ? NULL : lws_context_user(context);
    struct ws_conn *c = w == NULL ? NULL : lws_get_opaque_user_data(wsi);
    /* The many other reasons are none of ours. */
    if (reason == LWS_CALLBACK_ESTABLISHED)
        return conn_open(w, wsi) != NULL ? 0 : -1;
    if (reason == LWS_CALLBACK_HTTP)
        return -1;
    if (c == NULL)
        return 0;
    if (reason == LWS_CALLBACK_RECEIVE)
        return conn_receive(c, in, length) ? 0 : -1;
    if (reason == LWS_CALLBACK_RECEIVE_PONG)
        c->heard_us = loop_steady_us(w->shell->loop);
    else if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return conn_write(c) ? 0 : -1;
    else if (reason == LWS_CALLBACK_CLOSED || reason == LWS_CALLBACK_WSI_DESTROY)
        conn_close(c);
    return 0;
}

static void
conn_tick(struct ws_conn *c, int64_t now_us)
{
    int64_t ping_us = c->ws->shell->config->stream_ping_s * 1000000;
    if (c->close_code != 0) {
        if (now_us < c->close_by_us)
            return;
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        lws_cancel_service(c->ws->context);
        return;
    }
    if (now_us - c->heard_us >= 3 * ping_us) {
        ws_cut(c, WS_TOO_SLOW, err_name(ERR_STREAM_TOO_SLOW));
        return;
    }
    if (now_us - c->heard_us >= ping_us && now_us - c->pinged_us >= ping_us) {
        c->pinged_us = now_us;
        c->ping_due = true;
        lws_callback_on_writable(c->wsi);
    }
    ws_op_tick(c);
}

static void
on_timer(void *arg)
{
    struct ws *w = arg;
    int64_t now_us = loop_steady_us(w->shell->loop);
    for (uint32_t i = 0; i < w->conns_max; i++)
        if (w->conns[i].wsi != NULL)
            conn_tick(&w->conns[i], now_us);
}

/* ---- The whole --------------------------------------------------------------------------- */

struct ws *
ws_open(struct shell *s)
{
    static const struct lws_protocols protocols[] = {
        {"scrip", on_lws, 8, 0, 0, NULL, TX_BYTES},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct ws *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->shell = s;
    w->conns_max = (uint32_t)s->config->stream_connections_max;
    w->conns = calloc(w->conns_max, sizeof *w->conns);
    uint32_t subs_max = w->conns_max * SUBS_PER_CONN;
    w->stream_room = calloc(1, stream_bytes(w->conns_max, subs_max));
    CHECK(w->conns != NULL && w->stream_room != NULL);
    stream_init(&w->stream, w->conns_max, subs_max, (uint32_t)s->config->stream_subscriptions_max,
                w->stream_room);
    for (uint32_t i = 0; i < w->conns_max; i++) {
        w->conns[i].index = i;
        w->conns[i].next = i + 1 < w->conns_max ? i + 1 : NOBODY;
    }
    void *loops[1] = {loop_ev(s->loop)};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = loops;
    info.user = w;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.max_http_header_data =
        (unsigned short)(s->config->http_header_bytes < 32767 ? s->config->http_header_bytes * 2
                                                              : 65535);
    info.timeout_secs = 5;
    lws_set_log_level(0, NULL);
    w->context = lws_create_context(&info);
    w->vhost = w->context == NULL ? NULL : lws_create_vhost(w->context, &info);
    w->open = metric_gauge("scrip_gateway_streams", "", "Open WebSockets.");
    w->sent =
        metric_counter("scrip_gateway_stream_messages_total", "", "Messages sent to WebSockets.");
    w->slow = metric_counter("scrip_gateway_stream_too_slow_total", "",
                             "WebSockets cut off for reading too slowly.");
    w->gaps = metric_counter("scrip_gateway_stream_gaps_total", "",
                             "Gaps in account events that were healed.");
    w->timer = loop_timer_new(s->loop, TIMER_MS, TIMER_MS, on_timer, w);
    if (w->vhost == NULL) {
        log_line(LOG_ERROR, "websockets_failed", "library=libwebsockets");
        ws_close(&w);
    }
    return w;
}

void
ws_close(struct ws **w)
{
    struct ws *old = *w;
    if (old == NULL)
        return;
    loop_timer_end(&old->timer);
    if (old->context != NULL)
        lws_context_destroy(old->context);
    for (uint32_t i = 0; i < old->conns_max; i++)
        if (old->conns[i].wsi != NULL)
            bytes_free(&old->conns[i].in);
    free(old->conns);
    free(old->stream_room);
    bytes_free(&old->text);
    free(old);
    *w = NULL;
}

bool
ws_adopt(struct ws *w, int fd, const char *bytes, size_t length)
{
    if (w->count >= w->conns_max)
        return false;
    /* A failed handshake closes the descriptor too: it is not http.c's any more. */
    struct lws *wsi = lws_adopt_socket_vhost_readbuf(w->vhost, fd, bytes, length);
    if (wsi == NULL)
        log_line(LOG_DEBUG, "websocket_refused", "bytes=%zu", length);
    lws_cancel_service(w->context);
    return true;
}

void
ws_drain(struct ws *w)
{
    for (uint32_t i = 0; i < w->conns_max; i++)
        if (w->conns[i].wsi != NULL)
            ws_cut(&w->conns[i], WS_GOING_AWAY, "the gateway is being stopped");
}

uint32_t
ws_connections(const struct ws *w)
{
    return w->count;
}
