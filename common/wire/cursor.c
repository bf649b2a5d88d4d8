/*
 * cursor.c - a bounded walk over msgpack bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/cursor.h"

#include <string.h>

/* The first bytes of msgpack's formats. */
enum {
    FIX_MAP = 0x80,
    FIX_ARRAY = 0x90,
    FIX_TEXT = 0xa0,
    NIL = 0xc0,
    NEVER = 0xc1,
    FALSE_BYTE = 0xc2,
    TRUE_BYTE = 0xc3,
    BIN8 = 0xc4,
    EXT8 = 0xc7,
    FLOAT32 = 0xca,
    FLOAT64 = 0xcb,
    UINT8 = 0xcc,
    UINT64 = 0xcf,
    INT8 = 0xd0,
    INT64 = 0xd3,
    FIX_EXT1 = 0xd4,
    TEXT8 = 0xd9,
    ARRAY16 = 0xdc,
    ARRAY32 = 0xdd,
    MAP16 = 0xde,
    MAP32 = 0xdf,
    FIX_NEGATIVE = 0xe0
};

static bool
cursor_int_wide(struct cursor *c, uint8_t first, struct cursor_int *out)
{
    if (first >= UINT8 && first <= UINT64) {
        out->negative = false;
        return cursor_big_endian(c, (size_t)1 << (first - UINT8), &out->bits);
    }
    if (first >= INT8 && first <= INT64) {
        size_t bytes = (size_t)1 << (first - INT8);
        uint64_t bits;
        if (!cursor_big_endian(c, bytes, &bits))
            return false;
        unsigned unused = (unsigned)(64 - 8 * bytes);
        int64_t value = (int64_t)(bits << unused) >> unused;
        out->bits = (uint64_t)value;
        out->negative = value < 0;
        return true;
    }
    return false;
}

bool
cursor_int(struct cursor *c, struct cursor_int *out)
{
    if (c->at == c->end)
        return false;
    uint8_t first = *c->at++;
    if (first < FIX_MAP) {
        *out = (struct cursor_int){first, false};
        return true;
    }
    if (first >= FIX_NEGATIVE) {
        *out = (struct cursor_int){(uint64_t)(int64_t)(int8_t)first, true};
        return true;
    }
    return cursor_int_wide(c, first, out);
}

bool
cursor_bool(struct cursor *c, bool *out)
{
    if (c->at == c->end || (*c->at != FALSE_BYTE && *c->at != TRUE_BYTE))
        return false;
    *out = *c->at++ == TRUE_BYTE;
    return true;
}

bool
cursor_text(struct cursor *c, const char **text, size_t *length)
{
    if (c->at == c->end)
        return false;
    uint8_t first = *c->at++;
    uint64_t count;
    if ((first & 0xe0) == FIX_TEXT)
        count = first & 0x1f;
    else if (first < TEXT8 || first >= ARRAY16)
        return false;
    else if (!cursor_big_endian(c, (size_t)1 << (first - TEXT8), &count))
        return false;
    if (count > cursor_left(c))
        return false;
    *text = (const char *)c->at;
    *length = (size_t)count;
    c->at += count;
    return true;
}

/* A container's count; each of its members takes at least `least` bytes. */
static bool
cursor_head(struct cursor *c, uint8_t fix, uint8_t wide16, size_t least, uint32_t *count)
{
    if (c->at == c->end)
        return false;
    uint8_t first = *c->at++;
    uint64_t n;
    if ((first & 0xf0) == fix)
        n = first & 0x0f;
    else if (first != wide16 && first != wide16 + 1)
        return false;
    else if (!cursor_big_endian(c, first == wide16 ? 2 : 4, &n))
        return false;
    if (n > cursor_left(c) / least)
        return false;
    *count = (uint32_t)n;
    return true;
}

bool
cursor_map(struct cursor *c, uint32_t *count)
{
    return cursor_head(c, FIX_MAP, MAP16, 2, count);
}

bool
cursor_array(struct cursor *c, uint32_t *count)
{
    return cursor_head(c, FIX_ARRAY, ARRAY16, 1, count);
}

static bool
cursor_pass(struct cursor *c, uint64_t bytes)
{
    if (bytes > cursor_left(c))
        return false;
    c->at += bytes;
    return true;
}

/* A value whose bytes follow a length: binary and extensions, and what has a fixed size. */
static bool
cursor_skip_plain(struct cursor *c)
{
    uint8_t first = *c->at++;
    uint64_t length;
    if (first >= BIN8 && first < EXT8)
        return cursor_big_endian(c, (size_t)1 << (first - BIN8), &length) && cursor_pass(c, length);
    if (first >= EXT8 && first < FLOAT32) /* a length, then one byte of type */
        return cursor_big_endian(c, (size_t)1 << (first - EXT8), &length) &&
               cursor_pass(c, length + 1);
    if (first == FLOAT32 || first == FLOAT64)
        return cursor_pass(c, first == FLOAT32 ? 4 : 8);
    if (first >= FIX_EXT1 && first < TEXT8)
        return cursor_pass(c, 1 + ((uint64_t)1 << (first - FIX_EXT1)));
    return first == NIL || first == FALSE_BYTE || first == TRUE_BYTE;
}

bool
cursor_skip(struct cursor *c, int depth)
{
    if (c->at == c->end || *c->at == NEVER)
        return false;
    uint8_t first = *c->at;
    bool is_map = (first & 0xf0) == FIX_MAP || first == MAP16 || first == MAP32;
    bool is_array = (first & 0xf0) == FIX_ARRAY || first == ARRAY16 || first == ARRAY32;
    if (is_map || is_array) {
        uint32_t count;
        if (depth == 0 || !(is_map ? cursor_map(c, &count) : cursor_array(c, &count)))
            return false;
        for (uint64_t left = is_map ? (uint64_t)count * 2 : count; left > 0; left--)
            if (!cursor_skip(c, depth - 1))
                return false;
        return true;
    }
    if ((first & 0xe0) == FIX_TEXT || (first >= TEXT8 && first < ARRAY16)) {
        const char *text;
        size_t length;
        return cursor_text(c, &text, &length);
    }
    if (first < FIX_MAP || (first >= UINT8 && first <= INT64) || first >= FIX_NEGATIVE) {
        struct cursor_int number;
        return cursor_int(c, &number);
    }
    return cursor_skip_plain(c);
}
