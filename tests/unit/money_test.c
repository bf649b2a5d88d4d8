/*
 * money_test.c - exact amounts: reading, writing, rounding, the edges of int64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "base/money.h"
#include "random_msg.h"

__extension__ typedef __int128 wide_t;

static const struct {
    const char *text;
    enum err err;
    int64_t value;
} reads[] = {
    {"0", OK, 0},
    {"-0", OK, 0},
    {"1", OK, DECIMAL_ONE},
    {"-1", OK, -DECIMAL_ONE},
    {"0.5", OK, DECIMAL_ONE / 2},
    {"007.25", OK, 725 * DECIMAL_ONE / 100},
    {"0.00000001", OK, 1},
    {"-0.00000001", OK, -1},
    {"61234.56", OK, INT64_C(6123456000000)},
    {"1.000000000", OK, DECIMAL_ONE},
    {"1.12345678000000000000000000000000000000000", OK, 112345678},
    {"92233720368.54775807", OK, INT64_MAX},
    {"-92233720368.54775807", OK, -INT64_MAX},
    {"-92233720368.54775808", OK, INT64_MIN},
    {"0000000000000000000000000000000000000000000001", OK, DECIMAL_ONE},
    {"92233720368.54775808", ERR_NUMBER_RANGE, 0},
    {"-92233720368.54775809", ERR_NUMBER_RANGE, 0},
    {"92233720369", ERR_NUMBER_RANGE, 0},
    {"9223372036854775807", ERR_NUMBER_RANGE, 0},
    {"9999999999999999999", ERR_NUMBER_RANGE, 0},
    {"99999999999.1", ERR_NUMBER_RANGE, 0},
    {"99999999999999999999999999999999999999", ERR_NUMBER_RANGE, 0},
    {"0.000000001", ERR_NUMBER_PRECISION, 0},
    {"1.0000000000000000000000001", ERR_NUMBER_PRECISION, 0},
    {"", ERR_NUMBER_SYNTAX, 0},
    {"-", ERR_NUMBER_SYNTAX, 0},
    {"+1", ERR_NUMBER_SYNTAX, 0},
    {"--1", ERR_NUMBER_SYNTAX, 0},
    {".", ERR_NUMBER_SYNTAX, 0},
    {"1.", ERR_NUMBER_SYNTAX, 0},
    {".5", ERR_NUMBER_SYNTAX, 0},
    {"-.5", ERR_NUMBER_SYNTAX, 0},
    {"1.2.3", ERR_NUMBER_SYNTAX, 0},
    {"1e5", ERR_NUMBER_SYNTAX, 0},
    {"1E-5", ERR_NUMBER_SYNTAX, 0},
    {"0x10", ERR_NUMBER_SYNTAX, 0},
    {"NaN", ERR_NUMBER_SYNTAX, 0},
    {"Infinity", ERR_NUMBER_SYNTAX, 0},
    {"-inf", ERR_NUMBER_SYNTAX, 0},
    {" 1", ERR_NUMBER_SYNTAX, 0},
    {"1 ", ERR_NUMBER_SYNTAX, 0},
    {"1,5", ERR_NUMBER_SYNTAX, 0},
    {"1_000", ERR_NUMBER_SYNTAX, 0},
    {"\xd9\xa1", ERR_NUMBER_SYNTAX, 0}, /* an Arabic digit */
};

Test(money, reads_decimals_exactly_or_says_why_not)
{
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        int64_t value = 77;
        enum err e = decimal_read(reads[i].text, strlen(reads[i].text), &value);
        cr_assert_eq(e, reads[i].err, "\"%s\": %s", reads[i].text, err_name(e));
        cr_assert_eq(value, e == OK ? reads[i].value : 77, "\"%s\"", reads[i].text);
    }
}

Test(money, reads_no_further_than_its_length)
{
    int64_t value;
    cr_assert_eq(decimal_read("12.5999", 4, &value), OK);
    cr_assert_eq(value, 1250000000);
    cr_assert_eq(decimal_read("12.5", 3, &value), ERR_NUMBER_SYNTAX);
    cr_assert_eq(decimal_read("1\0002", 3, &value), ERR_NUMBER_SYNTAX);
}

Test(money, writes_eight_decimals_or_the_shortest)
{
    static const struct {
        int64_t value;
        const char *full, *brief;
    } rows[] = {
        {0, "0.00000000", "0"},
        {1, "0.00000001", "0.00000001"},
        {-1, "-0.00000001", "-0.00000001"},
        {DECIMAL_ONE, "1.00000000", "1"},
        {DECIMAL_ONE / 2, "0.50000000", "0.5"},
        {-1250000000, "-12.50000000", "-12.5"},
        {100 * DECIMAL_ONE, "100.00000000", "100"},
        {INT64_MAX, "92233720368.54775807", "92233720368.54775807"},
        {INT64_MIN, "-92233720368.54775808", "-92233720368.54775808"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[DECIMAL_BYTES];
        cr_assert_eq(decimal_write(rows[i].value, text), strlen(rows[i].full));
        cr_assert_str_eq(text, rows[i].full);
        cr_assert_eq(decimal_write_short(rows[i].value, text), strlen(rows[i].brief));
        cr_assert_str_eq(text, rows[i].brief);
    }
}

Test(money, what_is_written_reads_back)
{
    struct random r = {1};
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(random_next(&r)) >> random_below(&r, 63), back;
        char text[DECIMAL_BYTES];
        cr_assert_eq(decimal_read(text, decimal_write(value, text), &back), OK);
        cr_assert_eq(back, value);
        cr_assert_eq(decimal_read(text, decimal_write_short(value, text), &back), OK);
        cr_assert_eq(back, value);
    }
}

