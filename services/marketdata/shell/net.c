/*
 * net.c - the process's ways to exchanges; one of each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/net.h"

#define REQUESTS_MAX   32u
#define BODY_BYTES_MAX (64u << 20)
#define TIMEOUT_MS     15000
#define WINDOW_MS      60000
#define WAITING_MAX    256u

static struct budget *
weight_open(struct net *n, struct loop *loop, enum trading_type market)
{
    const struct marketdata_config *c = n->source.config;
    bool is_spot = market == TRADING_TYPE_spot;
    budget_host_of(is_spot ? c->spot_rest_url : c->usdm_rest_url, n->hosts[market]);
    return budget_open(
        &(struct budget_options){.loop = loop,
                                 .redis = n->redis,
                                 .host = n->hosts[market],
                                 .limit = (uint32_t)(is_spot ? c->spot_weight : c->usdm_weight),
                                 .window_ms = WINDOW_MS,
                                 .alone_percent = (uint32_t)c->weight_alone_percent,
                                 .queue_max = WAITING_MAX});
}

bool
net_open(struct net *n, struct loop *loop, const struct marketdata_config *config,
         struct recorder *recorder, const struct spec *specs, uint32_t count)
{
    *n = (struct net){.source = {.config = config, .recorder = recorder}};
    bool is_live[3] = {false};
    for (uint32_t i = 0; i < count; i++)
        is_live[specs[i].market] |= specs[i].kind == SPEC_BINANCE;
    if (!is_live[TRADING_TYPE_spot] && !is_live[TRADING_TYPE_futures])
        return true;
    n->source.sockets = ws_clients_open(loop, config->ca_file);
    n->source.fetch = fetch_open(&(struct fetch_options){.loop = loop,
                                                         .ca_file = config->ca_file,
                                                         .in_flight_max = REQUESTS_MAX,
                                                         .body_bytes_max = BODY_BYTES_MAX,
                                                         .timeout_ms = TIMEOUT_MS});
    if (n->source.sockets == NULL || n->source.fetch == NULL)
        return false;
    if (*config->redis != '\0')
        n->redis = redis_link_open(&(struct redis_link_options){
            .loop = loop, .address = config->redis, .label = "weight"});
    for (enum trading_type m = TRADING_TYPE_spot; m <= TRADING_TYPE_futures; m++) {
        if (is_live[m])
            n->source.budgets[m] = weight_open(n, loop, m);
    }
    return true;
}

void
net_close(struct net *n)
{
    for (enum trading_type m = TRADING_TYPE_spot; m <= TRADING_TYPE_futures; m++) {
        if (n->source.budgets[m] != NULL)
            budget_close(&n->source.budgets[m]);
    }
    if (n->redis != NULL)
        redis_link_close(&n->redis);
    if (n->source.fetch != NULL)
        fetch_close(&n->source.fetch);
    if (n->source.sockets != NULL)
        ws_clients_close(&n->source.sockets);
}
