"""sources_test - the recorded market and the flood.

The recorded one is tried when SCRIP_DATA names the folder of the recordings.

SPDX-License-Identifier: Apache-2.0
"""
import json
import lzma
import os
import re
import time

from client import Client, NaiveBook, check, hear
from standin import StandIn

RAW = {"spot": ("spot_btcusdt_20240808.txt.xz", "spot_btcusdt_20240809.txt.xz"),
       "usdm": ("usdm_btcusdt_20240808.txt.xz",)}


def recordings(market):
    folder = os.environ.get("SCRIP_DATA")
    paths = [os.path.join(folder or "", "l2_raw", name) for name in RAW[market]]
    return paths if folder and all(os.path.exists(p) for p in paths) else None


async def follow(client, market, count):
    """A recorded book from the wire: `count` quotes are its best levels, and it is the true one."""
    url = "%s/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms" % (
        "" if market == "spot" else "/public")
    async with client.open(url, market) as ws:
        book, compared, quotes = NaiveBook(market), 0, {}
        held = [(await hear(ws, lambda m: "depth" in m["stream"]))["data"]]
        book.snapshot(await client.result("depth?symbol=BTCUSDT&limit=1000", market))
        while compared < count:
            m = await hear(ws) if not held else None
            d = held.pop() if m is None else m["data"]
            if m is not None and "bookTicker" in m["stream"]:
                quotes[d["u"]] = [d[k] for k in "bBaA"]
                continue
            check(book.diff(d), "each diff follows the one before it", book.id, d)
            if book.id in quotes and not book.is_first:
                best = [v for side in "ba" for v in book.top(side, 1)[0]]
                check([str(v) for v in best] == quotes[book.id], "the best prices", best)
                compared += 1
        truth = client.x.truth("BTCUSDT", market, update_id=book.id, levels=200)
        check(book.differs(truth, 200) is None, "the true book", book.differs(truth, 200))


async def recorded_books():
    """Books of the recorded market, fast; the recorded quotes are the judge."""
    for market in ("spot", "usdm"):
        paths = recordings(market)
        if not paths:
            return
        with StandIn(recording=paths, speed=10) as x:
            async with Client(x) as client:
                await follow(client, market, 40)
                begun = time.time() * 1000
                at = (await client.result("time", market))["serverTime"]
                check(begun - 1000 < at < time.time() * 1000 + 1000, "the time is now", at)
            check(x.counters()["violations"] == 0, "nothing was done wrong", x.counters())


def trades_of(path):
    """The ids of the recorded trades, read without the server's help."""
    with lzma.open(path, "rt", encoding="ascii") as file:
        return [int(found.group(1)) for found in
                (re.search(r'"e":"trade".*"t":(\d+)', line) for line in file) if found]


async def recorded_trades():
    """All trades of a recorded market from its snapshot to its end, at thirty times its pace."""
    paths = recordings("usdm")
    if not paths:
        return
    recorded = trades_of(paths[0])
    with StandIn(recording=paths, speed=30, begin="quiet") as x:
        async with Client(x) as client, client.open(
                "/market/stream?streams=btcusdt@aggTrade/btcusdt@kline_1m", "usdm") as ws:
            first = x.truth("BTCUSDT", "usdm")["next_trade"]
            check(first in recorded, "it begins with a recorded one", first)
            x.run("BTCUSDT", "usdm")
            ids, begun, at, number = [], None, 0, None
            while not ids or ids[-1] < recorded[-1]:
                d = (await hear(ws))["data"]
                if d["e"] == "aggTrade":
                    check(number is None or d["a"] == number + 1, "one follows the other", d)
                    check(at <= d["T"] <= time.time() * 1000 + 5, "in order, and not to come", d)
                    number, at = d["a"], d["T"]
                    begun = begun or at // 60000 * 60000
                    ids += range(d["f"], d["l"] + 1)
            check(ids == recorded[recorded.index(first):], "all of them, once", len(ids))
            x.wait(lambda: x.counters()["is_finished"], "the end of the recording")
            rows = x.klines("BTCUSDT", "usdm", start=begun)
            check(sum(r[8] for r in rows) == len(ids), "its candles know them", rows[-1])


