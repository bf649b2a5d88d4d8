/*
 * held.c - see held.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ledger/shell/held.h"

#include <stdlib.h>

#include "base/check.h"

struct held_message {
    uint64_t to;
    size_t at;
    uint32_t length;
    enum held_for held_for;
};

void
held_init(struct held *h, uint32_t max)
{
    h->messages = calloc(max, sizeof *h->messages);
    CHECK(h->messages != NULL);
    h->max = max;
}

void
held_fini(struct held *h)
{
    free(h->messages);
    bytes_free(&h->bytes);
}

void
held_clear(struct held *h)
{
    h->count = 0;
    bytes_clear(&h->bytes);
}

void
held_add(struct held *h, enum held_for held_for, uint64_t to, const struct msg *m)
{
    CHECK(h->count < h->max);
    size_t at = h->bytes.length;
    msg_pack(&h->bytes, m);
    h->messages[h->count++] = (struct held_message){
        .to = to,
        .at = at,
        .length = (uint32_t)(h->bytes.length - at),
        .held_for = held_for,
    };
}

void
held_release(struct held *h, const struct held_way *way)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct held_message *m = &h->messages[i];
        const uint8_t *data = h->bytes.data + m->at;
        switch (m->held_for) {
        case HELD_FOR_ASKER:
            way->on_reply(way->arg, (uint32_t)m->to, data, m->length);
            break;
        case HELD_FOR_FOLLOWERS:
            way->on_event(way->arg, m->to, data, m->length);
            break;
        case HELD_FOR_BRIDGE:
            way->on_bridge(way->arg, data, m->length);
            break;
        }
    }
    held_clear(h);
}
