/*
 * store_serve_test.c - ledger processes as they live and die: orders, restarts, takeovers, fences.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_database.h"
#include "store_world.h"

#define BTC DECIMAL_ONE

static struct world *world;

static void
begin(void)
{
    world = world_open(database_make());
}

static void
end(void)
{
    world_close();
    database_drop();
}

TestSuite(store_serve, .init = begin, .fini = end, .timeout = 100);

static void
open_account(uint64_t id)
{
    struct msg m = world_account_open(id);
    cr_assert_eq(world_ask(&m)->type, MSG_account_view);
}

/* An order's answer must be an order_view; its id and status. */
static struct order
place(struct msg m)
{
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_order_view, "refused: %s %s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "",
                 a->type == MSG_refused ? a->refused.detail.text : "");
    return a->order_view.order;
}

static int64_t
balance_of(uint64_t account_id, const char *asset, bool held)
{
    struct msg m = {.type = MSG_account_get};
    m.account_get.account_id = account_id;
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_account_view);
    for (uint32_t i = 0; i < a->account_view.balances_count; i++) {
        const struct balance *b = &a->account_view.balances[i];
        if (b->wallet == WALLET_spot && strcmp(b->asset.text, asset) == 0)
            return held ? b->held.v : b->free.v;
    }
    return 0;
}

static void
expect_books_balanced(void)
{
    cr_expect_str_eq(database_ask("SELECT coalesce(max(abs(s)), 0) FROM (SELECT sum(free + held) "
                                  "AS s FROM ledger.balance GROUP BY shard, wallet, asset) AS x"),
                     "0");
}

