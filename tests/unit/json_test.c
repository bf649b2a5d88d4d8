/*
 * json_test.c - bodies from JSON with every refusal, and to JSON with json-c as the judge.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "random_msg.h"
#include "wire/json.h"

static _Alignas(16) uint8_t list_bytes[1 << 20];

static const struct {
    const char *text;
    enum err err;
    const char *field;
} bodies[] = {
    {"{}", OK, ""},
    {" \t\r\n{} \r\n\t", OK, ""},
    {"{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":0.5,\"price\":"
     "\"1\"}",
     OK, ""},
    {"{\"quantity\":92233720368.54775807}", OK, ""},
    {"{\"quantity\":\"0.00000001\"}", OK, ""},
    {"{\"quantity\":0.100000000}", OK, ""},
    {"{\"s\\u0069de\":\"BUY\"}", OK, ""}, /* an escaped key is the key */
    /* not one JSON object */
    {"", ERR_BODY_NOT_JSON, ""},
    {" ", ERR_BODY_NOT_JSON, ""},
    {"{", ERR_BODY_NOT_JSON, ""},
    {"}", ERR_BODY_NOT_JSON, ""},
    {"[]", ERR_BODY_NOT_JSON, ""},
    {"12", ERR_BODY_NOT_JSON, ""},
    {"null", ERR_BODY_NOT_JSON, ""},
    {"\"x\"", ERR_BODY_NOT_JSON, ""},
    {"{}{}", ERR_BODY_NOT_JSON, ""},
    {"{} x", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"A\",}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\" \"A\"}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":}", ERR_BODY_NOT_JSON, ""},
    {"{symbol:\"A\"}", ERR_BODY_NOT_JSON, ""},
    {"{'symbol':'A'}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"A\" /* x */}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"A}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"A\nB\"}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"\\q\"}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"\xff\"}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\":\"A\\u0000B\"}", ERR_BODY_NOT_JSON, ""},
    {"{\"symbol\\u0000x\":\"A\"}", ERR_BODY_NOT_JSON, ""},
    {"\xef\xbb\xbf{}", ERR_BODY_NOT_JSON, ""},
    {"{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", ERR_BODY_NOT_JSON, ""},
    {"{\"a\":[[[[]]]]}", ERR_BODY_NOT_JSON, ""},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":NaN}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":Infinity}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":-Infinity}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":+1}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":.5}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":1.}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":01}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":0x10}", ERR_BODY_NOT_JSON, ""},
    {"{\"quantity\":1-2}", ERR_BODY_NOT_JSON, ""},
    {"{\"id\":TRUE}", ERR_BODY_NOT_JSON, ""},
    /* fields */
    {"{\"x\":1}", ERR_FIELD_UNKNOWN, "x"},
    {"{\"\":1}", ERR_FIELD_UNKNOWN, ""},
    {"{\"Symbol\":\"A\"}", ERR_FIELD_UNKNOWN, "Symbol"},
    {"{\"account_id\":9}", ERR_FIELD_UNKNOWN, "account_id"}, /* not the client's to set */
    {"{\"hold\":\"1\"}", ERR_FIELD_UNKNOWN, "hold"},
    {"{\"a\":{\"a\":{\"a\":1}}}", ERR_FIELD_UNKNOWN, "a"},
    {"{\"a_name_much_longer_than_any_field\":1}", ERR_FIELD_UNKNOWN, "a_name_much_longer_than"},
    {"{\"side\":\"BUY\",\"side\":\"BUY\"}", ERR_FIELD_REPEATED, "side"},
    {"{\"side\":\"BUY\",\"price\":1,\"side\":\"SELL\"}", ERR_FIELD_REPEATED, "side"},
    {"{\"side\":\"BUY\",\"s\\u0069de\":\"SELL\"}", ERR_FIELD_REPEATED, ""},
    {"{\"symbol\":1}", ERR_FIELD_TYPE, "symbol"},
    {"{\"symbol\":null}", ERR_FIELD_TYPE, "symbol"},
    {"{\"symbol\":true}", ERR_FIELD_TYPE, "symbol"},
    {"{\"symbol\":[]}", ERR_FIELD_TYPE, "symbol"},
    {"{\"symbol\":{}}", ERR_FIELD_TYPE, "symbol"},
    {"{\"side\":1}", ERR_FIELD_TYPE, "side"},
    {"{\"quantity\":true}", ERR_FIELD_TYPE, "quantity"},
    {"{\"quantity\":{}}", ERR_FIELD_TYPE, "quantity"},
    {"{\"symbol\":\"123456789012345678901234\"}", ERR_FIELD_TOO_LONG, "symbol"},
    {"{\"client_order_id\":\"1234567890123456789012345678901234567\"}", ERR_FIELD_TOO_LONG,
     "client_order_id"},
    {"{\"quantity\":1e5}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":1E-5}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":1.5e3}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":1e400}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":\"NaN\"}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":\"\"}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":\" 1\"}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"quantity\":0.123456789}", ERR_NUMBER_PRECISION, "quantity"},
    {"{\"quantity\":0.1000000000000000055511151231257827}", ERR_NUMBER_PRECISION, "quantity"},
    {"{\"quantity\":92233720369}", ERR_NUMBER_RANGE, "quantity"},
    {"{\"quantity\":9223372036854775808}", ERR_NUMBER_RANGE, "quantity"},
    {"{\"quantity\":99999999999999999999999}", ERR_NUMBER_RANGE, "quantity"},
    {"{\"quantity\":-99999999999999999999999}", ERR_NUMBER_RANGE, "quantity"},
    {"{\"quantity\":\"99999999999999999999999\"}", ERR_NUMBER_RANGE, "quantity"},
    {"{\"quantity\":0}", ERR_NUMBER_NOT_POSITIVE, "quantity"},
    {"{\"quantity\":0.0}", ERR_NUMBER_NOT_POSITIVE, "quantity"},
    {"{\"quantity\":-1}", ERR_NUMBER_NOT_POSITIVE, "quantity"},
    {"{\"quantity\":\"-0.5\"}", ERR_NUMBER_NOT_POSITIVE, "quantity"},
    {"{\"side\":\"buy\"}", ERR_CHOICE_UNKNOWN, "side"},
    {"{\"side\":\"NONE\"}", ERR_CHOICE_UNKNOWN, "side"},
    {"{\"side\":\"\"}", ERR_CHOICE_UNKNOWN, "side"},
    /* several faults at once: the first row of errors.def is the answer, wherever it stands */
    {"{\"side\":\"buy\",\"price\":0,\"quantity\":1e5,\"symbol\":1,\"x\":2,\"x\":3}",
     ERR_FIELD_UNKNOWN, "x"},
    {"{\"side\":\"buy\",\"price\":0,\"quantity\":1e5,\"symbol\":1,\"side\":\"buy\"}",
     ERR_FIELD_REPEATED, "side"},
    {"{\"side\":\"buy\",\"price\":0,\"quantity\":1e5,\"symbol\":1}", ERR_FIELD_TYPE, "symbol"},
    {"{\"side\":\"buy\",\"price\":0,\"quantity\":1e5}", ERR_NUMBER_SYNTAX, "quantity"},
    {"{\"side\":\"buy\",\"price\":0}", ERR_NUMBER_NOT_POSITIVE, "price"},
};

