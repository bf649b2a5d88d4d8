/*
 * codec_test.c - messages to bytes and back; msgpack-c's own reader is the judge.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "random_msg.h"
#include "wire/codec.h"

static _Alignas(16) uint8_t made_bytes[1 << 20], read_bytes[1 << 20];
static struct arena made, got;

static void
arenas(void)
{
    arena_init(&made, made_bytes, sizeof(made_bytes));
    arena_init(&got, read_bytes, sizeof(read_bytes));
}

/* ---- The judge: a body's struct against msgpack-c's tree of the same bytes ---------------- */

static bool judge_body(const struct msg_layout *l, const uint8_t *body, const msgpack_object *o);

static bool
judge_text(const char *text, const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size != strlen(text))
        return false;
    return o->via.str.size == 0 || memcmp(o->via.str.ptr, text, o->via.str.size) == 0;
}

static bool
judge_list(const struct msg_field *f, const uint8_t *body, const msgpack_object *o)
{
    uint32_t count = msg_list_count(f, body);
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != count)
        return false;
    const uint8_t *item = msg_list(f, body);
    for (uint32_t i = 0; i < count; i++, item += f->items->size)
        if (!judge_body(f->items, item, &o->via.array.ptr[i]))
            return false;
    return true;
}

static bool
judge_value(const struct msg_field *f, const uint8_t *body, const msgpack_object *o)
{
    const uint8_t *at = body + f->offset;
    switch ((enum msg_kind)f->kind) {
    case KIND_BOOL:
        return o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == *(const bool *)at;
    case KIND_U32:
    case KIND_TRI:
    case KIND_ENUM:
        return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == *(const uint32_t *)at;
    case KIND_ERR: /* numbers of a newer peer become INTERNAL */
        return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
               (o->via.u64 == *(const uint32_t *)at || *(const enum err *)at == ERR_INTERNAL);
    case KIND_U64:
    case KIND_ID:
        return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == *(const uint64_t *)at;
    case KIND_I64:
    case KIND_TIME:
    case KIND_MONEY:
    case KIND_PRICE:
    case KIND_QTY:
    case KIND_RATE:
        return (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
                o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) &&
               o->via.i64 == *(const int64_t *)at;
    case KIND_CODE:
    case KIND_CID:
    case KIND_TEXT:
        return judge_text((const char *)at, o);
    case KIND_RECORD:
        return judge_body(f->items, at, o);
    case KIND_LIST:
        return judge_list(f, body, o);
    }
    return false;
}

static bool
judge_body(const struct msg_layout *l, const uint8_t *body, const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_MAP)
        return false;
    uint64_t told = 0;
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object_kv *pair = &o->via.map.ptr[i];
        if (pair->key.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
            return false;
        const struct msg_field *f = msg_field_by_tag(l, pair->key.via.u64);
        if (f == NULL)
            continue;
        told |= (uint64_t)1 << (f - l->fields);
        if (!judge_value(f, body, &pair->val))
            return false;
    }
    for (uint32_t i = 0; i < l->field_count; i++)
        if ((told >> i & 1) == 0 && !msg_field_zero(&l->fields[i], body))
            return false;
    return true;
}

/* A record alone, as a column of the tables keeps it. */
Test(codec, a_record_alone_comes_back)
{
    struct random r = {11};
    for (int i = 0; i < 2000; i++) {
        struct order_terms terms = {.stop_price = {(int64_t)random_next(&r)},
                                    .leg = (uint32_t)random_below(&r, 3),
                                    .fill_model = (enum fill_model)random_below(&r, 4),
                                    .live_after_us = 1},
                           back;
        struct bytes packed = {0};
        msg_pack_record(&packed, MSG_RECORD_order_terms, &terms);
        cr_assert_eq(msg_unpack_record(packed.data, packed.length, MSG_RECORD_order_terms, &back),
                     OK);
        cr_assert(same_body(msg_record_at(MSG_RECORD_order_terms), &terms, &back));
        for (size_t cut = 0; cut < packed.length; cut++)
            cr_assert_neq(msg_unpack_record(packed.data, cut, MSG_RECORD_order_terms, &back), OK);
        bytes_free(&packed);
    }
}

