/*
 * ctl_real_test.c - scripctl's second judgement of real orders, and their lives in words.
 *
 * A real core places them and hears of them; what it journals is right, and what somebody changes
 * in it is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_journal.h"
#include "scripctl/life.h"
#include "scripctl/twin.h"
#include "scripctl/words.h"

#define ACCOUNT 7
#define BTC     DECIMAL_ONE

static const struct ledger_limits limits = {.accounts_max = 16,
                                            .balances_max = 1000,
                                            .orders_max = 100,
                                            .orders_high = 50,
                                            .assets_max = 100,
                                            .symbols_max = 8,
                                            .fills_max = 1024,
                                            .changes_max = 1024,
                                            .stories_max = 1024,
                                            .events_max = 64,
                                            .waiters_max = 64,
                                            .keep_us = 1000000};
static const struct ledger_policy policy = {
    .spot_opening = {10000 * DECIMAL_ONE},
    .futures_opening = {10000 * DECIMAL_ONE},
    .slippage_max = {DECIMAL_ONE / 20},
    .fill_preset = FILL_PRESET_optimistic,
    .orders_per_account_max = 40,
    .trading_mode = LEDGER_TRADES_TESTNET,
    .bridge_send_us = 5000000,
    .tiers_count = 1,
    .tiers = {{{100000}, {100000}, {0}, {1000000 * DECIMAL_ONE}}},
};

static struct ctl_journal journal;
static struct ledger core;
static struct outbox out;
static void *memory;
static struct arena lists;
static int64_t now_us;
static uint64_t order_id;

static void
setup(void)
{
    const struct symbol_rules rules = {.symbol = code_of("BTCUSDT"),
                                       .base_asset = code_of("BTC"),
                                       .quote_asset = code_of("USDT"),
                                       .is_trading = true,
                                       .tick_size = {1000000},
                                       .price_min = {1000000},
                                       .price_max = {1000000 * DECIMAL_ONE},
                                       .step_size = {1000},
                                       .quantity_min = {1000},
                                       .quantity_max = {1000 * DECIMAL_ONE}};
    const struct md_price price = {.symbol = code_of("BTCUSDT"), .last = {50000 * DECIMAL_ONE}};
    ctl_journal_init(&journal);
    memory = calloc(1, ledger_bytes(&limits));
    arena_init(&lists, aligned_alloc(16, 1 << 20), 1 << 20);
    outbox_init(&out, calloc(LEDGER_OUT_MAX, sizeof(struct out)), LEDGER_OUT_MAX,
                aligned_alloc(16, LEDGER_OUT_BYTES), LEDGER_OUT_BYTES);
    ledger_init(&core, &limits, &policy, memory);
    cr_assert_eq(ledger_set_rules(&core, &rules), OK);
    ledger_set_price(&core, &price);
    now_us = 1700000000000000;
}

static void
teardown(void)
{
    ctl_journal_fini(&journal);
    free(memory);
    free(lists.bytes);
    free(out.slots);
    free(out.lists.bytes);
}

TestSuite(ctl_real, .init = setup, .fini = teardown);

/* What changes is journaled. */
static enum ledger_outcome
tell(struct msg *m)
{
    now_us += 1000;
    outbox_clear(&out);
    enum ledger_outcome outcome = ledger_request(&core, 1, m, now_us, &out);
    if (outcome == LEDGER_CHANGED)
        ctl_journal_add(&journal, m, now_us);
    return outcome;
}

static void
must_tell(struct msg *m)
{
    enum ledger_outcome outcome = tell(m);
    const struct msg *said = out.count > 0 ? &out.slots[0].msg : NULL;
    cr_assert_eq(outcome, LEDGER_CHANGED, "%s",
                 said != NULL && said->type == MSG_refused ? err_name(said->refused.error) : "");
}

static void
open_real(bool with_twin)
{
    struct msg m = {.type = MSG_account_open};
    m.account_open = (struct account_open){.account_id = ACCOUNT, .user_id = 3};
    must_tell(&m);
    m = (struct msg){.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = ACCOUNT,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_REAL,
                                           .confirm_real = true,
                                           .environment = ENVIRONMENT_testnet,
                                           .api_key_tail = code_of("a1b2"),
                                           .changed_by = 3,
                                           .live_twin = with_twin ? TRI_TRUE : TRI_ABSENT,
                                           .command_id = 1};
    must_tell(&m);
}

