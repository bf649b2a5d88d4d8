/*
 * bus_test.c - the roles over real ZeroMQ sockets: serve and ask, publish and follow.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/bus.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "host/log.h"
#include "host/metrics.h"
#include "random_msg.h"

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

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing came: server %u of %u, client %u of %u", server.messages, server.wanted,
                   client.messages, client.wanted);
}

static void
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

static void
on_topic(void *arg, const char *topic, bool followed)
{
    struct party *s = arg;
    snprintf(s->topic, sizeof s->topic, "%s", topic);
    followed ? s->topics_gained++ : s->topics_lost++;
    if (s->topics_gained + s->topics_lost == s->wanted)
        loop_stop(loop);
}

static void
on_bad_frame(void *arg, uint32_t peer, enum err why)
{
    struct party *s = arg;
    (void)peer;
    s->why = why;
    if (++s->bad_frames == s->wanted)
        loop_stop(loop);
}

static void
on_link(void *arg, bool is_up)
{
    struct party *s = arg;
    s->links[strnlen(s->links, sizeof s->links - 2)] = is_up ? '+' : '-';
    loop_stop(loop);
}

static void
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

static void
set_up(void)
{
    log_open("test", LOG_ERROR);
    loop = loop_new();
    snprintf(folder, sizeof folder, "/tmp/scrip-bus-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", folder);
    limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);
}

static void
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

TestSuite(bus, .init = set_up, .fini = tear_down);

static int64_t
counted(const char *name, const char *role)
{
    char labels[32];
    snprintf(labels, sizeof labels, "role=\"%s\"", role);
    return metric_value(metric_counter(name, labels, ""));
}

static void
ask(struct party *s, uint64_t corr)
{
    struct md_snapshot_get get = {.symbol = code_of("BTCUSDT")};
    bus_put(s->bus, 0, MSG_md_snapshot_get, corr, &get);
}

/* Runs the loop until `s` has seen `more` further messages. */
static void
await(struct party *s, uint32_t more)
{
    s->wanted = s->messages + more;
    loop_run(loop);
    s->wanted = 0;
}

Test(bus, an_asker_gets_its_answer)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    server.answers = true;
    ask(&client, 7);
    await(&client, 1);
    cr_assert_eq(client.corr, 7);
    cr_assert_eq(client.msg.type, MSG_refused);
    cr_assert_eq(client.msg.refused.error, ERR_NOT_AVAILABLE_YET);
    cr_assert_str_eq(client.frame.sender.text, "ledger-0");
    cr_assert_str_eq(server.frame.sender.text, "gateway-0");
    cr_assert_str_eq(server.msg.md_snapshot_get.symbol.text, "BTCUSDT");
    cr_assert_str_eq(bus_peer_name(server.bus, server.peer), "gateway-0");
    cr_assert_eq(server.frame.sequence, 0, "frames are counted in sessions only");
}

Test(bus, what_one_turn_puts_travels_in_one_frame)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    for (uint64_t corr = 1; corr <= 100; corr++)
        ask(&client, corr);
    await(&server, 100);
    cr_assert_eq(server.lasts, 1);
    cr_assert_eq(counted("scrip_bus_frames_in_total", "serve"), 1);
    cr_assert_eq(counted("scrip_bus_messages_in_total", "serve"), 100);
    cr_assert_eq(counted("scrip_bus_frames_out_total", "ask"), 1);
}

Test(bus, peers_are_told_apart)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    party_open(&other, BUS_ASK, "gateway-1", 0);
    server.answers = true;
    ask(&client, 1);
    await(&client, 1);
    uint32_t first = server.peer;
    ask(&other, 2);
    await(&other, 1);
    cr_assert_neq(server.peer, first);
    cr_assert_neq(first, 0);
    cr_assert_eq(client.messages, 1);
    ask(&client, 3);
    await(&client, 1);
    cr_assert_eq(server.peer, first, "an identity keeps its number");
    cr_assert_str_eq(bus_peer_name(server.bus, first + (1u << 10)), "", "of another generation");
}

