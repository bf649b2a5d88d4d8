/*
 * redis_link.c - hiredis on the loop: connect, send, notice silence, connect again.
 *
 * Replies come in the order of the commands, so who waits for them stands in a ring. When a
 * connection is lost they are answered here, at once; what hiredis says of an old connection
 * afterwards is not heard.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <hiredis/adapters/libev.h>

#include "host/log.h"
#include "host/lookup.h"
#include "host/metrics.h"

#define BACKOFF_MIN_MS    100
#define BACKOFF_MAX_MS    2000
#define SILENCE_US        2000000
#define CHECK_EVERY_MS    500
#define IN_FLIGHT_DEFAULT 4096u

struct asker {
    redis_answer *answer; /* NULL: the reply is of no interest */
    void *arg;
};

struct redis_link {
    struct loop *loop;
    char host[LOOKUP_HOST_BYTES]; /* or the path of a unix socket */
    int port;                     /* 0 = a unix socket */
    char label[32];
    bool is_up, is_closing;
    redisAsyncContext *redis;
    struct lookup *lookup;
    uint32_t attempts; /* for the next one of several addresses */
    uint32_t ups;
    struct loop_timer *retry, *silence;
    int64_t backoff_ms;
    int64_t heard_us; /* steady clock: last reply, or first command after none under way */
    int64_t tried_us, failed_us; /* wall clock: this attempt to connect; the last that failed */
    struct asker *askers;
    uint32_t first, count, in_flight_max;
    void *arg;
    void (*on_up)(void *arg);
    struct metric *up, *lost, *failed;
};

/* ---- Who waits for replies --------------------------------------------------------------- */

static void
answer_next(struct redis_link *l, const redisReply *reply)
{
    struct asker k = l->askers[l->first];
    l->first = (l->first + 1) % l->in_flight_max;
    l->count--;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        metric_add(l->failed, 1);
    if (k.answer != NULL)
        k.answer(k.arg, reply);
}

static void
on_reply(redisAsyncContext *redis, void *reply, void *arg)
{
    (void)arg;
    struct redis_link *l = redis->data;
    if (l == NULL || l->redis != redis || l->count == 0)
        return;
    l->heard_us = loop_steady_us(l->loop);
    /* Without a reply the connection is breaking: all are answered when it is down. */
    if (reply != NULL)
        answer_next(l, reply);
}

/* ---- The connection ---------------------------------------------------------------------- */

static void
retry_later(struct redis_link *l)
{
    if (l->tried_us > 0)
        l->failed_us = l->tried_us;
    l->tried_us = 0;
    loop_timer_again(l->retry, l->backoff_ms);
    l->backoff_ms = l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : l->backoff_ms * 2;
}

static void
went_down(struct redis_link *l, const char *why)
{
    if (l->is_up) {
        log_line(LOG_WARN, "redis_down", "link=%s why=\"%s\" unanswered=%u", l->label, why,
                 l->count);
        metric_add(l->lost, 1);
    }
    l->redis = NULL;
    l->is_up = false;
    metric_set(l->up, 0);
    if (!l->is_closing)
        retry_later(l);
    /* Whoever sends again from in here is turned away. */
    while (l->count > 0)
        answer_next(l, NULL);
}

static void
on_connect(const redisAsyncContext *redis, int status)
{
    struct redis_link *l = redis->data;
    if (l == NULL || l->redis != redis)
        return;
    if (status != REDIS_OK) {
        went_down(l, redis->errstr);
        return;
    }
    log_line(LOG_INFO, "redis_up", "link=%s host=%s port=%d", l->label, l->host, l->port);
    l->is_up = true;
    l->ups++;
    l->tried_us = 0;
    l->backoff_ms = BACKOFF_MIN_MS;
    l->heard_us = loop_steady_us(l->loop);
    metric_set(l->up, 1);
    if (l->on_up != NULL)
        l->on_up(l->arg);
}

static void
on_disconnect(const redisAsyncContext *redis, int status)
{
    struct redis_link *l = redis->data;
    if (l != NULL && l->redis == redis)
        went_down(l, status == REDIS_OK ? "closed" : redis->errstr);
}

static void
connect_to(struct redis_link *l, const char *address)
{
    redisAsyncContext *redis =
        l->port == 0 ? redisAsyncConnectUnix(address) : redisAsyncConnect(address, l->port);
    if (redis == NULL || redis->err != 0) {
        if (redis != NULL)
            redisAsyncFree(redis);
        retry_later(l);
        return;
    }
    l->redis = redis;
    redis->data = l;
    l->heard_us = loop_steady_us(l->loop);
    redisLibevAttach(loop_ev(l->loop), redis);
    redisAsyncSetConnectCallback(redis, on_connect);
    redisAsyncSetDisconnectCallback(redis, on_disconnect);
}

static void
on_found(void *arg, const struct lookup_found *found)
{
    struct redis_link *l = arg;
    l->lookup = NULL;
    if (found->count == 0) {
        log_line(LOG_WARN, "redis_host_unknown", "link=%s host=%s", l->label, l->host);
        retry_later(l);
        return;
    }
    connect_to(l, found->address[l->attempts++ % found->count]);
}

