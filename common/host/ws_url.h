/*
 * ws_url.h - the parts of a WebSocket's URL.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_WS_URL_H
#define SCRIP_HOST_WS_URL_H

#include <stdbool.h>

#include "host/lookup.h"
#include "host/ws_client.h"

#define WS_PATH_BYTES 16384 /* room for many streams */

struct ws_url {
    bool is_tls;
    char host[LOOKUP_HOST_BYTES];
    char authority[LOOKUP_HOST_BYTES + 8]; /* host and port as they were written */
    int port;
    char *path; /* with the query; begins with a slash */
};

/* scheme://host[:port][/path][?query]; false with a reason, and nothing is to be freed. */
bool ws_url_read(const char *text, struct ws_url *out, char why[WS_WHY_BYTES]);
void ws_url_free(struct ws_url *u);

#endif