static bool
judge(const uint8_t *data, size_t length, size_t expected, const struct msg *m)
{
    msgpack_unpacked tree;
    msgpack_unpacked_init(&tree);
    size_t used = 0;
    bool good =
        msgpack_unpack_next(&tree, (const char *)data, length, &used) == MSGPACK_UNPACK_SUCCESS &&
        used == expected && tree.data.type == MSGPACK_OBJECT_ARRAY && tree.data.via.array.size == 3;
    if (good) {
        const msgpack_object *parts = tree.data.via.array.ptr;
        good = parts[0].via.u64 == (uint64_t)m->type && parts[1].via.u64 == m->corr &&
               judge_body(msg_layout(m->type), msg_body_const(m), &parts[2]);
    }
    msgpack_unpacked_destroy(&tree);
    return good;
}

/* ---- Properties over every message ------------------------------------------------------ */

static void
round_trip(const struct msg_layout *l, struct random *r, struct bytes *b)
{
    struct msg in, out;
    arenas();
    random_msg(r, l, 5, &made, &in);
    bytes_clear(b);
    msg_pack(b, &in);
    size_t at = 0;
    memset(&out, 0xee, sizeof(out));
    enum err e = msg_unpack(b->data, b->length, &at, &got, &out);
    cr_assert_eq(e, OK, "%s: %s", l->name, err_name(e));
    cr_assert_eq(at, b->length);
    cr_assert(out.type == in.type && out.corr == in.corr);
    cr_assert(same_body(l, msg_body(&in), msg_body(&out)), "%s", l->name);
    cr_assert(judge(b->data, b->length, at, &out), "%s", l->name);

    bytes_clear(b);
    msg_pack_payload(b, in.type, msg_body(&in));
    arena_reset(&got);
    memset(&out, 0xee, sizeof(out));
    cr_assert_eq(msg_unpack_payload(b->data, b->length, in.type, &got, &out), OK);
    cr_assert(same_body(l, msg_body(&in), msg_body(&out)), "%s", l->name);
    bytes_add(b, "", 1);
    cr_assert_eq(msg_unpack_payload(b->data, b->length, in.type, &got, &out), ERR_WIRE_MALFORMED);
}

Test(codec, every_message_round_trips_with_random_contents)
{
    struct random r = {7};
    struct bytes b = {NULL, 0, 0};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
        for (int k = 0; k < 100; k++)
            round_trip(l, &r, &b);
    bytes_free(&b);
}

/* No prefix of a message is a message, and none is read past its end (ASan watches: the copy
 * has exactly the prefix's size). */
Test(codec, every_cut_is_malformed)
{
    struct random r = {8};
    struct bytes b = {NULL, 0, 0};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++) {
        struct msg in, out;
        arenas();
        random_msg(&r, l, 2, &made, &in);
        bytes_clear(&b);
        msg_pack(&b, &in);
        for (size_t cut = 0; cut < b.length; cut++) {
            uint8_t *copy = malloc(cut + (cut == 0));
            memcpy(copy, b.data, cut);
            size_t at = 0;
            arena_reset(&got);
            cr_assert_eq(msg_unpack(copy, cut, &at, &got, &out), ERR_WIRE_MALFORMED);
            cr_assert_eq(at, 0);
            free(copy);
        }
    }
    bytes_free(&b);
}

