/*
 * unpack_fuzz.c - frames from strangers: refused, or read to something that packs to the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "random_msg.h"
#include "wire/codec.h"

static _Alignas(16) uint8_t first_bytes[1 << 20], second_bytes[1 << 20];
static struct bytes packed;

static void
packs_to_the_same(const struct msg *m)
{
    struct arena lists;
    struct msg again;
    size_t at = 0;
    arena_init(&lists, second_bytes, sizeof(second_bytes));
    bytes_clear(&packed);
    msg_pack(&packed, m);
    enum err e = msg_unpack(packed.data, packed.length, &at, &lists, &again);
    CHECK(e == OK && at == packed.length && again.type == m->type && again.corr == m->corr);
    CHECK(same_body(msg_layout(m->type), msg_body_const(m), msg_body_const(&again)));
}

static void
frame(const uint8_t *data, size_t size)
{
    struct arena lists;
    struct msg m;
    arena_init(&lists, first_bytes, sizeof(first_bytes));
    for (size_t at = 0, before = 0; at < size; before = at) {
        enum err e = msg_unpack(data, size, &at, &lists, &m);
        if (e != OK && e != ERR_WIRE_UNKNOWN)
            return;
        CHECK(at > before && at <= size);
        if (e == OK)
            packs_to_the_same(&m);
        arena_reset(&lists);
    }
}

/* The first byte picks the type, as the journal's column does. */
static void
payload(const uint8_t *data, size_t size)
{
    struct arena lists;
    struct msg m;
    arena_init(&lists, first_bytes, sizeof(first_bytes));
    if (size > 0 &&
        msg_unpack_payload(data + 1, size - 1, (enum msg_type)data[0], &lists, &m) == OK)
        packs_to_the_same(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    frame(data, size);
    payload(data, size);
    return 0;
}
