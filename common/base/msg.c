/*
 * msg.c - the layouts of all records and messages, expanded from common/tbl/messages.def.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/msg.h"

#include <string.h>

/* ---- Flags as messages.def spells them -------------------------------------------------- */

enum { REQ = MSG_FLAG_REQ, POS = MSG_FLAG_POS, IN = MSG_FLAG_IN };
enum { OPT = MSG_FLAG_OPT, HID = MSG_FLAG_HID, SEC = MSG_FLAG_SEC, ZEROS = MSG_FLAG_ZEROS };

/* Bytes to look at to see whether a field is zero: of a text the first one. */
enum { WIDTH_BOOL = 1, WIDTH_CODE = 1, WIDTH_CID = 1, WIDTH_TEXT = 1 };
enum { WIDTH_U32 = 4, WIDTH_ERR = 4, WIDTH_TRI = 4 };
enum { WIDTH_U64 = 8, WIDTH_I64 = 8, WIDTH_ID = 8, WIDTH_TIME = 8 };
enum { WIDTH_MONEY = 8, WIDTH_PRICE = 8, WIDTH_QTY = 8, WIDTH_RATE = 8 };

/* ---- Field tables ----------------------------------------------------------------------- */

/*
 * The rows of a FIELDS_x list do not carry the struct they belong to, so each row macro is passed
 * with AT(x) in front of it: the start of an initialiser, up to the address of the member that
 * the row then names.
 */
/* clang-format off */
#define AT(record) {.offset = (uint16_t)(uintptr_t) & ((struct record *)NULL)

#define ROW_F(t, k, n, f, s)                                                                       \
    ->n, .tag = t, .kind = KIND_##k, .width = WIDTH_##k, .flags = f, NAMED(n, s)},
#define ROW_E(t, e, n, f, s)                                                                       \
    ->n, .tag = t, .kind = KIND_ENUM, .width = 4, .flags = f, .enum_id = MSG_ENUM_##e, NAMED(n, s)},
#define ROW_R(t, r, n, f, s)                                                                       \
    ->n, .tag = t, .kind = KIND_RECORD, .flags = f, .items = &layout_##r, NAMED(n, s)},
#define ROW_L(t, r, n, m, s)                                                                       \
    ->n, .tag = t, .kind = KIND_LIST, .max = m, .items = &layout_##r, NAMED(n, s)},
/* clang-format on */

#define NAMED(n, s) .name = #n, .name_length = sizeof(#n) - 1, .sentence = s

#define FIELDS(x)                                                                                  \
    static const struct msg_field fields_##x[] = {                                                 \
        FIELDS_##x(AT(x) ROW_F, AT(x) ROW_E, AT(x) ROW_R, AT(x) ROW_L)};

