/*
 * store_held_test.c - what waits for a commit: real orders leave with it, once and in their order,
 * and not with a commit that was only taken to have happened.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host/store_fake.h"
#include "ledger/core/ledger.h"
#include "ledger/shell/journal.h"
#include "wire/codec.h"

static struct store *store;
static struct journal *journal;
static int64_t steady_us;
static char left[512]; /* what has left: "place 1, reply 5, ..." */

static void
note(const char *what, unsigned long long which)
{
    size_t at = strlen(left);
    snprintf(left + at, sizeof left - at, "%s%s %llu", at == 0 ? "" : ", ", what, which);
}

static void
on_reply(void *arg, uint32_t peer, const uint8_t *data, size_t length)
{
    (void)arg;
    (void)data;
    (void)length;
    note("reply", peer);
}

static void
on_event(void *arg, uint64_t account_id, const uint8_t *data, size_t length)
{
    (void)arg;
    (void)data;
    (void)length;
    note("event", account_id);
}

static void
on_bridge(void *arg, const uint8_t *data, size_t length)
{
    struct arena none = {0};
    struct msg m;
    size_t at = 0;
    (void)arg;
    cr_assert_eq(msg_unpack(data, length, &at, &none, &m), OK);
    note("place", m.bridge_place.order.order_id);
}

static void
on_fenced(void *arg, const char *why)
{
    (void)arg;
    note(why, 0);
}

static void
begin(void)
{
    store = store_fake_open(NULL);
    steady_us = 1000;
    left[0] = '\0';
    journal = journal_new(&(struct journal_options){
        .store = store,
        .records_max = 100,
        .bytes_max = 1 << 20,
        .held_max = 4 * LEDGER_OUT_MAX,
        .delay_us = 2000,
        .stall_us = 2000000,
        .on_reply = on_reply,
        .on_event = on_event,
        .on_bridge = on_bridge,
        .on_fenced = on_fenced,
    });
}

static void
end(void)
{
    journal_destroy(&journal);
    store_close(&store);
}

TestSuite(store_held, .init = begin, .fini = end);

static struct msg
for_bridge(uint64_t order_id)
{
    struct msg m = {.type = MSG_bridge_place};
    m.bridge_place = (struct bridge_place){.account_id = 7,
                                           .user_id = 8,
                                           .trading_type = TRADING_TYPE_spot,
                                           .order = {.order_id = order_id,
                                                     .client_order_id = {"c"},
                                                     .account_id = 7,
                                                     .symbol = code_of("BTCUSDT"),
                                                     .side = SIDE_BUY,
                                                     .type = ORDER_TYPE_MARKET,
                                                     .status = ORDER_STATUS_NEW}};
    return m;
}

/* A record, and the order that leaves with it. */
static void
place(uint64_t order_id)
{
    struct msg cmd = {.type = MSG_account_open}, m = for_bridge(order_id);
    cmd.account_open = (struct account_open){.account_id = 7, .user_id = 8};
    journal_append(journal, 0, &cmd, code_of("gateway-0"), steady_us);
    journal_bridge(journal, &m);
}

static void
reply(uint32_t peer)
{
    const struct msg m = {.type = MSG_account_view, .corr = peer};
    journal_reply(journal, peer, &m);
}

static void
turn(int64_t us)
{
    steady_us += us;
    journal_turn(journal, steady_us);
}

static void
expect_left(const char *what)
{
    cr_expect_str_eq(left, what);
    left[0] = '\0';
}

Test(store_held, an_order_leaves_with_its_commit_once_and_in_its_order)
{
    place(1);
    reply(5);
    place(2);
    turn(0); /* it does not wait for company */
    cr_expect_eq(store_fake_calls(store), 1);
    expect_left("");
    cr_expect(store_fake_step(store, STORE_DONE));
    expect_left("place 1, reply 5, place 2");
    turn(10000);
    expect_left("");
    cr_expect(journal_is_empty(journal));
}

Test(store_held, it_waits_for_what_was_said_before_it)
{
    place(1);
    turn(0);
    place(2); /* of the batch behind */
    turn(0);
    cr_expect_eq(store_fake_calls(store), 2);
    expect_left("");
    cr_expect(store_fake_step(store, STORE_DONE));
    expect_left("place 1");
    cr_expect(store_fake_step(store, STORE_DONE));
    expect_left("place 2");
}

Test(store_held, a_lost_answer_is_no_commit)
{
    place(1);
    turn(0);
    store_fake_break(store, 0); /* it was not done, and nobody knows */
    turn(200000);
    expect_left("");
    store_fake_mend(store);
    turn(200000);
    cr_expect(store_fake_step(store, STORE_DONE)); /* asked: it is not there */
    expect_left("");
    turn(200000);
    cr_expect(store_fake_step(store, STORE_DONE)); /* written now */
    expect_left("place 1");
    cr_expect_eq(store_fake_count(store), 1);
}

Test(store_held, a_commit_that_was_found_out_lets_it_go_once)
{
    place(1);
    turn(0);
    store_fake_break(store, 1); /* it was done, and nobody was told */
    turn(200000);
    expect_left("");
    store_fake_mend(store);
    turn(200000);
    cr_expect(store_fake_step(store, STORE_DONE)); /* asked: it is there */
    expect_left("place 1");
    turn(200000);
    expect_left("");
    cr_expect_eq(store_fake_count(store), 1);
}

Test(store_held, a_deposed_owner_sends_nothing)
{
    place(1);
    turn(0);
    cr_expect(store_fake_step(store, STORE_FENCED));
    expect_left("the lease has another owner 0");
    turn(200000);
    expect_left("");
}

Test(store_held, what_rests_on_nothing_leaves_at_once)
{
    const struct msg m = for_bridge(3);
    journal_bridge(journal, &m);
    expect_left("place 3");
}
