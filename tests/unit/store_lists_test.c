/*
 * store_lists_test.c - order lists, amendments and stories through a ledger process, its tables and
 * its links: while memory has them, and after it forgot them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "store_database.h"
#include "store_world.h"

#define BTC     DECIMAL_ONE
#define ACCOUNT 7

static struct world *world;
static pid_t ledger;
static uint64_t epoch;

static void
begin(void)
{
    world = world_open(database_make());
    ledger = world_ledger("ledger-a");
    struct msg m = world_account_open(ACCOUNT);
    cr_assert_eq(world_ask(&m)->type, MSG_account_view);
    epoch = world->epoch;
}

static void
end(void)
{
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    world_close();
    database_drop();
}

TestSuite(store_lists, .init = begin, .fini = end, .timeout = 100);

/* A new process, whose memory has no order that has ended: all of them are from an hour ago. */
static void
forget(void)
{
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    database_ask("UPDATE ledger.\"order\" SET created_us = created_us - 3600000000");
    ledger = world_ledger("ledger-a");
    world_await_synced(epoch);
    epoch = world->epoch;
}

static struct order
placed(struct msg m)
{
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_order_view, "%s %s", err_name(a->refused.error),
                 a->refused.detail.text);
    return a->order_view.order;
}

static struct order
get(uint64_t order_id)
{
    struct msg m = {.type = MSG_order_get};
    m.order_get = (struct order_get){.account_id = ACCOUNT, .order_id = order_id};
    return placed(m);
}

static const struct msg *
why(uint64_t order_id)
{
    static struct msg m;
    m = (struct msg){.type = MSG_order_why};
    m.order_why = (struct order_why){ACCOUNT, order_id};
    return world_ask(&m);
}

static const struct msg *
list(uint64_t list_id)
{
    static struct msg m;
    m = (struct msg){.type = MSG_list_get};
    m.list_get = (struct list_get){ACCOUNT, list_id};
    return world_ask(&m);
}

static struct order_wish
wish(const char *cid, enum order_type type, enum side side, int64_t price)
{
    struct order_wish w = {.symbol = code_of("BTCUSDT"), .side = side, .type = type};
    cr_assert_eq(cid_from(cid, strlen(cid), &w.client_order_id), OK);
    w.quantity.v = BTC / 100;
    if (type == ORDER_TYPE_STOP_LOSS)
        w.stop_price.v = price;
    else
        w.price.v = price;
    return w;
}

/* Its orders are lent to the request until the next call. */
static struct msg
list_of(enum contingency kind, struct order_wish first, struct order_wish second)
{
    static struct order_wish orders[2];
    orders[0] = first;
    orders[1] = second;
    struct msg m = {.type = MSG_list_place};
    m.list_place = (struct list_place){.account_id = ACCOUNT,
                                       .contingency = kind,
                                       .symbol = code_of("BTCUSDT"),
                                       .orders = orders,
                                       .orders_count = 2};
    return m;
}

static struct msg
pair(const char *first)
{
    return list_of(CONTINGENCY_OCO,
                   wish(first, ORDER_TYPE_LIMIT_MAKER, SIDE_SELL, WORLD_PRICE / 5 * 6),
                   wish("below", ORDER_TYPE_STOP_LOSS, SIDE_SELL, WORLD_PRICE / 5 * 4));
}

static void
cancel(uint64_t order_id)
{
    struct msg m = {.type = MSG_order_cancel};
    m.order_cancel = (struct order_cancel){.account_id = ACCOUNT, .order_id = order_id};
    cr_expect_eq(placed(m).status, ORDER_STATUS_CANCELED);
}

