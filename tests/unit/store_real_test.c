/*
 * store_real_test.c - ledger processes and real orders: a bridge hears of an order once, after its
 * commit, and is asked what became of it, whoever died in between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "store_database.h"
#include "store_world.h"
#include "wire/bus.h"

#define BTC        DECIMAL_ONE
#define REMEMBERED 64

/* Two bridges that listen and do nothing; what they report the test sends itself. */
struct heard {
    uint32_t places, asks, cancels;
    struct bridge_place last; /* of any of them */
};

static struct world *world;
static struct bus *bridges[2];
static struct heard heard[2];
static const char *conninfo;

static void
on_bridge(void *arg, const struct bus_in *in)
{
    struct heard *h = arg;
    const struct refused no = {.error = ERR_INTERNAL};
    switch ((int)in->msg->type) {
    case MSG_bridge_place:
        h->places++;
        h->last = in->msg->bridge_place;
        loop_stop(world->loop);
        break;
    case MSG_bridge_ask:
        h->asks++;
        h->last = in->msg->bridge_place; /* of the same fields */
        loop_stop(world->loop);
        break;
    case MSG_bridge_cancel:
        h->cancels++;
        h->last = in->msg->bridge_place;
        loop_stop(world->loop);
        break;
    default: /* whether anybody is there */
        bus_put(bridges[h - heard], in->peer, MSG_refused, in->msg->corr, &no);
    }
}

static void
bridge_open(uint32_t i)
{
    bridges[i] =
        bus_open(world->loop,
                 &(struct bus_options){.role = BUS_SERVE,
                                       .endpoint = world_endpoint(i == 0 ? "bridge-a" : "bridge-b"),
                                       .name = i == 0 ? "bridge-a" : "bridge-b",
                                       .arg = &heard[i],
                                       .on_msg = on_bridge});
    cr_assert_not_null(bridges[i]);
}

static void
begin(void)
{
    conninfo = database_make();
    world = world_open(conninfo);
    memset(heard, 0, sizeof heard);
    bridge_open(0);
}

static void
end(void)
{
    for (uint32_t i = 0; i < 2; i++)
        bus_close(&bridges[i]);
    world_close();
    database_drop();
}

TestSuite(store_real, .init = begin, .fini = end, .timeout = 100);

static uint32_t
places(void)
{
    return heard[0].places + heard[1].places;
}

static uint32_t
asks(void)
{
    return heard[0].asks + heard[1].asks;
}

/* Until it counts more than that; the test's own limit ends it else. */
static void
await(uint32_t (*count)(void), uint32_t above)
{
    for (int i = 0; i < 600 && count() <= above; i++)
        world_run(50);
    cr_assert_gt(count(), above);
}

static void
open_real(uint64_t account_id, bool with_twin)
{
    struct msg m = world_account_open(account_id);
    cr_assert_eq(world_ask(&m)->type, MSG_account_view);
    m = (struct msg){.type = MSG_settings_set};
    m.settings_set = (struct settings_set){.account_id = account_id,
                                           .trading_type = TRADING_TYPE_spot,
                                           .mode = TRADING_MODE_REAL,
                                           .confirm_real = true,
                                           .environment = ENVIRONMENT_testnet,
                                           .api_key_tail = code_of("a1b2"),
                                           .changed_by = 1,
                                           .live_twin = with_twin ? TRI_TRUE : TRI_FALSE,
                                           .command_id = account_id};
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_settings_view, "refused: %s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "");
    cr_expect_eq(a->settings_view.environment, ENVIRONMENT_testnet);
}

/* Sends it until a bridge has it; the client waits. */
static uint64_t
place(const char *cid)
{
    struct msg m = world_limit_order(7, cid, SIDE_BUY, BTC / 100, WORLD_PRICE / 2);
    uint32_t before = places();
    m.corr = 77;
    for (int i = 0; i < 100 && places() == before; i++) {
        world_send(&m);
        world_run(100);
    }
    cr_assert_eq(places(), before + 1);
    return heard[heard[1].places > 0 && heard[0].places == 0].last.order.order_id;
}

