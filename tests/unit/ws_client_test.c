/*
 * ws_client_test.c - WebSockets to a server that speaks rightly, in pieces, wrongly or not at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/ws_client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "net_stage.h"

#define MANY       200
#define LENGTH_MAX 300000

static struct net_stage stage;
static struct ws_clients *clients;

/* One connection and what was heard on it. */
struct party {
    struct ws_client *ws;
    int opened, texts, alive, closed;
    size_t length;
    char text[256], why[WS_WHY_BYTES];
    bool closes_on_open, closes_on_text, closes_on_alive, opens_on_close;
    char first[64];
};
static struct party party, other, many[MANY];

static void party_open(struct party *p, const char *path);

static void
on_open(void *arg)
{
    struct party *p = arg;
    p->opened++;
    if (p->first[0] != 0)
        cr_assert(ws_client_send(p->ws, p->first, strlen(p->first)));
    if (p->closes_on_open)
        ws_client_close(&p->ws);
}

static void
on_text(void *arg, const char *text, size_t length)
{
    struct party *p = arg;
    cr_assert(p->ws != NULL, "nothing is told of a closed connection");
    p->texts++;
    p->length = length;
    snprintf(p->text, sizeof p->text, "%.*s", (int)(length < 200 ? length : 200), text);
    if (p->closes_on_text)
        ws_client_close(&p->ws);
}

static void
on_alive(void *arg)
{
    struct party *p = arg;
    cr_assert(p->ws != NULL, "nothing is told of a closed connection");
    p->alive++;
    if (p->closes_on_alive)
        ws_client_close(&p->ws);
}

static void
on_close(void *arg, const char *why)
{
    struct party *p = arg;
    cr_assert(p->ws != NULL, "nothing is told of a closed connection");
    p->ws = NULL;
    p->closed++;
    snprintf(p->why, sizeof p->why, "%s", why);
    if (p->opens_on_close) {
        p->opens_on_close = false;
        party_open(p, "/ws/echo");
    }
}

static int64_t connect_ms, silence_ms;

static void
party_open_url(struct party *p, const char *url)
{
    char why[WS_WHY_BYTES] = "";
    p->ws = ws_client_open(clients,
                           &(struct ws_client_options){.url = url,
                                                       .connect_ms = connect_ms,
                                                       .silence_ms = silence_ms,
                                                       .message_bytes_max = LENGTH_MAX,
                                                       .arg = p,
                                                       .on_open = on_open,
                                                       .on_text = on_text,
                                                       .on_alive = on_alive,
                                                       .on_close = on_close},
                           why);
    cr_assert(p->ws != NULL, "%s", why);
}

static void
party_open(struct party *p, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "ws://127.0.0.1:%d%s", stage.port, path);
    party_open_url(p, url);
}

static bool
is_open(void)
{
    return party.opened > 0;
}

static bool
has_text(void)
{
    return party.texts > 0;
}

static bool
is_closed(void)
{
    return party.closed > 0;
}

static void
set_up(void)
{
    net_stage_open(&stage, true);
    clients = ws_clients_open(stage.loop, NULL);
    cr_assert(clients != NULL);
    connect_ms = silence_ms = 10000;
}

static void
tear_down(void)
{
    ws_clients_close(&clients);
    net_stage_close(&stage);
}

TestSuite(ws_client, .init = set_up, .fini = tear_down);

Test(ws_client, what_is_sent_comes_back)
{
    snprintf(party.first, sizeof party.first, "{\"id\":1}");
    party_open(&party, "/ws/echo");
    cr_assert_eq(party.opened, 0, "every callback comes in a later turn");
    cr_assert_not(ws_client_send(party.ws, "x", 1), "not before it is open");
    net_wait(&stage, has_text, "an echo");
    cr_assert_str_eq(party.text, "{\"id\":1}");
    cr_assert(ws_client_is_open(party.ws));
    static char large[LENGTH_MAX];
    memset(large, 'q', sizeof large);
    party.texts = 0;
    cr_assert(ws_client_send(party.ws, large, sizeof large));
    net_wait(&stage, has_text, "a large echo");
    cr_assert_eq(party.length, sizeof large);
    ws_client_close(&party.ws);
    cr_assert_eq(party.closed, 0);
}

static bool
has_end(void)
{
    return strcmp(party.text, "end") == 0;
}

Test(ws_client, fragments_are_put_together_and_pings_between_them_do_no_harm)
{
    party_open(&party, "/ws/fragments");
    party.closes_on_text = false;
    net_wait(&stage, has_end, "the last of three texts");
    cr_assert_eq(party.texts, 3, "\"alpha beta gamma\", \"\" and \"end\"");
}

static bool
has_many(void)
{
    return party.texts == 20000;
}

