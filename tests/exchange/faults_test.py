"""faults_test - every fault of the stand-in exchange, seen on the wire.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import socket

import aiohttp

from client import ENDLESS_MS, Client, NaiveBook, ask, check, end_of, hear, met, receive
from standin import StandIn

TRADES = "/stream?streams=btcusdt@trade"


async def ids(ws, count):
    return [(await hear(ws))["data"]["t"] for _ in range(count)]


async def lost_and_doubled():
    """drop, duplicate, reorder, late and trade_gap on a stream of trades."""
    with StandIn(synthetic=5, rate=0) as x:
        async with Client(x) as client, client.open(TRADES) as ws, client.open(TRADES) as other:
            first = x.truth("BTCUSDT")["next_trade"]
            fault = x.fault("drop", stream="btcusdt@trade", count=3, skip=1)["fault"]
            x.trade("BTCUSDT", count=6)
            check(await ids(ws, 3) == [first, first + 4, first + 5], "three are lost")
            check(await ids(other, 3) == [first, first + 4, first + 5], "for all")
            view = x.fault_view(fault)
            check(view["over"] and [t["t"] for t in view["told"]] == [first + 1, first + 2,
                                                                     first + 3], "told", view)
            again = await client.result("historicalTrades?symbol=BTCUSDT&fromId=%d&limit=3"
                                        % (first + 1))
            check([t["id"] for t in again] == [first + 1, first + 2, first + 3], "they heal")
            check(x.count("heals") == 1, "counted")
            first += 6
            mine = min(c["connection"] for c in x.connections())
            x.fault("duplicate", stream="btcusdt@*", connection=mine)
            x.trade("BTCUSDT", count=2)
            check(await ids(ws, 3) == [first, first, first + 1], "twice")
            check(await ids(other, 2) == [first, first + 1], "on one connection alone")
            first += 2
            x.fault("reorder", stream="btcusdt@trade")
            x.trade("BTCUSDT", count=3)
            check(await ids(ws, 3) == [first + 1, first, first + 2], "changed places")
            first += 3
            x.fault("trade_gap", symbol="BTCUSDT", count=2)
            x.trade("BTCUSDT", count=3)
            check(await ids(ws, 1) == [first + 2], "a gap of trades")
            first += 3
            x.fault("late", stream="btcusdt@trade", count=2, seconds=0.2)
            x.trade("BTCUSDT", count=4)
            check(await ids(ws, 4) == [first + 2, first + 3, first, first + 1], "overtaken")


async def behind():
    """One of two connections hears everything later; nothing is lost or turned round."""
    with StandIn(synthetic=5, rate=200) as x:
        async with Client(x) as client, client.open(TRADES) as fast, client.open(TRADES) as slow:
            await asyncio.gather(hear(fast), hear(slow))
            x.fault("lag", connection=max(c["connection"] for c in x.connections()), seconds=2)
            first = x.trade("BTCUSDT", count=5)["first"]

            async def heard_at(ws):
                await hear(ws, lambda m: m["data"]["t"] == first)
                at = asyncio.get_running_loop().time()
                check(await ids(ws, 20) == list(range(first + 1, first + 21)), "in order")
                return at
            at = await asyncio.gather(heard_at(fast), heard_at(slow))
            check(at[1] > at[0] + 0.1, "later", at)


async def stale_stream():
    """One stream of a symbol falls silent, the others go on."""
    with StandIn(synthetic=5, rate=200) as x:
        async with Client(x) as client, \
                client.open("/stream?streams=btcusdt@trade/btcusdt@depth@100ms") as ws:
            await hear(ws, lambda m: m["data"]["e"] == "trade")
            fault = x.fault("stale", stream="btcusdt@depth@100ms")["fault"]
            x.wait(lambda: x.fault_view(fault)["done"] >= 3, "diffs are swallowed")
            last = x.truth("BTCUSDT")["next_trade"]
            seen = []
            await hear(ws, lambda m: seen.append(m) or m["data"].get("t", 0) >= last)
            lost = x.fault_view(fault)["told"][0]["u"]
            check(not any(m["data"].get("u", 0) >= lost for m in seen), "no diff came")
            x.end_fault(fault)
            await hear(ws, lambda m: m["data"].get("u", 0) > lost)


async def connections():
    """cut, half, close, expire, shutdown: how connections end."""
    with StandIn(synthetic=5, rate=200, tls=True) as x:
        async with Client(x) as client:
            for kind, code in (("cut", None), ("half", None), ("close", 1001), ("expire", 1001)):
                async with client.open(TRADES) as ws, client.open("/stream") as other:
                    await hear(ws)
                    x.fault(kind, stream="btcusdt@trade")
                    check(await end_of(ws) == code, kind)
                    check((await ask(other, "LIST_SUBSCRIPTIONS"))["result"] == [], "the other")
            async with client.open(TRADES) as ws:
                x.fault("shutdown", seconds=3)
                said = await hear(ws, lambda m: m["stream"] == "!serverShutdown")
                check(said["data"]["e"] == "serverShutdown", "said before", said)
                await hear(ws)
                check(await end_of(ws) == 1001, "and then the end")
            x.wait(lambda: not x.connections(), "all are gone")


async def silence():
    """Open, but nothing comes; and pings that are not sent or not answered."""
    # Whoever did not read for a while answers many pings at once.
    with StandIn(synthetic=5, rate=200, ping_ms=40, inbound_max=1000, spot="BTCUSDT",
                 usdm="") as x:
        async with Client(x) as client, client.open(TRADES) as ws, client.open("/ws") as other:
            await hear(ws)
            x.fault("silence", stream="btcusdt@trade")
            mark = x.truth("BTCUSDT")["next_trade"]
            await ws.ping(b"there?")
            x.wait(lambda: x.count("pings_heard") == 1, "the ping arrives")
            x.wait(lambda: x.truth("BTCUSDT")["next_trade"] > mark + 20, "the market goes on")
            # What had been sent before is read; then there is nothing.
            while ws._reader._buffer:
                check((await receive(ws)).type != aiohttp.WSMsgType.PONG, "no answer")
            check(x.connections()[0]["is_silent"], "silent", x.connections())
            await receive(other)
            x.fault("deaf")
            x.fault("no_pings")
            sent = x.count("pings_sent")
            await other.ping(b"there?")
            x.wait(lambda: x.count("pings_heard") == 2, "the ping arrives")
            check((await ask(other, "LIST_SUBSCRIPTIONS"))["result"] == [], "but it is open")
            check(x.count("pings_sent") - sent <= 1, "no more pings")


async def refused():
    """New connections and SUBSCRIBEs are refused for a while."""
    with StandIn(synthetic=5) as x:
        async with Client(x) as client:
            x.fault("refuse", count=1)
            x.fault("refuse", count=1, how="tcp")
            for wanted in (aiohttp.WSServerHandshakeError, aiohttp.ClientError):
                try:
                    async with client.open("/ws"):
                        check(False, "refused")
                except wanted:
                    pass
            async with client.open("/ws") as ws:
                x.fault("refuse_subscribe", count=1)
                x.fault("refuse_subscribe", count=1, nested=True)
                answer = await ask(ws, "SUBSCRIBE", ["btcusdt@trade"], 7)
                check(answer["error"]["code"] == 2 and answer["id"] == 7, "refused", answer)
                answer = await ask(ws, "SUBSCRIBE", ["btcusdt@trade"], 8)
                check(answer == {"result": None, "id": 8}, "taken", answer)


async def rest_faults():
    """Errors, halves and silence instead of answers."""
    with StandIn(synthetic=5, rate=200) as x:
        async with Client(x) as client:
            x.fault("rest_error", path="depth", status=503, code=-1000)
            check((await client.get("time"))[0] == 200, "another path")
            status, body = await client.get("depth?symbol=BTCUSDT")
            check((status, body["code"]) == (503, -1000), "an error", body)
            x.fault("rest_error", status=429, code=-1003, retry_after=7)
            check((await client.get("time"))[0] == 429, "an error")
            check(client.headers["Retry-After"] == "7", "when to come again", client.headers)
            for kind in ("rest_half", "rest_cut"):
                x.fault(kind, path="depth")
                try:
                    await client.get("depth?symbol=BTCUSDT&limit=1000")
                    check(False, "no whole answer", kind)
                except aiohttp.ClientError:
                    pass
            mute = x.fault("rest_timeout")["fault"]
            asking = asyncio.create_task(client.get("depth?symbol=BTCUSDT"))
            await met(x, mute)
            check(not (await asyncio.wait({asking}, timeout=0.3))[0], "no answer")
            asking.cancel()
            x.fault("rest_slow", seconds=0.1)
            await client.result("depth?symbol=BTCUSDT")


async def limits_at_once():
    """A window that is full and a ban begin with the next request, however long it takes to
    come."""
    with StandIn(synthetic=5, window_ms=ENDLESS_MS) as x:
        async with Client(x) as client:
            await client.result("time")
            taken_back = x.fault("weight_full")["fault"]
            x.end_fault(taken_back)
            await client.result("time")
            full = x.fault("weight_full")["fault"]
            x.settings(window_ms=2 * ENDLESS_MS)  # another one than that in which it was told
            check(not x.fault_view(full)["over"], "it waits", x.fault_view(full))
            for _ in range(2):
                check((await client.get("time"))[0] == 429, "the window is full")
                check(int(client.headers["Retry-After"]) > 0, "until it ends", client.headers)
            check(x.fault_view(full)["over"], "that one alone", x.fault_view(full))
            x.settings(window_ms=ENDLESS_MS)
            await client.result("time")
            check(x.count("rest_429") == 2, "counted", x.counters())
            ban = x.fault("ban", seconds=3600)["fault"]
            await client.result("time", "usdm")
            check(not x.fault_view(ban)["over"], "it waits, too", x.fault_view(ban))
            status, body = await client.get("time")
            check(status == 418 and "banned until" in body["msg"], "banned", status, body)
            check(3590 < int(client.headers["Retry-After"]) <= 3600, "from now on",
                  client.headers)


async def old_snapshot():
    """A snapshot that is older than the diffs that were heard."""
    with StandIn(synthetic=5, rate=200) as x:
        async with Client(x) as client, \
                client.open("/stream?streams=btcusdt@depth@100ms") as ws:
            held = [(await hear(ws))["data"] for _ in range(7)]
            stale = x.fault("stale_snapshot", symbol="BTCUSDT", age=40)["fault"]
            old = await client.result("depth?symbol=BTCUSDT&limit=100")
            told = x.fault_view(stale)["told"][0]
            check(old["lastUpdateId"] == told["lastUpdateId"] < told["true"], "it is old", told)
            book = NaiveBook("spot")
            book.snapshot(await client.result("depth?symbol=BTCUSDT&limit=100"))
            check(book.id >= held[-1]["u"], "the next one is true", book.id, held[-1]["u"])


async def markets():
    """Quiet, halted, listed and delisted symbols."""
    with StandIn(synthetic=5, rate=200) as x:
        async with Client(x) as client, \
                client.open("/stream?streams=btcusdt@kline_1s/newusdt@trade") as ws:
            x.quiet("BTCUSDT")
            flat = await hear(ws, lambda m: m["data"]["e"] == "kline" and m["data"]["k"]["x"]
                              and m["data"]["k"]["n"] == 0)
            k = flat["data"]["k"]
            check(k["o"] == k["h"] == k["l"] == k["c"] and (k["f"], k["L"]) == (-1, -1), "flat", k)
            x.halt("BTCUSDT")
            info = await client.result("exchangeInfo?symbol=BTCUSDT")
            check(info["symbols"][0]["status"] == "HALT", "halted", info)
            x.list("NEWUSDT")
            check((await hear(ws, lambda m: m["stream"] == "newusdt@trade"))["data"]["s"]
                  == "NEWUSDT", "a new symbol is heard of by who had asked for it")
            x.run("BTCUSDT")
            await hear(ws, lambda m: m["stream"] == "btcusdt@kline_1s" and m["data"]["k"]["n"])
            x.delist("NEWUSDT")
            status, body = await client.get("depth?symbol=NEWUSDT")
            check((status, body["code"]) == (400, -1121), "gone", body)


async def slow_reader():
    """Who does not read is cut, and nobody else is held up."""
    with StandIn(synthetic=5, rate=5000, spot="BTCUSDT", usdm="", buffer_bytes_max=20000,
                 socket_bytes=8192) as x:
        async with Client(x) as client, client.open(TRADES) as ws:
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(("127.0.0.1", x.ports["spot"]))
                slow.sendall(b"GET /stream?streams=btcusdt@trade/btcusdt@depth20@100ms HTTP/1.1\r\n"
                             b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             b"Sec-WebSocket-Version: 13\r\n"
                             b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
                while x.count("slow_cut") == 0:
                    await hear(ws)
            x.wait(lambda: len(x.connections()) == 1, "one is left")
            await hear(ws)


async def dice():
    """Faults by dice come and are told."""
    with StandIn(synthetic=5, rate=200, faults="every=20ms,seed=7,kinds=drop+duplicate+cut") as x:
        async with Client(x) as client:
            cuts = 0
            while cuts < 3:
                try:
                    async with client.open(TRADES) as ws:
                        check(await end_of(ws) is None, "cut")
                except aiohttp.ClientError:
                    pass  # before it was heard that it is open
                cuts += 1
            kinds = {f["kind"] for f in x.get("faults")}
            check("cut" in kinds, "told", kinds)


TESTS = [lost_and_doubled, behind, stale_stream, connections, silence, refused, rest_faults,
         limits_at_once, old_snapshot, markets, slow_reader, dice]
