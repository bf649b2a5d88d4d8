/*
 * json_fuzz.c - request bodies from strangers: refused, or read to what can be written again.
 *
 * The first byte picks the message, the rest is its body.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <json-c/json.h>
#include <string.h>

#include "fuzz.h"
#include "wire/json.h"

#define DEPTH_MAX 8

static struct bytes written;

/* What was read from a body that is refused by nothing is written as JSON that parses. */
static void
can_be_written(const struct msg_layout *l, const struct msg *m)
{
    bytes_clear(&written);
    json_write_body(&written, l, msg_body_const(m));
    struct json_object *o = json_parse((const char *)written.data, written.length, DEPTH_MAX);
    CHECK(o != NULL);
    json_object_put(o);
}

/* A basket of orders: what is wrong with one of them is one of the refusals of a field. */
static void
basket_is_read(const char *text, size_t size, struct arena *lists)
{
    struct order_basket basket = {.orders_count = 0};
    struct json_fault faults[50];
    code_t field;
    enum err e = json_read_items(text, size, msg_record_at(MSG_RECORD_order_basket), &basket, lists,
                                 faults, &field);
    CHECK(strnlen(field.text, CODE_BYTES) < CODE_BYTES);
    CHECK(e != OK || (basket.orders_count >= 1 && basket.orders_count <= 50));
    for (uint32_t i = 0; e == OK && i < basket.orders_count; i++) {
        CHECK(faults[i].error != ERR_BODY_NOT_JSON);
        CHECK(strnlen(faults[i].field.text, CODE_BYTES) < CODE_BYTES);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[1 << 16] __attribute__((aligned(16)));
    struct arena lists;
    if (size == 0)
        return 0;
    arena_init(&lists, room, sizeof room);
    const char *text = (const char *)data + 1;
    struct json_object *o = json_parse(text, size - 1, DEPTH_MAX);

    uint32_t index = data[0];
    const struct msg_layout *l = msg_layout_at(index);
    if (l != NULL) {
        struct msg m;
        code_t field;
        memset(&m, 0, sizeof(m));
        enum err e = json_read_body(text, size - 1, l, msg_body(&m), &lists, &field);
        CHECK(strnlen(field.text, CODE_BYTES) < CODE_BYTES);
        CHECK(e != OK || (o != NULL && json_object_is_type(o, json_type_object)));
        if (e == OK && json_check_body(l, msg_body(&m), &field) != OK)
            CHECK(field.text[0] != 0);
        if (e == OK)
            can_be_written(l, &m);
    }
    basket_is_read(text, size - 1, &lists);
    int64_t amount;
    if (o != NULL && json_decimal(o, &amount) == OK)
        CHECK(json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double) ||
              json_object_is_type(o, json_type_string));
    json_object_put(o);
    return 0;
}
