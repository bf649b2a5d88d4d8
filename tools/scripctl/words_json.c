/*
 * words_json.c - bodies by their layouts, as JSON and as text, for those who may see everything.
 *
 * wire/json.h writes what clients see: hidden fields are left out there, and times are numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "scripctl/value.h"
#include "scripctl/words.h"
#include "wire/json.h"

static void
add_time(struct bytes *out, int64_t time_us)
{
    char time[VALUE_TIME_BYTES];
    if (time_us == 0)
        words_add(out, "null");
    else
        words_add(out, "\"%s\"", value_time_text(time_us, time));
}

static void
add_list(struct bytes *out, const struct msg_field *f, const void *body, bool is_whole)
{
    const uint8_t *item = msg_list(f, body);
    uint32_t count = msg_list_count(f, body);
    words_add(out, "[");
    for (uint32_t i = 0; i < count; i++, item += f->items->size) {
        words_add(out, i == 0 ? "" : ",");
        words_json(out, f->items, item, is_whole);
    }
    words_add(out, "]");
}

/* A length of time is a TIME too, and stays a number of microseconds. */
static bool
is_span(const struct msg_field *f)
{
    return strcmp(f->name, "held_us") == 0 || strcmp(f->name, "live_after_us") == 0;
}

/* "created" for created_us: its value is no number of microseconds here. */
static void
add_name(struct bytes *out, const char *before, const struct msg_field *f)
{
    int length = f->name_length;
    if (f->kind == KIND_TIME && !is_span(f) && length > 3 &&
        strcmp(f->name + length - 3, "_us") == 0)
        length -= 3;
    words_add(out, "%s\"%.*s\":", before, length, f->name);
}

static void
add_json(struct bytes *out, const struct msg_field *f, const uint8_t *body, bool is_whole)
{
    const uint8_t *at = body + f->offset;
    struct bytes text = {NULL, 0, 0};
    if ((f->flags & MSG_FLAG_SEC) != 0) {
        words_add(out, "\"***\"");
        return;
    }
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
    case KIND_TRI:
    case KIND_U32:
    case KIND_U64:
    case KIND_ID:
    case KIND_I64:
        words_value(out, f, body);
        break;
    case KIND_TIME:
        if (is_span(f))
            words_add(out, "%lld", (long long)*(const int64_t *)at);
        else
            add_time(out, *(const int64_t *)at);
        break;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
    case KIND_ERR:
    case KIND_ENUM:
        words_value(&text, f, body);
        json_write_text(out, words_text(&text));
        bytes_free(&text);
        break;
    case KIND_RECORD:
        words_json(out, f->items, at, is_whole);
        break;
    case KIND_LIST:
        add_list(out, f, body, is_whole);
        break;
    }
}

static bool
is_left_out(const struct msg_field *f, const void *body, bool is_whole)
{
    bool optional = (f->flags & MSG_FLAG_OPT) != 0 || f->kind == KIND_ENUM || f->kind == KIND_TRI;
    return (optional || !is_whole) && msg_field_zero(f, body);
}

void
words_json(struct bytes *out, const struct msg_layout *l, const void *body, bool is_whole)
{
    const char *before = "{";
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if (is_left_out(f, body, is_whole))
            continue;
        add_name(out, before, f);
        before = ",";
        add_json(out, f, body, is_whole);
    }
    words_add(out, "%s}", *before == '{' ? "{" : "");
}

void
words_value(struct bytes *out, const struct msg_field *f, const void *body)
{
    const uint8_t *at = (const uint8_t *)body + f->offset;
    char text[DECIMAL_BYTES], time[VALUE_TIME_BYTES];
    const char *name;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        words_add(out, *(const bool *)at ? "true" : "false");
        break;
    case KIND_TRI:
        words_add(out, *(const enum tri *)at == TRI_TRUE ? "true" : "false");
        break;
    case KIND_U32:
        words_add(out, "%u", *(const uint32_t *)at);
        break;
    case KIND_U64:
    case KIND_ID:
        words_add(out, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case KIND_I64:
        words_add(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case KIND_TIME:
        words_add(out, "%s", value_time_text(*(const int64_t *)at, time));
        break;
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        decimal_write(*(const int64_t *)at, text);
        words_add(out, "%s", text);
        break;
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
        words_add(out, "%s", (const char *)at);
        break;
    case KIND_ERR:
        words_add(out, "%s", err_name(*(const enum err *)at));
        break;
    case KIND_ENUM:
        name = msg_enum_name((enum msg_enum)f->enum_id, *(const uint32_t *)at);
        words_add(out, "%s", name == NULL ? "UNKNOWN" : name);
        break;
    case KIND_RECORD:
    case KIND_LIST:
        break;
    }
}