Test(bus, a_session_counts_its_frames_from_one)
{
    party_open(&server, BUS_SERVE, "matcher-0", 0);
    party_open(&client, BUS_ASK, "ledger-0", 0);
    bus_set_epoch(client.bus, 9);
    bus_set_session(client.bus, 0, 5);
    for (uint64_t n = 1; n <= 3; n++) {
        ask(&client, n);
        cr_assert_eq(bus_frames_sent(client.bus, 0), n);
        await(&server, 1);
        cr_assert_eq(server.frame.epoch, 9);
        cr_assert_eq(server.frame.session, 5);
        cr_assert_eq(server.frame.sequence, n);
    }
    ask(&client, 4); /* still of the old session */
    bus_set_session(client.bus, 0, 6);
    ask(&client, 5);
    await(&server, 2);
    cr_assert_eq(server.frame.session, 6);
    cr_assert_eq(server.frame.sequence, 1);
    /* The serving side counts for each peer. */
    bus_set_session(server.bus, server.peer, 6);
    bus_put(server.bus, server.peer, MSG_link_ready, 0, &(struct link_ready){0});
    cr_assert_eq(bus_frames_sent(server.bus, server.peer), 1);
    await(&client, 1);
    cr_assert_eq(client.frame.session, 6);
    cr_assert_eq(client.frame.sequence, 1);
}

Test(bus, a_long_frame_is_cut_and_counted)
{
    bus_setup(&(struct bus_limits){.frame_bytes = 4096});
    party_open(&server, BUS_SERVE, "matcher-0", 0);
    party_open(&client, BUS_ASK, "ledger-0", 0);
    bus_set_session(client.bus, 0, 1);
    for (uint64_t corr = 1; corr <= 1000; corr++)
        ask(&client, corr);
    await(&server, 1000);
    cr_assert_gt(server.lasts, 2);
    cr_assert_eq(server.frame.sequence, server.lasts);
    cr_assert_eq(bus_frames_sent(client.bus, 0), server.lasts);
}

Test(bus, the_first_frames_of_a_turn_go_out_soon)
{
    bus_setup(&(struct bus_limits){.frame_messages = 8});
    party_open(&server, BUS_SERVE, "matcher-0", 0);
    party_open(&client, BUS_ASK, "ledger-0", 0);
    bus_set_session(client.bus, 0, 1);
    for (uint64_t turn = 1; turn <= 2; turn++) {
        for (uint64_t corr = 1; corr <= 100; corr++)
            ask(&client, corr);
        await(&server, 100);
        /* 8, 16, 32 and the rest: the next turn begins with 8 again. */
        cr_assert_eq(server.lasts, 4 * turn);
        cr_assert_eq(server.frame.sequence, 4 * turn);
        cr_assert_eq(bus_frames_sent(client.bus, 0), 4 * turn);
    }
}

/* Random, with the longest lists it can have. False when it has none. */
static bool
largest(const struct msg_layout *layout, struct arena *lists, struct msg *out)
{
    struct random r = {20261121 + layout->type};
    bool has_lists = false;
    arena_reset(lists);
    random_msg(&r, layout, 0, lists, out);
    for (uint32_t i = 0; i < layout->field_count; i++) {
        const struct msg_field *f = &layout->fields[i];
        if (f->kind != KIND_LIST)
            continue;
        uint8_t *items = arena_take(lists, f->max, f->items->size);
        cr_assert_not_null(items);
        for (uint32_t k = 0; k < f->max; k++) {
            struct msg item;
            random_msg(&r, f->items, 0, lists, &item);
            memcpy(items + (size_t)k * f->items->size, msg_body(&item), f->items->size);
        }
        msg_list_set(f, msg_body(out), items, f->max);
        has_lists = true;
    }
    return has_lists;
}

