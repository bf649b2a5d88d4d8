/*
 * market.c - GET /api/market/ticker: hashes scrip:ticker:<SYMBOL>, all on one pipelined connection.
 *
 * Redis is a cache: while it is away tickers answer CACHE_UNAVAILABLE and everything else goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/market.h"

#include <ev.h>
#include <hiredis/adapters/libev.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/shell/shell.h"
#include "host/log.h"
#include "wire/json.h"

#define AGAIN_MS    500
#define TICKERS_MAX 4000
#define LINE_BYTES  2048

struct market_cache {
    struct loop *loop;
    char host[128];
    int port; /* 0 = a unix socket */
    redisAsyncContext *redis;
    bool is_up, is_closing;
    struct loop_timer *again;
    struct metric *up, *failures;
};

/* One question for tickers: of one symbol, or of all. */
struct ticker_flow {
    struct shell *shell;
    uint64_t handle;
    bool is_all;
    char symbol[CODE_BYTES];
    uint32_t expected, answered, count;
    struct md_ticker *rows;
};

static void
on_disconnect(const redisAsyncContext *redis, int status)
{
    struct market_cache *m = redis->data;
    if (m->is_up)
        log_line(LOG_WARN, "cache_lost", "status=%d reason=\"%s\"", status,
                 redis->errstr == NULL ? "" : redis->errstr);
    m->is_up = false;
    m->redis = NULL; /* hiredis frees it */
    metric_set(m->up, 0);
    metric_add(m->failures, 1);
}

static void
on_connect(const redisAsyncContext *redis, int status)
{
    struct market_cache *m = redis->data;
    if (status != REDIS_OK) {
        m->redis = NULL; /* hiredis frees it without a disconnect */
        metric_add(m->failures, 1);
        return;
    }
    m->is_up = true;
    metric_set(m->up, 1);
    log_line(LOG_INFO, "cache_up", "host=%s port=%d", m->host, m->port);
}

static void
cache_connect(struct market_cache *m)
{
    redisAsyncContext *redis =
        m->port == 0 ? redisAsyncConnectUnix(m->host) : redisAsyncConnect(m->host, m->port);
    if (redis == NULL || redis->err != 0) {
        if (redis != NULL)
            redisAsyncFree(redis);
        return;
    }
    redis->data = m;
    m->redis = redis;
    redisLibevAttach(loop_ev(m->loop), redis);
    redisAsyncSetConnectCallback(redis, on_connect);
    redisAsyncSetDisconnectCallback(redis, on_disconnect);
}

static void
on_again(void *arg)
{
    struct market_cache *m = arg;
    if (m->redis == NULL && !m->is_closing)
        cache_connect(m);
}

struct market_cache *
market_cache_open(struct loop *l, const char *address)
{
    struct market_cache *m = calloc(1, sizeof *m);
    CHECK(m != NULL);
    m->loop = l;
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(m->host, sizeof m->host, "%s", address + 5);
    } else if (colon != NULL && colon != address && (size_t)(colon - address) < sizeof m->host) {
        memcpy(m->host, address, (size_t)(colon - address));
        m->port = (int)strtol(colon + 1, &end, 10);
    }
    if (m->host[0] == 0 || (end != NULL && (*end != 0 || m->port < 1 || m->port > 65535))) {
        log_line(LOG_ERROR, "setting_invalid", "key=redis form=HOST:PORT");
        free(m);
        return NULL;
    }
    m->up = metric_gauge("scrip_gateway_cache_up", "", "Whether Redis is connected.");
    m->failures = metric_counter("scrip_gateway_cache_failures_total", "",
                                 "Connections to Redis that failed or broke.");
    cache_connect(m);
    m->again = loop_timer_new(l, AGAIN_MS, AGAIN_MS, on_again, m);
    return m;
}

void
market_cache_close(struct market_cache **cache)
{
    struct market_cache *m = *cache;
    if (m == NULL)
        return;
    m->is_closing = true;
    loop_timer_end(&m->again);
    if (m->redis != NULL)
        redisAsyncFree(m->redis);
    free(m);
    *cache = NULL;
}

/* The hash's fields by name, read like any other text of a message. */
static bool
ticker_read(const redisReply *reply, struct md_ticker *out)
{
    static uint8_t no_lists[16] __attribute__((aligned(16)));
    struct arena arena;
    struct msg m;
    code_t field;
    char line[LINE_BYTES];
    if (reply->elements < 2)
        return false;
    size_t at = (size_t)snprintf(line, sizeof line, "md_ticker");
    for (size_t i = 0; i + 1 < reply->elements && at < sizeof line; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING)
            at += (size_t)snprintf(line + at, sizeof line - at, " %s=%s", name->str, value->str);
    }
    arena_init(&arena, no_lists, sizeof no_lists);
    if (at >= sizeof line || msg_read_text(line, &arena, &m, &field) != OK ||
        m.type != MSG_md_ticker)
        return false;
    *out = m.md_ticker;
    return true;
}

/* A ticker and how old it is, by our clock: market data's may be ahead. */
static void
ticker_write(struct bytes *out, const struct md_ticker *t, int64_t now_us)
{
    char age[48];
    int64_t age_us = t->written_us == 0 || t->written_us > now_us ? 0 : now_us - t->written_us;
    json_write_body(out, msg_layout(MSG_md_ticker), t);
    out->length--; /* the closing brace */
    int length = snprintf(age, sizeof age, ",\"age_ms\":%lld}", (long long)(age_us / 1000));
    bytes_add(out, age, (size_t)length);
}

