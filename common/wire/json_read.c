/*
 * json_read.c - requests' JSON to message bodies: a scan of our own, then json-c's tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "wire/json.h"
#include "wire/json_scan.h"
#include "wire/scalar.h"

#define BODY_DEPTH_MAX 4
#define DEPTH_MAX      32

/* json-c's parser costs more to make than to use, so each thread keeps one for its lifetime. */
static struct json_tokener *
tokener(void)
{
    static _Thread_local struct json_tokener *kept;
    if (kept == NULL) {
        kept = json_tokener_new_ex(DEPTH_MAX + 1);
        CHECK(kept != NULL);
        /* What follows the value is judged here: json-c's own check refuses line ends too. */
        json_tokener_set_flags(kept, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS |
                                         JSON_TOKENER_VALIDATE_UTF8);
    }
    json_tokener_reset(kept);
    return kept;
}

static bool
all_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
            return false;
    return true;
}

static size_t
count_keys(const struct json_object *value)
{
    size_t count = 0;
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach((struct json_object *)value, key, member)
        {
            (void)key;
            count += 1 + count_keys(member);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        size_t length = json_object_array_length(value);
        for (size_t i = 0; i < length; i++)
            count += count_keys(json_object_array_get_idx(value, i));
    }
    return count;
}

/* As json_parse, and tells whether some object of an otherwise good text has a key twice. */
static struct json_object *
parse(const char *text, size_t length, int depth_max, bool *repeated)
{
    size_t keys;
    *repeated = false;
    if (length == 0 || length > INT_MAX || !json_scan(text, length, depth_max, &keys))
        return NULL;
    struct json_tokener *t = tokener();
    struct json_object *value = json_tokener_parse_ex(t, text, (int)length);
    size_t used = json_tokener_get_parse_end(t);
    /* A bare number ends only where the text does. */
    if (value == NULL && json_tokener_get_error(t) == json_tokener_continue) {
        value = json_tokener_parse_ex(t, "", 1);
        used = length;
    }
    if (value == NULL)
        return NULL;
    if (used > length || !all_blank(text + used, length - used)) {
        json_object_put(value);
        return NULL;
    }
    *repeated = count_keys(value) != keys;
    return value;
}

struct json_object *
json_parse(const char *text, size_t length, int depth_max)
{
    CHECK(depth_max >= 1 && depth_max <= DEPTH_MAX);
    bool repeated;
    struct json_object *value = parse(text, length, depth_max, &repeated);
    if (value == NULL || !repeated)
        return value;
    json_object_put(value);
    return NULL;
}

/*
 * The text of a number or a string. Integers json-c has clamped come back as the ends of their
 * range; those ends are refused, which costs two values that no field here needs.
 */
static enum err
value_text(const struct json_object *value, char room[32], const char **text, size_t *length)
{
    struct json_object *v = (struct json_object *)value; /* json-c's getters take no const */
    switch (json_object_get_type(value)) {
    case json_type_string:
        *text = json_object_get_string(v);
        *length = (size_t)json_object_get_string_len(value);
        return OK;
    case json_type_double: /* keeps the text it was read from */
        *text = json_object_to_json_string(v);
        *length = strlen(*text);
        return OK;
    case json_type_int: {
        uint64_t magnitude = json_object_get_uint64(value);
        int64_t number = json_object_get_int64(value);
        if (magnitude == UINT64_MAX || number == INT64_MIN)
            return ERR_NUMBER_RANGE;
        int n = number < 0 ? snprintf(room, 32, "%" PRId64, number)
                           : snprintf(room, 32, "%" PRIu64, magnitude);
        *text = room;
        *length = (size_t)n;
        return OK;
    }
    case json_type_null:
    case json_type_boolean:
    case json_type_object:
    case json_type_array:
        break;
    }
    return ERR_FIELD_TYPE;
}

enum err
json_decimal(const struct json_object *value, int64_t *out)
{
    char room[32];
    const char *text;
    size_t length;
    enum err e = value_text(value, room, &text, &length);
    return e != OK ? e : decimal_read(text, length, out);
}

