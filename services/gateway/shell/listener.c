/*
 * listener.c - see listener.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDED_FD 3 /* the first that is handed over */
#define BACKLOG   1024

static bool
is_handed(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    return pid != NULL && count != NULL && strtol(pid, NULL, 10) == getpid() &&
           strtol(count, NULL, 10) == 1;
}

/* The port stands at the same place in both families. */
static bool
port_read(int fd, uint16_t *port)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return false;
    *port = ntohs(((const struct sockaddr_in *)&address)->sin_port);
    return true;
}

/* Taken only when it is the port that the settings name. */
static bool
take(uint16_t *port, int *fd)
{
    uint16_t found;
    int flags = fcntl(HANDED_FD, F_GETFL);
    if (flags < 0 || fcntl(HANDED_FD, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(HANDED_FD, F_SETFD, FD_CLOEXEC) != 0 || !port_read(HANDED_FD, &found))
        return false;
    if (*port != 0 && *port != found) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    *port = found;
    *fd = HANDED_FD;
    return true;
}

static bool
address_read(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *length)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *length = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *length = sizeof *v6;
        return true;
    }
    errno = EINVAL;
    return false;
}

bool
listener_open(const char *address, uint16_t *port, int *fd)
{
    struct sockaddr_storage at = {0};
    socklen_t length;
    if (is_handed())
        return take(port, fd);
    if (!address_read(address, *port, &at, &length))
        return false;
    *fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (*fd < 0)
        return false;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(*fd, (struct sockaddr *)&at, length) == 0 && listen(*fd, BACKLOG) == 0 &&
        port_read(*fd, port))
        return true;
    int why = errno;
    close(*fd);
    errno = why;
    return false;
}
