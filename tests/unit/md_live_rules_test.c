/*
 * md_live_rules_test.c - rules of the live source one by one, each a short story told by hand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marketdata/core/binance_list.h"
#include "marketdata/core/live.h"

#define SECOND INT64_C(1000000)
#define START  (INT64_C(1700000000) * SECOND)

struct teller {
    struct live live;
    void *memory;
    int64_t now_us;
    char said[8192];  /* what was done and given since the last look */
    char told[16384]; /* the last message or path */
    uint32_t ask;     /* the last one */
};

/* Empties the core into words: "T5 " a trade, "gap5-7 ", "heal ", "lost3 ", "connect0 ", ... */
static void
look(struct teller *t)
{
    static const char *const KINDS[MD_EVENT_KINDS] = {
        [MD_EVENT_QUOTE] = "quote", [MD_EVENT_DIFF] = "diff",         [MD_EVENT_BOOK] = "book",
        [MD_EVENT_KLINE] = "kline", [MD_EVENT_ALIVE] = "alive",       [MD_EVENT_AWAY] = "away",
        [MD_EVENT_MARK] = "mark",   [MD_EVENT_LIQUIDATION] = "forced"};
    static const char *const ASKS[LIVE_ASK_KINDS] = {"",     "rules",   "trades", "snapshot",
                                                     "lost", "minutes", "days"};
    struct live_given g;
    struct live_do d;
    bool more = true;
    while (more) {
        size_t length = strlen(t->said), room = sizeof(t->said) - length;
        char *at = t->said + length;
        more = live_next(&t->live, &g);
        const struct md_event *e = &g.event;
        if (more && !g.has_event)
            snprintf(at, room, "late%" PRIu64 " ", e->trade.trade_id);
        else if (more && e->kind == MD_EVENT_TRADE)
            snprintf(at, room, "T%" PRIu64 " ", e->trade.trade_id);
        else if (more && e->kind == MD_EVENT_GAP)
            snprintf(at, room, "gap%" PRIu64 "-%" PRIu64 " ", e->first_id, e->last_id);
        else if (more && e->kind == MD_EVENT_HEALED && e->lost > 0)
            snprintf(at, room, "lost%" PRIu64 " ", e->lost);
        else if (more && e->kind == MD_EVENT_HEALED)
            snprintf(at, room, "heal ");
        else if (more)
            snprintf(at, room, "%s ", KINDS[e->kind]);
        else if ((more = live_poll(&t->live, &d) != LIVE_DO_NOTHING)) {
            snprintf(t->told, sizeof(t->told), "%s", d.text != NULL ? d.text : "");
            t->ask = d.kind == LIVE_DO_ASK ? d.ask : t->ask;
            if (d.kind == LIVE_DO_ASK)
                snprintf(at, room, "%s? ", ASKS[d.what]);
            else
                snprintf(at, room, "%s%u ",
                         d.kind == LIVE_DO_CONNECT ? "connect"
                         : d.kind == LIVE_DO_CLOSE ? "close"
                                                   : "send",
                         d.conn);
        }
    }
}

static void
expect(struct teller *t, const char *words)
{
    look(t);
    cr_expect_str_eq(t->said, words, "said \"%s\", expected \"%s\"", t->said, words);
    t->said[0] = '\0';
}

/* Time passes in ticks. */
static void
wait_us(struct teller *t, int64_t us)
{
    for (int64_t end = t->now_us + us; t->now_us < end;) {
        t->now_us += LIVE_TICK_US;
        live_time(&t->live, t->now_us, t->now_us);
        live_tick(&t->live);
        look(t);
    }
}

static void
text(struct teller *t, uint32_t conn, const char *json)
{
    live_text(&t->live, conn, json, strlen(json));
    look(t);
}

static void
trade(struct teller *t, uint32_t conn, uint64_t id)
{
    char json[256];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000000,\"s\":"
             "\"BTCUSDT\",\"t\":%" PRIu64
             ",\"p\":\"100\",\"q\":\"1\",\"T\":1700000000000,\"m\":true}}",
             id);
    text(t, conn, json);
}

