/*
 * bridge_link_test.c - the bridge's way to the ledgers over a real socket: sent again until it is
 * answered, each to the ledger that owns the account.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/ledger_link.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/log.h"
#include "host/shards.h"
#include "wire/bus.h"

#define LEDGERS 2

static struct loop *loop;
static char folder[64], doors[LEDGERS][128], endpoints[320];
static struct bus *ledgers[LEDGERS];
static struct ledger_link *link_;
static uint32_t heard[LEDGERS], silent; /* copies that are left unanswered */
static enum err refuse_with;            /* the first copy is refused so */
static uint32_t answers, missing;

static void
on_report(void *arg, const struct bus_in *in)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    heard[number]++;
    cr_assert_eq(in->msg->type, MSG_bridge_report);
    cr_assert_eq(shard_of_account(in->msg->bridge_report.account_id) / 32, number);
    if (heard[0] + heard[1] <= silent)
        return;
    if (refuse_with != OK) {
        struct refused why = {.error = refuse_with};
        refuse_with = OK;
        bus_put(ledgers[number], in->peer, MSG_refused, in->msg->corr, &why);
        return;
    }
    struct bridge_reported said = {.order_id = in->msg->bridge_report.order_id, .is_open = true};
    bus_put(ledgers[number], in->peer, MSG_bridge_reported, in->msg->corr, &said);
}

static void
fail_late(void *arg)
{
    (void)arg;
    cr_assert_fail("no answer");
}

static void
on_reported(void *arg, const struct msg *m)
{
    if (m == NULL) {
        missing++;
    } else {
        cr_assert_eq(m->type, MSG_bridge_reported);
        cr_assert_eq(m->bridge_reported.order_id, (uint64_t)(uintptr_t)arg);
        answers++;
    }
    loop_stop(loop);
}

static struct loop_timer *limit;

static void
set_up(void)
{
    log_open("test", LOG_ERROR + 1);
    loop = loop_new();
    snprintf(folder, sizeof folder, "/tmp/scrip-link-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    for (uint32_t i = 0; i < LEDGERS; i++) {
        snprintf(doors[i], sizeof doors[i], "ipc://%s/ledger%u", folder, i);
        ledgers[i] = bus_open(loop, &(struct bus_options){.role = BUS_SERVE,
                                                          .endpoint = doors[i],
                                                          .name = "ledger",
                                                          .arg = (void *)(uintptr_t)i,
                                                          .on_msg = on_report});
        cr_assert_not_null(ledgers[i]);
    }
    snprintf(endpoints, sizeof endpoints, "0-31=%s,32-63=%s", doors[0], doors[1]);
    link_ = ledger_link_open(loop, "bridge-0", endpoints, 4);
    cr_assert_not_null(link_);
    limit = loop_timer_new(loop, 20000, 0, fail_late, NULL);
}

static void
tear_down(void)
{
    loop_timer_end(&limit);
    ledger_link_close(&link_);
    for (uint32_t i = 0; i < LEDGERS; i++)
        bus_close(&ledgers[i]);
    bus_teardown();
    loop_destroy(&loop);
    for (uint32_t i = 0; i < LEDGERS; i++)
        unlink(doors[i] + sizeof "ipc://" - 1);
    rmdir(folder);
}

TestSuite(bridge_link, .init = set_up, .fini = tear_down);

static bool
send_one(uint64_t account, int64_t patience_ms)
{
    struct bridge_report r = {.account_id = account,
                              .order_id = account,
                              .exchange_state = EXCHANGE_STATE_PLACED,
                              .environment = ENVIRONMENT_testnet};
    return ledger_link_ask(link_, account, MSG_bridge_report, ledger_link_corr(link_), &r,
                           patience_ms, on_reported, (void *)(uintptr_t)account);
}

Test(bridge_link, each_report_reaches_the_ledger_that_owns_the_account)
{
    for (uint64_t account = 1; account <= 20; account++) {
        cr_assert(send_one(account, 0));
        loop_run(loop);
    }
    cr_assert_eq(answers, 20);
    cr_assert(heard[0] > 0 && heard[1] > 0);
}

Test(bridge_link, what_is_lost_is_sent_again_and_answered_once)
{
    silent = 2;
    cr_assert(send_one(7, 0));
    loop_run(loop);
    cr_assert_eq(answers, 1);
    cr_assert_eq(heard[0] + heard[1], 3);
}

Test(bridge_link, a_ledger_that_cannot_commit_is_asked_again)
{
    refuse_with = ERR_LEDGER_UNAVAILABLE;
    cr_assert(send_one(7, 0));
    loop_run(loop);
    cr_assert_eq(answers, 1);
    cr_assert_eq(heard[0] + heard[1], 2);
}

Test(bridge_link, a_question_has_an_end_and_room_for_others_behind_it)
{
    silent = UINT32_MAX;
    for (uint64_t account = 1; account <= 4; account++)
        cr_assert(send_one(account, 600));
    cr_assert_not(send_one(5, 600), "as many wait as may");
    while (missing < 4)
        loop_run(loop);
    silent = 0;
    cr_assert(send_one(5, 0));
    loop_run(loop);
    cr_assert_eq(answers, 1);
}

Test(bridge_link, shards_without_a_ledger_are_no_setting)
{
    const char *const wrong[] = {"",
                                 "0-62=ipc:///tmp/x",
                                 "0-63=",
                                 "0-64=ipc:///tmp/x",
                                 "0-40=ipc:///tmp/x,40-63=ipc:///tmp/y",
                                 "nonsense"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_null(ledger_link_open(loop, "bridge-1", wrong[i], 4), "%s", wrong[i]);
}