#define LAYOUT(x, s)                                                                               \
    .name = #x, .sentence = s, .size = sizeof(struct x), .fields = fields_##x,                     \
    .field_count = sizeof(fields_##x) / sizeof(fields_##x[0])

/* A record's layout stands before the layouts that contain it, as in messages.def. */
#define RECORD(x, s)                                                                               \
    FIELDS(x)                                                                                      \
    static const struct msg_layout layout_##x = {LAYOUT(x, s)};
RECORDS(RECORD)

#define MESSAGE(number, x, source, target, mutates, s)                                             \
    FIELDS(x)                                                                                      \
    static const struct msg_layout layout_##x = {LAYOUT(x, s), .type = number, .from = #source,    \
                                                 .to = #target, .effect = #mutates};
MESSAGES(MESSAGE)

static const struct msg_layout *const layouts_by_type[MSG_TYPE_END] = {
#define BY_TYPE(number, x, source, target, mutates, s) [number] = &layout_##x,
    MESSAGES(BY_TYPE)};

static const struct msg_layout *const messages[] = {
#define IN_ORDER(number, x, source, target, mutates, s) &layout_##x,
    MESSAGES(IN_ORDER)};

static const struct msg_layout *const records[] = {
#define RECORD_IN_ORDER(x, s) &layout_##x,
    RECORDS(RECORD_IN_ORDER)};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

const struct msg_layout *
msg_layout(enum msg_type type)
{
    uint32_t number = (uint32_t)type;
    return number < MSG_TYPE_END ? layouts_by_type[number] : NULL;
}

const struct msg_layout *
msg_layout_by_name(const char *name)
{
    for (size_t i = 0; i < LENGTH(messages); i++)
        if (strcmp(messages[i]->name, name) == 0)
            return messages[i];
    return NULL;
}

const struct msg_layout *
msg_layout_at(uint32_t index)
{
    return index < LENGTH(messages) ? messages[index] : NULL;
}

const struct msg_layout *
msg_record_at(uint32_t index)
{
    return index < LENGTH(records) ? records[index] : NULL;
}

bool
msg_is_secret(const struct msg_layout *l)
{
    for (uint32_t i = 0; l != NULL && i < l->field_count; i++)
        if ((l->fields[i].flags & MSG_FLAG_SEC) != 0 || msg_is_secret(l->fields[i].items))
            return true;
    return false;
}

const struct msg_field *
msg_field_by_tag(const struct msg_layout *l, uint64_t tag)
{
    /* Tags count from 1 without gaps, unless a field was retired. */
    if (tag - 1 < l->field_count && l->fields[tag - 1].tag == tag)
        return &l->fields[tag - 1];
    for (uint32_t i = 0; i < l->field_count; i++)
        if (l->fields[i].tag == tag)
            return &l->fields[i];
    return NULL;
}

const struct msg_field *
msg_field_by_name(const struct msg_layout *l, const char *name)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if (strcmp(l->fields[i].name, name) == 0)
            return &l->fields[i];
    return NULL;
}

static bool
msg_record_zero(const struct msg_layout *l, const void *body)
{
    for (uint32_t i = 0; i < l->field_count; i++)
        if (!msg_field_zero(&l->fields[i], body))
            return false;
    return true;
}

bool
msg_part_zero(const struct msg_field *f, const void *body)
{
    if (f->kind == KIND_LIST)
        return msg_list_count(f, body) == 0;
    return msg_record_zero(f->items, (const uint8_t *)body + f->offset);
}

/* ---- Enums ------------------------------------------------------------------------------ */

#define VALUE_NAME(number, name) [number] = #name,
#define ENUM_NAMES(name, NAME)                                                                     \
    static const char *const names_##name[] = {[0] = "NONE", ENUM_##name(VALUE_NAME)};
ENUMS(ENUM_NAMES)

static const struct {
    const char *type;
    const char *const *names;
    uint32_t end;
} enums[MSG_ENUM_COUNT] = {
#define ENUM_ROW(name, NAME) [MSG_ENUM_##name] = {#name, names_##name, LENGTH(names_##name)},
    ENUMS(ENUM_ROW)};

const char *
msg_enum_name(enum msg_enum id, uint32_t value)
{
    CHECK(id < MSG_ENUM_COUNT);
    return value < enums[id].end ? enums[id].names[value] : NULL;
}

uint32_t
msg_enum_by_name(enum msg_enum id, const char *name)
{
    CHECK(id < MSG_ENUM_COUNT);
    for (uint32_t i = 1; i < enums[id].end; i++)
        if (enums[id].names[i] != NULL && strcmp(enums[id].names[i], name) == 0)
            return i;
    return 0;
}

const char *
msg_enum_type(enum msg_enum id)
{
    CHECK(id < MSG_ENUM_COUNT);
    return enums[id].type;
}

const char *
msg_enum_value_at(enum msg_enum id, uint32_t index)
{
    CHECK(id < MSG_ENUM_COUNT);
    for (uint32_t i = 1; i < enums[id].end; i++)
        if (enums[id].names[i] != NULL && index-- == 0)
            return enums[id].names[i];
    return NULL;
}
