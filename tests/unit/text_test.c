/*
 * text_test.c - messages as lines: what is printed reads back, and what is wrong is named.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "random_msg.h"
#include "wire/codec.h"

static _Alignas(16) uint8_t made_bytes[1 << 20], read_bytes[1 << 20];
static struct arena made, got;
static char line[1 << 20];

static void
arenas(void)
{
    arena_init(&made, made_bytes, sizeof(made_bytes));
    arena_init(&got, read_bytes, sizeof(read_bytes));
}

Test(text, every_message_reads_back_what_was_printed)
{
    struct random r = {11};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++)
        for (int k = 0; k < 60; k++) {
            struct msg in, out;
            code_t field;
            arenas();
            random_msg(&r, l, 4, &made, &in);
            size_t length = msg_print(&in, line, sizeof(line));
            cr_assert_eq(length, strlen(line));
            cr_assert_null(strchr(line, '\n'));
            enum err e = msg_read_text(line, &got, &out, &field);
            cr_assert_eq(e, OK, "%s: %s in \"%s\"", err_name(e), field.text, line);
            cr_assert(out.type == in.type && out.corr == in.corr, "%s", line);
            cr_assert(msg_is_secret(l) || same_body(l, msg_body(&in), msg_body(&out)), "%s", line);
        }
}

Test(text, a_secret_is_not_printed)
{
    struct key_part parts[2] = {{text_of("first-half")}, {text_of("other-half")}};
    struct msg m = {.type = MSG_bridge_keys_put};
    m.bridge_keys_put = (struct bridge_keys_put){.user_id = 7,
                                                 .trading_type = TRADING_TYPE_spot,
                                                 .api_key = text_of("the-key"),
                                                 .secret = parts,
                                                 .secret_count = 2};
    msg_print(&m, line, sizeof(line));
    cr_assert_str_eq(line, "bridge_keys_put user_id=7 trading_type=spot api_key=*** "
                           "secret=[{text=***} {text=***}]");
    cr_assert(msg_is_secret(msg_layout(MSG_bridge_keys_put)));
    cr_assert_not(msg_is_secret(msg_layout(MSG_bridge_keys)));
}

/* A shorter room gives the same line cut, and not a byte beyond it (ASan watches). */
Test(text, a_line_is_cut_where_its_room_ends)
{
    struct random r = {12};
    const struct msg_layout *l;
    for (uint32_t i = 0; (l = msg_layout_at(i)) != NULL; i++) {
        struct msg m;
        arenas();
        random_msg(&r, l, 2, &made, &m);
        size_t whole = msg_print(&m, line, sizeof(line));
        for (int k = 0; k < 20; k++) {
            size_t size = random_below(&r, whole + 2) + 1;
            char *room = malloc(size);
            size_t length = msg_print(&m, room, size);
            cr_assert_eq(length, strlen(room));
            cr_assert(length < size && length + 2 >= (whole < size ? whole : size));
            cr_assert_eq(memcmp(room, line, length), 0);
            free(room);
        }
    }
}

Test(text, looks_as_the_codec_s_header_says)
{
    struct match_fill fills[2] = {
        {.price = {DECIMAL_ONE}, .quantity = {2 * DECIMAL_ONE}},
        {.price = {1},
         .quantity = {1},
         .is_maker = true,
         .evidence = {.source = LIQUIDITY_DEPTH, .sequence = 9}},
    };
    struct msg m = {.type = MSG_order_report};
    m.order_report = (struct order_report){
        .order_id = 3, .fills = fills, .fills_count = 2, .end = ORDER_END_COMPLETE};
    msg_print(&m, line, sizeof(line));
    cr_assert_str_eq(line, "order_report order_id=3 fills=[{price=1.00000000 quantity=2.00000000} "
                           "{price=0.00000001 quantity=0.00000001 is_maker=true "
                           "evidence={source=DEPTH sequence=9}}] end=COMPLETE");

    struct msg n = {.type = MSG_refused, .corr = 255};
    n.refused.error = ERR_FUNDS_TOO_LOW;
    n.refused.detail = text_of("needs \"5\"\n\\");
    msg_print(&n, line, sizeof(line));
    cr_assert_str_eq(line, "refused corr=00000000000000ff error=FUNDS_TOO_LOW "
                           "detail=\"needs \\\"5\\\"\\x0a\\\\\"");
    struct msg empty = {.type = MSG_link_hello};
    cr_assert_eq(msg_print(&empty, line, sizeof(line)), strlen("link_hello"));
    cr_assert_str_eq(line, "link_hello");
    cr_assert_eq(msg_print_body(msg_layout(MSG_order_report), &m.order_report, line, 12), 11);
    cr_assert_str_eq(line, "order_id=3 ");
    msg_print(&m, line, 1);
    cr_assert_str_eq(line, "");
}

