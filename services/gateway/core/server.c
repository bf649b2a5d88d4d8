/*
 * server.c - the services that requests go to: which are there, which of a group is asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/check.h"
#include "gateway/core/gateway_priv.h"

uint32_t
gw_add_server(struct gw *g, enum err away_error)
{
    CHECK(g->server_count < GW_SERVERS_MAX);
    g->servers[g->server_count] = (struct gw_server){.away_error = away_error,
                                                     .first = g->server_count,
                                                     .replicas = 1,
                                                     .timeout_us = g->timeout_us};
    return g->server_count++;
}

uint32_t
gw_add_replica(struct gw *g, uint32_t first)
{
    CHECK(first < g->server_count && g->server_count < GW_SERVERS_MAX);
    struct gw_server *s = &g->servers[first];
    CHECK(first + s->replicas == g->server_count && s->replicas < GW_REPLICAS_MAX);
    g->servers[g->server_count] = (struct gw_server){
        .away_error = s->away_error, .first = first, .timeout_us = s->timeout_us};
    s->replicas++;
    return g->server_count++;
}

void
gw_set_timeout(struct gw *g, uint32_t server, int64_t timeout_us)
{
    CHECK(server < g->server_count && timeout_us > 0);
    g->servers[server].timeout_us = timeout_us;
}

/* Once asked and not heard since, it stays so until something comes, in flight or not. */
static bool
server_is_silent(const struct gw *g, int64_t now_us, const struct gw_server *s)
{
    return s->asked_us != 0 && now_us - s->asked_us >= g->silent_us;
}

bool
server_works(const struct gw *g, int64_t now_us, uint32_t server)
{
    const struct gw_server *s = &g->servers[server];
    return !s->is_down && !server_is_silent(g, now_us, s);
}

bool
gw_is_away(const struct gw *g, int64_t now_us, uint32_t server)
{
    uint32_t first = g->servers[server].first;
    for (uint32_t i = first; i < first + g->servers[first].replicas; i++) {
        const struct gw_server *s = &g->servers[i];
        bool is_gone = s->is_down && now_us - s->down_us >= g->silent_us;
        if (!is_gone && !server_is_silent(g, now_us, s))
            return false;
    }
    return true;
}

uint32_t
replica_bit(const struct gw *g, uint32_t server)
{
    return 1u << (server - g->servers[server].first);
}

uint32_t
replica_without(const struct gw *g, int64_t now_us, uint32_t server, uint32_t bits)
{
    uint32_t first = g->servers[server].first, count = g->servers[first].replicas;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = first + (server - first + i) % count;
        if ((bits & replica_bit(g, at)) == 0 && server_works(g, now_us, at))
            return at;
    }
    return GW_NONE;
}

uint32_t
gw_replica_from(const struct gw *g, int64_t now_us, uint32_t server)
{
    uint32_t found = replica_without(g, now_us, server, 0);
    return found == GW_NONE ? server : found;
}

bool
gw_is_linked(const struct gw *g, uint32_t server)
{
    return !g->servers[server].is_down;
}