/* A question that waits at the door is taken the moment it opens. */
Test(store_serve, what_stands_in_the_tables_is_known_from_the_first_moment_on)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(7);
    struct order resting = place(world_limit_order(7, "one", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    cr_assert_eq(world_end(ledger, SIGTERM), 0);
    setenv("PGOPTIONS", "-c post_auth_delay=1", 1); /* each connection takes a second */
    ledger = world_ledger("ledger-a");
    unsetenv("PGOPTIONS");
    struct msg list = {.type = MSG_order_list};
    list.order_list = (struct order_list){.account_id = 7, .limit = 1};
    const struct msg *a = world_ask_once(&list);
    cr_assert_eq(a->type, MSG_order_page, "refused: %s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "");
    cr_expect_eq(a->order_page.orders[0].order_id, resting.order_id);
    cr_assert_eq(world_end(ledger, SIGTERM), 0);
}

Test(store_serve, an_order_is_filled_listed_and_still_there_after_a_restart)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(7);
    world_follow(7);
    /* A subscription takes its time; balances are set until one is heard of. */
    for (uint64_t command = 1; world->events == 0; command++) {
        struct msg set = {.type = MSG_balance_set};
        set.balance_set =
            (struct balance_set){.account_id = 7,
                                 .trading_type = TRADING_TYPE_spot,
                                 .balance = {(int64_t)(20000 + command) * DECIMAL_ONE},
                                 .command_id = command};
        cr_assert_eq(world_ask(&set)->type, MSG_balance_view);
        world_run(5);
    }
    uint32_t events = world->events;
    struct order filled = place(world_market_order(7, "one", SIDE_BUY, BTC / 10));
    cr_expect_eq(filled.status, ORDER_STATUS_FILLED);
    struct order resting = place(world_limit_order(7, "two", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    cr_expect_eq(resting.status, ORDER_STATUS_NEW);
    struct order again = place(world_market_order(7, "one", SIDE_BUY, BTC / 10));
    cr_expect_eq(again.order_id, filled.order_id);

    struct msg list = {.type = MSG_order_list};
    list.order_list = (struct order_list){.account_id = 7, .limit = 1};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_order_page);
    cr_assert_eq(a->order_page.orders_count, 1);
    cr_expect_eq(a->order_page.orders[0].order_id, resting.order_id);
    cr_expect_neq(a->order_page.next_cursor, 0);
    list.order_list.cursor = a->order_page.next_cursor;
    a = world_ask(&list);
    cr_assert_eq(a->order_page.orders_count, 1);
    cr_expect_eq(a->order_page.orders[0].order_id, filled.order_id);
    cr_expect_eq(a->order_page.next_cursor, 0);

    struct msg trades = {.type = MSG_trade_list};
    trades.trade_list = (struct trade_list){.account_id = 7, .order_id = filled.order_id};
    a = world_ask(&trades);
    cr_assert_eq(a->type, MSG_trade_page);
    cr_assert_eq(a->trade_page.trades_count, 1);
    cr_expect_eq(a->trade_page.trades[0].evidence.sequence, 9);

    int64_t free = balance_of(7, "USDT", false), held = balance_of(7, "USDT", true);
    int64_t btc = balance_of(7, "BTC", false);
    cr_expect_gt(held, 0);
    cr_expect_gt(world->events, events);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    expect_books_balanced();

    world->works = 0;
    ledger = world_ledger("ledger-a");
    cr_expect_eq(balance_of(7, "USDT", false), free);
    cr_expect_eq(balance_of(7, "USDT", true), held);
    cr_expect_eq(balance_of(7, "BTC", false), btc);
    world_await_synced(1);
    cr_expect_eq(world->works, 1); /* the resting one */
    struct msg cancel = {.type = MSG_order_cancel};
    cancel.order_cancel = (struct order_cancel){.account_id = 7, .order_id = resting.order_id};
    a = world_ask(&cancel);
    cr_assert_eq(a->type, MSG_order_view);
    cr_expect_eq(a->order_view.order.status, ORDER_STATUS_CANCELED);
    cr_expect_eq(balance_of(7, "USDT", true), 0);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    expect_books_balanced();
}

Test(store_serve, killed_under_load_it_keeps_every_acknowledged_order)
{
    enum { KILLS = 4, ORDERS = 40, ACCOUNTS = 9 };
    pid_t ledger = world_ledger("ledger-a");
    for (uint64_t i = 1; i <= ACCOUNTS; i++)
        open_account(i);
    uint64_t ids[KILLS * ORDERS];
    char cid[32];
    for (int k = 0; k < KILLS; k++) {
        for (int i = 0; i < ORDERS; i++) {
            snprintf(cid, sizeof cid, "o-%d", k * ORDERS + i);
            bool sells = i / ACCOUNTS % 2 == 1; /* half, because of the buyer's fee */
            struct order o = place(world_market_order(1 + (uint64_t)i % ACCOUNTS, cid,
                                                      sells ? SIDE_SELL : SIDE_BUY,
                                                      BTC / (sells ? 4000 : 2000)));
            ids[k * ORDERS + i] = o.order_id;
        }
        cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
        ledger = world_ledger("ledger-a");
    }
    for (int i = 0; i < KILLS * ORDERS; i++) {
        struct msg get = {.type = MSG_order_get};
        get.order_get.account_id = 1 + (uint64_t)(i % ORDERS) % ACCOUNTS;
        snprintf(get.order_get.client_order_id.text, CID_BYTES, "o-%d", i);
        const struct msg *a = world_ask(&get);
        cr_assert_eq(a->type, MSG_order_view, "order %d", i);
        cr_assert_eq(a->order_view.order.order_id, ids[i]);
        cr_assert_eq(a->order_view.order.status, ORDER_STATUS_FILLED);
        cr_assert_eq(a->order_view.fills_count, 1);
    }
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    expect_books_balanced();
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.\"order\""), "160");
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.trade"), "160");
}