static struct order
order_now(uint64_t order_id)
{
    struct msg m = {.type = MSG_order_get};
    m.order_get = (struct order_get){.account_id = 7, .order_id = order_id};
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_order_view);
    return a->order_view.order;
}

static struct msg
report_of(uint64_t order_id, enum exchange_state state)
{
    struct msg m = {.type = MSG_bridge_report};
    m.bridge_report = (struct bridge_report){.account_id = 7,
                                             .order_id = order_id,
                                             .exchange_state = state,
                                             .environment = ENVIRONMENT_testnet};
    return m;
}

/* The exchange has filled so much of it, in one fill. */
static struct bridge_reported
report_filled(uint64_t order_id, int64_t quantity, enum order_status status)
{
    const struct exchange_fill fill = {.trade_id = 900,
                                       .price = {WORLD_PRICE / 2},
                                       .quantity = {quantity},
                                       .executed_after = {quantity},
                                       .fee = {5},
                                       .fee_asset = code_of("BNB")};
    struct msg m = report_of(order_id, EXCHANGE_STATE_PLACED);
    m.bridge_report.exchange_order_id = 4711;
    m.bridge_report.status = status;
    m.bridge_report.executed_quantity.v = quantity;
    m.bridge_report.fills = &fill;
    m.bridge_report.fills_count = quantity > 0 ? 1 : 0;
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_bridge_reported, "refused: %s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "");
    return a->bridge_reported;
}

Test(store_real, an_order_is_sent_once_and_told_of_until_its_end)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    uint64_t id = place("one");
    cr_expect_eq(heard[0].last.account_id, 7);
    cr_expect_eq(heard[0].last.user_id, 100007);
    cr_expect_eq(heard[0].last.order.environment, ENVIRONMENT_testnet);
    cr_expect_gt(heard[0].last.order.send_by_us, heard[0].last.order.created_us);
    struct bridge_reported r = report_filled(id, BTC / 200, ORDER_STATUS_PARTIALLY_FILLED);
    cr_expect(r.is_open);
    r = report_filled(id, BTC / 200, ORDER_STATUS_PARTIALLY_FILLED); /* again */
    cr_expect_eq(r.executed_quantity.v, BTC / 200);
    cr_expect_eq(order_now(id).executed_quantity.v, BTC / 200);

    /* The cancel is asked for again until the exchange has ended the order. */
    struct msg cancel = {.type = MSG_order_cancel, .corr = 5};
    cancel.order_cancel = (struct order_cancel){.account_id = 7, .order_id = id};
    world_send(&cancel);
    for (int i = 0; i < 100 && heard[0].cancels < 2; i++)
        world_run(100);
    cr_expect_geq(heard[0].cancels, 2);
    r = report_filled(id, BTC / 200, ORDER_STATUS_CANCELED);
    cr_expect(!r.is_open);
    uint32_t cancels = heard[0].cancels;
    world_run(2500);
    cr_expect_eq(heard[0].cancels, cancels);
    cr_expect_eq(heard[0].asks, 0, "what is known is not asked");
    cr_expect_eq(places(), 1);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);

    ledger = world_ledger("ledger-a");
    struct order o = order_now(id);
    cr_expect_eq(o.status, ORDER_STATUS_CANCELED);
    cr_expect_eq(o.exchange_state, EXCHANGE_STATE_PLACED);
    cr_expect_eq(o.exchange_order_id, 4711);
    cr_expect_eq(o.mode, TRADING_MODE_REAL);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    cr_expect_str_eq(database_ask("SELECT count(*) FROM ledger.trade WHERE evidence_source = 5 "
                                  "AND fee_asset = 'BNB'"),
                     "1");
}

Test(store_real, after_a_restart_an_order_is_asked_about_and_not_sent_again)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    uint64_t id = place("one");
    cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
    ledger = world_ledger("ledger-b");
    await(asks, 0);
    cr_expect_eq(heard[0].last.order.order_id, id);
    cr_expect_eq(heard[0].last.order.exchange_state, EXCHANGE_STATE_SENDING);
    uint32_t before = asks();
    await(asks, before); /* and again */
    cr_expect_eq(places(), 1);

    struct msg m = report_of(id, EXCHANGE_STATE_NOT_PLACED);
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_bridge_reported);
    cr_expect_eq(order_now(id).status, ORDER_STATUS_REJECTED);
    cr_expect_eq(order_now(id).exchange_state, EXCHANGE_STATE_NOT_PLACED);
    before = asks();
    world_run(2500);
    cr_expect_eq(asks(), before);
    cr_expect_eq(places(), 1);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
}

