/*
 * market_feed.c - what a follower of market data hears, and the same through bare libzmq.
 *
 *     market_feed follow ENDPOINT SECONDS      until the stream has ended, or for SECONDS
 *     market_feed bare ENDPOINT BYTES SECONDS  one publisher, one subscriber, BYTES a message
 *
 * `follow` reads every message of every symbol ("t.") as a service does and tells how many came,
 * how many numbers were missing, and how long after their exchange time they were here. Prints one
 * JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "base/map.h"
#include "base/msg_stream.h"
#include "clock.h"
#include "host/log.h"
#include "number.h"
#include "wire/bus.h"

#define SYMBOLS_MAX 4096
#define LAG_BUCKETS 20000 /* of 100 us */
#define QUEUE_MAX   1000000

static struct {
    struct loop *loop;
    struct map symbols;
    uint64_t numbers[SYMBOLS_MAX]; /* the last one of each symbol */
    bool has_ended[SYMBOLS_MAX];
    uint32_t symbol_count, ended;
    uint64_t messages, missed, stale;
    int64_t first_ns, last_ns;
    uint64_t lags[LAG_BUCKETS];
    uint64_t lag_count;
} heard;

/* When it happened, where the message says so; 0 elsewhere. */
static int64_t
time_of(const struct msg *m)
{
    switch (m->type) {
    case MSG_md_trade:
        return m->md_trade.trade.time_us;
    case MSG_md_quote:
        return m->md_quote.time_us;
    case MSG_md_depth:
        return m->md_depth.time_us;
    default:
        return 0;
    }
}

static uint32_t
symbol_place(code_t symbol)
{
    uint64_t hash = map_hash(symbol.text, sizeof symbol.text);
    uint32_t place = map_get(&heard.symbols, hash);
    if (place == MAP_NONE) {
        CHECK(heard.symbol_count < SYMBOLS_MAX);
        place = heard.symbol_count++;
        map_set(&heard.symbols, hash, place);
    }
    return place;
}

static void
lag_add(int64_t lag_us)
{
    uint64_t bucket = lag_us < 0 ? 0 : (uint64_t)lag_us / 100;
    heard.lags[bucket < LAG_BUCKETS ? bucket : LAG_BUCKETS - 1]++;
    heard.lag_count++;
}

static double
lag_ms(uint64_t per_mille)
{
    uint64_t left = heard.lag_count * per_mille / 1000;
    for (int i = 0; i < LAG_BUCKETS; i++) {
        if (heard.lags[i] > left)
            return (i + 1) / 10.0;
        left -= heard.lags[i];
    }
    return 0;
}

static void
on_msg(void *arg, const struct bus_in *in)
{
    (void)arg;
    const code_t *symbol = msg_stream_symbol(in->msg);
    if (in->msg->type == MSG_md_beat) {
        uint32_t place = symbol_place(in->msg->md_beat.symbol);
        heard.stale += in->msg->md_beat.state == STREAM_STATE_STALE;
        if (in->msg->md_beat.state != STREAM_STATE_ENDED || heard.has_ended[place])
            return;
        heard.has_ended[place] = true;
        if (++heard.ended == heard.symbol_count)
            loop_stop(heard.loop);
        return;
    }
    if (symbol == NULL)
        return;
    uint32_t place = symbol_place(*symbol);
    uint64_t number = msg_stream_number(in->msg);
    int64_t time_us = time_of(in->msg);
    if (heard.numbers[place] != 0 && number > heard.numbers[place] + 1)
        heard.missed += number - heard.numbers[place] - 1;
    heard.numbers[place] = number;
    if (heard.messages++ == 0)
        heard.first_ns = now_ns();
    if (time_us > 0)
        lag_add(loop_now_us(heard.loop) - time_us);
    if (in->last)
        heard.last_ns = now_ns();
}

static void
on_time(void *arg)
{
    loop_stop(arg);
}

