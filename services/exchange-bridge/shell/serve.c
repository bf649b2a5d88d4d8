/*
 * serve.c - the bridge put together, and its door: which message goes to whom.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/serve.h"

#include <stdlib.h>

#include "exchange-bridge/shell/key_asks.h"
#include "exchange-bridge/shell/orders.h"
#include "exchange-bridge/shell/refresh.h"
#include "exchange-bridge/shell/rules.h"
#include "exchange-bridge/shell/schedule.h"
#include "exchange-bridge/shell/shell.h"
#include "exchange-bridge/shell/streams.h"
#include "exchange-bridge/shell/sync.h"
#include "host/log.h"

#define ASKS_MAX      8192u
#define DRAIN_TICK_MS 10
#define TELL_US       INT64_C(1000000)

/* ---- Requests ---- */

static void
on_synced(void *arg, const struct bridge_balance *balance, const struct refused *why)
{
    if (why != NULL)
        ask_refuse(arg, why);
    else
        ask_answer(arg, MSG_bridge_balance, balance);
}

static void
sync_ask(struct shell *s, struct ask *k, const struct bridge_balance_sync *m)
{
    struct sync_wish w = {.account_id = m->account_id,
                          .user_id = m->user_id,
                          .trading_type = m->trading_type,
                          .source = BALANCE_SOURCE_sync,
                          .command_id = ask_corr(k)};
    sync_begin(s, &w, on_synced, k);
}

/* What is answered in a later turn. */
static void
take(struct shell *s, struct ask *k, const struct msg *m)
{
    switch ((int)m->type) {
    case MSG_bridge_balance_sync:
        sync_ask(s, k, &m->bridge_balance_sync);
        return;
    case MSG_bridge_keys_put:
        key_ask_put(s, k, &m->bridge_keys_put);
        return;
    case MSG_bridge_keys_get:
        key_ask_get(s, k, &m->bridge_keys_get);
        return;
    case MSG_bridge_keys_delete:
        key_ask_delete(s, k, &m->bridge_keys_delete);
        return;
    case MSG_bridge_bind:
        key_ask_bind(s, k, &m->bridge_bind);
        return;
    case MSG_bridge_refresh:
        refresh_take(s->refreshes, k, &m->bridge_refresh);
        return;
    case MSG_bridge_schedule_set:
        schedule_set(s->schedule, k, &m->bridge_schedule_set);
        return;
    case MSG_bridge_schedule_get:
        schedule_get(s->schedule, k, &m->bridge_schedule_get);
        return;
    case MSG_bridge_rotate:
        key_ask_rotate(s, k, &m->bridge_rotate);
        return;
    default:
        ask_refuse_plain(k, ERR_REQUEST_MALFORMED);
    }
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    struct shell *s = arg;
    const struct msg *m = in->msg;
    log_msg("asked", m);
    switch ((int)m->type) {
    case MSG_bridge_place: /* these three are answered by reports */
        orders_take(s->orders, FLOW_PLACE, &m->bridge_place);
        return;
    case MSG_bridge_cancel:
        orders_take(s->orders, FLOW_CANCEL, &m->bridge_place);
        return;
    case MSG_bridge_ask:
        orders_take(s->orders, FLOW_ASK, &m->bridge_place);
        return;
    default:
        break;
    }
    struct ask *k = asks_take(s->asks, in->peer, m);
    if (k != NULL)
        take(s, k, m);
}

/* ---- Start ---- */

static void
on_keys(void *arg)
{
    struct shell *s = arg;
    if (s->rules != NULL)
        rules_keys_changed(s->rules);
}

static void
on_database(void *arg)
{
    struct shell *s = arg;
    if (s->rules != NULL)
        rules_database_up(s->rules);
}

/* Testnet's addresses must not lead to the exchange itself, nor the other way round. */
static bool
urls_fit(const struct bridge_config *c)
{
    const struct {
        enum environment environment;
        const char *key, *url;
    } rows[] = {
        {ENVIRONMENT_testnet, "spot_testnet_rest_url", c->spot_testnet_rest_url},
        {ENVIRONMENT_testnet, "spot_testnet_ws_url", c->spot_testnet_ws_url},
        {ENVIRONMENT_testnet, "usdm_testnet_rest_url", c->usdm_testnet_rest_url},
        {ENVIRONMENT_testnet, "usdm_testnet_ws_url", c->usdm_testnet_ws_url},
        {ENVIRONMENT_live, "spot_live_rest_url", c->spot_live_rest_url},
        {ENVIRONMENT_live, "spot_live_ws_url", c->spot_live_ws_url},
        {ENVIRONMENT_live, "usdm_live_rest_url", c->usdm_live_rest_url},
        {ENVIRONMENT_live, "usdm_live_ws_url", c->usdm_live_ws_url},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!guard_url(rows[i].environment, rows[i].url)) {
            log_line(LOG_ERROR, "setting_invalid",
                     "key=%s reason=\"this address is not for that environment\"", rows[i].key);
            return false;
        }
    return true;
}