Test(json, order_bodies_are_read_or_refused_precisely)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct order_place body;
        memset(&body, 0, sizeof(body));
        code_t field;
        /* Exactly its length: a byte read beyond it shows under ASan. */
        size_t length = strlen(bodies[i].text);
        char *copy = malloc(length + (length == 0));
        memcpy(copy, bodies[i].text, length);
        enum err e = json_read_body(copy, length, msg_layout(MSG_order_place), &body, NULL, &field);
        free(copy);
        cr_assert_eq(e, bodies[i].err, "%s: %s", bodies[i].text, err_name(e));
        cr_assert_str_eq(field.text, bodies[i].field, "%s", bodies[i].text);
    }
}

Test(json, every_in_field_is_set_whatever_the_order)
{
    static const char *texts[] = {
        "{\"client_order_id\":\"c-1\",\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"LIMIT\","
        "\"time_in_force\":\"IOC\",\"quantity\":0.5,\"price\":61234.56}",
        "{\"price\":\"61234.56\",\"quantity\":\"0.50000000\",\"time_in_force\":\"IOC\","
        "\"type\":\"LIMIT\",\"side\":\"SELL\",\"symbol\":\"BTCUSDT\",\"client_order_id\":\"c-1\"}",
    };
    for (int i = 0; i < 2; i++) {
        struct order_place o;
        memset(&o, 0, sizeof(o));
        code_t field;
        cr_assert_eq(json_read_body(texts[i], strlen(texts[i]), msg_layout(MSG_order_place), &o,
                                    NULL, &field),
                     OK);
        cr_assert_str_eq(o.client_order_id.text, "c-1");
        cr_assert_str_eq(o.symbol.text, "BTCUSDT");
        cr_assert(o.side == SIDE_SELL && o.type == ORDER_TYPE_LIMIT);
        cr_assert_eq(o.time_in_force, TIME_IN_FORCE_IOC);
        cr_assert_eq(o.quantity.v, DECIMAL_ONE / 2);
        cr_assert_eq(o.price.v, INT64_C(6123456000000));
    }
}

