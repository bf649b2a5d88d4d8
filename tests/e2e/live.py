"""live - a stack that hears the stand-in exchange, and what is true there.

    exchange = StandIn(synthetic=7)
    with exchange as x, Heard(x, ["BTCUSDT"], ["BTCUSDT_PERP"]) as heard:
        with Stack(settings=heard.settings) as stack:
            judge = Judge(x, heard, stack.client())
            judge.books()              # each book at its update id, or a failed story
            judge.recording()          # trades expected, recorded, missing, doubled

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import glob
import json
import os
import random
import shutil
import sys
import tempfile
from decimal import Decimal

from stack import ROOT, check, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "exchange"))
from standin import StandIn, StandInError  # noqa: E402, F401

PERPETUAL = "_PERP"
LEVELS = 50
# Of ten faults, how many are of a kind: what ends a connection is rarer than what loses messages.
KINDS = [("drop", 6), ("trade_gap", 6), ("duplicate", 3), ("reorder", 4), ("stale", 2), ("cut", 1),
         ("half", 1), ("close", 1), ("expire", 1), ("shutdown", 1), ("refuse", 1),
         ("refuse_subscribe", 1), ("rest_error", 2), ("rest_slow", 2), ("rest_cut", 1),
         ("rest_half", 1), ("stale_snapshot", 2), ("silence", 1), ("deaf", 1), ("no_pings", 1)]


def wire(symbol):
    """(market, the exchange's name) of our name."""
    if symbol.endswith(PERPETUAL):
        return "usdm", symbol[:-len(PERPETUAL)]
    return "spot", symbol


class Heard:
    """The settings of a market data that hears a stand-in, and the folder of its recording."""

    def __init__(self, exchange, symbols, perpetuals, more=""):
        self.exchange, self.symbols = exchange, list(symbols) + list(perpetuals)
        self.spot, self.perpetuals, self.more = symbols, perpetuals, more

    def __enter__(self):
        x = self.exchange
        self.folder = tempfile.mkdtemp(prefix="scrip-live-")
        sources = []
        if self.spot:
            sources.append("binance:spot:symbols=" + ",".join(self.spot))
        if self.perpetuals:
            sources.append("binance:usdm:symbols=" + ",".join(self.perpetuals))
        os.environ["SCRIP_MARKETDATA_SOURCES"] = ";".join(sources)
        lines = ["spot_stream_url = " + x.spot_stream_url, "spot_rest_url = " + x.spot_rest_url,
                 "usdm_stream_url = " + x.usdm_stream_url, "usdm_rest_url = " + x.usdm_rest_url,
                 "record_folder = " + self.folder, "silence_ms = 500", self.more]
        if x.ca_file:
            lines.append("ca_file = " + x.ca_file)
        self.settings = {"marketdata": "\n".join(lines) + "\n"}
        return self

    def __exit__(self, kind, value, trace):
        del os.environ["SCRIP_MARKETDATA_SOURCES"]
        shutil.rmtree(self.folder, ignore_errors=True)


class Faults:
    """Something goes wrong, by dice."""

    def __init__(self, exchange, symbols, seed):
        self.exchange, self.symbols = exchange, symbols
        self.dice = random.Random(seed)
        self.made = {}

    def make(self):
        kind = self.dice.choices([k for k, _ in KINDS], [n for _, n in KINDS])[0]
        market, symbol = wire(self.dice.choice(self.symbols))
        what = {}
        if kind in ("drop", "duplicate", "reorder", "stale"):
            what["stream"] = symbol.lower() + "@" + self.dice.choice(
                ["depth@100ms", "bookTicker", "aggTrade" if market == "usdm" else "trade"])
        if kind in ("drop", "duplicate", "trade_gap"):
            what["count"] = self.dice.randint(1, 5)
        if kind == "trade_gap":
            what["symbol"] = symbol
        if kind in ("stale", "refuse", "rest_slow", "shutdown", "expire"):
            what["seconds"] = self.dice.choice([0.2, 0.5, 1.5])
        if kind in ("refuse_subscribe", "rest_error", "rest_cut", "rest_half", "stale_snapshot"):
            what["count"] = 1
        self.exchange.fault(kind, market, **what)
        self.made[kind] = self.made.get(kind, 0) + 1

    def end(self):
        for fault in self.exchange.get("faults"):
            if not fault["over"]:
                self.exchange.end_fault(fault["fault"])


class Zstd:
    """The lines of compressed segments, by the library that made them."""

    class Buffer(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]

    def __init__(self):
        self.lib = ctypes.CDLL("libzstd.so.1")
        self.lib.ZSTD_createDStream.restype = ctypes.c_void_p
        self.lib.ZSTD_decompressStream.restype = ctypes.c_size_t

    def lines(self, path):
        with open(path, "rb") as file:
            text = file.read()
        stream = ctypes.c_void_p(self.lib.ZSTD_createDStream())
        room = ctypes.create_string_buffer(1 << 20)
        source = ctypes.create_string_buffer(text, len(text))
        from_ = self.Buffer(ctypes.addressof(source), len(text), 0)
        out, rest = [], b""
        while from_.pos < from_.size:
            to = self.Buffer(ctypes.addressof(room), len(room), 0)
            left = self.lib.ZSTD_decompressStream(stream, ctypes.byref(to), ctypes.byref(from_))
            check(not self.lib.ZSTD_isError(ctypes.c_size_t(left)), "a segment is whole", path)
            rest += room.raw[:to.pos]
            *whole, rest = rest.split(b"\n")
            out += whole
        self.lib.ZSTD_freeDStream(stream)
        return out


class Judge:
    """Compares what the stack says with what is true at the exchange."""

    def __init__(self, exchange, heard, user):
        self.exchange, self.heard, self.user = exchange, heard, user
        self.checks = self.between = self.waiting = 0

    # ---- Books ----

    def book(self, symbol):
        """Compares one book; whether it could be."""
        market, name = wire(symbol)
        book = self.user.call("GET", "/api/market/depth",
                              query={"symbol": symbol, "limit": LEVELS})
        if book["state"] != "LIVE" or not book.get("last_update_id"):
            self.waiting += 1
            return False
        truth = self.exchange.truth(name, market, update_id=book["last_update_id"], levels=LEVELS)
        if truth["update_id"] != book["last_update_id"]:
            self.between += 1  # a snapshot from within a diff: nobody told what was true then
            return False
        for side in ("bids", "asks"):
            ours = [(Decimal(l["price"]), Decimal(l["quantity"])) for l in book[side]]
            true = [(Decimal(l[0]), Decimal(l[1])) for l in truth[side]]
            count = min(len(ours), len(true))
            check(count > 0 and ours[:count] == true[:count],
                  "the %s of %s are the exchange's at %d" % (side, symbol, truth["update_id"]),
                  ours[:5], true[:5])
        self.checks += 1
        return True

    def books(self):
        return [self.book(symbol) for symbol in self.heard.symbols]

    def sources(self):
        return self.user.call("GET", "/api/market/sources")["sources"]

    def sum(self, field):
        return sum(int(s.get(field) or 0) for s in self.sources())

    def settle(self):
        """Waits until every stream is there again and every book can be compared."""
        wait_for(lambda: all(s["state"] == "RUNNING" for s in self.sources()),
                 "every stream is heard")
        for symbol in self.heard.symbols:
            wait_for(lambda s=symbol: self.book(s), "a true book of " + symbol)

    # ---- Trades ----

    def caught_up(self, symbol):
        """Whether the last trade of an exchange that says no more is here."""
        market, name = wire(symbol)
        path = "aggregates" if market == "usdm" else "trades"
        ours = self.user.call("GET", "/api/market/trades", query={"symbol": symbol, "limit": 1})
        last = int(ours["trades"][-1]["trade_id"])
        return max(self.true_trades(path, name, market, last)) == last

    def latest(self, symbol):
        """The last trades by the API are the exchange's, without a hole."""
        market, name = wire(symbol)
        ours = self.user.call("GET", "/api/market/trades",
                              query={"symbol": symbol, "limit": 1000})["trades"]
        ids = [int(t["trade_id"]) for t in ours]
        check(ids and ids == list(range(ids[0], ids[0] + len(ids))),
              "the trades of %s follow each other" % symbol, ids[:3], ids[-3:])
        path = "aggregates" if market == "usdm" else "trades"
        true = self.true_trades(path, name, market, ids[0])
        for trade in ours:
            check(true.get(int(trade["trade_id"])) ==
                  (Decimal(trade["price"]), Decimal(trade["quantity"])),
                  "a trade of %s is the exchange's" % symbol, trade)
        return ids[-1]

    def true_trades(self, path, name, market, first):
        """Price and quantity by id."""
        rows = self.exchange.get(path, symbol=name, market=market, **{"from": first})
        rows = rows.get(path, rows) if isinstance(rows, dict) else rows
        found = {}
        for row in rows:
            number = row.get("a", row.get("id", row.get("t")))
            found[number] = (Decimal(row.get("p", row.get("price"))),
                             Decimal(row.get("q", row.get("qty", row.get("quantity")))))
        return found

    def recording(self):
        """The trades that were recorded against those that were: a dict of counts by symbol."""
        zstd, seen = Zstd(), {symbol: {} for symbol in self.heard.symbols}
        words = ("expected", "recorded", "missing", "doubled", "backfilled", "late", "wrong")
        counts = {symbol: dict.fromkeys(words, 0) for symbol in self.heard.symbols}
        for path in sorted(glob.glob(os.path.join(self.heard.folder, "*.zst"))):
            market = os.path.basename(path).split("-")[0]
            for line in zstd.lines(path):
                check(b'"scrip":"book"' not in line or b'"0"]' not in line,
                      "what has gone is in no book", line[:2000])
                if b"rade\"" not in line:
                    continue
                self.line(market, json.loads(line.split(b" ", 1)[1]), seen, counts)
        for symbol, trades in seen.items():
            market, name = wire(symbol)
            check(trades, "trades of %s were recorded" % symbol, trades)
            true = self.true_trades("aggregates" if market == "usdm" else "trades", name, market,
                                    min(trades))
            counts[symbol]["expected"] = len(true)
            counts[symbol]["missing"] = sum(n not in trades for n in true)
            counts[symbol]["wrong"] = sum(true.get(n) != t for n, t in trades.items())
        return counts

    def line(self, market, line, seen, counts):
        data = line.get("data", {})
        if data.get("e") not in ("trade", "aggTrade"):
            return
        symbol = data["s"] + (PERPETUAL if market == "usdm" else "")
        number = data["a"] if market == "usdm" else data["t"]
        count = counts[symbol]
        count["recorded"] += 1
        count["doubled"] += number in seen[symbol]
        count["late"] += line.get("scrip") == "late"
        count["backfilled"] += line.get("scrip") == "backfill"
        seen[symbol][number] = (Decimal(data["p"]), Decimal(data["q"]))
