/*
 * money.h - exact amounts: int64 counts of 10^-8.
 *
 * money_t is an amount of some asset, qty_t an amount of a symbol's base asset, price_t quote
 * asset per one base asset, rate_t a fraction (a fee of 10 basis points is 0.001). They are
 * distinct structs so that mixing a price with a sum does not compile. Products go through
 * __int128; every function that rounds says which way. No float, no double.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_BASE_MONEY_H
#define SCRIP_BASE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DECIMAL_ONE   INT64_C(100000000) /* 1.00000000 */
#define DECIMAL_BYTES 32                 /* room for any printed decimal and its NUL */

typedef struct money {
    int64_t v;
} money_t;
typedef struct price {
    int64_t v;
} price_t;
typedef struct qty {
    int64_t v;
} qty_t;
typedef struct rate {
    int64_t v;
} rate_t;

/*
 * Reads a decimal exactly: an optional minus, digits, an optional point and at most 8 digits.
 * Trailing zeros beyond the eighth decimal are taken ("1.000000000" is 1). Refuses with
 * ERR_NUMBER_SYNTAX (empty, sign only, exponent, "NaN", blanks, "1." and ".5"),
 * ERR_NUMBER_PRECISION (a ninth decimal that is not zero) or ERR_NUMBER_RANGE (past int64).
 */
MUST_USE enum err decimal_read(const char *text, size_t length, int64_t *out);
/* Writes with exactly 8 decimals and a NUL: "-0.00000001". Returns the length without the NUL. */
size_t decimal_write(int64_t value, char out[DECIMAL_BYTES]);
/* As decimal_write without trailing zeros and without a bare point: "0.5", "12". */
size_t decimal_write_short(int64_t value, char out[DECIMAL_BYTES]);

/* floor or ceil of a * b / 10^8 for a, b >= 0; ERR_NUMBER_RANGE past int64. */
MUST_USE enum err decimal_mul_floor(int64_t a, int64_t b, int64_t *out);
MUST_USE enum err decimal_mul_ceil(int64_t a, int64_t b, int64_t *out);
/* floor or ceil of a * 10^8 / b for a >= 0, b > 0; ERR_NUMBER_RANGE past int64. */
MUST_USE enum err decimal_div_floor(int64_t a, int64_t b, int64_t *out);
MUST_USE enum err decimal_div_ceil(int64_t a, int64_t b, int64_t *out);

/* The quote amount of a quantity at a price: fills round down, reservations round up. */
MUST_USE enum err notional_floor(price_t price, qty_t quantity, money_t *out);
MUST_USE enum err notional_ceil(price_t price, qty_t quantity, money_t *out);
/* A fee on an amount, rounded up against the payer. Never fails: the rate is below 1. */
money_t fee_ceil(money_t amount, rate_t rate);

/* For sums a user can push. */
MUST_USE enum err money_try_add(money_t a, money_t b, money_t *out);
/* For sums already bounded by earlier refusals: CHECKs for overflow. */
money_t money_add(money_t a, money_t b);
money_t money_sub(money_t a, money_t b);
qty_t qty_add(qty_t a, qty_t b);
qty_t qty_sub(qty_t a, qty_t b);

static inline bool
money_less(money_t a, money_t b)
{
    return a.v < b.v;
}

static inline money_t
money_min(money_t a, money_t b)
{
    return a.v < b.v ? a : b;
}

static inline qty_t
qty_min(qty_t a, qty_t b)
{
    return a.v < b.v ? a : b;
}

/* A base quantity is an amount of the base asset; this names the crossing. */
static inline money_t
money_of_qty(qty_t q)
{
    return (money_t){q.v};
}

#endif
