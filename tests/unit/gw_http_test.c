/*
 * gw_http_test.c - the real gateway over raw sockets, with a real PostgreSQL and nobody else.
 *
 * SCRIP_TEST_PG names a server; the test makes a database of its own there. Ledger, market data
 * and Redis are away on purpose: their absence is part of what is tested.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gw_client.h"

#define CONNECTIONS 40 /* as gw_stage.c sets it */

/* ---- HTTP -------------------------------------------------------------------------------- */

Test(http, fifty_requests_in_one_segment_are_answered_in_order)
{
    static char all[16384];
    size_t length = 0;
    for (int i = 0; i < 50; i++)
        length += (size_t)snprintf(
            all + length, sizeof all - length, "%s",
            i % 3 == 0
                ? "POST /api/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{\"a\":  1}"
            : i % 3 == 1 ? "GET /api/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                         : "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 54\r\n\r\n"
                           "{\"username\":\"nobody.here\",\"password\":\"wrong password\"}");
    int fd = dial();
    say(fd, all, length);
    for (int i = 0; i < 50; i++) {
        static const int wanted[] = {200, 404, 401};
        cr_assert_eq(hear(fd), wanted[i % 3], "reply %d: %s", i, reply);
    }
    close(fd);
}

Test(http, a_request_in_single_bytes_and_one_in_two_halves)
{
    static const char text[] =
        "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n"
        "{\"username\":true}";
    int fd = dial();
    for (size_t i = 0; i + 1 < sizeof text; i++)
        say(fd, text + i, 1);
    expect(hear(fd), 400, "FIELD_TYPE");
    say(fd, text, 70);
    say(fd, text + 70, sizeof text - 1 - 70);
    expect(hear(fd), 400, "FIELD_TYPE");
    close(fd);
}

