/*
 * bus_peers_test.c - peers that come and go: restarts, names taken over, pauses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bus_party.h"

TestSuite(bus_peers, .init = set_up, .fini = tear_down);

static void
ask_again(void *arg)
{
    (void)arg;
    ask(&client, 2);
}

Test(bus_peers, a_restarted_server_answers_whoever_repeats)
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

Test(bus_peers, an_asker_is_told_when_its_server_comes_and_goes)
{
    client.hears_links = true;
    party_open(&client, BUS_ASK, "gateway-0", 0);
    for (size_t i = 0; i < 3; i++, loop_run(loop))
        i == 1 ? bus_close(&server.bus) : party_open(&server, BUS_SERVE, "ledger-0", 0);
    cr_assert_str_eq(client.links, "+-+");
}

Test(bus_peers, what_is_put_before_the_server_is_there_waits_for_it)
{
    party_open(&client, BUS_ASK, "gateway-0", 0);
    ask(&client, 1);
    bus_flush(client.bus);
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    server.answers = true;
    await(&client, 1);
    cr_assert_eq(client.corr, 1);
}

Test(bus_peers, a_restarted_asker_takes_its_name_over)
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
Test(bus_peers, who_lost_its_name_may_speak_and_go_without_harm)
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

Test(bus_peers, a_paused_bus_takes_nothing)
{
    party_open(&server, BUS_SERVE, "ledger-0", 0);
    party_open(&client, BUS_ASK, "gateway-0", 0);
    bus_pause(server.bus, true);
    ask(&client, 1);
    struct loop_timer *t = loop_timer_new(loop, 50, 0, resume, server.bus);
    await(&server, 1);
    loop_timer_end(&t);
}
