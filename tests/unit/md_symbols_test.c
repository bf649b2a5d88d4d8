/*
 * md_symbols_test.c - the list of symbols: the file's rules, the exchange's over them, and changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>

#include "market/rules.h"
#include "marketdata/shell/symbols.h"

static struct spec specs[3];
static struct symbols list;

static void
begin(void)
{
    specs[0] = (struct spec){.kind = SPEC_SYNTHETIC,
                             .symbols = {code_of("BTCUSDT"), code_of("ETHUSDT")},
                             .symbol_count = 2};
    specs[1] =
        (struct spec){.kind = SPEC_PLAYBACK, .symbols = {code_of("ETHUSDT")}, .symbol_count = 1};
    specs[2] = (struct spec){.kind = SPEC_PLAYBACK}; /* gives what comes */
    cr_assert(symbols_open(&list, SCRIP_RULES_FILE, specs, 3, 1000) == OK);
}

static void
end(void)
{
    symbols_close(&list);
}

TestSuite(symbols, .init = begin, .fini = end);

static const struct symbol_rules *
rules_of(const char *symbol)
{
    uint32_t count;
    const struct symbol_rules *rules = symbols_rules(&list, &count);
    return rules_find(rules, count, code_of(symbol));
}

static bool
wants(const void *arg, code_t symbol)
{
    (void)arg;
    return !code_same(symbol, code_of("UNWANTED"));
}

static void
set(uint32_t source, const char *symbol, bool is_removed)
{
    cr_assert(symbols_set(&list, source, code_of(symbol), is_removed, 7) != NULL);
}

Test(symbols, what_an_exchange_tells_is_laid_over_the_file)
{
    struct symbol_rules told[] = {
        {.symbol = code_of("BTCUSDT"), .is_trading = true, .tick_size = {50000000}},
        {.symbol = code_of("BTCUSDT_PERP"), .trading_type = TRADING_TYPE_futures},
        {.symbol = code_of("UNWANTED")}};
    uint64_t version = list.version;
    cr_expect(symbols_hear(&list, told, 3, wants, NULL));
    cr_expect(symbols_merge(&list, false));
    cr_expect_eq(list.version, version + 1);
    cr_expect_eq(list.count, 13);
    cr_expect_eq(rules_of("BTCUSDT")->tick_size.v, 50000000);
    cr_expect(rules_of("BTCUSDT_PERP") != NULL && rules_of("UNWANTED") == NULL);
    cr_expect(!symbols_hear(&list, told, 3, wants, NULL), "no news");
    cr_expect(!symbols_merge(&list, false));
    cr_expect_eq(list.version, version + 1);
}

Test(symbols, a_list_that_somebody_looks_at_stays_as_it_is)
{
    uint32_t count;
    const struct symbol_rules *before = symbols_rules(&list, &count);
    const struct symbol_rules *bitcoin = rules_of("BTCUSDT");
    set(0, "BTCUSDT", true);
    cr_expect(symbols_merge(&list, false));
    cr_expect(symbols_rules(&list, &count) != before && bitcoin->is_trading);
    set(0, "BTCUSDT", false);
    cr_expect(symbols_merge(&list, true), "in place: the one before it is not touched");
    cr_expect(symbols_rules(&list, &count) != before && bitcoin->is_trading);
}

Test(symbols, one_that_no_source_is_to_give_any_more_is_removed)
{
    cr_expect_eq(symbols_source(&list, code_of("ETHUSDT")), 0);
    set(0, "ETHUSDT", true);
    cr_expect(symbols_are_barred(&list, 0, code_of("ETHUSDT")));
    cr_expect_eq(symbols_source(&list, code_of("ETHUSDT")), 1, "the other one names it too");
    cr_expect(!symbols_merge(&list, false));
    set(1, "ETHUSDT", true);
    cr_expect(symbols_merge(&list, false));
    cr_expect(rules_of("ETHUSDT")->is_removed && !rules_of("ETHUSDT")->is_trading);
    cr_expect_eq(symbols_source(&list, code_of("ETHUSDT")), UINT32_MAX);
    set(2, "ETHUSDT", false);
    cr_expect(symbols_merge(&list, false));
    cr_expect(!rules_of("ETHUSDT")->is_removed && rules_of("ETHUSDT")->is_trading);
    cr_expect_eq(symbols_source(&list, code_of("ETHUSDT")), 2);
    cr_expect(symbols_are_barred(&list, 0, code_of("ETHUSDT")), "it is the third one's now");
}

Test(symbols, a_change_is_one_of_a_source_and_a_symbol)
{
    set(0, "BNBUSDT", false);
    set(0, "BNBUSDT", true);
    set(9, "BNBUSDT", false);
    cr_expect_eq(list.changes_count, 2);
    cr_expect_eq(symbols_source(&list, code_of("BNBUSDT")), UINT32_MAX, "there is no source 9");
    struct symbol_change *c = symbols_change(&list, 0, code_of("BNBUSDT"));
    cr_assert(c != NULL && c->is_removed && c->is_own && c->changed_us == 7);
    symbols_forget(&list, c);
    cr_expect(symbols_change(&list, 0, code_of("BNBUSDT")) == NULL);
    cr_expect(symbols_change(&list, 9, code_of("BNBUSDT")) != NULL);
}

Test(symbols, names_are_capital_letters_digits_and_underscores)
{
    cr_expect(symbols_name_valid(code_of("1000SHIBUSDT_PERP")));
    static const char *const WRONG[] = {"", "btcusdt", "BTC USDT", "BTC.USDT", "BTC-USDT"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        cr_expect(!symbols_name_valid(code_of(WRONG[i])), "%s", WRONG[i]);
}
