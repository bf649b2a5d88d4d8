/*
 * ctl_twin_test.c - the twin takes what the real cores did, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_journal.h"
#include "ledger_parts.h"
#include "scripctl/twin.h"

#define SEEDS 4

static struct ctl_journal journal;
static struct arena lists;

static void
setup(void)
{
    ctl_journal_init(&journal);
    arena_init(&lists, aligned_alloc(16, 1 << 20), 1 << 20);
}

static void
teardown(void)
{
    ctl_journal_fini(&journal);
    free(lists.bytes);
}

TestSuite(ctl_twin, .init = setup, .fini = teardown);

/* Until the first wrong record, whose verdict it gives; "" when all are right. */
static const char *
verdict(const struct twin_options *o)
{
    static char why[1024];
    struct twin *t = twin_new(o);
    why[0] = '\0';
    for (uint32_t i = 0; i < journal.count && why[0] == '\0'; i++)
        if (!twin_apply(t, &journal.records[i]))
            snprintf(why, sizeof why, "%s", twin_why(t));
    twin_destroy(&t);
    return why;
}

static void
add(void *arg, const struct msg *cmd, int64_t now_us)
{
    ctl_journal_add(arg, cmd, now_us);
}

static const char *
verdict_full(void)
{
    return verdict(&(struct twin_options){.is_trusting = false});
}

/* ---- What is right ------------------------------------------------------------------------ */

Test(ctl_twin, takes_whatever_the_real_cores_did)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        ctl_journal_fini(&journal);
        ctl_journal_init(&journal);
        ctl_journal_make(&journal, seed, 5, 12000);
        cr_expect_str_empty(verdict_full(), "seed %d: %s", (int)seed, verdict_full());
        cr_expect_gt(journal.count, 10000);
    }
}

/* ---- What is wrong with the chain --------------------------------------------------------- */

static void
make(void)
{
    ctl_journal_make(&journal, 7, 5, 4000);
}

/* The first record of a kind that is behind `after`, and of which `fits` is true. */
static uint32_t
find(enum msg_type kind, bool (*fits)(const struct msg *cmd))
{
    for (uint32_t i = 0; i < journal.count; i++) {
        if (journal.records[i].kind != kind)
            continue;
        arena_reset(&lists);
        struct msg cmd = ctl_journal_read(&journal, i, &lists);
        if (fits == NULL || fits(&cmd))
            return i;
    }
    cr_assert_fail("there is no such record");
    return 0;
}

/* Where the verdict must be: "shard 3 record 17 (order_report): ", and the rest. */
static void
must_say(uint32_t i, const char *rest)
{
    char expected[1024];
    const struct journal_record *r = &journal.records[i];
    snprintf(expected, sizeof expected, "shard %u record %llu (%s): %s", r->shard,
             (unsigned long long)r->seq, msg_layout((enum msg_type)r->kind)->name, rest);
    cr_expect_str_eq(verdict_full(), expected);
}

/* The next record of the same shard. */
static uint32_t
next_of_shard(uint32_t i)
{
    uint32_t k = i + 1;
    while (k < journal.count && journal.records[k].shard != journal.records[i].shard)
        k++;
    cr_assert_lt(k, journal.count);
    return k;
}

static bool
has_fills(const struct msg *cmd)
{
    return cmd->order_report.fills_count > 0;
}

Test(ctl_twin, a_changed_amount_is_named)
{
    make();
    uint32_t i = find(MSG_order_report, has_fills);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    struct match_fill fill = cmd.order_report.fills[0];
    fill.quantity.v++;
    cmd.order_report.fills = &fill;
    cmd.order_report.fills_count = 1;
    ctl_journal_change(&journal, i, &cmd);
    must_say(i, "its hash is not that of its contents and the record before");
}

Test(ctl_twin, a_deleted_record_is_named)
{
    make();
    uint32_t i = find(MSG_order_report, NULL), next = next_of_shard(i);
    char rest[128];
    snprintf(rest, sizeof rest, "record %llu before it is missing",
             (unsigned long long)journal.records[i].seq);
    ctl_journal_remove(&journal, i);
    must_say(next - 1, rest);
}

Test(ctl_twin, a_swapped_pair_is_named)
{
    make();
    uint32_t i = find(MSG_order_report, NULL), next = next_of_shard(i);
    struct journal_record moved = journal.records[i];
    journal.records[i] = journal.records[next];
    journal.records[next] = moved;
    char rest[128];
    snprintf(rest, sizeof rest, "record %llu before it is missing", (unsigned long long)moved.seq);
    must_say(i, rest);
    /* And when they were given each other's numbers. */
    uint64_t seq = journal.records[i].seq;
    journal.records[i].seq = journal.records[next].seq;
    journal.records[next].seq = seq;
    must_say(i, "its hash is not that of its contents and the record before");
}

Test(ctl_twin, time_and_epoch_never_go_back)
{
    make();
    uint32_t i = find(MSG_order_report, NULL), next = next_of_shard(i);
    journal.records[next].time_us = journal.records[i].time_us - 1;
    ctl_journal_rehash(&journal);
    char rest[128];
    snprintf(rest, sizeof rest, "its time is before that of record %llu",
             (unsigned long long)journal.records[i].seq);
    must_say(next, rest);
    journal.records[next].time_us = journal.records[i].time_us;
    journal.records[i].epoch = 5;
    ctl_journal_rehash(&journal);
    must_say(next, "its writer, of epoch 1, was deposed by epoch 5");
}