Test(ws_client, many_texts_come_whole_and_in_order)
{
    party_open(&party, "/ws/many?20000");
    net_wait(&stage, has_many, "20000 texts");
    cr_assert_eq(strncmp(party.text, "19999 xx", 8), 0);
    cr_assert_eq(party.length, 6u + 19999 % 700);
}

Test(ws_client, a_message_longer_than_the_bound_ends_it)
{
    party_open(&party, "/ws/long?300000");
    net_wait(&stage, has_text, "a message of the longest kind");
    cr_assert_eq(party.length, LENGTH_MAX);
    ws_client_close(&party.ws);
    party_open(&party, "/ws/long?300001");
    net_wait(&stage, is_closed, "the end of it");
    cr_assert_str_eq(party.why, "the other side sent a message longer than 300000 bytes");
    cr_assert_eq(party.texts, 1);
}

Test(ws_client, pings_are_answered_with_their_payload)
{
    party_open(&party, "/ws/ping");
    net_wait(&stage, has_text, "the server saw the pong");
    cr_assert_str_eq(party.text, "pong payload 7");
}

static bool
was_alive(void)
{
    return party.alive >= 3;
}

Test(ws_client, pings_of_the_other_side_prove_it_to_be_there)
{
    silence_ms = 400;
    party_open(&party, "/ws/pings");
    net_wait(&stage, was_alive, "signs of life");
    cr_assert_eq(party.texts, 0);
    cr_assert(ws_client_is_open(party.ws));
}

Test(ws_client, a_silent_connection_is_asked_and_lives_on_its_pongs)
{
    silence_ms = 60;
    party_open(&party, "/ws/echo");
    net_wait(&stage, was_alive, "pongs");
    cr_assert(ws_client_is_open(party.ws));
}

Test(ws_client, a_connection_without_an_answer_to_pings_is_given_up)
{
    silence_ms = 60;
    party_open(&party, "/ws/deaf");
    net_wait(&stage, is_closed, "given up");
    cr_assert_eq(party.opened, 1);
    cr_assert_str_eq(party.why, "the other side is silent, also when asked with a ping");
}

Test(ws_client, the_reason_of_an_end_is_told)
{
    party_open(&party, "/ws/close?1001");
    net_wait(&stage, is_closed, "closed with a code");
    cr_assert_str_eq(party.why, "closed by the other side with code 1001: going  away");
    const char *const paths[] = {"/ws/cut", "/ws/garbage", "/ws/binary"};
    for (int i = 0; i < 3; i++) {
        party = (struct party){0};
        party_open(&party, paths[i]);
        net_wait(&stage, is_closed, paths[i]);
        cr_assert_neq(party.why[0], 0);
        cr_assert_eq(party.opened, 1, "%s: %s", paths[i], party.why);
    }
}

Test(ws_client, a_connection_that_is_not_made_is_told)
{
    party_open(&party, "/ws/refused");
    net_wait(&stage, is_closed, "refused by HTTP");
    cr_assert_str_eq(party.why, "the handshake was answered with HTTP status 429");
    party = (struct party){0};
    party_open_url(&party, "ws://127.0.0.1:1/");
    net_wait(&stage, is_closed, "refused by TCP");
    cr_assert_eq(party.opened, 0);
    party = (struct party){0};
    connect_ms = 120;
    party_open(&party, "/ws/never");
    net_wait(&stage, is_closed, "no handshake in time");
    cr_assert_str_eq(party.why, "the connection was not made in time");
}

Test(ws_client, urls_that_are_none_are_refused_at_once)
{
    const char *const urls[] = {"http://a/",   "ws://",         "ws://:80/",    "ws://a:0/",
                                "ws://a:x/",   "ws://a:99999/", "ws://u@a/",    "ws://a/b c",
                                "ws://[::1/x", "ws://a/\r\nX:", "wss://[]:80/", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char why[WS_WHY_BYTES] = "";
        struct ws_client_options o = {.url = urls[i], .on_close = on_close};
        cr_assert(ws_client_open(clients, &o, why) == NULL, "%s", urls[i]);
        cr_assert_neq(why[0], 0);
    }
}

Test(ws_client, a_name_with_several_addresses_is_tried_through)
{
    char url[64];
    snprintf(url, sizeof url, "ws://localhost:%d/ws/echo", stage.port);
    party_open_url(&party, url);
    net_wait(&stage, is_open, "localhost");
}

static bool
other_has_text(void)
{
    return other.texts > 0;
}

/* Whether name service is there or not. */
Test(ws_client, a_name_that_is_not_known_holds_nobody_up)
{
    connect_ms = 200;
    party_open_url(&party, "ws://nobody.invalid/");
    int64_t began_us = loop_measure_us();
    net_wait(&stage, is_closed, "not found, or not in time");
    cr_assert_lt(loop_measure_us() - began_us, 4500000); /* a resolver alone waits 5 s */
    cr_assert(strstr(party.why, "the host name was not found") != NULL, "%s", party.why);
    connect_ms = 10000;
    party_open_url(&other, "ws://nobody.invalid/");
    ws_client_close(&other.ws);
}