/* Whoever writes the journal waits for this. */
static PGconn *
hold_commits(void)
{
    PGconn *c = PQconnectdb(conninfo);
    PQclear(PQexec(c, "SET client_min_messages = error"));
    PQclear(PQexec(c, "BEGIN"));
    PGresult *r = PQexec(c, "LOCK TABLE ledger.lease IN ACCESS EXCLUSIVE MODE");
    cr_assert_eq(PQresultStatus(r), PGRES_COMMAND_OK, "%s", PQerrorMessage(c));
    PQclear(r);
    return c;
}

Test(store_real, nothing_leaves_before_the_commit)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    world_run(1000); /* a bridge is heard of, and what was to be written is written */
    struct msg m = world_limit_order(7, "held", SIDE_BUY, BTC / 100, WORLD_PRICE / 2);
    m.corr = 78;
    PGconn *c = hold_commits();
    world_send(&m);
    world_run(1000);
    cr_expect_eq(places(), 0);
    PQfinish(c); /* and with it the lock */
    await(places, 0);
    cr_expect_eq(places(), 1);
    cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
}

/* Whether the record came to be in the journal or not: the order is not sent by who comes next. */
Test(store_real, killed_before_the_commit_it_was_never_sent)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    world_run(1000);
    struct msg m = world_limit_order(7, "held", SIDE_BUY, BTC / 100, WORLD_PRICE / 2);
    m.corr = 78;
    PGconn *c = hold_commits();
    world_send(&m);
    world_run(500);
    cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
    PQfinish(c);
    ledger = world_ledger("ledger-b");
    struct msg list = {.type = MSG_order_list};
    list.order_list = (struct order_list){.account_id = 7};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_order_page);
    bool is_there = a->order_page.orders_count > 0;
    if (is_there)
        await(asks, 0);
    else
        world_run(1000);
    cr_expect_eq(places(), 0);
    cr_expect_eq(asks() > 0, is_there);
    cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
}

Test(store_real, the_other_bridge_is_asked_when_one_is_silent)
{
    bridge_open(1);
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    (void)place("one");
    uint32_t other = heard[0].places > 0 ? 1 : 0;
    await(asks, 0);
    for (int i = 0; i < 200 && heard[other].asks == 0; i++)
        world_run(50);
    cr_expect_gt(heard[other].asks, 0);
    cr_expect_eq(places(), 1);
    cr_expect_eq(world_end(ledger, SIGKILL), 128 + SIGKILL);
}

Test(store_real, without_a_bridge_real_orders_are_refused)
{
    bus_close(&bridges[0]);
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    struct msg m = world_limit_order(7, "no", SIDE_BUY, BTC / 100, WORLD_PRICE / 2);
    const struct msg *a = world_ask_once(&m);
    cr_assert_eq(a->type, MSG_refused);
    cr_expect_eq(a->refused.error, ERR_BRIDGE_UNAVAILABLE, "%s", err_name(a->refused.error));
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
}

