/*
 * gw_market_test.c - the part of gw_http_test with a market: channels, books, symbols that go, and
 * what admins may do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gw_client.h"
#include "gw_market.h"

TestSuite(market, .init = market_begin, .fini = market_end);

static int
stream_ready(void)
{
    int fd = stream_open("/ws");
    cr_assert_eq(hear(fd), 101);
    return fd;
}

/* The next message has this in it. */
static void
stream_expect(int fd, const char *part)
{
    cr_assert_eq(stream_hear(fd), 0x81);
    cr_assert_not_null(strstr(reply, part), "no %s in %s", part, reply);
}

static void
subscribe(int fd, const char *channel, const char *more)
{
    char op[160];
    snprintf(op, sizeof op, "{\"op\":\"subscribe\",\"channel\":\"%s\",\"symbols\":[\"BTCUSDT\"]%s}",
             channel, more);
    stream_say(fd, op);
    stream_expect(fd, "\"ok\":true");
}

Test(market, each_channel_has_its_events)
{
    int fd = stream_ready();
    subscribe(fd, "ticker", "");
    market_hear("follows", "k.BTCUSDT.");
    market_say("publish k.BTCUSDT. md_ticker symbol=BTCUSDT last_price=5.00000000");
    stream_expect(fd, "{\"event\":\"ticker\",\"data\":{\"symbol\":\"BTCUSDT\",\"last_price\":\"5.");
    subscribe(fd, "mark", "");
    market_hear("follows", "t.BTCUSDT.");
    subscribe(fd, "liquidations", "");
    market_say("publish t.BTCUSDT. md_trade symbol=BTCUSDT sequence=1 trade={trade_id=1 "
               "price=5.00000000 quantity=1.00000000}"); /* nobody follows trades */
    market_say("publish t.BTCUSDT. md_mark symbol=BTCUSDT sequence=2 mark=5.10000000");
    stream_expect(fd, "{\"event\":\"mark\",\"data\":{\"symbol\":\"BTCUSDT\",\"sequence\":2,");
    market_say("publish t.BTCUSDT. md_liquidation symbol=BTCUSDT sequence=3 side=SELL "
               "quantity=2.00000000 price=4.00000000");
    stream_expect(fd, "{\"event\":\"liquidations\",\"data\":{\"symbol\":\"BTCUSDT\",");
    cr_assert_not_null(strstr(reply, "\"side\":\"SELL\""), "%s", reply);
    /* Who comes later hears the newest ticker at once. */
    int other = stream_ready();
    subscribe(other, "ticker", "");
    stream_expect(other, "\"event\":\"ticker\"");
    close(other);
    close(fd);
}

Test(market, a_candle_that_has_closed_is_told_before_the_next_one)
{
    int fd = stream_ready();
    subscribe(fd, "candles", ",\"interval\":\"1s\"");
    market_hear("follows", "c.BTCUSDT.1s.");
    market_say("publish c.BTCUSDT.1s. md_candle symbol=BTCUSDT interval=1s candle={open_time_us=5 "
               "open=1.00000000 is_closed=true}");
    market_say("publish c.BTCUSDT.1s. md_candle symbol=BTCUSDT interval=1s candle={open_time_us=6 "
               "open=2.00000000}");
    stream_expect(fd, "\"open_time_us\":5,");
    stream_expect(fd, "\"open_time_us\":6,");
    close(fd);
}

#define BOOK "md_book symbol=BTCUSDT source=DEPTH state=LIVE "