Test(json, integers_and_truths)
{
    static const struct {
        const char *text;
        enum err err;
        uint32_t leverage;
    } rows[] = {
        {"{\"leverage\":125}", OK, 125},
        {"{\"leverage\":\"125\"}", OK, 125},
        {"{\"leverage\":4294967295}", OK, UINT32_MAX},
        {"{\"leverage\":4294967296}", ERR_NUMBER_RANGE, 0},
        {"{\"leverage\":99999999999999999999}", ERR_NUMBER_RANGE, 0},
        {"{\"leverage\":-1}", ERR_NUMBER_SYNTAX, 0},
        {"{\"leverage\":1.0}", ERR_NUMBER_SYNTAX, 0},
        {"{\"leverage\":1e2}", ERR_NUMBER_SYNTAX, 0},
        {"{\"leverage\":true}", ERR_FIELD_TYPE, 0},
        {"{\"auto_trading\":\"true\"}", ERR_FIELD_TYPE, 0},
        {"{\"auto_trading\":1}", ERR_FIELD_TYPE, 0},
        {"{\"trading_type\":\"SPOT\"}", ERR_TRADING_TYPE_INVALID, 0},
    };
    struct settings_set s;
    code_t field;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&s, 0, sizeof(s));
        enum err e = json_read_body(rows[i].text, strlen(rows[i].text),
                                    msg_layout(MSG_settings_set), &s, NULL, &field);
        cr_assert_eq(e, rows[i].err, "%s: %s", rows[i].text, err_name(e));
        cr_assert(e != OK || s.leverage == rows[i].leverage);
    }
    memset(&s, 0, sizeof(s));
    const char *truths = "{\"auto_trading\":false,\"dry_run_mode\":true}";
    cr_assert_eq(
        json_read_body(truths, strlen(truths), msg_layout(MSG_settings_set), &s, NULL, &field), OK);
    cr_assert(s.auto_trading == TRI_FALSE && s.dry_run_mode == TRI_TRUE);
}