Test(store_real, twins_are_listed_beside_what_they_mirror)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, true);
    uint64_t id = 0;
    struct msg m = world_market_order(7, "one", SIDE_BUY, BTC / 100);
    m.corr = 79;
    for (int i = 0; i < 100 && places() == 0; i++) {
        world_send(&m);
        world_run(100);
    }
    cr_assert_eq(places(), 1);
    id = heard[0].last.order.order_id;
    cr_assert_neq(heard[0].last.order.twin, 0);
    (void)report_filled(id, BTC / 100, ORDER_STATUS_FILLED); /* at half the paper's price */
    struct order twin = order_now(id + 1);
    cr_expect_eq(twin.twin_of, id);
    cr_expect_eq(twin.status, ORDER_STATUS_FILLED);

    struct msg list = {.type = MSG_twin_list};
    list.twin_list = (struct twin_list){.account_id = 7};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_twin_page, "%s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "");
    cr_assert_eq(a->twin_page.twins_count, 1);
    const struct order_twin *t = &a->twin_page.twins[0];
    cr_expect_eq(t->order_id, id);
    cr_expect_eq(t->twin_id, id + 1);
    cr_expect_eq(t->real_quantity.v, BTC / 100);
    cr_expect_eq(t->paper_quantity.v, BTC / 100);
    cr_expect_eq(t->real_price.v, WORLD_PRICE / 2);
    cr_expect_eq(t->paper_price.v, WORLD_PRICE);
    cr_expect_eq(t->slippage.v, -DECIMAL_ONE / 2, "a buyer paid half as much");
    cr_expect_neq(t->real_us, 0);
    cr_expect_neq(t->paper_us, 0);
    cr_expect_eq(a->twin_page.count, 1);
    cr_expect_eq(a->twin_page.mean_slippage.v, -DECIMAL_ONE / 2);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
}

Test(store_real, wallets_at_the_exchange_survive_a_restart)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    const struct exchange_balance balances[] = {
        {.asset = code_of("USDT"), .free = {500}, .locked = {20}},
        {.asset = code_of("BNB"), .free = {3}}};
    struct msg m = {.type = MSG_exchange_account};
    m.exchange_account = (struct exchange_account){.account_id = 7,
                                                   .trading_type = TRADING_TYPE_spot,
                                                   .environment = ENVIRONMENT_testnet,
                                                   .as_of_us = 1000,
                                                   .is_whole = true,
                                                   .balances = balances,
                                                   .balances_count = 2};
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_exchange_noted);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    ledger = world_ledger("ledger-a");
    struct msg get = {.type = MSG_account_get};
    get.account_get.account_id = 7;
    a = world_ask(&get);
    cr_assert_eq(a->type, MSG_account_view);
    int64_t usdt = 0;
    for (uint32_t i = 0; i < a->account_view.balances_count; i++)
        if (a->account_view.balances[i].wallet == WALLET_exchange_spot &&
            code_same(a->account_view.balances[i].asset, code_of("USDT")))
            usdt = a->account_view.balances[i].free.v * 100 + a->account_view.balances[i].held.v;
    cr_expect_eq(usdt, 50020);
    cr_expect_eq(a->account_view.spot_mode, TRADING_MODE_REAL);
    cr_expect_eq(a->account_view.spot_as_of_us, 1000);
    m.exchange_account.as_of_us = 999; /* older than what is known */
    a = world_ask(&m);
    cr_assert_eq(a->type, MSG_exchange_noted);
    cr_expect_eq(a->exchange_noted.as_of_us, 1000);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    cr_expect_str_eq(database_ask("SELECT coalesce(max(abs(s)), 0) FROM (SELECT sum(free + held) "
                                  "AS s FROM ledger.balance GROUP BY shard, wallet, asset) AS x"),
                     "0");
}

Test(store_real, an_operator_settles_what_nobody_knows)
{
    pid_t ledger = world_ledger("ledger-a");
    open_real(7, false);
    uint64_t id = place("one");
    struct msg list = {.type = MSG_unresolved_list};
    const struct msg *a = world_ask(&list);
    cr_assert_eq(a->type, MSG_order_page);
    cr_assert_eq(a->order_page.orders_count, 1);
    cr_expect_eq(a->order_page.orders[0].order_id, id);
    struct msg m = {.type = MSG_order_settle};
    m.order_settle = (struct order_settle){.order_id = id,
                                           .settlement = SETTLEMENT_NOT_PLACED,
                                           .changed_by = code_of("anna"),
                                           .reason = text_of("looked at the exchange")};
    a = world_ask_once(&m); /* too early: it may still be sent */
    cr_assert_eq(a->type, MSG_refused);
    uint32_t before = asks();
    m.order_settle.settlement = SETTLEMENT_ASK_AGAIN;
    a = world_ask_once(&m);
    cr_assert_eq(a->type, MSG_order_view, "%s",
                 a->type == MSG_refused ? err_name(a->refused.error) : "");
    await(asks, before);
    cr_expect_eq(places(), 1);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
}
