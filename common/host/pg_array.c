/*
 * pg_array.c - the binary form of a one-dimensional array, as array_recv() reads it.
 *
 * Header: dimensions (1), has-nulls (0), element type, length, lower bound (1); then each value
 * with its length before it. A record, as record_recv() reads it: the number of its fields, then
 * the type, the length and the value of each. All integers are big-endian.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/pg_array.h"

#include <string.h>

#define HEADER_BYTES 20
#define TYPE_AT      8
#define COUNT_AT     12

static void
put_int4(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void
put_int8(uint8_t *at, uint64_t value)
{
    put_int4(at, (uint32_t)(value >> 32));
    put_int4(at + 4, (uint32_t)value);
}

void
pg_array_init(struct pg_array *a, enum pg_oid element)
{
    memset(a, 0, sizeof *a);
    a->element = (uint32_t)element;
    pg_array_clear(a);
}

void
pg_array_fini(struct pg_array *a)
{
    bytes_free(&a->bytes);
}

void
pg_array_clear(struct pg_array *a)
{
    bytes_clear(&a->bytes);
    bytes_reserve(&a->bytes, HEADER_BYTES);
    uint8_t *head = a->bytes.data;
    put_int4(head, 1);
    put_int4(head + 4, 0);
    put_int4(head + TYPE_AT, a->element);
    put_int4(head + COUNT_AT, 0);
    put_int4(head + 16, 1);
    a->bytes.length = HEADER_BYTES;
    a->count = 0;
    a->record_at = 0;
}

/* Room for one value of this length, its length written. */
static uint8_t *
value_room(struct pg_array *a, enum pg_oid element, size_t length)
{
    CHECK(length <= INT32_MAX);
    bytes_reserve(&a->bytes, length + 8);
    uint8_t *at = a->bytes.data + a->bytes.length;
    if (a->element == PG_RECORD) {
        CHECK(a->record_at != 0);
        put_int4(at, (uint32_t)element);
        at += 4;
        a->bytes.length += 4;
        a->fields++;
    } else {
        CHECK(a->element == (uint32_t)element);
        a->count++;
    }
    put_int4(at, (uint32_t)length);
    a->bytes.length += length + 4;
    return at + 4;
}

void
pg_array_begin(struct pg_array *a)
{
    CHECK(a->element == PG_RECORD && a->record_at == 0);
    bytes_reserve(&a->bytes, 8);
    a->record_at = a->bytes.length;
    a->bytes.length += 8; /* its length and the number of its fields */
    a->fields = 0;
}

void
pg_array_end(struct pg_array *a)
{
    CHECK(a->record_at != 0);
    uint8_t *at = a->bytes.data + a->record_at;
    put_int4(at, (uint32_t)(a->bytes.length - a->record_at - 4));
    put_int4(at + 4, a->fields);
    a->record_at = 0;
    a->count++;
}

void
pg_array_set_type(struct pg_array *a, uint32_t type)
{
    CHECK(a->element == PG_RECORD);
    put_int4(a->bytes.data + TYPE_AT, type);
}

void
pg_array_bool(struct pg_array *a, bool value)
{
    *value_room(a, PG_BOOL, 1) = value ? 1 : 0;
}

void
pg_array_int2(struct pg_array *a, int16_t value)
{
    uint8_t *at = value_room(a, PG_INT2, 2);
    at[0] = (uint8_t)((uint16_t)value >> 8);
    at[1] = (uint8_t)value;
}

void
pg_array_int4(struct pg_array *a, int32_t value)
{
    put_int4(value_room(a, PG_INT4, 4), (uint32_t)value);
}

void
pg_array_int8(struct pg_array *a, int64_t value)
{
    put_int8(value_room(a, PG_INT8, 8), (uint64_t)value);
}

void
pg_array_text(struct pg_array *a, const char *text)
{
    size_t length = strlen(text);
    memcpy(value_room(a, PG_TEXT, length), text, length);
}

void
pg_array_bytea(struct pg_array *a, const void *data, size_t length)
{
    uint8_t *at = value_room(a, PG_BYTEA, length);
    if (length > 0)
        memcpy(at, data, length);
}

void
pg_array_packed(struct pg_array *a, enum msg_record id, const void *record)
{
    value_room(a, PG_BYTEA, 0);
    size_t from = a->bytes.length;
    msg_pack_record(&a->bytes, id, record);
    put_int4(a->bytes.data + from - 4, (uint32_t)(a->bytes.length - from));
}

uint32_t
pg_array_type(enum pg_oid element)
{
    switch (element) {
    case PG_BOOL:
        return PG_BOOL_ARRAY;
    case PG_BYTEA:
        return PG_BYTEA_ARRAY;
    case PG_INT8:
        return PG_INT8_ARRAY;
    case PG_INT2:
        return PG_INT2_ARRAY;
    case PG_INT4:
        return PG_INT4_ARRAY;
    case PG_TEXT:
        return PG_TEXT_ARRAY;
    case PG_RECORD:
        return 0; /* the statement says */
    case PG_BYTEA_ARRAY:
    case PG_BOOL_ARRAY:
    case PG_INT2_ARRAY:
    case PG_INT4_ARRAY:
    case PG_TEXT_ARRAY:
    case PG_INT8_ARRAY:
        break;
    }
    CHECK(false);
}

const char *
pg_array_value(struct pg_array *a)
{
    put_int4(a->bytes.data + COUNT_AT, a->count);
    return (const char *)a->bytes.data;
}

int
pg_array_length(const struct pg_array *a)
{
    CHECK(a->bytes.length <= INT32_MAX);
    return (int)a->bytes.length;
}

int64_t
pg_read_int(const char *data, int length)
{
    CHECK(length == 2 || length == 4 || length == 8);
    uint64_t value = (data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (int i = 0; i < length; i++)
        value = value << 8 | (uint8_t)data[i];
    return (int64_t)value;
}

void
pg_write_int8(int64_t value, char out[8])
{
    put_int8((uint8_t *)out, (uint64_t)value);
}