Test(bus, the_largest_messages_fill_a_frame_and_arrive)
{
    static struct msg sent;
    struct arena lists;
    const struct msg_layout *layout;
    uint32_t kinds = 0;
    arena_init(&lists, aligned_alloc(16, 8u << 20), 8u << 20);
    party_open(&server, BUS_SERVE, "marketdata-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 1);
    await(&server, 1);
    for (uint32_t i = 0; (layout = msg_layout_at(i)) != NULL; i++) {
        if (!largest(layout, &lists, &sent))
            continue;
        struct bytes packed = {0};
        for (uint64_t corr = 1; corr <= 3; corr++)
            msg_pack_body(&packed, layout->type, corr, msg_body(&sent));
        bus_put_packed(server.bus, server.peer, packed.data, packed.length);
        await(&client, 3);
        cr_expect(client.msg.type == layout->type && client.corr == 3, "%s", layout->name);
        bytes_free(&packed);
        kinds++;
    }
    cr_expect_gt(kinds, 10);
    cr_expect_eq(client.lasts, kinds, "each kind came in one frame");
    cr_expect_eq(client.bad_frames, 0);
    free(lists.bytes);
}

/* An item may be a single byte on the wire: what counts is its room in memory. */
Test(bus, every_message_fits_its_arena)
{
    const struct msg_layout *layout;
    for (uint32_t i = 0; (layout = msg_layout_at(i)) != NULL; i++) {
        size_t bytes = 0;
        for (uint32_t k = 0; k < layout->field_count; k++)
            if (layout->fields[k].kind == KIND_LIST)
                bytes +=
                    ((size_t)layout->fields[k].max * layout->fields[k].items->size + 15) / 16 * 16;
        cr_expect_leq(bytes, (4u << 20) / 2, "%s: %zu", layout->name, bytes);
    }
}

Test(bus, topics_reach_their_followers_only)
{
    party_open(&server, BUS_PUBLISH, "marketdata-0", 0);
    party_open(&client, BUS_FOLLOW, "matcher-0", 0);
    struct md_beat beat = {.symbol = code_of("BTCUSDT"), .sequence = 1};
    bus_publish(server.bus, "t.BTCUSDT.", MSG_md_beat, 0, &beat);
    bus_flush(server.bus);
    cr_assert_eq(counted("scrip_bus_frames_out_total", "publish"), 0, "nobody follows");

    bus_follow(client.bus, "t.BTCUSDT.");
    await(&server, 1);
    cr_assert_eq(server.topics_gained, 1);
    cr_assert_str_eq(server.topic, "t.BTCUSDT.");
    bus_publish(server.bus, "t.ETHUSDT.", MSG_md_beat, 0, &beat);
    beat.sequence = 2;
    bus_publish(server.bus, "t.BTCUSDT.", MSG_md_beat, 0, &beat);
    beat.sequence = 3;
    bus_publish(server.bus, "t.BTCUSDT.", MSG_md_beat, 0, &beat);
    await(&client, 2);
    cr_assert_str_eq(client.topic, "t.BTCUSDT.");
    cr_assert_eq(client.msg.md_beat.sequence, 3);
    cr_assert_eq(client.lasts, 1, "a run of one topic is one frame");
    cr_assert_eq(counted("scrip_bus_frames_out_total", "publish"), 1);

    server.wanted = 2;
    bus_unfollow(client.bus, "t.BTCUSDT.");
    loop_run(loop);
    cr_assert_eq(server.topics_lost, 1);
}

Test(bus, a_prefix_follows_all_topics_that_begin_with_it)
{
    party_open(&server, BUS_PUBLISH, "marketdata-0", 0);
    party_open(&client, BUS_FOLLOW, "matcher-0", 0);
    bus_follow(client.bus, "t.");
    await(&server, 1);
    struct md_beat beat = {.symbol = code_of("BTCUSDT"), .sequence = 1};
    bus_publish(server.bus, "p.BTCUSDT.", MSG_md_beat, 0, &beat);
    bus_publish(server.bus, "t.BTCUSDT.", MSG_md_beat, 0, &beat);
    bus_publish(server.bus, "t.ETHUSDT.", MSG_md_beat, 0, &beat);
    await(&client, 2);
    cr_assert_str_eq(client.topic, "t.ETHUSDT.");
}

/* A stranger with a bare socket. */
static void *
stranger_open(void **context)
{
    *context = zmq_ctx_new();
    void *s = zmq_socket(*context, ZMQ_DEALER);
    cr_assert_eq(zmq_connect(s, endpoint), 0);
    return s;
}

static void
stranger_close(void *s, void *context)
{
    int none = 0;
    zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none);
    zmq_close(s);
    zmq_ctx_term(context);
}

