/*
 * serve.h - the matcher's process: sockets and timers around the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MATCHER_SHELL_SERVE_H
#define SCRIP_MATCHER_SHELL_SERVE_H

#include "host/service.h"

#define CONFIG_DEF    "matcher/config.def"
#define CONFIG_STRUCT matcher_config
#include "host/config_rows.h"

/* As in struct service. */
enum err serve_start(struct host *h, const void *config, void **state);
const char *serve_not_ready(void *state);
void serve_stop(void *state);

#endif
