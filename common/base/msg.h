/*
 * msg.h - the messages of common/tbl/messages.def as C types, and their layout as data.
 *
 * Cores work on these structs; only wire/ turns them into bytes. Lists point into an arena or
 * into the sender's own memory and are lent for the length of one call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_MSG_H
#define SCRIP_BASE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/code.h"
#include "base/err.h"
#include "base/money.h"
#include "tbl/messages.def"

/* ---- Enums: enum side { SIDE_NONE, SIDE_BUY, ... } -------------------------------------- */

#define MSG_ENUM_SIDE_VALUE(number, name)                  SIDE_##name = number,
#define MSG_ENUM_ORDER_TYPE_VALUE(number, name)            ORDER_TYPE_##name = number,
#define MSG_ENUM_TIME_IN_FORCE_VALUE(number, name)         TIME_IN_FORCE_##name = number,
#define MSG_ENUM_ORDER_STATUS_VALUE(number, name)          ORDER_STATUS_##name = number,
#define MSG_ENUM_ORDER_END_VALUE(number, name)             ORDER_END_##name = number,
#define MSG_ENUM_TRADING_TYPE_VALUE(number, name)          TRADING_TYPE_##name = number,
#define MSG_ENUM_TRADING_MODE_VALUE(number, name)          TRADING_MODE_##name = number,
#define MSG_ENUM_LIQUIDITY_VALUE(number, name)             LIQUIDITY_##name = number,
#define MSG_ENUM_BALANCE_SOURCE_VALUE(number, name)        BALANCE_SOURCE_##name = number,
#define MSG_ENUM_INTERVAL_VALUE(number, name)              INTERVAL_##name = number,
#define MSG_ENUM_STREAM_STATE_VALUE(number, name)          STREAM_STATE_##name = number,
#define MSG_ENUM_CONTINGENCY_VALUE(number, name)           CONTINGENCY_##name = number,
#define MSG_ENUM_SELF_TRADE_PREVENTION_VALUE(number, name) SELF_TRADE_PREVENTION_##name = number,
#define MSG_ENUM_TRIGGER_SOURCE_VALUE(number, name)        TRIGGER_SOURCE_##name = number,
#define MSG_ENUM_FILL_MODEL_VALUE(number, name)            FILL_MODEL_##name = number,
#define MSG_ENUM_FILL_PRESET_VALUE(number, name)           FILL_PRESET_##name = number,
#define MSG_ENUM_REPLACE_MODE_VALUE(number, name)          REPLACE_MODE_##name = number,
#define MSG_ENUM_LIST_STATUS_VALUE(number, name)           LIST_STATUS_##name = number,
#define MSG_ENUM_WAITING_FOR_VALUE(number, name)           WAITING_FOR_##name = number,
#define MSG_ENUM_SOURCE_STATE_VALUE(number, name)          SOURCE_STATE_##name = number,
#define MSG_ENUM_PLAYBACK_ACTION_VALUE(number, name)       PLAYBACK_ACTION_##name = number,
#define MSG_ENUM_WALLET_VALUE(number, name)                WALLET_##name = number,
#define MSG_ENUM_ENVIRONMENT_VALUE(number, name)           ENVIRONMENT_##name = number,
#define MSG_ENUM_EXCHANGE_STATE_VALUE(number, name)        EXCHANGE_STATE_##name = number,
#define MSG_ENUM_KEY_KIND_VALUE(number, name)              KEY_KIND_##name = number,
#define MSG_ENUM_SYNCED_FROM_VALUE(number, name)           SYNCED_FROM_##name = number,
#define MSG_ENUM_SETTLEMENT_VALUE(number, name)            SETTLEMENT_##name = number,

#define MSG_ENUM(name, NAME) enum name { NAME##_NONE = 0, ENUM_##name(MSG_ENUM_##NAME##_VALUE) };
ENUMS(MSG_ENUM)
#undef MSG_ENUM

enum msg_enum {
#define MSG_ENUM_ID(name, NAME) MSG_ENUM_##name,
    ENUMS(MSG_ENUM_ID)
#undef MSG_ENUM_ID
        MSG_ENUM_COUNT
};

/* TRI: an optional boolean. */
enum tri { TRI_ABSENT = 0, TRI_FALSE = 1, TRI_TRUE = 2 };

/* ---- Structs ---------------------------------------------------------------------------- */

typedef bool msg_BOOL;
typedef uint32_t msg_U32;
typedef uint64_t msg_U64;
typedef int64_t msg_I64;
typedef uint64_t msg_ID;
typedef int64_t msg_TIME;
typedef money_t msg_MONEY;
typedef price_t msg_PRICE;
typedef qty_t msg_QTY;
typedef rate_t msg_RATE;
typedef code_t msg_CODE;
typedef cid_t msg_CID;
typedef text_t msg_TEXT;
typedef enum err msg_ERR;
typedef enum tri msg_TRI;

#define MSG_F(tag, kind, name, flags, sentence)   msg_##kind name;
#define MSG_E(tag, type, name, flags, sentence)   enum type name;
#define MSG_R(tag, record, name, flags, sentence) struct record name;
#define MSG_L(tag, record, name, max, sentence)                                                    \
    const struct record *name;                                                                     \
    uint32_t name##_count;

#define MSG_RECORD(name, sentence)                                                                 \
    struct name {                                                                                  \
        FIELDS_##name(MSG_F, MSG_E, MSG_R, MSG_L)                                                  \
    };
RECORDS(MSG_RECORD)
#undef MSG_RECORD

#define MSG_MESSAGE(number, name, from, to, effect, sentence)                                      \
    struct name {                                                                                  \
        FIELDS_##name(MSG_F, MSG_E, MSG_R, MSG_L)                                                  \
    };
