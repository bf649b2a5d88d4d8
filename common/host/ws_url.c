/*
 * ws_url.c - reads a WebSocket's URL; names, passwords and fragments have no place in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/ws_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ":443" up to `end`; 0 when it is none. */
static int
port_read(const char *text, const char *end)
{
    char *stop;
    long port = *text == ':' ? strtol(text + 1, &stop, 10) : 0;
    return port < 1 || port > 65535 || stop != end ? 0 : (int)port;
}

bool
ws_url_read(const char *text, struct ws_url *out, char why[WS_WHY_BYTES])
{
    *out = (struct ws_url){.is_tls = strncmp(text, "wss://", 6) == 0};
    if (!out->is_tls && strncmp(text, "ws://", 5) != 0) {
        snprintf(why, WS_WHY_BYTES, "the URL begins with neither ws:// nor wss://");
        return false;
    }
    const char *at = text + (out->is_tls ? 6 : 5);
    size_t length = strcspn(at, "/?#");
    const char *path = at + length;
    size_t brackets = *at == '[' ? 1 : 0; /* around an IPv6 address */
    size_t host = brackets == 1 ? strcspn(at, "]/?#") + 1 : strcspn(at, ":/?#");
    if (host <= 2 * brackets || host > length || length >= sizeof out->host ||
        memchr(at, '@', length) != NULL || strlen(path) >= WS_PATH_BYTES ||
        strpbrk(path, " \r\n#") != NULL) {
        snprintf(why, WS_WHY_BYTES, "the URL has no valid host or path");
        return false;
    }
    out->port = out->is_tls ? 443 : 80;
    if (host < length)
        out->port = port_read(at + host, path);
    if (out->port == 0) {
        snprintf(why, WS_WHY_BYTES, "the URL's port is not valid");
        return false;
    }
    memcpy(out->host, at + brackets, host - 2 * brackets);
    memcpy(out->authority, at, length);
    size_t room = strlen(path) + 2;
    out->path = malloc(room);
    CHECK(out->path != NULL);
    snprintf(out->path, room, "%s%s", *path == '/' ? "" : "/", path);
    return true;
}

void
ws_url_free(struct ws_url *u)
{
    free(u->path);
    u->path = NULL;
}