static void
kline(struct teller *t, uint32_t conn, uint64_t last)
{
    char json[512];
    snprintf(json, sizeof(json),
             "{\"stream\":\"btcusdt@kline_1m\",\"data\":{\"e\":\"kline\",\"E\":%" PRId64
             ",\"s\":\"BTCUSDT\",\"k\":{\"t\":%" PRId64
             ",\"T\":1,\"s\":\"BTCUSDT\",\"i\":\"1m\",\"f\":1,\"L\":%" PRIu64
             ",\"o\":\"1\",\"c\":\"1\",\"h\":\"1\",\"l\":\"1\",\"v\":\"1\",\"n\":1,\"x\":false,"
             "\"q\":\"1\",\"V\":\"1\",\"Q\":\"1\"}}}",
             t->now_us / 1000, t->now_us / 60000000 * 60000, last);
    text(t, conn, json);
}

static void
answer(struct teller *t, const char *body)
{
    live_answer(&t->live, t->ask, LIVE_REPLY_OK, 200, body, strlen(body), 0);
    look(t);
}

static void
trades_answer(struct teller *t, uint64_t first, uint64_t last)
{
    char body[4096] = "[";
    for (uint64_t id = first; id <= last; id++)
        snprintf(body + strlen(body), sizeof(body) - strlen(body),
                 "%s{\"id\":%" PRIu64 ",\"price\":\"100\",\"qty\":\"1\",\"time\":1700000000000,"
                 "\"isBuyerMaker\":true}",
                 id > first ? "," : "", id);
    snprintf(body + strlen(body), sizeof(body) - strlen(body), "]");
    answer(t, body);
}

/* One symbol of spot, connected, its history answered with nothing. */
static struct teller *
begin(int64_t swap_us)
{
    struct teller *t = calloc(1, sizeof(*t));
    struct live_options o = {.market = TRADING_TYPE_spot,
                             .symbols_max = 64,
                             .streams_max = 200,
                             .attempts_max = 60,
                             .asks_max = 4,
                             .held_max = 64,
                             .levels_max = 100,
                             .snapshot_levels = 1000,
                             .kept_levels_max = 1000,
                             .swap_us = swap_us,
                             .overlap_us = 5 * SECOND,
                             .heal_us = 10 * SECOND,
                             .seed = 1};
    t->memory = malloc(live_bytes(&o));
    live_init(&t->live, &o, t->memory);
    t->now_us = START;
    live_time(&t->live, t->now_us, t->now_us);
    cr_assert(live_symbol_add(&t->live, code_of("BTCUSDT"), true) == OK);
    expect(t, "connect0 rules? ");
    live_opened(&t->live, 0);
    expect(t, "minutes? days? ");
    t->said[0] = '\0';
    return t;
}

static void
end(struct teller *t)
{
    live_check(&t->live);
    free(t->memory);
    free(t);
}

Test(md_live_rules, missing_trades_are_asked_for_and_given_in_order)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    trade(t, 0, 8);
    expect(t, "T5 gap6-7 ");
    trade(t, 0, 9);
    wait_us(t, SECOND / 5);
    expect(t, "trades? ");
    cr_expect(strstr(t->told, "historicalTrades?symbol=BTCUSDT&fromId=6&") != NULL, "%s", t->told);
    trades_answer(t, 6, 12);
    expect(t, "T6 T7 T8 T9 heal ");
    trade(t, 0, 9);
    trade(t, 0, 10);
    expect(t, "T10 ");
    cr_expect_eq(t->live.counts.lost, 0);
    end(t);
}

Test(md_live_rules, a_trade_that_is_only_late_heals_without_a_request)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    trade(t, 0, 7);
    trade(t, 0, 6);
    wait_us(t, SECOND);
    cr_expect(strstr(t->said, "trades?") == NULL, "%s", t->said);
    cr_expect(strstr(t->said, "T5 gap6-6 T6 T7 heal ") == t->said, "%s", t->said);
    end(t);
}

