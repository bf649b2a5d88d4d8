/*
 * request.h - what http.c calls when it has a request, and what the clock calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_SHELL_REQUEST_H
#define SCRIP_GATEWAY_SHELL_REQUEST_H

#include "gateway/shell/shell.h"
#include "gateway/shell/ws.h"

uint32_t request_body_limit(void *shell, const struct http1_head *head);
void request_begin(void *shell, const struct http_request *h);
void request_bad(void *shell, struct http_ref ref, enum err why, const char *detail);
bool request_websocket(void *shell, const struct http_request *h, int fd, const char *bytes,
                       size_t length);
/* Answers those whose own deadline has passed. */
void request_tick(struct shell *s);

#endif
