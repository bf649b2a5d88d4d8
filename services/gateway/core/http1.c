/*
 * http1.c - the grammar of an HTTP/1.1 request head, as far as the gateway takes it.
 *
 * Refuses what two readers might read differently: bare line feeds, folded lines, blanks before a
 * colon, no Host or two, a repeated Content-Length that differs, Transfer-Encoding. No I/O, no
 * allocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/core/http1.h"

#include <string.h>

static const char why_line[] = "the request line is not METHOD /path HTTP/1.1";
static const char why_header[] = "a header line is malformed";
static const char why_length[] = "Content-Length is not one plain number";
static const char why_chunked[] = "chunked bodies are not taken: send Content-Length";
static const char why_repeated[] = "the Authorization header stands there twice";
static const char why_host[] = "the Host header is not one host, with or without a port";
static const char why_no_host[] = "a request of HTTP/1.1 has exactly one Host header";

size_t
http1_head_end(const char *data, size_t length, size_t *scanned)
{
    /* The blank line may straddle what was looked at before. */
    size_t from = *scanned > 3 ? *scanned - 3 : 0;
    while (from + 4 <= length) {
        const char *cr = memchr(data + from, '\r', length - from - 3);
        if (cr == NULL)
            break;
        if (memcmp(cr, "\r\n\r\n", 4) == 0)
            return (size_t)(cr - data) + 4;
        from = (size_t)(cr - data) + 1;
    }
    *scanned = length;
    return 0;
}

static bool
is_token_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool
http1_head_broken(const char *data, size_t length, size_t from)
{
    if (length > 0 && data[0] != '\r' && !is_token_char((unsigned char)data[0]))
        return true;
    for (size_t i = from; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        bool after_cr = i > 0 && data[i - 1] == '\r';
        if (after_cr != (c == '\n') || c == 0x7f ||
            (c < ' ' && c != '\t' && c != '\r' && c != '\n'))
            return true;
    }
    return false;
}

static char
lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* `lower` is in lower case already. */
static bool
starts_with(const char *at, size_t length, const char *lower)
{
    for (size_t i = 0; lower[i] != 0; i++)
        if (i >= length || lower_of(at[i]) != lower[i])
            return false;
    return true;
}

static bool
text_is(struct http1_text t, const char *lower)
{
    return t.length == strlen(lower) && starts_with(t.at, t.length, lower);
}

static enum http1_method
method_of(struct http1_text name)
{
    static const struct {
        const char *name;
        enum http1_method method;
    } methods[] = {
        {"GET", HTTP1_GET},         {"HEAD", HTTP1_HEAD},     {"POST", HTTP1_POST},
        {"PUT", HTTP1_PUT},         {"DELETE", HTTP1_DELETE}, {"PATCH", HTTP1_PATCH},
        {"OPTIONS", HTTP1_OPTIONS},
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strlen(methods[i].name) == name.length &&
            memcmp(methods[i].name, name.at, name.length) == 0)
            return methods[i].method;
    return HTTP1_OTHER;
}

/* A target in absolute form (http://host/path) loses its scheme and host. */
static bool
target_read(struct http1_text target, struct http1_head *out)
{
    for (size_t i = 0; i < target.length; i++)
        if ((unsigned char)target.at[i] <= ' ' || (unsigned char)target.at[i] >= 0x7f)
            return false;
    if (target.length > 7 && starts_with(target.at, target.length, "http://")) {
        const char *slash = memchr(target.at + 7, '/', target.length - 7);
        if (slash == NULL)
            return false;
        target.length -= (size_t)(slash - target.at);
        target.at = slash;
    }
    if (target.length == 0 || target.at[0] != '/')
        return false;

    const char *mark = memchr(target.at, '?', target.length);
    out->path = target;
    if (mark != NULL) {
        out->path.length = (size_t)(mark - target.at);
        out->query.at = mark + 1;
        out->query.length = target.length - out->path.length - 1;
    }
    return true;
}

static bool
request_line_read(const char *line, size_t length, struct http1_head *out)
{
    const char *end = line + length;
    const char *first = memchr(line, ' ', length);
    if (first == NULL || first == line)
        return false;
    struct http1_text name = {line, (size_t)(first - line)};
    for (size_t i = 0; i < name.length; i++)
        if (!is_token_char((unsigned char)name.at[i]))
            return false;
    const char *second = memchr(first + 1, ' ', (size_t)(end - first - 1));
    if (second == NULL || end - second != 9 || memcmp(second, " HTTP/1.", 8) != 0)
        return false;
    if (second[8] != '0' && second[8] != '1')
        return false;

    out->method = method_of(name);
    out->keep_alive = second[8] == '1';
    out->is_1_0 = second[8] == '0';
    return target_read((struct http1_text){first + 1, (size_t)(second - first - 1)}, out);
}

/* Whether a comma list has a word, ignoring case. */
static bool
list_has(struct http1_text list, const char *word)
{
    while (list.length > 0) {
        const char *comma = memchr(list.at, ',', list.length);
        struct http1_text item = {list.at, comma == NULL ? list.length : (size_t)(comma - list.at)};
        list.at += item.length + (comma != NULL);
        list.length -= item.length + (comma != NULL);
        while (item.length > 0 && (*item.at == ' ' || *item.at == '\t')) {
            item.at++;
            item.length--;
        }
        while (item.length > 0 &&
               (item.at[item.length - 1] == ' ' || item.at[item.length - 1] == '\t'))
            item.length--;
        if (text_is(item, word))
            return true;
    }
    return false;
}

