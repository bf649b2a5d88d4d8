#!/usr/bin/python3
"""Symbols come and go while the market plays and traders trade, and nobody else misses anything.

Eight symbols play from one recording, two hundred quotes and trades a second each; six are given at
the start. A follower counts every number of every stream, traders place orders without pause. A
symbol is added: within seconds it is traded in every service, without a restart of any. It is
removed: its orders rest, can be cancelled, and no new one is taken. It is added again, and a
market data that is killed has it when it is back; the rules that it has read anew count at once.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import subprocess
import threading
import time

from load import Load
from recording import prices
from stack import HttpError, ROOT, Stack, check, tell, wait_for
from zmtp import Follower

GIVEN = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"]
NEW, OTHER = "LTCUSDT", "DOGEUSDT"
SCALE = {"BTCUSDT": 1, "ETHUSDT": 20, "BNBUSDT": 100, "SOLUSDT": 500, "XRPUSDT": 50000,
         "ADAUSDT": 100000, "LTCUSDT": 500, "DOGEUSDT": 200000}
TICK_NS = 5_000_000
LOT = {NEW: "0.1", OTHER: "30"}
STREAM = {80, 81, 82, 83, 87, 88}  # md_trade, md_quote, md_depth, md_book, md_mark, md_liquidation
BEAT, SYMBOLS_BEAT = 86, 89


def write(path):
    """The recording: each symbol's price walks as BTCUSDT's does in recording.py."""
    with open(path, "w", encoding="ascii") as file:
        for index in range(800):
            walk = prices()[index % len(prices())]
            at_ns = 1_700_000_000_000_000_000 + index * TICK_NS
            for place, symbol in enumerate(GIVEN + [NEW, OTHER]):
                bid, ask = walk / SCALE[symbol], (walk + 0.5) / SCALE[symbol]
                digits = 2 if SCALE[symbol] < 1000 else 5
                ask = max(ask, bid + 10 ** -digits)
                quote = {"u": 1000 + index, "s": symbol, "b": "%.*f" % (digits, bid),
                         "B": "50.00000", "a": "%.*f" % (digits, ask), "A": "50.00000"}
                trade = {"e": "trade", "E": at_ns // 1_000_000, "s": symbol, "t": 5000 + index,
                         "p": "%.*f" % (digits, ask), "q": "0.01000", "T": at_ns // 1_000_000,
                         "m": False, "M": True}
                for name, data in (("bookTicker", quote), ("trade", trade)):
                    message = {"stream": "%s@%s" % (symbol.lower(), name), "data": data}
                    text = json.dumps(message, separators=(",", ":"))
                    file.write("%d %s\n" % (at_ns + place, text))
    os.environ["SCRIP_MARKETDATA_SOURCES"] = (
        "playback:%s:loop=1:symbols=%s;synthetic:symbols=ETHBTC" % (path, ",".join(GIVEN)))
    return path


class Counter(threading.Thread):
    """Follows every stream; remembers for each symbol how many messages came and how many did
    not."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        sockets = subprocess.run(
            ["bash", "-c", ". tools/dev/lib.sh && socket_dir"], cwd=ROOT, env=dict(
                stack.environment, dev_dir=os.path.join(ROOT, "tools", "dev")),
            capture_output=True, text=True, check=True).stdout
        self.follower = Follower(os.path.join(sockets, "market.pub"), b"t.", b"s.")
        self.last, self.heard, self.missed = {}, {}, {}
        self.versions = []

    def run(self):
        try:
            for kind, body in self.follower.messages():
                if kind == SYMBOLS_BEAT and body[1] not in self.versions[-1:]:
                    self.versions.append(body[1])
                if kind in STREAM or kind == BEAT:
                    self.count(kind, body[1].decode(), body[2])
        except (ConnectionError, OSError, ValueError):
            pass

    def count(self, kind, symbol, number):
        before = self.last.get(symbol)
        if kind in STREAM:
            self.heard[symbol] = self.heard.get(symbol, 0) + 1
            self.last[symbol] = number
            gap = number - before - 1 if before is not None else 0
        else:  # a beat repeats the last number
            gap = number - before if before is not None else 0
        if gap != 0:
            self.missed.setdefault(symbol, []).append((before, number))

    def total(self):
        return sum(self.heard.values())


def ctl(stack, *words):
    """What scripctl says, as JSON."""
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", "market", *words, "--json"],
                         env=stack.environment, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def change(stack, *words):
    status, said = ctl(stack, *words)
    check(status == 0 and len(said) == 1, "scripctl market " + " ".join(words), status, said)
    return said[0]


def code_of(user, *order, **fields):
    """None when the order is taken, else the code of its refusal."""
    try:
        user.place(*order, **fields)
    except HttpError as error:
        return error.code
    return None


def is_filled(user, symbol):
    try:
        return user.place("BUY", "MARKET", symbol, quantity=LOT[symbol])["status"] == "FILLED"
    except HttpError:
        return False


def wait_traded(user, symbol, since):
    """Ledger and matcher take it, Redis and the gateway show it."""
    wait_for(lambda: is_filled(user, symbol), symbol + " is traded")
    traded_s = time.monotonic() - since
    wait_for(lambda: user.ask("GET", "/api/market/ticker?symbol=" + symbol)[0] == 200,
             symbol + " has a ticker")
    return traded_s


