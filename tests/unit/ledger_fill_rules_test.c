/*
 * ledger_fill_rules_test.c - presets and overrides, and what the draws come to over many orders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <math.h>

#include "ledger/core/fill_rules.h"

#define ORDERS 1000000

static struct fill_rules
custom(uint32_t latency_us, uint32_t spread_us, uint32_t reject_bps, uint64_t seed)
{
    return (struct fill_rules){.latency_us = latency_us,
                               .latency_spread_us = spread_us,
                               .reject_bps = reject_bps,
                               .seed = seed};
}

/* A spread of 65536 us shows the table's row as it is. */
Test(ledger_fill_rules, the_spread_is_exponential_with_mean_1)
{
    const struct fill_rules rules = custom(0, 65536, 0, 7);
    double sum = 0, below_half = 0, above_1 = 0, above_3 = 0, most = 0;
    for (uint64_t id = 1; id <= ORDERS; id++) {
        double e = fill_rules_draw(&rules, id).latency_us / 65536.0;
        sum += e;
        below_half += e < 0.5;
        above_1 += e > 1;
        above_3 += e > 3;
        most = e > most ? e : most;
    }
    cr_expect_float_eq(sum / ORDERS, 1, 0.005, "mean %f", sum / ORDERS);
    cr_expect_float_eq(below_half / ORDERS, 1 - exp(-0.5), 0.005, "%f", below_half / ORDERS);
    cr_expect_float_eq(above_1 / ORDERS, exp(-1), 0.005, "%f", above_1 / ORDERS);
    cr_expect_float_eq(above_3 / ORDERS, exp(-3), 0.003, "%f", above_3 / ORDERS);
    cr_expect_lt(most, 6.55);
}

static double
g(double s)
{
    return s == 0 ? 0 : s - s * log(s);
}

/* Every row of the table by its formula; all of them come up among so many orders. */
Test(ledger_fill_rules, the_table_is_what_its_formula_says)
{
    enum { ROWS = 256 };
    const struct fill_rules rules = custom(0, 65536, 0, 0);
    bool seen[ROWS] = {false};
    uint64_t sum = 0;
    for (uint64_t id = 1; id <= 20000; id++) {
        uint32_t found = fill_rules_draw(&rules, id).latency_us;
        double u = 1 - exp(found / -65536.0);
        int i = (int)(u * ROWS);
        double row = ROWS * (g(1 - i / (double)ROWS) - g(1 - (i + 1) / (double)ROWS)) * 65536;
        cr_assert_float_eq(found, row, i == ROWS - 1 ? 8.5 : 0.5001, "row %d: %u, %f", i, found,
                           row);
        sum += seen[i] ? 0 : found;
        seen[i] = true;
    }
    cr_expect_eq(sum, UINT64_C(256) * 65536, "the mean of the rows");
}

Test(ledger_fill_rules, the_draws_are_apart_from_each_other)
{
    const struct fill_rules rules = custom(0, 65536, 5000, 99);
    double in = 0, both = 0, refused_in = 0;
    for (uint64_t id = 1; id <= ORDERS; id++) {
        struct fill_draw d = fill_rules_draw(&rules, id);
        double x = d.latency_us / 65536.0 - 1, y = d.cancel_latency_us / 65536.0 - 1;
        in += y;
        both += x * y;
        refused_in += d.is_refused ? x : 0;
    }
    cr_expect_float_eq(in / ORDERS, 0, 0.005);
    cr_expect_float_eq(both / ORDERS, 0, 0.005, "covariance %f", both / ORDERS);
    cr_expect_float_eq(refused_in / ORDERS, 0, 0.005);
}

Test(ledger_fill_rules, so_many_are_refused)
{
    for (uint32_t bps = 0; bps <= FILL_REJECT_MAX; bps += 2500) {
        const struct fill_rules rules = custom(0, 0, bps, 3);
        uint32_t refused = 0;
        for (uint64_t id = 1; id <= 100000; id++)
            refused += fill_rules_draw(&rules, id).is_refused;
        cr_expect_float_eq(refused / 100000.0, bps / 10000.0, bps % 10000 == 0 ? 0 : 0.006,
                           "%u: %u", bps, refused);
    }
}

/* The same on every machine and in every version: seeds that somebody wrote down stay good. */
Test(ledger_fill_rules, the_draws_of_a_seed_never_change)
{
    static const struct {
        uint64_t seed, order_id;
        uint32_t latency_us, cancel_latency_us;
        bool is_refused;
    } golden[] = {
        {0, 1, 24350, 16909, true},
        {0, 2, 17148, 30288, false},
        {0, UINT64_C(63) << 47 | 123456, 34478, 21892, true},
        {1, 1, 24756, 36275, false},
        {42, 77, 31432, 27079, true},
        {UINT64_MAX, 1, 20312, 17100, false},
    };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        struct fill_rules rules = custom(15000, 10000, 5000, golden[i].seed);
        struct fill_draw d = fill_rules_draw(&rules, golden[i].order_id);
        cr_expect_eq(d.latency_us, golden[i].latency_us, "%zu: %u", i, d.latency_us);
        cr_expect_eq(d.cancel_latency_us, golden[i].cancel_latency_us, "%zu: %u", i,
                     d.cancel_latency_us);
        cr_expect_eq(d.is_refused, golden[i].is_refused, "%zu: %d", i, d.is_refused);
    }
}

