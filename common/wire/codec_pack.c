/*
 * codec_pack.c - messages to bytes, through msgpack-c's streaming packer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <msgpack.h>
#include <string.h>

#include "wire/codec.h"

#define FIELDS_MAX 64 /* of one record or message; a unit test holds messages.def to it */

static int
pack_write(void *to, const char *data, size_t length)
{
    struct bytes *out = to;
    if (__builtin_expect(length > out->room - out->length, 0))
        bytes_reserve(out, length);
    uint8_t *at = out->data + out->length;
    /* Nearly all are a head or a number, of these lengths: copied without a call. */
    switch (length) {
    case 1:
        *at = (uint8_t)*data;
        break;
    case 2:
        memcpy(at, data, 2);
        break;
    case 3:
        memcpy(at, data, 3);
        break;
    case 5:
        memcpy(at, data, 5);
        break;
    case 9:
        memcpy(at, data, 9);
        break;
    default:
        memcpy(at, data, length);
    }
    out->length += length;
    return 0;
}

static void pack_fields(msgpack_packer *pk, const struct msg_layout *l, const uint8_t *body);

static void
pack_text(msgpack_packer *pk, const char *text, size_t room)
{
    size_t length = strnlen(text, room);
    CHECK(length < room);
    msgpack_pack_str(pk, length);
    msgpack_pack_str_body(pk, text, length);
}

static void
pack_list(msgpack_packer *pk, const struct msg_field *f, const uint8_t *body)
{
    uint32_t count = msg_list_count(f, body);
    const uint8_t *item = msg_list(f, body);
    CHECK(count <= f->max && item != NULL);
    msgpack_pack_array(pk, count);
    for (uint32_t i = 0; i < count; i++, item += f->items->size)
        pack_fields(pk, f->items, item);
}

static void
pack_value(msgpack_packer *pk, const struct msg_field *f, const uint8_t *body)
{
    const uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        msgpack_pack_true(pk); /* false is not sent */
        break;
    case KIND_U32:
    case KIND_ERR:
    case KIND_TRI:
    case KIND_ENUM:
        msgpack_pack_uint32(pk, *(const uint32_t *)at);
        break;
    case KIND_U64:
    case KIND_ID:
        msgpack_pack_uint64(pk, *(const uint64_t *)at);
        break;
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        msgpack_pack_int64(pk, *(const int64_t *)at);
        break;
    case KIND_CODE:
        pack_text(pk, (const char *)at, CODE_BYTES);
        break;
    case KIND_CID:
        pack_text(pk, (const char *)at, CID_BYTES);
        break;
    case KIND_TEXT:
        pack_text(pk, (const char *)at, TEXT_BYTES);
        break;
    case KIND_RECORD:
        pack_fields(pk, f->items, at);
        break;
    case KIND_LIST:
        pack_list(pk, f, body);
        break;
    }
}

/* The map's head counts its fields, so the ones to send are picked first. */
static void
pack_fields(msgpack_packer *pk, const struct msg_layout *l, const uint8_t *body)
{
    const struct msg_field *sent[FIELDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->field_count; i++)
        if (!msg_field_zero(&l->fields[i], body))
            sent[count++] = &l->fields[i];
    msgpack_pack_map(pk, count);
    for (uint32_t i = 0; i < count; i++) {
        msgpack_pack_uint8(pk, sent[i]->tag);
        pack_value(pk, sent[i], body);
    }
}

void
msg_pack_body(struct bytes *out, enum msg_type type, uint64_t corr, const void *body)
{
    const struct msg_layout *l = msg_layout(type);
    CHECK(l != NULL);
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, pack_write);
    msgpack_pack_array(&pk, 3);
    msgpack_pack_uint32(&pk, (uint32_t)type);
    msgpack_pack_uint64(&pk, corr);
    pack_fields(&pk, l, body);
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
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, pack_write);
    pack_fields(&pk, l, body);
}

void
msg_pack_record(struct bytes *out, enum msg_record id, const void *record)
{
    const struct msg_layout *l = msg_record_at((uint32_t)id);
    CHECK(l != NULL);
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, pack_write);
    pack_fields(&pk, l, record);
}
