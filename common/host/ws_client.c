/*
 * ws_client.c - libwebsockets as a client, in a context of its own on the loop.
 *
 *   LOOKING UP -> CONNECTING (address after address) -> OPEN -> gone
 *
 * The library's timers run behind its own events, so the clocks that matter (connecting, silence)
 * are kept here, and lws_cancel_service() makes it look up. It tells nothing of the pings that it
 * answers; that bytes came is seen in what the kernel counted (TCP_INFO).
 *
 * A connection that its owner has closed is the library's alone: it is marked with the context's
 * own address in place of ours, and says goodbye by itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/ws_client.h"

#include <libwebsockets.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/log.h"
#include "host/lookup.h"
#include "host/metrics.h"
#include "wire/codec.h"

#define TICK_MS     50
#define QUEUE_BYTES (1u << 20)
#define BURST_MAX   32
#define GOODBYE_S   3
/* A TLS record is at most 16 KiB: read whole, nothing is left behind that no descriptor tells of.
 */
#define READ_BYTES   32768
#define HEADER_BYTES 32768 /* room for a URL with many streams */
#define PATH_BYTES   16384
/* Longer than any connect_ms: the library's own patience is not to be met. */
#define LIBRARY_S 3600

struct waiting {
    struct waiting *next;
    size_t length;
    unsigned char room[]; /* LWS_PRE, then the text */
};