static void
place(const char *cid)
{
    struct msg m = {.type = MSG_order_place};
    m.order_place = (struct order_place){.account_id = ACCOUNT,
                                         .symbol = code_of("BTCUSDT"),
                                         .side = SIDE_BUY,
                                         .type = ORDER_TYPE_LIMIT,
                                         .time_in_force = TIME_IN_FORCE_GTC,
                                         .quantity = {BTC / 100},
                                         .price = {40000 * DECIMAL_ONE}};
    cr_assert_eq(cid_from(cid, strlen(cid), &m.order_place.client_order_id), OK);
    must_tell(&m);
    for (uint32_t i = 0; i < out.count; i++)
        if (out.slots[i].to == OUT_BRIDGE)
            order_id = out.slots[i].msg.bridge_place.order.order_id;
    cr_assert_neq(order_id, 0);
}

static struct exchange_fill told[2] = {{.trade_id = 900,
                                        .price = {40000 * DECIMAL_ONE},
                                        .quantity = {BTC / 200},
                                        .executed_after = {BTC / 200},
                                        .fee = {7},
                                        .fee_asset = {"BNB"},
                                        .time_us = 5},
                                       {.trade_id = 901,
                                        .price = {39999 * DECIMAL_ONE},
                                        .quantity = {BTC / 200},
                                        .executed_after = {BTC / 100},
                                        .fee = {7},
                                        .fee_asset = {"BNB"},
                                        .is_maker = true,
                                        .time_us = 6}};

static struct msg
report(enum exchange_state state, enum order_status status, uint32_t fills)
{
    struct msg m = {.type = MSG_bridge_report};
    m.bridge_report =
        (struct bridge_report){.account_id = ACCOUNT,
                               .order_id = order_id,
                               .exchange_state = state,
                               .environment = ENVIRONMENT_testnet,
                               .status = status,
                               .exchange_order_id = state == EXCHANGE_STATE_PLACED ? 4711 : 0,
                               .fills = told,
                               .fills_count = fills,
                               .executed_quantity = {BTC / 200 * fills}};
    return m;
}

static const char *
verdict(void)
{
    static char why[1024];
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = false});
    why[0] = '\0';
    for (uint32_t i = 0; i < journal.count && why[0] == '\0'; i++)
        if (!twin_apply(t, &journal.records[i]))
            snprintf(why, sizeof why, "%s", twin_why(t));
    twin_destroy(&t);
    return why;
}

/* A life with every kind of record in it. */
static void
live(void)
{
    static const struct exchange_balance first[] = {
        {.asset = {"USDT"}, .free = {500 * DECIMAL_ONE}, .locked = {20 * DECIMAL_ONE}},
        {.asset = {"BNB"}, .free = {3 * DECIMAL_ONE}}};
    open_real(true);
    place("one");
    struct msg m = report(EXCHANGE_STATE_UNKNOWN, ORDER_STATUS_NONE, 0);
    m.bridge_report.error = ERR_EXCHANGE_TIMEOUT;
    must_tell(&m);
    m = report(EXCHANGE_STATE_PLACED, ORDER_STATUS_PARTIALLY_FILLED, 1);
    must_tell(&m);
    m = report(EXCHANGE_STATE_PLACED, ORDER_STATUS_FILLED, 2); /* the first fill again */
    must_tell(&m);
    m = (struct msg){.type = MSG_exchange_account};
    m.exchange_account = (struct exchange_account){.account_id = ACCOUNT,
                                                   .trading_type = TRADING_TYPE_spot,
                                                   .environment = ENVIRONMENT_testnet,
                                                   .as_of_us = now_us,
                                                   .is_whole = true,
                                                   .balances = first,
                                                   .balances_count = 2};
    must_tell(&m);
    m.exchange_account.as_of_us++;
    m.exchange_account.balances_count = 1; /* the other one is gone */
    must_tell(&m);
    place("two");
    m = report(EXCHANGE_STATE_REFUSED, ORDER_STATUS_NONE, 0);
    m.bridge_report.error = ERR_EXCHANGE_REFUSED;
    m.bridge_report.exchange_code = -2010;
    m.bridge_report.message = text_of("Account has insufficient balance");
    must_tell(&m);
    place("three");
    now_us += 60000000;
    m = (struct msg){.type = MSG_order_settle};
    m.order_settle = (struct order_settle){.order_id = order_id,
                                           .settlement = SETTLEMENT_NOT_PLACED,
                                           .changed_by = code_of("anna"),
                                           .reason = text_of("looked at the exchange")};
    must_tell(&m);
}

static void
to_paper(void)
{
    struct msg m = {.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = ACCOUNT,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_PAPER,
                                           .command_id = 2};
    must_tell(&m);
}

Test(ctl_real, what_a_core_made_of_real_orders_is_right)
{
    live();
    to_paper();
    cr_expect_str_empty(verdict(), "%s", verdict());
    cr_expect_gt(journal.count, 10);
}

/* The only record of a kind behind so many others. */
static uint32_t
find(enum msg_type kind, uint32_t skip)
{
    for (uint32_t i = 0; i < journal.count; i++)
        if (journal.records[i].kind == kind && skip-- == 0)
            return i;
    cr_assert_fail("there is no such record");
    return 0;
}

