/*
 * probe.c - /healthz, /readyz and /metrics by libwebsockets.
 *
 * Liveness is told by answering at all: the answer comes from the loop itself. Headers and body
 * leave in one write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/probe.h"

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "host/metrics.h"
#include "wire/codec.h"

#define CONNECTIONS_MAX 32
#define TIMEOUT_SECONDS 5
#define HEAD_BYTES      512

struct probe {
    struct lws_context *context;
    struct bytes answer; /* LWS_PRE, head, body; reused */
    const char *(*not_ready)(void *arg);
    void *arg;
};

static int
answer(struct probe *p, struct lws *wsi, unsigned status, const char *type)
{
    size_t length = p->answer.length - LWS_PRE - HEAD_BYTES;
    unsigned char head[LWS_PRE + HEAD_BYTES], *at = head + LWS_PRE, *end = head + sizeof head;
    if (lws_add_http_common_headers(wsi, status, type, length, &at, end) != 0 ||
        lws_finalize_http_header(wsi, &at, end) != 0)
        return -1;
    /* The head is put right before the body that already stands in the buffer. */
    size_t head_length = (size_t)(at - (head + LWS_PRE));
    uint8_t *start = p->answer.data + LWS_PRE + HEAD_BYTES - head_length;
    memcpy(start, head + LWS_PRE, head_length);
    if (lws_write(wsi, start, head_length + length, LWS_WRITE_HTTP_FINAL) < 0)
        return -1;
    return lws_http_transaction_completed(wsi);
}

static void
answer_begin(struct probe *p)
{
    static const uint8_t blank[LWS_PRE + HEAD_BYTES];
    bytes_clear(&p->answer);
    bytes_add(&p->answer, blank, sizeof blank);
}

static int
answer_text(struct probe *p, struct lws *wsi, unsigned status, const char *text)
{
    answer_begin(p);
    bytes_add(&p->answer, text, strlen(text));
    bytes_add(&p->answer, "\n", 1);
    return answer(p, wsi, status, "text/plain");
}

static int
request(struct probe *p, struct lws *wsi, const char *path)
{
    if (strcmp(path, "/healthz") == 0)
        return answer_text(p, wsi, 200, "ok");
    if (strcmp(path, "/readyz") == 0) {
        const char *why = p->not_ready(p->arg);
        return answer_text(p, wsi, why == NULL ? 200 : 503, why == NULL ? "ok" : why);
    }
    if (strcmp(path, "/metrics") == 0) {
        answer_begin(p);
        metrics_write(&p->answer);
        return answer(p, wsi, 200, "text/plain; version=0.0.4");
    }
    return answer_text(p, wsi, 404, "there is /healthz, /readyz and /metrics");
}

static int
on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    if (reason == LWS_CALLBACK_HTTP) {
        struct probe *p = lws_context_user(lws_get_context(wsi));
        char path[64];
        if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0)
            return answer_text(p, wsi, 405, "GET only");
        snprintf(path, sizeof path, "%.*s", (int)(length < 63 ? length : 63), (const char *)in);
        return request(p, wsi, path);
    }
    return lws_callback_http_dummy(wsi, reason, NULL, in, length);
}

/* "127.0.0.1:9101" to address and port. */
static bool
endpoint_split(const char *endpoint, char address[64], int *port)
{
    const char *colon = strrchr(endpoint, ':');
    if (colon == NULL || colon == endpoint || colon - endpoint >= 64)
        return false;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
        return false;
    snprintf(address, 64, "%.*s", (int)(colon - endpoint), endpoint);
    *port = (int)strtol(colon + 1, NULL, 10); /* at most five digits */
    return *port > 0 && *port < 65536;
}

bool
probe_is_free(const char *endpoint)
{
    char address[64];
    int port, on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET};
    if (!endpoint_split(endpoint, address, &port) || inet_pton(AF_INET, address, &at.sin_addr) != 1)
        return false;
    at.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0;
    close(fd);
    return is_free;
}

enum err
probe_open(struct loop *l, const char *endpoint, const char *(*not_ready)(void *arg), void *arg,
           struct probe **out)
{
    char address[64];
    int port;
    if (!endpoint_split(endpoint, address, &port)) {
        log_line(LOG_ERROR, "probe_failed", "probe_endpoint=%s reason=%s", endpoint,
                 "it is not address:port");
        return ERR_FIELD_TYPE;
    }
    struct probe *p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->not_ready = not_ready;
    p->arg = arg;

    static const struct lws_protocols protocols[] = {{.name = "http", .callback = on_http},
                                                     {.name = NULL}};
    void *loops[1] = {loop_ev(l)};
    struct lws_context_creation_info info = {
        .port = port,
        .iface = address,
        .protocols = protocols,
        .user = p,
        .gid = -1,
        .uid = -1,
        .foreign_loops = loops,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   LWS_SERVER_OPTION_DISABLE_IPV6,
        .max_http_header_pool = CONNECTIONS_MAX,
        .fd_limit_per_thread = CONNECTIONS_MAX,
        .timeout_secs = TIMEOUT_SECONDS,
        .keepalive_timeout = TIMEOUT_SECONDS,
        .pt_serv_buf_size = 4096,
        .server_string = "scrip",
    };
    lws_set_log_level(0, NULL); /* its own lines are not key=value; failures are told here */
    p->context = lws_create_context(&info);
    if (p->context == NULL) {
        log_line(LOG_ERROR, "probe_failed", "probe_endpoint=%s reason=%s", endpoint,
                 "it cannot be bound");
        bytes_free(&p->answer);
        free(p);
        return ERR_FILE_UNREADABLE;
    }
    *out = p;
    return OK;
}

void
probe_close(struct probe **p)
{
    struct probe *old = *p;
    if (old == NULL)
        return;
    *p = NULL;
    lws_context_destroy(old->context);
    bytes_free(&old->answer);
    free(old);
}
