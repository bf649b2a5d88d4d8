/*
 * http.c - the connections: buffers, states, deadlines, and answers in the order of requests.
 *
 *      IDLE ──bytes──► READING ──whole request──► ASKING ──answer──► IDLE (next of the pipeline)
 *                         │ malformed, too large, too slow              │ not kept alive
 *                         └────────────── answer ──► LINGER ◄───────────┘
 *
 * LINGER has said all it will: it reads and forgets for a moment, so that a client still sending
 * gets its answer and not a reset. Knows nothing of routes or JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/map.h"
#include "gateway/shell/http_head.h"
#include "gateway/shell/listener.h"
#include "host/log.h"
#include "host/metrics.h"

#define NOBODY      UINT32_MAX
#define READ_BYTES  4096
#define KEEP_BYTES  65536 /* a larger buffer is given back after its request */
#define FLUSH_BYTES 65536 /* answers to a pipeline are sent together up to this */
#define LINGER_US   1000000
#define ACCEPTS_MAX 64
#define SWEEP_MS    100
#define DRAIN_US    1000000 /* who keeps a connection hears of its end with an answer */

enum conn_state { CONN_FREE, CONN_IDLE, CONN_READING, CONN_ASKING, CONN_LINGER };

struct conn {
    struct http *http;
    uint32_t index, generation; /* the generation counts requests, so that a ref names one */
    enum conn_state state;
    int fd;
    struct loop_watch *watch;
    unsigned watching;
    struct bytes in, out;
    size_t out_at; /* sent so far */
    size_t in_at;  /* used so far */
    size_t scanned;
    struct http1_head head; /* points into `in`, as it lay when the head was read */
    const char *head_at;
    bool head_done, continue_said;
    bool keep_alive; /* of the current request */
    bool closing;    /* nothing more is read: what is in `out` is the end */
    bool at_end;     /* the client sent its last byte */
    bool working;    /* inside conn_work() */
    int64_t deadline_us;
    uint64_t address_key;
    uint32_t next, prev; /* the live ones; next also links the free ones */
};

struct http {
    struct http_options o;
    int listener;
    uint16_t port;
    struct loop_watch *watch;
    struct loop_timer *sweep;
    struct conn *conns;
    uint32_t live_first, free_first, count;
    bool draining, accept_paused;
    int64_t drained_us; /* steady; when idle connections are closed */
    struct http_date date;
    struct metric *connections, *refused;
};

static void conn_work(struct conn *c);
static void on_conn(void *arg, unsigned events);

/* What was read is wiped behind it, for some of it is passwords and keys. */
static void
in_wipe(struct conn *c, size_t from)
{
    if (c->in.length > from)
        explicit_bzero(c->in.data + from, c->in.length - from);
}

static void
in_free(struct conn *c)
{
    in_wipe(c, 0);
    bytes_free(&c->in);
}

/* Room for more; no copy stays where it was. */
static void
in_reserve(struct conn *c, size_t more)
{
    struct bytes grown = {0};
    if (c->in.room - c->in.length >= more)
        return;
    bytes_reserve(&grown, c->in.length + more);
    bytes_add(&grown, c->in.data, c->in.length);
    in_free(c);
    c->in = grown;
}

static void
conn_watch(struct conn *c, unsigned events)
{
    if (c->watching != events) {
        c->watching = events;
        loop_watch_set(c->watch, events);
    }
}

/* Gives the place back; the descriptor is closed unless it was handed over. */
static void
conn_free(struct conn *c, bool close_fd)
{
    struct http *h = c->http;
    if (c->watch != NULL)
        loop_watch_end(&c->watch);
    if (close_fd)
        close(c->fd);
    in_free(c);
    bytes_free(&c->out);
    c->generation++;
    c->state = CONN_FREE;
    if (c->prev == NOBODY)
        h->live_first = c->next;
    else
        h->conns[c->prev].next = c->next;
    if (c->next != NOBODY)
        h->conns[c->next].prev = c->prev;
    c->next = h->free_first;
    h->free_first = c->index;
    h->count--;
    metric_set(h->connections, h->count);
}

static bool
out_is_empty(const struct conn *c)
{
    return c->out_at == c->out.length;
}

