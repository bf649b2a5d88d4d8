/*
 * cache.c - hiredis on the loop: connect, write, notice silence, connect again.
 *
 *   RESOLVING -> CONNECTING -> UP -> (error, or no reply for SILENCE_MS) -> WAITING -> RESOLVING
 *
 * A host name is looked up on a thread of its own, because the C library's look-up waits for
 * seconds when name service is away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/cache.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <hiredis/adapters/libev.h>

#include "host/log.h"
#include "host/metrics.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define SILENCE_MS     2000
#define CHECK_EVERY_MS 500
#define IN_FLIGHT_MAX  4096
#define FIELDS_MAX     32
#define HOST_BYTES     256

/* A look-up under way; outlives the cache when it takes longer. */
struct lookup {
    pthread_mutex_t mutex;
    struct loop_wake *wake; /* NULL once nobody waits */
    char host[HOST_BYTES];
    char found[INET6_ADDRSTRLEN]; /* "" = not found */
    bool is_done;
};

struct cache {
    struct loop *loop;
    char host[HOST_BYTES];
    int port;
    bool is_unix, is_up, is_closing;
    redisAsyncContext *redis;
    struct lookup *lookup;
    struct loop_wake *wake;
    struct loop_timer *retry, *silence;
    int64_t backoff_ms;
    uint32_t in_flight;
    int64_t heard_us; /* steady clock, last reply or first command after none in flight */
    void (*on_up)(void *arg);
    void *arg;
    struct metric *updates, *failures, *up;
};

static void connect_now(struct cache *c, const char *address);

/* ---- Looking the host up ---------------------------------------------------------------- */