def added(stack, user, counter):
    """A symbol that nobody gave is traded within seconds."""
    check(code_of(user, "BUY", "MARKET", NEW, quantity="0.1") == "PRICE_UNKNOWN",
          "nothing is known of it before")
    began = time.monotonic()
    said = change(stack, "add", NEW)
    check(said["is_kept"] and not said["is_removed"], "it is kept", said)
    seconds = wait_traded(user, NEW, began)
    wait_for(lambda: counter.heard.get(NEW, 0) > 100, "its stream is followed")
    stream = user.stream(follow=False)
    try:
        stream.ask(op="subscribe", channel="ticks", symbols=[NEW])
        check(stream.wait(lambda m: m["data"].get("symbol") == NEW), "the gateway streams it")
    finally:
        stream.close()
    return seconds


def removed(stack, user):
    """Its orders rest and can be cancelled; new ones are refused; Redis knows it no more."""
    resting = user.place("BUY", "LIMIT", NEW, quantity="1", price="50")
    check(resting["status"] == "NEW", "it rests", resting)
    said = change(stack, "remove", NEW)
    check(said["is_removed"] and said["is_kept"], "it is removed", said)
    wait_for(lambda: code_of(user, "BUY", "LIMIT", NEW, quantity="1", price="50") ==
             "SYMBOL_HALTED", "the ledger takes no more orders in it")
    wait_for(lambda: user.ask("GET", "/api/market/ticker?symbol=" + NEW)[0] != 200,
             "its ticker is gone")
    check(user.get_order(resting["order_id"])["status"] == "NEW", "it still rests")
    check(user.cancel(resting["order_id"])["status"] == "CANCELED", "it is cancelled")
    status, said = ctl(stack, "remove", NEW)
    check(status == 1 and said[0]["error"]["code"] == "SYMBOL_UNKNOWN", "once", status, said)


def refusals(stack):
    for words, code in ((("add", "NOSUCH"), "SYMBOL_UNKNOWN"), (("add", "btcusdt"),
                        "SYMBOL_UNKNOWN"), (("add", OTHER, "--source", "2"), "SOURCE_UNKNOWN"),
                        (("pause", "--source", "1"), "SOURCE_FIXED"),
                        (("add", "LINKUSDT"), "SYMBOLS_FULL")):
        status, said = ctl(stack, *words)
        check(status == 1 and said[0]["error"]["code"] == code, "refused: " + " ".join(words),
              status, said)


def other_rules(stack):
    """What market data reads at its next start: half a dollar is the least step of NEW's price."""
    conf, path = os.path.join(stack.dir, "etc", "marketdata.conf"), stack.dir + "/symbols.json"
    with open(conf, encoding="utf-8") as file:
        text = file.read()
    with open(re.search(r"(?m)^rules_file = (.*)$", text)[1], encoding="utf-8") as file:
        rules = json.load(file)
    for symbol in rules["symbols"]:
        for each in symbol["filters"]:
            if symbol["symbol"] == NEW and each["filterType"] == "PRICE_FILTER":
                each.update(tickSize="0.50", minPrice="0.50")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rules, file)
    with open(conf, "w", encoding="utf-8") as file:
        file.write(re.sub(r"(?m)^rules_file = .*$", "rules_file = " + path, text))


def check_whole(counter, load):
    others = [s for s in GIVEN if counter.missed.get(s)]
    check(not others, "no other symbol misses a number", {s: counter.missed[s] for s in others})
    check(not load.troubles(), "no request fails", load.troubles())


def story():
    """A symbol is added under load, removed and added again, and nobody else misses a number."""
    with Stack(settings={"marketdata": "symbols_max = 9\n"}, market=write) as stack:
        user = stack.user(balance="100000")
        counter = Counter(stack)
        counter.start()
        wait_for(lambda: all(counter.heard.get(s, 0) > 10 for s in GIVEN), "all streams")
        with Load(stack) as load:
            load.progress(400)
            seconds = added(stack, user, counter)
            load.progress(400)
            removed(stack, user)
            load.progress(400)
            again = time.monotonic()
            change(stack, "add", NEW)
            again = wait_traded(user, NEW, again)
            change(stack, "add", OTHER)
            wait_traded(user, OTHER, time.monotonic())
            refusals(stack)
            load.progress(400)
            check_whole(counter, load)
            check(len(counter.versions) >= 3, "each change has a version", counter.versions)
            print("added under load: traded after %.2f s, again after %.2f s; %d messages of %d "
                  "other symbols heard, 0 missed; %d orders acknowledged, 0 failed" % (
                      seconds, again, sum(counter.heard[s] for s in GIVEN), len(GIVEN),
                      load.count()))
            change(stack, "remove", OTHER)
        load.check_nothing_lost()
        odd = ("BUY", "LIMIT", NEW), {"quantity": "1", "price": "50.10"}
        check(code_of(user, *odd[0], **odd[1]) is None, "a price between the steps to come")
        other_rules(stack)
        stack.kill("marketdata")
        stack.wait_ready("marketdata")
        wait_for(lambda: code_of(user, *odd[0], **odd[1]) == "FILTER_PRICE",
                 "the ledger judges by the new rules")
        wait_for(lambda: is_filled(user, NEW), NEW + " is traded after a restart")
        check(code_of(user, "BUY", "MARKET", OTHER, quantity=LOT[OTHER]) == "SYMBOL_HALTED",
              "what was removed stays removed")
        # A symbol counts from its first event on, which one of them may have yet to come.
        wait_for(lambda: ctl(stack, "status")[1][0]["symbols"] == len(GIVEN) + 1,
                 "seven are given")


if __name__ == "__main__":
    tell(story)