Test(store_serve, a_standby_takes_over_when_the_owner_dies)
{
    pid_t first = world_ledger("ledger-a");
    open_account(3);
    struct order before = place(world_limit_order(3, "b", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    pid_t second = world_ledger("ledger-b");
    world_run(500);
    cr_expect_eq(world->epoch, 1);
    kill(first, SIGKILL);
    struct order after = place(world_market_order(3, "a", SIDE_BUY, BTC / 100));
    cr_expect_eq(after.status, ORDER_STATUS_FILLED);
    cr_expect_neq(after.order_id, before.order_id);
    cr_expect_eq(world->epoch, 2);
    cr_expect_eq(world_wait(first), 128 + SIGKILL);
    cr_expect_eq(world_end(second, SIGTERM), 0);
    expect_books_balanced();
    cr_expect_str_eq(database_ask("SELECT owner FROM ledger.lease"), "ledger-b");
}

Test(store_serve, a_standby_takes_over_when_the_owner_is_drained)
{
    pid_t first = world_ledger("ledger-a");
    open_account(3);
    pid_t second = world_ledger("ledger-b");
    world_run(300);
    cr_expect_eq(world_end(first, SIGTERM), 0);
    cr_expect_eq(place(world_market_order(3, "a", SIDE_BUY, BTC / 100)).status,
                 ORDER_STATUS_FILLED);
    cr_expect_eq(world->epoch, 2);
    cr_expect_eq(world_end(second, SIGTERM), 0);
}

Test(store_serve, a_deposed_owner_ends_at_its_next_write_and_answers_nothing)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(3);
    database_ask("UPDATE ledger.lease SET epoch = epoch + 1");
    pid_t next = world_ledger("ledger-b");
    struct order o = place(world_market_order(3, "a", SIDE_BUY, BTC / 100));
    cr_expect_eq(o.status, ORDER_STATUS_FILLED);
    cr_expect_eq(world_wait(ledger), 3);
    cr_expect_eq(world->epoch, 3);
    cr_expect_eq(world_end(next, SIGTERM), 0);
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.\"order\""), "1");
    expect_books_balanced();
}

Test(store_serve, it_goes_on_by_itself_when_its_sessions_are_terminated)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(3);
    char cid[32];
    for (int i = 0; i < 30; i++) {
        if (i % 5 == 0)
            database_ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                         "datname = current_database() AND pid <> pg_backend_pid()");
        snprintf(cid, sizeof cid, "o-%d", i);
        struct order o = place(world_market_order(3, cid, SIDE_BUY, BTC / 10000));
        cr_expect_eq(o.status, ORDER_STATUS_FILLED);
    }
    struct msg list = {.type = MSG_order_list};
    list.order_list = (struct order_list){.account_id = 3, .limit = 500};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_order_page);
    cr_expect_eq(a->order_page.orders_count, 30);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.\"order\""), "30");
    cr_expect_str_eq(database_ask("SELECT epoch FROM ledger.lease"), "1");
    expect_books_balanced();
}

Test(store_serve, a_cancel_the_matcher_never_answered_is_asked_again_in_the_next_session)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(3);
    struct order o = place(world_limit_order(3, "a", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    world->is_silent = true;
    struct msg cancel = {.type = MSG_order_cancel};
    cancel.order_cancel = (struct order_cancel){.account_id = 3, .order_id = o.order_id};
    cancel.corr = 1;
    uint32_t synced = world->synced;
    /* The test's matcher stays away until the ledger begins a session anew. */
    struct msg get = {.type = MSG_account_get};
    get.account_get.account_id = 3;
    world_ask(&get);
    world_send(&cancel);
    while (world->pulls == 0)
        world_run(20);
    world->is_silent = false;
    world_lose_link();
    while (world->synced == synced || world->pulls < 2)
        world_run(20);
    struct msg view = {.type = MSG_order_get};
    view.order_get = (struct order_get){.account_id = 3, .order_id = o.order_id};
    while (world_ask(&view)->order_view.order.status != ORDER_STATUS_CANCELED)
        world_run(20);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    expect_books_balanced();
}

Test(store_serve, questions_that_make_no_sense_are_refused_by_name)
{
    pid_t ledger = world_ledger("ledger-a");
    open_account(3);
    struct msg list = {.type = MSG_order_list};
    list.order_list = (struct order_list){.account_id = 3, .limit = 501};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_refused);
    cr_expect_eq(a->refused.error, ERR_NUMBER_RANGE);
    list.order_list = (struct order_list){.account_id = 4};
    cr_expect_eq(world_ask(&list)->refused.error, ERR_ACCOUNT_NOT_FOUND);
    struct msg report = {.type = MSG_order_report};
    report.order_report.order_id = 77;
    cr_expect_eq(world_ask(&report)->refused.error, ERR_WIRE_UNKNOWN);
    struct msg history = {.type = MSG_balance_history};
    history.balance_history =
        (struct balance_history){.account_id = 3, .trading_type = TRADING_TYPE_spot};
    a = world_ask(&history);
    cr_assert_eq(a->type, MSG_balance_changes);
    cr_expect_eq(a->balance_changes.changes_count, 1); /* the opening */
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
}
