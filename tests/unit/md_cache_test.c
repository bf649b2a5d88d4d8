/*
 * md_cache_test.c - tickers and candles as Redis has them, read back by another client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/shell/cache.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_stage.h"

static struct net_stage stage;
static struct cache *cache;
static redisContext *redis;
static code_t symbol;
static int ups;

static void
on_up(void *arg)
{
    (void)arg;
    ups++;
}

static bool
is_ready(void)
{
    return cache_ready(cache);
}

static void
set_up(void)
{
    char name[CODE_BYTES], host[128];
    net_stage_open(&stage, false);
    snprintf(name, sizeof name, "T%d", (int)getpid());
    symbol = code_of(name);
    snprintf(host, sizeof host, "%s", getenv("SCRIP_TEST_REDIS"));
    cache = cache_open(stage.loop, host, on_up, NULL);
    cr_assert(cache != NULL);
    char *colon = strrchr(host, ':');
    *colon = 0;
    redis = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    cr_assert(redis != NULL && redis->err == 0);
    net_wait(&stage, is_ready, "Redis");
}

static void
tear_down(void)
{
    cache_close(&cache);
    redisFree(redis);
    net_stage_close(&stage);
}

TestSuite(cache, .init = set_up, .fini = tear_down);

static void
field_expect(const char *kind, const char *field, const char *value)
{
    redisReply *r = redisCommand(redis, "HGET scrip:%s:%s %s", kind, symbol.text, field);
    cr_assert(r->type == REDIS_REPLY_STRING, "%s %s is not there", kind, field);
    cr_assert_str_eq(r->str, value, "%s %s", kind, field);
    freeReplyObject(r);
}

static long long
number(const char *command, const char *key)
{
    redisReply *r = redisCommand(redis, command, key, symbol.text);
    long long n = r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : r->integer;
    freeReplyObject(r);
    return n;
}

static bool
candle_is_there(void)
{
    return number("HLEN scrip:%s:%s", "candle") ==
           (long long)msg_record_at(MSG_RECORD_candle)->field_count + 3;
}

static bool
all_is_gone(void)
{
    return number("EXISTS scrip:%s:%s", "candle") == 0;
}

static void
all_put(void)
{
    const struct md_ticker t = {.symbol = symbol,
                                .last_price = {INT64_C(6012345678901)},
                                .bid = {1},
                                .ask = {INT64_MAX},
                                .price_change = {-1},
                                .quote_volume = {0},
                                .trades = 1234567890123,
                                .time_us = INT64_C(1763754000000001),
                                .state = STREAM_STATE_HEALING};
    const struct candle k = {.open_time_us = 60000000,
                             .open = {100000000},
                             .close = {250000000},
                             .volume = {10},
                             .trades = 7};
    cr_assert(cache_ready(cache));
    cache_symbol(cache, symbol);
    cache_put(cache, &t);
    cache_candle(cache, symbol, INTERVAL_1m, &k);
}

Test(cache, a_symbol_can_be_read_back)
{
    all_put();
    net_wait(&stage, candle_is_there, "the last of three commands");
    cr_assert_eq(number("HLEN scrip:%s:%s", "ticker"),
                 (long long)msg_layout(MSG_md_ticker)->field_count);
    cr_assert_eq(number("SISMEMBER scrip:%s %s", "symbols"), 1);
    field_expect("ticker", "symbol", symbol.text);
    field_expect("ticker", "last_price", "60123.45678901");
    field_expect("ticker", "bid", "0.00000001");
    field_expect("ticker", "ask", "92233720368.54775807");
    field_expect("ticker", "price_change", "-0.00000001");
    field_expect("ticker", "quote_volume", "0.00000000");
    field_expect("ticker", "trades", "1234567890123");
    field_expect("ticker", "time_us", "1763754000000001");
    field_expect("ticker", "state", "HEALING");
    field_expect("candle", "symbol", symbol.text);
    field_expect("candle", "interval", "1m");
    field_expect("candle", "open_time_us", "60000000");
    field_expect("candle", "open", "1.00000000");
    field_expect("candle", "close", "2.50000000");
    field_expect("candle", "volume", "0.00000010");
    field_expect("candle", "trades", "7");
    field_expect("candle", "is_closed", "false");
    int64_t written_us = number("HGET scrip:%s:%s written_us", "ticker");
    cr_assert(written_us > 0 && written_us <= loop_now_us(stage.loop));
    cr_assert_gt(number("HGET scrip:%s:%s written_us", "candle"), 0);
    cr_assert_eq(ups, 1);
    cache_remove(cache, symbol);
    net_wait(&stage, all_is_gone, "what was removed");
    cr_assert_eq(number("EXISTS scrip:%s:%s", "ticker"), 0);
    cr_assert_eq(number("SISMEMBER scrip:%s %s", "symbols"), 0);
}

Test(cache, a_full_queue_is_told_and_empties)
{
    int rounds = 0;
    while (cache_ready(cache)) {
        all_put();
        rounds++;
    }
    cr_assert_geq(rounds, 1000);
    cache_put(cache, &(struct md_ticker){.symbol = symbol});
    net_wait(&stage, candle_is_there, "the first of them");
    net_wait(&stage, is_ready, "room again");
    cache_remove(cache, symbol);
    net_wait(&stage, all_is_gone, "what was removed");
}