Test(bus, malformed_frames_are_counted_and_dropped)
{
    void *context;
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    void *s = stranger_open(&context);
    struct bytes good = {0}, tail = {0};
    struct frame head = {.sender = code_of("stranger")};
    struct md_snapshot_get get = {.symbol = code_of("BTCUSDT")};
    msg_pack_body(&good, MSG_frame, 0, &head);
    msg_pack_body(&good, MSG_md_snapshot_get, 1, &get);
    msg_pack_body(&tail, MSG_md_snapshot_get, 1, &get);

    zmq_send(s, "", 0, 0);                      /* empty */
    zmq_send(s, "\xff\xff garbage", 10, 0);     /* not msgpack */
    zmq_send(s, tail.data, tail.length, 0);     /* no head */
    zmq_send(s, good.data, good.length - 1, 0); /* cut */
    zmq_send(s, "", 0, ZMQ_SNDMORE);            /* too many parts */
    zmq_send(s, good.data, good.length, 0);
    server.wanted = 5;
    loop_run(loop);
    cr_assert_eq(server.bad_frames, 5);
    cr_assert_eq(server.messages, 0);
    cr_assert_eq(counted("scrip_bus_malformed_total", "serve"), 5);

    /* A good message with rubbish behind it is heard; the rubbish is not. */
    bytes_add(&good, "\xc1", 1);
    zmq_send(s, good.data, good.length, 0);
    server.wanted = 6;
    loop_run(loop);
    cr_assert_eq(server.messages, 1);
    cr_assert_eq(server.lasts, 1);

    /* And others are served as ever. */
    server.answers = true;
    server.wanted = 0;
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 3);
    await(&client, 1);
    bytes_free(&good);
    bytes_free(&tail);
    stranger_close(s, context);
}

Test(bus, a_newer_peers_messages_are_skipped)
{
    static const uint8_t unknown[] = {0x93, 0xcd, 0x03, 0xe7, 0x00, 0x80}; /* [999, 0, {}] */
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 1);
    bus_put_packed(client.bus, 0, unknown, sizeof unknown);
    ask(&client, 2);
    bus_put_packed(client.bus, 0, unknown, sizeof unknown);
    await(&server, 2);
    cr_assert_eq(server.corr, 2);
    cr_assert_eq(server.lasts, 1);
    cr_assert_eq(server.bad_frames, 0);
    cr_assert_eq(counted("scrip_bus_unknown_total", "serve"), 2);
}

Test(bus, what_the_high_water_mark_refuses_is_counted)
{
    party_open(&client, BUS_ASK, "gateway-0", 10); /* nobody serves */
    for (uint64_t corr = 1; corr <= 100; corr++) {
        ask(&client, corr);
        bus_flush(client.bus);
    }
    int64_t sent = counted("scrip_bus_frames_out_total", "ask");
    cr_assert_leq(sent, 20);
    cr_assert_eq(counted("scrip_bus_dropped_total", "ask"), 100 - sent);
}

Test(bus, answers_to_nobody_are_counted)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    bus_put(server.bus, 4711, MSG_refused, 1, &(struct refused){.error = ERR_INTERNAL});
    cr_assert_eq(counted("scrip_bus_dropped_total", "serve"), 1);
    cr_assert_str_eq(bus_peer_name(server.bus, 4711), "");
}

static void
ask_again(void *arg)
{
    (void)arg;
    ask(&client, 2);
}

Test(bus, a_restarted_server_answers_whoever_repeats)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    server.answers = true;
    ask(&client, 1);
    await(&client, 1);
    bus_close(&server.bus);
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    /* What was under way when the server went is lost: a client repeats until answered. */
    struct loop_timer *again = loop_timer_new(loop, 0, 20, ask_again, NULL);
    await(&client, 1);
    cr_assert_eq(client.corr, 2);
    loop_timer_end(&again);
}

Test(bus, an_asker_is_told_when_its_server_comes_and_goes)
{
    client.hears_links = true;
    party_open(&client, BUS_ASK, "gateway-0", 0);
    for (size_t i = 0; i < 3; i++, loop_run(loop))
        i == 1 ? bus_close(&server.bus) : party_open(&server, BUS_SERVE, "ledger-0", 0);
    cr_assert_str_eq(client.links, "+-+");
}

