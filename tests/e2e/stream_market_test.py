#!/usr/bin/python3
"""The market on the WebSocket: a client's book is the market's, however slowly the client reads.

A recording grows as the story says. A client that applies depth_snapshot and depth has at every
update id the book that GET /api/market/depth shows. One that stops reading is not cut off: it gets
the changes of the book in one, the newest tick, every closed candle, the trades that are still kept
and how many it missed; and what waits for it takes no memory of the gateway. Subscriptions of a
symbol that is removed end, and it can be followed again when it is back.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import json
import os
import random
import socket
import struct
import time

from books import amount
from stack import HttpError, Stack, check, tell, wait_for

MINUTE_MS = 60_000
ROUNDS, CHANGES = 40, 20
LAG_TRADES, LAG_CHANGES, SLOW_CLIENTS = 6000, 12000, 10
MEMORY_KIB = 20_000


class Recording:
    """A market of one symbol with a deep book, line by line."""

    # A candle of the past is closed as often as it is told, every candle_ms as long as it changes:
    # all that a slow machine tells of them is kept, and few of the trades.
    settings = {"marketdata": "stale_ms = 3600000\nprice_ms = 10\nbeat_ms = 100\ncandle_ms = 100\n",
                "gateway": "stream_kept_messages = 1024\nstream_unsent_bytes = 8192\n"}

    def __init__(self):
        self.dice = random.Random(5)
        self.path = None
        self.update_id, self.trade_id = 1000, 5000
        # Whole minutes of the past, so that candles close by themselves.
        self.time_ms = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS - 400 * MINUTE_MS
        self.sides = [{}, {}]  # price: quantity
        self.last = None

    def write(self, path):
        """The market as it opens; for Stack(market=...)."""
        self.path = path
        for step in range(1, 200):
            self.sides[0][50000 - step] = self.sides[1][50000 + step] = step
        book = {"lastUpdateId": self.update_id, "bids": self.levels(0, self.sides[0]),
                "asks": self.levels(1, self.sides[1])}
        self.put([self.line("snapshot", book), self.trade()])
        os.environ["SCRIP_MARKETDATA_SOURCES"] = (
            "playback:%s:speed=max:clock=kept:follow=1" % path)
        return path

    @staticmethod
    def levels(side, levels):
        return [["%d.00" % price, "%d.00000" % levels[price]]
                for price in sorted(levels, reverse=side == 0)]

    @staticmethod
    def line(stream, data):
        text = json.dumps({"stream": "btcusdt@" + stream, "data": data}, separators=(",", ":"))
        return "%d %s\n" % (time.time_ns(), text)

    def put(self, lines):
        with open(self.path, "a", encoding="ascii") as file:
            file.writelines(lines)

    def change(self):
        """A few levels of the book change."""
        changed = [{}, {}]
        for _ in range(self.dice.randrange(1, 12)):
            side = self.dice.randrange(2)
            away = self.dice.choice((1, 2, 3, 5, 8, 30, 150, 300))
            price = 50000 + away * (1 if side else -1)
            quantity = self.dice.choice((0, self.dice.randrange(1, 1000)))
            changed[side][price] = self.sides[side][price] = quantity
        first, self.update_id = self.update_id + 1, self.update_id + self.dice.randrange(1, 4)
        return self.line("depth@100ms", {
            "e": "depthUpdate", "E": self.time_ms, "s": "BTCUSDT", "U": first,
            "u": self.update_id, "b": self.levels(0, changed[0]), "a": self.levels(1, changed[1])})

    def trade(self, price=None):
        self.time_ms += 1000
        self.trade_id += 1
        self.last = price or 49999 + self.dice.randrange(3)
        return self.line("trade", {"e": "trade", "E": self.time_ms, "s": "BTCUSDT",
                                   "t": self.trade_id, "p": "%d.00" % self.last, "q": "0.01000",
                                   "T": self.time_ms, "m": True, "M": True})


class Book:
    """What a client knows from depth_snapshot and depth."""

    def __init__(self):
        self.update_id = self.sequence = None
        self.sides = {}
        self.snapshots = self.changes = 0

    def take(self, event):
        data = event["data"]
        if event["event"] == "depth_snapshot":
            self.snapshots += 1
            self.sides = {"bids": {}, "asks": {}}
        else:
            self.changes += 1
            check(event["previous_sequence"] == self.sequence, "no change is missing", event,
                  self.sequence)
            check(data["first_update_id"] == self.update_id + 1, "nor an update id", event)
        for side, levels in self.sides.items():
            for level in data[side]:
                levels[level["price"]] = level["quantity"]
                if amount(level["quantity"]) == 0:
                    del levels[level["price"]]
        self.update_id, self.sequence = data["last_update_id"], data["sequence"]

    def is_like(self, book):
        """Whether it is the book of an answer."""
        return self.update_id == book["last_update_id"] and all(
            levels == {level["price"]: level["quantity"] for level in book[side]}
            for side, levels in self.sides.items())


class SlowClient:
    """A WebSocket that takes little at a time, and nothing while nobody calls read()."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
                             "Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n"
                             % key).encode())
        self.file = self.socket.makefile("rb", buffering=4096)
        check(b"101" in self.file.readline(), "the upgrade is taken")
        while self.file.readline() != b"\r\n":
            pass

    def frame(self, kind, payload):
        head = struct.pack(">BBH", 0x80 | kind, 0x80 | 126, len(payload)) + b"\0\0\0\0"
        self.socket.sendall(head + payload)

    def say(self, **operation):
        self.frame(1, json.dumps(operation).encode())

    def read(self):
        """The next message."""
        while True:
            kind, length = struct.unpack(">BB", self.file.read(2))
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self.file.read(size), "big")
            data = self.file.read(length)
            check(kind != 0x88, "the client is not cut off", data)
            if kind == 0x89:
                self.frame(10, data)
            if kind == 0x81:
                return json.loads(data)

    def ask(self, **operation):
        self.say(**operation)
        while "op" not in (message := self.read()):
            pass
        check(message.get("ok"), "%s is done" % operation["op"], message)


