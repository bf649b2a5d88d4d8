/*
 * http_head.h - writes the status line, the headers and the body of an answer into one buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_HTTP_HEAD_H
#define SCRIP_GATEWAY_SHELL_HTTP_HEAD_H

#include "gateway/shell/http.h"

/* The Date header's text, made once a second. */
struct http_date {
    int64_t second;
    char text[48];
    size_t length;
};

void http_date_set(struct http_date *d, int64_t now_us);
void http_head_write(struct bytes *out, const struct http_reply *r, const struct http_date *date,
                     bool keep_alive, bool is_1_0, bool with_body);
/* A whole answer for a connection there is no room for. */
extern const char http_full_reply[];

#endif