Test(market, a_book_is_whole_again_after_a_gap)
{
    int fd = stream_ready();
    market_say(
        "answer md_snapshot_get " BOOK "sequence=10 last_update_id=100 "
        "bids=[{price=9.00000000 quantity=1.00000000} {price=8.00000000 quantity=1.00000000}]"
        " asks=[{price=11.00000000 quantity=1.00000000}]");
    subscribe(fd, "depth", ",\"levels\":1");
    stream_expect(fd, "{\"event\":\"depth_snapshot\",\"data\":{\"symbol\":\"BTCUSDT\","
                      "\"sequence\":10,\"last_update_id\":100,\"bids\":[{\"price\":\"9.00000000\","
                      "\"quantity\":\"1.00000000\"}],\"asks\":[{");
    /* Another one gets it at once, without a further question. */
    int other = stream_ready();
    subscribe(other, "depth", "");
    stream_expect(other, "\"price\":\"8.00000000\"");
    close(other);
    market_hear("follows", "t.BTCUSDT.");
    market_say("publish t.BTCUSDT. md_depth symbol=BTCUSDT sequence=11 first_update_id=101 "
               "last_update_id=103 bids=[{price=9.00000000 quantity=2.00000000}]");
    stream_expect(fd, "{\"event\":\"depth\",\"previous_sequence\":10,\"data\":{");
    cr_assert_not_null(strstr(reply, "\"first_update_id\":101,\"last_update_id\":103"));
    /* Number 12 is missing, and comes again. */
    market_say("answer md_resend_get md_resent symbol=BTCUSDT from=12 to=12");
    market_say("answer md_resend_get md_depth symbol=BTCUSDT sequence=12 first_update_id=104 "
               "last_update_id=104 bids=[{price=9.00000000}]");
    market_say("publish t.BTCUSDT. md_depth symbol=BTCUSDT sequence=13 first_update_id=105 "
               "last_update_id=105 asks=[{price=11.00000000 quantity=3.00000000}]");
    market_hear("asked", "symbol=BTCUSDT from=12 to=12");
    stream_expect(fd, "{\"event\":\"depth\",\"previous_sequence\":11,\"data\":{");
    cr_assert_not_null(strstr(reply, "\"sequence\":13,\"first_update_id\":104,"
                                     "\"last_update_id\":105,\"bids\":[{\"price\":\"9.00000000\","
                                     "\"quantity\":\"0.00000000\"}],\"asks\":[{\"price\":\"11."),
                       "%s", reply);
    /* A beat tells of more, which is too old to come again. */
    market_say("forget md_resend_get");
    market_say("forget md_resend_get");
    market_say("forget md_snapshot_get");
    market_say("answer md_resend_get md_resent symbol=BTCUSDT");
    market_say("answer md_snapshot_get " BOOK "sequence=20 last_update_id=120 "
               "bids=[{price=7.00000000 quantity=1.00000000}]");
    market_say("publish t.BTCUSDT. md_beat symbol=BTCUSDT sequence=19");
    market_hear("asked", "symbol=BTCUSDT from=14 to=19");
    stream_expect(fd, "{\"event\":\"depth_snapshot\",\"data\":{\"symbol\":\"BTCUSDT\","
                      "\"sequence\":20,");
    close(fd);
}

Test(market, a_symbol_that_goes_ends_its_subscriptions)
{
    static const char sol[] =
        "{\"op\":\"subscribe\",\"channel\":\"ticks\",\"symbols\":[\"SOLUSDT\"]}";
    int fd = stream_ready();
    subscribe(fd, "ticks", "");
    subscribe(fd, "trades", "");
    market_hear("follows", "t.BTCUSDT.");
    /* Once the gateway knows the symbols, others are refused. */
    do {
        stream_say(fd, sol);
        cr_assert_eq(stream_hear(fd), 0x81);
    } while (strstr(reply, "SYMBOL_UNKNOWN") == NULL);
    cr_assert_not_null(strstr(reply, "\"field\":\"symbols\""), "%s", reply);
    market_say("forget md_symbols_get");
    market_say("answer md_symbols_get md_symbols version=2 symbols=[{symbol=BTCUSDT base_asset=BTC "
               "quote_asset=USDT is_removed=true} {symbol=SOLUSDT base_asset=SOL "
               "quote_asset=USDT}]");
    market_say("publish s. md_symbols_beat version=2 count=2");
    stream_expect(fd, "{\"event\":\"symbol_removed\",\"symbol\":\"BTCUSDT\"}");
    market_hear("leaves", "t.BTCUSDT.");
    stream_say(fd, sol);
    stream_expect(fd, "\"ok\":true");
    /* And one that comes back may be followed again. */
    market_say("forget md_symbols_get");
    market_say("answer md_symbols_get md_symbols version=3 symbols=[{symbol=BTCUSDT base_asset=BTC "
               "quote_asset=USDT}]");
    market_say("publish s. md_symbols_beat version=3 count=1");
    stream_expect(fd, "{\"event\":\"symbol_removed\",\"symbol\":\"SOLUSDT\"}");
    subscribe(fd, "ticks", "");
    close(fd);
}

