/*
 * match_serve_test.c - the matcher's process over real sockets, between a ledger and a marketdata
 * that this test plays: a session, a fill, a gap that is healed by a snapshot, a second ledger.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "matcher/shell/serve.h"
#include "wire/bus.h"

#define LIMIT_MS 20000
#define SYMBOL   "BTCUSDT"

struct player {
    struct bus *bus;
    uint64_t epoch, session, next_order;
    uint32_t readies, beats;
    struct order_report report; /* the last one, and its first fill */
    struct match_fill fill;
};

static struct {
    struct loop *loop;
    struct host host;
    struct matcher_config config;
    void *matcher;
    struct bus *publish, *serve;
    char endpoints[4][64];
    uint32_t snapshots;
    bool is_followed;
    struct player ledgers[2];
} t;

static const struct level ask_101 = {{101 * DECIMAL_ONE}, {DECIMAL_ONE}};
static const struct level ask_102 = {{102 * DECIMAL_ONE}, {DECIMAL_ONE}};
static const struct level ask_100 = {{100 * DECIMAL_ONE}, {3 * DECIMAL_ONE}};

/* ---- Marketdata ----------------------------------------------------------------------------- */

static void
publish_depth(uint64_t sequence, const struct level *ask)
{
    const struct md_depth depth = {
        .symbol = code_of(SYMBOL), .sequence = sequence, .asks = ask, .asks_count = 1};
    bus_publish(t.publish, "t." SYMBOL ".", MSG_md_depth, 0, &depth);
}

static void
publish_trade(uint64_t sequence, const struct level *print)
{
    struct md_trade trade = {.symbol = code_of(SYMBOL), .sequence = sequence};
    trade.trade = (struct public_trade){
        .trade_id = sequence, .price = print->price, .quantity = print->quantity};
    bus_publish(t.publish, "t." SYMBOL ".", MSG_md_trade, 0, &trade);
}

static void
on_question(void *arg, const struct bus_in *in)
{
    (void)arg;
    if (in->msg->type == MSG_md_symbols_get) {
        const struct symbol_rules rules = {.symbol = code_of(SYMBOL),
                                           .is_trading = true,
                                           .base_asset = code_of("BTC"),
                                           .quote_asset = code_of("USDT")};
        const struct md_symbols symbols = {.symbols = &rules, .symbols_count = 1};
        bus_put(t.serve, in->peer, MSG_md_symbols, in->msg->corr, &symbols);
    } else if (in->msg->type == MSG_md_snapshot_get) {
        bool is_first = t.snapshots++ == 0;
        const struct md_book book = {.symbol = code_of(SYMBOL),
                                     .sequence = is_first ? 10 : 12,
                                     .asks = is_first ? &ask_101 : &ask_102,
                                     .asks_count = 1,
                                     .source = LIQUIDITY_DEPTH};
        bus_put(t.serve, in->peer, MSG_md_book, in->msg->corr, &book);
    }
}

static void
on_topic(void *arg, const char *topic, bool followed)
{
    (void)arg;
    (void)topic;
    t.is_followed = followed;
    loop_stop(t.loop);
}

/* ---- Ledgers -------------------------------------------------------------------------------- */

static void
on_answer(void *arg, const struct bus_in *in)
{
    struct player *l = arg;
    cr_assert_eq(in->frame->epoch, l->epoch, "each ledger is answered in its own epoch");
    cr_assert_eq(in->frame->session, l->session);
    if (in->msg->type == MSG_link_beat) {
        l->beats++;
        cr_assert_leq(in->msg->link_beat.frames, in->frame->sequence);
        return;
    }
    if (in->msg->type == MSG_link_ready)
        l->readies++;
    if (in->msg->type == MSG_order_report) {
        l->report = in->msg->order_report;
        if (l->report.fills_count > 0)
            l->fill = l->report.fills[0];
    }
    loop_stop(t.loop);
}

static void
say_hello(struct player *l)
{
    bus_set_epoch(l->bus, l->epoch);
    bus_set_session(l->bus, 0, ++l->session);
    bus_put(l->bus, 0, MSG_link_hello, 0, &(struct link_hello){0});
}

