/*
 * bus_party.h - what the tests of the bus share: parties on a loop, and a stranger's bare socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_TESTS_UNIT_BUS_PARTY_H
#define SCRIP_TESTS_UNIT_BUS_PARTY_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "host/log.h"
#include "host/metrics.h"
#include "wire/bus.h"

static struct loop *loop;
static char folder[64], endpoint[128];
static struct loop_timer *limit;

/* What a side saw; each test sets what it needs. */
static struct party {
    struct bus *bus;
    uint32_t messages, lasts, bad_frames, topics_gained, topics_lost, wanted;
    uint32_t peer;
    uint64_t corr;
    struct frame frame;
    struct msg msg;
    char topic[64];
    enum err why;
    bool answers, hears_links;
    char links[8]; /* + for a connection that came, - for one that went */
} server, client, other;

__attribute__((unused)) static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing came: server %u of %u, client %u of %u", server.messages, server.wanted,
                   client.messages, client.wanted);
}

__attribute__((unused)) static void
on_msg(void *arg, const struct bus_in *in)
{
    struct party *s = arg;
    s->messages++;
    s->lasts += in->last;
    s->peer = in->peer;
    s->corr = in->msg->corr;
    s->msg = *in->msg;
    s->frame = *in->frame;
    if (in->topic != NULL)
        snprintf(s->topic, sizeof s->topic, "%s", in->topic);
    if (s->answers)
        bus_put(s->bus, in->peer, MSG_refused, in->msg->corr,
                &(struct refused){.error = ERR_NOT_AVAILABLE_YET});
    if (s->messages == s->wanted)
        loop_stop(loop);
}

__attribute__((unused)) static void
on_topic(void *arg, const char *topic, bool followed)
{
    struct party *s = arg;
    snprintf(s->topic, sizeof s->topic, "%s", topic);
    followed ? s->topics_gained++ : s->topics_lost++;
    if (s->topics_gained + s->topics_lost == s->wanted)
        loop_stop(loop);
}

__attribute__((unused)) static void
on_bad_frame(void *arg, uint32_t peer, enum err why)
{
    struct party *s = arg;
    (void)peer;
    s->why = why;
    if (++s->bad_frames == s->wanted)
        loop_stop(loop);
}

__attribute__((unused)) static void
on_link(void *arg, bool is_up)
{
    struct party *s = arg;
    s->links[strnlen(s->links, sizeof s->links - 2)] = is_up ? '+' : '-';
    loop_stop(loop);
}

__attribute__((unused)) static void
party_open(struct party *s, enum bus_role role, const char *name, uint32_t queue_max)
{
    s->bus = bus_open(loop, &(struct bus_options){.role = role,
                                                  .endpoint = endpoint,
                                                  .name = name,
                                                  .queue_max = queue_max,
                                                  .arg = s,
                                                  .on_msg = on_msg,
                                                  .on_topic = on_topic,
                                                  .on_bad_frame = on_bad_frame,
                                                  .on_link = s->hears_links ? on_link : NULL});
    cr_assert_not_null(s->bus);
}

__attribute__((unused)) static void
set_up(void)
{
    log_open("test", LOG_ERROR);
    loop = loop_new();
    snprintf(folder, sizeof folder, "/tmp/scrip-bus-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", folder);
    limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);
}

__attribute__((unused)) static void
tear_down(void)
{
    char path[160];
    bus_close(&server.bus);
    bus_close(&client.bus);
    bus_close(&other.bus);
    bus_teardown();
    loop_timer_end(&limit);
    loop_destroy(&loop);
    snprintf(path, sizeof path, "%s/bus", folder);
    unlink(path);
    rmdir(folder);
}

__attribute__((unused)) static int64_t
counted(const char *name, const char *role)
{
    char labels[32];
    snprintf(labels, sizeof labels, "role=\"%s\"", role);
    return metric_value(metric_counter(name, labels, ""));
}

__attribute__((unused)) static void
ask(struct party *s, uint64_t corr)
{
    struct md_snapshot_get get = {.symbol = code_of("BTCUSDT")};
    bus_put(s->bus, 0, MSG_md_snapshot_get, corr, &get);
}

/* Runs the loop until `s` has seen `more` further messages. */
__attribute__((unused)) static void
await(struct party *s, uint32_t more)
{
    s->wanted = s->messages + more;
    loop_run(loop);
    s->wanted = 0;
}

/* A stranger with a bare socket. */
__attribute__((unused)) static void *
stranger_open(void **context)
{
    *context = zmq_ctx_new();
    void *s = zmq_socket(*context, ZMQ_DEALER);
    cr_assert_eq(zmq_connect(s, endpoint), 0);
    return s;
}

__attribute__((unused)) static void
stranger_close(void *s, void *context)
{
    int none = 0;
    zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none);
    zmq_close(s);
    zmq_ctx_term(context);
}

#endif
