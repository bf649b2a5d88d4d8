/*
 * money.c - exact amounts: reading, writing, and products through __int128.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/money.h"

#include <string.h>

#define DECIMAL_PLACES 8

__extension__ typedef __int128 wide_t;

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with at most one point between them; tells where the point is (or the end). */
static bool
decimal_shape(const char *text, size_t length, size_t *point)
{
    size_t i = 0;
    while (i < length && is_digit(text[i]))
        i++;
    *point = i;
    if (i == 0)
        return false;
    if (i == length)
        return true;
    if (text[i] != '.' || i + 1 == length)
        return false;
    for (i++; i < length; i++)
        if (!is_digit(text[i]))
            return false;
    return true;
}

/* Appends digits below zero, so that the lowest int64 can be read too. */
static bool
decimal_push(int64_t *negated, char digit)
{
    return !__builtin_mul_overflow(*negated, 10, negated) &&
           !__builtin_sub_overflow(*negated, digit - '0', negated);
}

#define PLAIN_DIGITS 10u

/* The usual form, read in one pass: up to ten digits, and up to eight behind a point, which cannot
 * overflow. False for anything else, whatever is wrong with it. */
static bool
decimal_plain(const char *text, size_t length, int64_t *out)
{
    static const int64_t SCALE[DECIMAL_PLACES + 1] = {100000000, 10000000, 1000000, 100000, 10000,
                                                      1000,      100,      10,      1};
    int64_t value = 0;
    size_t i = 0;
    while (i < length && i <= PLAIN_DIGITS && is_digit(text[i]))
        value = value * 10 + (text[i++] - '0');
    size_t whole = i;
    if (whole == 0 || whole > PLAIN_DIGITS)
        return false;
    if (i < length && text[i] == '.')
        for (i++; i < length && is_digit(text[i]) && i - whole <= DECIMAL_PLACES; i++)
            value = value * 10 + (text[i] - '0');
    size_t places = i - whole - (i > whole);
    if (i != length || (i > whole && places == 0))
        return false;
    *out = value * SCALE[places];
    return true;
}

enum err
decimal_read(const char *text, size_t length, int64_t *out)
{
    if (length <= 19 && decimal_plain(text, length, out))
        return OK;
    bool minus = length > 0 && text[0] == '-';
    if (minus) {
        text++;
        length--;
    }
    size_t point;
    if (!decimal_shape(text, length, &point))
        return ERR_NUMBER_SYNTAX;

    size_t places = point < length ? length - point - 1 : 0;
    const char *fraction = text + point + 1;
    for (size_t i = DECIMAL_PLACES; i < places; i++)
        if (fraction[i] != '0')
            return ERR_NUMBER_PRECISION;

    int64_t negated = 0;
    for (size_t i = 0; i < point; i++)
        if (!decimal_push(&negated, text[i]))
            return ERR_NUMBER_RANGE;
    for (size_t i = 0; i < DECIMAL_PLACES; i++)
        if (!decimal_push(&negated, i < places ? fraction[i] : '0'))
            return ERR_NUMBER_RANGE;
    if (!minus && negated == INT64_MIN)
        return ERR_NUMBER_RANGE;
    *out = minus ? negated : -negated;
    return OK;
}

size_t
decimal_write(int64_t value, char out[DECIMAL_BYTES])
{
    char digits[DECIMAL_BYTES];
    size_t at = sizeof(digits);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint32_t fraction = (uint32_t)(magnitude % (uint64_t)DECIMAL_ONE);
    uint64_t whole = magnitude / (uint64_t)DECIMAL_ONE;
    digits[--at] = 0;
    for (int i = 0; i < DECIMAL_PLACES; i++, fraction /= 10)
        digits[--at] = (char)('0' + fraction % 10);
    digits[--at] = '.';
    do {
        digits[--at] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0);
    if (value < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at - 1;
}

size_t
decimal_write_short(int64_t value, char out[DECIMAL_BYTES])
{
    size_t length = decimal_write(value, out);
    while (out[length - 1] == '0')
        length--;
    if (out[length - 1] == '.')
        length--;
    out[length] = 0;
    return length;
}

static enum err
decimal_fit(wide_t wide, int64_t *out)
{
    if (wide > INT64_MAX)
        return ERR_NUMBER_RANGE;
    *out = (int64_t)wide;
    return OK;
}

enum err
decimal_mul_floor(int64_t a, int64_t b, int64_t *out)
{
    CHECK(a >= 0 && b >= 0);
    return decimal_fit((wide_t)a * b / DECIMAL_ONE, out);
}

enum err
decimal_mul_ceil(int64_t a, int64_t b, int64_t *out)
{
    CHECK(a >= 0 && b >= 0);
    return decimal_fit(((wide_t)a * b + (DECIMAL_ONE - 1)) / DECIMAL_ONE, out);
}

enum err
decimal_div_floor(int64_t a, int64_t b, int64_t *out)
{
    CHECK(a >= 0 && b > 0);
    return decimal_fit((wide_t)a * DECIMAL_ONE / b, out);
}

enum err
decimal_div_ceil(int64_t a, int64_t b, int64_t *out)
{
    CHECK(a >= 0 && b > 0);
    return decimal_fit(((wide_t)a * DECIMAL_ONE + (b - 1)) / b, out);
}

enum err
notional_floor(price_t price, qty_t quantity, money_t *out)
{
    return decimal_mul_floor(price.v, quantity.v, &out->v);
}

enum err
notional_ceil(price_t price, qty_t quantity, money_t *out)
{
    return decimal_mul_ceil(price.v, quantity.v, &out->v);
}

money_t
fee_ceil(money_t amount, rate_t rate)
{
    CHECK(rate.v >= 0 && rate.v < DECIMAL_ONE);
    money_t fee;
    enum err e = decimal_mul_ceil(amount.v, rate.v, &fee.v);
    CHECK(e == OK);
    return fee;
}

enum err
money_try_add(money_t a, money_t b, money_t *out)
{
    int64_t sum;
    if (__builtin_add_overflow(a.v, b.v, &sum))
        return ERR_NUMBER_RANGE;
    out->v = sum;
    return OK;
}

money_t
money_add(money_t a, money_t b)
{
    money_t sum;
    CHECK(!__builtin_add_overflow(a.v, b.v, &sum.v));
    return sum;
}

money_t
money_sub(money_t a, money_t b)
{
    money_t difference;
    CHECK(!__builtin_sub_overflow(a.v, b.v, &difference.v));
    return difference;
}

qty_t
qty_add(qty_t a, qty_t b)
{
    qty_t sum;
    CHECK(!__builtin_add_overflow(a.v, b.v, &sum.v));
    return sum;
}

qty_t
qty_sub(qty_t a, qty_t b)
{
    qty_t difference;
    CHECK(!__builtin_sub_overflow(a.v, b.v, &difference.v));
    return difference;
}