static void
send_order(struct player *l, enum time_in_force in_force, int64_t price)
{
    const struct order_work work = {.order_id = ++l->next_order,
                                    .account_id = 1,
                                    .symbol = code_of(SYMBOL),
                                    .side = SIDE_BUY,
                                    .type = ORDER_TYPE_LIMIT,
                                    .time_in_force = in_force,
                                    .price = {price * DECIMAL_ONE},
                                    .quantity = {DECIMAL_ONE}};
    bus_put(l->bus, 0, MSG_order_work, l->next_order, &work);
}

static void
begin_session(struct player *l)
{
    uint32_t readies = l->readies;
    say_hello(l);
    while (l->readies == readies)
        loop_run(t.loop);
    bus_put(l->bus, 0, MSG_link_synced, 0, &(struct link_synced){0});
}

/* ---- The stage ------------------------------------------------------------------------------ */

static void
too_late(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing more happened: %u snapshots asked for, %u and %u sessions", t.snapshots,
                   t.ledgers[0].readies, t.ledgers[1].readies);
}

static struct bus *
open_bus(enum bus_role role, int endpoint, const char *name, void *arg,
         void (*on_msg)(void *arg, const struct bus_in *in))
{
    return bus_open(t.loop, &(struct bus_options){.role = role,
                                                  .endpoint = t.endpoints[endpoint],
                                                  .name = name,
                                                  .arg = arg,
                                                  .on_msg = on_msg,
                                                  .on_topic = on_topic});
}

static void
stage_open(void)
{
    static const char *const names[] = {"ledger-0", "ledger-1"};
    t.loop = loop_new();
    for (int i = 0; i < 3; i++)
        snprintf(t.endpoints[i], sizeof(t.endpoints[i]), "ipc:///tmp/match_serve_test.%d.%d",
                 (int)getpid(), i);
    t.publish = open_bus(BUS_PUBLISH, 0, "marketdata-0", NULL, NULL);
    t.serve = open_bus(BUS_SERVE, 1, "marketdata-0", NULL, on_question);
    t.config = (struct matcher_config){.ask_again_ms = 500,
                                       .beat_ms = 50,
                                       .errands_max = 100,
                                       .held_bytes_max = 1 << 20,
                                       .house_levels_max = 1000,
                                       .ledger_silence_ms = LIMIT_MS,
                                       .ledgers_max = 4,
                                       .levels_max = 1000,
                                       .market_ask_endpoint = t.endpoints[1],
                                       .market_endpoint = t.endpoints[0],
                                       .market_wait_ms = LIMIT_MS,
                                       .orders_max = 1000,
                                       .queues_max = 100,
                                       .serve_endpoint = t.endpoints[2],
                                       .stale_fills = "hold",
                                       .stories_max = 100,
                                       .symbols_max = 10,
                                       .venues = ""};
    t.host = (struct host){t.loop, "matcher", "matcher-0"};
    cr_assert_eq(serve_start(&t.host, &t.config, &t.matcher), OK);
    cr_assert_not_null(serve_not_ready(t.matcher), "it waits for the first snapshots");
    for (uint32_t i = 0; i < 2; i++) {
        t.ledgers[i].epoch = 5 + i;
        t.ledgers[i].next_order = 1000 * i;
        t.ledgers[i].bus = open_bus(BUS_ASK, 2, names[i], &t.ledgers[i], on_answer);
    }
    loop_timer_new(t.loop, LIMIT_MS, 0, too_late, NULL);
}

static void
stage_close(void)
{
    serve_stop(t.matcher);
    for (int i = 0; i < 2; i++)
        bus_close(&t.ledgers[i].bus);
    bus_close(&t.publish);
    bus_close(&t.serve);
    for (int i = 0; i < 3; i++)
        unlink(t.endpoints[i] + sizeof("ipc://") - 1);
    bus_teardown();
}

