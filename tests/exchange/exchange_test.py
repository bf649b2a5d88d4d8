#!/usr/bin/python3
"""exchange_test - the stand-in exchange itself: its truth, its strictness and its faults.

A small client of its own rebuilds books and candles from what is on the wire and compares them
with what the control plane calls true; every rule and every fault is seen on the wire.

usage: exchange_test.py [NAME...]      the tests of these names alone

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import concurrent.futures
import os
import socket
import sys
import time
import traceback

import aiohttp

import faults_test
import signed_test
import sources_test
import trading_test
import user_streams_test
from client import (ENDLESS_MS, PATIENCE_S, POLL_S, Client, NaiveBook, OwnCandle, ask, candle_row,
                    check, end_of, hear, receive)
from standin import StandIn

FAST = {"rate": 200}
TESTS_AT_ONCE = 4


async def rebuild(client, market, symbol, diffs):
    """A book from the stream and a snapshot, `diffs` messages long, equal to the true one."""
    root = "" if market == "spot" else "/public"
    stream = symbol.lower() + "@depth@100ms"
    async with client.open(root + "/stream?streams=" + stream, market) as ws:
        book = NaiveBook(market)
        held = [(await hear(ws))["data"]]
        book.snapshot(await client.result("depth?symbol=%s&limit=1000" % symbol, market))
        while len(held) < diffs or held[-1]["u"] <= book.id:
            held.append((await hear(ws))["data"])
        for d in held:
            check(book.diff(d), "each diff follows the one before it", book.id, d)
        check(not book.is_first, "some diff was later than the snapshot", book.id)
        truth = client.x.truth(symbol, market, update_id=book.id, levels=500)
        check(truth["update_id"] == book.id, "the truth of that very update is known", truth)
        check(book.differs(truth, 500) is None, "the book is the true one",
              book.differs(truth, 500))
        check(not truth["is_crossed"], "the true book is not crossed")


async def books():
    """Books from the wire are the true ones, and the best prices agree with them."""
    with StandIn(synthetic=3, tls=True, **FAST) as x:
        async with Client(x) as client:
            await rebuild(client, "spot", "BTCUSDT", 20)
            await rebuild(client, "usdm", "ETHUSDT", 20)
        check(x.counters()["violations"] == 0, "nothing was done wrong", x.counters())


async def quotes():
    """Every bookTicker is the best bid and ask of its update."""
    with StandIn(synthetic=3, **FAST) as x:
        async with Client(x) as client, \
                client.open("/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms") as ws:
            book, compared, last = NaiveBook("spot"), 0, None
            book.snapshot(await client.result("depth?symbol=BTCUSDT&limit=1000"))
            while compared < 5:
                d = (await hear(ws))["data"]
                if "e" not in d:
                    last = d
                elif book.diff(d) and last and last["u"] == d["u"]:
                    best = [str(v) for side in "ba" for v in book.top(side, 1)[0]]
                    check(best == [last[k] for k in "bBaA"], "the best prices", best, last)
                    compared += 1


async def trades():
    """Trades have no holes, history gives the same ones, and candles are made of them."""
    with StandIn(synthetic=5, **FAST) as x:
        async with Client(x) as client, \
                client.open("/stream?streams=btcusdt@trade/btcusdt@kline_1s") as ws:
            heard, candles, closed = [], {}, 0
            while closed < 3:
                d = (await hear(ws))["data"]
                if d["e"] == "trade":
                    heard.append(d)
                    candles.setdefault(d["T"] // 1000 * 1000, OwnCandle()).add(
                        d["p"], d["q"], d["m"])
                elif d["k"]["x"]:
                    k = d["k"]
                    if k["n"] and heard and k["f"] >= heard[0]["t"]:
                        closed += 1
                        mine = candles[k["t"]]
                        check(mine.count == k["n"] == k["L"] - k["f"] + 1, "its trades", k)
                        check(mine.row() == candle_row([0, k["o"], k["h"], k["l"], k["c"],
                                                        k["v"], 0, k["q"], k["n"], k["V"]]),
                              "the candle is made of the trades", mine.row(), k)
            first = heard[0]["t"]
            check([d["t"] for d in heard] == list(range(first, first + len(heard))),
                  "the ids have no hole", first)
            again = await client.result("historicalTrades?symbol=BTCUSDT&fromId=%d&limit=%d"
                                        % (first, len(heard)))
            check([(t["id"], t["price"], t["qty"], t["time"], t["isBuyerMaker"]) for t in again]
                  == [(d["t"], d["p"], d["q"], d["T"], d["m"]) for d in heard],
                  "history gives the same trades", again[:2], heard[:2])


async def aggregates():
    """Aggregated trades stand for trades without a hole, and REST gives the same."""
    with StandIn(synthetic=5, **FAST) as x:
        async with Client(x) as client, \
                client.open("/market/stream?streams=btcusdt@aggTrade", "usdm") as ws:
            heard = [(await hear(ws))["data"] for _ in range(60)]
            for a, b in zip(heard, heard[1:]):
                check((b["a"], b["f"]) == (a["a"] + 1, a["l"] + 1), "one follows the other", a, b)
            check(any(a["l"] > a["f"] for a in heard), "some stand for several trades")
            rest = await client.result("aggTrades?symbol=BTCUSDT&fromId=%d&limit=60"
                                       % heard[0]["a"], "usdm")
            check([(r["a"], r["p"], r["q"], r["f"], r["l"], r["T"], r["m"]) for r in rest]
                  == [tuple(d[k] for k in "apqflTm") for d in heard], "REST says the same")
            true = {t["id"]: t for t in x.trades("BTCUSDT", "usdm", heard[0]["f"], heard[-1]["l"])}
            for a in heard:
                parts = [true[n] for n in range(a["f"], a["l"] + 1)]
                mine = OwnCandle()
                for t in parts:
                    mine.add(t["price"], t["qty"], t["isBuyerMaker"])
                check(str(mine.volume) == a["q"] and {t["price"] for t in parts} == {a["p"]},
                      "it sums up its trades", a, parts)


async def past():
    """Candles of the past fit together: a day is its minutes, ids go down without a hole."""
    with StandIn(synthetic=9) as x:
        async with Client(x) as client:
            day = (await client.result("klines?symbol=BTCUSDT&interval=1d&limit=2"))[0]
            midnight = day[0] + 86400000
            now = (await client.result("time"))["serverTime"]
            check(midnight <= now < midnight + 2 * 86400000, "yesterday is known", day)
            minutes = []
            while len(minutes) < 1440:
                minutes += (await client.result(
                    "klines?symbol=BTCUSDT&interval=1m&startTime=%d&limit=720"
                    % (day[0] + len(minutes) * 60000)))
            check([m[0] for m in minutes] == list(range(day[0], midnight, 60000)),
                  "every minute of it", len(minutes))
            check(any(m[8] == 0 for m in minutes), "some minutes without trades are flat")
            check(day[8] == sum(m[8] for m in minutes), "its trades", day)
            rows = [candle_row(m) for m in minutes if m[8]]
            check(candle_row(day)[:6] == [rows[0][0], max(r[1] for r in rows),
                                          min(r[2] for r in rows), rows[-1][3],
                                          sum(r[4] for r in rows), sum(r[5] for r in rows)],
                  "the day is the fold of its minutes", day)
            for interval, count in (("1m", 500), ("15m", 96), ("4h", 6), ("1d", 30), ("3d", 9)):
                rows = await client.result("klines?symbol=BTCUSDT&interval=%s&startTime=0&limit=%d"
                                           % (interval, count))
                check(len(rows) == count, "the oldest of " + interval, len(rows))
                check(all(a[6] + 1 == b[0] for a, b in zip(rows, rows[1:])), "in order", rows)
                check(interval in ("1d", "3d") or rows[0][0] == day[0], "from the first", rows[0])
            for interval, count in (("1h", 24), ("1w", 5), ("1M", 2), ("3d", 10)):
                rows = await client.result("klines?symbol=BTCUSDT&interval=%s&limit=%d"
                                           % (interval, count))
                check(len(rows) == count, "candles of " + interval, len(rows))
                check(all(a[6] + 1 == b[0] for a, b in zip(rows, rows[1:])),
                      "one begins where the other ends", rows)


async def usdm():
    """Mark prices, liquidations, funding, and which root carries what."""
    with StandIn(synthetic=5) as x:
        async with Client(x) as client:
            index = await client.result("premiumIndex?symbol=BTCUSDT", "usdm")
            check(index["nextFundingTime"] % 28800000 == 0, "funding every eight hours", index)
            rates = await client.result("fundingRate?symbol=BTCUSDT&limit=3", "usdm")
            check(len(rates) == 3, "funding of the past", rates)
            async with client.open("/market/ws/btcusdt@markPrice@1s/btcusdt@forceOrder",
                                   "usdm") as ws:
                mark = await hear(ws, lambda d: d["e"] == "markPriceUpdate")
                later = await client.result("premiumIndex?symbol=BTCUSDT", "usdm")
                check(mark["T"] in (index["nextFundingTime"], later["nextFundingTime"]),
                      "the same funding time", mark)
                x.post("liquidation", market="usdm", symbol="BTCUSDT", side="BUY",
                       quantity="0.123", price="60000.1")
                order = await hear(ws, lambda d: d["e"] == "forceOrder" and d["o"]["q"] == "0.123")
                check((order["o"]["S"], order["o"]["p"]) == ("BUY", "60000.10"), "as told", order)
            check(x.counters()["violations"] == 0, "nothing was done wrong", x.counters())
            async with client.open("/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker",
                                   "usdm") as ws:
                for _ in range(20):
                    check((await hear(ws))["stream"] == "btcusdt@bookTicker",
                          "un-routed gives public data alone")
            check(x.counters()["violations_by_kind"] == {"route": 1}, "and it is counted",
                  x.counters())


async def requests():
    """Control messages: their answers, their refusals, and who listens to what."""
    with StandIn(synthetic=5, inbound_max=50) as x:
        async with Client(x) as client, client.open("/ws") as ws:
            streams = ["btcusdt@trade", "ethusdt@depth@100ms"]
            check(await ask(ws, "SUBSCRIBE", streams, "x1") == {"result": None, "id": "x1"},
                  "subscribed")
            check((await ask(ws, "LIST_SUBSCRIPTIONS"))["result"] == streams, "listed")
            check((await hear(ws, lambda m: m.get("e") == "depthUpdate"))["s"] == "ETHUSDT",
                  "raw messages")
            await ask(ws, "SET_PROPERTY", ["combined", True])
            check((await hear(ws, lambda m: "stream" in m))["data"]["s"], "combined ones")
            check((await ask(ws, "UNSUBSCRIBE", streams[1:]))["result"] is None, "left")
            check((await ask(ws, "LIST_SUBSCRIPTIONS"))["result"] == streams[:1], "listed")
            before = x.counters()["violations"]
            bad = (("SUBSCRIBE", ["BTCUSDT@trade"], 1), ("SUBSCRIBE", ["btcusdt@trades"], 1),
                   ("SUBSCRIBE", "btcusdt@trade", 1), ("SUBSCRIBE", [], 1),
                   ("SUBSCRIBED", ["btcusdt@trade"], 1), ("SUBSCRIBE", ["btcusdt@trade"], 1.5),
                   ("SUBSCRIBE", ["btcusdt@trade"], "x" * 37),
                   ("SUBSCRIBE", ["btcusdt@miniTicker"], 1))
            for method, params, number in bad:
                check((await ask(ws, method, params, number)).get("code") == 2,
                      "refused", method, params, number)
            await ws.send_str("{")
            check((await hear(ws, lambda m: "code" in m))["code"] == 3, "not JSON")
            check(x.counters()["violations"] == before + len(bad) + 1, "each is counted",
                  x.counters())
            await ask(ws, "SUBSCRIBE", ["s%d@trade" % n for n in range(1023)])
            await ws.send_json({"method": "SUBSCRIBE", "params": ["more@trade"], "id": 3})
            check(await end_of(ws) == 1008, "1024 streams are the most")
            for path in ("/ws/btcusdt@nothing", "/stream?streams=BTC@trade", "/stream?x=1",
                         "/private/ws", "/nothing"):
                try:
                    async with client.open(path):
                        check(False, "no connection to " + path)
                except aiohttp.WSServerHandshakeError as e:
                    check(e.status in (400, 404), "refused", path, e.status)


async def parameters():
    """Wrong parameters have Binance's errors, and each is counted."""
    with StandIn(synthetic=5) as x:
        async with Client(x) as client:
            cases = (("spot", "depth", -1102), ("spot", "depth?symbol=", -1105),
                     ("spot", "depth?symbol=BTCUSDT&x=1", -1104),
                     ("spot", "depth?symbol=BTCUSDT&symbol=BTCUSDT", -1101),
                     ("spot", "depth?symbol=btcusdt", -1100),
                     ("spot", "depth?symbol=BTCUSDT&limit=a", -1100),
                     ("spot", "trades?symbol=BTCUSDT&limit=1001", -1130),
                     ("spot", "klines?symbol=BTCUSDT&interval=1x", -1120),
                     ("usdm", "klines?symbol=BTCUSDT&interval=1s", -1120),
                     ("usdm", "depth?symbol=BTCUSDT&limit=7", -4021),
                     ("usdm", "historicalTrades?symbol=BTCUSDT", -2014),
                     ("spot", "aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128))
            for market, path, code in cases:
                status, body = await client.get(path, market)
                check(status in (400, 401) and body["code"] == code, path, status, body)
            check(x.counters()["violations"] == len(cases), "each is counted", x.counters())
            status, body = await client.get("depth?symbol=NOSUCH")
            check((status, body["code"]) == (400, -1121), "no such symbol", body)
            check(x.counters()["violations"] == len(cases), "a symbol may have gone")
            body = await client.result("depth?symbol=BTCUSDT&limit=9999")
            check(len(body["bids"]) > 1000, "spot clamps the limit of depth", len(body["bids"]))


async def weights():
    """Weights add up as the tables say; over the limit is 429, going on is 418."""
    with StandIn(synthetic=5, spot_weight=100, strikes_max=2, ban_s=3600,
                 window_ms=ENDLESS_MS) as x:
        async with Client(x) as client:
            used = 0
            for path, weight in (("ping", 1), ("exchangeInfo", 20),
                                 ("depth?symbol=BTCUSDT&limit=100", 5),
                                 ("depth?symbol=BTCUSDT&limit=1000", 50),
                                 ("klines?symbol=BTCUSDT&interval=1m&limit=10", 2)):
                await client.result(path)
                used += weight
                check(int(client.headers["X-MBX-USED-WEIGHT-1M"]) == used, "weight of " + path,
                      dict(client.headers))
            seen = []
            for _ in range(5):
                status, body = await client.get("historicalTrades?symbol=BTCUSDT&limit=1")
                seen.append(status)
                if status != 200:
                    check(body["code"] == -1003, "its code", body)
                    check(int(client.headers["Retry-After"]) > 0, "when to come again")
            check(seen == [429, 429, 418, 418, 418], "429 at first, then 418", seen)
            check((await client.get("time", "usdm"))[0] == 200, "the other market is free")
            check(x.counters()["violations_by_kind"] == {"banned": 1}, "counted", x.counters())
            check(x.counters()["weights"]["spot"]["bans"] == 1, "one ban", x.counters())
    with StandIn(synthetic=5, spot_weight=3, window_ms=ENDLESS_MS, strikes_max=1000) as x:
        async with Client(x) as client:
            seen = [(await client.get("ping"))[0] for _ in range(5)]
            check(seen == [200, 200, 200, 429, 429], "as much as is allowed", seen)
            x.settings(window_ms=300)
            for kind, status in (("weight_full", 429), ("ban", 418)):
                x.fault(kind, seconds=0.3)
                check((await client.get("ping"))[0] == status, "refused", kind)
                while (await client.get("ping"))[0] != 200:
                    await asyncio.sleep(POLL_S)


def pings_at_once(x, market, path, count):
    """All that is answered to so many pings in one segment."""
    heard = b""
    with socket.create_connection(("127.0.0.1", x.ports[market]), PATIENCE_S) as raw:
        raw.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                    b"\r\n" % path.encode())
        while b"\r\n\r\n" not in heard:
            heard += raw.recv(4096)
        raw.sendall(b"\x89\x80\0\0\0\0" * count)
        while more := raw.recv(4096):
            heard += more
    return heard


async def pace():
    """Too many messages a second end the connection; five or ten do not."""
    with StandIn(synthetic=5) as x:
        async with Client(x) as client:
            for market, path, most in (("spot", "/ws", 5), ("usdm", "/public/ws", 10)):
                async with client.open(path, market) as ws:
                    for n in range(most):
                        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": n})
                    await hear(ws, lambda m, last=most - 1: m.get("id") == last)
                    check(x.counters()["violations"] == (market == "usdm"), "still well", market)
                heard = pings_at_once(x, market, path, most + 1)
                check(b"\x03\xf0Too many" in heard, "over the pace", market, heard)
            check(x.counters()["violations_by_kind"] == {"pace": 2}, "counted", x.counters())


async def attempts():
    """Connection attempts are counted; too many are refused."""
    with StandIn(synthetic=5, attempts_max=3) as x:
        async with Client(x) as client:
            for _ in range(3):
                async with client.open("/ws"):
                    pass
            try:
                async with client.open("/ws"):
                    check(False, "the fourth is refused")
            except aiohttp.WSServerHandshakeError as e:
                check(e.status == 429, "refused", e.status)


async def pings():
    """Pings come; who echoes them stays, who does not is cut; ours are answered."""
    with StandIn(synthetic=5, spot="", usdm="", ping_ms=40, pong_ms=3000, inbound_max=1000) as x:
        begun = time.monotonic()
        async with Client(x) as client, client.open("/ws") as good, client.open("/ws") as bad:
            await good.ping(b"mine")
            seen, payloads = set(), []
            ended = asyncio.create_task(end_of(bad))
            while not ended.done():
                message = await receive(good)
                seen.add(message.type)
                if message.type == aiohttp.WSMsgType.PING:
                    payloads.append(bytes(message.data))
                    if len(payloads) % 10 == 1:  # a later pong speaks for those before it
                        await good.pong(message.data)
                elif message.type == aiohttp.WSMsgType.PONG:
                    check(bytes(message.data) == b"mine", "our payload comes back")
            check(time.monotonic() - begun >= 3, "not before the deadline")
            check(await ended == 1008 and len(payloads) > 3, "cut without a pong", payloads)
            check(aiohttp.WSMsgType.PONG in seen, "our ping was answered")
            check(x.counters()["violations_by_kind"] == {"pong": 1}, "counted", x.counters())
        async with Client(x) as client, client.open("/ws") as ws:
            await ws.pong(b"not asked for")
            check((await ask(ws, "LIST_SUBSCRIPTIONS"))["result"] == [], "allowed")
    with StandIn(synthetic=5, life_ms=150) as x:
        async with Client(x) as client, client.open("/ws") as ws:
            check(await end_of(ws) == 1001, "a life has an end")


TESTS = [books, quotes, trades, aggregates, past, usdm, requests, parameters, weights, pace,
         attempts, pings] + faults_test.TESTS + sources_test.TESTS \
    + signed_test.TESTS + trading_test.TESTS + user_streams_test.TESTS


def run(test):
    at = time.monotonic()
    try:
        asyncio.run(test())
        return None, time.monotonic() - at
    except Exception:
        return traceback.format_exc(), time.monotonic() - at


def main(names):
    known = {test.__name__: test for test in TESTS}
    begun, failed = time.monotonic(), []
    # Each waits for a market of its own most of the time.
    with concurrent.futures.ThreadPoolExecutor(TESTS_AT_ONCE) as pool:
        running = {name: pool.submit(run, known[name]) for name in names or known}
        for name, result in running.items():
            trace, seconds = result.result()
            print("%-16s %4.1f s  %s" % (name, seconds, trace or "well"), flush=True)
            failed += [name] if trace else []
    print("%d tests, %.1f s; failed: %s" % (len(running), time.monotonic() - begun,
                                            " ".join(failed) or "none"))
    if not os.environ.get("SCRIP_DATA"):
        print("SCRIP_DATA is not set: the recorded market was not tried")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