static void
admin_make(const char *name)
{
    char conninfo[512], sql[128];
    snprintf(conninfo, sizeof conninfo, "%s dbname=%s", getenv("SCRIP_TEST_PG"),
             getenv("GW_HTTP_TEST_DATABASE"));
    snprintf(sql, sizeof sql, "UPDATE gateway.users SET role = 'admin' WHERE username = '%s'",
             name);
    PGconn *c = PQconnectdb(conninfo);
    PGresult *r = PQexec(c, sql);
    cr_assert_str_eq(PQcmdTuples(r), "1");
    PQclear(r);
    PQfinish(c);
}

/* A service that is told something in the very moment in which it is asked answers all the same. */
Test(market, what_is_said_while_it_is_asked_keeps_no_answer_back)
{
    static const char request[] = "GET /api/market/sources HTTP/1.1\r\nHost: x\r\n\r\n";
    market_say("answer md_sources_get md_sources sources=[{kind=synthetic state=RUNNING}]");
    int fd = dial();
    for (int i = 0; i < 500; i++) {
        say_text(fd, request);
        market_say("forget nothing");
        expect(hear(fd), 200, "RUNNING");
    }
    close(fd);
}

Test(market, symbols_and_recordings_are_for_admins)
{
    char token[1024], refresh[128];
    static const char login[] = "{\"username\":\"keeper\",\"password\":\"correct horse\"}";
    static const char path[] = "/api/market/symbols/SOLUSDT";
    sign_in("keeper", token, refresh);
    expect(ask("PUT", path, "", ""), 401, "TOKEN_MISSING");
    expect(ask("PUT", path, token, ""), 403, "FORBIDDEN");
    expect(ask("DELETE", path, token, ""), 403, "FORBIDDEN");
    expect(ask("PUT", "/api/market/playback", token, "{\"action\":\"PAUSE\"}"), 403, "FORBIDDEN");
    admin_make("keeper");
    expect(ask("POST", "/api/auth/login", "", login), 200, "access_token");
    member("access_token", token, sizeof token);
    market_say("answer md_symbol_add md_symbol_view symbol=SOLUSDT source=1 is_kept=true");
    expect(ask("PUT", path, token, ""), 200, "\"is_kept\":true");
    expect(ask("PUT", "/api/market/symbols/SOLUSDT?source=1", token, ""), 200, "\"source\":1");
    market_hear("asked", "symbol=SOLUSDT source=1");
    market_say("answer md_symbol_remove refused error=SYMBOL_UNKNOWN");
    expect(ask("DELETE", path, token, ""), 400, "SYMBOL_UNKNOWN");
    market_say("answer md_playback_set md_sources sources=[{kind=playback state=PAUSED}]");
    expect(ask("PUT", "/api/market/playback", token, "{\"action\":\"PAUSE\"}"), 200, "PAUSED");
    expect(ask("PUT", "/api/market/playback", token, "{}"), 400, "FIELD_MISSING");
    market_say("answer md_sources_get md_sources sources=[{kind=synthetic state=RUNNING}]");
    expect(ask("GET", "/api/market/sources", "", ""), 200, "RUNNING");
}