/* Whether a JSON type can hold a field's kind at all. */
static bool
type_fits(const struct msg_field *f, enum json_type type)
{
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
    case KIND_TRI:
        return type == json_type_boolean;
    case KIND_U32:
    case KIND_U64:
    case KIND_I64:
    case KIND_ID:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return type == json_type_string || type == json_type_int || type == json_type_double;
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
    case KIND_ERR:
    case KIND_ENUM:
        return type == json_type_string;
    case KIND_RECORD:
    case KIND_LIST:
        break;
    }
    return false;
}

/* Where absent means "as it is", a zero that was given is kept in the message's bits for it. */
static void
note_zero(const struct msg_layout *l, const struct msg_field *f, void *body)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if ((l->fields[i].flags & MSG_FLAG_ZEROS) != 0 && f->tag < 32)
            *(uint32_t *)((uint8_t *)body + l->fields[i].offset) |= UINT32_C(1) << f->tag;
}

/* POS speaks of a field that is there: an explicit zero is refused as well. */
static enum err
set_field(const struct msg_layout *l, const struct msg_field *f, const char *text, size_t length,
          void *body)
{
    if (memchr(text, 0, length) != NULL)
        return ERR_FIELD_TYPE;
    enum err e = scalar_read(f, text, length, body);
    if (e != OK)
        return e;
    if ((f->flags & MSG_FLAG_POS) != 0 && !scalar_is_positive(f, body))
        return ERR_NUMBER_NOT_POSITIVE;
    if (msg_field_zero(f, body))
        note_zero(l, f, body);
    return OK;
}

/* A list has no flags of its own: it is the client's when something in its items is. */
static bool
is_clients(const struct msg_field *f)
{
    if (f->kind != KIND_LIST)
        return (f->flags & MSG_FLAG_IN) != 0;
    for (uint32_t i = 0; i < f->items->field_count; i++)
        if ((f->items->fields[i].flags & MSG_FLAG_IN) != 0)
            return true;
    return false;
}

static enum err
read_member(const struct msg_layout *l, const char *key, const struct json_object *value,
            void *body)
{
    const struct msg_field *f = msg_field_by_name(l, key);
    if (f == NULL || !is_clients(f))
        return ERR_FIELD_UNKNOWN;
    enum json_type type = json_object_get_type(value);
    if (!type_fits(f, type))
        return ERR_FIELD_TYPE;
    if (type == json_type_boolean) {
        const char *truth = json_object_get_boolean(value) ? "true" : "false";
        return set_field(l, f, truth, strlen(truth), body);
    }
    char room[32];
    const char *text;
    size_t length;
    enum err e = value_text(value, room, &text, &length);
    return e != OK ? e : set_field(l, f, text, length, body);
}

/* What is too long for a name is cut. */
static void
name_field(code_t *field, const char *name)
{
    *field = (code_t){{0}};
    memcpy(field->text, name, strnlen(name, CODE_BYTES - 1));
}

/* Where a list's items go, and (NULL: to whoever reads) what is wrong in them. */
struct items_room {
    struct arena *lists;
    struct json_fault *faults;
};

/* "orders[1].price" */
static void
name_item_field(code_t *field, const char *list, size_t i, const char *inner)
{
    char name[128];
    snprintf(name, sizeof name, inner[0] == '\0' ? "%s[%zu]" : "%s[%zu].%s", list, i, inner);
    name_field(field, name);
}

static enum err read_members(struct json_object *object, const struct msg_layout *l, void *body,
                             struct items_room room, code_t *field);

static enum err
read_item(struct json_object *item, const struct msg_layout *l, void *body, code_t *field)
{
    const struct items_room none = {NULL, NULL};
    if (!json_object_is_type(item, json_type_object))
        return ERR_FIELD_TYPE;
    return read_members(item, l, body, none, field);
}

static enum err
read_list(const struct msg_field *f, struct json_object *value, void *body, struct items_room room,
          code_t *field)
{
    name_field(field, f->name);
    if (!json_object_is_type(value, json_type_array))
        return ERR_FIELD_TYPE;
    size_t count = json_object_array_length(value);
    if (count > f->max)
        return ERR_FIELD_TOO_LONG;
    uint8_t *items = room.lists == NULL ? NULL : arena_take(room.lists, count, f->items->size);
    if (items == NULL)
        return ERR_FIELD_TOO_LONG;
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = items + i * f->items->size;
        code_t inner = {{0}};
        enum err e = read_item(json_object_array_get_idx(value, i), f->items, at, &inner);
        if (room.faults != NULL) {
            room.faults[i].error = e != OK ? e : json_check_body(f->items, at, &inner);
            room.faults[i].field = inner;
            continue;
        }
        if (e != OK) {
            name_item_field(field, f->name, i, inner.text);
            return e;
        }
    }
    msg_list_set(f, body, items, (uint32_t)count);
    return OK;
}

