/*
 * ctl_plan_test.c - what is planned of a journal that the real cores made: all that clients did,
 * nothing of what the ledger wrote in, and cancels and amendments as the reports tell of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "ctl_real.h"
#include "scripctl/plan.h"

#define ACCOUNTS    12
#define STEPS       4000
#define LISTS_BYTES 65536

static struct ctl_journal journal;
static struct options options;
static struct plan plan;
static struct arena lists;

static void
begin(void)
{
    ctl_journal_init(&journal);
    ctl_journal_make(&journal, 7, ACCOUNTS, STEPS);
    options = (struct options){.since = INT64_MIN, .until = INT64_MIN};
    for (uint32_t i = 0; i < RECORDS_SHARDS; i++)
        options.shard[i] = true;
    arena_init(&lists, aligned_alloc(16, LISTS_BYTES), LISTS_BYTES);
}

static void
end(void)
{
    plan_fini(&plan);
    ctl_journal_fini(&journal);
    free(lists.bytes);
}

TestSuite(plan, .init = begin, .fini = end);

static void
make(void)
{
    char why[WHY_BYTES];
    struct plan_maker *m = plan_begin(&plan, &options);
    for (uint32_t i = 0; i < journal.count; i++)
        cr_assert(plan_take(m, &journal.records[i], why), "%s", why);
    plan_end(&m);
}

static uint32_t
commands_of(enum msg_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan.commands_count; i++)
        count += plan.commands[i].type == type;
    return count;
}

static uint32_t
records_of(enum msg_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < journal.count; i++)
        count += journal.records[i].kind == type;
    return count;
}

Test(plan, every_command_of_a_client_is_planned_once_and_in_time)
{
    static const enum msg_type types[] = {MSG_order_place,  MSG_order_replace, MSG_list_place,
                                          MSG_settings_set, MSG_balance_set,   MSG_tier_set};
    make();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        cr_assert_eq(commands_of(types[i]), records_of(types[i]), "%s", msg_layout(types[i])->name);
    cr_assert_gt(commands_of(MSG_order_place), 100);
    cr_assert_gt(commands_of(MSG_order_replace), 10);
    cr_assert_gt(commands_of(MSG_list_place), 10);
    cr_assert_eq(commands_of(MSG_account_open), 0); /* accounts are opened beforehand */
    cr_assert_eq(plan.accounts_count, ACCOUNTS);
    for (uint32_t i = 1; i < plan.commands_count; i++)
        cr_assert_leq(plan.commands[i - 1].time_us, plan.commands[i].time_us);
}

/* Whatever deployment it is sent to: nothing of it may come near an exchange there. */
Test(plan, nothing_of_an_exchange_is_planned)
{
    ctl_journal_fini(&journal);
    ctl_journal_init(&journal);
    ctl_real_begin(&journal, 7);
    ctl_real_live();
    ctl_real_to_paper();
    ctl_real_end();
    make();
    cr_expect_eq(plan.real, records_of(MSG_order_place));
    cr_expect_gt(plan.real, 0);
    cr_expect_eq(commands_of(MSG_order_place), 0);
    cr_expect_eq(commands_of(MSG_bridge_report), 0);
    cr_expect_eq(commands_of(MSG_exchange_account), 0);
    cr_expect_eq(commands_of(MSG_order_settle), 0);
    cr_expect_eq(commands_of(MSG_order_cancel), 0);
    cr_assert_eq(commands_of(MSG_settings_set), 1);
    cr_expect_eq(plan.commands_count, 1, "back to PAPER may be said");
}

Test(plan, what_the_ledger_wrote_in_is_taken_out)
{
    make();
    for (uint32_t i = 0; i < plan.commands_count; i++) {
        struct msg m;
        plan_msg(&plan, i, &lists, &m);
        const struct order_place *o = &m.order_place;
        if (m.type == MSG_order_place)
            cr_assert(o->hold.v == 0 && o->reference_price.v == 0 && o->worst_price.v == 0 &&
                      o->taker_fee_rate.v == 0 && o->latency_us == 0 && !o->is_refused &&
                      code_empty(o->base_asset) && o->step_size.v == 0);
        if (m.type == MSG_order_place)
            cr_assert(!cid_empty(&o->client_order_id) && o->account_id != 0);
        for (uint32_t n = 0; m.type == MSG_list_place && n < m.list_place.orders_count; n++)
            cr_assert(m.list_place.orders[n].hold.v == 0 &&
                      m.list_place.orders[n].maker_fee_rate.v == 0 &&
                      !cid_empty(&m.list_place.orders[n].client_order_id));
        if (m.type == MSG_balance_set)
            cr_assert(m.balance_set.balance_max.v == 0 && m.balance_set.command_id != 0);
    }
}

