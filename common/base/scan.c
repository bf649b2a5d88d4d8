/*
 * scan.c - the characters of JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/scan.h"

#include <string.h>

#include "base/money.h"

static inline void
blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n'))
        s->at++;
}

bool
scan_take_behind_blanks(struct scan *s, char c)
{
    blanks(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* What stops a reader: inside a string a quote, a backslash or a control character; between the
 * values of an object or array a quote or a bracket. Most characters are neither. */
enum { STOPS_STRING = 1, STOPS_NESTED = 2 };
static const uint8_t STOPS[256] = {
    [0 ... 31] = STOPS_STRING, ['"'] = STOPS_STRING | STOPS_NESTED,
    ['\\'] = STOPS_STRING,     ['{'] = STOPS_NESTED,
    ['}'] = STOPS_NESTED,      ['['] = STOPS_NESTED,
    [']'] = STOPS_NESTED,
};

static inline void
skip_until(struct scan *s, uint8_t stop)
{
    while (s->at < s->end && (STOPS[(unsigned char)*s->at] & stop) == 0)
        s->at++;
}

/* Behind the opening quote: moves behind the closing one. */
static bool
string_end(struct scan *s)
{
    for (;;) {
        skip_until(s, STOPS_STRING);
        if (s->at == s->end)
            return false;
        char c = *s->at++;
        if (c == '"')
            return true;
        if (c == '\\') {
            if (s->at == s->end)
                return false;
            s->at++;
        } else {
            return false;
        }
    }
}

static bool
word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

/* A number or a word; which of them it is, its reader finds out. */
static bool
take_word(struct scan *s, struct slice *out)
{
    const char *begin = s->at;
    while (s->at < s->end && word_char(*s->at))
        s->at++;
    char first = s->at > begin ? *begin : '\0';
    out->kind = (first >= '0' && first <= '9') || first == '-' ? 'n' : 'w';
    out->at = begin;
    out->length = (size_t)(s->at - begin);
    if (out->kind == 'n')
        return true;
    return slice_is(*out, "true") || slice_is(*out, "false") || slice_is(*out, "null");
}

/* A whole object or array: brackets must pair, and the last closing one ends it. */
static bool
take_nested(struct scan *s, struct slice *out)
{
    const char *begin = s->at;
    char open[SCAN_DEPTH_MAX];
    int depth = 0;
    for (;;) {
        skip_until(s, STOPS_NESTED);
        if (s->at == s->end)
            return false;
        char c = *s->at++;
        if (c == '"') {
            if (!string_end(s))
                return false;
        } else if (c == '{' || c == '[') {
            if (depth == SCAN_DEPTH_MAX)
                return false;
            open[depth++] = c == '{' ? '}' : ']';
        } else {
            if (open[--depth] != c)
                return false;
            if (depth == 0) {
                *out = (struct slice){begin, (size_t)(s->at - begin), *begin};
                return true;
            }
        }
    }
}

bool
scan_value(struct scan *s, struct slice *out)
{
    blanks(s);
    if (s->at == s->end)
        return false;
    if (*s->at == '{' || *s->at == '[')
        return take_nested(s, out);
    if (*s->at != '"')
        return take_word(s, out);
    const char *begin = ++s->at;
    if (!string_end(s))
        return false;
    *out = (struct slice){begin, (size_t)(s->at - 1 - begin), 's'};
    return true;
}

bool
scan_name(struct scan *s, struct slice *out)
{
    return scan_value(s, out) && out->kind == 's' && scan_take(s, ':');
}

bool
scan_done(struct scan *s)
{
    blanks(s);
    return s->at == s->end;
}

bool
slice_is(struct slice s, const char *text)
{
    size_t length = strlen(text);
    return s.length == length && memcmp(s.at, text, length) == 0;
}

bool
slice_u64(struct slice s, uint64_t *out)
{
    if (s.kind != 'n' || s.length == 0 || s.length > 19)
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.length; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.at[i] - '0');
    }
    *out = v;
    return true;
}

bool
slice_decimal(struct slice s, int64_t *out)
{
    return (s.kind == 's' || s.kind == 'n') && decimal_read(s.at, s.length, out) == OK;
}