/* Sends what is waiting. False when the connection broke and is gone. */
static bool
conn_flush(struct conn *c)
{
    while (!out_is_empty(c)) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.length - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            conn_watch(c, LOOP_WRITE);
            return true;
        }
        if (n < 0) {
            conn_free(c, true);
            return false;
        }
        c->out_at += (size_t)n;
        c->deadline_us = loop_steady_us(c->http->o.loop) + c->http->o.idle_ms * 1000;
    }
    if (c->out.room > KEEP_BYTES)
        bytes_free(&c->out);
    bytes_clear(&c->out);
    c->out_at = 0;
    if (!c->closing) {
        conn_watch(c, c->at_end ? 0 : LOOP_READ);
        return true;
    }
    if (c->at_end) {
        conn_free(c, true);
        return false;
    }
    if (c->state != CONN_LINGER) {
        c->state = CONN_LINGER;
        c->deadline_us = loop_steady_us(c->http->o.loop) + LINGER_US;
        shutdown(c->fd, SHUT_WR);
    }
    conn_watch(c, LOOP_READ);
    return true;
}

void
http_reply(struct http *h, struct http_ref ref, const struct http_reply *reply)
{
    if (!http_is_waiting(h, ref))
        return;
    struct conn *c = &h->conns[ref.index];
    bool keep = c->keep_alive && !h->draining && !c->closing;
    http_date_set(&h->date, loop_now_us(h->o.loop));
    http_head_write(&c->out, reply, &h->date, keep, c->head.is_1_0, c->head.method != HTTP1_HEAD);
    c->state = CONN_IDLE;
    c->generation++;
    c->deadline_us = loop_steady_us(h->o.loop) + h->o.idle_ms * 1000;
    if (!keep)
        c->closing = true;
    if (!c->working)
        conn_work(c);
}

bool
http_is_waiting(const struct http *h, struct http_ref ref)
{
    CHECK(ref.index < h->o.conns_max);
    const struct conn *c = &h->conns[ref.index];
    return c->state == CONN_ASKING && c->generation == ref.generation;
}

bool
http_has_left(const struct http *h, struct http_ref ref)
{
    return !http_is_waiting(h, ref) || h->conns[ref.index].at_end;
}

static struct http_ref
conn_ask(struct conn *c)
{
    c->state = CONN_ASKING;
    return (struct http_ref){c->index, c->generation};
}

static void
conn_refuse(struct conn *c, enum err why, const char *detail)
{
    struct http *h = c->http;
    metric_add(h->refused, 1);
    c->closing = true;
    c->in_at = c->in.length;
    struct http_ref ref = conn_ask(c);
    h->o.on_bad(h->o.arg, ref, why, detail);
    CHECK(c->state != CONN_ASKING);
}

/* Reads the head when it is whole. False when the connection waits for more, or was refused. */
static bool
conn_head(struct conn *c)
{
    struct http *h = c->http;
    const char *data = (const char *)c->in.data + c->in_at, *why;
    size_t length = c->in.length - c->in_at, scanned = c->scanned;
    if (c->head_done)
        return true;
    if (scanned == 0)
        c->head = (struct http1_head){0}; /* the last request's says nothing of this one */
    size_t bytes = http1_head_end(data, length, &c->scanned);
    if (bytes > h->o.head_max || (bytes == 0 && length > h->o.head_max)) {
        conn_refuse(c, ERR_HEADERS_TOO_LARGE, NULL);
        return false;
    }
    if (bytes == 0 && http1_head_broken(data, length, scanned)) {
        conn_refuse(c, ERR_REQUEST_MALFORMED, "the request's head is not text in lines");
        return false;
    }
    if (bytes == 0)
        return false;
    enum err e = http1_read(data, bytes, &c->head, &why);
    if (e != OK) {
        conn_refuse(c, e, why);
        return false;
    }
    if (c->head.content_length > h->o.body_max ||
        (c->head.content_length > 0 &&
         c->head.content_length > h->o.body_limit(h->o.arg, &c->head))) {
        conn_refuse(c, ERR_BODY_TOO_LARGE, NULL);
        return false;
    }
    c->head_done = true;
    c->head_at = data;
    c->continue_said = false;
    return true;
}

/* Hands a whole request over. False when the connection is gone. */
static bool
conn_request(struct conn *c)
{
    struct http *h = c->http;
    size_t whole = c->head.bytes + (size_t)c->head.content_length;
    const char *data = (const char *)c->in.data + c->in_at, *why;
    /* While the body was on its way the buffer may have moved, and the head with it. */
    if (data != c->head_at)
        CHECK(http1_read(data, c->head.bytes, &c->head, &why) == OK);
    struct http_request r = {.head = &c->head,
                             .body = data + c->head.bytes,
                             .body_length = (size_t)c->head.content_length,
                             .address_key = c->address_key};
    c->keep_alive = c->head.keep_alive;
    r.ref = conn_ask(c);
    if (c->head.wants_websocket && out_is_empty(c)) {
        loop_watch_end(&c->watch);
        if (h->o.on_websocket(h->o.arg, &r, c->fd, data, c->in.length - c->in_at)) {
            conn_free(c, false);
            return false;
        }
        /* Refused, and answered: the connection ends as after any last answer. */
        c->closing = true;
        return true;
    }
    c->in_at += whole;
    c->head_done = false;
    c->scanned = 0;
    h->o.on_request(h->o.arg, &r);
    return true;
}