Test(text, blanks_and_order_do_not_matter)
{
    struct msg m;
    code_t field;
    arenas();
    cr_assert_eq(
        msg_read_text("  order_pull   symbol=\"BTCUSDT\"  order_id=5\t ", &got, &m, &field), OK);
    cr_assert(m.order_pull.order_id == 5 && code_same(m.order_pull.symbol, code_of("BTCUSDT")));
    cr_assert_eq(msg_read_text("order_report order_id=1 fills=[ ]", &got, &m, &field), OK);
    cr_assert_eq(m.order_report.fills_count, 0);
    cr_assert_eq(
        msg_read_text("order_report order_id=1 fills=[ { price=1 quantity=1 } ]", &got, &m, &field),
        OK);
    cr_assert_eq(m.order_report.fills_count, 1);
}

Test(text, refusals_name_the_field)
{
    static const struct {
        const char *line;
        enum err err;
        const char *field;
    } rows[] = {
        {"", ERR_WIRE_UNKNOWN, ""},
        {"no_such_message a=1", ERR_WIRE_UNKNOWN, ""},
        {"order_pull order_id=5", ERR_FIELD_MISSING, "symbol"},
        {"order_pull order_id=0 symbol=A", ERR_FIELD_MISSING, "order_id"},
        {"order_pull order_id=5 symbol=A x=1", ERR_FIELD_UNKNOWN, "x"},
        {"order_pull order_id=5 symbol=A order_id=5", ERR_FIELD_REPEATED, "order_id"},
        {"order_pull order_id=five symbol=A", ERR_NUMBER_SYNTAX, "order_id"},
        {"order_pull order_id=-5 symbol=A", ERR_NUMBER_SYNTAX, "order_id"},
        {"order_pull order_id=9007199254740992 symbol=A", ERR_NUMBER_RANGE, "order_id"},
        {"order_pull order_id=5 symbol=123456789012345678901234", ERR_FIELD_TOO_LONG, "symbol"},
        {"order_pull order_id=5 symbol=", ERR_LINE_INVALID, "symbol"},
        {"order_pull order_id=5 symbol=\"A", ERR_LINE_INVALID, "symbol"},
        {"order_pull order_id=5 symbol=\"A\\x00\"", ERR_LINE_INVALID, "symbol"},
        {"order_pull order_id=5 symbol=\"A\\q\"", ERR_LINE_INVALID, "symbol"},
        {"order_pull order_id", ERR_LINE_INVALID, "order_id"},
        {"order_pull =5", ERR_LINE_INVALID, ""},
        {"order_pull corr=zz order_id=5 symbol=A", ERR_LINE_INVALID, "corr"},
        {"order_pull corr=00000000000000001 order_id=5 symbol=A", ERR_LINE_INVALID, "corr"},
        {"order_pull order_id=5 symbol=A }", ERR_LINE_INVALID, ""},
        {"balance_get account_id=1 trading_type=SPOT", ERR_TRADING_TYPE_INVALID, "trading_type"},
        {"order_place account_id=1 symbol=A side=buy type=LIMIT", ERR_CHOICE_UNKNOWN, "side"},
        {"order_place account_id=1 symbol=A side=BUY type=LIMIT price=1e5", ERR_NUMBER_SYNTAX,
         "price"},
        {"order_place account_id=1 symbol=A side=BUY type=LIMIT price=-1", ERR_NUMBER_NOT_POSITIVE,
         "price"},
        {"order_place account_id=1 symbol=A side=BUY type=LIMIT price=0", ERR_NUMBER_NOT_POSITIVE,
         "price"},
        {"order_place account_id=1 symbol=A side=BUY type=LIMIT id_was_made=1", ERR_FIELD_TYPE,
         "id_was_made"},
        {"refused error=NO_SUCH_ERROR", ERR_CHOICE_UNKNOWN, "error"},
        {"order_report order_id=1 fills=5", ERR_LINE_INVALID, "fills"},
        {"order_report order_id=1 fills=[{price=1 quantity=1}", ERR_LINE_INVALID, "fills"},
        {"order_report order_id=1 fills=[{price=1}]", ERR_FIELD_MISSING, "quantity"},
        {"order_report order_id=1 fills=[{price=1 quantity=x}]", ERR_NUMBER_SYNTAX, "quantity"},
        {"order_report order_id=1 fills=[{price=1 quantity=1 evidence=5}]", ERR_LINE_INVALID,
         "evidence"},
        {"event_order account_id=1 sequence=1 order={", ERR_FIELD_MISSING, "order_id"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct msg m;
        code_t field;
        arenas();
        enum err e = msg_read_text(rows[i].line, &got, &m, &field);
        cr_assert_eq(e, rows[i].err, "\"%s\": %s", rows[i].line, err_name(e));
        cr_assert_str_eq(field.text, rows[i].field, "\"%s\"", rows[i].line);
    }
}

Test(text, lists_past_their_limit_are_too_large)
{
    struct bytes b = {NULL, 0, 0};
    bytes_add(&b, "order_report order_id=1 fills=[", 31);
    for (int i = 0; i < 65; i++)
        bytes_add(&b, "{price=1 quantity=1}", 20);
    bytes_add(&b, "]", 2);
    struct msg m;
    code_t field;
    arenas();
    cr_assert_eq(msg_read_text((const char *)b.data, &got, &m, &field), ERR_WIRE_TOO_LARGE);
    cr_assert_str_eq(field.text, "fills");
    bytes_free(&b);
}
