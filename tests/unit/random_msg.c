/*
 * random_msg.c - messages with seeded random contents.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "random_msg.h"

#define ID_MAX (((uint64_t)1 << 53) - 1)

uint64_t
random_next(struct random *r)
{
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = r->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t
random_below(struct random *r, uint64_t end)
{
    return random_next(r) % end;
}

/* 1 to max, every magnitude as likely as the next, and the very ends now and then. */
static uint64_t
random_number(struct random *r, uint64_t max)
{
    switch (random_below(r, 8)) {
    case 0:
        return 1;
    case 1:
        return max;
    default: {
        uint64_t value = random_next(r) >> random_below(r, 64);
        return value % max + 1;
    }
    }
}

static int64_t
random_signed(struct random *r, bool positive)
{
    int64_t value = (int64_t)random_number(r, INT64_MAX);
    if (positive || random_below(r, 2) == 0)
        return value;
    return random_below(r, 8) == 0 ? INT64_MIN : -value;
}

/* Any bytes but NUL, plain ones most of the time. */
static void
random_text(struct random *r, char *out, size_t length_max)
{
    static const char plain[] = "ABCXYZabcxyz0189._-:/ \"\\={}[]";
    size_t length = random_below(r, 4) == 0 ? length_max : random_below(r, length_max) + 1;
    bool wild = random_below(r, 8) == 0;
    for (size_t i = 0; i < length; i++)
        out[i] =
            wild ? (char)(random_below(r, 255) + 1) : plain[random_below(r, sizeof(plain) - 1)];
}

static void
random_choice(struct random *r, const struct msg_field *f, uint8_t *at)
{
    uint32_t count = 0;
    while (msg_enum_value_at((enum msg_enum)f->enum_id, count) != NULL)
        count++;
    uint32_t index = (uint32_t)random_below(r, count);
    *(uint32_t *)at = msg_enum_by_name((enum msg_enum)f->enum_id,
                                       msg_enum_value_at((enum msg_enum)f->enum_id, index));
}

static void random_body(struct random *r, const struct msg_layout *l, uint32_t items_max,
                        struct arena *lists, uint8_t *body);

static void
random_list(struct random *r, const struct msg_field *f, uint32_t items_max, struct arena *lists,
            uint8_t *body)
{
    uint32_t most = f->max < items_max ? f->max : items_max;
    uint32_t count = (uint32_t)random_below(r, most + 1);
    if (count == 0)
        return;
    uint8_t *items = arena_take(lists, count, f->items->size);
    CHECK(items != NULL);
    for (uint32_t i = 0; i < count; i++)
        random_body(r, f->items, items_max, lists, items + (size_t)i * f->items->size);
    msg_list_set(f, body, items, count);
}

static void
random_field(struct random *r, const struct msg_field *f, uint32_t items_max, struct arena *lists,
             uint8_t *body)
{
    uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        *(bool *)at = true;
        break;
    case KIND_U32:
        *(uint32_t *)at = (uint32_t)random_number(r, UINT32_MAX);
        break;
    case KIND_U64:
        *(uint64_t *)at = random_number(r, UINT64_MAX);
        break;
    case KIND_ID:
        *(uint64_t *)at = random_number(r, ID_MAX);
        break;
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        *(int64_t *)at = random_signed(r, (f->flags & MSG_FLAG_POS) != 0);
        break;
    case KIND_CODE:
        random_text(r, (char *)at, CODE_BYTES - 1);
        break;
    case KIND_CID:
        random_text(r, (char *)at, CID_CHARS_MAX);
        break;
    case KIND_TEXT:
        random_text(r, (char *)at, TEXT_BYTES - 1);
        break;
    case KIND_ERR:
        *(enum err *)at = random_below(r, 2) == 0 ? ERR_INTERNAL : ERR_FUNDS_TOO_LOW;
        break;
    case KIND_TRI:
        *(enum tri *)at = random_below(r, 2) == 0 ? TRI_FALSE : TRI_TRUE;
        break;
    case KIND_ENUM:
        random_choice(r, f, at);
        break;
    case KIND_RECORD:
        random_body(r, f->items, items_max, lists, at);
        break;
    case KIND_LIST:
        random_list(r, f, items_max, lists, body);
        break;
    }
}

static void
random_body(struct random *r, const struct msg_layout *l, uint32_t items_max, struct arena *lists,
            uint8_t *body)
{
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        if ((f->flags & MSG_FLAG_REQ) != 0 || random_below(r, 2) == 0)
            random_field(r, f, items_max, lists, body);
    }
}

void
random_msg(struct random *r, const struct msg_layout *l, uint32_t items_max, struct arena *lists,
           struct msg *out)
{
    memset(out, 0, sizeof(*out));
    out->type = l->type;
    out->corr = random_below(r, 2) == 0 ? 0 : random_number(r, UINT64_MAX);
    random_body(r, l, items_max, lists, msg_body(out));
}

/* Bytes a plain field takes in its struct; 0 for records and lists. */
static size_t
plain_size(enum msg_kind kind)
{
    switch (kind) {
    case KIND_BOOL:
        return sizeof(bool);
    case KIND_U32:
    case KIND_ERR:
    case KIND_TRI:
    case KIND_ENUM:
        return sizeof(uint32_t);
    case KIND_U64:
    case KIND_ID:
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return sizeof(uint64_t);
    case KIND_CODE:
        return CODE_BYTES;
    case KIND_CID:
        return CID_BYTES;
    case KIND_TEXT:
        return TEXT_BYTES;
    case KIND_RECORD:
    case KIND_LIST:
        break;
    }
    return 0;
}

static bool
same_list(const struct msg_field *f, const void *a, const void *b)
{
    uint32_t count = msg_list_count(f, a);
    if (count != msg_list_count(f, b))
        return false;
    const uint8_t *left = msg_list(f, a), *right = msg_list(f, b);
    for (uint32_t i = 0; i < count; i++)
        if (!same_body(f->items, left + (size_t)i * f->items->size,
                       right + (size_t)i * f->items->size))
            return false;
    return true;
}

bool
same_body(const struct msg_layout *l, const void *a, const void *b)
{
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        const uint8_t *left = (const uint8_t *)a + f->offset;
        const uint8_t *right = (const uint8_t *)b + f->offset;
        bool same;
        if (f->kind == KIND_LIST)
            same = same_list(f, a, b);
        else if (f->kind == KIND_RECORD)
            same = same_body(f->items, left, right);
        else
            same = memcmp(left, right, plain_size((enum msg_kind)f->kind)) == 0;
        if (!same)
            return false;
    }
    return true;
}