MESSAGES(MSG_MESSAGE)
#undef MSG_MESSAGE

#undef MSG_F
#undef MSG_E
#undef MSG_R
#undef MSG_L

/* MSG_order_place and so on; the value is the message's number on the wire. */
enum msg_type {
    MSG_NONE = 0,
#define MSG_NUMBER(number, name, from, to, effect, sentence) MSG_##name = number,
    MESSAGES(MSG_NUMBER)
#undef MSG_NUMBER
        MSG_TYPE_END
};

enum msg_record {
#define MSG_RECORD_ID(name, sentence) MSG_RECORD_##name,
    RECORDS(MSG_RECORD_ID)
#undef MSG_RECORD_ID
};

/* Any message by value. `corr` is the correlation id: chosen by the gateway for each request,
 * carried by everything it causes, and back in the answer. 0 where nobody asked. */
struct msg {
    enum msg_type type;
    uint64_t corr;
    union {
#define MSG_MEMBER(number, name, from, to, effect, sentence) struct name name;
        MESSAGES(MSG_MEMBER)
#undef MSG_MEMBER
    };
};

/* ---- Layout as data --------------------------------------------------------------------- */

enum msg_kind {
    KIND_BOOL,
    KIND_U32,
    KIND_U64,
    KIND_I64,
    KIND_ID,
    KIND_TIME,
    KIND_MONEY,
    KIND_PRICE,
    KIND_QTY,
    KIND_RATE,
    KIND_CODE,
    KIND_CID,
    KIND_TEXT,
    KIND_ERR,
    KIND_TRI,
    KIND_ENUM,
    KIND_RECORD,
    KIND_LIST
};

enum msg_flag {
    MSG_FLAG_REQ = 1,
    MSG_FLAG_POS = 2,
    MSG_FLAG_IN = 4,
    MSG_FLAG_OPT = 8,
    MSG_FLAG_HID = 16,
    MSG_FLAG_SEC = 32,
    MSG_FLAG_ZEROS = 64
};

struct msg_layout;

struct msg_field {
    uint8_t tag;
    uint8_t kind;    /* enum msg_kind */
    uint8_t flags;   /* of enum msg_flag */
    uint8_t enum_id; /* KIND_ENUM: enum msg_enum */
    uint16_t offset; /* in the struct; of a list's pointer, its count is behind it */
    uint8_t width;   /* bytes that tell whether it is zero; 0: records and lists */
    uint8_t name_length;
    uint32_t max;                   /* KIND_LIST: items at most */
    const struct msg_layout *items; /* KIND_RECORD, KIND_LIST */
    const char *name;
    const char *sentence;
};

struct msg_layout {
    const char *name;
    const char *sentence;
    uint32_t size; /* of the struct */
    uint32_t field_count;
    const struct msg_field *fields; /* by rising tag */
    /* Messages only: */
    enum msg_type type;
    const char *from, *to;
    const char *effect; /* "MUTATES", "READS" or "SAYS" */
};

/* The body of any message, of layout->size bytes. */
static inline void *
msg_body(struct msg *m)
{
    return &m->frame;
}

static inline const void *
msg_body_const(const struct msg *m)
{
    return &m->frame;
}

/* Of a KIND_LIST field: the items and their count, which stands right behind the pointer. */
static inline const void *
msg_list(const struct msg_field *f, const void *body)
{
    const void *items;
    memcpy(&items, (const uint8_t *)body + f->offset, sizeof(items));
    return items;
}

static inline uint32_t
msg_list_count(const struct msg_field *f, const void *body)
{
    return *(const uint32_t *)((const uint8_t *)body + f->offset + sizeof(void *));
}

static inline void
msg_list_set(const struct msg_field *f, void *body, const void *items, uint32_t count)
{
    memcpy((uint8_t *)body + f->offset, &items, sizeof(items));
    *(uint32_t *)((uint8_t *)body + f->offset + sizeof(void *)) = count;
}

/* A record without a field that is not zero, or an empty list. */
bool msg_part_zero(const struct msg_field *f, const void *body);

/* Whether a field holds nothing but zeros: such a field is not sent. */
static inline bool
msg_field_zero(const struct msg_field *f, const void *body)
{
    const uint8_t *at = (const uint8_t *)body + f->offset;
    switch (f->width) {
    case 1: /* a text is empty when its first byte is */
        return *at == 0;
    case 4:
        return *(const uint32_t *)at == 0;
    case 8:
        return *(const uint64_t *)at == 0;
    default:
        return msg_part_zero(f, body);
    }
}

/* NULL for a number that is in no row. */
const struct msg_layout *msg_layout(enum msg_type type);
const struct msg_layout *msg_layout_by_name(const char *name);
/* Index runs over all messages in table order; NULL past the end. For docs and OpenAPI. */
const struct msg_layout *msg_layout_at(uint32_t index);
const struct msg_layout *msg_record_at(uint32_t index); /* an enum msg_record */
/* Whether it has a field that is printed as ***, or a record in it has. */
bool msg_is_secret(const struct msg_layout *l);
/* NULL when there is no such field. */
const struct msg_field *msg_field_by_tag(const struct msg_layout *l, uint64_t tag);
const struct msg_field *msg_field_by_name(const struct msg_layout *l, const char *name);
/* "BUY"; "NONE" for 0; NULL for a number that is not in the table. */
const char *msg_enum_name(enum msg_enum id, uint32_t value);
/* 0 when there is no such name. Exact case. */
uint32_t msg_enum_by_name(enum msg_enum id, const char *name);
/* The enum's own name, and its values by index (NULL past the end). */
const char *msg_enum_type(enum msg_enum id);
const char *msg_enum_value_at(enum msg_enum id, uint32_t index);

static inline enum side
side_other(enum side s)
{
    return s == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

#endif
