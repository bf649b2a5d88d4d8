/*
 * serve.h - the bridge as a process: its socket, its metrics, and the core between them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BRIDGE_SHELL_SERVE_H
#define SCRIP_BRIDGE_SHELL_SERVE_H

#include "host/service.h"

/* For struct service. */
MUST_USE enum err serve_start(struct host *h, const void *config, void **state);
void serve_stop(void *state);

#endif
