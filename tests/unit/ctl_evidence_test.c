/*
 * ctl_evidence_test.c - which fills are allowed: one order each, by its limit and by what it rests
 * on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>

#include "scripctl/evidence.h"

#define NOW_US INT64_C(1700000000000000)
#define ONE    DECIMAL_ONE

/* An order at 100 of which 5 are left, and a fill of 1 at 100 that is allowed. */
struct fill_case {
    struct shadow_order o;
    struct match_fill f;
    int64_t triggered_us;
};

static struct fill_case
taker(enum side side)
{
    return (struct fill_case){.o = {.id = 9,
                                    .side = side,
                                    .type = ORDER_TYPE_LIMIT,
                                    .time_in_force = TIME_IN_FORCE_GTC,
                                    .status = ORDER_STATUS_NEW,
                                    .price = {100 * ONE},
                                    .worst_price = {100 * ONE},
                                    .quantity = {5 * ONE}},
                              .f = {.price = {100 * ONE},
                                    .quantity = {ONE},
                                    .evidence = {.source = LIQUIDITY_DEPTH,
                                                 .sequence = 7,
                                                 .price = {100 * ONE},
                                                 .quantity = {2 * ONE},
                                                 .time_us = NOW_US - 5}}};
}

static struct fill_case
maker(enum side side, enum liquidity source)
{
    struct fill_case c = taker(side);
    c.o.rank = 17;
    c.f.is_maker = true;
    c.f.evidence.source = source;
    if (source == LIQUIDITY_USER)
        c.f.evidence.sequence = 0;
    return c;
}

static const char *
verdict(const struct fill_case *c)
{
    static char why[WHY_BYTES];
    const struct order_report r = {
        .order_id = 9, .fills = &c->f, .fills_count = 1, .triggered_us = c->triggered_us};
    why[0] = '\0';
    return evidence_allows(&c->o, &r, NOW_US, why) ? "" : why;
}

#define ALLOWED(c)        cr_expect_str_empty(verdict(&(c)), "%s", verdict(&(c)))
#define REFUSED(c, words) cr_expect_str_eq(verdict(&(c)), words)

/* ---- Any fill ----------------------------------------------------------------------------- */

Test(ctl_evidence, no_fill_is_worse_than_the_limit_or_the_worst_price)
{
    struct fill_case c = taker(SIDE_BUY);
    ALLOWED(c);
    c.f.price.v = c.f.evidence.price.v = 101 * ONE;
    REFUSED(c, "fill 1 of order 9 at 101 is worse than its limit 100");
    c.o.type = ORDER_TYPE_MARKET;
    c.o.price.v = 0;
    REFUSED(c, "fill 1 of order 9 at 101 is worse than its worst price 100");
    c.f.price.v = c.f.evidence.price.v = 99 * ONE;
    ALLOWED(c);
    c = taker(SIDE_SELL);
    c.f.price.v = c.f.evidence.price.v = 99 * ONE;
    REFUSED(c, "fill 1 of order 9 at 99 is worse than its limit 100");
}

Test(ctl_evidence, no_fill_is_of_more_than_is_left_or_shown)
{
    struct fill_case c = taker(SIDE_BUY);
    c.f.quantity.v = 3 * ONE;
    REFUSED(c, "fill 1 of order 9 is of 3, its evidence shows 2");
    c.f.evidence.quantity.v = 9 * ONE;
    ALLOWED(c);
    c.o.executed.v = 3 * ONE;
    REFUSED(c, "fill 1 of order 9 is of 3, and 2 is left");
    c = taker(SIDE_BUY);
    c.o.type = ORDER_TYPE_MARKET;
    c.o.quantity.v = 0;
    c.o.quote_quantity.v = 99 * ONE;
    REFUSED(c, "fill 1 of order 9 comes to more than its quote amount");
    c.o.quote_quantity.v = 100 * ONE;
    ALLOWED(c);
}

Test(ctl_evidence, a_fill_has_evidence_that_shows_something)
{
    struct fill_case c = taker(SIDE_BUY);
    c.f.evidence.source = LIQUIDITY_NONE;
    REFUSED(c, "fill 1 of order 9 has no evidence");
    c = taker(SIDE_BUY);
    c.f.evidence.quantity.v = 0;
    REFUSED(c, "fill 1 of order 9: its evidence shows nothing");
    c = taker(SIDE_BUY);
    c.f.evidence.time_us = NOW_US + INT64_C(90000000000);
    REFUSED(c, "fill 1 of order 9: its evidence is of a time to come");
    c = taker(SIDE_BUY);
    c.f.evidence.source = LIQUIDITY_USER;
    REFUSED(c, "fill 1 of order 9: another user's order is no market data");
    c.f.evidence.sequence = 0;
    ALLOWED(c);
}

