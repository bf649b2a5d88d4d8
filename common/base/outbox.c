/*
 * outbox.c - what a core asks its shell to send.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/outbox.h"

#include <string.h>

void
outbox_init(struct outbox *o, struct out *slots, uint32_t max, void *bytes, size_t size)
{
    o->slots = slots;
    o->count = 0;
    o->max = max;
    arena_init(&o->lists, bytes, size);
}

void
outbox_clear(struct outbox *o)
{
    o->count = 0;
    arena_reset(&o->lists);
}

uint32_t
outbox_room(const struct outbox *o)
{
    return o->max - o->count;
}

struct msg *
outbox_put(struct outbox *o, enum out_to to, uint32_t peer, enum msg_type type, uint64_t corr)
{
    CHECK(o->count < o->max);
    const struct msg_layout *layout = msg_layout(type);
    CHECK(layout != NULL);
    struct out *slot = &o->slots[o->count++];
    slot->to = to;
    slot->peer = peer;
    slot->msg.type = type;
    slot->msg.corr = corr;
    memset(msg_body(&slot->msg), 0, layout->size);
    return &slot->msg;
}
