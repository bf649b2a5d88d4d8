/*
 * scalar.c - one plain field from its text, and the rules of a whole body.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/scalar.h"

#include <string.h>

/* Digits only, no sign, no leading zeros to speak of. */
static enum err
read_unsigned(const char *text, size_t length, uint64_t max, uint64_t *out)
{
    if (length == 0)
        return ERR_NUMBER_SYNTAX;
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return ERR_NUMBER_SYNTAX;
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return ERR_NUMBER_RANGE;
    if (value > max)
        return ERR_NUMBER_RANGE;
    *out = value;
    return OK;
}

static enum err
read_signed(const char *text, size_t length, int64_t *out)
{
    bool minus = length > 0 && text[0] == '-';
    uint64_t max = minus ? (uint64_t)1 << 63 : (uint64_t)INT64_MAX;
    uint64_t value;
    enum err e = read_unsigned(text + minus, length - minus, max, &value);
    if (e != OK)
        return e;
    *out = (int64_t)(minus ? 0 - value : value);
    return OK;
}

static enum err
read_truth(const char *text, bool *out)
{
    *out = strcmp(text, "true") == 0;
    return *out || strcmp(text, "false") == 0 ? OK : ERR_FIELD_TYPE;
}

static enum err
read_name(const struct msg_field *f, const char *text, uint32_t *out)
{
    if (f->kind == KIND_ENUM) {
        *out = msg_enum_by_name((enum msg_enum)f->enum_id, text);
        if (*out != 0)
            return OK;
        return f->enum_id == MSG_ENUM_trading_type ? ERR_TRADING_TYPE_INVALID : ERR_CHOICE_UNKNOWN;
    }
    enum err e = err_by_name(text);
    if (e == ERR_INTERNAL && strcmp(text, err_name(ERR_INTERNAL)) != 0)
        return ERR_CHOICE_UNKNOWN;
    *out = (uint32_t)e;
    return OK;
}

enum err
scalar_read(const struct msg_field *f, const char *text, size_t length, void *body)
{
    uint8_t *at = (uint8_t *)body + f->offset;
    uint64_t number = 0;
    bool truth = false;
    enum err e = ERR_FIELD_TYPE;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        return read_truth(text, (bool *)at);
    case KIND_TRI:
        e = read_truth(text, &truth);
        if (e == OK)
            *(enum tri *)at = truth ? TRI_TRUE : TRI_FALSE;
        return e;
    case KIND_U32:
        e = read_unsigned(text, length, UINT32_MAX, &number);
        if (e == OK)
            *(uint32_t *)at = (uint32_t)number;
        return e;
    case KIND_U64:
        return read_unsigned(text, length, UINT64_MAX, (uint64_t *)at);
    case KIND_ID:
        return read_unsigned(text, length, ID_MAX, (uint64_t *)at);
    case KIND_I64:
    case KIND_TIME:
        return read_signed(text, length, (int64_t *)at);
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return decimal_read(text, length, (int64_t *)at);
    case KIND_CODE:
        return code_from(text, length, (code_t *)at);
    case KIND_CID:
        return cid_from(text, length, (cid_t *)at);
    case KIND_TEXT:
        return text_from(text, length, (text_t *)at);
    case KIND_ERR:
    case KIND_ENUM:
        return read_name(f, text, (uint32_t *)at);
    case KIND_RECORD:
    case KIND_LIST:
        break;
    }
    return ERR_FIELD_TYPE;
}

bool
scalar_is_positive(const struct msg_field *f, const void *body)
{
    const void *at = (const uint8_t *)body + f->offset;
    return f->kind == KIND_U32 ? *(const uint32_t *)at > 0 : *(const int64_t *)at > 0;
}

enum err
scalar_rules(const struct msg_layout *l, uint64_t seen, const void *body, uint32_t *culprit)
{
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        *culprit = i;
        if ((f->flags & MSG_FLAG_REQ) != 0 && msg_field_zero(f, body))
            return ERR_FIELD_MISSING;
    }
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        *culprit = i;
        if ((f->flags & MSG_FLAG_POS) != 0 && (seen >> i & 1) != 0 && !scalar_is_positive(f, body))
            return ERR_NUMBER_NOT_POSITIVE;
    }
    return OK;
}
