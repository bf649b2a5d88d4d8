/*
 * json_write.c - message bodies to JSON, straight into a byte buffer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "wire/json.h"

/* A place for `room` bytes at the end; what was written there is then kept. */
static char *
begin(struct bytes *out, size_t room)
{
    if (__builtin_expect(room > out->room - out->length, 0))
        bytes_reserve(out, room);
    return (char *)out->data + out->length;
}

static void
put(struct bytes *out, const char *text, size_t length)
{
    memcpy(begin(out, length), text, length);
    out->length += length;
}

static void
put_char(struct bytes *out, char c)
{
    *begin(out, 1) = c;
    out->length++;
}

static void
put_unsigned(struct bytes *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(out, digits + at, sizeof(digits) - at);
}

static void
put_signed(struct bytes *out, int64_t value)
{
    if (value < 0)
        put_char(out, '-');
    put_unsigned(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void
put_decimal(struct bytes *out, int64_t value)
{
    char *at = begin(out, DECIMAL_BYTES + 2);
    size_t length = decimal_write(value, at + 1);
    at[0] = '"';
    at[length + 1] = '"';
    out->length += length + 2;
}

/* For names of our own tables, which need no escapes. */
static void
put_name(struct bytes *out, const char *name)
{
    size_t length = strlen(name);
    char *at = begin(out, length + 2);
    at[0] = '"';
    memcpy(at + 1, name, length);
    at[length + 1] = '"';
    out->length += length + 2;
}

/* Length of the well-formed UTF-8 sequence at `at` (RFC 3629), 0 when it is none. */
static size_t
utf8_length(const unsigned char *at)
{
    size_t length = at[0] < 0x80   ? 1
                    : at[0] < 0xc2 ? 0
                    : at[0] < 0xe0 ? 2
                    : at[0] < 0xf0 ? 3
                    : at[0] < 0xf5 ? 4
                                   : 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] >= 0xa0;
    bool beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

static void
put_escape(struct bytes *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char wide[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    char plain[2] = {'\\', (char)c};
    if (c == '"' || c == '\\')
        put(out, plain, 2);
    else
        put(out, wide, 6);
}

void
json_write_text(struct bytes *out, const char *text)
{
    put_char(out, '"');
    const unsigned char *at = (const unsigned char *)text;
    while (*at != 0) {
        const unsigned char *plain = at;
        while (*at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
            at++;
        put(out, (const char *)plain, (size_t)(at - plain));
        if (*at == 0)
            break;
        size_t length = *at < 0x80 ? 0 : utf8_length(at);
        if (length > 0)
            put(out, (const char *)at, length);
        else if (*at < 0x80)
            put_escape(out, *at);
        else
            put(out, "\\ufffd", 6);
        at += length > 0 ? length : 1;
    }
    put_char(out, '"');
}

static void
put_list(struct bytes *out, const struct msg_field *f, const void *body)
{
    const uint8_t *item = msg_list(f, body);
    uint32_t count = msg_list_count(f, body);
    put_char(out, '[');
    for (uint32_t i = 0; i < count; i++, item += f->items->size) {
        if (i > 0)
            put_char(out, ',');
        json_write_body(out, f->items, item);
    }
    put_char(out, ']');
}

static void
put_truth(struct bytes *out, bool truth)
{
    put(out, truth ? "true" : "false", truth ? 4 : 5);
}

static void
put_value(struct bytes *out, const struct msg_field *f, const uint8_t *body)
{
    const uint8_t *at = body + f->offset;
    const char *name;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        put_truth(out, *(const bool *)at);
        break;
    case KIND_TRI:
        put_truth(out, *(const enum tri *)at == TRI_TRUE);
        break;
    case KIND_U32:
        put_unsigned(out, *(const uint32_t *)at);
        break;
    case KIND_U64:
    case KIND_ID:
        put_unsigned(out, *(const uint64_t *)at);
        break;
    case KIND_I64:
    case KIND_TIME:
        put_signed(out, *(const int64_t *)at);
        break;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        put_decimal(out, *(const int64_t *)at);
        break;
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
        json_write_text(out, (const char *)at);
        break;
    case KIND_ERR:
        put_name(out, err_name(*(const enum err *)at));
        break;
    case KIND_ENUM:
        name = msg_enum_name((enum msg_enum)f->enum_id, *(const uint32_t *)at);
        put_name(out, name != NULL ? name : "UNKNOWN");
        break;
    case KIND_RECORD:
        json_write_body(out, f->items, at);
        break;
    case KIND_LIST:
        put_list(out, f, body);
        break;
    }
}

/* {"name": or ,"name": */
static void
put_key(struct bytes *out, char before, const struct msg_field *f)
{
    char *at = begin(out, f->name_length + 4u);
    at[0] = before;
    at[1] = '"';
    memcpy(at + 2, f->name, f->name_length);
    at[f->name_length + 2] = '"';
    at[f->name_length + 3] = ':';
    out->length += f->name_length + 4u;
}

/* Choices have no name for "absent", so they are left out as if they were optional. */
static bool
is_left_out(const struct msg_field *f, const void *body)
{
    if ((f->flags & MSG_FLAG_HID) != 0)
        return true;
    bool optional = (f->flags & MSG_FLAG_OPT) != 0 || f->kind == KIND_ENUM || f->kind == KIND_TRI;
    return optional && msg_field_zero(f, body);
}

void
json_write_body(struct bytes *out, const struct msg_layout *l, const void *body)
{
    char before = '{';
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if (is_left_out(f, body))
            continue;
        put_key(out, before, f);
        before = ',';
        put_value(out, f, body);
    }
    if (before == '{')
        put_char(out, '{');
    put_char(out, '}');
}