Test(md_live_rules, what_does_not_come_is_lost_and_later_found_for_the_record)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    trade(t, 0, 8);
    wait_us(t, SECOND / 5);
    expect(t, "T5 gap6-7 trades? ");
    for (int i = 0; i < 250 && strstr(t->said, "lost") == NULL; i++) {
        live_answer(&t->live, t->ask, LIVE_REPLY_FAILED, 0, "", 0, 0);
        wait_us(t, LIVE_TICK_US);
    }
    cr_expect(strstr(t->said, "T8 lost2 ") != NULL, "%s", t->said);
    t->said[0] = '\0';
    wait_us(t, 8 * SECOND);
    cr_expect(strstr(t->said, "lost? ") != NULL, "%s", t->said);
    t->said[0] = '\0';
    trades_answer(t, 6, 9);
    expect(t, "late6 late7 ");
    end(t);
}

Test(md_live_rules, a_kline_that_knows_more_shows_a_dead_stream_of_trades)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    kline(t, 0, 5);
    wait_us(t, SECOND);
    kline(t, 0, 7);
    wait_us(t, SECOND);
    cr_expect(strstr(t->said, "gap") == NULL, "%s", t->said);
    t->said[0] = '\0';
    wait_us(t, 2 * SECOND);
    cr_expect(strstr(t->said, "gap6-7 ") != NULL && strstr(t->said, "trades? ") != NULL &&
                  strstr(t->said, "send0 ") != NULL,
              "%s", t->said);
    t->said[0] = '\0';
    trades_answer(t, 6, 7);
    expect(t, "T6 T7 heal ");
    end(t);
}

static void
quote_and_diff(struct teller *t, uint32_t conn, uint64_t quote, uint64_t first, uint64_t last)
{
    char json[256];
    if (quote != 0) {
        snprintf(json, sizeof(json),
                 "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"u\":%" PRIu64
                 ",\"s\":\"BTCUSDT\",\"b\":\"99\",\"B\":\"1\",\"a\":\"101\",\"A\":\"1\"}}",
                 quote);
        text(t, conn, json);
    }
    if (last == 0)
        return;
    snprintf(
        json, sizeof(json),
        "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1700000000000,"
        "\"s\":\"BTCUSDT\",\"U\":%" PRIu64 ",\"u\":%" PRIu64 ",\"b\":[[\"99\",\"1\"]],\"a\":[]}}",
        first, last);
    text(t, conn, json);
}

Test(md_live_rules, a_book_is_asked_for_after_its_first_diff_and_after_a_gap)
{
    struct teller *t = begin(36000 * SECOND);
    expect(t, "");
    quote_and_diff(t, 0, 0, 10, 12);
    expect(t, "diff snapshot? ");
    answer(t, "{\"lastUpdateId\":8,\"bids\":[[\"98\",\"1\"]],\"asks\":[[\"102\",\"1\"]]}");
    expect(t, "");
    wait_us(t, SECOND);
    cr_expect(strstr(t->said, "snapshot? ") != NULL, "too old: asked again, %s", t->said);
    t->said[0] = '\0';
    answer(t, "{\"lastUpdateId\":11,\"bids\":[[\"98\",\"1\"]],\"asks\":[[\"102\",\"1\"]]}");
    expect(t, "book ");
    quote_and_diff(t, 0, 0, 13, 14);
    expect(t, "diff ");
    quote_and_diff(t, 0, 0, 13, 14);
    expect(t, "");
    quote_and_diff(t, 0, 0, 16, 17);
    expect(t, "diff snapshot? ");
    end(t);
}

Test(md_live_rules, a_book_that_the_core_lost_is_asked_for_at_growing_intervals)
{
    struct teller *t = begin(36000 * SECOND);
    quote_and_diff(t, 0, 0, 10, 20);
    expect(t, "diff snapshot? ");
    answer(t, "{\"lastUpdateId\":20,\"bids\":[],\"asks\":[]}");
    expect(t, "book ");
    live_book_lost(&t->live, code_of("BTCUSDT"));
    live_book_lost(&t->live, code_of("BTCUSDT"));
    live_book_lost(&t->live, code_of("ETHUSDT"));
    wait_us(t, SECOND);
    cr_expect(strstr(t->said, "snapshot? ") != NULL, "%s", t->said);
    cr_expect(strstr(t->told, "limit=1000") != NULL, "%s", t->told);
    /* Each is wrong at once: by and by fewer are asked for. */
    int asked = 0;
    for (int i = 0; i < 20 * 30; i++) {
        if (strstr(t->said, "snapshot? ") != NULL || i == 0) {
            asked++;
            t->said[0] = '\0';
            answer(t, "{\"lastUpdateId\":20,\"bids\":[],\"asks\":[]}");
            live_book_lost(&t->live, code_of("BTCUSDT"));
        }
        wait_us(t, LIVE_TICK_US);
    }
    cr_expect(asked >= 3 && asked <= 12, "%d in half a minute", asked);
    end(t);
}