static void
conn_compact(struct conn *c)
{
    size_t left = c->in.length - c->in_at;
    if (left == 0 && c->in.room > KEEP_BYTES)
        in_free(c);
    if (c->in_at > 0 && left > 0)
        memmove(c->in.data, c->in.data + c->in_at, left);
    in_wipe(c, left);
    c->in.length = left;
    c->in_at = 0;
}

/* The client has sent its last byte and nothing whole is left to answer. */
static void
conn_ended(struct conn *c)
{
    if (c->at_end && !c->closing && (c->state == CONN_IDLE || c->state == CONN_READING)) {
        c->closing = true;
        c->state = CONN_IDLE;
    }
}

/* Answers what is whole in the buffer. False when the connection is gone; *more tells that it
 * stopped only to send. */
static bool
conn_requests(struct conn *c, bool *more)
{
    struct http *h = c->http;
    *more = false;
    while (!c->closing && (c->state == CONN_IDLE || c->state == CONN_READING)) {
        size_t length = c->in.length - c->in_at;
        if (length == 0) {
            c->state = CONN_IDLE;
            break;
        }
        if (c->out.length - c->out_at >= FLUSH_BYTES) {
            *more = true;
            break;
        }
        if (c->state == CONN_IDLE) {
            c->state = CONN_READING;
            c->deadline_us = loop_steady_us(h->o.loop) + h->o.request_ms * 1000;
        }
        if (!conn_head(c))
            break;
        if (length < c->head.bytes + c->head.content_length) {
            if (c->head.expects_continue && !c->continue_said)
                bytes_add(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            c->continue_said = true;
            break;
        }
        if (!conn_request(c))
            return false;
    }
    return true;
}

/* Does all that can be done now: answers, reads on in the buffer, sends. */
static void
conn_work(struct conn *c)
{
    bool more = true;
    while (more) {
        c->working = true;
        if (!conn_requests(c, &more))
            return;
        c->working = false;
        conn_compact(c);
        if (!more)
            conn_ended(c);
        if (c->watch == NULL) {
            c->watching = LOOP_READ;
            c->watch = loop_watch_fd(c->http->o.loop, c->fd, LOOP_READ, on_conn, c);
        }
        if ((!out_is_empty(c) || c->closing) && !conn_flush(c))
            return;
        more = more && out_is_empty(c);
    }
}

/* Reads once; a level-triggered loop comes back for more. False when the connection is gone. */
static bool
conn_read(struct conn *c)
{
    struct http *h = c->http;
    size_t held = c->in.length - c->in_at;
    if (c->state == CONN_LINGER) {
        in_wipe(c, 0);
        bytes_clear(&c->in);
        c->in_at = held = 0;
    }
    if (held >= (size_t)h->o.head_max + h->o.body_max + READ_BYTES) {
        conn_watch(c, 0); /* a pipeline longer than a request may be waits for its answers */
        return true;
    }
    size_t want = READ_BYTES;
    if (c->head_done && c->head.bytes + c->head.content_length > held + want)
        want = c->head.bytes + (size_t)c->head.content_length - held;
    in_reserve(c, want);
    ssize_t n = recv(c->fd, c->in.data + c->in.length, c->in.room - c->in.length, 0);
    if (n > 0) {
        c->in.length += (size_t)n;
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return true;
    if (n == 0 && c->state != CONN_LINGER && (c->state == CONN_ASKING || held > 0)) {
        c->at_end = true; /* it may still want the answers to what it has sent */
        conn_watch(c, 0);
        return true;
    }
    conn_free(c, true);
    return false;
}

static void
on_conn(void *arg, unsigned events)
{
    struct conn *c = arg;
    if (events & LOOP_WRITE) {
        if (!conn_flush(c) || !out_is_empty(c))
            return;
        conn_work(c);
        return;
    }
    if ((events & LOOP_READ) && conn_read(c) && (c->state == CONN_IDLE || c->state == CONN_READING))
        conn_work(c);
}

static void
conn_open(struct http *h, int fd, uint64_t address_key)
{
    uint32_t i = h->free_first;
    struct conn *c = &h->conns[i];
    h->free_first = c->next;
    uint32_t generation = c->generation;
    *c = (struct conn){.http = h,
                       .index = i,
                       .generation = generation,
                       .state = CONN_READING, /* a new connection owes its first request */
                       .fd = fd,
                       .watching = LOOP_READ,
                       .address_key = address_key,
                       .next = h->live_first,
                       .prev = NOBODY};
    c->deadline_us = loop_steady_us(h->o.loop) + h->o.request_ms * 1000;
    if (h->live_first != NOBODY)
        h->conns[h->live_first].prev = i;
    h->live_first = i;
    h->count++;
    metric_set(h->connections, h->count);
    c->watch = loop_watch_fd(h->o.loop, fd, LOOP_READ, on_conn, c);
}

static uint64_t
address_key(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6) {
        /* A household has a /64. */
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
        return map_hash(&v6->sin6_addr, 8);
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    return map_hash(&v4->sin_addr, sizeof v4->sin_addr);
}

static void
on_accept(void *arg, unsigned events)
{
    struct http *h = arg;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from = {0};
        socklen_t length = sizeof from;
        int fd =
            accept4(h->listener, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
                errno != ECONNABORTED) {
                log_line(LOG_WARN, "accept_failed", "errno=%d", errno);
                h->accept_paused = true;
                loop_watch_set(h->watch, 0);
            }
            return;
        }
        if (h->free_first == NOBODY) {
            metric_add(h->refused, 1);
            ssize_t sent = send(fd, http_full_reply, strlen(http_full_reply), MSG_NOSIGNAL);
            (void)sent;
            close(fd);
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conn_open(h, fd, address_key(&from));
    }
}

static void
conn_overdue(struct conn *c)
{
    if (c->state == CONN_READING && out_is_empty(c) && c->in.length > c->in_at)
        conn_refuse(c, ERR_REQUEST_TOO_SLOW, NULL);
    else
        conn_free(c, true);
}

static void
on_sweep(void *arg)
{
    struct http *h = arg;
    int64_t now_us = loop_steady_us(h->o.loop);
    if (h->accept_paused && !h->draining) {
        h->accept_paused = false;
        loop_watch_set(h->watch, LOOP_READ);
    }
    for (uint32_t i = h->live_first, next; i != NOBODY; i = next) {
        struct conn *c = &h->conns[i];
        next = c->next;
        if (h->draining && now_us >= h->drained_us && c->state == CONN_IDLE && out_is_empty(c))
            conn_free(c, true);
        else if (c->deadline_us <= now_us && (c->state != CONN_ASKING || !out_is_empty(c)))
            conn_overdue(c);
    }
}

struct http *
http_open(const struct http_options *o)
{
    struct http *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    h->o = *o;
    h->port = o->port;
    if (!listener_open(o->address, &h->port, &h->listener)) {
        log_line(LOG_ERROR, "listen_failed", "address=%s port=%u errno=%d", o->address, o->port,
                 errno);
        free(h);
        return NULL;
    }
    h->conns = calloc(o->conns_max, sizeof *h->conns);
    CHECK(h->conns != NULL);
    for (uint32_t i = 0; i < o->conns_max; i++)
        h->conns[i].next = i + 1 < o->conns_max ? i + 1 : NOBODY;
    h->live_first = NOBODY;
    h->connections = metric_gauge("scrip_gateway_http_connections", "", "Open connections.");
    h->refused = metric_counter("scrip_gateway_http_refused_total", "",
                                "Requests and connections refused before they were read.");
    h->watch = loop_watch_fd(o->loop, h->listener, LOOP_READ, on_accept, h);
    h->sweep = loop_timer_new(o->loop, SWEEP_MS, SWEEP_MS, on_sweep, h);
    return h;
}

void
http_close(struct http **h)
{
    struct http *old = *h;
    if (old == NULL)
        return;
    while (old->live_first != NOBODY)
        conn_free(&old->conns[old->live_first], true);
    loop_watch_end(&old->watch);
    loop_timer_end(&old->sweep);
    close(old->listener);
    free(old->conns);
    free(old);
    *h = NULL;
}

uint16_t
http_port(const struct http *h)
{
    return h->port;
}

void
http_drain(struct http *h)
{
    h->draining = true;
    h->drained_us = loop_steady_us(h->o.loop) + DRAIN_US;
    loop_watch_set(h->watch, 0);
}

uint32_t
http_connections(const struct http *h)
{
    return h->count;
}