static void
lookup_free(struct lookup *k)
{
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

static void *
lookup_run(void *arg)
{
    struct lookup *k = arg;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char found[INET6_ADDRSTRLEN] = "";
    if (getaddrinfo(k->host, NULL, &hints, &list) == 0 && list != NULL)
        getnameinfo(list->ai_addr, list->ai_addrlen, found, sizeof(found), NULL, 0, NI_NUMERICHOST);
    if (list != NULL)
        freeaddrinfo(list);
    pthread_mutex_lock(&k->mutex);
    memcpy(k->found, found, sizeof(found));
    k->is_done = true;
    bool is_awaited = k->wake != NULL;
    if (is_awaited)
        loop_wake_send(k->wake);
    pthread_mutex_unlock(&k->mutex);
    if (!is_awaited)
        lookup_free(k);
    return NULL;
}

static bool
is_numeric(const char *host)
{
    struct in6_addr a;
    return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static void
retry_later(struct cache *c)
{
    loop_timer_again(c->retry, c->backoff_ms);
    c->backoff_ms = c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2;
}

static void
on_retry(void *arg)
{
    struct cache *c = arg;
    if (c->is_unix || is_numeric(c->host)) {
        connect_now(c, c->host);
        return;
    }
    if (c->lookup != NULL)
        return;
    c->lookup = calloc(1, sizeof(*c->lookup));
    CHECK(c->lookup != NULL);
    pthread_mutex_init(&c->lookup->mutex, NULL);
    c->lookup->wake = c->wake;
    memcpy(c->lookup->host, c->host, sizeof(c->host));
    pthread_t thread;
    if (pthread_create(&thread, NULL, lookup_run, c->lookup) != 0) {
        lookup_free(c->lookup);
        c->lookup = NULL;
        retry_later(c);
        return;
    }
    pthread_detach(thread);
}

static void
on_wake(void *arg)
{
    struct cache *c = arg;
    struct lookup *k = c->lookup;
    if (k == NULL)
        return;
    c->lookup = NULL;
    char found[INET6_ADDRSTRLEN];
    pthread_mutex_lock(&k->mutex);
    memcpy(found, k->found, sizeof(found));
    pthread_mutex_unlock(&k->mutex);
    lookup_free(k);
    if (*found != '\0') {
        connect_now(c, found);
        return;
    }
    log_line(LOG_WARN, "cache_host_unknown", "host=%s", c->host);
    retry_later(c);
}

/* ---- The connection --------------------------------------------------------------------- */

static void
went_down(struct cache *c, const char *why)
{
    c->redis = NULL;
    c->in_flight = 0;
    if (c->is_up)
        log_line(LOG_WARN, "cache_down", "why=\"%s\"", why);
    c->is_up = false;
    metric_set(c->up, 0);
    if (!c->is_closing)
        retry_later(c);
}

static void
on_connect(const redisAsyncContext *redis, int status)
{
    struct cache *c = redis->data;
    if (c->redis != redis)
        return;
    if (status != REDIS_OK) {
        went_down(c, redis->errstr);
        return;
    }
    log_line(LOG_INFO, "cache_up", "host=%s port=%d", c->host, c->port);
    c->is_up = true;
    c->backoff_ms = BACKOFF_MIN_MS;
    c->heard_us = loop_steady_us(c->loop);
    metric_set(c->up, 1);
    c->on_up(c->arg);
}

static void
on_disconnect(const redisAsyncContext *redis, int status)
{
    struct cache *c = redis->data;
    if (c->redis == redis)
        went_down(c, status == REDIS_OK ? "closed" : redis->errstr);
}

static void
connect_now(struct cache *c, const char *address)
{
    redisAsyncContext *redis =
        c->is_unix ? redisAsyncConnectUnix(address) : redisAsyncConnect(address, c->port);
    if (redis == NULL || redis->err != 0) {
        if (redis != NULL)
            redisAsyncFree(redis);
        retry_later(c);
        return;
    }
    c->redis = redis;
    redis->data = c;
    c->heard_us = loop_steady_us(c->loop);
    redisLibevAttach(loop_ev(c->loop), redis);
    redisAsyncSetConnectCallback(redis, on_connect);
    redisAsyncSetDisconnectCallback(redis, on_disconnect);
}

/* A server that accepts and never answers looks alive to TCP. */
static void
on_silence(void *arg)
{
    struct cache *c = arg;
    if (c->redis == NULL || (c->is_up && c->in_flight == 0))
        return;
    if (loop_steady_us(c->loop) - c->heard_us < SILENCE_MS * 1000)
        return;
    redisAsyncContext *redis = c->redis;
    went_down(c, "no answer");
    redisAsyncFree(redis);
}

/* "host:port" or "unix:PATH". */
static bool
address_read(struct cache *c, const char *address)
{
    c->is_unix = strncmp(address, "unix:", 5) == 0;
    if (c->is_unix)
        return (size_t)snprintf(c->host, sizeof(c->host), "%s", address + 5) < sizeof(c->host);
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || (size_t)(colon - address) >= sizeof(c->host))
        return false;
    memcpy(c->host, address, (size_t)(colon - address));
    char *end;
    long long port = strtoll(colon + 1, &end, 10);
    c->port = (int)port;
    return end != colon + 1 && *end == '\0' && port > 0 && port < 65536;
}

struct cache *
cache_open(struct loop *l, const char *address, void (*on_up)(void *arg), void *arg)
{
    struct cache *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->loop = l;
    c->on_up = on_up;
    c->arg = arg;
    c->backoff_ms = BACKOFF_MIN_MS;
    if (!address_read(c, address)) {
        log_line(LOG_ERROR, "cache_address_not_valid", "redis=%s", address);
        free(c);
        return NULL;
    }
    c->updates =
        metric_counter("scrip_marketdata_cache_updates_total", "", "Tickers that Redis confirmed.");
    c->failures = metric_counter("scrip_marketdata_cache_failures_total", "",
                                 "Commands that Redis refused or did not answer.");
    c->up = metric_gauge("scrip_marketdata_cache_up", "", "1 while connected to Redis.");
    c->wake = loop_wake_new(l, on_wake, c);
    c->retry = loop_timer_new(l, 0, 0, on_retry, c);
    c->silence = loop_timer_new(l, CHECK_EVERY_MS, CHECK_EVERY_MS, on_silence, c);
    return c;
}

void
cache_close(struct cache **cache)
{
    struct cache *c = *cache;
    if (c == NULL)
        return;
    c->is_closing = true;
    if (c->redis != NULL)
        redisAsyncFree(c->redis);
    loop_timer_end(&c->retry);
    loop_timer_end(&c->silence);
    if (c->lookup != NULL) {
        /* The thread frees it, unless it has already sent its wake. */
        pthread_mutex_lock(&c->lookup->mutex);
        c->lookup->wake = NULL;
        bool is_done = c->lookup->is_done;
        pthread_mutex_unlock(&c->lookup->mutex);
        if (is_done)
            lookup_free(c->lookup);
    }
    loop_wake_end(&c->wake);
    free(c);
    *cache = NULL;
}

bool
cache_ready(const struct cache *c)
{
    return c->is_up && c->in_flight < IN_FLIGHT_MAX;
}

static void
on_reply(redisAsyncContext *redis, void *reply, void *arg)
{
    struct cache *c = redis->data;
    (void)arg;
    if (c->redis != redis)
        return;
    c->in_flight -= c->in_flight > 0;
    c->heard_us = loop_steady_us(c->loop);
    const redisReply *r = reply;
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        metric_add(c->failures, 1);
    else
        metric_add(c->updates, 1);
}

static void
send_command(struct cache *c, int count, const char **words, const size_t *lengths)
{
    if (c->in_flight == 0)
        c->heard_us = loop_steady_us(c->loop);
    if (redisAsyncCommandArgv(c->redis, on_reply, NULL, count, words, lengths) == REDIS_OK)
        c->in_flight++;
    else
        metric_add(c->failures, 1);
}

/* A field as text; amounts with eight decimals, as everywhere users see them. */
static void
field_text(const struct msg_field *f, const void *body, char out[DECIMAL_BYTES])
{
    const char *at = (const char *)body + f->offset;
    int64_t i64;
    uint64_t u64;
    uint32_t u32;
    switch ((enum msg_kind)f->kind) {
    case KIND_CODE:
        snprintf(out, DECIMAL_BYTES, "%s", ((const code_t *)at)->text);
        return;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        memcpy(&i64, at, sizeof(i64));
        decimal_write(i64, out);
        return;
    case KIND_TIME:
    case KIND_I64:
        memcpy(&i64, at, sizeof(i64));
        snprintf(out, DECIMAL_BYTES, "%lld", (long long)i64);
        return;
    case KIND_U64:
    case KIND_ID:
        memcpy(&u64, at, sizeof(u64));
        snprintf(out, DECIMAL_BYTES, "%llu", (unsigned long long)u64);
        return;
    case KIND_ENUM:
        memcpy(&u32, at, sizeof(u32));
        snprintf(out, DECIMAL_BYTES, "%s", msg_enum_name((enum msg_enum)f->enum_id, u32));
        return;
    default:
        out[0] = '\0'; /* md_ticker has no others */
    }
}

void
cache_put(struct cache *c, const struct md_ticker *t)
{
    CHECK(cache_ready(c));
    const struct msg_layout *l = msg_layout(MSG_md_ticker);
    char key[64], text[FIELDS_MAX][DECIMAL_BYTES];
    const char *words[2 + 2 * FIELDS_MAX] = {"HSET", key};
    size_t lengths[2 + 2 * FIELDS_MAX] = {4};
    int count = 2;
    CHECK(l->field_count <= FIELDS_MAX);
    lengths[1] = (size_t)snprintf(key, sizeof(key), "scrip:ticker:%s", t->symbol.text);
    for (uint32_t i = 0; i < l->field_count; i++) {
        field_text(&l->fields[i], t, text[i]);
        words[count] = l->fields[i].name;
        lengths[count] = strlen(words[count]);
        words[count + 1] = text[i];
        lengths[count + 1] = strlen(text[i]);
        count += 2;
    }
    send_command(c, count, words, lengths);
}

void
cache_symbol(struct cache *c, code_t symbol)
{
    CHECK(cache_ready(c));
    const char *words[] = {"SADD", "scrip:symbols", symbol.text};
    const size_t lengths[] = {4, 13, strlen(symbol.text)};
    send_command(c, 3, words, lengths);
}