/* How many cancels name an order; `after` is when it was placed. */
static uint32_t
cancels_of(const struct plan_order *o, int64_t after_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan.commands_count; i++) {
        struct msg m;
        if (plan.commands[i].type != MSG_order_cancel)
            continue;
        plan_msg(&plan, i, &lists, &m);
        if (m.order_cancel.account_id != plan.commands[o->command].account_id ||
            !cid_same(&m.order_cancel.client_order_id, &o->order.client_order_id))
            continue;
        cr_assert_gt(plan.commands[i].time_us, after_us);
        count++;
    }
    return count;
}

Test(plan, what_followed_an_answer_in_the_record_follows_it_again)
{
    uint32_t follows = 0, orders = 0;
    make();
    for (uint32_t i = 0; i < plan.commands_count; i++) {
        const struct plan_command *c = &plan.commands[i];
        bool is_known = c->answered_us != INT64_MAX;
        cr_assert(c->answered_us >= c->time_us || c->is_told, "no answer is before its question");
        cr_assert(is_known || c->orders_count > 0, "only orders may be left without a word");
        bool is_behind = true;
        for (uint32_t k = 0; k < i; k++)
            is_behind &= plan.commands[k].account != c->account ||
                         plan.commands[k].answered_us <= c->time_us;
        cr_assert_eq(c->follows, is_behind);
        follows += c->follows;
        orders += c->orders_count > 0 && is_known;
    }
    cr_assert(orders > 0 && follows > 0);
}

Test(plan, a_cancel_is_told_by_the_report_that_carried_it_out)
{
    uint32_t told = 0, single = 0;
    make();
    for (uint32_t i = 0; i < plan.orders_count; i++) {
        const struct plan_order *o = &plan.orders[i];
        bool is_cancelled = o->order.end_reason == ORDER_END_CLIENT_CANCEL;
        uint32_t cancels = cancels_of(o, plan.commands[o->command].time_us);
        cr_assert_leq(cancels, is_cancelled && !o->is_replaced);
        if (is_cancelled && !o->is_replaced && o->order.list_id == 0)
            cr_assert_eq(cancels, 1, "order %llu", (unsigned long long)o->order.order_id);
        told += cancels;
        single += is_cancelled && o->order.list_id == 0;
    }
    cr_assert_eq(told, commands_of(MSG_order_cancel));
    cr_assert_gt(single, 20);
    cr_assert_gt(commands_of(MSG_order_amend), 0);
}

Test(plan, orders_stand_as_the_reports_left_them)
{
    int64_t filled = 0, reported = 0;
    make();
    for (uint32_t i = 0; i < plan.orders_count; i++)
        filled += plan.orders[i].order.executed_quantity.v;
    for (uint32_t i = 0; i < journal.count; i++) {
        arena_reset(&lists);
        struct msg m = ctl_journal_read(&journal, i, &lists);
        for (uint32_t n = 0; m.type == MSG_order_report && n < m.order_report.fills_count; n++)
            reported += m.order_report.fills[n].quantity.v;
    }
    cr_assert_gt(filled, 0);
    cr_assert_eq(filled, reported);
}

Test(plan, a_range_is_of_its_accounts_symbols_shards_and_times)
{
    const struct journal_record *middle = &journal.records[journal.count / 2];
    make();
    uint32_t all = plan.commands_count;
    options.since = middle->time_us;
    plan_fini(&plan);
    make();
    cr_assert(plan.commands_count > 0 && plan.commands_count < all);
    for (uint32_t i = 0; i < plan.commands_count; i++)
        cr_assert(plan.commands[i].time_us >= middle->time_us || plan.commands[i].is_told);
    options.account = 3;
    options.symbol = "BTCUSDT";
    plan_fini(&plan);
    make();
    cr_assert_gt(plan.commands_count, 0);
    for (uint32_t i = 0; i < plan.orders_count; i++)
        cr_assert(plan.orders[i].order.account_id == 3 &&
                  strcmp(plan.orders[i].order.symbol.text, "BTCUSDT") == 0);
}