Test(md_live_rules, depth_that_stays_behind_the_quotes_is_subscribed_to_again)
{
    struct teller *t = begin(36000 * SECOND);
    quote_and_diff(t, 0, 12, 10, 12);
    answer(t, "{\"lastUpdateId\":11,\"bids\":[[\"98\",\"1\"]],\"asks\":[[\"102\",\"1\"]]}");
    t->said[0] = '\0';
    quote_and_diff(t, 0, 13, 0, 0);
    wait_us(t, 3 * SECOND);
    cr_expect(strstr(t->said, "send0 ") != NULL, "%s", t->said);
    cr_expect_str_eq(t->told,
                     "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@depth@100ms\"],\"id\":1}");
    text(t, 0, "{\"result\":null,\"id\":1}");
    wait_us(t, SECOND);
    cr_expect_str_eq(t->told,
                     "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@depth@100ms\"],\"id\":2}");
    end(t);
}

Test(md_live_rules, quotes_that_stay_behind_the_depth_are_subscribed_to_again)
{
    struct teller *t = begin(36000 * SECOND);
    quote_and_diff(t, 0, 9, 10, 12);
    for (uint64_t u = 13; u < 23; u++) {
        wait_us(t, SECOND);
        quote_and_diff(t, 0, 0, u, u);
    }
    cr_expect_str_eq(t->told,
                     "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@bookTicker\"],\"id\":1}");
    end(t);
}

Test(md_live_rules, a_server_that_shuts_down_is_left_before_it_closes)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    t->said[0] = '\0';
    text(t, 0, "{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1}}");
    expect(t, "connect1 ");
    live_opened(&t->live, 1);
    trade(t, 0, 6);
    trade(t, 1, 6);
    trade(t, 1, 7);
    trade(t, 0, 7);
    expect(t, "T6 T7 ");
    wait_us(t, 6 * SECOND);
    cr_expect(strstr(t->said, "close0 ") != NULL && strstr(t->said, "away") == NULL, "%s", t->said);
    trade(t, 1, 8);
    cr_expect(strstr(t->said, "T8 ") != NULL && strstr(t->said, "gap") == NULL, "%s", t->said);
    end(t);
}

Test(md_live_rules, the_old_connection_stays_until_all_is_heard_on_the_new_one)
{
    struct teller *t = begin(20 * SECOND);
    wait_us(t, 21 * SECOND);
    cr_expect(strstr(t->said, "connect1 ") != NULL, "%s", t->said);
    live_opened(&t->live, 1);
    t->said[0] = '\0';
    wait_us(t, SECOND);
    trade(t, 1, 6);
    kline(t, 1, 6);
    quote_and_diff(t, 1, 12, 0, 0);
    wait_us(t, SECOND);
    cr_expect(strstr(t->said, "close0 ") == NULL, "no diff was heard yet: %s", t->said);
    quote_and_diff(t, 1, 0, 10, 12);
    wait_us(t, SECOND / 10);
    cr_expect(strstr(t->said, "close0 ") != NULL, "%s", t->said);
    end(t);
}

Test(md_live_rules, a_lost_connection_is_told_at_once_and_its_return_too)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    t->said[0] = '\0';
    live_closed(&t->live, 0);
    expect(t, "away ");
    wait_us(t, SECOND / 10);
    expect(t, "");
    wait_us(t, SECOND);
    expect(t, "connect0 ");
    live_opened(&t->live, 0);
    trade(t, 0, 6);
    wait_us(t, SECOND / 10);
    cr_expect(strstr(t->said, "alive ") == NULL, "the book may have moved: %s", t->said);
    quote_and_diff(t, 0, 0, 10, 12);
    wait_us(t, SECOND / 10);
    cr_expect(strstr(t->said, "diff ") != NULL && strstr(t->said, "alive ") != NULL, "%s", t->said);
    end(t);
}

