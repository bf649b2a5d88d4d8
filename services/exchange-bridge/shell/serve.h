/*
 * serve.h - the bridge as a process: its parts, its socket, and who takes which message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SERVE_H
#define SCRIP_BRIDGE_SHELL_SERVE_H

#include "host/service.h"

/* For struct service. */
MUST_USE enum err serve_start(struct host *h, const void *config, void **state);
const char *serve_not_ready(void *state);
void serve_drain(void *state);
void serve_stop(void *state);

#endif
