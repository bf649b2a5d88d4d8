/*
 * ws.c - WebSocket connections: libwebsockets on the loop, queues, heartbeats, closing.
 *
 * libwebsockets only ever sees connections whose upgrade request http.c has read; it does the
 * handshake and the frames. Its timers run behind its own events, so the clocks that matter
 * (heartbeat, closing) are kept here, and lws_cancel_service() makes it look up.
 *
 * A text for many is framed once. What a turn has for a client leaves at the turn's end, as much as
 * there is in one write. When its socket takes no more the rest waits where it is: answers and
 * account events in the client's queue, the market's messages with all others' (ws_market.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/ws_conn.h"
#include "host/log.h"

#define NOBODY         UINT32_MAX
#define SUBS_PER_CONN  8 /* room on average; one connection may have more */
#define TIMER_MS       500
#define CLOSE_US       5000000
#define BATCH_BYTES    16384  /* one write to one client, unless one text alone is larger */
#define TURN_BYTES     262144 /* to one client in one turn */
#define MESSAGE_US     20000  /* 50 messages a second */
#define MESSAGES_BURST 200
#define TX_BYTES       1048576

struct note_link {
    struct note *note;
    struct note_link *next;
};

/* ---- Texts and queues -------------------------------------------------------------------- */

/* The frame of a text from a server: one piece, not masked. */
struct note *
note_new(const struct bytes *text)
{
    size_t length = text->length;
    unsigned char head[10] = {0x81};
    uint32_t at = 2;
    if (length < 126) {
        head[1] = (unsigned char)length;
    } else {
        uint32_t wide = length <= UINT16_MAX ? 2 : 8;
        head[1] = wide == 2 ? 126 : 127;
        for (uint32_t i = 0; i < wide; i++)
            head[at++] = (unsigned char)((uint64_t)length >> (8 * (wide - 1 - i)));
    }
    struct note *n = malloc(sizeof *n + at + length);
    CHECK(n != NULL);
    n->refs = 1;
    n->length = at + (uint32_t)length;
    memcpy(n->frame, head, at);
    memcpy(n->frame + at, text->data, length);
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
    if (c->taken != NULL)
        note_drop(c->taken);
    c->taken = NULL;
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
ws_ready(struct ws_conn *c)
{
    struct ws *w = c->ws;
    if (c->is_ready || c->is_blocked)
        return;
    c->is_ready = true;
    w->ready[w->ready_count++] = c->index;
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
    ws_ready(c);
}

void
ws_send_text(struct ws_conn *c, const struct bytes *text)
{
    struct note *n = note_new(text);
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
    bool is_ready = c->is_ready; /* the list may still hold its place */
    memset(c, 0, sizeof *c);
    c->is_ready = is_ready;
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

/* Framed already, so libwebsockets is to send it as it is. What the socket does not take
 * libwebsockets keeps, and tells when it is gone. */
static bool
conn_put(struct ws_conn *c, unsigned char *data, size_t length)
{
    metric_add(c->ws->writes, 1);
    if (lws_write(c->wsi, data, length, LWS_WRITE_RAW) < 0)
        return false;
    c->is_blocked = lws_partial_buffered(c->wsi) != 0;
    return true;
}

static struct note *
conn_next(struct ws_conn *c)
{
    struct note *n = c->taken;
    c->taken = NULL;
    if (n == NULL)
        n = c->first != NULL ? queue_pop(c) : ws_market_next(c);
    return n;
}

/* Writes until there is nothing left, the socket is full, or others are to have their turn. */
static bool
conn_write(struct ws_conn *c)
{
    struct bytes *batch = &c->ws->batch;
    struct note *n = conn_next(c);
    bool ok = true;
    for (size_t total = 0; n != NULL && ok && !c->is_blocked && total < TURN_BYTES;) {
        bytes_clear(batch);
        int64_t count = 0;
        do {
            bytes_add(batch, n->frame, n->length);
            note_drop(n);
            count++;
            n = conn_next(c);
        } while (n != NULL && batch->length + n->length <= BATCH_BYTES);
        total += batch->length;
        ok = conn_put(c, batch->data, batch->length);
        metric_add(c->ws->sent, count);
    }
    c->taken = n;
    if (n != NULL)
        lws_callback_on_writable(c->wsi);
    return ok;
}

/* The socket takes something. False: libwebsockets is to close the connection. */
static bool
conn_writable(struct ws_conn *c)
{
    if (c->is_broken)
        return false;
    if (c->close_code != 0) {
        lws_close_reason(c->wsi, (enum lws_close_status)c->close_code,
                         (unsigned char *)c->close_reason, strlen(c->close_reason));
        return false;
    }
    c->is_blocked = false;
    if (c->ping_due) {
        unsigned char room[LWS_PRE + 8] = {0};
        c->ping_due = false;
        if (lws_write(c->wsi, room + LWS_PRE, 0, LWS_WRITE_PING) < 0)
            return false;
    }
    return conn_write(c);
}

void
ws_flush(struct ws *w)
{
    for (uint32_t i = 0; i < w->ready_count; i++) {
        struct ws_conn *c = &w->conns[w->ready[i]];
        c->is_ready = false;
        if (c->wsi == NULL || c->close_code != 0 || c->is_blocked || conn_write(c))
            continue;
        c->is_broken = true;
        lws_callback_on_writable(c->wsi);
    }
    w->ready_count = 0;
    w->told_count = 0;
}

/* What the turn has for clients leaves. */
static void
on_turn_end(void *arg)
{
    ws_flush(arg);
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
        return conn_writable(c) ? 0 : -1;
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
    ws_account_tick(c);
}

static void
on_timer(void *arg)
{
    struct ws *w = arg;
    int64_t now_us = loop_steady_us(w->shell->loop);
    for (uint32_t i = 0; i < w->conns_max; i++)
        if (w->conns[i].wsi != NULL)
            conn_tick(&w->conns[i], now_us);
    ws_book_tick(w);
}

/* ---- The whole --------------------------------------------------------------------------- */

static void
metrics_open(struct ws *w)
{
    w->open = metric_gauge("scrip_gateway_streams", "", "Open WebSockets.");
    w->sent =
        metric_counter("scrip_gateway_stream_messages_total", "", "Messages sent to WebSockets.");
    w->writes = metric_counter("scrip_gateway_stream_writes_total", "",
                               "Writes to WebSockets, each of one or more messages.");
    w->slow = metric_counter("scrip_gateway_stream_too_slow_total", "",
                             "WebSockets cut off for reading too slowly.");
    w->gaps = metric_counter("scrip_gateway_stream_gaps_total", "",
                             "Gaps in account events that were healed.");
}

static bool
context_open(struct ws *w)
{
    static const struct lws_protocols protocols[] = {
        {"scrip", on_lws, 8, 0, 0, NULL, TX_BYTES},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    int64_t head_bytes = w->shell->config->http_header_bytes;
    void *loops[1] = {loop_ev(w->shell->loop)};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = loops;
    info.user = w;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.max_http_header_data = (unsigned short)(head_bytes < 32767 ? head_bytes * 2 : 65535);
    info.timeout_secs = 5;
    lws_set_log_level(0, NULL);
    w->context = lws_create_context(&info);
    w->vhost = w->context == NULL ? NULL : lws_create_vhost(w->context, &info);
    return w->vhost != NULL;
}

struct ws *
ws_open(struct shell *s)
{
    struct ws *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->shell = s;
    w->conns_max = (uint32_t)s->config->stream_connections_max;
    w->conns = calloc(w->conns_max, sizeof *w->conns);
    w->ready = calloc(w->conns_max, sizeof *w->ready);
    uint32_t subs_max = w->conns_max * SUBS_PER_CONN;
    w->stream_room = calloc(1, stream_bytes(w->conns_max, subs_max));
    CHECK(w->conns != NULL && w->ready != NULL && w->stream_room != NULL);
    stream_init(&w->stream, w->conns_max, subs_max, (uint32_t)s->config->stream_subscriptions_max,
                w->stream_room);
    for (uint32_t i = 0; i < w->conns_max; i++) {
        w->conns[i].index = i;
        w->conns[i].next = i + 1 < w->conns_max ? i + 1 : NOBODY;
    }
    metrics_open(w);
    ws_market_open(w);
    w->timer = loop_timer_new(s->loop, TIMER_MS, TIMER_MS, on_timer, w);
    loop_on_flush(s->loop, on_turn_end, w);
    if (!context_open(w)) {
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
    loop_off_turn(old->shell->loop, on_turn_end, old);
    if (old->context != NULL)
        lws_context_destroy(old->context);
    for (uint32_t i = 0; i < old->conns_max; i++)
        if (old->conns[i].wsi != NULL)
            bytes_free(&old->conns[i].in);
    ws_market_close(old);
    free(old->conns);
    free(old->ready);
    free(old->stream_room);
    bytes_free(&old->text);
    bytes_free(&old->batch);
    free(old);
    *w = NULL;
}

bool
ws_adopt(struct ws *w, int fd, const char *bytes, size_t length)
{
    if (w->count >= w->conns_max)
        return false;
    /* What the network has not taken yet is soon old: it waits here, where it can be merged. */
    int unsent_bytes = (int)w->shell->config->stream_unsent_bytes;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
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