Test(store_lists, a_list_is_found_again_after_memory_forgot_it)
{
    struct order bought = placed(world_market_order(ACCOUNT, "buy", SIDE_BUY, BTC / 10));
    struct msg m = pair("above");
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_list_view, "%s", err_name(a->refused.error));
    cr_expect_eq(a->list_view.list.status, LIST_STATUS_EXECUTING);
    cr_assert_eq(a->list_view.orders_count, 2);
    uint64_t id = a->list_view.list.list_id;
    cr_expect_eq(a->list_view.orders[0].order_id, id);
    cancel(id);
    cr_expect_eq(list(id)->list_view.list.status, LIST_STATUS_ALL_DONE);

    forget();
    a = list(id);
    cr_assert_eq(a->type, MSG_list_view, "%s", err_name(a->refused.error));
    cr_expect_eq(a->list_view.list.status, LIST_STATUS_ALL_DONE);
    cr_expect_eq(a->list_view.list.contingency, CONTINGENCY_OCO);
    cr_assert_eq(a->list_view.orders_count, 2);
    cr_expect_eq(a->list_view.orders[0].status, ORDER_STATUS_CANCELED);
    cr_expect_eq(a->list_view.orders[1].stop_price.v, WORLD_PRICE / 5 * 4);
    cr_expect_eq(list(bought.order_id)->refused.error, ERR_LIST_NOT_FOUND);
    cr_expect_eq(list(id + 1)->refused.error, ERR_LIST_NOT_FOUND);

    m = pair("above");
    a = world_ask(&m);
    cr_assert_eq(a->type, MSG_list_view, "%s", err_name(a->refused.error));
    cr_expect(a->list_view.was_known && a->list_view.list.list_id == id);
    m = pair("buy");
    cr_expect_eq(world_ask(&m)->refused.error, ERR_ORDER_DIFFERS, "the id of another order");
    m = pair("below");
    cr_expect_eq(world_ask(&m)->refused.error, ERR_ORDER_DIFFERS, "the id of the second order");
    m = list_of(CONTINGENCY_OCO,
                wish("above", ORDER_TYPE_LIMIT_MAKER, SIDE_SELL, WORLD_PRICE / 5 * 7),
                wish("below", ORDER_TYPE_STOP_LOSS, SIDE_SELL, WORLD_PRICE / 5 * 4));
    cr_expect_eq(world_ask(&m)->refused.error, ERR_ORDER_DIFFERS, "another price");
}

Test(store_lists, a_pending_order_survives_and_becomes_live)
{
    placed(world_market_order(ACCOUNT, "buy", SIDE_BUY, BTC / 10)); /* for the fee */
    struct msg m =
        list_of(CONTINGENCY_OTO, wish("work", ORDER_TYPE_LIMIT, SIDE_BUY, WORLD_PRICE / 5 * 4),
                wish("then", ORDER_TYPE_LIMIT, SIDE_SELL, WORLD_PRICE / 5 * 6));
    const struct msg *a = world_ask(&m);
    cr_assert_eq(a->type, MSG_list_view, "%s", err_name(a->refused.error));
    cr_assert_eq(a->list_view.orders[1].status, ORDER_STATUS_PENDING_NEW);
    struct order working = a->list_view.orders[0];

    forget();
    cr_expect_eq(get(working.order_id + 1).waits_for, working.order_id);
    cr_expect_eq(world->works, 3, "the pending one is not sent: %u", world->works);
    world_fill(&working);
    while (get(working.order_id).status != ORDER_STATUS_FILLED)
        world_run(5);
    cr_expect_eq(get(working.order_id + 1).status, ORDER_STATUS_NEW);
    cr_expect_eq(world->works, 4);
}

