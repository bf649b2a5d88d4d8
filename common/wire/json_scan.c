/*
 * json_scan.c - one pass over a JSON text, before json-c builds the tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/json_scan.h"

#include <string.h>

#define REPEATED_KEYS_MAX 64 /* of the outermost object that are compared to name a culprit */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t
digits(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && is_digit(text[n]))
        n++;
    return n;
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool
is_number(const char *text, size_t length)
{
    const char *end = text + length;
    if (text < end && *text == '-')
        text++;
    size_t whole = digits(text, (size_t)(end - text));
    if (whole == 0 || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (text < end && *text == '.') {
        size_t fraction = digits(text + 1, (size_t)(end - text - 1));
        if (fraction == 0)
            return false;
        text += 1 + fraction;
    }
    if (text < end && (*text == 'e' || *text == 'E')) {
        text++;
        if (text < end && (*text == '+' || *text == '-'))
            text++;
        size_t exponent = digits(text, (size_t)(end - text));
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return text == end;
}

static bool
is_word(const char *text, size_t length)
{
    if (length == 4 && (memcmp(text, "true", 4) == 0 || memcmp(text, "null", 4) == 0))
        return true;
    if (length == 5 && memcmp(text, "false", 5) == 0)
        return true;
    return is_number(text, length);
}

/* Length of the text that begins behind an opening quote, its closing quote included; 0 = none. */
static size_t
quoted_length(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            return i + 1;
        if ((unsigned char)text[i] < 0x20)
            return 0;
        if (text[i] != '\\')
            continue;
        /* Keys and values end at a NUL for whoever reads them as C texts. */
        if (length - i > 5 && memcmp(text + i + 1, "u0000", 5) == 0)
            return 0;
        i++;
    }
    return 0;
}

static size_t
word_length(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && text[n] != 0 && !is_blank(text[n]) && strchr("{}[]:,\"", text[n]) == NULL)
        n++;
    return n;
}

bool
json_scan(const char *text, size_t length, int depth_max, size_t *keys)
{
    int depth = 0;
    *keys = 0;
    for (size_t i = 0; i < length;) {
        char c = text[i];
        if (is_blank(c) || c == ',') {
            i++;
        } else if (c == ':') {
            i++;
            ++*keys;
        } else if (c == '{' || c == '[') {
            i++;
            if (++depth > depth_max)
                return false;
        } else if (c == '}' || c == ']') {
            i++;
            if (--depth < 0)
                return false;
        } else if (c == '"') {
            size_t inside = quoted_length(text + i + 1, length - i - 1);
            if (inside == 0)
                return false;
            i += 1 + inside;
        } else {
            size_t word = word_length(text + i, length - i);
            if (!is_word(text + i, word))
                return false;
            i += word;
        }
    }
    return depth == 0;
}

/* Only called on texts that json_scan and json-c have accepted. */
void
json_scan_repeated(const char *text, size_t length, code_t *key)
{
    struct {
        const char *at;
        size_t length;
    } seen[REPEATED_KEYS_MAX];
    size_t count = 0, last_length = 0;
    const char *last = text;
    int depth = 0;
    *key = (code_t){{0}};
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c == '"') {
            last = text + i + 1;
            last_length = quoted_length(last, length - i - 1) - 1;
            i += last_length + 1;
        }
        if (c != ':' || depth != 1 || count == REPEATED_KEYS_MAX)
            continue;
        for (size_t k = 0; k < count; k++)
            if (seen[k].length == last_length && memcmp(seen[k].at, last, last_length) == 0) {
                size_t kept = last_length < CODE_BYTES ? last_length : CODE_BYTES - 1;
                memcpy(key->text, last, kept);
                return;
            }
        seen[count].at = last;
        seen[count++].length = last_length;
    }
}
