/*
 * base_test.c - errors, short texts, the arena and the outbox.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "base/arena.h"
#include "base/code.h"
#include "base/err.h"
#include "base/instrument.h"
#include "base/outbox.h"

static const enum err rows[] = {
#define ERROR(name, number, http, again, binance, sentence) ERR_##name,
#include "tbl/errors.def"
#undef ERROR
};

Test(err, every_row_is_found_by_its_name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(err_by_name(err_name(rows[i])), rows[i], "%s", err_name(rows[i]));
        cr_assert(err_known((uint32_t)rows[i]));
        cr_assert_neq(err_sentence(rows[i])[0], 0);
        cr_assert(err_http(rows[i]) >= 400 && err_http(rows[i]) < 600);
        cr_assert_leq(err_binance(rows[i]), 0);
    }
}

/* Callers take the smallest number for the first row, so the two orders must agree. */
Test(err, numbers_rise_with_the_rows)
{
    for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_lt(rows[i - 1], rows[i], "%s", err_name(rows[i]));
}

/* 503 promises Retry-After, and a promise to retry needs a status that says so. */
Test(err, only_statuses_that_may_pass_say_again)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int http = err_http(rows[i]);
        if (http == 503 || http == 504)
            cr_assert(err_again(rows[i]), "%s", err_name(rows[i]));
        if (http == 400 || http == 401 || http == 404)
            cr_assert(!err_again(rows[i]), "%s", err_name(rows[i]));
    }
}

Test(err, strangers_have_a_name_too)
{
    cr_assert_str_eq(err_name(OK), "OK");
    cr_assert_str_eq(err_name((enum err)9999), "UNKNOWN_ERROR");
    cr_assert_str_eq(err_name((enum err)100), "UNKNOWN_ERROR");
    cr_assert_eq(err_http((enum err)9999), 500);
    cr_assert(!err_known(100));
    cr_assert(err_known(0));
    cr_assert_eq(err_by_name("NO_SUCH_ROW"), ERR_INTERNAL);
}

Test(code, copies_up_to_its_room_and_zero_pads)
{
    code_t a;
    memset(&a, 0xff, sizeof(a));
    cr_assert_eq(code_from("BTCUSDT", 7, &a), OK);
    cr_assert(code_same(a, code_of("BTCUSDT")));
    cr_assert(!code_same(a, code_of("BTCUSD")));
    cr_assert_eq(code_from("12345678901234567890123", 23, &a), OK);
    cr_assert_eq(code_from("123456789012345678901234", 24, &a), ERR_FIELD_TOO_LONG);
    cr_assert_eq(code_from("", 0, &a), OK);
    cr_assert(code_empty(a));
    cr_assert_eq(code_from("A\0B", 3, &a), ERR_FIELD_TYPE);
}

Test(code, a_literal_too_long_is_our_own_bug, .signal = SIGABRT)
{
    code_of("123456789012345678901234");
}

Test(code, client_order_ids_follow_binance_s_rule)
{
    static const struct {
        const char *text;
        bool valid;
    } ids[] = {
        {"a", true},         {"x-A:b/c_d.9", true}, {"123456789012345678901234567890123456", true},
        {"", false},         {"a b", false},        {"a\n", false},
        {"\xc3\xa4", false}, {"a%", false},
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        cid_t id;
        cr_assert_eq(cid_from(ids[i].text, strlen(ids[i].text), &id), OK);
        cr_assert_eq(cid_valid(&id), ids[i].valid, "\"%s\"", ids[i].text);
        cr_assert_eq(cid_empty(&id), ids[i].text[0] == 0);
    }
    cid_t long_one;
    cr_assert_eq(cid_from("1234567890123456789012345678901234567", 37, &long_one),
                 ERR_FIELD_TOO_LONG);
}

Test(code, sentences_are_cut)
{
    text_t t = text_of("%0200d", 7);
    cr_assert_eq(strlen(t.text), TEXT_BYTES - 1);
    cr_assert_str_eq(text_of("at most %d", 5).text, "at most 5");
}

Test(arena, hands_out_zeroed_aligned_room_until_it_is_full)
{
    static _Alignas(16) uint8_t bytes[100];
    memset(bytes, 0xee, sizeof(bytes));
    struct arena a;
    arena_init(&a, bytes, sizeof(bytes));
    uint8_t *first = arena_take(&a, 1, 3);
    uint8_t *second = arena_take(&a, 2, 16);
    cr_assert_eq(first, bytes);
    cr_assert_eq(second, bytes + 16);
    cr_assert_eq(first[2], 0);
    cr_assert_null(arena_take(&a, 1, 53));
    cr_assert_not_null(arena_take(&a, 1, 52));
    cr_assert_null(arena_take(&a, 1, 1));
    arena_reset(&a);
    cr_assert_not_null(arena_take(&a, 100, 1));
}

