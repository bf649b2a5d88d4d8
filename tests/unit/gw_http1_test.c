/*
 * gw_http1_test.c - the HTTP request head: what is taken, what is refused, and how it arrives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <string.h>

#include "gateway/core/http1.h"

static enum err
read_head(const char *text, struct http1_head *head)
{
    const char *why;
    size_t scanned = 0, length = http1_head_end(text, strlen(text), &scanned);
    cr_assert_gt(length, 0, "no end: %s", text);
    return http1_read(text, length, head, &why);
}

static bool
text_same(struct http1_text t, const char *text)
{
    return t.length == strlen(text) && memcmp(t.at, text, t.length) == 0;
}

Test(http1, a_request)
{
    struct http1_head h;
    cr_assert_eq(read_head("POST /api/orders?symbol=A&x=%20 HTTP/1.1\r\nHost: x\r\n"
                           "content-LENGTH:  17 \r\nAuthorization: Bearer abc\r\n\r\nmore",
                           &h),
                 OK);
    cr_assert_eq(h.method, HTTP1_POST);
    cr_assert(text_same(h.path, "/api/orders"));
    cr_assert(text_same(h.query, "symbol=A&x=%20"));
    cr_assert(text_same(h.authorization, "Bearer abc"));
    cr_assert_eq(h.content_length, 17);
    cr_assert(h.keep_alive);
    cr_assert_not(h.wants_websocket);
}

Test(http1, keeping_the_connection)
{
    struct http1_head h;
    cr_assert_eq(read_head("GET / HTTP/1.1\r\nHost: x\r\nConnection: foo , Close\r\n\r\n", &h), OK);
    cr_assert_not(h.keep_alive);
    cr_assert_eq(read_head("GET / HTTP/1.0\r\n\r\n", &h), OK);
    cr_assert_not(h.keep_alive);
    cr_assert_eq(read_head("GET / HTTP/1.1\r\nhost:\r\n\r\n", &h), OK, "may be empty");
    cr_assert_eq(read_head("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &h), OK);
    cr_assert_eq(read_head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &h), OK);
    cr_assert(h.keep_alive && h.is_1_0);
    cr_assert_eq(read_head("\r\nGET http://host:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n", &h), OK);
    cr_assert(text_same(h.path, "/a") && text_same(h.query, "b"));
}

Test(http1, a_websocket_needs_all_of_its_headers)
{
    struct http1_head h;
    cr_assert_eq(
        read_head("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, "
                  "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\n",
                  &h),
        OK);
    cr_assert(h.wants_websocket);
    cr_assert_eq(
        read_head("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
                  &h),
        OK);
    cr_assert_not(h.wants_websocket);
}

Test(http1, what_two_readers_might_read_differently_is_refused)
{
    static const char *const bad[] = {
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        "G\x80T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nName : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\nB: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \x07\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHosts: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\rContent-Length: 5\r\n\r\n",
        "GET http://a\nb/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    };
    struct http1_head h;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(read_head(bad[i], &h), ERR_REQUEST_MALFORMED, "%s", bad[i]);
}

Test(http1, the_end_is_found_however_the_bytes_arrive)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET /next";
    size_t end = sizeof "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n" - 1;
    for (size_t step = 1; step < sizeof text; step++) {
        size_t scanned = 0, found = 0;
        for (size_t n = step; found == 0; n += step)
            found = http1_head_end(text, n < sizeof text - 1 ? n : sizeof text - 1, &scanned);
        cr_assert_eq(found, end);
    }
}

Test(http1, a_head_that_can_be_none_any_more_is_seen_before_its_end)
{
    static const char *const broken[] = {"\x16\x03\x01\x02",         " GET",
                                         "\nGET / HTTP/1.1",         "GET / HTTP/1.1\n",
                                         "GET / HTTP/1.1\r\nA: b\n", "GET / HTTP/1.1\rA",
                                         "GET / HTTP/1.1\r\nA: \x7f"};
    static const char whole[] = "\r\nGET / HTTP/1.1\r\nHost: x\r\nA:\tb \x80\r";
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        size_t length = strlen(broken[i]);
        bool seen = false;
        cr_assert(http1_head_broken(broken[i], length, 0), "%s", broken[i]);
        for (size_t n = 1; n <= length; n++)
            seen = seen || http1_head_broken(broken[i], n, n - 1);
        cr_assert(seen, "byte by byte: %s", broken[i]);
    }
    for (size_t n = 0; n < sizeof whole; n++)
        cr_assert_not(http1_head_broken(whole, n, 0), "%zu", n);
}

Test(http1, escapes)
{
    char out[16];
    struct http1_text t = {"a%20b+c%2F", 10};
    cr_assert(http1_decode(t, true, out, sizeof out));
    cr_assert_str_eq(out, "a b c/");
    cr_assert(http1_decode(t, false, out, sizeof out));
    cr_assert_str_eq(out, "a b+c/");
    cr_assert_not(http1_decode(t, true, out, 6));
    static const char *const bad[] = {"%", "%2", "%zz", "%00", "%0a", "%7f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        t = (struct http1_text){bad[i], strlen(bad[i])};
        cr_assert_not(http1_decode(t, true, out, sizeof out), "%s", bad[i]);
    }
}

Test(http1, pairs_of_a_query)
{
    struct http1_text query = {"&a=1&&b=&c&d=x=y", 16}, name, value;
    static const char *const names[] = {"a", "b", "c", "d"}, *const values[] = {"1", "", "", "x=y"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(http1_next_pair(&query, &name, &value));
        cr_assert(text_same(name, names[i]) && text_same(value, values[i]));
    }
    cr_assert_not(http1_next_pair(&query, &name, &value));
}
