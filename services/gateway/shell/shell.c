/*
 * shell.c - puts the gateway together, and takes it apart.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/shell.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/shell/audit.h"
#include "gateway/shell/market.h"
#include "gateway/shell/openapi.h"
#include "gateway/shell/request.h"
#include "gateway/shell/ws.h"
#include "host/log.h"

#define TICK_MS 20

/* Room for the lists of one request: 50 orders of a basket. */
#define LISTS_BYTES (64 * sizeof(struct order_wish))

static void *
room(struct shell *s, int place, size_t bytes)
{
    s->memory[place] = calloc(1, bytes);
    CHECK(s->memory[place] != NULL);
    return s->memory[place];
}

static void
cores_init(struct shell *s)
{
    const struct gateway_config *c = s->config;
    struct gw_options o = {.calls_max = (uint32_t)c->calls_max,
                           .resend_us = c->call_resend_ms * 1000,
                           .timeout_us = c->call_timeout_ms * 1000,
                           .silent_us = c->call_silent_ms * 1000};
    uint32_t keys = (uint32_t)c->rate_keys_max;
    gw_init(&s->gw, &o, room(s, 0, gw_bytes(o.calls_max)));
    limit_init(&s->by_address, keys, room(s, 1, limit_bytes(keys)));
    limit_init(&s->by_login, keys, room(s, 2, limit_bytes(keys)));
    limit_init(&s->by_account, keys, room(s, 3, limit_bytes(keys)));
    limit_init(&s->by_name, keys, room(s, 4, limit_bytes(keys)));
    s->requests = room(s, 5, o.calls_max * sizeof *s->requests);
    arena_init(&s->lists, room(s, 7, LISTS_BYTES), LISTS_BYTES);
    for (uint32_t i = 0; i < o.calls_max; i++) {
        s->requests[i].index = i;
        s->requests[i].next = i + 1 < o.calls_max ? i + 1 : GW_NONE;
    }
    s->queue_first = s->queue_last = GW_NONE;
    CHECK(RAND_bytes((unsigned char *)&s->corr_base, sizeof s->corr_base) == 1);
}

static void
metrics_init(struct shell *s)
{
    static const char sentence[] = "HTTP requests answered.";
    for (int i = 1; i < 6; i++) {
        char labels[24];
        snprintf(labels, sizeof labels, "status=\"%dxx\"", i);
        s->answers[i] = metric_counter("scrip_gateway_requests_total", labels, sentence);
    }
    s->latency =
        metric_histogram("scrip_gateway_request_us", "", "From the whole request to its answer.");
    s->in_flight =
        metric_gauge("scrip_gateway_calls_in_flight", "", "Requests waiting for another service.");
    s->resent = metric_counter("scrip_gateway_calls_resent_total", "", "Requests sent again.");
    s->expired = metric_counter("scrip_gateway_calls_expired_total", "",
                                "Requests given up without an answer.");
    s->late = metric_counter("scrip_gateway_answers_dropped_total", "",
                             "Answers nobody waited for any more, and stale ones.");
    s->limited =
        metric_counter("scrip_gateway_limited_total", "", "Requests refused for coming too fast.");
}

static void
on_tick(void *arg)
{
    struct shell *s = arg;
    call_tick(s);
    request_tick(s);
    symbols_tick(s);
    audit_tick(s->audit);
    /* Kept connections end by themselves; what is being answered is finished. */
    if (s->draining && s->requests_count == 0 && http_connections(s->http) == 0 &&
        ws_connections(s->ws) == 0)
        loop_stop(s->loop);
}

static void
on_session_ended(void *arg, uint64_t session_id)
{
    struct shell *s = arg;
    tokens_end_session(s->tokens, session_id, loop_now_us(s->loop));
}

