/*
 * notify.c - see notify.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/log.h"

#define NAME "NOTIFY_SOCKET"

bool
notify_is_wanted(void)
{
    return getenv(NAME) != NULL;
}

void
notify_ready(void)
{
    const char *name = getenv(NAME);
    if (name == NULL)
        return;
    static const char said[] = "READY=1";
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_sent = false;
    if (fd >= 0 && length > 0 && length < sizeof to.sun_path) {
        memcpy(to.sun_path, name, length);
        if (name[0] == '@') /* a name that is no file */
            to.sun_path[0] = '\0';
        is_sent = sendto(fd, said, sizeof said - 1, MSG_NOSIGNAL, (struct sockaddr *)&to,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) > 0;
    }
    if (fd >= 0)
        close(fd);
    if (!is_sent)
        log_line(LOG_WARN, "notify_failed", "socket=%s", name);
    unsetenv(NAME);
}
