/*
 * load.c - an HTTP load generator that measures what a caller on a schedule would feel.
 *
 * With --rate it is an open loop: request i = 1, 2... is due at start + i / rate whatever the
 * server does, and its latency counts from that moment, so a stall is charged to every request it
 * delays (wrk, a closed loop, would send fewer instead). Without a rate each connection sends its
 * next request when it has the answer. --cancel follows each order with its DELETE. One thread,
 * epoll.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { CONNECTIONS_MAX = 4096, TOKENS_MAX = 4096, REQUEST_BYTES = 4096, ANSWER_BYTES = 65536 };

struct options {
    int port, connections, seconds, rate;
    bool cancel;
    const char *path, *tokens_file;
    const char *bodies[2]; /* taken in turns */
};

struct connection {
    int fd;
    bool is_busy, is_cancelling;
    int64_t due_ns;
    unsigned turn;
    size_t have;
    char answer[ANSWER_BYTES];
};

struct load {
    struct options o;
    char *tokens[TOKENS_MAX];
    int token_count;
    struct connection *connections;
    int idle[CONNECTIONS_MAX];
    int idle_count;
    int epoll, timer;
    int64_t start_ns, end_ns;
    int64_t scheduled; /* requests that have become due */
    int64_t sent;
    int64_t answered, refused, broken;
    int first_refusal; /* its status */
    uint32_t *latencies_us;
    size_t latency_count, latency_max;
};

static void
fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
tokens_read(struct load *l)
{
    FILE *f = fopen(l->o.tokens_file, "r");
    if (f == NULL)
        fail(l->o.tokens_file);
    char line[2048];
    while (l->token_count < TOKENS_MAX && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            l->tokens[l->token_count++] = strdup(line);
    }
    fclose(f);
    if (l->token_count == 0) {
        fprintf(stderr, "load: %s holds no token\n", l->o.tokens_file);
        exit(1);
    }
}

static void
latency_add(struct load *l, int64_t ns)
{
    if (l->latency_count == l->latency_max) {
        l->latency_max = l->latency_max == 0 ? 1 << 16 : l->latency_max * 2;
        l->latencies_us = realloc(l->latencies_us, l->latency_max * sizeof *l->latencies_us);
        if (l->latencies_us == NULL)
            fail("memory");
    }
    l->latencies_us[l->latency_count++] = (uint32_t)(ns / 1000);
}

static void
request_send(struct load *l, struct connection *c, const char *method, const char *path,
             const char *body)
{
    const char *token = l->tokens[(c - l->connections) % l->token_count];
    char request[REQUEST_BYTES];
    int length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          method, path, token, strlen(body), body);
    if (length < 0 || (size_t)length >= sizeof request ||
        write(c->fd, request, (size_t)length) != length)
        l->broken++;
    l->sent++;
}

static void
order_send(struct load *l, struct connection *c, int64_t due_ns)
{
    c->is_busy = true;
    c->is_cancelling = false;
    c->due_ns = due_ns;
    request_send(l, c, "POST", l->o.path, l->o.bodies[c->turn++ % 2]);
}

/* Sends what is due on connections that are free; the rest waits, its clock running. */
static void
pump(struct load *l, int64_t now)
{
    if (l->o.rate == 0) {
        while (l->idle_count > 0 && now < l->end_ns)
            order_send(l, &l->connections[l->idle[--l->idle_count]], now);
        return;
    }
    int64_t until = now < l->end_ns ? now : l->end_ns;
    int64_t due = (until - l->start_ns) * l->o.rate / 1000000000;
    while (l->scheduled < due && l->idle_count > 0) {
        l->scheduled++;
        int64_t due_ns = l->start_ns + l->scheduled * 1000000000 / l->o.rate;
        order_send(l, &l->connections[l->idle[--l->idle_count]], due_ns);
    }
}

static void
timer_set(struct load *l)
{
    if (l->o.rate == 0)
        return;
    int64_t next = l->start_ns + (l->scheduled + 1) * 1000000000 / l->o.rate;
    struct itimerspec at = {.it_value = {next / 1000000000, next % 1000000000}};
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void
cancel_send(struct load *l, struct connection *c, const char *answer)
{
    const char *id = strstr(answer, "\"order_id\":");
    char path[256];
    if (id == NULL) {
        l->broken++;
        return;
    }
    id += strlen("\"order_id\":");
    id += *id == '"';
    snprintf(path, sizeof path, "%s/%.*s", l->o.path, (int)strspn(id, "0123456789"), id);
    c->is_cancelling = true;
    request_send(l, c, "DELETE", path, "");
}

/* One whole answer has arrived. */
static void
answer_take(struct load *l, struct connection *c, int status, const char *body)
{
    int64_t now = now_ns();
    bool is_good = status >= 200 && status < 300;
    l->answered++;
    if (!is_good && l->refused++ == 0) {
        l->first_refusal = status;
        fprintf(stderr, "load: first refusal: %d %.300s\n", status, body);
    }
    if (is_good && l->o.cancel && !c->is_cancelling && now < l->end_ns) {
        cancel_send(l, c, body);
        return;
    }
    latency_add(l, now - c->due_ns);
    c->is_busy = false;
    l->idle[l->idle_count++] = (int)(c - l->connections);
}

static void
connection_read(struct load *l, struct connection *c)
{
    ssize_t got = read(c->fd, c->answer + c->have, sizeof c->answer - 1 - c->have);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        fprintf(stderr, "load: the server closed a connection\n");
        exit(1);
    }
    c->have += (size_t)got;
    c->answer[c->have] = '\0';
    char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return;
    const char *length = strcasestr(c->answer, "\r\ncontent-length:");
    size_t body = length == NULL ? 0 : (size_t)strtoull(length + 17, NULL, 10);
    size_t whole = (size_t)(end - c->answer) + 4 + body;
    if (c->have < whole)
        return;
    c->have = 0;
    answer_take(l, c, (int)strtol(c->answer + 9, NULL, 10), end + 4);
}

