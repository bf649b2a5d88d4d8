/*
 * store_times_test.c - what the journal promises about time and order, so that its old part can be
 * taken off: no record before another one's time, and no batch but behind the one before it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "host/store_fake.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"

static struct store *store;
static struct journal *journal;
static char fenced[128];

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    snprintf(fenced, sizeof fenced, "%s", why);
}

static void
begin(void)
{
    store = store_fake_open(NULL);
    journal = journal_new(&(struct journal_options){
        .store = store,
        .records_max = 100,
        .bytes_max = 1 << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .stall_us = 1000000,
        .on_fenced = on_fenced,
    });
}

static void
end(void)
{
    journal_destroy(&journal);
    store_close(&store);
}

TestSuite(store_times, .init = begin, .fini = end);

static void
append(uint16_t shard, int64_t time_us)
{
    struct msg cmd = {.type = MSG_account_open, .corr = 5};
    cmd.account_open = (struct account_open){.account_id = 7, .user_id = 8};
    journal_append(journal, shard, &cmd, code_of("gateway-0"), time_us);
}

static void
on_other(void *arg, enum store_outcome outcome)
{
    (void)arg;
    cr_assert_eq(outcome, STORE_DONE);
}

Test(store_times, no_record_is_before_the_newest_whatever_the_clock_does)
{
    const struct journal_record other = {.shard = 9,
                                         .seq = 1,
                                         .time_us = 5000000,
                                         .kind = MSG_account_open,
                                         .payload = (const uint8_t *)""};
    cr_assert(store_append(store, &other, 1, NULL, on_other, NULL));
    store_fake_step(store, STORE_DONE);
    cr_expect_eq(journal_time_us(journal, 4000000), 5000001, "what the store had was before");
    cr_expect_eq(journal_time_us(journal, 5000000), 5000001);
    cr_expect_eq(journal_time_us(journal, 6000000), 6000000);
    append(0, 6000000);
    cr_expect_eq(journal_time_us(journal, 5500000), 6000000, "and what was appended to any shard");
    cr_expect_eq(journal_time_us(journal, 6000001), 6000001);
}

Test(store_times, behind_the_newest_record_time_goes_on_at_half_its_pace)
{
    journal_turn(journal, 777000000);
    append(0, 6000000);
    journal_turn(journal, 777000000 + 2000);
    cr_expect_eq(journal_time_us(journal, 1000), 6001000, "the clock fell back");
    append(0, 6001000);
    cr_expect_eq(journal_time_us(journal, 3000), 6001000);
    journal_turn(journal, 777000000 + 4000);
    cr_expect_eq(journal_time_us(journal, 5000), 6002000);
    cr_expect_eq(journal_time_us(journal, 6002001), 6002001, "and has caught up");
}

Test(store_times, what_is_appended_before_the_first_turn_is_of_that_turn)
{
    append(0, 6000000);
    journal_turn(journal, 777000000);
    cr_expect_eq(journal_time_us(journal, 1000), 6000000);
}

Test(store_times, a_batch_is_refused_when_the_one_before_it_was_committed_and_is_gone)
{
    append(0, 1000);
    journal_turn(journal, 1000);
    store_fake_step(store, STORE_DONE);
    cr_expect_eq(journal_committed(journal, 0), 1);
    store_fake_forget(store); /* as a database does that is set back */
    append(1, 2000);
    journal_turn(journal, 2000);
    store_fake_step(store, STORE_DONE);
    cr_expect_str_eq(fenced, "the journal has lost what was committed");
    cr_expect_eq(store_fake_count(store), 0);
}