def depth(client):
    return client.call("GET", "/api/market/depth", query={"symbol": "BTCUSDT", "limit": 5000})


def follow(stream, book, update_id):
    while book.update_id != update_id:
        message = stream.receive()
        check(message is not None, "the book goes on", book.update_id, update_id)
        if message.get("event", "").startswith("depth"):
            book.take(message)


def quick(stack, market):
    """At every update id the client has the market's book; many times, and a second one from the
    middle."""
    client = stack.client()
    streams = [(client.stream(follow=False), Book())]
    streams[0][0].ask(op="subscribe", channel="depth", symbols=["BTCUSDT"], levels=5000)
    streams[0][0].ask(op="subscribe", channel="trades", symbols=["BTCUSDT"])
    first = market.trade_id
    for number in range(ROUNDS):
        if number == ROUNDS // 2:
            streams.append((client.stream(follow=False), Book()))
            streams[1][0].ask(op="subscribe", channel="depth", symbols=["BTCUSDT"], levels=5000)
        market.put([market.change() for _ in range(CHANGES)] + [market.trade()])
        truth = wait_for(lambda: (b := depth(client))["last_update_id"] == market.update_id and b,
                         "market data has the changes")
        for stream, book in streams:
            for event in stream.events:  # what ask() has heard
                if book.update_id is None and event["event"] == "depth_snapshot":
                    book.take(event)
            follow(stream, book, market.update_id)
            check(book.is_like(truth), "the client's book is the market's", number, truth)
    streams[0][0].wait(lambda e: e["event"] == "trades" and
                       e["data"]["trade"]["trade_id"] == market.trade_id)
    trades = [e["data"]["trade"]["trade_id"] for e in streams[0][0].events
              if e["event"] == "trades"]
    check(trades == list(range(first + 1, market.trade_id + 1)), "every trade came", trades, first)
    check(streams[0][1].snapshots == 1, "one snapshot is enough", streams[0][1].snapshots)
    check(streams[0][1].changes >= ROUNDS // 2, "and then changes", streams[0][1].changes)
    short = client.stream(follow=False)
    short.ask(op="subscribe", channel="depth", symbols=["BTCUSDT"], levels=7)
    first = short.wait(lambda e: e["event"] == "depth_snapshot")
    check([len(first["data"][side]) for side in ("bids", "asks")] == [7, 7],
          "as many levels as were asked", first)
    for stream in (short, *(s for s, _ in streams)):
        stream.close()


def memory_kib(stack):
    with open("/proc/%d/status" % stack.pid("gateway"), encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def lag(stack, market):
    """Clients that stop reading, while the market moves on."""
    slow = [SlowClient(stack.url_port) for _ in range(SLOW_CLIENTS)]
    for client in slow:
        client.ask(op="subscribe", channel="trades", symbols=["BTCUSDT"])
        client.ask(op="subscribe", channel="ticks", symbols=["BTCUSDT"])
        client.ask(op="subscribe", channel="candles", symbols=["BTCUSDT"], interval="3m")
        client.ask(op="subscribe", channel="depth", symbols=["BTCUSDT"], levels=5000)
        while client.read().get("event") != "depth_snapshot":
            pass
    for client in slow:  # again, so that each knows where its book begins
        client.ask(op="subscribe", channel="depth", symbols=["BTCUSDT"], levels=5000)
    before = memory_kib(stack)
    first = market.trade_id
    for part in range(20):
        market.put(market.change() if (n + part) % (LAG_TRADES // 2000) else market.trade()
                   for n in range((LAG_TRADES + LAG_CHANGES) // 20))
    market.put([market.change(), market.trade(50007)])
    wait_for(lambda: amount(stack.client().ticker()["last_price"]) == 50007,
             "market data has it all")
    grown = memory_kib(stack) - before
    check(grown < MEMORY_KIB, "what waits for slow clients is bounded", grown)
    return slow, first


def catch_up(stack, market, client, first):
    """Reads on, and has what counts."""
    book, trades, missed, candles, tick = Book(), [], 0, [], None
    while True:
        message = client.read()
        event, data = message.get("event"), message.get("data")
        if event == "depth_snapshot" or (event == "depth" and book.sequence is not None):
            book.take(message)
        elif event == "missed":
            check(message["channel"] == "trades", "what was missed is told", message)
            missed += message["count"]
        elif event == "trades":
            trades.append(data["trade"]["trade_id"])
        elif event == "candles" and data["candle"]["is_closed"]:
            candles.append(data["candle"]["open_time_us"])
        elif event == "ticks":
            tick = data
        if book.update_id == market.update_id and trades and trades[-1] == market.trade_id and \
                tick and amount(tick["last"]) == market.last:
            break
    check(book.is_like(depth(stack.client())), "its book is true", book.update_id)
    check(trades == sorted(set(trades)) and len(trades) + missed == market.trade_id - first,
          "each trade came, or was told to be missed", len(trades), missed)
    candles = sorted(set(candles))  # one that was corrected comes again
    steps = {after - before for before, after in zip(candles, candles[1:])}
    check(steps <= {3 * MINUTE_MS * 1000}, "no closed candle is missing", steps)
    return missed, len(candles), book


def slow_clients(stack, market):
    slow, first = lag(stack, market)
    found = [catch_up(stack, market, client, first) for client in slow]
    check(all(candles > 10 for _, candles, _ in found), "closed candles came", found)
    check(any(missed > 0 for missed, _, _ in found), "trades were missed", found)
    check(stack.metric("gateway", "scrip_gateway_stream_too_slow_total") == 0, "nobody was cut off")
    for name in ("conflated", "missed", "snapshots"):
        print("  %s: %d" % (name, stack.metric("gateway",
                                               "scrip_gateway_stream_%s_total" % name)))


def answers(stack):
    """Refusals, and what a ticker tells."""
    stream = stack.client().stream(follow=False)
    cases = [({"channel": "gossip", "symbols": ["BTCUSDT"]}, "CHOICE_UNKNOWN", "channel"),
             ({"channel": "depth"}, "FIELD_MISSING", "symbols"),
             ({"channel": "depth", "symbols": ["NOSUCH"]}, "SYMBOL_UNKNOWN", "symbols"),
             ({"channel": "depth", "symbols": ["BTCUSDT"], "levels": 0}, "NUMBER_RANGE", "levels"),
             ({"channel": "ticks", "symbols": ["BTCUSDT"], "levels": 5}, "FIELD_UNKNOWN", "levels"),
             ({"channel": "candles", "symbols": ["BTCUSDT"], "interval": "7m"}, "CHOICE_UNKNOWN",
              "interval")]
    for operation, code, field in cases:
        try:
            stream.ask(op="subscribe", **operation)
            check(False, "refused", operation)
        except HttpError as error:
            check(error.code == code and error.body["error"]["field"] == field,
                  "the refusal names the field", operation, error)
    stream.ask(op="subscribe", channel="ticker", symbols=["BTCUSDT"])
    event = stream.wait(lambda e: e["event"] == "ticker")
    check(event and amount(event["data"]["last_price"]) > 0, "the ticker comes", event)
    stream.close()
    ticker = stack.client().ticker()
    check(0 <= ticker["age_ms"] < 3_600_000, "a ticker tells its age", ticker)


def symbols(stack):
    """A symbol goes while a client follows it, and comes back."""
    admin = stack.user(balance=None)
    stack.sql("UPDATE gateway.users SET role = 'admin' WHERE username = '%s'" % admin.name)
    admin.log_in(admin.name)  # a role counts from the next log-in
    stream = stack.client().stream(follow=False)
    for channel in ("ticks", "depth"):
        stream.ask(op="subscribe", channel=channel, symbols=["ETHUSDT"])
    check(stream.wait(lambda e: e["event"] == "depth_snapshot"), "its book comes", stream.events)
    admin.call("DELETE", "/api/market/symbols/ETHUSDT")
    check(stream.wait(lambda e: e == {"event": "symbol_removed", "symbol": "ETHUSDT"}),
          "its subscriptions end", stream.events[-1])
    check(not stream_takes(stream, "ETHUSDT"), "and nobody can follow it", stream.events[-1])
    admin.call("PUT", "/api/market/symbols/ETHUSDT")
    wait_for(lambda: stream_takes(stream, "ETHUSDT"), "it can be followed again")
    stream.events.clear()
    check(stream.wait(lambda e: e["event"] == "ticks"), "and is heard of", stream.events)
    stream.close()


def stream_takes(stream, symbol):
    try:
        return stream.ask(op="subscribe", channel="ticks", symbols=[symbol])["ok"]
    except HttpError as error:
        check(error.code == "SYMBOL_UNKNOWN", "an unknown symbol is told", error)
        return False


def story():
    """A client's book is the market's, however slowly it reads"""
    market = Recording()
    with Stack(market=market.write, settings=market.settings) as stack:
        wait_for(lambda: stack.client().ask("GET", "/api/market/depth",
                                            query={"symbol": "BTCUSDT"})[0] == 200, "a book")
        answers(stack)
        quick(stack, market)
        slow_clients(stack, market)
    os.environ["SCRIP_MARKETDATA_SOURCES"] = "synthetic:seed=7:symbols=BTCUSDT,ETHUSDT"
    with Stack() as stack:
        symbols(stack)


if __name__ == "__main__":
    tell(story)