static void
on_retry(void *arg)
{
    struct redis_link *l = arg;
    l->tried_us = loop_now_us(l->loop);
    if (l->port == 0)
        connect_to(l, l->host);
    else
        l->lookup = lookup_start(l->loop, l->host, on_found, l);
}

/* hiredis answers nobody any more. */
static void
context_drop(redisAsyncContext *redis)
{
    redis->data = NULL;
    redisAsyncFree(redis);
}

/* A server that accepts and never answers looks alive to TCP. */
static void
on_silence(void *arg)
{
    struct redis_link *l = arg;
    if (l->redis == NULL || (l->is_up && l->count == 0))
        return;
    if (loop_steady_us(l->loop) - l->heard_us < SILENCE_US)
        return;
    redisAsyncContext *redis = l->redis;
    went_down(l, "no answer");
    context_drop(redis);
}

/* ---- Opening ----------------------------------------------------------------------------- */

/* HOST:PORT or unix:PATH. */
static bool
address_read(struct redis_link *l, const char *address)
{
    if (strncmp(address, "unix:", 5) == 0) {
        size_t length = (size_t)snprintf(l->host, sizeof l->host, "%s", address + 5);
        return length > 0 && length < sizeof l->host;
    }
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || (size_t)(colon - address) >= sizeof l->host)
        return false;
    memcpy(l->host, address, (size_t)(colon - address));
    char *end;
    long port = strtol(colon + 1, &end, 10);
    l->port = (int)port;
    return end != colon + 1 && *end == 0 && port > 0 && port < 65536;
}

struct redis_link *
redis_link_open(const struct redis_link_options *o)
{
    struct redis_link *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->loop = o->loop;
    snprintf(l->label, sizeof l->label, "%s", o->label);
    l->on_up = o->on_up;
    l->arg = o->arg;
    l->backoff_ms = BACKOFF_MIN_MS;
    l->in_flight_max = o->in_flight_max > 0 ? o->in_flight_max : IN_FLIGHT_DEFAULT;
    if (!address_read(l, o->address)) {
        log_line(LOG_ERROR, "redis_address_not_valid", "link=%s address=%s form=HOST:PORT",
                 o->label, o->address);
        free(l);
        return NULL;
    }
    l->askers = calloc(l->in_flight_max, sizeof *l->askers);
    CHECK(l->askers != NULL);
    char label[64];
    snprintf(label, sizeof label, "link=\"%s\"", o->label);
    l->up = metric_gauge("scrip_redis_up", label, "1 while connected to Redis.");
    l->lost =
        metric_counter("scrip_redis_lost_total", label, "Connections to Redis that were lost.");
    l->failed = metric_counter("scrip_redis_failures_total", label,
                               "Commands that Redis refused or did not answer.");
    l->retry = loop_timer_new(l->loop, 0, 0, on_retry, l);
    l->silence = loop_timer_new(l->loop, CHECK_EVERY_MS, CHECK_EVERY_MS, on_silence, l);
    return l;
}

void
redis_link_close(struct redis_link **link)
{
    struct redis_link *l = *link;
    if (l == NULL)
        return;
    *link = NULL;
    l->is_closing = true;
    redisAsyncContext *redis = l->redis;
    int is_written;
    if (l->is_up && redis != NULL) /* the last words; as many as leave at once */
        (void)redisBufferWrite(&redis->c, &is_written);
    l->redis = NULL;
    l->is_up = false;
    metric_set(l->up, 0);
    while (l->count > 0)
        answer_next(l, NULL);
    if (redis != NULL)
        context_drop(redis);
    loop_timer_end(&l->retry);
    loop_timer_end(&l->silence);
    lookup_drop(&l->lookup);
    free(l->askers);
    free(l);
}

/* ---- Commands ---------------------------------------------------------------------------- */

bool
redis_link_is_up(const struct redis_link *l)
{
    return l->is_up;
}

uint32_t
redis_link_ups(const struct redis_link *l)
{
    return l->ups;
}

int64_t
redis_link_failed_us(const struct redis_link *l)
{
    return l->failed_us;
}

bool
redis_link_ready(const struct redis_link *l)
{
    return l->is_up && l->count < l->in_flight_max;
}

static bool
asker_add(struct redis_link *l, int sent, redis_answer *answer, void *arg)
{
    if (sent != REDIS_OK)
        return false;
    if (l->count == 0)
        l->heard_us = loop_steady_us(l->loop);
    l->askers[(l->first + l->count) % l->in_flight_max] = (struct asker){answer, arg};
    l->count++;
    return true;
}

bool
redis_link_send(struct redis_link *l, int count, const char *const *words, const size_t *lengths,
                redis_answer *answer, void *arg)
{
    if (!redis_link_ready(l))
        return false;
    /* hiredis takes the words without const and only reads them. */
    int sent =
        redisAsyncCommandArgv(l->redis, on_reply, NULL, count, (const char **)words, lengths);
    return asker_add(l, sent, answer, arg);
}

bool
redis_link_send_packed(struct redis_link *l, const char *command, size_t length,
                       redis_answer *answer, void *arg)
{
    if (!redis_link_ready(l))
        return false;
    int sent = redisAsyncFormattedCommand(l->redis, on_reply, NULL, command, length);
    return asker_add(l, sent, answer, arg);
}