Test(ledger_fill_rules, nothing_overflows_at_the_limits)
{
    const struct fill_rules rules = custom(FILL_LATENCY_MAX_US, FILL_LATENCY_MAX_US, 0, 1);
    for (uint64_t id = 1; id <= 100000; id++) {
        struct fill_draw d = fill_rules_draw(&rules, id);
        cr_assert_geq(d.latency_us, FILL_LATENCY_MAX_US);
        cr_assert_lt(d.latency_us, 8 * (uint64_t)FILL_LATENCY_MAX_US);
    }
}

/* ---- Settings ----------------------------------------------------------------------------- */

static void
set(struct fill_rules *rules, struct settings_set cmd)
{
    struct refused why;
    cr_assert_eq(fill_rules_judge(&cmd, &why), OK);
    fill_rules_enrich(&cmd);
    fill_rules_merge(rules, &cmd);
}

static uint32_t
bit_of(const char *field)
{
    const struct msg_field *f = msg_field_by_name(msg_layout(MSG_settings_set), field);
    cr_assert_not_null(f);
    return UINT32_C(1) << f->tag;
}

Test(ledger_fill_rules, a_preset_sets_all_but_the_seed)
{
    struct fill_rules r = fill_rules_of(FILL_PRESET_NONE);
    set(&r, (struct settings_set){.seed = 12});
    cr_expect_eq(r.fill_preset, FILL_PRESET_NONE, "a seed alone changes no rule");
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_harsh});
    cr_expect_eq(r.fill_preset, FILL_PRESET_harsh);
    cr_expect_eq(r.fill_model, FILL_MODEL_through);
    cr_expect(r.latency_us == 80000 && r.latency_spread_us == 60000);
    cr_expect(r.slippage_bps == 2 && r.reject_bps == 100 && r.seed == 12);
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_optimistic});
    cr_expect(r.latency_us == 0 && r.latency_spread_us == 0 && r.reject_bps == 0);
    cr_expect(r.slippage_bps == 0 && r.seed == 12 && r.fill_model == FILL_MODEL_touch);
}

Test(ledger_fill_rules, one_field_makes_it_custom_and_a_preset_takes_it_back)
{
    struct fill_rules r = fill_rules_of(FILL_PRESET_realistic);
    set(&r, (struct settings_set){.latency_us = 15000});
    cr_expect_eq(r.fill_preset, FILL_PRESET_realistic, "what it was before changes nothing");
    set(&r, (struct settings_set){.fill_overrides = bit_of("latency_us")});
    cr_expect(r.fill_preset == FILL_PRESET_custom && r.latency_us == 0, "an explicit zero");
    cr_expect_eq(r.latency_spread_us, 10000);
    set(&r, (struct settings_set){.fill_overrides = bit_of("latency_spread_us")});
    cr_expect_eq(r.latency_spread_us, 0);
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_realistic});
    cr_expect(r.fill_preset == FILL_PRESET_realistic && r.latency_us == 15000);
}

Test(ledger_fill_rules, a_preset_and_fields_beside_it)
{
    struct fill_rules r = fill_rules_of(FILL_PRESET_NONE);
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_harsh,
                                  .fill_overrides = bit_of("reject_bps") | bit_of("seed")});
    cr_expect(r.fill_preset == FILL_PRESET_custom && r.reject_bps == 0 && r.latency_us == 80000);
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_harsh, .slippage_bps = 2});
    cr_expect_eq(r.fill_preset, FILL_PRESET_harsh, "the preset's own value");
    set(&r, (struct settings_set){.fill_preset = FILL_PRESET_harsh,
                                  .fill_overrides = bit_of("slippage_bps")});
    cr_expect(r.fill_preset == FILL_PRESET_custom && r.slippage_bps == 0);
    set(&r, (struct settings_set){.fill_model = FILL_MODEL_queue});
    cr_expect_eq(r.fill_model, FILL_MODEL_queue);
}

Test(ledger_fill_rules, what_cannot_be_set_is_named)
{
    static const struct {
        struct settings_set cmd;
        const char *field;
        enum err error;
    } wrong[] = {
        {{.latency_us = FILL_LATENCY_MAX_US + 1}, "latency_us", ERR_NUMBER_RANGE},
        {{.latency_spread_us = UINT32_MAX}, "latency_spread_us", ERR_NUMBER_RANGE},
        {{.slippage_bps = 1001}, "slippage_bps", ERR_NUMBER_RANGE},
        {{.reject_bps = 10001}, "reject_bps", ERR_NUMBER_RANGE},
        {{.fill_preset = FILL_PRESET_custom}, "fill_preset", ERR_CHOICE_UNKNOWN},
        {{.fill_preset = FILL_PRESET_custom, .reject_bps = 10001}, "reject_bps", ERR_NUMBER_RANGE},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct refused why;
        cr_expect_eq(fill_rules_judge(&wrong[i].cmd, &why), wrong[i].error);
        cr_expect_str_eq(why.field.text, wrong[i].field);
    }
    const struct settings_set most = {.latency_us = FILL_LATENCY_MAX_US,
                                      .latency_spread_us = FILL_LATENCY_MAX_US,
                                      .slippage_bps = FILL_SLIPPAGE_MAX,
                                      .reject_bps = FILL_REJECT_MAX};
    struct refused why;
    cr_expect_eq(fill_rules_judge(&most, &why), OK);
}