/* Whatever is read from damaged bytes is what msgpack-c reads in them. */
Test(codec, damaged_messages_are_refused_or_read_as_msgpack_c_reads_them)
{
    struct random r = {9};
    struct bytes b = {NULL, 0, 0};
    uint32_t messages = 0, read = 0;
    while (msg_layout_at(messages) != NULL)
        messages++;
    for (int i = 0; i < 60000; i++) {
        struct msg in, out;
        arenas();
        random_msg(&r, msg_layout_at((uint32_t)random_below(&r, messages)), 3, &made, &in);
        bytes_clear(&b);
        msg_pack(&b, &in);
        for (uint64_t hits = random_below(&r, 3) + 1; hits > 0; hits--)
            b.data[random_below(&r, b.length)] = (uint8_t)random_next(&r);
        size_t at = 0;
        if (msg_unpack(b.data, b.length, &at, &got, &out) == OK) {
            read++;
            cr_assert(judge(b.data, b.length, at, &out), "step %d, %s", i,
                      msg_layout(out.type)->name);
        }
    }
    cr_assert_gt(read, 1000);
    bytes_free(&b);
}

Test(codec, several_messages_ride_in_one_frame)
{
    struct bytes b = {NULL, 0, 0};
    arenas();
    for (uint64_t i = 1; i <= 500; i++) {
        struct link_beat beat = {.frames = i};
        msg_pack_body(&b, MSG_link_beat, i << 32, &beat);
    }
    size_t at = 0;
    for (uint64_t i = 1; i <= 500; i++) {
        struct msg out;
        cr_assert_eq(msg_unpack(b.data, b.length, &at, &got, &out), OK);
        cr_assert(out.corr == i << 32 && out.link_beat.frames == i);
    }
    cr_assert_eq(at, b.length);
    bytes_free(&b);
}

/* ---- Bytes by hand ---------------------------------------------------------------------- */

#define ROW(text, wanted)                                                                          \
    {                                                                                              \
        text, sizeof(text) - 1, wanted                                                             \
    }

