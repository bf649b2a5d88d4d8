/*
 * net.h - what live sources need of the process: sockets, requests, the shared request weight.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_MARKETDATA_NET_H
#define SCRIP_MARKETDATA_NET_H

#include "host/budget.h"
#include "host/fetch.h"
#include "host/redis_link.h"
#include "host/ws_client.h"
#include "marketdata/config.h"
#include "marketdata/shell/source.h"

struct net {
    struct source_net source;
    struct redis_link *redis;
    char hosts[3][BUDGET_HOST_BYTES]; /* of REST, by enum trading_type */
};

/* Opens what the sources' kinds need, which may be nothing; false with a logged reason. `n` must
 * stay where it is. `recorder` is borrowed and may be NULL. */
bool net_open(struct net *n, struct loop *loop, const struct marketdata_config *config,
              struct recorder *recorder, const struct spec *specs, uint32_t count);
/* After the sources were closed. */
void net_close(struct net *n);

#endif
