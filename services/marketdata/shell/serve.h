/*
 * serve.h - the process around the core: its life, for service_run().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_SERVE_H
#define SCRIP_MARKETDATA_SERVE_H

#include "host/service.h"

enum err serve_start(struct host *h, const void *config, void **state);
const char *serve_not_ready(void *state);
void serve_drain(void *state);
void serve_stop(void *state);

#endif
