/*
 * market_cache.c - tickers to Redis through market data's cache, and through bare hiredis.
 *
 *     market_cache ADDRESS bare|ours SECONDS
 *
 * Both write the same fields of the same five hundred symbols, one after the other. Bare hiredis
 * appends the same words in pipelines of a thousand on one connection. Prints one JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "clock.h"
#include "host/log.h"
#include "marketdata/shell/cache.h"
#include "number.h"

#define SYMBOLS  500
#define PIPELINE 1000 /* more is not faster */
#define FIELDS   32

static struct md_ticker tickers[SYMBOLS];
static uint64_t written;
static int64_t begin_ns, end_ns;

static void
tickers_make(void)
{
    for (int i = 0; i < SYMBOLS; i++) {
        struct md_ticker *t = &tickers[i];
        int64_t price = INT64_C(100000000) * (i + 1) + 12345678;
        *t = (struct md_ticker){.last_price = {price},
                                .bid = {price - 1000000},
                                .bid_quantity = {INT64_C(312345678)},
                                .ask = {price + 1000000},
                                .ask_quantity = {INT64_C(98765432)},
                                .open_price = {price - 50000000},
                                .high_price = {price + 70000000},
                                .low_price = {price - 80000000},
                                .price_change = {50000000},
                                .volume = {INT64_C(1234567890123)},
                                .quote_volume = {INT64_C(987654321098765)},
                                .trades = 1234567,
                                .time_us = INT64_C(1795250000000000),
                                .state = STREAM_STATE_LIVE,
                                .written_us = INT64_C(1795250000000000)};
        snprintf(t->symbol.text, sizeof t->symbol.text, "COIN%dUSDT", i);
    }
}

/* ---- Ours -------------------------------------------------------------------------------- */

struct ours {
    struct loop *loop;
    struct cache *cache;
    uint64_t put;
};

static void
on_turn(void *arg)
{
    struct ours *o = arg;
    if (begin_ns == 0)
        return;
    while (cache_ready(o->cache))
        cache_put(o->cache, &tickers[o->put++ % SYMBOLS]);
    if (now_ns() >= end_ns)
        loop_stop(o->loop);
}

static void
on_up(void *arg)
{
    struct ours *o = arg;
    end_ns += now_ns();
    begin_ns = now_ns();
    loop_soon(o->loop);
}

static void
ours(const char *address)
{
    struct ours o = {.loop = loop_new()};
    o.cache = cache_open(o.loop, address, on_up, &o);
    CHECK(o.cache != NULL);
    loop_on_turn(o.loop, on_turn, &o);
    loop_run(o.loop);
    /* What Redis has not answered yet is at most a few thousand of a great many. */
    written = o.put;
    end_ns = now_ns();
    cache_close(&o.cache);
    loop_destroy(&o.loop);
}

/* ---- Bare -------------------------------------------------------------------------------- */

struct words {
    int count;
    const char *at[2 + 2 * FIELDS];
    size_t lengths[2 + 2 * FIELDS];
    char texts[FIELDS][DECIMAL_BYTES];
    char key[64];
};

static void
words_make(const struct md_ticker *t, struct words *w)
{
    const struct msg_layout *l = msg_layout(MSG_md_ticker);
    snprintf(w->key, sizeof w->key, "scrip:ticker:%.*s", CODE_BYTES, t->symbol.text);
    w->at[0] = "HSET";
    w->at[1] = w->key;
    w->count = 2;
    for (uint32_t i = 0; i < l->field_count; i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)t + l->fields[i].offset, l->fields[i].width == 4 ? 4 : 8);
        if (l->fields[i].kind == KIND_CODE)
            snprintf(w->texts[i], DECIMAL_BYTES, "%.*s", CODE_BYTES, t->symbol.text);
        else if (l->fields[i].kind == KIND_TIME || l->fields[i].kind == KIND_U64)
            snprintf(w->texts[i], DECIMAL_BYTES, "%lld", (long long)value);
        else if (l->fields[i].kind == KIND_ENUM)
            snprintf(w->texts[i], DECIMAL_BYTES, "LIVE");
        else
            decimal_write(value, w->texts[i]);
        w->at[w->count++] = l->fields[i].name;
        w->at[w->count++] = w->texts[i];
    }
    for (int i = 0; i < w->count; i++)
        w->lengths[i] = strlen(w->at[i]);
}

static redisContext *
bare_connect(const char *address)
{
    char host[128];
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "unix:", 5) == 0)
        return redisConnectUnix(address + 5);
    CHECK(colon != NULL && (size_t)(colon - address) < sizeof host);
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    return redisConnect(host, (int)number_of(colon + 1));
}

/* The words are made before: what is measured is hiredis and Redis. */
static void
bare(const char *address)
{
    static struct words words[SYMBOLS];
    redisContext *redis = bare_connect(address);
    CHECK(redis != NULL && redis->err == 0);
    for (int i = 0; i < SYMBOLS; i++)
        words_make(&tickers[i], &words[i]);
    begin_ns = now_ns();
    end_ns += begin_ns;
    while (now_ns() < end_ns) {
        for (int i = 0; i < PIPELINE; i++) {
            struct words *w = &words[(written + (uint64_t)i) % SYMBOLS];
            redisAppendCommandArgv(redis, w->count, w->at, w->lengths);
        }
        for (int i = 0; i < PIPELINE; i++) {
            void *reply = NULL;
            CHECK(redisGetReply(redis, &reply) == REDIS_OK);
            freeReplyObject(reply);
        }
        written += PIPELINE;
    }
    end_ns = now_ns();
    redisFree(redis);
}

int
main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[2], "bare") != 0 && strcmp(argv[2], "ours") != 0)) {
        fprintf(stderr, "usage: market_cache ADDRESS bare|ours SECONDS\n");
        return 2;
    }
    log_open("market_cache", LOG_WARN);
    tickers_make();
    end_ns = number_of(argv[3]) * 1000000000;
    if (*argv[2] == 'b')
        bare(argv[1]);
    else
        ours(argv[1]);
    printf("{\"written\":%llu,\"ns\":%lld}\n", (unsigned long long)written,
           (long long)(end_ns - begin_ns));
    return 0;
}
