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

#include "bus_party.h"
#include "random_msg.h"

TestSuite(bus, .init = set_up, .fini = tear_down);

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

/* In a frame of its own, which is gone on both sides once it was heard. */
Test(bus, a_secret_is_heard_once_and_wiped)
{
    static const struct key_part part = {{"not for anybody's eyes"}};
    struct bridge_keys_put put = {.user_id = 7,
                                  .trading_type = TRADING_TYPE_spot,
                                  .api_key = {"api-key"},
                                  .secret = &part,
                                  .secret_count = 1};
    struct bytes packed = {0};
    party_open(&server, BUS_SERVE, "bridge-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    msg_pack_body(&packed, MSG_bridge_keys_put, 2, &put);
    ask(&client, 1);
    bus_put_secret(client.bus, 0, packed.data, packed.length);
    await(&server, 2);
    cr_assert_eq(server.lasts, 2);
    cr_assert_eq(server.msg.type, MSG_bridge_keys_put);
    cr_assert_str_eq(server.msg.bridge_keys_put.api_key.text, "api-key");
    cr_assert_eq(server.msg.bridge_keys_put.secret_count, 1);
    /* The list lies where the bus unpacked it. */
    const char *left = server.msg.bridge_keys_put.secret->text.text;
    for (size_t i = 0; i < sizeof part; i++)
        cr_assert_eq(left[i], 0);
    bytes_free(&packed);
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