static bool
length_read(struct http1_text value, uint64_t *out)
{
    if (value.length == 0 || value.length > 18)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(value.at[i] - '0');
    }
    *out = n;
    return true;
}

/* What a Host header may hold: a name or an address, and a port; or nothing. */
static bool
host_valid(struct http1_text value)
{
    for (size_t i = 0; i < value.length; i++) {
        char c = lower_of(value.at[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) &&
            (c == 0 || strchr("-._~!$&'()*+,;=:[]%", c) == NULL))
            return false;
    }
    return true;
}

/* What was seen of the headers that must agree with each other. */
struct seen {
    bool host, length, upgrade_websocket, connection_upgrade, key, version_13;
};

/* NULL, or why the header is refused. */
static const char *
header_take(struct http1_text name, struct http1_text value, struct http1_head *out,
            struct seen *seen)
{
    if (text_is(name, "content-length")) {
        uint64_t n;
        if (!length_read(value, &n) || (seen->length && n != out->content_length))
            return why_length;
        seen->length = true;
        out->content_length = n;
    } else if (text_is(name, "host")) {
        if (seen->host)
            return why_no_host;
        seen->host = true;
        if (!host_valid(value))
            return why_host;
    } else if (text_is(name, "transfer-encoding")) {
        return why_chunked;
    } else if (text_is(name, "authorization")) {
        if (out->authorization.at != NULL)
            return why_repeated;
        out->authorization = value;
    } else if (text_is(name, "connection")) {
        if (list_has(value, "close"))
            out->keep_alive = false;
        else if (list_has(value, "keep-alive"))
            out->keep_alive = true;
        seen->connection_upgrade |= list_has(value, "upgrade");
    } else if (text_is(name, "expect")) {
        out->expects_continue = text_is(value, "100-continue");
    } else if (text_is(name, "upgrade")) {
        seen->upgrade_websocket = list_has(value, "websocket");
    } else if (text_is(name, "sec-websocket-key")) {
        seen->key = value.length == 24;
    } else if (text_is(name, "sec-websocket-version")) {
        seen->version_13 = text_is(value, "13");
    }
    return NULL;
}

static const char *
header_line_read(const char *line, size_t length, struct http1_head *out, struct seen *seen)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || colon == line)
        return why_header;
    struct http1_text name = {line, (size_t)(colon - line)};
    for (size_t i = 0; i < name.length; i++)
        if (!is_token_char((unsigned char)name.at[i]))
            return why_header;

    struct http1_text value = {colon + 1, length - name.length - 1};
    while (value.length > 0 && (*value.at == ' ' || *value.at == '\t')) {
        value.at++;
        value.length--;
    }
    while (value.length > 0 &&
           (value.at[value.length - 1] == ' ' || value.at[value.length - 1] == '\t'))
        value.length--;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return why_header;
    }
    return header_take(name, value, out, seen);
}

enum err
http1_read(const char *data, size_t length, struct http1_head *out, const char **why)
{
    const char *at = data, *end = data + length;
    memset(out, 0, sizeof *out);
    out->bytes = length;
    *why = why_line;

    /* One empty line before a request is an old client's habit. */
    if (length > 2 && memcmp(at, "\r\n", 2) == 0)
        at += 2;
    const char *cr = memchr(at, '\r', (size_t)(end - at));
    if (cr == NULL || cr + 1 >= end || cr[1] != '\n' ||
        !request_line_read(at, (size_t)(cr - at), out))
        return ERR_REQUEST_MALFORMED;

    struct seen seen = {0};
    for (at = cr + 2; at < end; at = cr + 2) {
        cr = memchr(at, '\r', (size_t)(end - at));
        *why = why_header;
        if (cr == at && cr + 2 == end)
            break;
        if (cr == NULL || cr + 1 >= end || cr[1] != '\n')
            return ERR_REQUEST_MALFORMED;
        *why = header_line_read(at, (size_t)(cr - at), out, &seen);
        if (*why != NULL)
            return ERR_REQUEST_MALFORMED;
    }
    *why = why_no_host;
    if (!seen.host && !out->is_1_0)
        return ERR_REQUEST_MALFORMED;
    *why = NULL;
    out->wants_websocket =
        seen.upgrade_websocket && seen.connection_upgrade && seen.key && seen.version_13;
    return OK;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
http1_decode(struct http1_text text, bool is_query, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length; i++) {
        int c = (unsigned char)text.at[i];
        if (c == '%') {
            if (i + 2 >= text.length)
                return false;
            int high = hex_value(text.at[i + 1]), low = hex_value(text.at[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        if (c < ' ' || c == 0x7f || n + 1 >= size)
            return false;
        out[n++] = (char)c;
    }
    out[n] = 0;
    return true;
}

bool
http1_next_pair(struct http1_text *query, struct http1_text *name, struct http1_text *value)
{
    while (query->length > 0 && *query->at == '&') {
        query->at++;
        query->length--;
    }
    if (query->length == 0)
        return false;
    const char *and = memchr(query->at, '&', query->length);
    size_t length = and == NULL ? query->length : (size_t)(and-query->at);
    const char *equals = memchr(query->at, '=', length);
    name->at = query->at;
    name->length = equals == NULL ? length : (size_t)(equals - query->at);
    value->at = equals == NULL ? query->at + length : equals + 1;
    value->length = equals == NULL ? 0 : length - name->length - 1;
    query->at += length;
    query->length -= length;
    return true;
}