Test(ctl_evidence, an_armed_order_fills_once_it_is_set_off)
{
    struct fill_case c = taker(SIDE_BUY);
    c.o.type = ORDER_TYPE_STOP_LOSS;
    c.o.price.v = 0;
    REFUSED(c, "fill 1 of order 9 comes before the order is set off");
    c.triggered_us = NOW_US;
    ALLOWED(c);
    c.triggered_us = 0;
    c.o.triggered_us = NOW_US - 1;
    ALLOWED(c);
}

/* ---- Takers ------------------------------------------------------------------------------- */

Test(ctl_evidence, a_taker_pays_what_is_shown_and_its_slippage)
{
    struct fill_case c = taker(SIDE_BUY);
    c.f.evidence.price.v = 98 * ONE;
    REFUSED(c, "fill 1 of order 9 at 100 does not follow from its evidence at 98");
    c.f.price.v = 98 * ONE;
    ALLOWED(c);
    c.o.slippage_bps = 50;
    REFUSED(c, "fill 1 of order 9 at 98 does not follow from its evidence at 98");
    c.f.price.v = 98 * ONE + 98 * ONE / 200;
    ALLOWED(c);
    c.f.evidence.price.v = 100 * ONE - 1; /* never beyond the limit */
    c.f.price.v = 100 * ONE;
    ALLOWED(c);
    c.f.evidence.source = LIQUIDITY_USER; /* users are met at their own price */
    c.f.evidence.sequence = 0;
    REFUSED(c, "fill 1 of order 9 at 100 does not follow from its evidence at 99.99999999");
    c = taker(SIDE_SELL);
    c.o.slippage_bps = 50;
    c.f.evidence.price.v = 110 * ONE;
    c.f.price.v = 110 * ONE - 110 * ONE / 200;
    ALLOWED(c);
    c.f.price.v++;
    REFUSED(c, "fill 1 of order 9 at 109.45000001 does not follow from its evidence at 110");
}

Test(ctl_evidence, a_maker_only_order_takes_only_when_it_crosses_another_at_rest)
{
    struct fill_case c = taker(SIDE_BUY);
    c.o.type = ORDER_TYPE_LIMIT_MAKER;
    REFUSED(c, "fill 1 of order 9 takes, and LIMIT_MAKER orders do not");
    c.o.rank = 17;
    REFUSED(c, "fill 1 of order 9 takes, and LIMIT_MAKER orders do not");
    c.f.evidence.source = LIQUIDITY_USER;
    c.f.evidence.sequence = 0;
    ALLOWED(c);
}

/* ---- Makers ------------------------------------------------------------------------------- */

Test(ctl_evidence, a_maker_fills_at_its_own_price)
{
    struct fill_case c = maker(SIDE_BUY, LIQUIDITY_TRADE);
    ALLOWED(c);
    c.f.price.v = 99 * ONE;
    REFUSED(c, "fill 1 of order 9 at 99 is not at its own price 100");
    c = maker(SIDE_BUY, LIQUIDITY_TRADE);
    c.o.rank = 0;
    REFUSED(c, "fill 1 of order 9 is a maker's, and the order never rested");
    c = maker(SIDE_BUY, LIQUIDITY_TRADE);
    c.o.time_in_force = TIME_IN_FORCE_IOC;
    REFUSED(c, "fill 1 of order 9 is a maker's, and the order never rested");
}

Test(ctl_evidence, what_fills_a_maker_reaches_its_price)
{
    static const enum liquidity sources[] = {LIQUIDITY_DEPTH, LIQUIDITY_QUOTE, LIQUIDITY_TRADE,
                                             LIQUIDITY_USER};
    for (int i = 0; i < 4; i++) {
        struct fill_case c = maker(SIDE_BUY, sources[i]);
        c.f.evidence.price.v = 99 * ONE;
        ALLOWED(c);
        c.f.evidence.price.v = 101 * ONE;
        REFUSED(c, "fill 1 of order 9: its evidence at 101 does not reach 100");
        c = maker(SIDE_SELL, sources[i]);
        c.f.evidence.price.v = 99 * ONE;
        REFUSED(c, "fill 1 of order 9: its evidence at 99 does not reach 100");
    }
}

Test(ctl_evidence, the_model_through_wants_its_price_passed)
{
    struct fill_case c = maker(SIDE_BUY, LIQUIDITY_TRADE);
    c.o.fill_model = FILL_MODEL_through;
    REFUSED(c, "fill 1 of order 9: its evidence at 100 does not go through 100");
    c.f.evidence.price.v = 100 * ONE - 1;
    ALLOWED(c);
    c = maker(SIDE_BUY, LIQUIDITY_USER); /* who sells to it at its price does fill it */
    c.o.fill_model = FILL_MODEL_through;
    ALLOWED(c);
}
