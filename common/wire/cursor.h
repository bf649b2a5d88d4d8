/*
 * cursor.h - a bounded walk over msgpack bytes; private to wire/.
 *
 * Every read checks the end of the bytes first and says false when the next value is cut off or
 * of another kind. Nothing is allocated and no length of a stranger is believed before it is
 * held against the bytes that are left. docs/decisions/0002 tells why msgpack-c does not read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_WIRE_CURSOR_H
#define SCRIP_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Containers inside one another that are skipped at most; messages need 4 at most themselves. */
#define CURSOR_DEPTH_MAX 4

struct cursor {
    const uint8_t *at, *end;
};

/* An integer of any width: `bits` is the value itself, or of a negative one its two's complement.
 */
struct cursor_int {
    uint64_t bits;
    bool negative;
};

static inline size_t
cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* The next `bytes` big-endian bytes as a number. */
static inline bool
cursor_big_endian(struct cursor *c, size_t bytes, uint64_t *out)
{
    if (cursor_left(c) < bytes)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | c->at[i];
    c->at += bytes;
    *out = value;
    return true;
}

/* false when not an integer or cut off. */
bool cursor_int(struct cursor *c, struct cursor_int *out);
bool cursor_bool(struct cursor *c, bool *out);
/* A text's bytes, lent from the frame. */
bool cursor_text(struct cursor *c, const char **text, size_t *length);
/* Heads of containers; the count is refused when the bytes left could not hold it. */
bool cursor_map(struct cursor *c, uint32_t *count);
bool cursor_array(struct cursor *c, uint32_t *count);
/* Passes over one value of any kind, nested at most `depth` containers deep. */
bool cursor_skip(struct cursor *c, int depth);

#endif
