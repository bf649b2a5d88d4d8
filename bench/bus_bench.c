/*
 * bus_bench.c - the bus next to bare libzmq: round trips and echoed messages a second.
 *
 *     bus_bench [ENDPOINT]      tcp://127.0.0.1:17999 when absent
 *
 * A child echoes order_place messages, the parent keeps 1 or 1000 of them under way, for a second
 * each. Bare libzmq sends every message as it is, without packing: it is the ceiling for single
 * messages, and shows what packing costs and what one frame a turn brings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "host/log.h"
#include "wire/bus.h"

#define RUN_US      1000000
#define SAMPLES_MAX 4000000

static const char *endpoint;
static int64_t *samples;
static size_t sample_count;
static int64_t begun_us;

static int64_t
clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct order_place
order_sample(void)
{
    struct order_place o = {.account_id = 123456,
                            .symbol = code_of("BTCUSDT"),
                            .side = SIDE_BUY,
                            .type = ORDER_TYPE_LIMIT,
                            .time_in_force = TIME_IN_FORCE_GTC,
                            .price = {INT64_C(9312345000000)},
                            .quantity = {INT64_C(1250000)}};
    snprintf(o.client_order_id.text, sizeof o.client_order_id.text, "bench-0123456789abcdef");
    return o;
}

/* One answer: the time it took; whether the run goes on. */
static bool
sample(uint64_t sent_us)
{
    int64_t now = clock_us();
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = now - (int64_t)sent_us;
    return now - begun_us < RUN_US;
}

static int
sample_order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void
report(const char *what, int window)
{
    qsort(samples, sample_count, sizeof *samples, sample_order);
    printf("%-8s window=%-5d echoes/s=%-8zu p50_us=%-6lld p99_us=%lld\n", what, window,
           sample_count * 1000000 / RUN_US, (long long)samples[sample_count / 2],
           (long long)samples[sample_count * 99 / 100]);
    fflush(stdout);
}

/* ---- The bus ---------------------------------------------------------------------------- */

struct bench {
    struct loop *loop;
    struct bus *bus;
};

static void
on_request(void *arg, const struct bus_in *in)
{
    struct bench *b = arg;
    bus_put(b->bus, in->peer, in->msg->type, in->msg->corr, &in->msg->order_place);
}

static void
on_answer(void *arg, const struct bus_in *in)
{
    struct bench *b = arg;
    if (sample(in->msg->corr))
        bus_put(b->bus, 0, in->msg->type, (uint64_t)clock_us(), &in->msg->order_place);
    else
        loop_stop(b->loop);
}

static void
bus_run(enum bus_role role, int window)
{
    struct bench b = {.loop = loop_new()};
    b.bus = bus_open(b.loop,
                     &(struct bus_options){.role = role,
                                           .endpoint = endpoint,
                                           .name = role == BUS_SERVE ? "server" : "client",
                                           .arg = &b,
                                           .on_msg = role == BUS_SERVE ? on_request : on_answer});
    if (b.bus == NULL)
        exit(1);
    struct order_place o = order_sample();
    begun_us = clock_us();
    for (int i = 0; i < window; i++)
        bus_put(b.bus, 0, MSG_order_place, (uint64_t)begun_us, &o);
    loop_run(b.loop);
    bus_close(&b.bus);
    bus_teardown();
    loop_destroy(&b.loop);
}

/* ---- Bare libzmq ------------------------------------------------------------------------ */

static void
bare_serve(void)
{
    void *context = zmq_ctx_new(), *s = zmq_socket(context, ZMQ_ROUTER);
    int unlimited = 0;
    zmq_setsockopt(s, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(s, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    if (zmq_bind(s, endpoint) != 0)
        exit(1);
    for (;;) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        zmq_msg_recv(&part, s, 0);
        zmq_msg_send(&part, s, zmq_msg_more(&part) ? ZMQ_SNDMORE : 0);
    }
}

static void
bare_ask(int window)
{
    void *context = zmq_ctx_new(), *s = zmq_socket(context, ZMQ_DEALER);
    struct bytes packed = {0};
    struct order_place o = order_sample();
    uint64_t sent_us;
    int none = 0;
    zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none);
    zmq_connect(s, endpoint);
    msg_pack_body(&packed, MSG_order_place, UINT64_MAX, &o);
    begun_us = clock_us();
    memcpy(packed.data, &begun_us, sizeof begun_us); /* the time rides in the first bytes */
    for (int i = 0; i < window; i++)
        zmq_send(s, packed.data, packed.length, 0);
    for (;;) {
        zmq_msg_t m;
        zmq_msg_init(&m);
        zmq_msg_recv(&m, s, 0);
        memcpy(&sent_us, zmq_msg_data(&m), sizeof sent_us);
        if (!sample(sent_us))
            break;
        sent_us = (uint64_t)clock_us();
        memcpy(zmq_msg_data(&m), &sent_us, sizeof sent_us);
        zmq_msg_send(&m, s, 0);
    }
    zmq_close(s);
    zmq_ctx_term(context);
    bytes_free(&packed);
}

/* ----------------------------------------------------------------------------------------- */

static void
measure(bool bare, int window)
{
    pid_t child = fork();
    if (child == 0) {
        if (bare)
            bare_serve();
        bus_run(BUS_SERVE, 0);
    }
    sample_count = 0;
    if (bare)
        bare_ask(window);
    else
        bus_run(BUS_ASK, window);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    report(bare ? "libzmq" : "bus", window);
}

int
main(int argc, char **argv)
{
    endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:17999";
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    CHECK(samples != NULL);
    log_open("bus_bench", LOG_WARN);
    static const int windows[] = {1, 1000};
    for (int w = 0; w < 2; w++) {
        measure(true, windows[w]);
        measure(false, windows[w]);
    }
    free(samples);
    return 0;
}