Test(money, products_round_the_way_they_are_named)
{
    int64_t out;
    /* 0.00000003 * 0.5 lies between 1 and 2 units. */
    cr_assert_eq(decimal_mul_floor(3, DECIMAL_ONE / 2, &out), OK);
    cr_assert_eq(out, 1);
    cr_assert_eq(decimal_mul_ceil(3, DECIMAL_ONE / 2, &out), OK);
    cr_assert_eq(out, 2);
    cr_assert_eq(decimal_mul_ceil(4, DECIMAL_ONE / 2, &out), OK);
    cr_assert_eq(out, 2);
    cr_assert_eq(decimal_mul_ceil(0, INT64_MAX, &out), OK);
    cr_assert_eq(out, 0);
    cr_assert_eq(decimal_div_floor(DECIMAL_ONE, 3 * DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, 33333333);
    cr_assert_eq(decimal_div_ceil(DECIMAL_ONE, 3 * DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, 33333334);
    cr_assert_eq(decimal_div_ceil(DECIMAL_ONE, DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, DECIMAL_ONE);
}

Test(money, products_past_int64_are_refused_at_the_last_unit)
{
    int64_t out;
    cr_assert_eq(decimal_mul_floor(INT64_MAX, DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, INT64_MAX);
    cr_assert_eq(decimal_mul_floor(INT64_MAX, DECIMAL_ONE + 1, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(decimal_mul_floor(INT64_MAX, INT64_MAX, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(decimal_mul_ceil(INT64_MAX, DECIMAL_ONE, &out), OK);
    cr_assert_eq(decimal_mul_ceil(INT64_MAX, INT64_MAX, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(decimal_div_floor(INT64_MAX, 1, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(decimal_div_floor(INT64_MAX, DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, INT64_MAX);
    cr_assert_eq(decimal_div_ceil(INT64_MAX, DECIMAL_ONE, &out), OK);
    cr_assert_eq(out, INT64_MAX);
    cr_assert_eq(decimal_div_ceil(INT64_MAX, DECIMAL_ONE - 1, &out), ERR_NUMBER_RANGE);
}

Test(money, floor_and_ceil_enclose_the_exact_product)
{
    struct random r = {2};
    for (int i = 0; i < 20000; i++) {
        int64_t a = (int64_t)(random_next(&r) >> (1 + random_below(&r, 62)));
        int64_t b = (int64_t)(random_next(&r) >> (1 + random_below(&r, 62)));
        wide_t exact = (wide_t)a * b;
        int64_t low, high;
        enum err e = decimal_mul_floor(a, b, &low);
        cr_assert_eq(e == OK, exact / DECIMAL_ONE <= INT64_MAX);
        if (e != OK || decimal_mul_ceil(a, b, &high) != OK)
            continue;
        cr_assert(high - low == (exact % DECIMAL_ONE != 0));
        cr_assert((wide_t)low * DECIMAL_ONE <= exact && exact <= (wide_t)high * DECIMAL_ONE);
    }
}

Test(money, notionals_and_fees)
{
    price_t price = {6000000000001};
    qty_t quantity = {1};
    money_t amount;
    cr_assert_eq(notional_floor(price, quantity, &amount), OK);
    cr_assert_eq(amount.v, 60000);
    cr_assert_eq(notional_ceil(price, quantity, &amount), OK);
    cr_assert_eq(amount.v, 60001);
    cr_assert_eq(fee_ceil((money_t){1}, (rate_t){100000}).v, 1);
    cr_assert_eq(fee_ceil((money_t){0}, (rate_t){100000}).v, 0);
    cr_assert_eq(fee_ceil((money_t){DECIMAL_ONE}, (rate_t){100000}).v, 100000);
    cr_assert_eq(fee_ceil((money_t){DECIMAL_ONE}, (rate_t){0}).v, 0);
    cr_assert_eq(fee_ceil((money_t){INT64_MAX}, (rate_t){DECIMAL_ONE - 1}).v,
                 INT64_C(9223371944621055439));
}

Test(money, sums_a_user_can_push_are_refused)
{
    money_t out = {77};
    cr_assert_eq(money_try_add((money_t){INT64_MAX}, (money_t){1}, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(money_try_add((money_t){INT64_MIN}, (money_t){-1}, &out), ERR_NUMBER_RANGE);
    cr_assert_eq(out.v, 77);
    cr_assert_eq(money_try_add((money_t){INT64_MAX - 1}, (money_t){1}, &out), OK);
    cr_assert_eq(out.v, INT64_MAX);
}

Test(money, sums_of_our_own_stop_the_process, .signal = SIGABRT)
{
    money_add((money_t){INT64_MAX}, (money_t){1});
}

Test(money, differences_of_our_own_stop_the_process, .signal = SIGABRT)
{
    qty_sub((qty_t){INT64_MIN}, (qty_t){1});
}