/* json-c keeps 18446744073709551616 as 2^64 - 1 and says nothing. */
Test(json, integers_that_json_c_clamps_are_refused)
{
    struct event_resume resume;
    code_t field;
    static const struct {
        const char *text;
        enum err err;
    } rows[] = {
        {"{\"after\":18446744073709551614}", OK},
        {"{\"after\":18446744073709551616}", ERR_NUMBER_RANGE},
        {"{\"after\":\"18446744073709551615\"}", OK},
        {"{\"after\":\"18446744073709551616\"}", ERR_NUMBER_RANGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(json_read_body(rows[i].text, strlen(rows[i].text),
                                    msg_layout(MSG_event_resume), &resume, NULL, &field),
                     rows[i].err, "%s", rows[i].text);
}

Test(json, single_fields_from_a_query)
{
    struct order_list q;
    memset(&q, 0, sizeof(q));
    code_t field;
    const struct msg_layout *l = msg_layout(MSG_order_list);
    cr_assert_eq(json_read_field("symbol", "BTCUSDT", l, &q, &field), OK);
    cr_assert_eq(json_read_field("limit", "50", l, &q, &field), OK);
    cr_assert_eq(json_read_field("from_us", "-5", l, &q, &field), OK);
    cr_assert_eq(json_read_field("status", "FILLED", l, &q, &field), OK);
    cr_assert(q.limit == 50 && q.from_us == -5 && q.status == ORDER_STATUS_FILLED);
    cr_assert_str_eq(field.text, "");
    cr_assert_eq(json_read_field("limit", "5x", l, &q, &field), ERR_NUMBER_SYNTAX);
    cr_assert_str_eq(field.text, "limit");
    cr_assert_eq(json_read_field("limit", "", l, &q, &field), ERR_NUMBER_SYNTAX);
    cr_assert_eq(json_read_field("account_id", "5", l, &q, &field), ERR_FIELD_UNKNOWN);
    cr_assert_eq(json_read_field("nope", "5", l, &q, &field), ERR_FIELD_UNKNOWN);
    cr_assert_str_eq(field.text, "nope");
}

static uint32_t
bit_of(const char *name)
{
    return UINT32_C(1) << msg_field_by_name(msg_layout(MSG_settings_set), name)->tag;
}

Test(json, an_explicit_zero_is_told_from_an_absent_field)
{
    static const char text[] = "{\"latency_us\":0,\"slippage_bps\":\"0\",\"reject_bps\":7}";
    struct settings_set set = {0};
    code_t field;
    const struct msg_layout *l = msg_layout(MSG_settings_set);
    cr_assert_eq(json_read_body(text, strlen(text), l, &set, NULL, &field), OK);
    cr_expect_eq(set.fill_overrides, bit_of("latency_us") | bit_of("slippage_bps"));
    cr_expect_eq(set.reject_bps, 7);
    cr_assert_eq(json_read_field("seed", "0", l, &set, &field), OK);
    cr_expect_eq(set.fill_overrides & bit_of("seed"), bit_of("seed"));
    cr_expect_eq(json_read_field("fill_overrides", "1", l, &set, &field), ERR_FIELD_UNKNOWN);
}

Test(json, what_a_client_must_send_is_asked_for)
{
    struct order_place o;
    memset(&o, 0, sizeof(o));
    code_t field;
    const struct msg_layout *l = msg_layout(MSG_order_place);
    cr_assert_eq(json_check_body(l, &o, &field), ERR_FIELD_MISSING);
    cr_assert_str_eq(field.text, "symbol");
    o.symbol = code_of("A");
    o.side = SIDE_BUY;
    cr_assert_eq(json_check_body(l, &o, &field), ERR_FIELD_MISSING);
    cr_assert_str_eq(field.text, "type");
    o.type = ORDER_TYPE_MARKET;
    cr_assert_eq(json_check_body(l, &o, &field), OK); /* account_id is not the client's */
}

Test(json, looks_as_the_header_says)
{
    struct trade fill = {.trade_id = 2,
                         .order_id = 1,
                         .symbol = code_of("BTCUSDT"),
                         .side = SIDE_BUY,
                         .price = {DECIMAL_ONE},
                         .quantity = {5},
                         .fee_asset = code_of("BTC"),
                         .is_maker = true,
                         .time_us = -3};
    struct bytes b = {NULL, 0, 0};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_record_at(i)) != NULL && strcmp(l->name, "trade") != 0;)
        i++;
    json_write_body(&b, l, &fill);
    bytes_add(&b, "", 1);
    cr_assert_str_eq((char *)b.data,
                     "{\"trade_id\":2,\"order_id\":1,\"symbol\":\"BTCUSDT\",\"side\":\"BUY\","
                     "\"price\":\"1.00000000\",\"quantity\":\"0.00000005\","
                     "\"quote_quantity\":\"0.00000000\",\"fee\":\"0.00000000\","
                     "\"fee_asset\":\"BTC\",\"is_maker\":true,\"time_us\":-3,\"evidence\":{"
                     "\"sequence\":0,\"price\":\"0.00000000\",\"quantity\":\"0.00000000\","
                     "\"time_us\":0}}");
    bytes_free(&b);
}