async def recorded_times():
    """With their own times kept, trades are the recorded ones, and the clock is theirs."""
    paths = recordings("spot")
    if not paths:
        return
    with StandIn(recording=paths, times="recorded", begin="quiet") as x:
        async with Client(x) as client, client.open("/ws/btcusdt@trade") as ws:
            x.run("BTCUSDT")
            trade = await hear(ws)
            with lzma.open(paths[0], "rt", encoding="ascii") as file:
                line = next(line for line in file if '"t":%d,' % trade["t"] in line)
            check(json.loads(line.partition(" ")[2])["data"] == trade, "as recorded", trade, line)
            now = (await client.result("time"))["serverTime"]
            check(0 <= now - trade["E"] < 3600000, "the clock of the recording", now, trade)
            minute = trade["T"] // 60000 * 60000
            its = (await client.result("klines?symbol=BTCUSDT&interval=1m&startTime=%d&limit=1"
                                       % minute))[0]
            check(its[0] == minute and its[8] > 0, "its candle", its)
            x.settings(rate=50)
            await hear(ws, lambda d: d["T"] > trade["T"] + 60000)
            later = (await client.result("time"))["serverTime"]
            check(later > now + 60000, "fifty times as fast", now, later)


async def same_seed():
    """The same seed makes the same market, whatever the clock says."""
    runs = []
    for rate in (400, 3000):
        with StandIn(synthetic=11, rate=rate, spot="ETHUSDT,BNBUSDT", usdm="ETHUSDT") as x:
            for market in ("spot", "usdm"):
                first = x.truth("ETHUSDT", market)["first_trade"]
                x.wait(lambda at=market, n=first: x.truth("ETHUSDT", at)["next_trade"] > n + 200,
                       "trades")
                runs.append([[t[k] for k in ("id", "price", "qty", "isBuyerMaker")]
                             for t in x.trades("ETHUSDT", market, first, first + 200)])
    check(runs[:2] == runs[2:], "the same trades", runs[0][:3], runs[2][:3])
    check(runs[0] != runs[1], "and each market its own")


async def flood():
    """A flood: every diff follows, snapshots fit, and it leaves room on its core."""
    with StandIn(flood=4, flood_spot=200) as x:
        async with Client(x) as client:
            names = [s["symbol"].lower() for s in x.symbols(market="spot")]
            check(len(names) == 200, "all listed", len(names))
            async with client.open("/stream") as ws:
                for kind in ("depth@100ms", "bookTicker", "trade"):
                    await ws.send_json({"method": "SUBSCRIBE", "id": kind,
                                        "params": ["%s@%s" % (name, kind) for name in names]})
                ids, trades, count, books = {}, {}, 0, {}
                follower = names[7]
                begun, used = time.monotonic(), cpu_s(x.process.pid)
                while time.monotonic() - begun < 3 or len(trades) <= 150 or follower not in books:
                    m = await hear(ws, lambda m: "stream" in m)
                    d, name = m["data"], m["stream"].partition("@")[0]
                    count += 1
                    if d.get("e") == "trade":
                        check(trades.get(name, d["t"] - 1) == d["t"] - 1, "no hole", d)
                        trades[name] = d["t"]
                    elif "U" in d:
                        check(ids.get(name, d["U"] - 1) == d["U"] - 1, "each diff follows", d)
                        ids[name] = d["u"]
                        if name == follower and name not in books:
                            books[name] = NaiveBook("spot")
                            books[name].snapshot(await client.result(
                                "depth?symbol=%s&limit=1000" % name.upper()))
                        if name == follower:
                            check(books[name].diff(d), "its book follows", d["U"])
                seconds = time.monotonic() - begun
                used = cpu_s(x.process.pid) - used
                truth = x.truth(follower.upper(), update_id=books[follower].id, levels=400)
                check(books[follower].differs(truth, 400) is None, "its book is true",
                      books[follower].differs(truth, 400))
                print("flood: %.0f messages/s of 200 symbols, %.0f %% of a core"
                      % (count / seconds, 100 * used / seconds))


async def usdm_flood():
    """A flood of futures: diffs are chained, trades and marks come, its book is the true one."""
    with StandIn(flood=4, flood_spot=0, flood_usdm=30) as x:
        async with Client(x) as client:
            async with client.open("/market/stream?streams=solusdt@aggTrade/solusdt@markPrice@1s",
                                   "usdm") as ws:
                for kind in ("aggTrade", "markPriceUpdate"):
                    await hear(ws, lambda m, e=kind: m["data"]["e"] == e)
            url = "/public/stream?streams=solusdt@depth@100ms"
            async with client.open(url, "usdm") as ws:
                book = NaiveBook("usdm")
                held = [(await hear(ws))["data"]]
                book.snapshot(await client.result("depth?symbol=SOLUSDT&limit=1000", "usdm"))
                held += [(await hear(ws))["data"] for _ in range(40)]
                check(all(book.diff(d) for d in held), "each diff follows", book.id)
                truth = x.truth("SOLUSDT", "usdm", update_id=book.id, levels=400)
                check(book.differs(truth, 400) is None, "the true book", truth["update_id"])


def cpu_s(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


TESTS = [recorded_books, recorded_trades, recorded_times, same_seed, flood, usdm_flood]