Test(match_serve, heals_a_gap_and_serves_two_ledgers)
{
    struct player *one = &t.ledgers[0], *two = &t.ledgers[1];
    stage_open();
    while (!t.is_followed)
        loop_run(t.loop);
    begin_session(one);
    cr_assert_null(serve_not_ready(t.matcher));
    send_order(one, TIME_IN_FORCE_IOC, 101);
    loop_run(t.loop);
    cr_assert_eq(one->report.end, ORDER_END_COMPLETE);
    cr_assert(one->fill.evidence.sequence == 10 && one->fill.price.v == ask_101.price.v);

    /* Tick 11 is lost. Tick 13 comes before the snapshot that covers 12. */
    publish_depth(12, &ask_102);
    publish_depth(13, &ask_100);
    do {
        send_order(one, TIME_IN_FORCE_IOC, 100);
        loop_run(t.loop);
    } while (one->report.end != ORDER_END_COMPLETE);
    cr_assert_eq(t.snapshots, 2);
    cr_assert(one->fill.evidence.sequence == 13 && one->fill.price.v == ask_100.price.v);

    /* Another ledger with an epoch of its own; then the first one begins anew. */
    begin_session(two);
    send_order(two, TIME_IN_FORCE_GTC, 90);
    loop_run(t.loop);
    cr_assert(two->report.order_id == 1001 && two->report.rank > 0);
    begin_session(one);
    send_order(one, TIME_IN_FORCE_GTC, 90);
    loop_run(t.loop);
    cr_assert_gt(one->report.rank, two->report.rank);
    cr_assert(one->readies == 2 && two->readies == 1);
    stage_close();
}

/* A STOP_LOSS_LIMIT takes its latency, is armed, set off by a trade, rests and is filled; one that
 * expires and a pull wake the loop by themselves. */
Test(match_serve, wakes_when_something_is_due)
{
    struct player *l = &t.ledgers[0];
    stage_open();
    while (!t.is_followed)
        loop_run(t.loop);
    begin_session(l);
    const int64_t latency_us = 20000, sent_us = loop_steady_us(t.loop);
    struct order_work work = {.order_id = 1,
                              .account_id = 1,
                              .symbol = code_of(SYMBOL),
                              .side = SIDE_BUY,
                              .type = ORDER_TYPE_STOP_LOSS_LIMIT,
                              .time_in_force = TIME_IN_FORCE_GTC,
                              .price = {100 * DECIMAL_ONE},
                              .quantity = {DECIMAL_ONE},
                              .stop_price = {102 * DECIMAL_ONE},
                              .time_us = loop_now_us(t.loop),
                              .latency_us = (uint32_t)latency_us};
    bus_put(l->bus, 0, MSG_order_work, 1, &work);
    loop_run(t.loop);
    cr_assert(l->report.order_id == 1 && l->report.rank > 0);
    cr_assert_geq(loop_steady_us(t.loop) - sent_us, latency_us - 1000);
    publish_trade(11, &ask_102);
    loop_run(t.loop);
    cr_assert(l->report.triggered_us > 0 && l->report.rank > 0 && l->report.fills_count == 0);
    publish_depth(12, &ask_100);
    loop_run(t.loop);
    cr_assert(l->report.end == ORDER_END_COMPLETE && l->fill.is_maker);

    work.order_id = 2;
    work.type = ORDER_TYPE_LIMIT;
    work.price = (price_t){90 * DECIMAL_ONE};
    work.latency_us = 0;
    work.time_in_force = TIME_IN_FORCE_GTD;
    work.expire_us = loop_now_us(t.loop) + 30000;
    bus_put(l->bus, 0, MSG_order_work, 2, &work);
    loop_run(t.loop);
    cr_assert(l->report.order_id == 2 && l->report.rank > 0);
    loop_run(t.loop);
    cr_assert(l->report.order_id == 2 && l->report.end == ORDER_END_GTD_REACHED);

    send_order(l, TIME_IN_FORCE_GTC, 90); /* order 1: it is gone, so its id is free */
    loop_run(t.loop);
    const struct order_pull pull = {.order_id = 1, .symbol = code_of(SYMBOL), .latency_us = 10000};
    bus_put(l->bus, 0, MSG_order_pull, 3, &pull);
    loop_run(t.loop);
    cr_assert(l->report.was_pulled && l->report.end == ORDER_END_CLIENT_CANCEL);
    stage_close();
}
