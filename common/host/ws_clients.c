/*
 * ws_clients.c - libwebsockets as a client in a context of its own, and the clocks.
 *
 * The library's timers run behind its own events, so the clocks that matter (connecting, silence)
 * are kept here, and lws_cancel_service() makes it look up. It tells nothing of the pings that it
 * answers; that bytes came is seen in what the kernel counted (TCP_INFO).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/log.h"
#include "host/metrics.h"
#include "host/ws_client_priv.h"

/* A TLS record is at most 16 KiB: read whole, nothing stays behind that no descriptor tells of. */
#define READ_BYTES 32768
/* Longer than any connect_ms: the library's own patience is not to be met. */
#define LIBRARY_S 3600

/* ---- Clocks ------------------------------------------------------------------------------ */

uint64_t
ws_bytes_received(const struct ws_client *c)
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
client_tick(struct ws_client *c, int64_t now_us)
{
    if (!c->is_open) {
        if (now_us >= c->give_up_us)
            ws_give_up(c, c->lookup != NULL ? "the host name was not found in time"
                                            : "the connection was not made in time");
        return;
    }
    if (c->wsi == NULL)
        return;
    uint64_t received = ws_bytes_received(c);
    if (received != c->bytes_received) {
        c->bytes_received = received;
        bool was_told = now_us - c->heard_us < WS_TICK_MS * 1000; /* as a text or a pong */
        ws_heard(c);
        if (!was_told && !ws_tell(c, c->o.on_alive))
            return;
    }
    int64_t silence_us = c->o.silence_ms * 1000;
    if (c->pinged_us == 0 && now_us - c->heard_us >= silence_us) {
        c->pinged_us = now_us;
        c->ping_due = true;
        lws_callback_on_writable(c->wsi);
    } else if (c->pinged_us != 0 && now_us - c->pinged_us >= silence_us) {
        metric_add(c->all->silent, 1);
        ws_give_up(c, "the other side is silent, also when asked with a ping");
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
        struct ws_call k;
        ws_call_begin(c, &k);
        client_tick(c, now_us);
        c = ws_call_end(w, &k) ? c->next : w->first;
    }
    lws_cancel_service(w->context);
}

static void
on_soon(void *arg)
{
    struct ws_clients *w = arg;
    for (struct ws_client *c = w->first; c != NULL;) {
        struct ws_call k;
        ws_call_begin(c, &k);
        if (c->wants_next)
            ws_connect_next(c);
        c = ws_call_end(w, &k) ? c->next : w->first;
    }
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
        {"client", ws_on_library, 0, READ_BYTES, 0, NULL, 0},
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
    info.max_http_header_data2 = 2 * WS_PATH_BYTES;
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
    w->tick = loop_timer_new(l, WS_TICK_MS, WS_TICK_MS, on_tick, w);
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
        ws_client_free(w->first);
    if (w->context != NULL)
        lws_context_destroy(w->context);
    loop_timer_end(&w->tick);
    loop_timer_end(&w->soon);
    free(w);
}
