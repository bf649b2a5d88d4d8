/*
 * http_head.c - the text of an answer: built by hand, because it is made for every request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/shell/http_head.h"

#include <string.h>
#include <time.h>

#define FULL_BODY                                                                                  \
    "{\"error\":{\"code\":\"CONNECTIONS_FULL\",\"message\":\"the server has no room for another "  \
    "connection\",\"retry_after_seconds\":1}}"
_Static_assert(sizeof FULL_BODY - 1 == 119, "the Content-Length below");

const char http_full_reply[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Connection: close\r\nContent-Length: 119\r\n\r\n" FULL_BODY;

void
http_date_set(struct http_date *d, int64_t now_us)
{
    int64_t second = now_us / 1000000;
    if (second == d->second)
        return;
    d->second = second;
    struct tm tm;
    time_t t = (time_t)second;
    gmtime_r(&t, &tm);
    d->length = strftime(d->text, sizeof d->text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
}

static const char *
reason_of(int status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 201:
        return "201 Created";
    case 400:
        return "400 Bad Request";
    case 401:
        return "401 Unauthorized";
    case 403:
        return "403 Forbidden";
    case 404:
        return "404 Not Found";
    case 405:
        return "405 Method Not Allowed";
    case 408:
        return "408 Request Timeout";
    case 409:
        return "409 Conflict";
    case 413:
        return "413 Content Too Large";
    case 429:
        return "429 Too Many Requests";
    case 431:
        return "431 Request Header Fields Too Large";
    case 501:
        return "501 Not Implemented";
    case 502:
        return "502 Bad Gateway";
    case 503:
        return "503 Service Unavailable";
    case 504:
        return "504 Gateway Timeout";
    default:
        return "500 Internal Server Error";
    }
}

static void
add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void
add_number(struct bytes *out, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    bytes_add(out, digits + at, sizeof digits - at);
}

static void
add_hex(struct bytes *out, uint64_t n)
{
    char digits[16];
    for (int i = 15; i >= 0; i--, n >>= 4)
        digits[i] = "0123456789abcdef"[n & 15];
    bytes_add(out, digits, sizeof digits);
}

void
http_head_write(struct bytes *out, const struct http_reply *r, const struct http_date *date,
                bool keep_alive, bool is_1_0, bool with_body)
{
    bytes_reserve(out, 512 + r->length);
    add_text(out, "HTTP/1.1 ");
    add_text(out, reason_of(r->status));
    add_text(out, "\r\nContent-Type: ");
    add_text(out, r->content_type == NULL ? "application/json" : r->content_type);
    add_text(out, "\r\nContent-Length: ");
    add_number(out, r->length);
    add_text(out, "\r\nX-Correlation-Id: ");
    add_hex(out, r->corr);
    add_text(out, "\r\n");
    bytes_add(out, date->text, date->length);
    if (r->retry_after_seconds > 0) {
        add_text(out, "Retry-After: ");
        add_number(out, r->retry_after_seconds);
        add_text(out, "\r\n");
    }
    if (r->allow != NULL) {
        add_text(out, "Allow: ");
        add_text(out, r->allow);
        add_text(out, "\r\n");
    }
    if (r->authenticate)
        add_text(out, "WWW-Authenticate: Bearer realm=\"scrip\"\r\n");
    if (r->no_store)
        add_text(out, "Cache-Control: no-store\r\n");
    if (!keep_alive)
        add_text(out, "Connection: close\r\n");
    else if (is_1_0)
        add_text(out, "Connection: keep-alive\r\n");
    add_text(out, "\r\n");
    if (with_body)
        bytes_add(out, r->body, r->length);
}