Test(bus, what_is_put_before_the_server_is_there_waits_for_it)
{
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 1);
    bus_flush(client.bus);
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    server.answers = true;
    await(&client, 1);
    cr_assert_eq(client.corr, 1);
}

Test(bus, a_restarted_asker_takes_its_name_over)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    server.answers = true;
    ask(&client, 1);
    await(&client, 1);
    uint32_t number = server.peer;
    bus_close(&client.bus);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 2);
    await(&client, 1);
    cr_assert_eq(client.corr, 2);
    cr_assert_eq(server.peer, number);
}

static void
keep_asking(void *arg)
{
    ask(arg, 3);
}

/* libzmq 4.3.4 ends the process where its heartbeat finds a connection of which it has stopped to
 * read and whose peer has then gone: so it was when a deposed ledger, whose name the next one had
 * taken over, woke up, spoke and ended. A second is two of those beats. */
Test(bus, who_lost_its_name_may_speak_and_go_without_harm)
{
    void *context;
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    party_open(&other, BUS_ASK, "gateway-1", 0);
    server.answers = true;
    ask(&client, 1);
    await(&client, 1);

    void *heir = zmq_socket(context = zmq_ctx_new(), ZMQ_DEALER);
    zmq_setsockopt(heir, ZMQ_ROUTING_ID, "gateway-0", 9);
    cr_assert_eq(zmq_connect(heir, endpoint), 0);
    cr_assert_eq(zmq_send(heir, "?", 1, 0), 1);
    server.wanted = server.bad_frames + 1; /* it has the name now */
    loop_run(loop);
    server.wanted = 0;
    for (int i = 0; i < 10; i++)
        ask(&client, 2);
    ask(&other, 3);
    await(&other, 1);
    bus_close(&client.bus);

    struct loop_timer *t = loop_timer_new(loop, 50, 50, keep_asking, &other);
    await(&other, 20);
    loop_timer_end(&t);
    stranger_close(heir, context);
}

static void
resume(void *arg)
{
    cr_assert_eq(server.messages, 0);
    bus_pause(arg, false);
}

Test(bus, a_paused_bus_takes_nothing)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    bus_pause(server.bus, true);
    ask(&client, 1);
    struct loop_timer *t = loop_timer_new(loop, 50, 0, resume, server.bus);
    await(&server, 1);
    loop_timer_end(&t);
}

Test(bus, an_endpoint_in_use_is_refused)
{
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:*");
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    struct bus_options o = {.role = BUS_SERVE,
                            .endpoint = "tcp://no-such-host.invalid:1",
                            .name = "ledger-1",
                            .on_msg = on_msg};
    log_open("test", LOG_ERROR + 1);
    cr_assert_null(bus_open(loop, &o));
    o.endpoint = "nonsense";
    cr_assert_null(bus_open(loop, &o));
}

Test(bus, more_peers_than_slots_give_the_oldest_away)
{
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 2000);
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 1);
    await(&server, 1);
    uint32_t first = server.peer;
    struct bytes good = {0};
    struct frame head = {.sender = code_of("stranger")};
    msg_pack_body(&good, MSG_frame, 0, &head);
    msg_pack_body(&good, MSG_md_snapshot_get, 1, &(struct md_snapshot_get){code_of("BTCUSDT")});
    for (int i = 0; i < 1024; i++) {
        void *s = zmq_socket(context, ZMQ_DEALER);
        int linger = 10000;
        zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
        cr_assert_eq(zmq_connect(s, endpoint), 0);
        zmq_send(s, good.data, good.length, 0);
        await(&server, 1);
        zmq_close(s);
    }
    cr_assert_str_eq(bus_peer_name(server.bus, first), "");
    ask(&client, 2);
    await(&server, 1);
    cr_assert_neq(server.peer, first);
    cr_assert_str_eq(bus_peer_name(server.bus, server.peer), "gateway-0");
    bytes_free(&good);
    zmq_ctx_term(context);
}