Test(store_lists, why_is_told_by_the_matcher_and_then_by_the_tables)
{
    struct order o = placed(world_limit_order(ACCOUNT, "a", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    const struct msg *a = why(o.order_id);
    cr_assert_eq(a->type, MSG_order_story, "%s", err_name(a->refused.error));
    cr_expect(a->order_story.is_live && world->explains == 1);
    cr_expect_eq(a->order_story.story.arrived_us, WORLD_ARRIVED_US);
    cr_expect_eq(a->order_story.story.waiting_for, WAITING_FOR_PRICE);
    cr_expect_neq(a->order_story.sentence.text[0], '\0');

    world_fill(&o);
    while (get(o.order_id).status != ORDER_STATUS_FILLED)
        world_run(5);
    for (int lives = 0; lives < 2; lives++) {
        a = why(o.order_id);
        cr_assert_eq(a->type, MSG_order_story, "%s", err_name(a->refused.error));
        cr_expect(!a->order_story.is_live && world->explains == 1);
        cr_expect_eq(a->order_story.story.arrived_us, WORLD_ARRIVED_US);
        cr_expect_eq(a->order_story.order.status, ORDER_STATUS_FILLED);
        cr_assert_eq(a->order_story.fills_count, 1);
        cr_expect_eq(a->order_story.fills[0].evidence.sequence, 10);
        cr_expect_neq(a->order_story.sentence.text[0], '\0');
        forget();
    }
    cr_expect_eq(why(o.order_id + 9)->refused.error, ERR_ORDER_NOT_FOUND);
}

Test(store_lists, an_amendment_goes_to_the_matcher_and_comes_back)
{
    struct order o = placed(world_limit_order(ACCOUNT, "a", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    struct msg m = {.type = MSG_order_amend};
    m.order_amend = (struct order_amend){
        .account_id = ACCOUNT, .order_id = o.order_id, .quantity = {BTC / 200}};
    struct order lower = placed(m);
    cr_expect(world->trims == 1 && lower.quantity.v == BTC / 200);
    cr_expect_eq(lower.amended_from.v, BTC / 100);
    forget();
    lower = get(o.order_id);
    cr_expect(lower.quantity.v == BTC / 200 && lower.amended_from.v == BTC / 100);
    cr_expect_eq(lower.held.v, o.held.v / 2);
}

Test(store_lists, who_follows_an_account_hears_of_its_lists)
{
    placed(world_market_order(ACCOUNT, "buy", SIDE_BUY, BTC / 10));
    world_follow(ACCOUNT);
    for (uint32_t n = 0; world->list_events < 2; n++) {
        char cid[32];
        snprintf(cid, sizeof cid, "p-%u", n);
        struct msg m = pair(cid);
        snprintf(cid, sizeof cid, "s-%u", n);
        struct order_wish *second = (struct order_wish *)&m.list_place.orders[1];
        cr_assert_eq(cid_from(cid, strlen(cid), &second->client_order_id), OK);
        const struct msg *a = world_ask(&m);
        cr_assert_eq(a->type, MSG_list_view, "%s", err_name(a->refused.error));
        cancel(a->list_view.list.list_id);
        world_run(5);
    }
}

/* What an upgrade finds: no terms, and accounts without fill rules. */
Test(store_lists, rows_from_before_there_were_terms_are_taken_as_they_were)
{
    struct order o = placed(world_limit_order(ACCOUNT, "a", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    cr_expect(o.fill_preset == FILL_PRESET_realistic && o.latency_us >= 15000);
    cr_expect_eq(world_end(ledger, SIGTERM), 0);
    database_ask("UPDATE ledger.\"order\" SET terms = ''");
    database_ask("UPDATE ledger.settings SET fill_preset = 0, fill_model = 0, latency_us = 0, "
                 "latency_spread_us = 0");
    ledger = world_ledger("ledger-a");
    world_await_synced(epoch);
    cr_expect_eq(world->works, 2, "it is sent to the matcher again");
    struct order before = get(o.order_id);
    cr_expect(before.status == ORDER_STATUS_NEW && before.fill_preset == FILL_PRESET_NONE);
    cr_expect_eq(before.held.v, o.held.v);
    cancel(o.order_id);
    o = placed(world_limit_order(ACCOUNT, "b", SIDE_BUY, BTC / 100, WORLD_PRICE / 2));
    cr_expect(o.fill_preset == FILL_PRESET_NONE && o.fill_model == FILL_MODEL_NONE);
    cr_expect_eq(o.latency_us, 0);
}