Test(ws_client, closing_says_goodbye_with_code_1000)
{
    party_open(&other, "/ws/tell");
    party_open(&party, "/ws/told");
    net_wait(&stage, is_open, "open");
    ws_client_close(&party.ws);
    net_wait(&stage, other_has_text, "what the server was told");
    cr_assert_str_eq(other.text, "code 1000");
}

Test(ws_client, callbacks_may_close_and_open)
{
    party.closes_on_open = true;
    party_open(&party, "/ws/echo");
    net_wait(&stage, is_open, "open");
    cr_assert(party.ws == NULL);

    party = (struct party){.closes_on_text = true};
    party_open(&party, "/ws/many?2000");
    net_wait(&stage, has_text, "the first text of many");

    silence_ms = 60;
    other = (struct party){.closes_on_alive = true};
    party = (struct party){0};
    party_open(&party, "/ws/echo");
    party_open(&other, "/ws/echo");
    net_wait(&stage, was_alive, "pongs, of which the first closes the other connection");
    cr_assert(other.ws == NULL);
    ws_client_close(&party.ws);

    silence_ms = 10000;
    party = (struct party){.opens_on_close = true};
    party_open(&party, "/ws/cut");
    net_wait(&stage, is_closed, "closed");
    party.opened = 0;
    net_wait(&stage, is_open, "opened again from within its own end");
}

Test(ws_client, the_queue_is_bounded)
{
    party_open(&party, "/ws/deaf");
    net_wait(&stage, is_open, "open");
    static char block[65536];
    memset(block, 'z', sizeof block);
    int sent = 0;
    while (ws_client_send(party.ws, block, sizeof block))
        sent++;
    cr_assert_eq(sent, 16, "1 MiB");
    ws_client_close(&party.ws); /* what waits is dropped */
}

static bool
many_have_text(void)
{
    for (int i = 0; i < MANY; i++)
        if (many[i].texts == 0)
            return false;
    return true;
}

static bool
none_is_left(void)
{
    for (int i = 0; i < MANY; i += 2)
        if (many[i].closed == 0)
            return false;
    return true;
}

Test(ws_client, many_connections_at_once)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(many[i].first, sizeof many[i].first, "number %d", i);
        party_open(&many[i], "/ws/echo");
    }
    net_wait(&stage, many_have_text, "an echo on each connection");
    for (int i = 0; i < MANY; i++) {
        char text[64];
        snprintf(text, sizeof text, "number %d", i);
        cr_assert_str_eq(many[i].text, text);
        if (i % 2 == 1)
            ws_client_close(&many[i].ws);
    }
    close(stage.server_input); /* the server ends, and with it what is open */
    net_wait(&stage, none_is_left, "the end of all connections");
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void
with_ca(const char *name)
{
    char path[128];
    ws_clients_close(&clients);
    snprintf(path, sizeof path, "%s/%s", stage.folder, name);
    clients = ws_clients_open(stage.loop, path);
}

static void
party_open_tls(const char *host, const char *path)
{
    char url[128];
    party = (struct party){0};
    snprintf(url, sizeof url, "wss://%s:%d%s", host, stage.tls_port, path);
    party_open_url(&party, url);
}

Test(ws_client, only_who_is_vouched_for_by_name_is_trusted)
{
    party_open_tls("localhost", "/ws/echo");
    net_wait(&stage, is_closed, "the system does not know the test's CA");
    cr_assert_eq(party.opened, 0);
    with_ca("other.pem");
    party_open_tls("localhost", "/ws/echo");
    net_wait(&stage, is_closed, "another CA does not vouch for it");
    cr_assert_eq(party.opened, 0);
    with_ca("ca.pem");
    party_open_tls("127.0.0.1", "/ws/echo");
    net_wait(&stage, is_closed, "the certificate is for another name");
    cr_assert_eq(party.opened, 0);
    party_open_tls("localhost", "/ws/echo");
    net_wait(&stage, is_open, "trusted");
    with_ca("server.key");
    cr_assert(clients == NULL, "a file without certificates is refused");
}

Test(ws_client, nothing_stays_behind_in_the_records_of_tls)
{
    with_ca("ca.pem");
    party_open_tls("localhost", "/ws/many?20000");
    net_wait(&stage, has_many, "20000 texts over TLS");
    cr_assert_eq(strncmp(party.text, "19999 xx", 8), 0);
    party_open_tls("localhost", "/ws/long?300000");
    net_wait(&stage, has_text, "a long text over TLS");
    cr_assert_eq(party.length, LENGTH_MAX);
    party_open_tls("localhost", "/ws/fragments");
    net_wait(&stage, has_end, "fragments over TLS");
}