/* Of several refusals the one whose row stands first in errors.def is the answer. */
static enum err
read_members(struct json_object *object, const struct msg_layout *l, void *body,
             struct items_room room, code_t *field)
{
    enum err first = OK;
    json_object_object_foreach(object, key, value)
    {
        code_t at = {{0}};
        const struct msg_field *f = msg_field_by_name(l, key);
        bool is_list = f != NULL && f->kind == KIND_LIST && is_clients(f);
        enum err e =
            is_list ? read_list(f, value, body, room, &at) : read_member(l, key, value, body);
        if (!is_list)
            name_field(&at, key);
        if (e != OK && (first == OK || e < first)) {
            first = e;
            *field = at;
        }
    }
    return first;
}

static enum err
read_text(const char *text, size_t length, const struct msg_layout *l, void *body,
          struct items_room room, code_t *field)
{
    *field = (code_t){{0}};
    bool repeated;
    struct json_object *object = parse(text, length, BODY_DEPTH_MAX, &repeated);
    if (object == NULL || !json_object_is_type(object, json_type_object)) {
        json_object_put(object);
        return ERR_BODY_NOT_JSON;
    }
    enum err e = read_members(object, l, body, room, field);
    if (repeated && (e == OK || e > ERR_FIELD_REPEATED)) {
        e = ERR_FIELD_REPEATED;
        json_scan_repeated(text, length, field);
    }
    json_object_put(object);
    return e;
}

enum err
json_read_body(const char *text, size_t length, const struct msg_layout *l, void *body,
               struct arena *lists, code_t *field)
{
    const struct items_room room = {lists, NULL};
    return read_text(text, length, l, body, room, field);
}

enum err
json_read_field(const char *name, const char *value, const struct msg_layout *l, void *body,
                code_t *field)
{
    name_field(field, name);
    const struct msg_field *f = msg_field_by_name(l, name);
    if (f == NULL || (f->flags & MSG_FLAG_IN) == 0)
        return ERR_FIELD_UNKNOWN;
    enum err e = set_field(l, f, value, strlen(value), body);
    if (e == OK)
        *field = (code_t){{0}};
    return e;
}

static enum err
check_list(const struct msg_field *f, const void *body, code_t *field)
{
    uint32_t count = msg_list_count(f, body);
    const uint8_t *items = msg_list(f, body);
    name_field(field, f->name);
    if (count == 0)
        return ERR_FIELD_MISSING;
    for (uint32_t i = 0; i < count; i++) {
        code_t inner;
        if (json_check_body(f->items, items + i * f->items->size, &inner) != OK) {
            name_item_field(field, f->name, i, inner.text);
            return ERR_FIELD_MISSING;
        }
    }
    *field = (code_t){{0}};
    return OK;
}

enum err
json_check_body(const struct msg_layout *l, const void *body, code_t *field)
{
    *field = (code_t){{0}};
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        unsigned wanted = MSG_FLAG_REQ | MSG_FLAG_IN;
        if (f->kind == KIND_LIST && is_clients(f) && check_list(f, body, field) != OK)
            return ERR_FIELD_MISSING;
        if ((f->flags & wanted) == wanted && msg_field_zero(f, body)) {
            name_field(field, f->name);
            return ERR_FIELD_MISSING;
        }
    }
    return OK;
}

enum err
json_read_items(const char *text, size_t length, const struct msg_layout *l, void *body,
                struct arena *lists, struct json_fault *faults, code_t *field)
{
    const struct items_room room = {lists, faults};
    enum err e = read_text(text, length, l, body, room, field);
    for (uint32_t i = 0; e == OK && i < l->field_count; i++)
        if (l->fields[i].kind == KIND_LIST && msg_list_count(&l->fields[i], body) == 0) {
            name_field(field, l->fields[i].name);
            e = ERR_FIELD_MISSING;
        }
    return e;
}