static void
flow_answer(struct ticker_flow *f)
{
    struct shell *s = f->shell;
    struct request *r = request_find(s, f->handle);
    int64_t now_us = loop_now_us(s->loop);
    if (r != NULL && !f->is_all && f->count == 0 && symbols_known(s, f->symbol)) {
        answer_error(s, r, ERR_MARKET_UNAVAILABLE); /* the cache was emptied; it fills again */
    } else if (r != NULL && !f->is_all && f->count == 0) {
        answer_field(s, r, ERR_SYMBOL_UNKNOWN, code_of("symbol"), text_of("%s", ""));
    } else if (r != NULL && !f->is_all) {
        struct bytes text = {0};
        ticker_write(&text, &f->rows[0], now_us);
        answer_json(s, r, 200, &text);
        bytes_free(&text);
    } else if (r != NULL) {
        struct bytes text = {0};
        bytes_add(&text, "{\"tickers\":[", 12);
        for (uint32_t i = 0; i < f->count; i++) {
            if (i > 0)
                bytes_add(&text, ",", 1);
            ticker_write(&text, &f->rows[i], now_us);
        }
        bytes_add(&text, "]}", 2);
        answer_json(s, r, 200, &text);
        bytes_free(&text);
    }
    free(f->rows);
    free(f);
}

static void
on_ticker(redisAsyncContext *redis, void *reply, void *arg)
{
    struct ticker_flow *f = arg;
    (void)redis;
    const redisReply *found = reply;
    if (found == NULL || found->type == REDIS_REPLY_ERROR) {
        struct request *r = request_find(f->shell, f->handle);
        if (r != NULL)
            answer_error(f->shell, r, ERR_CACHE_UNAVAILABLE);
    } else if (found->type == REDIS_REPLY_ARRAY && ticker_read(found, &f->rows[f->count])) {
        f->count++;
    }
    if (++f->answered == f->expected)
        flow_answer(f);
}

static int
by_text(const void *a, const void *b)
{
    const redisReply *const *x = a, *const *y = b;
    return strcmp((*x)->str, (*y)->str);
}

static void
on_symbols(redisAsyncContext *redis, void *reply, void *arg)
{
    struct ticker_flow *f = arg;
    redisReply *found = reply;
    struct request *r = request_find(f->shell, f->handle);
    if (r == NULL || found == NULL || found->type != REDIS_REPLY_ARRAY) {
        if (r != NULL)
            answer_error(f->shell, r, ERR_CACHE_UNAVAILABLE);
        free(f);
        return;
    }
    size_t count = found->elements < TICKERS_MAX ? found->elements : TICKERS_MAX;
    f->rows = calloc(count + 1, sizeof *f->rows);
    CHECK(f->rows != NULL);
    if (count == 0) {
        flow_answer(f);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (found->element[i]->type != REDIS_REPLY_STRING)
            count = i;
    qsort(found->element, count, sizeof found->element[0], by_text);
    f->expected = (uint32_t)count;
    uint32_t refused = 0;
    for (size_t i = 0; i < count; i++)
        if (redisAsyncCommand(redis, on_ticker, f, "HGETALL scrip:ticker:%s",
                              found->element[i]->str) != REDIS_OK)
            refused++;
    f->expected -= refused;
    if (f->expected == 0)
        flow_answer(f);
}

void
own_ticker(struct shell *s, struct request *r, const struct http_request *h)
{
    struct http1_text query = h->head->query, name, value;
    char symbol[CODE_BYTES] = "";
    while (http1_next_pair(&query, &name, &value)) {
        if (name.length != 6 || memcmp(name.at, "symbol", 6) != 0) {
            code_t field = {{0}};
            memcpy(field.text, name.at,
                   name.length < CODE_BYTES ? name.length : (size_t)CODE_BYTES - 1);
            answer_field(s, r, ERR_FIELD_UNKNOWN, field, text_of("%s", ""));
            return;
        }
        if (!http1_decode(value, true, symbol, sizeof symbol) || symbol[0] == 0) {
            answer_field(s, r, ERR_SYMBOL_UNKNOWN, code_of("symbol"), text_of("%s", ""));
            return;
        }
    }
    struct market_cache *m = s->cache;
    if (m->redis == NULL || !m->is_up) {
        answer_error(s, r, ERR_CACHE_UNAVAILABLE);
        return;
    }
    struct ticker_flow *f = calloc(1, sizeof *f);
    CHECK(f != NULL);
    *f = (struct ticker_flow){.shell = s, .handle = request_handle(r), .is_all = symbol[0] == 0};
    memcpy(f->symbol, symbol, sizeof symbol);
    request_queue(s, r, ERR_CACHE_UNAVAILABLE);
    int sent;
    if (f->is_all) {
        sent = redisAsyncCommand(m->redis, on_symbols, f, "SMEMBERS scrip:symbols");
    } else {
        f->expected = 1;
        f->rows = calloc(1, sizeof *f->rows);
        CHECK(f->rows != NULL);
        sent = redisAsyncCommand(m->redis, on_ticker, f, "HGETALL scrip:ticker:%s", symbol);
    }
    if (sent != REDIS_OK) {
        answer_error(s, r, ERR_CACHE_UNAVAILABLE);
        free(f->rows);
        free(f);
    }
}