static struct caller *
calls_open(struct shell *s)
{
    const struct bridge_config *c = s->config;
    const struct {
        enum environment environment;
        enum trading_type type;
        const char *url;
        int64_t weight;
    } rows[] = {
        {ENVIRONMENT_testnet, TRADING_TYPE_spot, c->spot_testnet_rest_url, c->spot_weight},
        {ENVIRONMENT_testnet, TRADING_TYPE_futures, c->usdm_testnet_rest_url, c->usdm_weight},
        {ENVIRONMENT_live, TRADING_TYPE_spot, c->spot_live_rest_url, c->spot_weight},
        {ENVIRONMENT_live, TRADING_TYPE_futures, c->usdm_live_rest_url, c->usdm_weight},
    };
    struct caller_host hosts[ENVIRONMENTS * MARKETS];
    for (uint32_t i = 0; i < ENVIRONMENTS * MARKETS; i++)
        hosts[i] = (struct caller_host){.environment = rows[i].environment,
                                        .type = rows[i].type,
                                        .base_url = rows[i].url,
                                        .weight_limit = (uint32_t)rows[i].weight,
                                        .alone_percent = (uint32_t)c->weight_alone_percent};
    return caller_open(&(struct caller_options){.loop = s->loop,
                                                .keys = s->keys,
                                                .redis = s->redis,
                                                .ca_file = c->ca_file,
                                                .hosts = hosts,
                                                .host_count = 4,
                                                .waiting_max = (uint32_t)c->calls_waiting_max,
                                                .in_flight_max = (uint32_t)c->calls_in_flight_max,
                                                .timeout_ms = c->timeout_ms,
                                                .recv_window_ms = c->recv_window_ms,
                                                .patience_ms = c->patience_ms});
}

static bool
links_open(struct shell *s)
{
    const struct bridge_config *c = s->config;
    s->keys = keys_open(&(struct keys_options){.loop = s->loop,
                                               .database = c->database,
                                               .master_key_file = c->master_key_file,
                                               .master_key = c->master_key,
                                               .arg = s,
                                               .on_change = on_keys});
    s->redis = redis_link_open(
        &(struct redis_link_options){.loop = s->loop, .address = c->redis, .label = "limits"});
    if (s->keys == NULL || s->redis == NULL)
        return false;
    s->caller = calls_open(s);
    s->ledgers =
        ledger_link_open(s->loop, s->host->name, c->ledger_endpoints, (uint32_t)c->reports_max);
    s->pg = pg_open(
        s->loop, &(struct pg_options){
                     .conninfo = c->database, .label = "bridge", .arg = s, .on_up = on_database});
    return s->caller != NULL && s->ledgers != NULL;
}

/* The door last: what comes in finds everything there. */
static bool
parts_open(struct shell *s)
{
    s->asks = asks_open(s->loop, ASKS_MAX);
    s->rules = rules_open(s);
    s->orders = orders_open(s);
    s->refreshes = refreshes_open(s);
    s->schedule = schedule_open(s);
    s->streams = streams_open(s);
    if (s->streams == NULL)
        return false;
    s->bus = bus_open(s->loop, &(struct bus_options){.role = BUS_SERVE,
                                                     .endpoint = s->config->serve_endpoint,
                                                     .name = s->host->name,
                                                     .arg = s,
                                                     .on_msg = on_msg});
    if (s->bus == NULL)
        return false;
    asks_answer_on(s->asks, s->bus);
    return true;
}

enum err
serve_start(struct host *h, const void *config, void **state)
{
    const struct bridge_config *c = config;
    struct shell *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    *s = (struct shell){.host = h, .loop = h->loop, .config = c};
    bool is_valid = guard_mode_read(c->trading_mode, &s->mode);
    if (!is_valid)
        log_line(LOG_ERROR, "setting_invalid", "key=trading_mode");
    if (!is_valid || !urls_fit(c)) {
        free(s);
        return ERR_CONFIG_BAD_VALUE;
    }
    if (!links_open(s) || !parts_open(s)) {
        serve_stop(s);
        return ERR_BRIDGE_UNAVAILABLE;
    }
    log_line(LOG_INFO, "trading_mode", "mode=%s", c->trading_mode);
    *state = s;
    return OK;
}

const char *
serve_not_ready(void *state)
{
    struct shell *s = state;
    return keys_ready(s->keys) ? NULL : "the store of exchange keys is away";
}

/* What becomes of an order that has just been sent is still told, as long as a ledger listens; what
 * takes longer the ledger asks the next bridge. */
static void
on_drain(void *arg)
{
    struct shell *s = arg;
    int64_t took_us = loop_steady_us(s->loop) - s->drain_us;
    bool is_told = ledger_link_waiting(s->ledgers) == 0 || took_us > TELL_US;
    if (!orders_busy(s->orders) && is_told)
        loop_stop(s->loop);
}

void
serve_drain(void *state)
{
    struct shell *s = state;
    bus_pause(s->bus, true);
    s->drain_us = loop_steady_us(s->loop);
    s->drain = loop_timer_new(s->loop, 0, DRAIN_TICK_MS, on_drain, s);
}

void
serve_stop(void *state)
{
    struct shell *s = state;
    if (s->drain != NULL)
        loop_timer_end(&s->drain);
    /* Nobody is called any more, then nobody calls. */
    if (s->bus != NULL)
        bus_close(&s->bus);
    streams_close(&s->streams);
    schedule_close(&s->schedule);
    rules_close(&s->rules);
    if (s->caller != NULL)
        caller_close(&s->caller);
    if (s->pg != NULL)
        pg_close(&s->pg);
    ledger_link_close(&s->ledgers);
    orders_close(&s->orders);
    refreshes_close(&s->refreshes);
    asks_close(&s->asks);
    if (s->keys != NULL)
        keys_close(&s->keys);
    if (s->redis != NULL)
        redis_link_close(&s->redis);
    pending_free_all(&s->pending);
    free(s);
}