/* 0x93 type corr body; 31 is order_cancel {1 account_id, 2 order_id, 3 client_order_id}. */
static const struct {
    const char *bytes;
    size_t length;
    enum err err;
} by_hand[] = {
    /* integers in any width, also signed ones that are not negative */
    ROW("\x93\x1f\x00\x81\x01\x07", OK),
    ROW("\x93\xcc\x1f\xcd\x00\x01\x81\xcc\x01\xce\x00\x00\x00\x07", OK),
    ROW("\x93\xd0\x1f\xd3\x00\x00\x00\x00\x00\x00\x00\x01\x81\xd1\x00\x01\xd2\x00\x00\x00\x07", OK),
    ROW("\xdc\x00\x03\x1f\x00\xde\x00\x01\x01\x07", OK),
    ROW("\xdd\x00\x00\x00\x03\x1f\x00\xdf\x00\x00\x00\x01\x01\x07", OK),
    /* an id of 2^53 - 1, and past it */
    ROW("\x93\x1f\x00\x81\x01\xcf\x00\x1f\xff\xff\xff\xff\xff\xff", OK),
    ROW("\x93\x1f\x00\x81\x01\xcf\x00\x20\x00\x00\x00\x00\x00\x00", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\x01\xff", ERR_WIRE_MALFORMED),
    /* texts: any width; a NUL inside; one character too long; binary instead */
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xa1x", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xd9\x01x", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xda\x00\x01x", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xdb\x00\x00\x00\x01x", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xa3x\0y", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xc4\x01x", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xd9\x25"
        "1234567890123456789012345678901234567",
        ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x03\xdb\xff\xff\xff\xffx", ERR_WIRE_MALFORMED),
    /* a field twice; the wrong kind; a tag that is no number */
    ROW("\x93\x1f\x00\x82\x01\x07\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\x01\xa1x", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\x01\xc3", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\x01\xc0", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\x01\xcb\x40\x1c\x00\x00\x00\x00\x00\x00", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\xa1x\x07", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x81\xff\x07", ERR_WIRE_MALFORMED),
    /* required and zero, required and absent */
    ROW("\x93\x1f\x00\x81\x01\x00", ERR_FIELD_MISSING),
    ROW("\x93\x1f\x00\x80", ERR_FIELD_MISSING),
    /* counts beyond the bytes; no map; no array of three */
    ROW("\x93\x1f\x00\xdf\xff\xff\xff\xff\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x8f\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x92\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x92\x1f\x81\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x94\x1f\x00\x81\x01\x07\x00", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\xff\x81\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\x93\xff\x00\x81\x01\x07", ERR_WIRE_MALFORMED),
    ROW("\xc1", ERR_WIRE_MALFORMED),
    ROW("", ERR_WIRE_MALFORMED),
    /* tags of a newer peer: every kind of value is passed over */
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc0", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc2", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc4\x02xy", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc7\x01\x05z", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xd4\x05z", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xd8\x05zzzzzzzzzzzzzzzz", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xca\x00\x00\x00\x00", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xcb\x00\x00\x00\x00\x00\x00\x00\x00", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xe0", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xd9\x02xy", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\xcd\x01\x00\x05", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x00\x05", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x05", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\x91\x91\x91\x91\x05", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\x81\x01\x92\x81\x01\x90\x05", OK),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\x91\x91\x91\x91\x91\x05", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc1", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc6\xff\xff\xff\xff", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xc9\xff\xff\xff\xff\x05", ERR_WIRE_MALFORMED),
    ROW("\x93\x1f\x00\x82\x01\x07\x63\xdd\xff\xff\xff\xff", ERR_WIRE_MALFORMED),
    /* messages of a newer peer */
    ROW("\x93\xcd\x7f\xff\x00\x81\x01\x07", ERR_WIRE_UNKNOWN),
    ROW("\x93\x00\x00\x80", ERR_WIRE_UNKNOWN),
    ROW("\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x00\xc0", ERR_WIRE_UNKNOWN),
    ROW("\x93\xcd\x7f\xff\x00\xc1", ERR_WIRE_MALFORMED),
};

Test(codec, bytes_by_hand)
{
    for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
        struct msg out;
        arenas();
        size_t at = 0;
        enum err e =
            msg_unpack((const uint8_t *)by_hand[i].bytes, by_hand[i].length, &at, &got, &out);
        cr_assert_eq(e, by_hand[i].err, "row %zu: %s", i, err_name(e));
        bool passed = e == OK || e == ERR_WIRE_UNKNOWN;
        cr_assert_eq(at, passed ? by_hand[i].length : 0, "row %zu", i);
        if (e == OK && out.order_cancel.account_id == 7)
            cr_assert_eq(out.type, MSG_order_cancel);
    }
}

/* Packs with the layout's rules left aside, as a hostile or broken peer would. */
static enum err
carry(enum msg_type type, const void *body, struct msg *out)
{
    struct bytes b = {NULL, 0, 0};
    size_t at = 0;
    msg_pack_body(&b, type, 0, body);
    arenas();
    enum err e = msg_unpack(b.data, b.length, &at, &got, out);
    bytes_free(&b);
    return e;
}

Test(codec, rules_of_the_layouts)
{
    struct msg out;
    struct order_pull pull = {.order_id = 1, .symbol = code_of("BTCUSDT")};
    cr_assert_eq(carry(MSG_order_pull, &pull, &out), OK);
    pull.symbol = (code_t){{0}};
    cr_assert_eq(carry(MSG_order_pull, &pull, &out), ERR_FIELD_MISSING);

    struct level levels[2] = {{.price = {1}}, {.price = {-1}}};
    struct md_depth depth = {.symbol = code_of("A"), .sequence = 1, .bids = levels};
    depth.bids_count = 1;
    cr_assert_eq(carry(MSG_md_depth, &depth, &out), OK);
    depth.bids_count = 2;
    cr_assert_eq(carry(MSG_md_depth, &depth, &out), ERR_NUMBER_NOT_POSITIVE);
    levels[1].price.v = 0;
    cr_assert_eq(carry(MSG_md_depth, &depth, &out), ERR_FIELD_MISSING);

    struct balance_get get = {.account_id = 1, .trading_type = (enum trading_type)99};
    cr_assert_eq(carry(MSG_balance_get, &get, &out), ERR_WIRE_MALFORMED);
    struct settings_set set = {.account_id = 1,
                               .trading_type = TRADING_TYPE_spot,
                               .dry_run_mode = (enum tri)3,
                               .command_id = 1};
    cr_assert_eq(carry(MSG_settings_set, &set, &out), ERR_WIRE_MALFORMED);
    set.dry_run_mode = TRI_FALSE;
    cr_assert_eq(carry(MSG_settings_set, &set, &out), OK);
    struct refused refused = {.error = (enum err)650};
    cr_assert_eq(carry(MSG_refused, &refused, &out), OK);
    cr_assert_eq(out.refused.error, ERR_INTERNAL);
}

Test(codec, an_explicit_zero_is_present_for_the_rule_of_positive_numbers)
{
    /* order_place with quantity 0 sent outright */
    static const char bytes[] = "\x93\x1e\x00\x85\x01\x07\x03\xa1"
                                "A\x04\x01\x05\x01\x07\x00";
    struct msg out;
    size_t at = 0;
    arenas();
    cr_assert_eq(msg_unpack((const uint8_t *)bytes, sizeof(bytes) - 1, &at, &got, &out),
                 ERR_NUMBER_NOT_POSITIVE);
}

Test(codec, lists_past_their_limit_or_the_arena_are_too_large)
{
    struct bytes b = {NULL, 0, 0};
    struct msg out;
    size_t at = 0;
    struct match_fill fill = {.price = {1}, .quantity = {1}};
    struct order_report report = {.order_id = 1, .fills = &fill, .fills_count = 1};
    msg_pack_body(&b, MSG_order_report, 0, &report);
    static _Alignas(16) uint8_t little[32];
    struct arena small;
    arena_init(&small, little, sizeof(little));
    cr_assert_eq(msg_unpack(b.data, b.length, &at, &small, &out), ERR_WIRE_TOO_LARGE);

    /* 65 fills where 64 are allowed: {1: 1, 2: 1} each */
    bytes_clear(&b);
    bytes_add(&b, "\x93\x43\x00\x82\x01\x01\x03\xdc\x00\x41", 10);
    for (int i = 0; i < 65; i++)
        bytes_add(&b, "\x82\x01\x01\x02\x01", 5);
    at = 0;
    arenas();
    cr_assert_eq(msg_unpack(b.data, b.length, &at, &got, &out), ERR_WIRE_TOO_LARGE);
    b.data[9] = 64;
    b.length -= 5;
    cr_assert_eq(msg_unpack(b.data, b.length, &at, &got, &out), OK);
    cr_assert_eq(out.order_report.fills_count, 64);
    bytes_free(&b);
}

Test(codec, a_frame_past_its_limit_is_refused_unread)
{
    size_t length = FRAME_BYTES_MAX + 1, at = 0;
    uint8_t *frame = calloc(1, length);
    memcpy(frame, "\x93\x1f\x00\x81\x01\x07", 6);
    struct msg out;
    arenas();
    cr_assert_eq(msg_unpack(frame, length, &at, &got, &out), ERR_WIRE_TOO_LARGE);
    cr_assert_eq(msg_unpack(frame, FRAME_BYTES_MAX, &at, &got, &out), OK);
    free(frame);
}

Test(codec, an_empty_list_reads_as_none)
{
    struct msg out;
    size_t at = 0;
    arenas();
    const char *bytes = "\x93\x43\x00\x82\x01\x01\x03\x90";
    cr_assert_eq(msg_unpack((const uint8_t *)bytes, 8, &at, &got, &out), OK);
    cr_assert(out.order_report.fills == NULL && out.order_report.fills_count == 0);
}
