/*
 * codec_pack.c - messages to bytes, through msgpack-c's streaming packer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <msgpack.h>
#include <string.h>

#include "wire/codec.h"

#define FIELDS_MAX 64 /* of one record or message; a unit test holds messages.def to it */

static inline void
put_bytes(struct bytes *out, const void *data, size_t length)
{
    if (__builtin_expect(length > out->room - out->length, 0))
        bytes_reserve(out, length);
    memcpy(out->data + out->length, data, length);
    out->length += length;
}

/* The library's packer, made for our buffer: without a call through a pointer for each head and
 * number, whose few bytes are then stored directly. */
#define msgpack_pack_inline_func(name)        static inline int put##name
#define msgpack_pack_inline_func_cint(name)   static inline int put##name
#define msgpack_pack_inline_func_fixint(name) static inline int put_fix##name
#define msgpack_pack_user                     struct bytes *
#define msgpack_pack_append_buffer(user, data, length)                                             \
    do {                                                                                           \
        put_bytes(user, data, length);                                                             \
        return 0;                                                                                  \
    } while (0)
#include <msgpack/pack_template.h>

static void pack_fields(struct bytes *out, const struct msg_layout *l, const uint8_t *body);

static void
pack_text(struct bytes *out, const char *text, size_t room)
{
    size_t length = strnlen(text, room);
    CHECK(length < room);
    put_str(out, length);
    put_str_body(out, text, length);
}

static void
pack_list(struct bytes *out, const struct msg_field *f, const uint8_t *body)
{
    uint32_t count = msg_list_count(f, body);
    const uint8_t *item = msg_list(f, body);
    CHECK(count <= f->max && item != NULL);
    put_array(out, count);
    for (uint32_t i = 0; i < count; i++, item += f->items->size)
        pack_fields(out, f->items, item);
}

static void
pack_value(struct bytes *out, const struct msg_field *f, const uint8_t *body)
{
    const uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        put_true(out); /* false is not sent */
        break;
    case KIND_U32:
    case KIND_ERR:
    case KIND_TRI:
    case KIND_ENUM:
        put_uint32(out, *(const uint32_t *)at);
        break;
    case KIND_U64:
    case KIND_ID:
        put_uint64(out, *(const uint64_t *)at);
        break;
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        put_int64(out, *(const int64_t *)at);
        break;
    case KIND_CODE:
        pack_text(out, (const char *)at, CODE_BYTES);
        break;
    case KIND_CID:
        pack_text(out, (const char *)at, CID_BYTES);
        break;
    case KIND_TEXT:
        pack_text(out, (const char *)at, TEXT_BYTES);
        break;
    case KIND_RECORD:
        pack_fields(out, f->items, at);
        break;
    case KIND_LIST:
        pack_list(out, f, body);
        break;
    }
}

/* The map's head counts its fields, so the ones to send are picked first. */
static void
pack_fields(struct bytes *out, const struct msg_layout *l, const uint8_t *body)
{
    const struct msg_field *sent[FIELDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->field_count; i++)
        if (!msg_field_zero(&l->fields[i], body))
            sent[count++] = &l->fields[i];
    put_map(out, count);
    for (uint32_t i = 0; i < count; i++) {
        put_uint8(out, sent[i]->tag);
        pack_value(out, sent[i], body);
    }
}

void
msg_pack_body(struct bytes *out, enum msg_type type, uint64_t corr, const void *body)
{
    const struct msg_layout *l = msg_layout(type);
    CHECK(l != NULL);
    put_array(out, 3);
    put_uint32(out, (uint32_t)type);
    put_uint64(out, corr);
    pack_fields(out, l, body);
}

void
msg_pack(struct bytes *out, const struct msg *m)
{
    msg_pack_body(out, m->type, m->corr, msg_body_const(m));
}

void
msg_pack_payload(struct bytes *out, enum msg_type type, const void *body)
{
    const struct msg_layout *l = msg_layout(type);
    CHECK(l != NULL);
    pack_fields(out, l, body);
}

void
msg_pack_record(struct bytes *out, enum msg_record id, const void *record)
{
    const struct msg_layout *l = msg_record_at((uint32_t)id);
    CHECK(l != NULL);
    pack_fields(out, l, record);
}
