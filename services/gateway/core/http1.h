/*
 * http1.h - reads the head of an HTTP/1.1 request from bytes: pure, strict, without copying.
 *
 * It knows the grammar and the few headers the gateway acts on; it holds no state between calls
 * except the place up to which the end of the head was looked for. Bodies must carry a
 * Content-Length: chunked ones are refused, so that there is one reading of where a request ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_HTTP1_H
#define SCRIP_GATEWAY_CORE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum http1_method {
    HTTP1_OTHER,
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_PATCH,
    HTTP1_OPTIONS
};

/* A part of the head: lent, not terminated. */
struct http1_text {
    const char *at;
    size_t length;
};

struct http1_head {
    size_t bytes; /* of the head with its blank line */
    enum http1_method method;
    struct http1_text path;  /* before the question mark, as sent */
    struct http1_text query; /* behind it; empty when there is none */
    struct http1_text authorization;
    uint64_t content_length; /* 0 when there is none */
    bool keep_alive;
    bool is_1_0; /* keep-alive must then be said */
    bool expects_continue;
    bool wants_websocket; /* Upgrade: websocket, Connection: upgrade, a key and version 13 */
};

/*
 * Looks for the end of a head in `data`; *scanned remembers how far it looked and starts at 0.
 * Returns the length of the head with its blank line, or 0 when it has not ended yet.
 */
size_t http1_head_end(const char *data, size_t length, size_t *scanned);

/*
 * Whether a head that has not ended yet can be none any more: it begins with what is no method (a
 * TLS client's first byte), or has a control character or a bare line feed. Looks at the bytes from
 * `from` on, so that nothing is looked at twice.
 */
bool http1_head_broken(const char *data, size_t length, size_t from);

/*
 * Reads a whole head of `length` bytes. Refuses with REQUEST_MALFORMED; *why is then a sentence
 * for the client.
 */
MUST_USE enum err http1_read(const char *data, size_t length, struct http1_head *out,
                             const char **why);

/*
 * Decodes %XX (and, in a query, plus as a blank) into `out` with a NUL; false when an escape is
 * malformed, decodes to a NUL or a control character, or the text does not fit.
 */
bool http1_decode(struct http1_text text, bool is_query, char *out, size_t size);

/* Takes the next name=value off a query; false at its end. */
bool http1_next_pair(struct http1_text *query, struct http1_text *name, struct http1_text *value);

#endif