Test(http, keeping_and_closing)
{
    int fd = dial();
    say_text(fd, "GET / HTTP/1.0\r\n\r\n");
    expect(hear(fd), 200, "openapi");
    cr_assert_not_null(strstr(reply, "Connection: close"));
    cr_assert_eq(hear(fd), 0);
    close(fd);
    fd = dial();
    say_text(fd, "HEAD /api/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(hear_head(fd), 404);
    cr_assert_not_null(strstr(reply, "Content-Length: "));
    expect(ask_on(fd, "GET", "/", "", ""), 200, "openapi"); /* nothing was between them */
    close(fd);
    fd = dial();
    say_text(
        fd,
        "POST /api/ping HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    cr_assert_eq(hear(fd), 100);
    say_text(fd, "{}");
    expect(hear(fd), 200, "{}");
    cr_assert_not_null(strstr(reply, "X-Correlation-Id: "));
    shutdown(fd, SHUT_WR);
    cr_assert_eq(hear(fd), 0);
    close(fd);
    fd = dial();
    say_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    expect(hear(fd), 200, "openapi");
    close(fd);
}

Test(http, limits)
{
    static char big[300000];
    memset(big, 'a', sizeof big);
    int fd = dial();
    say_text(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
    say(fd, big, sizeof big);
    expect(hear(fd), 431, "HEADERS_TOO_LARGE");
    close(fd);
    fd = dial();
    say_text(fd, "POST /api/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
    expect(hear(fd), 413, "BODY_TOO_LARGE");
    cr_assert_not_null(strstr(reply, "Connection: close"));
    say(fd, big, sizeof big);
    cr_assert_eq(hear(fd), 0);
    close(fd);
    fd = dial();
    say_text(fd, "POST /api/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123");
    expect(hear(fd), 408, "REQUEST_TOO_SLOW");
    close(fd);
    fd = dial();
    cr_assert_eq(hear(fd), 0, "one that says nothing is closed without a word");
    close(fd);
}

Test(http, garbage)
{
    static const char *const bad[] = {
        "\x16\x03\x01\x02\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = dial();
        say(fd, bad[i], strlen(bad[i]));
        expect(hear(fd), 400, "REQUEST_MALFORMED");
        cr_assert_eq(hear(fd), 0);
        close(fd);
    }
}

/* A request that ends too late is told 408: what is told 400 was not waited for. */
Test(http, what_can_be_no_request_any_more_is_refused_before_it_ends)
{
    static const char *const bad[] = {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                      "GET / HTTP/1.1\n", "GET / HTTP/1.0\n\n",
                                      "GET / HTTP/1.1\r\nHost: x\nA: b\n\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = dial();
        say(fd, bad[i], i == 0 ? 11 : strlen(bad[i]));
        expect(hear(fd), 400, "REQUEST_MALFORMED");
        close(fd);
    }
    int fd = dial();
    say_text(fd, "GET / HTTP/1.1\r\n");
    poll(NULL, 0, 20); /* so that the rest comes by itself */
    say_text(fd, "Host: x\n");
    expect(hear(fd), 400, "REQUEST_MALFORMED");
    close(fd);
}

Test(http, an_answer_does_not_take_after_the_request_before)
{
    int fd = dial();
    say_text(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert_eq(hear_head(fd), 200);
    say_text(fd, "GET / HTTP/1.1\n");
    expect(hear(fd), 400, "REQUEST_MALFORMED");
    close(fd);
}

Test(http, more_connections_than_there_is_room_for)
{
    int fds[CONNECTIONS + 10], refused = 0;
    for (int i = 0; i < CONNECTIONS + 10; i++)
        fds[i] = dial();
    for (int i = CONNECTIONS + 9; i >= CONNECTIONS; i--)
        refused += hear(fds[i]) == 503 && strstr(reply_body, "CONNECTIONS_FULL") != NULL;
    cr_assert_geq(refused, 1);
    for (int i = 0; i < CONNECTIONS + 10; i++)
        close(fds[i]);
}

/* ---- Routes and bodies ------------------------------------------------------------------- */

Test(routes, unknown_ones_and_wrong_methods)
{
    expect(ask("GET", "/api/nothing", "", ""), 404, "ROUTE_UNKNOWN");
    expect(ask("GET", "/../../etc/passwd", "", ""), 404, "ROUTE_UNKNOWN");
    expect(ask("PATCH", "/api/paper-trading/orders", "", ""), 405, "METHOD_NOT_ALLOWED");
    cr_assert_not_null(strstr(reply, "Allow: POST, GET, DELETE"));
    expect(ask("DANCE", "/api/ping", "", ""), 405, "METHOD_NOT_ALLOWED");
    expect(ask("GET", "/api/docs", "", ""), 200, "<html");
    expect(ask("GET", "/api/openapi.json", "", ""), 200, "\"openapi\":\"3.");
}

Test(routes, a_body_where_none_is_taken)
{
    int fd = dial();
    expect(ask_on(fd, "GET", "/api/market/symbols", "", "{}"), 400, "BODY_NOT_TAKEN");
    expect(ask_on(fd, "DELETE", "/api/paper-trading/orders", "", "{\"symbol\":\"BTCUSDT\"}"), 400,
           "BODY_NOT_TAKEN");
    expect(ask_on(fd, "GET", "/", "", ""), 200, "openapi");
    close(fd);
    fd = dial();
    say_text(fd, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                 "Content-Length: 2\r\n\r\n{}");
    expect(hear(fd), 400, "BODY_NOT_TAKEN");
    close(fd);
}

Test(routes, orders_are_refused_precisely_before_anybody_is_asked)
{
    static const struct {
        const char *body, *code, *field;
    } cases[] = {
        {"", "BODY_NOT_JSON", ""},
        {"[]", "BODY_NOT_JSON", ""},
        {"{\"symbol\":\"BTCUSDT\",", "BODY_NOT_JSON", ""},
        {"{\"symbol\":\"A\",\"symbol\":\"B\"}", "FIELD_REPEATED", "symbol"},
        {"{\"quantity\":1e3}", "NUMBER_SYNTAX", "quantity"},
        {"{\"quantity\":\"NaN\"}", "NUMBER_SYNTAX", "quantity"},
        {"{\"quantity\":0}", "NUMBER_NOT_POSITIVE", "quantity"},
        {"{\"quantity\":-1}", "NUMBER_NOT_POSITIVE", "quantity"},
        {"{\"quantity\":0.123456789}", "NUMBER_PRECISION", "quantity"},
        {"{\"quantity\":\"92233720368547758080\"}", "NUMBER_RANGE", "quantity"},
        {"{\"quantity\":true}", "FIELD_TYPE", "quantity"},
        {"{\"side\":\"HOLD\"}", "CHOICE_UNKNOWN", "side"},
        {"{\"account_id\":1}", "FIELD_UNKNOWN", "account_id"},
        {"{\"colour\":1}", "FIELD_UNKNOWN", "colour"},
        {"{\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":\"1\"}", "FIELD_MISSING", "symbol"},
    };
    char token[1024], refresh[128], field[64];
    sign_in("order.maker", token, refresh);
    int fd = dial();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = ask_on(fd, "POST", "/api/paper-trading/orders", token, cases[i].body);
        expect(status, 400, cases[i].code);
        if (cases[i].field[0] != 0) {
            member("field", field, sizeof field);
            cr_assert_str_eq(field, cases[i].field);
        }
    }
    expect(ask_on(fd, "GET", "/api/settings/paper-balance/margin", token, ""), 400,
           "Invalid trading type");
    expect(ask_on(fd, "PUT", "/api/settings/paper-balance/spot", token, "{\"balance\":0}"), 400,
           "Balance must be between $10 and $1,000,000");
    close(fd);
}

Test(routes, one_account_may_not_ask_without_end)
{
    char token[1024], refresh[128];
    sign_in("hasty.one", token, refresh);
    int fd = dial(), status = 200;
    for (int i = 0; i < 200 && status == 200; i++)
        status = ask_on(fd, "GET", "/api/user/me", token, "");
    expect(status, 429, "RATE_LIMITED");
    cr_assert_not_null(strstr(reply, "Retry-After: 1"));
    close(fd);
}

Test(routes, who_is_away_is_told)
{
    char token[1024], refresh[128];
    sign_in("lonely.one", token, refresh);
    static const char order[] = "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"MARKET\","
                                "\"quantity\":\"1\",\"client_order_id\":\"mine-1\"}";
    /* Until the silence is long enough to know, the order is sent: then nobody knows. */
    int status = ask("POST", "/api/paper-trading/orders", token, order);
    cr_assert(status == 503 || status == 504, "%s", reply);
    if (status == 504)
        cr_assert_not_null(strstr(reply_body, "\"client_order_id\":\"mine-1\""), "%s", reply_body);
    expect(ask("POST", "/api/paper-trading/orders", token, order), 503, "LEDGER_UNAVAILABLE");
    status = ask("POST", "/api/settings/sync-paper-balance/spot", token, "");
    cr_assert(status == 503 || status == 504, "%s", reply);
    expect(ask("POST", "/api/settings/sync-paper-balance/spot", token, ""), 503,
           "BRIDGE_UNAVAILABLE");
    expect(ask("GET", "/api/paper-trading/account", token, ""), 503, "LEDGER_UNAVAILABLE");
    cr_assert_not_null(strstr(reply, "Retry-After: 1"));
    expect(ask("GET", "/api/market/depth?symbol=BTCUSDT", "", ""), 503, "MARKET_UNAVAILABLE");
    expect(ask("GET", "/api/market/ticker", "", ""), 503, "CACHE_UNAVAILABLE");
}

/* ---- Sign-in ----------------------------------------------------------------------------- */

Test(auth, sign_up_rules)
{
    static const struct {
        const char *body, *code;
        int status;
    } cases[] = {
        {"{\"username\":\"al\",\"password\":\"long enough\"}", "USERNAME_INVALID", 400},
        {"{\"username\":\"al ice\",\"password\":\"long enough\"}", "USERNAME_INVALID", 400},
        {"{\"username\":\"alice\",\"password\":\"too short\"}", "PASSWORD_INVALID", 400},
        {"{\"username\":\"alice\"}", "FIELD_MISSING", 400},
        {"{\"username\":\"alice\",\"password\":12345678901}", "FIELD_TYPE", 400},
        {"{\"username\":\"alice\",\"password\":\"long enough\",\"role\":\"admin\"}",
         "FIELD_UNKNOWN", 400},
        {"{\"username\":\"alice\",\"password\":\"long\\u0000enough\"}", "BODY_NOT_JSON", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(ask("POST", "/api/auth/register", "", cases[i].body), cases[i].status,
               cases[i].code);
    char token[1024], refresh[128];
    sign_in("taken.name", token, refresh);
    expect(ask("POST", "/api/auth/register", "",
               "{\"username\":\"TAKEN.Name\",\"password\":\"another one\"}"),
           409, "USERNAME_TAKEN");
    expect(ask("GET", "/api/user/me", token, ""), 200, "\"username\":\"taken.name\"");
}

Test(auth, tokens)
{
    char token[1024], refresh[128], other[1024];
    sign_in("token.user", token, refresh);
    expect(ask("GET", "/api/user/me", "", ""), 401, "TOKEN_MISSING");
    cr_assert_not_null(strstr(reply, "WWW-Authenticate: Bearer"));
    expect(ask("GET", "/api/user/me", "abc", ""), 401, "TOKEN_INVALID");
    char *dot = strchr(token, '.');
    snprintf(other, sizeof other, "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiazEifQ%.*s.",
             (int)(strrchr(token, '.') - dot), dot);
    expect(ask("GET", "/api/user/me", other, ""), 401, "TOKEN_INVALID");
    snprintf(other, sizeof other, "%s", token);
    other[strlen(other) - 2] = other[strlen(other) - 2] == 'A' ? 'B' : 'A';
    expect(ask("GET", "/api/user/me", other, ""), 401, "TOKEN_INVALID");
    expect(ask("GET", "/api/user/me", token, ""), 200, "token.user");
}

Test(auth, a_refresh_token_is_used_once_and_its_reuse_ends_the_session)
{
    char token[1024], first[128], second[128], body[256];
    sign_in("refresher", token, first);
    snprintf(body, sizeof body, "{\"refresh_token\":\"%s\"}", first);
    expect(ask("POST", "/api/auth/refresh", "", body), 200, "access_token");
    member("refresh_token", second, sizeof second);
    cr_assert_str_neq(first, second);
    expect(ask("POST", "/api/auth/refresh", "", body), 401, "REFRESH_INVALID");
    expect(ask("GET", "/api/user/me", token, ""), 401, "TOKEN_INVALID");
    snprintf(body, sizeof body, "{\"refresh_token\":\"%s\"}", second);
    expect(ask("POST", "/api/auth/refresh", "", body), 401, "REFRESH_INVALID");
}

Test(auth, log_out)
{
    char token[1024], other[1024], refresh[128], body[256];
    sign_in("leaver", token, refresh);
    snprintf(body, sizeof body, "{\"refresh_token\":\"%s\"}", refresh);
    expect(ask("POST", "/api/auth/login", "",
               "{\"username\":\"leaver\",\"password\":\"correct horse\"}"),
           200, "access_token");
    member("access_token", other, sizeof other);
    expect(ask("GET", "/api/user/me", token, ""), 200, "leaver");
    expect(ask("POST", "/api/auth/logout", "", body), 200, "{}");
    expect(ask("GET", "/api/user/me", token, ""), 401, "TOKEN_INVALID");
    expect(ask("GET", "/api/user/me", other, ""), 200, "leaver");
    expect(ask("POST", "/api/auth/refresh", "", body), 401, "REFRESH_INVALID");
    expect(ask("POST", "/api/auth/logout", "", "{\"refresh_token\":\"unknown\"}"), 200, "{}");
}

Test(auth, a_user_is_locked_after_wrong_passwords)
{
    char token[1024], refresh[128];
    static const char wrong[] = "{\"username\":\"guessed\",\"password\":\"wrong password\"}";
    sign_in("guessed", token, refresh);
    for (int i = 0; i < 3; i++)
        expect(ask("POST", "/api/auth/login", "", wrong), 401, "LOGIN_WRONG");
    expect(ask("POST", "/api/auth/login", "",
               "{\"username\":\"guessed\",\"password\":\"correct horse\"}"),
           429, "LOGIN_LIMITED");
    cr_assert_not_null(strstr(reply, "Retry-After: "));
}

static void
sql_run(const char *sql)
{
    char command[256];
    PGconn *c = PQconnectdb(getenv("SCRIP_TEST_PG"));
    snprintf(command, sizeof command, sql, getenv("GW_HTTP_TEST_DATABASE"));
    PGresult *r = PQexec(c, command);
    cr_assert(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s",
              PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

/* Asks once more after a moment, so that no limit is reached meanwhile. */
static int
log_out_later(int fd)
{
    poll(NULL, 0, 20);
    return ask_on(fd, "POST", "/api/auth/logout", "", "{\"refresh_token\":\"unknown\"}");
}

Test(auth, the_users_database_goes_away_and_comes_back)
{
    sql_run("ALTER DATABASE %s ALLOW_CONNECTIONS false");
    sql_run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'");
    int fd = dial(), status;
    while ((status = log_out_later(fd)) == 200)
        ; /* until the gateway has seen it go */
    expect(status, 503, "USERS_UNAVAILABLE");
    expect(ask_on(fd, "POST", "/api/ping", "", "{}"), 200, "{}");
    sql_run("ALTER DATABASE %s ALLOW_CONNECTIONS true");
    while ((status = log_out_later(fd)) == 503)
        ; /* until it is back */
    expect(status, 200, "{}");
    close(fd);
}