Test(json, texts_are_escaped_and_bad_utf_8_replaced)
{
    struct bytes b = {NULL, 0, 0};
    json_write_text(&b, "a\"\\\n\x01\x7f/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \xff \xc0\x80 "
                        "\xed\xa0\x80 \xe2\x82");
    bytes_add(&b, "", 1);
    cr_assert_str_eq((char *)b.data,
                     "\"a\\\"\\\\\\u000a\\u0001\x7f/\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \\ufffd "
                     "\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"");
    bytes_free(&b);
}

/* Members of what was written against the struct, as json-c reads them. */
static void
judge(const struct msg_layout *l, const uint8_t *body, struct json_object *o)
{
    size_t members = 0;
    for (uint32_t i = 0; i < l->field_count; i++) {
        const struct msg_field *f = &l->fields[i];
        struct json_object *v;
        bool there = json_object_object_get_ex(o, f->name, &v);
        bool hidden = (f->flags & MSG_FLAG_HID) != 0;
        bool leave = (f->flags & MSG_FLAG_OPT) != 0 || f->kind == KIND_ENUM || f->kind == KIND_TRI;
        cr_assert_eq(there, !hidden && !(leave && msg_field_zero(f, body)), "%s.%s", l->name,
                     f->name);
        if (!there)
            continue;
        members++;
        const uint8_t *at = body + f->offset;
        int64_t amount;
        switch ((enum msg_kind)f->kind) {
        case KIND_MONEY:
        case KIND_PRICE:
        case KIND_QTY:
        case KIND_RATE:
            cr_assert_eq(json_decimal(v, &amount), OK);
            cr_assert_eq(amount, *(const int64_t *)at);
            break;
        case KIND_U64:
        case KIND_ID:
            cr_assert_eq(json_object_get_uint64(v), *(const uint64_t *)at);
            break;
        case KIND_I64:
        case KIND_TIME:
            cr_assert_eq(json_object_get_int64(v), *(const int64_t *)at);
            break;
        case KIND_U32:
            cr_assert_eq(json_object_get_int64(v), *(const uint32_t *)at);
            break;
        case KIND_ENUM:
            cr_assert_str_eq(json_object_get_string(v),
                             msg_enum_name((enum msg_enum)f->enum_id, *(const uint32_t *)at));
            break;
        case KIND_RECORD:
            judge(f->items, at, v);
            break;
        case KIND_LIST:
            cr_assert_eq(json_object_array_length(v), msg_list_count(f, body));
            for (uint32_t k = 0; k < msg_list_count(f, body); k++)
                judge(f->items, (const uint8_t *)msg_list(f, body) + (size_t)k * f->items->size,
                      json_object_array_get_idx(v, k));
            break;
        case KIND_BOOL:
        case KIND_TRI:
        case KIND_CODE:
        case KIND_CID:
        case KIND_TEXT:
        case KIND_ERR:
            break;
        }
    }
    cr_assert_eq((size_t)json_object_object_length(o), members, "%s", l->name);
}

Test(json, every_message_is_written_as_json_c_reads_it)
{
    struct random r = {13};
    struct bytes b = {NULL, 0, 0};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
        for (int k = 0; k < 40; k++) {
            struct msg m;
            struct arena lists;
            arena_init(&lists, list_bytes, sizeof(list_bytes));
            random_msg(&r, l, 3, &lists, &m);
            bytes_clear(&b);
            json_write_body(&b, l, msg_body(&m));
            struct json_object *o = json_parse((const char *)b.data, b.length, 8);
            cr_assert_not_null(o, "%s: %.*s", l->name, (int)b.length, (const char *)b.data);
            judge(l, msg_body(&m), o);
            json_object_put(o);
        }
    bytes_free(&b);
}

Test(json, values_of_files_and_streams)
{
    static const struct {
        const char *text;
        int depth;
        bool good;
    } rows[] = {
        {"12", 1, true},        {" 12.50 ", 1, true},
        {"\"x\"", 1, true},     {"true", 1, true},
        {"[1,[2]]", 2, true},   {"[1,[2]]", 1, false},
        {"1 2", 1, false},      {"", 1, false},
        {"{\"a\":1}", 1, true}, {"{\"a\":1,\"a\":1}", 1, false},
        {"[1,]", 1, false},     {"[{\"a\":{\"b\":1,\"b\":2}}]", 8, false},
        {"nul", 1, false},      {"[1 2]", 1, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_object *o = json_parse(rows[i].text, strlen(rows[i].text), rows[i].depth);
        cr_assert_eq(o != NULL, rows[i].good, "%s", rows[i].text);
        json_object_put(o);
    }
    int64_t value;
    struct json_object *o = json_parse("12.50", 5, 1);
    cr_assert_eq(json_decimal(o, &value), OK);
    cr_assert_eq(value, INT64_C(1250000000));
    json_object_put(o);
    cr_assert_eq(json_decimal(NULL, &value), ERR_FIELD_TYPE);
}

/* ---- Lists ------------------------------------------------------------------------------ */

static const struct {
    const char *text;
    enum err err;
    const char *field;
} lists[] = {
    {"{\"orders\":[]}", ERR_FIELD_MISSING, "contingency"},
    {"{\"contingency\":\"OCO\",\"symbol\":\"A\",\"orders\":[]}", ERR_FIELD_MISSING, "orders"},
    {"{\"contingency\":\"OCO\",\"symbol\":\"A\"}", ERR_FIELD_MISSING, "orders"},
    {"{\"orders\":{}}", ERR_FIELD_TYPE, "orders"},
    {"{\"orders\":[1]}", ERR_FIELD_TYPE, "orders[0]"},
    {"{\"orders\":[{},{},{},{}]}", ERR_FIELD_TOO_LONG, "orders"},
    {"{\"orders\":[{},{\"price\":\"x\"}]}", ERR_NUMBER_SYNTAX, "orders[1].price"},
    {"{\"orders\":[{\"hold\":1}]}", ERR_FIELD_UNKNOWN, "orders[0].hold"},
    {"{\"orders\":[{\"price\":1,\"price\":2}]}", ERR_FIELD_REPEATED,
     ""}, /* only names of the object itself are told */
    {"{\"contingency\":\"OCO\",\"symbol\":\"A\",\"orders\":[{\"symbol\":\"A\",\"side\":\"BUY\"}]}",
     ERR_FIELD_MISSING, "orders[0].type"},
};

Test(json, a_list_of_orders_is_read_and_what_is_wrong_is_named_with_its_place)
{
    uint8_t room[4096] __attribute__((aligned(16)));
    struct arena arena;
    arena_init(&arena, room, sizeof room);
    const struct msg_layout *l = msg_layout(MSG_list_place);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct list_place m = {0};
        code_t field;
        arena_reset(&arena);
        enum err e = json_read_body(lists[i].text, strlen(lists[i].text), l, &m, &arena, &field);
        if (e == OK)
            e = json_check_body(l, &m, &field);
        cr_assert_eq(e, lists[i].err, "%s: %s", lists[i].text, err_name(e));
        cr_assert_str_eq(field.text, lists[i].field, "%s", lists[i].text);
    }
    const char *good = "{\"contingency\":\"OTO\",\"symbol\":\"BTCUSDT\",\"orders\":["
                       "{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"price\":5,"
                       "\"quantity\":\"0.1\"},"
                       "{\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"STOP_LOSS\","
                       "\"stop_price\":4,\"trailing_delta\":25}]}";
    struct list_place m = {0};
    code_t field;
    cr_assert_eq(json_read_body(good, strlen(good), l, &m, NULL, &field), ERR_FIELD_TOO_LONG);
    cr_assert_eq(json_read_body(good, strlen(good), l, &m, &arena, &field), OK);
    cr_assert_eq(m.orders_count, 2);
    cr_assert_eq(m.orders[0].price.v, 5 * DECIMAL_ONE);
    cr_assert_eq(m.orders[1].trailing_delta, 25);
    cr_assert_eq(m.orders[1].type, ORDER_TYPE_STOP_LOSS);
}

Test(json, each_item_of_a_basket_is_judged_by_itself)
{
    uint8_t room[4096] __attribute__((aligned(16)));
    struct arena arena;
    struct json_fault faults[50];
    struct order_basket b = {.orders_count = 0};
    code_t field;
    const struct msg_layout *l = msg_record_at(MSG_RECORD_order_basket);
    const char *text = "{\"client_order_id\":\"b\",\"orders\":["
                       "{\"symbol\":\"A\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":1},"
                       "{\"symbol\":\"A\",\"side\":\"HOLD\"},{\"symbol\":\"A\",\"side\":\"BUY\"},"
                       "7,{\"hold\":1}]}";
    static const struct json_fault wanted[] = {{OK, {""}},
                                               {ERR_CHOICE_UNKNOWN, {"side"}},
                                               {ERR_FIELD_MISSING, {"type"}},
                                               {ERR_FIELD_TYPE, {""}},
                                               {ERR_FIELD_UNKNOWN, {"hold"}}};
    arena_init(&arena, room, sizeof room);
    cr_assert_eq(json_read_items(text, strlen(text), l, &b, &arena, faults, &field), OK);
    cr_assert_eq(b.orders_count, 5);
    cr_assert_str_eq(b.client_order_id.text, "b");
    cr_assert_eq(b.orders[0].quantity.v, DECIMAL_ONE);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(faults[i].error, wanted[i].error, "%zu: %s", i, err_name(faults[i].error));
        cr_assert_str_eq(faults[i].field.text, wanted[i].field.text);
    }
    static const struct {
        const char *text;
        enum err err;
    } bad[] = {{"{\"orders\":[]}", ERR_FIELD_MISSING},
               {"{}", ERR_FIELD_MISSING},
               {"{\"orders\":7}", ERR_FIELD_TYPE},
               {"{\"orders\":[{}],\"symbol\":\"A\"}", ERR_FIELD_UNKNOWN},
               {"{\"orders\":[{\"side\":\"BUY\",\"side\":\"BUY\"}]}", ERR_FIELD_REPEATED},
               {"{\"orders\":[{},]}", ERR_BODY_NOT_JSON}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct order_basket none = {.orders_count = 0};
        arena_reset(&arena);
        enum err e =
            json_read_items(bad[i].text, strlen(bad[i].text), l, &none, &arena, faults, &field);
        cr_assert_eq(e, bad[i].err, "%s: %s", bad[i].text, err_name(e));
    }
}
