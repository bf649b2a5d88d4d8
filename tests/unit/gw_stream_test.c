/*
 * gw_stream_test.c - the part of gw_http_test about WebSockets: operations, refusals, endings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw_client.h"

Test(stream, a_client_that_does_not_read_is_cut_off_with_the_reason)
{
    /* So many questions at once that the answers are more than may wait for one client. */
    static const char ping[] = "\x81\x8d\0\0\0\0{\"op\":\"ping\"}";
    static char all[150 * (sizeof ping - 1)];
    for (size_t i = 0; i < 150; i++)
        memcpy(all + i * (sizeof ping - 1), ping, sizeof ping - 1);
    int fd = stream_open("/ws");
    cr_assert_eq(hear(fd), 101);
    say(fd, all, sizeof all);
    int kind = stream_hear(fd);
    while (kind == 0x81)
        kind = stream_hear(fd);
    cr_assert_eq(kind, 0x88);
    cr_assert_eq((unsigned char)reply[0] << 8 | (unsigned char)reply[1], 4008);
    cr_assert_str_eq(reply + 2, "STREAM_TOO_SLOW");
    close(fd);
}

Test(stream, operations_and_refusals)
{
    char token[1024], refresh[128];
    sign_in("streamer", token, refresh);
    int fd = stream_open("/elsewhere");
    expect(hear(fd), 404, "ROUTE_UNKNOWN");
    close(fd);
    fd = stream_open("/ws");
    cr_assert_eq(hear(fd), 101);
    stream_say(fd, "{\"op\":\"ping\",\"id\":\"a\"}");
    cr_assert_eq(stream_hear(fd), 0x81);
    cr_assert_not_null(strstr(reply, "{\"op\":\"ping\",\"ok\":true,\"id\":\"a\""), "%s", reply);
    static const struct {
        const char *op, *answer;
    } cases[] = {
        {"{", "STREAM_MESSAGE_INVALID"},
        {"[1]", "STREAM_MESSAGE_INVALID"},
        {"{\"op\":\"dance\"}", "STREAM_MESSAGE_INVALID"},
        {"{\"op\":\"subscribe\",\"channel\":\"orders\"}", "TOKEN_MISSING"},
        {"{\"op\":\"resume\",\"after\":1}", "TOKEN_MISSING"},
        {"{\"op\":\"auth\",\"token\":\"abc\"}", "TOKEN_INVALID"},
        {"{\"op\":\"subscribe\",\"channel\":\"gossip\",\"symbols\":[\"A\"]}", "CHOICE_UNKNOWN"},
        {"{\"op\":\"subscribe\",\"channel\":\"ticks\"}", "FIELD_MISSING"},
        {"{\"op\":\"subscribe\",\"channel\":\"ticks\",\"symbols\":[\"a b\"]}", "SYMBOL_UNKNOWN"},
        {"{\"op\":\"subscribe\",\"channel\":\"ticks\",\"symbols\":[\"BTCUSDT\"]}", "\"ok\":true"},
        {"{\"op\":\"unsubscribe\",\"channel\":\"ticks\",\"symbols\":[\"BTCUSDT\"]}", "\"ok\":true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stream_say(fd, cases[i].op);
        cr_assert_eq(stream_hear(fd), 0x81);
        cr_assert_not_null(strstr(reply, cases[i].answer), "%s: %s", cases[i].op, reply);
    }
    stream_auth(fd, token);
    cr_assert_not_null(strstr(reply, "\"op\":\"auth\",\"ok\":true"), "%s", reply);
    stream_say(fd, "{\"op\":\"subscribe\",\"channel\":\"orders\",\"id\":7}");
    cr_assert_eq(stream_hear(fd), 0x81);
    cr_assert_not_null(strstr(reply, "LEDGER_UNAVAILABLE"), "%s", reply);
    cr_assert_not_null(strstr(reply, "\"id\":7"), "%s", reply);
    sign_in("stranger", token, refresh);
    stream_auth(fd, token);
    cr_assert_not_null(strstr(reply, "FORBIDDEN"), "%s", reply);
    /* A binary frame ends it with the reason. */
    unsigned char binary[7] = {0x82, 0x81, 0, 0, 0, 0, 'x'};
    say(fd, (const char *)binary, sizeof binary);
    cr_assert_eq(stream_hear(fd), 0x88);
    cr_assert_eq((unsigned char)reply[0] << 8 | (unsigned char)reply[1], 1003);
    close(fd);
}

Test(stream, a_session_that_ends_elsewhere_ends_here)
{
    char token[1024], refresh[128], conninfo[512];
    sign_in("traveller", token, refresh);
    cr_assert_geq(stream_open("/ws"), 0); /* nobody signs in on it */
    int fd = stream_open("/ws");
    expect(hear(fd), 101, "");
    stream_auth(fd, token);
    snprintf(conninfo, sizeof conninfo, "%s dbname=%s", getenv("SCRIP_TEST_PG"),
             getenv("GW_HTTP_TEST_DATABASE"));
    PGconn *c = PQconnectdb(conninfo);
    PQclear(PQexec(c, "UPDATE gateway.sessions s SET revoked_at = now() FROM gateway.users u"
                      " WHERE u.id = s.user_id AND u.username = 'traveller'"));
    PQfinish(c); /* as another gateway ends a session */
    cr_assert_eq(stream_hear(fd), 0x88);
    cr_assert_eq((unsigned char)reply[0] << 8 | (unsigned char)reply[1], 4001);
    expect(ask("GET", "/api/user/me", token, ""), 401, "TOKEN_INVALID");
}