Test(arena, sizes_that_overflow_are_refused)
{
    static _Alignas(16) uint8_t bytes[64];
    struct arena a;
    arena_init(&a, bytes, sizeof(bytes));
    cr_assert_null(arena_take(&a, SIZE_MAX, 2));
    cr_assert_null(arena_take(&a, SIZE_MAX / 2, 3));
    cr_assert_null(arena_take(&a, 1, SIZE_MAX - 7));
}

Test(outbox, keeps_messages_in_order_with_zeroed_bodies)
{
    static struct out slots[2];
    static _Alignas(16) uint8_t lists[64];
    memset(slots, 0xee, sizeof(slots));
    struct outbox o;
    outbox_init(&o, slots, 2, lists, sizeof(lists));
    cr_assert_eq(outbox_room(&o), 2);
    struct msg *m = outbox_put(&o, OUT_REPLY, 5, MSG_refused, 9);
    cr_assert_eq(m->type, MSG_refused);
    cr_assert_eq(m->corr, 9);
    cr_assert_eq(m->refused.order_id, 0);
    cr_assert_eq(m->refused.detail.text[0], 0);
    cr_assert_eq(slots[0].peer, 5);
    outbox_put(&o, OUT_EVENT, 0, MSG_event_order, 0);
    cr_assert_eq(outbox_room(&o), 0);
    cr_assert_eq(slots[1].to, OUT_EVENT);
    outbox_clear(&o);
    cr_assert_eq(outbox_room(&o), 2);
}

Test(outbox, a_full_box_is_our_own_bug, .signal = SIGABRT)
{
    static struct out slots[1];
    static _Alignas(16) uint8_t lists[64];
    struct outbox o;
    outbox_init(&o, slots, 1, lists, sizeof(lists));
    outbox_put(&o, OUT_REPLY, 0, MSG_refused, 0);
    outbox_put(&o, OUT_REPLY, 0, MSG_refused, 0);
}

Test(instrument, a_perpetual_has_a_mark_and_gives_it_back)
{
    code_t name;
    cr_assert(instrument_from_exchange(TRADING_TYPE_spot, code_of("BTCUSDT"), &name));
    cr_assert_str_eq(name.text, "BTCUSDT");
    cr_assert(instrument_from_exchange(TRADING_TYPE_futures, code_of("BTCUSDT"), &name));
    cr_assert_str_eq(name.text, "BTCUSDT_PERP");
    cr_assert(code_same(instrument_at_exchange(name), code_of("BTCUSDT")));
    cr_assert(instrument_from_exchange(TRADING_TYPE_futures, code_of("BTCUSDT_240927"), &name));
    cr_assert_str_eq(name.text, "BTCUSDT_240927");
    cr_assert(code_same(instrument_at_exchange(name), name));
    /* 18 letters and the mark are all there is room for. */
    cr_assert(instrument_from_exchange(TRADING_TYPE_futures, code_of("ABCDEFGHIJKLMNOPQR"), &name));
    cr_assert_not(
        instrument_from_exchange(TRADING_TYPE_futures, code_of("ABCDEFGHIJKLMNOPQRS"), &name));
    cr_assert_str_eq(instrument_at_exchange(code_of("_PERP")).text, "_PERP");
}

Test(instrument, a_name_belongs_to_one_market)
{
    cr_assert(instrument_fits(TRADING_TYPE_spot, code_of("BTCUSDT")));
    cr_assert_not(instrument_fits(TRADING_TYPE_futures, code_of("BTCUSDT")));
    cr_assert(instrument_fits(TRADING_TYPE_futures, code_of("BTCUSDT_PERP")));
    cr_assert_not(instrument_fits(TRADING_TYPE_spot, code_of("BTCUSDT_240927")));
    cr_assert_not(instrument_fits(TRADING_TYPE_spot, (code_t){""}));
    cr_assert_str_eq(instrument_small(code_of("1000PEPEUSDT")).text, "1000pepeusdt");
    cr_assert_str_eq(instrument_large(code_of("btcusdt_240927")).text, "BTCUSDT_240927");
}