static enum err
parts_open(struct shell *s)
{
    const struct gateway_config *c = s->config;
    struct token_options t = {.keys = c->jwt_keys,
                              .key_file = c->jwt_key_file,
                              .issuer = c->jwt_issuer,
                              .life_us = c->token_minutes * 60000000,
                              .cache_max = (uint32_t)c->token_cache_max,
                              .ended_max = (uint32_t)c->sessions_ended_max};
    enum err e = tokens_open(&t, &s->tokens);
    if (e != OK)
        return e;
    struct hash_pool_options p = {.loop = s->loop,
                                  .threads = (uint32_t)c->hash_threads,
                                  .queue_max = (uint32_t)c->hash_queue_max,
                                  .kib = (uint32_t)c->hash_kib,
                                  .passes = (uint32_t)c->hash_passes};
    struct users_options u = {.loop = s->loop,
                              .conninfo = c->database,
                              .refresh_days = c->refresh_days,
                              .lock_after = c->login_lock_after,
                              .lock_max_s = c->login_lock_max_s,
                              .token_seconds = c->token_minutes * 60,
                              .arg = s,
                              .on_session_ended = on_session_ended};
    s->hashes = hash_pool_open(&p);
    s->users = users_open(&u);
    s->cache = market_cache_open(s->loop, c->redis);
    s->audit = audit_open(s);
    s->routes = routes_new();
    openapi_write(s->routes, &s->openapi);
    s->ws = ws_open(s);
    if (s->cache == NULL || s->ws == NULL)
        return ERR_CONFIG_BAD_VALUE;
    return call_open(s);
}

enum err
shell_start(struct host *h, const void *config, void **state)
{
    struct shell *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    s->host = h;
    s->loop = h->loop;
    s->config = config;
    cores_init(s);
    metrics_init(s);
    enum err e = parts_open(s);
    struct http_options o = {.loop = s->loop,
                             .address = s->config->http_address,
                             .port = (uint16_t)s->config->http_port,
                             .conns_max = (uint32_t)s->config->connections_max,
                             .head_max = (uint32_t)s->config->http_header_bytes,
                             .body_max = (uint32_t)s->config->http_body_bytes,
                             .request_ms = s->config->http_request_ms,
                             .idle_ms = s->config->http_idle_ms,
                             .arg = s,
                             .body_limit = request_body_limit,
                             .on_request = request_begin,
                             .on_bad = request_bad,
                             .on_websocket = request_websocket};
    if (e == OK && (s->http = http_open(&o)) == NULL)
        e = ERR_CONFIG_BAD_VALUE;
    if (e != OK) {
        shell_stop(s);
        return e;
    }
    s->tick = loop_timer_new(s->loop, TICK_MS, TICK_MS, on_tick, s);
    log_line(LOG_INFO, "listening", "address=%s port=%u", o.address, http_port(s->http));
    *state = s;
    return OK;
}

/* The other services' absence is told per request, with 503; the gateway itself can serve. */
const char *
shell_not_ready(void *state)
{
    const struct shell *s = state;
    if (s->draining)
        return "it is being stopped";
    return users_is_up(s->users) ? NULL : "the users' database is away";
}

void
shell_drain(void *state)
{
    struct shell *s = state;
    s->draining = true;
    http_drain(s->http);
    ws_drain(s->ws);
}

void
shell_stop(void *state)
{
    struct shell *s = state;
    /* Those who owe answers first, then those who send them. */
    hash_pool_close(&s->hashes);
    audit_close(&s->audit);
    market_cache_close(&s->cache);
    users_close(&s->users);
    ws_close(&s->ws);
    call_close(s);
    http_close(&s->http);
    tokens_close(&s->tokens);
    routes_destroy(&s->routes);
    if (s->tick != NULL)
        loop_timer_end(&s->tick);
    bytes_free(&s->openapi);
    free(s->symbols);
    bytes_free(&s->text);
    for (uint32_t i = 0; i < (uint32_t)s->config->calls_max; i++)
        basket_drop(&s->requests[i].basket);
    for (size_t i = 0; i < sizeof s->memory / sizeof s->memory[0]; i++)
        free(s->memory[i]);
    free(s);
}
