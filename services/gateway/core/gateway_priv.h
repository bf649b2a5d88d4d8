/*
 * gateway_priv.h - what gateway.c and server.c share: the state of one server of struct gw.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_GATEWAY_CORE_GATEWAY_PRIV_H
#define SCRIP_GATEWAY_CORE_GATEWAY_PRIV_H

#include "gateway/core/gateway.h"

/* Connected, and not silent. */
bool server_works(const struct gw *g, int64_t now_us, uint32_t server);
/* Its bit in `turned_away`. */
uint32_t replica_bit(const struct gw *g, uint32_t server);
/* The first of its group that works from there on and has no bit there, or GW_NONE. */
uint32_t replica_without(const struct gw *g, int64_t now_us, uint32_t server, uint32_t bits);

#endif