Test(md_live_rules, a_quiet_symbol_is_alive_while_its_connection_is)
{
    struct teller *t = begin(36000 * SECOND);
    trade(t, 0, 5);
    t->said[0] = '\0';
    wait_us(t, 3 * SECOND);
    cr_expect(strstr(t->said, "alive") == NULL, "nothing proves it: %s", t->said);
    live_alive(&t->live, 0);
    wait_us(t, SECOND / 10);
    expect(t, "alive ");
    end(t);
}

Test(md_live_rules, subscriptions_come_in_batches_and_a_refused_one_does_not_hinder_the_others)
{
    struct teller *t = begin(36000 * SECOND);
    t->said[0] = '\0';
    for (int i = 0; i < 20; i++) {
        char name[CODE_BYTES];
        snprintf(name, sizeof(name), "S%dUSDT", i);
        cr_assert(live_symbol_add(&t->live, code_of(name), true) == OK);
    }
    uint32_t messages = 0, most = 0, refused = 0;
    for (int i = 0; i < 800 && !live_is_complete(&t->live); i++) {
        t->told[0] = '\0';
        wait_us(t, LIVE_TICK_US);
        const char *id = strstr(t->told, "\"id\":");
        if (strncmp(t->told, "{\"method\"", 9) != 0 || id == NULL)
            continue;
        uint32_t params = 0;
        for (const char *at = t->told; (at = strchr(at, '@')) != NULL; at++)
            params += at[1] != '1';
        most = params > most ? params : most;
        messages++;
        char reply[64];
        bool is_refused = strstr(t->told, "s7usdt@trade") != NULL;
        refused += is_refused;
        snprintf(reply, sizeof(reply),
                 is_refused ? "{\"code\":2,\"msg\":\"no\",\"id\":%ld}"
                            : "{\"result\":null,\"id\":%ld}",
                 strtol(id + 5, NULL, 10));
        text(t, 0, reply);
    }
    cr_expect(live_is_complete(&t->live), "all but what was refused is there");
    cr_expect(most <= LIVE_BATCH_MAX && most > 40, "%u in one message", most);
    cr_expect(refused >= 5 && refused <= 8, "refused %u times of %u", refused, messages);
    t->told[0] = '\0';
    wait_us(t, 61 * SECOND);
    cr_expect(strstr(t->said, "send0 ") != NULL, "and it is asked for again");
    end(t);
}

Test(md_live_rules, lists_of_rest_are_read_item_by_item)
{
    static const char klines[] =
        "[[1700000000000,\"1.0\",\"2\",\"0.5\",\"1.5\",\"10\",1700000059999,\"15\",3,\"4\",\"6\","
        "\"0\"]]";
    static const char trades[] =
        "[{\"a\":7,\"p\":\"1.5\",\"q\":\"2\",\"f\":11,\"l\":13,\"T\":1700000000000,\"m\":true,"
        "\"M\":true},{\"a\":8}]";
    struct binance_list l;
    struct md_event e;
    binance_list_begin(&l, BINANCE_KLINES, INTERVAL_1m, klines, strlen(klines));
    cr_assert(binance_list_next(&l, &e) && e.kind == MD_EVENT_KLINE);
    cr_expect(e.kline.trades == 3 && e.kline.low.v == 50000000 && e.interval == INTERVAL_1m &&
              e.kline.taker_buy_quote_volume.v == 600000000);
    cr_expect(!binance_list_next(&l, &e) && l.why == OK);
    binance_list_begin(&l, BINANCE_AGG_TRADES, INTERVAL_1m, trades, strlen(trades));
    cr_assert(binance_list_next(&l, &e) && e.trade.trade_id == 7 && e.last_trade == 13);
    cr_expect(!binance_list_next(&l, &e) && l.why == ERR_LINE_INVALID);
    binance_list_begin(&l, BINANCE_TRADES, INTERVAL_1m, "[]", 2);
    cr_expect(!binance_list_next(&l, &e) && l.why == OK);
    binance_list_begin(&l, BINANCE_TRADES, INTERVAL_1m, "{}", 2);
    cr_expect(!binance_list_next(&l, &e) && l.why == ERR_LINE_INVALID);
}