static void
follow(const char *endpoint, int64_t seconds)
{
    void *room = malloc(map_bytes(SYMBOLS_MAX));
    CHECK(room != NULL);
    map_init(&heard.symbols, SYMBOLS_MAX, room);
    heard.loop = loop_new();
    struct bus *bus = bus_open(heard.loop, &(struct bus_options){.role = BUS_FOLLOW,
                                                                 .endpoint = endpoint,
                                                                 .name = "market_feed",
                                                                 .queue_max = QUEUE_MAX,
                                                                 .on_msg = on_msg});
    CHECK(bus != NULL);
    bus_follow(bus, "t.");
    struct loop_timer *t = loop_timer_new(heard.loop, seconds * 1000, 0, on_time, heard.loop);
    fprintf(stderr, "follows\n");
    loop_run(heard.loop);
    printf("{\"messages\":%llu,\"missed\":%llu,\"symbols\":%u,\"stale\":%llu,\"ns\":%lld,"
           "\"lag_p50_ms\":%.1f,\"lag_p99_ms\":%.1f,\"lag_p999_ms\":%.1f}\n",
           (unsigned long long)heard.messages, (unsigned long long)heard.missed, heard.symbol_count,
           (unsigned long long)heard.stale, (long long)(heard.last_ns - heard.first_ns),
           lag_ms(500), lag_ms(990), lag_ms(999));
    loop_timer_end(&t);
    bus_close(&bus);
    bus_teardown();
    loop_destroy(&heard.loop);
    free(room);
}

/* ---- Bare libzmq ------------------------------------------------------------------------- */

static void *
bare_socket(int type, void **context)
{
    *context = zmq_ctx_new();
    void *s = zmq_socket(*context, type);
    int queue = QUEUE_MAX, none = 0, whole = 1;
    zmq_setsockopt(s, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(s, ZMQ_RCVHWM, &queue, sizeof queue);
    zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none);
    /* Waits for the subscriber instead of dropping: the ceiling is what arrives. */
    if (type == ZMQ_XPUB)
        zmq_setsockopt(s, ZMQ_XPUB_NODROP, &whole, sizeof whole);
    return s;
}

static void
bare_publish(const char *endpoint, size_t length)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *context, *s = bare_socket(ZMQ_XPUB, &context);
    char *message = calloc(1, length);
    char subscription[8];
    CHECK(message != NULL && zmq_bind(s, endpoint) == 0);
    memcpy(message, "t.", 2);
    zmq_recv(s, subscription, sizeof subscription, 0);
    for (;;)
        zmq_send(s, message, length, 0);
}

static void
bare(const char *endpoint, size_t length, int64_t seconds)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        bare_publish(endpoint, length);
    void *context, *s = bare_socket(ZMQ_SUB, &context);
    zmq_setsockopt(s, ZMQ_SUBSCRIBE, "t.", 2);
    zmq_connect(s, endpoint);
    zmq_msg_t m;
    zmq_msg_init(&m);
    zmq_msg_recv(&m, s, 0);
    uint64_t count = 0;
    int64_t begin = now_ns(), end = begin + seconds * 1000000000, now = begin;
    while (now < end) {
        for (int i = 0; i < 256; i++, count++)
            zmq_msg_recv(&m, s, 0);
        now = now_ns();
    }
    printf("{\"messages\":%llu,\"ns\":%lld}\n", (unsigned long long)count,
           (long long)(now - begin));
    zmq_msg_close(&m);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    zmq_close(s);
    zmq_ctx_term(context);
}

int
main(int argc, char **argv)
{
    log_open("market_feed", LOG_WARN);
    if (argc == 4 && strcmp(argv[1], "follow") == 0) {
        follow(argv[2], number_of(argv[3]));
    } else if (argc == 5 && strcmp(argv[1], "bare") == 0 && number_of(argv[3]) >= 8) {
        bare(argv[2], (size_t)number_of(argv[3]), number_of(argv[4]));
    } else {
        fprintf(stderr, "usage: market_feed follow ENDPOINT SECONDS\n"
                        "       market_feed bare ENDPOINT BYTES SECONDS\n");
        return 2;
    }
    return 0;
}
