/*
 * codec_print.c - messages as one line of key=value pairs, for logs, scenarios and people.
 *
 * Zero fields are left out, as on the wire. Texts are quoted when they hold more than letters,
 * digits and a few marks, so that a line can be read back (codec_text.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/codec.h"

/* Where the line goes; cuts silently, always ends with a NUL. */
struct line {
    char *out;
    size_t size, length;
};

static void print_fields(struct line *to, const struct msg_layout *l, const uint8_t *body);

static void
line_add(struct line *to, const char *text, size_t length)
{
    size_t room = to->size - 1 - to->length;
    size_t taken = length < room ? length : room;
    memcpy(to->out + to->length, text, taken);
    to->length += taken;
}

static void
line_char(struct line *to, char c)
{
    line_add(to, &c, 1);
}

static void line_format(struct line *to, const char *format, ...) PRINTF(2, 3);

/* For numbers and escapes only: at most 31 characters. */
static void
line_format(struct line *to, const char *format, ...)
{
    char piece[32];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    CHECK(length >= 0 && (size_t)length < sizeof(piece));
    line_add(to, piece, (size_t)length);
}

static bool
is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("._-+:/@#,;*%", c) != NULL);
}

static void
print_text(struct line *to, const char *text)
{
    size_t length = strlen(text), plain = 0;
    while (plain < length && is_plain(text[plain]))
        plain++;
    if (plain == length) {
        line_add(to, text, length);
        return;
    }
    line_char(to, '"');
    for (const char *c = text; *c != 0; c++) {
        if (*c == '"' || *c == '\\') {
            line_char(to, '\\');
            line_char(to, *c);
        } else if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            line_format(to, "\\x%02x", (unsigned char)*c);
        } else {
            line_char(to, *c);
        }
    }
    line_char(to, '"');
}

static void
print_decimal(struct line *to, int64_t value)
{
    char text[DECIMAL_BYTES];
    line_add(to, text, decimal_write(value, text));
}

/* A number that is in no row prints as itself, so that a line never loses it. */
static void
print_enum(struct line *to, const struct msg_field *f, uint32_t value)
{
    const char *name = msg_enum_name((enum msg_enum)f->enum_id, value);
    if (name != NULL)
        line_add(to, name, strlen(name));
    else
        line_format(to, "%" PRIu32, value);
}

static void
print_list(struct line *to, const struct msg_field *f, const uint8_t *body)
{
    const uint8_t *item = msg_list(f, body);
    line_char(to, '[');
    for (uint32_t i = 0; i < msg_list_count(f, body); i++, item += f->items->size) {
        line_add(to, " {", i == 0 ? 0 : 1);
        line_char(to, '{');
        print_fields(to, f->items, item);
        line_char(to, '}');
    }
    line_char(to, ']');
}

static void
print_value(struct line *to, const struct msg_field *f, const uint8_t *body)
{
    const uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        line_add(to, "true", 4);
        break;
    case KIND_TRI:
        line_format(to, "%s", *(const enum tri *)at == TRI_TRUE ? "true" : "false");
        break;
    case KIND_U32:
        line_format(to, "%" PRIu32, *(const uint32_t *)at);
        break;
    case KIND_U64:
    case KIND_ID:
        line_format(to, "%" PRIu64, *(const uint64_t *)at);
        break;
    case KIND_I64:
    case KIND_TIME:
        line_format(to, "%" PRId64, *(const int64_t *)at);
        break;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        print_decimal(to, *(const int64_t *)at);
        break;
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
        print_text(to, (const char *)at);
        break;
    case KIND_ERR:
        print_text(to, err_name(*(const enum err *)at));
        break;
    case KIND_ENUM:
        print_enum(to, f, *(const uint32_t *)at);
        break;
    case KIND_RECORD:
        line_char(to, '{');
        print_fields(to, f->items, at);
        line_char(to, '}');
        break;
    case KIND_LIST:
        print_list(to, f, body);
        break;
    }
}

static void
print_fields(struct line *to, const struct msg_layout *l, const uint8_t *body)
{
    bool first = true;
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if (msg_field_zero(f, body))
            continue;
        if (!first)
            line_char(to, ' ');
        first = false;
        line_add(to, f->name, strlen(f->name));
        line_char(to, '=');
        if ((f->flags & MSG_FLAG_SEC) != 0)
            line_add(to, "***", 3);
        else
            print_value(to, f, body);
    }
}

size_t
msg_print_body(const struct msg_layout *l, const void *body, char *out, size_t size)
{
    CHECK(size > 0);
    struct line to = {out, size, 0};
    print_fields(&to, l, body);
    out[to.length] = 0;
    return to.length;
}

size_t
msg_print(const struct msg *m, char *out, size_t size)
{
    const struct msg_layout *l = msg_layout(m->type);
    CHECK(l != NULL && size > 0);
    struct line to = {out, size, 0};
    line_add(&to, l->name, strlen(l->name));
    if (m->corr != 0)
        line_format(&to, " corr=%016" PRIx64, m->corr);
    size_t head = to.length;
    line_char(&to, ' ');
    size_t before = to.length;
    print_fields(&to, l, msg_body_const(m));
    if (to.length == before) /* nothing to say: no blank at the end */
        to.length = head;
    out[to.length] = 0;
    return to.length;
}