static void
must_say(uint32_t record, const struct msg *changed, const char *what)
{
    ctl_journal_change(&journal, record, changed);
    ctl_journal_rehash(&journal);
    cr_expect_not_null(strstr(verdict(), what), "%s", verdict());
}

Test(ctl_real, a_fill_that_the_exchange_told_twice_is_found)
{
    live();
    uint32_t i = find(MSG_bridge_report, 2);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    struct exchange_fill fills[2] = {m.bridge_report.fills[0], m.bridge_report.fills[1]};
    fills[1].trade_id = fills[0].trade_id;
    m.bridge_report.fills = fills;
    must_say(i, &m, "trade 900 of the exchange fills order");
}

Test(ctl_real, the_word_of_another_exchange_is_found)
{
    live();
    uint32_t i = find(MSG_bridge_report, 1);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.bridge_report.environment = ENVIRONMENT_live;
    must_say(i, &m, "another exchange tells of order");
}

Test(ctl_real, an_order_for_an_exchange_that_the_account_is_not_bound_to_is_found)
{
    live();
    uint32_t i = find(MSG_order_place, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.order_place.environment = ENVIRONMENT_live;
    must_say(i, &m, "is for an exchange that its account is not bound to");
}

Test(ctl_real, a_real_order_of_an_account_on_paper_is_found)
{
    live();
    uint32_t i = find(MSG_settings_set, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.settings_set.mode = TRADING_MODE_PAPER;
    must_say(i, &m, "is for an exchange that its account is not bound to");
}

Test(ctl_real, an_order_settled_while_it_may_still_be_sent_is_found)
{
    live();
    uint32_t i = find(MSG_order_settle, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    journal.records[i].time_us = journal.records[i - 1].time_us;
    must_say(i, &m, "may still be sent to the exchange");
}

Test(ctl_real, nobody_leaves_an_exchange_with_orders_open)
{
    open_real(false);
    place("one");
    struct msg m = {.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = ACCOUNT,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_PAPER,
                                           .command_id = 2};
    cr_expect_neq(tell(&m), LEDGER_CHANGED);
    ctl_journal_add(&journal, &m, now_us);
    cr_expect_not_null(strstr(verdict(), "(settings_set): it cannot be applied"), "%s", verdict());
}

/* ---- In words ------------------------------------------------------------------------------ */

static struct bytes all;

static void
read_life(struct life_subject subject)
{
    struct life_entry entry = {.step = NULL};
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = false});
    bytes_clear(&all);
    for (uint32_t i = 0; i < journal.count; i++) {
        cr_assert(twin_apply(t, &journal.records[i]), "%s", twin_why(t));
        if (!life_is_of(&subject, twin_step(t)))
            continue;
        life_entry_make(&entry, &subject, twin_step(t));
        const char *at = (const char *)entry.words.data;
        for (uint32_t w = 0; w < entry.words_count; w++, at += strlen(at) + 1)
            words_add(&all, "%s\n", at);
        for (uint32_t p = 0; p < entry.postings_count; p++)
            cr_expect_str_neq(entry.postings[p].what, "moved");
    }
    twin_destroy(&t);
    life_entry_free(&entry);
}

static void
must_tell_of(const char *what)
{
    cr_expect_not_null(strstr(words_text(&all), what), "\"%s\" is not in\n%s", what,
                       words_text(&all));
}

Test(ctl_real, an_order_s_life_says_what_the_exchange_said)
{
    open_real(true);
    place("one");
    uint64_t first = order_id;
    struct msg m = report(EXCHANGE_STATE_UNKNOWN, ORDER_STATUS_NONE, 0);
    must_tell(&m);
    m = report(EXCHANGE_STATE_PLACED, ORDER_STATUS_FILLED, 2);
    must_tell(&m);
    read_life((struct life_subject){.order_id = first});
    must_tell_of("really, at testnet, mirrored on paper");
    must_tell_of("given to a bridge for testnet, once");
    must_tell_of("nobody knows what became of it");
    must_tell_of("it has it as #4711, FILLED, 0.01 filled");
    must_tell_of("against EXCHANGE #901");
    must_tell_of("(testnet, PLACED)");
    read_life((struct life_subject){.order_id = first + 1});
    must_tell_of("mirrors order");
    bytes_free(&all);
}

Test(ctl_real, an_account_s_life_says_who_bound_it_and_what_it_has_there)
{
    live();
    to_paper();
    read_life((struct life_subject){.account_id = ACCOUNT});
    must_tell_of("mode REAL");
    must_tell_of("key ...a1b2, by user 3");
    must_tell_of("testnet said what the spot account has");
    must_tell_of("its code -2010: \"Account has insufficient balance\"");
    must_tell_of("anna settled as never placed order");
    bytes_free(&all);
}