Test(ctl_twin, a_record_in_another_shard_is_named)
{
    make();
    uint32_t i = find(MSG_order_report, NULL);
    uint16_t shard = journal.records[i].shard;
    journal.records[i].shard = (uint16_t)((shard + 1) % LEDGER_SHARDS);
    ctl_journal_rehash(&journal);
    char rest[64];
    snprintf(rest, sizeof rest, "it belongs to shard %u", shard);
    must_say(i, rest);
}

/* ---- What an insider writes, with hashes that fit ----------------------------------------- */

static bool
takes_at_a_limit(const struct msg *cmd)
{
    return has_fills(cmd) && !cmd->order_report.fills[0].is_maker;
}

Test(ctl_twin, a_fill_at_a_worse_price_is_named)
{
    make();
    uint32_t i = find(MSG_order_report, takes_at_a_limit);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    struct match_fill *fills = (struct match_fill *)(uintptr_t)cmd.order_report.fills;
    fills[0].price.v += 1000 * DECIMAL_ONE;
    ctl_journal_change(&journal, i, &cmd);
    ctl_journal_rehash(&journal);
    const char *said = verdict_full();
    cr_expect(strstr(said, "is worse than its ") != NULL ||
                  strstr(said, "does not follow from its evidence") != NULL,
              "%s", said);
}

Test(ctl_twin, money_for_nobody_is_named)
{
    make();
    uint32_t i = find(MSG_balance_set, NULL);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    cmd.balance_set.balance.v = cmd.balance_set.balance_max.v + DECIMAL_ONE;
    ctl_journal_change(&journal, i, &cmd);
    ctl_journal_rehash(&journal);
    must_say(i, "the balance 1000001 is not between 10 and 1000000");
}

Test(ctl_twin, an_order_that_sets_aside_less_is_named)
{
    make();
    uint32_t i = find(MSG_order_place, NULL);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    cmd.order_place.hold.v -= 1;
    ctl_journal_change(&journal, i, &cmd);
    ctl_journal_rehash(&journal);
    cr_expect(strstr(verdict_full(), "which is not what it needs at worst") != NULL, "%s",
              verdict_full());
}

Test(ctl_twin, a_report_of_no_order_cannot_be_applied)
{
    make();
    uint32_t i = find(MSG_order_report, NULL);
    struct msg cmd = ctl_journal_read(&journal, i, &lists);
    cmd.order_report.order_id += 1000000;
    ctl_journal_change(&journal, i, &cmd);
    ctl_journal_rehash(&journal);
    must_say(i, "it cannot be applied: there is no such order");
}

/* ---- Growing, and where it begins --------------------------------------------------------- */

Test(ctl_twin, it_grows_with_accounts_and_forgets_finished_orders)
{
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = false});
    int64_t now_us = 1700000000000000;
    for (uint64_t id = 1; id <= 20000; id++) {
        struct msg cmd = {.type = MSG_account_open};
        cmd.account_open =
            (struct account_open){.account_id = id, .user_id = id, .spot_balance = {DECIMAL_ONE}};
        ctl_journal_add(&journal, &cmd, now_us);
        cr_assert(twin_apply(t, &journal.records[journal.count - 1]), "%s", twin_why(t));
    }
    text_t why;
    cr_expect(ledger_check(twin_ledger(t), &why), "%s", why.text);
    cr_expect_eq(twin_ledger(t)->accounts_count, 20000 + SYSTEM_KINDS * LEDGER_SHARDS);
    twin_destroy(&t);

    ctl_journal_fini(&journal);
    ctl_journal_init(&journal);
    make();
    t = twin_new(&(struct twin_options){.is_trusting = true});
    for (uint32_t i = 0; i < journal.count; i++)
        cr_assert(twin_apply(t, &journal.records[i]), "%s", twin_why(t));
    const struct ledger *l = twin_ledger(t);
    uint32_t open = 0;
    for (uint32_t shard = 0; shard < LEDGER_SHARDS; shard++)
        open += l->shards[shard].open_orders;
    cr_expect_eq(l->orders_count, open);
    twin_destroy(&t);
}

Test(ctl_twin, the_state_hash_is_that_of_the_core_that_wrote_it)
{
    struct cores *w = cores_new(&(struct cores_options){
        .seed = 3, .accounts = 5, .orders_max = 20000, .arg = &journal, .on_changed = add});
    while (w->step < 3000)
        cores_step(w);
    struct twin *t = twin_new(&(struct twin_options){.is_trusting = false});
    for (uint32_t i = 0; i < journal.count; i++)
        cr_assert(twin_apply(t, &journal.records[i]), "%s", twin_why(t));
    cr_expect_eq(digest(twin_ledger(t)), digest(&w->ledger));
    twin_destroy(&t);
    cores_destroy(&w);
}

Test(ctl_twin, the_chain_alone_may_begin_anywhere)
{
    make();
    struct twin *t = twin_new(&(struct twin_options){.is_chain_only = true});
    uint32_t from = journal.count / 2;
    bool began[LEDGER_SHARDS] = {false};
    for (uint32_t i = from; i < journal.count; i++) {
        const struct journal_record *r = &journal.records[i];
        if (!began[r->shard])
            twin_begin_at(t, r);
        began[r->shard] = true;
        cr_assert(twin_apply(t, r), "%s", twin_why(t));
    }
    twin_destroy(&t);
}
