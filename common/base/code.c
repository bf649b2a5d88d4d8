/*
 * code.c - short texts held by value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/code.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum err
text_copy(const char *bytes, size_t length, char *out, size_t room)
{
    if (length >= room)
        return ERR_FIELD_TOO_LONG;
    if (length > 0 && memchr(bytes, 0, length) != NULL)
        return ERR_FIELD_TYPE;
    memset(out, 0, room);
    if (length > 0)
        memcpy(out, bytes, length);
    return OK;
}

enum err
code_from(const char *bytes, size_t length, code_t *out)
{
    return text_copy(bytes, length, out->text, sizeof(out->text));
}

enum err
cid_from(const char *bytes, size_t length, cid_t *out)
{
    if (length > CID_CHARS_MAX)
        return ERR_FIELD_TOO_LONG;
    return text_copy(bytes, length, out->text, sizeof(out->text));
}

enum err
text_from(const char *bytes, size_t length, text_t *out)
{
    return text_copy(bytes, length, out->text, sizeof(out->text));
}

code_t
code_of(const char *literal)
{
    code_t out;
    enum err e = code_from(literal, strlen(literal), &out);
    CHECK(e == OK);
    return out;
}

text_t
text_of(const char *format, ...)
{
    text_t out = {{0}};
    va_list args;
    va_start(args, format);
    vsnprintf(out.text, sizeof(out.text), format, args);
    va_end(args);
    return out;
}

bool
code_same(code_t a, code_t b)
{
    return memcmp(a.text, b.text, sizeof(a.text)) == 0;
}

bool
code_empty(code_t a)
{
    return a.text[0] == 0;
}

bool
cid_same(const cid_t *a, const cid_t *b)
{
    return memcmp(a->text, b->text, sizeof(a->text)) == 0;
}

bool
cid_empty(const cid_t *a)
{
    return a->text[0] == 0;
}

static bool
cid_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == ':' || c == '/' || c == '_' || c == '-';
}

bool
cid_valid(const cid_t *a)
{
    size_t length = strnlen(a->text, sizeof(a->text));
    if (length < 1 || length > CID_CHARS_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!cid_char(a->text[i]))
            return false;
    return true;
}
