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

#include "ctl_real.h"
#include "scripctl/life.h"
#include "scripctl/twin.h"
#include "scripctl/words.h"

#define ACCOUNT 7

static struct ctl_journal journal;
static struct arena lists;

static void
setup(void)
{
    ctl_journal_init(&journal);
    arena_init(&lists, aligned_alloc(16, 1 << 20), 1 << 20);
    ctl_real_begin(&journal, ACCOUNT);
}

static void
teardown(void)
{
    ctl_real_end();
    ctl_journal_fini(&journal);
    free(lists.bytes);
}

TestSuite(ctl_real, .init = setup, .fini = teardown);

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

Test(ctl_real, what_a_core_made_of_real_orders_is_right)
{
    ctl_real_live();
    ctl_real_to_paper();
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
    ctl_real_live();
    uint32_t i = find(MSG_bridge_report, 2);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    struct exchange_fill fills[2] = {m.bridge_report.fills[0], m.bridge_report.fills[1]};
    fills[1].trade_id = fills[0].trade_id;
    m.bridge_report.fills = fills;
    must_say(i, &m, "trade 900 of the exchange fills order");
}

Test(ctl_real, the_word_of_another_exchange_is_found)
{
    ctl_real_live();
    uint32_t i = find(MSG_bridge_report, 1);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.bridge_report.environment = ENVIRONMENT_live;
    must_say(i, &m, "another exchange tells of order");
}

Test(ctl_real, an_order_for_an_exchange_that_the_account_is_not_bound_to_is_found)
{
    ctl_real_live();
    uint32_t i = find(MSG_order_place, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.order_place.environment = ENVIRONMENT_live;
    must_say(i, &m, "is for an exchange that its account is not bound to");
}

Test(ctl_real, a_real_order_of_an_account_on_paper_is_found)
{
    ctl_real_live();
    uint32_t i = find(MSG_settings_set, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    m.settings_set.mode = TRADING_MODE_PAPER;
    must_say(i, &m, "is for an exchange that its account is not bound to");
}

Test(ctl_real, an_order_settled_while_it_may_still_be_sent_is_found)
{
    ctl_real_live();
    uint32_t i = find(MSG_order_settle, 0);
    struct msg m = ctl_journal_read(&journal, i, &lists);
    journal.records[i].time_us = journal.records[i - 1].time_us;
    must_say(i, &m, "may still be sent to the exchange");
}

Test(ctl_real, nobody_leaves_an_exchange_with_orders_open)
{
    ctl_real_open(false);
    ctl_real_place("one");
    struct msg m = {.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = ACCOUNT,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_PAPER,
                                           .command_id = 2};
    cr_expect_neq(ctl_real_tell(&m), LEDGER_CHANGED);
    ctl_journal_add(&journal, &m, ctl_real_now_us);
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
    ctl_real_open(true);
    ctl_real_place("one");
    uint64_t first = ctl_real_order_id;
    struct msg m = ctl_real_report(EXCHANGE_STATE_UNKNOWN, ORDER_STATUS_NONE, 0);
    ctl_real_must_tell(&m);
    m = ctl_real_report(EXCHANGE_STATE_PLACED, ORDER_STATUS_FILLED, 2);
    ctl_real_must_tell(&m);
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
    ctl_real_live();
    ctl_real_to_paper();
    read_life((struct life_subject){.account_id = ACCOUNT});
    must_tell_of("mode REAL");
    must_tell_of("key ...a1b2, by user 3");
    must_tell_of("testnet said what the spot account has");
    must_tell_of("its code -2010: \"Account has insufficient balance\"");
    must_tell_of("anna settled as never placed order");
    bytes_free(&all);
}
