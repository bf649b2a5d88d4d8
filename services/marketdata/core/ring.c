/*
 * ring.c - bytes in a circle; a message never wraps, so that it is handed out in one piece.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "marketdata/core/ring.h"

#include <string.h>

void
ring_init(struct ring *r, uint32_t messages_max, uint32_t bytes_max, uint64_t first,
          struct arena *memory)
{
    CHECK(messages_max > 0 && bytes_max > 0 && first > 0);
    *r = (struct ring){
        .bytes_max = bytes_max, .slots_max = messages_max, .first = first, .last = first - 1};
    /* A quiet symbol never uses most of it. */
    r->bytes = arena_take_unset(memory, bytes_max, 1);
    r->slots = arena_take_unset(memory, messages_max, sizeof(*r->slots));
    CHECK(r->bytes != NULL && r->slots != NULL);
}

static struct ring_slot *
slot_of(const struct ring *r, uint64_t number)
{
    return &r->slots[number % r->slots_max];
}

void
ring_put(struct ring *r, const void *data, size_t length)
{
    r->last++;
    if (length > r->bytes_max) {
        r->first = r->last + 1;
        return;
    }
    uint64_t at = r->written;
    if (at % r->bytes_max + length > r->bytes_max)
        at += r->bytes_max - at % r->bytes_max;
    while (r->first < r->last && (r->last - r->first >= r->slots_max ||
                                  slot_of(r, r->first)->at + r->bytes_max < at + length))
        r->first++;
    *slot_of(r, r->last) = (struct ring_slot){.at = at, .length = (uint32_t)length};
    memcpy(r->bytes + at % r->bytes_max, data, length);
    r->written = at + length;
}

const uint8_t *
ring_get(const struct ring *r, uint64_t number, size_t *length)
{
    if (number < r->first || number > r->last)
        return NULL;
    const struct ring_slot *s = slot_of(r, number);
    *length = s->length;
    return r->bytes + s->at % r->bytes_max;
}