static void
connect_all(struct load *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)l->o.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    l->connections = calloc((size_t)l->o.connections, sizeof *l->connections);
    for (int i = 0; i < l->o.connections; i++) {
        struct connection *c = &l->connections[i];
        int yes = 1;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
            fail("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event watch = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &watch);
        l->idle[l->idle_count++] = i;
    }
}

static void
run(struct load *l)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event watch = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &watch);
    connect_all(l);
    l->start_ns = now_ns();
    l->end_ns = l->start_ns + (int64_t)l->o.seconds * 1000000000;
    for (;;) {
        int64_t now = now_ns();
        pump(l, now);
        if (now >= l->end_ns && l->idle_count == l->o.connections)
            return;
        if (now >= l->end_ns + 10000000000) {
            fprintf(stderr, "load: %d requests are unanswered after 10 s\n",
                    l->o.connections - l->idle_count);
            return;
        }
        timer_set(l);
        struct epoll_event events[256];
        int count = epoll_wait(l->epoll, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            uint64_t expired;
            if (events[i].data.ptr != NULL)
                connection_read(l, events[i].data.ptr);
            else if (read(l->timer, &expired, sizeof expired) < 0 && errno != EAGAIN)
                fail("timer");
        }
    }
}

static int
latency_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t
percentile(const struct load *l, size_t per_mille)
{
    if (l->latency_count == 0)
        return 0;
    size_t at = l->latency_count * per_mille / 1000;
    return l->latencies_us[at < l->latency_count ? at : l->latency_count - 1];
}

static void
report(struct load *l)
{
    int64_t took_ms = (now_ns() - l->start_ns) / 1000000;
    qsort(l->latencies_us, l->latency_count, sizeof *l->latencies_us, latency_compare);
    printf(
        "{\"connections\": %d, \"asked_per_second\": %d, \"done\": %zu, \"milliseconds\": %" PRId64
        ", \"per_second\": %" PRId64 ", \"refused\": %" PRId64 ", \"broken\": %" PRId64
        ", \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
        l->o.connections, l->o.rate, l->latency_count, took_ms,
        (int64_t)l->latency_count * 1000 / (took_ms > 0 ? took_ms : 1), l->refused, l->broken,
        percentile(l, 500), percentile(l, 900), percentile(l, 990), percentile(l, 999),
        percentile(l, 1000));
}

static int
number(const char *text, int min, int max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < min || value > max) {
        fprintf(stderr, "load: %s is not a number from %d to %d\n", text, min, max);
        exit(2);
    }
    return (int)value;
}

static bool
option_take(struct options *o, int c)
{
    switch (c) {
    case 'p':
        o->port = number(optarg, 1, 65535);
        return true;
    case 'c':
        o->connections = number(optarg, 1, CONNECTIONS_MAX);
        return true;
    case 's':
        o->seconds = number(optarg, 1, 3600);
        return true;
    case 'r':
        o->rate = number(optarg, 0, 1000000);
        return true;
    case 'x':
        o->cancel = true;
        return true;
    case 'P':
        o->path = optarg;
        return true;
    case 't':
        o->tokens_file = optarg;
        return true;
    case 'b':
        o->bodies[0] = optarg;
        return true;
    case 'o':
        o->bodies[1] = optarg;
        return true;
    default:
        return false;
    }
}

int
main(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", 1, NULL, 'p'},   {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
        {"rate", 1, NULL, 'r'},   {"cancel", 0, NULL, 'x'},      {"path", 1, NULL, 'P'},
        {"tokens", 1, NULL, 't'}, {"body", 1, NULL, 'b'},        {"other-body", 1, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    static struct load l;
    l.o = (struct options){.connections = 16, .seconds = 5, .path = "/"};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (!option_take(&l.o, c))
            return 2;
    }
    if (l.o.port == 0 || l.o.tokens_file == NULL || l.o.bodies[0] == NULL) {
        fprintf(stderr, "usage: load --port N --tokens FILE --body TEXT [--other-body TEXT]\n"
                        "  [--path PATH] [--connections N] [--seconds N] [--rate N] [--cancel]\n");
        return 2;
    }
    if (l.o.bodies[1] == NULL)
        l.o.bodies[1] = l.o.bodies[0];
    tokens_read(&l);
    run(&l);
    report(&l);
    return 0;
}