struct ws_client {
    struct ws_clients *all;
    struct ws_client *next;
    struct ws_client_options o; /* without its url */
    char host[LOOKUP_HOST_BYTES], authority[LOOKUP_HOST_BYTES + 8];
    char *path;
    int port;
    bool is_tls, is_open, is_connecting, has_failed, was_reached;
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
struct call {
    struct ws_client *client; /* NULL once it is gone */
    struct call *outer;
};

struct ws_clients {
    struct loop *loop;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct ws_client *first;
    struct call *calls; /* under way, the innermost first */
    struct loop_timer *tick, *soon;
    uint32_t leaving; /* closed by their owners, still the library's */
    bool is_closing;
    struct metric *open, *opened, *failed, *silent;
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

static void
client_free(struct ws_client *c)
{
    struct ws_clients *w = c->all;
    struct ws_client **at = &w->first;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    for (struct call *k = w->calls; k != NULL; k = k->outer)
        if (k->client == c)
            k->client = NULL;
    if (c->is_open)
        metric_add(w->open, -1);
    lookup_drop(&c->lookup);
    queue_clear(c);
    bytes_free(&c->in);
    free(c->path);
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
    client_free(c);
    metric_add(w->failed, !was_open);
    on_close(arg, why);
}

static void
call_begin(struct ws_client *c, struct call *k)
{
    *k = (struct call){c, c->all->calls};
    c->all->calls = k;
}

/* False when the connection is gone. */
static bool
call_end(struct ws_clients *w, struct call *k)
{
    w->calls = k->outer;
    return k->client != NULL;
}

/* Calls the owner; false when the owner has closed the connection in there. */
static bool
tell(struct ws_client *c, void (*callback)(void *arg))
{
    struct ws_clients *w = c->all;
    struct call k;
    if (callback == NULL)
        return true;
    call_begin(c, &k);
    callback(c->o.arg);
    return call_end(w, &k);
}

static bool
tell_text(struct ws_client *c, const char *text, size_t length)
{
    struct ws_clients *w = c->all;
    struct call k;
    call_begin(c, &k);
    c->o.on_text(c->o.arg, text, length);
    return call_end(w, &k);
}

/* ---- Connecting -------------------------------------------------------------------------- */

/* Tries the addresses from the next one on; finishes the client when none is left. */
static void
connect_next(struct ws_client *c)
{
    while (c->tried < c->found.count) {
        c->has_failed = c->was_reached = c->wants_next = false;
        c->why[0] = 0;
        struct lws_client_connect_info i;
        memset(&i, 0, sizeof i);
        i.context = c->all->context;
        i.vhost = c->all->vhost;
        i.address = c->found.address[c->tried++];
        i.port = c->port;
        i.path = c->path;
        i.host = c->authority;
        i.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (c->is_tls ? LCCSCF_USE_SSL : 0);
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
        return; /* connect_next() goes on */
    if (!c->is_open && !c->was_reached && c->tried < c->found.count) {
        c->wants_next = true; /* not from within the library's own ending of this one */
        loop_timer_again(c->all->soon, 0);
        return;
    }
    finish(c);
}

static void
on_soon(void *arg)
{
    struct ws_clients *w = arg;
    for (struct ws_client *c = w->first; c != NULL;) {
        struct call k;
        call_begin(c, &k);
        if (c->wants_next)
            connect_next(c);
        c = call_end(w, &k) ? c->next : w->first;
    }
}

static void
on_found(void *arg, const struct lookup_found *found)
{
    struct ws_client *c = arg;
    c->lookup = NULL;
    c->found = *found;
    if (found->count == 0)
        why_text(c, "the host name was not found");
    connect_next(c);
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

/* What the kernel has counted, 0 where it does not count. */
static uint64_t
bytes_received(const struct ws_client *c)
{
    struct tcp_info t;
    socklen_t size = sizeof t;
    memset(&t, 0, sizeof t);
    int fd = lws_get_socket_fd(c->wsi);
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &size) != 0)
        return 0;
    bool is_counted =
        size >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof t.tcpi_bytes_received;
    return is_counted ? t.tcpi_bytes_received : 0;
}

static void
heard(struct ws_client *c)
{
    c->heard_us = loop_steady_us(c->all->loop);
    c->pinged_us = 0;
}

static void
conn_opened(struct ws_client *c)
{
    c->is_open = true;
    heard(c);
    c->bytes_received = bytes_received(c);
    metric_add(c->all->opened, 1);
    metric_add(c->all->open, 1);
    tell(c, c->o.on_open);
}

/* Ends a connection for a reason of ours. */
static void
give_up(struct ws_client *c, const char *why)
{
    why_text(c, why);
    finish(c);
}

static void
conn_received(struct ws_client *c, struct lws *wsi, const char *data, size_t length)
{
    heard(c);
    if (lws_is_first_fragment(wsi))
        bytes_clear(&c->in);
    if (lws_frame_is_binary(wsi)) {
        give_up(c, "the other side sent a binary message");
        return;
    }
    if (c->in.length + length > c->o.message_bytes_max) {
        char text[WS_WHY_BYTES];
        snprintf(text, sizeof text, "the other side sent a message longer than %zu bytes",
                 c->o.message_bytes_max);
        give_up(c, text);
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

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
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
        heard(c);
        tell(c, c->o.on_alive);
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

/* ---- Clocks ------------------------------------------------------------------------------ */

static void
client_tick(struct ws_client *c, int64_t now_us)
{
    if (!c->is_open) {
        if (now_us >= c->give_up_us)
            give_up(c, c->lookup != NULL ? "the host name was not found in time"
                                         : "the connection was not made in time");
        return;
    }
    if (c->wsi == NULL)
        return;
    uint64_t received = bytes_received(c);
    if (received != c->bytes_received) {
        c->bytes_received = received;
        bool was_told = now_us - c->heard_us < TICK_MS * 1000; /* as a text or a pong */
        heard(c);
        if (!was_told && !tell(c, c->o.on_alive))
            return;
    }
    int64_t silence_us = c->o.silence_ms * 1000;
    if (c->pinged_us == 0 && now_us - c->heard_us >= silence_us) {
        c->pinged_us = now_us;
        c->ping_due = true;
        lws_callback_on_writable(c->wsi);
    } else if (c->pinged_us != 0 && now_us - c->pinged_us >= silence_us) {
        metric_add(c->all->silent, 1);
        give_up(c, "the other side is silent, also when asked with a ping");
    }
}

static void
on_tick(void *arg)
{
    struct ws_clients *w = arg;
    int64_t now_us = loop_steady_us(w->loop);
    /* A callback may close any of them: after one that is gone the walk begins anew, and those
     * that had their turn have nothing due any more. */
    for (struct ws_client *c = w->first; c != NULL;) {
        struct call k;
        call_begin(c, &k);
        client_tick(c, now_us);
        c = call_end(w, &k) ? c->next : w->first;
    }
    lws_cancel_service(w->context);
}

/* ---- One connection ---------------------------------------------------------------------- */

/* scheme://host[:port][/path][?query]; false with a reason. */
static bool
url_read(struct ws_client *c, const char *url, char why[WS_WHY_BYTES])
{
    c->is_tls = strncmp(url, "wss://", 6) == 0;
    if (!c->is_tls && strncmp(url, "ws://", 5) != 0) {
        snprintf(why, WS_WHY_BYTES, "the URL begins with neither ws:// nor wss://");
        return false;
    }
    const char *at = url + (c->is_tls ? 6 : 5);
    size_t authority = strcspn(at, "/?#"), host = authority;
    const char *path = at + authority;
    bool is_bracketed = *at == '[';
    size_t host_end = is_bracketed ? strcspn(at, "]/?#") + 1 : strcspn(at, ":/?#");
    c->port = c->is_tls ? 443 : 80;
    host = host_end;
    if (host_end < authority) {
        char *end;
        long port = at[host_end] == ':' ? strtol(at + host_end + 1, &end, 10) : 0;
        if (port < 1 || port > 65535 || end != path) {
            snprintf(why, WS_WHY_BYTES, "the URL's port is not valid");
            return false;
        }
        c->port = (int)port;
    }
    size_t skip = is_bracketed ? 1 : 0;
    if (host <= 2 * skip || host > authority || host - skip >= sizeof c->host ||
        memchr(at, '@', authority) != NULL || strlen(path) >= PATH_BYTES ||
        strpbrk(path, " \r\n") != NULL) {
        snprintf(why, WS_WHY_BYTES, "the URL has no valid host or path");
        return false;
    }
    memcpy(c->host, at + skip, host - 2 * skip);
    snprintf(c->authority, sizeof c->authority, "%.*s", (int)authority, at);
    size_t length = strlen(path);
    c->path = malloc(length + 2);
    CHECK(c->path != NULL);
    snprintf(c->path, length + 2, "%s%s", *path == '/' ? "" : "/", path);
    return true;
}

struct ws_client *
ws_client_open(struct ws_clients *w, const struct ws_client_options *o, char why[WS_WHY_BYTES])
{
    struct ws_client *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    if (!url_read(c, o->url, why)) {
        free(c);
        return NULL;
    }
    c->all = w;
    c->o = *o;
    c->o.url = NULL;
    c->last = &c->first;
    c->give_up_us = loop_steady_us(w->loop) + o->connect_ms * 1000;
    if (w->first == NULL && w->leaving == 0)
        loop_timer_again(w->tick, TICK_MS);
    c->next = w->first;
    w->first = c;
    c->lookup = lookup_start(w->loop, c->host, on_found, c);
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
    client_free(c);
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

/* ---- The whole --------------------------------------------------------------------------- */

/* The library only logs that a file of certificates is of no use. */
static bool
ca_file_is_valid(const char *path)
{
    X509_STORE *store = X509_STORE_new();
    CHECK(store != NULL);
    bool is_valid = X509_STORE_load_file(store, path) == 1;
    X509_STORE_free(store);
    return is_valid;
}

static void
context_open(struct ws_clients *w, const char *ca_file)
{
    static const struct lws_protocols protocols[] = {
        {"client", on_lws, 0, READ_BYTES, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    static const lws_retry_bo_t no_pings = {.secs_since_valid_ping = 0};
    void *loops[1] = {loop_ev(w->loop)};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.foreign_loops = loops;
    info.user = w;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.pt_serv_buf_size = READ_BYTES + LWS_PRE;
    info.max_http_header_data2 = HEADER_BYTES;
    info.timeout_secs = LIBRARY_S;
    info.connect_timeout_secs = LIBRARY_S;
    info.http_proxy_address = "";
    info.retry_and_idle_policy = &no_pings;
    if (ca_file != NULL && *ca_file != 0) {
        info.client_ssl_ca_filepath = ca_file;
        info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    }
    lws_set_log_level(0, NULL);
    w->context = lws_create_context(&info);
    w->vhost = w->context == NULL ? NULL : lws_create_vhost(w->context, &info);
}

struct ws_clients *
ws_clients_open(struct loop *l, const char *ca_file)
{
    if (ca_file != NULL && *ca_file != 0 && !ca_file_is_valid(ca_file)) {
        log_line(LOG_ERROR, "ca_file_not_valid", "file=%s", ca_file);
        return NULL;
    }
    struct ws_clients *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->loop = l;
    w->open = metric_gauge("scrip_ws_client_open", "", "WebSockets open to elsewhere.");
    w->opened = metric_counter("scrip_ws_client_opened_total", "",
                               "WebSockets to elsewhere that were opened.");
    w->failed = metric_counter("scrip_ws_client_failed_total", "",
                               "WebSockets to elsewhere that could not be opened.");
    w->silent = metric_counter("scrip_ws_client_silent_total", "",
                               "WebSockets to elsewhere given up because nothing was heard.");
    w->tick = loop_timer_new(l, TICK_MS, TICK_MS, on_tick, w);
    loop_timer_stop(w->tick);
    w->soon = loop_timer_new(l, 0, 0, on_soon, w);
    loop_timer_stop(w->soon);
    context_open(w, ca_file);
    if (w->vhost == NULL) {
        log_line(LOG_ERROR, "websockets_failed", "library=libwebsockets");
        ws_clients_close(&w);
    }
    return w;
}

void
ws_clients_close(struct ws_clients **clients)
{
    struct ws_clients *w = *clients;
    if (w == NULL)
        return;
    *clients = NULL;
    CHECK(w->calls == NULL);
    w->is_closing = true;
    while (w->first != NULL)
        client_free(w->first);
    if (w->context != NULL)
        lws_context_destroy(w->context);
    loop_timer_end(&w->tick);
    loop_timer_end(&w->soon);
    free(w);
}
