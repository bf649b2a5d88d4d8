/*
 * ws_crowd.c - a crowd of WebSocket clients: each asks for the same, and all count what they hear.
 *
 *     ws_crowd HOST PORT PATH CLIENTS SECONDS [TEXT...]
 *
 * Every client connects, sends the TEXTs, and from the moment all are connected and have heard
 * something the frames and bytes of SECONDS are counted. Prints one JSON object. Clients are bare
 * sockets on one epoll, so that the crowd costs as little as it can.
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
#include <unistd.h>

#include "clock.h"
#include "number.h"

#define READ_BYTES  65536
#define PATIENCE_NS INT64_C(60000000000)

struct client {
    int fd;
    bool is_open, has_heard;
    /* The frame being read: what is left of its payload, and a head that came in pieces. */
    uint64_t payload_left;
    uint8_t head[10];
    uint32_t head_length;
    bool counts;      /* a whole text message ends with this frame */
    char answer[512]; /* of the upgrade */
    uint32_t answer_length;
};

static struct client *clients;
static int client_count, texts;
static const char *const *text;
static uint64_t frames, bytes;
static int heard;

static void
fail(const char *what)
{
    fprintf(stderr, "ws_crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
write_whole(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n <= 0)
            fail("write");
        at += n;
        length -= (size_t)n;
    }
}

/* A client's frames are masked; with a mask of zeros the payload stays as it is. */
static void
say(int fd, const char *message)
{
    size_t length = strlen(message);
    uint8_t head[8] = {0x81};
    size_t head_length = length < 126 ? 6 : 8;
    if (length >= 126) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
    } else {
        head[1] = (uint8_t)(0x80 | length);
    }
    write_whole(fd, head, head_length);
    write_whole(fd, message, length);
}

static void
client_connect(struct client *c, const char *host, int port, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[512];
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n",
                          path, host, port);
    write_whole(c->fd, request, (size_t)length);
}

/* The answer to the upgrade ends with an empty line; gives how many bytes belong to it. */
static size_t
upgrade_read(struct client *c, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (c->answer_length == sizeof c->answer - 1)
            fail("the answer to the upgrade is long");
        c->answer[c->answer_length++] = (char)data[i];
        if (c->answer_length >= 4 && memcmp(&c->answer[c->answer_length - 4], "\r\n\r\n", 4) == 0) {
            if (strncmp(c->answer, "HTTP/1.1 101", 12) != 0)
                fail("the upgrade was refused");
            c->is_open = true;
            for (int t = 0; t < texts; t++)
                say(c->fd, text[t]);
            return i + 1;
        }
    }
    return length;
}

static uint32_t
head_bytes(const struct client *c)
{
    if (c->head_length < 2)
        return 2;
    uint8_t length = c->head[1] & 0x7F;
    return length == 126 ? 4 : length == 127 ? 10 : 2;
}

static void
head_end(struct client *c)
{
    uint64_t length = c->head[1] & 0x7F;
    if (length == 126) {
        length = (uint64_t)c->head[2] << 8 | c->head[3];
    } else if (length == 127) {
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | c->head[i];
    }
    c->payload_left = length;
    c->counts = (c->head[0] & 0x80) != 0 && (c->head[0] & 0x0F) <= 2;
    c->head_length = 0;
    bytes += length;
    if (c->counts) {
        frames++;
        heard += !c->has_heard;
        c->has_heard = true;
    }
}

static void
client_read(struct client *c, const uint8_t *data, size_t length)
{
    size_t at = c->is_open ? 0 : upgrade_read(c, data, length);
    while (at < length) {
        if (c->payload_left > 0) {
            uint64_t n = c->payload_left < length - at ? c->payload_left : length - at;
            c->payload_left -= n;
            at += n;
            continue;
        }
        c->head[c->head_length++] = data[at++];
        if (c->head_length == head_bytes(c))
            head_end(c);
    }
}

static void
turn(int epoll)
{
    static uint8_t room[READ_BYTES];
    struct epoll_event ready[256];
    int count = epoll_wait(epoll, ready, 256, 100);
    for (int i = 0; i < count; i++) {
        struct client *c = &clients[ready[i].data.u32];
        ssize_t n = recv(c->fd, room, sizeof room, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            fail("a connection ended");
        if (n > 0)
            client_read(c, room, (size_t)n);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: ws_crowd HOST PORT PATH CLIENTS SECONDS [TEXT...]\n");
        return 2;
    }
    client_count = (int)number_of(argv[4]);
    int64_t seconds = number_of(argv[5]);
    text = (const char *const *)&argv[6];
    texts = argc - 6;
    clients = calloc((size_t)client_count, sizeof *clients);
    int epoll = epoll_create1(0);
    if (clients == NULL || epoll < 0)
        fail("memory");
    for (int i = 0; i < client_count; i++) {
        client_connect(&clients[i], argv[1], (int)number_of(argv[2]), argv[3]);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) != 0)
            fail("epoll_ctl");
    }
    int64_t limit = now_ns() + PATIENCE_NS;
    while (heard < client_count) {
        turn(epoll);
        if (now_ns() > limit)
            fail("not every client heard something");
    }
    /* Told to who measures: from here on all of them listen. */
    fprintf(stderr, "all\n");
    frames = bytes = 0;
    int64_t begin = now_ns(), end = begin + seconds * 1000000000;
    while (now_ns() < end)
        turn(epoll);
    int64_t took = now_ns() - begin;
    printf("{\"messages\":%llu,\"bytes\":%llu,\"ns\":%lld}\n", (unsigned long long)frames,
           (unsigned long long)bytes, (long long)took);
    free(clients);
    return 0;
}
