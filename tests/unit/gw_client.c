/*
 * gw_client.c - see gw_client.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gw_client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES 262144

char reply[REPLY_BYTES];
const char *reply_body;

int
dial(void)
{
    /* Criterion runs each test in a process of its own: the port comes by the environment. */
    uint16_t port = (uint16_t)strtol(getenv("GW_HTTP_TEST_PORT"), NULL, 10);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

void
say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* it was cut off: what it answered tells why */
        bytes += n;
        length -= (size_t)n;
    }
}

void
say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* Reads up to the end of the head; gives its length, or 0 when the connection ended before. */
static size_t
head_read(int fd)
{
    size_t length = 0;
    reply_body = "";
    while (length < 4 || memcmp(reply + length - 4, "\r\n\r\n", 4) != 0) {
        cr_assert_lt(length, sizeof reply - 1);
        if (recv(fd, reply + length, 1, 0) <= 0)
            return 0;
        reply[++length] = 0;
    }
    reply_body = reply + length;
    return length;
}

static int
status_of_reply(void)
{
    return (int)strtol(reply + 9, NULL, 10);
}

int
hear_head(int fd)
{
    return head_read(fd) == 0 ? 0 : status_of_reply();
}

int
hear(int fd)
{
    size_t length = head_read(fd);
    if (length == 0)
        return 0;
    const char *at = strstr(reply, "Content-Length: ");
    size_t end = length + (at == NULL ? 0 : strtoul(at + 16, NULL, 10));
    cr_assert_lt(end, sizeof reply);
    while (length < end) {
        ssize_t n = recv(fd, reply + length, end - length, 0);
        if (n <= 0)
            return 0;
        length += (size_t)n;
    }
    reply[end] = 0;
    return status_of_reply();
}

int
ask_on(int fd, const char *method, const char *path, const char *token, const char *body)
{
    char request[16384];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s%s%s\r\n%s", method,
                     path, strlen(body), token[0] == 0 ? "" : "Authorization: Bearer ", token,
                     token[0] == 0 ? "" : "\r\n", body);
    say(fd, request, (size_t)n);
    return hear(fd);
}

int
ask(const char *method, const char *path, const char *token, const char *body)
{
    int fd = dial();
    int status = ask_on(fd, method, path, token, body);
    close(fd);
    return status;
}

void
expect(int status, int wanted, const char *code)
{
    cr_assert_eq(status, wanted, "%d and not %d: %s", status, wanted, reply);
    cr_assert(strstr(reply_body, code) != NULL, "no %s in %s", code, reply_body);
}

void
member(const char *name, char *out, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(reply_body, key);
    cr_assert_not_null(at, "%s in %s", name, reply_body);
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
}

void
sign_in(const char *name, char token[1024], char refresh[128])
{
    char body[256];
    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"correct horse\"}", name);
    /* The ledger is away: the user is made all the same, and the log-in works. */
    expect(ask("POST", "/api/auth/register", "", body), 503, "LEDGER_UNAVAILABLE");
    expect(ask("POST", "/api/auth/login", "", body), 200, "access_token");
    member("access_token", token, 1024);
    member("refresh_token", refresh, 128);
}

/* ---- WebSockets ---- */

void
stream_say(int fd, const char *text)
{
    unsigned char frame[256] = {0x81, (unsigned char)(0x80 | strlen(text)), 1, 2, 3, 4};
    cr_assert_lt(strlen(text), 126);
    for (size_t i = 0; text[i] != 0; i++)
        frame[6 + i] = (unsigned char)text[i] ^ frame[2 + i % 4];
    say(fd, (const char *)frame, 6 + strlen(text));
}

int
stream_hear(int fd)
{
    unsigned char head[4];
    if (recv(fd, head, 2, MSG_WAITALL) != 2)
        return 0;
    size_t length = head[1];
    if (length == 126) {
        cr_assert_eq(recv(fd, head + 2, 2, MSG_WAITALL), 2);
        length = (size_t)head[2] << 8 | head[3];
    }
    cr_assert_eq(recv(fd, reply, length, MSG_WAITALL), (ssize_t)length);
    reply[length] = 0;
    return head[0];
}

int
stream_open(const char *path)
{
    char request[512];
    int fd = dial();
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     path);
    say(fd, request, (size_t)n);
    return fd;
}

void
stream_auth(int fd, const char *token)
{
    char op[1200];
    int n = snprintf(op, sizeof op, "{\"op\":\"auth\",\"token\":\"%s\"}", token);
    unsigned char head[8] = {0x81, 0x80 | 126, (unsigned char)(n >> 8), (unsigned char)n, 0};
    say(fd, (const char *)head, 8);
    say(fd, op, (size_t)n);
    cr_assert_eq(stream_hear(fd), 0x81);
}
