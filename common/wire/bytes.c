/*
 * bytes.c - the growing byte buffer of wire/codec.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

#define BYTES_FIRST 1024u
/* Nothing Scrip builds in memory comes near; beyond is a runaway of our own. */
#define BYTES_MAX ((size_t)1 << 30)

void
bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){NULL, 0, 0};
}

void
bytes_clear(struct bytes *b)
{
    b->length = 0;
}

void
bytes_reserve(struct bytes *b, size_t more)
{
    if (more <= b->room - b->length)
        return;
    CHECK(more <= BYTES_MAX - b->length);
    size_t room = b->room > 0 ? b->room : BYTES_FIRST;
    while (room < b->length + more)
        room *= 2;
    uint8_t *data = realloc(b->data, room);
    CHECK(data != NULL);
    b->data = data;
    b->room = room;
}

void
bytes_add(struct bytes *b, const void *data, size_t length)
{
    if (length == 0)
        return;
    bytes_reserve(b, length);
    memcpy(b->data + b->length, data, length);
    b->length += length;
}
