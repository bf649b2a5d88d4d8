/*
 * codec_unpack.c - bytes from strangers to messages: nothing is believed before it is checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "wire/codec.h"
#include "wire/cursor.h"
#include "wire/scalar.h"

static enum err unpack_fields(struct cursor *c, const struct msg_layout *l, struct arena *lists,
                              uint8_t *body);

/* The largest number each unsigned kind takes. */
static uint64_t
unsigned_max(enum msg_kind kind)
{
    if (kind == KIND_U64)
        return UINT64_MAX;
    return kind == KIND_ID ? ID_MAX : UINT32_MAX;
}

static enum err
unpack_unsigned(struct cursor *c, const struct msg_field *f, uint8_t *at)
{
    struct cursor_int n;
    if (!cursor_int(c, &n) || n.negative || n.bits > unsigned_max((enum msg_kind)f->kind))
        return ERR_WIRE_MALFORMED;
    if (f->kind == KIND_ENUM && msg_enum_name((enum msg_enum)f->enum_id, (uint32_t)n.bits) == NULL)
        return ERR_WIRE_MALFORMED;
    if (f->kind == KIND_TRI && n.bits > TRI_TRUE)
        return ERR_WIRE_MALFORMED;
    /* A newer peer may know refusals that this one does not: still a refusal. */
    if (f->kind == KIND_ERR && !err_known((uint32_t)n.bits))
        n.bits = ERR_INTERNAL;
    if (f->kind == KIND_U64 || f->kind == KIND_ID)
        *(uint64_t *)at = n.bits;
    else
        *(uint32_t *)at = (uint32_t)n.bits;
    return OK;
}

static enum err
unpack_signed(struct cursor *c, uint8_t *at)
{
    struct cursor_int n;
    if (!cursor_int(c, &n) || (!n.negative && n.bits > INT64_MAX))
        return ERR_WIRE_MALFORMED;
    *(int64_t *)at = (int64_t)n.bits;
    return OK;
}

/* The body is zeroed before, so the rest of the text stays zero. */
static enum err
unpack_text(struct cursor *c, size_t length_max, uint8_t *at)
{
    const char *text;
    size_t length;
    if (!cursor_text(c, &text, &length) || length > length_max || memchr(text, 0, length) != NULL)
        return ERR_WIRE_MALFORMED;
    memcpy(at, text, length);
    return OK;
}

static enum err
unpack_list(struct cursor *c, const struct msg_field *f, struct arena *lists, uint8_t *body)
{
    uint32_t count;
    if (!cursor_array(c, &count))
        return ERR_WIRE_MALFORMED;
    if (count == 0)
        return OK;
    if (count > f->max)
        return ERR_WIRE_TOO_LARGE;
    uint8_t *items = arena_take(lists, count, f->items->size);
    if (items == NULL)
        return ERR_WIRE_TOO_LARGE;
    for (uint32_t i = 0; i < count; i++) {
        enum err e = unpack_fields(c, f->items, lists, items + (size_t)i * f->items->size);
        if (e != OK)
            return e;
    }
    msg_list_set(f, body, items, count);
    return OK;
}

static enum err
unpack_value(struct cursor *c, const struct msg_field *f, struct arena *lists, uint8_t *body)
{
    uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        return cursor_bool(c, (bool *)at) ? OK : ERR_WIRE_MALFORMED;
    case KIND_U32:
    case KIND_U64:
    case KIND_ID:
    case KIND_ERR:
    case KIND_TRI:
    case KIND_ENUM:
        return unpack_unsigned(c, f, at);
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return unpack_signed(c, at);
    case KIND_CODE:
        return unpack_text(c, CODE_BYTES - 1, at);
    case KIND_CID:
        return unpack_text(c, CID_CHARS_MAX, at);
    case KIND_TEXT:
        return unpack_text(c, TEXT_BYTES - 1, at);
    case KIND_RECORD:
        return unpack_fields(c, f->items, lists, at);
    case KIND_LIST:
        return unpack_list(c, f, lists, body);
    }
    return ERR_WIRE_MALFORMED;
}

static enum err
unpack_fields(struct cursor *c, const struct msg_layout *l, struct arena *lists, uint8_t *body)
{
    uint32_t count;
    if (!cursor_map(c, &count))
        return ERR_WIRE_MALFORMED;
    uint64_t seen = 0;
    for (; count > 0; count--) {
        struct cursor_int tag;
        if (!cursor_int(c, &tag) || tag.negative)
            return ERR_WIRE_MALFORMED;
        const struct msg_field *f = msg_field_by_tag(l, tag.bits);
        if (f == NULL) { /* of a newer peer */
            if (!cursor_skip(c, CURSOR_DEPTH_MAX))
                return ERR_WIRE_MALFORMED;
            continue;
        }
        uint64_t bit = (uint64_t)1 << (f - l->fields);
        if ((seen & bit) != 0)
            return ERR_WIRE_MALFORMED;
        seen |= bit;
        enum err e = unpack_value(c, f, lists, body);
        if (e != OK)
            return e;
    }
    uint32_t culprit;
    return scalar_rules(l, seen, body, &culprit);
}

static enum err
unpack_body(struct cursor *c, enum msg_type type, const struct msg_layout *l, struct arena *lists,
            struct msg *out)
{
    out->type = type;
    memset(msg_body(out), 0, l->size);
    return unpack_fields(c, l, lists, msg_body(out));
}

enum err
msg_unpack(const uint8_t *data, size_t length, size_t *at, struct arena *lists, struct msg *out)
{
    CHECK(*at <= length);
    if (length > FRAME_BYTES_MAX)
        return ERR_WIRE_TOO_LARGE;
    struct cursor c = {data + *at, data + length};
    uint32_t parts;
    struct cursor_int type, corr;
    if (!cursor_array(&c, &parts) || parts != 3 || !cursor_int(&c, &type) || type.negative ||
        !cursor_int(&c, &corr) || corr.negative)
        return ERR_WIRE_MALFORMED;

    out->corr = corr.bits;
    const struct msg_layout *l =
        type.bits < MSG_TYPE_END ? msg_layout((enum msg_type)type.bits) : NULL;
    enum err e = ERR_WIRE_UNKNOWN;
    if (l != NULL)
        e = unpack_body(&c, (enum msg_type)type.bits, l, lists, out);
    else if (!cursor_skip(&c, CURSOR_DEPTH_MAX))
        e = ERR_WIRE_MALFORMED;
    if (e == OK || e == ERR_WIRE_UNKNOWN)
        *at = (size_t)(c.at - data);
    return e;
}

enum err
msg_unpack_payload(const uint8_t *data, size_t length, enum msg_type type, struct arena *lists,
                   struct msg *out)
{
    const struct msg_layout *l = msg_layout(type);
    if (l == NULL)
        return ERR_WIRE_UNKNOWN;
    if (length > FRAME_BYTES_MAX)
        return ERR_WIRE_TOO_LARGE;
    struct cursor c = {data, data + length};
    out->corr = 0;
    enum err e = unpack_body(&c, type, l, lists, out);
    if (e == OK && c.at != c.end)
        return ERR_WIRE_MALFORMED;
    return e;
}

enum err
msg_unpack_record(const uint8_t *data, size_t length, enum msg_record id, void *record)
{
    const struct msg_layout *l = msg_record_at((uint32_t)id);
    CHECK(l != NULL);
    struct arena none;
    arena_init(&none, NULL, 0);
    struct cursor c = {data, data + length};
    memset(record, 0, l->size);
    enum err e = unpack_fields(&c, l, &none, record);
    return e == OK && c.at != c.end ? ERR_WIRE_MALFORMED : e;
}
