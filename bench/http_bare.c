/*
 * http_bare.c - an HTTP server that says one thing: fast enough not to be what is measured.
 *
 *     http_bare      prints its port; ends when its standard input ends
 *
 * Every request, whatever it is, is answered with an order, and one for /api/v3/time with the time.
 * Connections stay open. Epoll, one thread, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REQUEST_BYTES   8192

struct connection {
    size_t length;
    char bytes[REQUEST_BYTES + 1];
};
static struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */

static const char order[] =
    "{\"symbol\":\"BTCUSDT\",\"orderId\":28,\"orderListId\":-1,\"clientOrderId\":\"scrip-1\","
    "\"price\":\"100.00000000\",\"origQty\":\"1.00000000\",\"executedQty\":\"0.00000000\","
    "\"cummulativeQuoteQty\":\"0.00000000\",\"status\":\"NEW\",\"timeInForce\":\"GTC\","
    "\"type\":\"LIMIT\",\"side\":\"BUY\",\"time\":1795250000000,\"updateTime\":1795250000000}";

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static int
answer_write(const char *request, char *out, size_t room)
{
    char body[sizeof order];
    if (strncmp(request, "GET /api/v3/time", 16) == 0) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        snprintf(body, sizeof body, "{\"serverTime\":%lld}",
                 (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000);
    } else {
        memcpy(body, order, sizeof order);
    }
    return snprintf(out, room,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    "X-MBX-USED-WEIGHT-1M: 4\r\nContent-Length: %zu\r\n\r\n%s",
                    strlen(body), body);
}

/* Answers all requests that are whole; false when the connection is to be closed. */
static bool
serve(int fd, struct connection *c)
{
    char out[2048];
    ssize_t got = recv(fd, c->bytes + c->length, REQUEST_BYTES - c->length, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    c->length += (size_t)got;
    c->bytes[c->length] = '\0';
    for (char *end; (end = strstr(c->bytes, "\r\n\r\n")) != NULL;) {
        size_t used = (size_t)(end + 4 - c->bytes);
        int size = answer_write(c->bytes, out, sizeof out);
        if (send(fd, out, (size_t)size, MSG_NOSIGNAL) != size)
            return false;
        memmove(c->bytes, c->bytes + used, c->length - used + 1);
        c->length -= used;
    }
    return c->length < REQUEST_BYTES;
}

static void
watch(int poll, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl");
}

static void
connection_take(int poll, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0 || fd >= CONNECTIONS_MAX)
        die("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connections[fd] == NULL)
        connections[fd] = malloc(sizeof *connections[fd]);
    if (connections[fd] == NULL)
        die("malloc");
    connections[fd]->length = 0;
    watch(poll, fd);
}

static int
listen_anywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 512) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        die("listen");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int
main(void)
{
    struct epoll_event events[64];
    int poll = epoll_create1(0), listener = listen_anywhere();
    watch(poll, listener);
    watch(poll, STDIN_FILENO);
    for (;;) {
        int count = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return 0;
            if (fd == listener)
                connection_take(poll, listener);
            else if (!serve(fd, connections[fd]))
                close(fd);
        }
    }
}
