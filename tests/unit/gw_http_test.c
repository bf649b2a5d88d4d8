/*
 * gw_http_test.c - the real gateway over raw sockets, with a real PostgreSQL and nobody else.
 *
 * SCRIP_TEST_PG names a server; the test makes a database of its own there. Ledger, market data
 * and Redis are away on purpose: their absence is part of what is tested.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES 262144
#define CONNECTIONS 40 /* as gw_stage.c sets it */

static char reply[REPLY_BYTES];
static const char *reply_body;

/* ---- A client of few words --------------------------------------------------------------- */

static int
dial(void)
{
    /* Criterion runs each test in a process of its own: the port comes by the environment. */
    uint16_t port = (uint16_t)strtol(getenv("GW_HTTP_TEST_PORT"), NULL, 10);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void
say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* it was cut off: what it answered tells why */
        bytes += n;
        length -= (size_t)n;
    }
}

static void
say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* Reads one reply into `reply`; its status, 0 at the end of the connection. */
static int
hear(int fd)
{
    size_t length = 0, head = 0, body = 0;
    reply_body = "";
    while (head == 0 || length < head + body) {
        ssize_t n = recv(fd, reply + length, head == 0 ? 1 : head + body - length, 0);
        if (n <= 0)
            return 0;
        length += (size_t)n;
        reply[length] = 0;
        if (head == 0 && length >= 4 && memcmp(reply + length - 4, "\r\n\r\n", 4) == 0) {
            head = length;
            const char *at = strstr(reply, "Content-Length: ");
            body = at == NULL ? 0 : strtoul(at + 16, NULL, 10);
            cr_assert_lt(head + body, sizeof reply);
        }
    }
    reply_body = reply + head;
    return (int)strtol(reply + 9, NULL, 10);
}

static int
ask_on(int fd, const char *method, const char *path, const char *token, const char *body)
{
    char request[8192];
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s%s%s\r\n%s", method,
                     path, strlen(body), token[0] == 0 ? "" : "Authorization: Bearer ", token,
                     token[0] == 0 ? "" : "\r\n", body);
    say(fd, request, (size_t)n);
    return hear(fd);
}

static int
ask(const char *method, const char *path, const char *token, const char *body)
{
    int fd = dial();
    int status = ask_on(fd, method, path, token, body);
    close(fd);
    return status;
}

static void
expect(int status, int wanted, const char *code)
{
    cr_assert_eq(status, wanted, "%d and not %d: %s", status, wanted, reply);
    cr_assert(strstr(reply_body, code) != NULL, "no %s in %s", code, reply_body);
}

/* A text member of the last reply's body. */
static void
member(const char *name, char *out, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(reply_body, key);
    cr_assert_not_null(at, "%s in %s", name, reply_body);
    at += strlen(key);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
}

static void
sign_in(const char *name, char token[1024], char refresh[128])
{
    char body[256];
    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"correct horse\"}", name);
    /* The ledger is away: the user is made all the same, and the log-in works. */
    expect(ask("POST", "/api/auth/register", "", body), 503, "LEDGER_UNAVAILABLE");
    expect(ask("POST", "/api/auth/login", "", body), 200, "access_token");
    member("access_token", token, 1024);
    member("refresh_token", refresh, 128);
}

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
    cr_assert_eq(ask_on(fd, "HEAD", "/api/nothing", "", ""), 0, "HEAD has no body to wait for");
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
    char head[4096];
    size_t length = 0;
    while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0) {
        cr_assert_eq(recv(fd, head + length, 1, 0), 1);
        cr_assert_lt(++length, sizeof head);
    }
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

/* ---- WebSocket --------------------------------------------------------------------------- */

static void
stream_say(int fd, const char *text)
{
    unsigned char frame[256] = {0x81, (unsigned char)(0x80 | strlen(text)), 1, 2, 3, 4};
    for (size_t i = 0; text[i] != 0; i++)
        frame[6 + i] = (unsigned char)text[i] ^ frame[2 + i % 4];
    say(fd, (const char *)frame, 6 + strlen(text));
}

/* One short frame as text; its first byte. */
static int
stream_hear(int fd)
{
    unsigned char head[4];
    if (recv(fd, head, 2, MSG_WAITALL) != 2)
        return 0;
    size_t length = head[1];
    if (length == 126) {
        cr_assert_eq(recv(fd, head + 2, 2, MSG_WAITALL), 2);
        length = (size_t)head[2] << 8 | head[3];
    }
    cr_assert_eq(recv(fd, reply, length, MSG_WAITALL), (ssize_t)length);
    reply[length] = 0;
    return head[0];
}

static int
stream_open(const char *path)
{
    char request[512];
    int fd = dial();
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     path);
    say(fd, request, (size_t)n);
    return fd;
}

/* Sends the token in one frame of more than 125 bytes, and hears the answer. */
static void
stream_auth(int fd, const char *token)
{
    char op[1200];
    int n = snprintf(op, sizeof op, "{\"op\":\"auth\",\"token\":\"%s\"}", token);
    unsigned char head[8] = {0x81, 0x80 | 126, (unsigned char)(n >> 8), (unsigned char)n, 0};
    say(fd, (const char *)head, 8);
    say(fd, op, (size_t)n);
    cr_assert_eq(stream_hear(fd), 0x81);
}

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
    stream_say(fd, "{\"op\":\"subscribe\",\"channel\":\"orders\"}");
    cr_assert_eq(stream_hear(fd), 0x81);
    cr_assert_not_null(strstr(reply, "LEDGER_UNAVAILABLE"), "%s", reply);
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
