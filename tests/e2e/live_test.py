#!/usr/bin/python3
"""A live market is heard whole: over TLS, with something going wrong several times a second.

The stand-in exchange makes spot and USD-M up. Messages are lost, doubled and swapped, streams die,
connections are cut, expire and are refused, REST fails. All the while each book is the exchange's
at its update id; afterwards every trade is in the recording, once; and a user buys on it.

SPDX-License-Identifier: Apache-2.0
"""
import subprocess
import time

from books import amount
from live import Faults, Heard, Judge, StandIn
from stack import Stack, check, tell, wait_for

SECONDS, LONGEST_S = 20, 120
EVERY_S = 0.3
CHECKS, HEALS = 20, 3
MORE = "heal_trades_ms = 20000\nswap_ms = 5000\noverlap_ms = 1000\n"


def trouble(judge, faults):
    begin = last = time.monotonic()
    while (spent := time.monotonic() - begin) < SECONDS or (
            spent < LONGEST_S and not was_tried(judge)):
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            faults.make()
        judge.books()
    faults.end()


def was_tried(judge):
    return judge.checks > CHECKS and judge.sum("heals") > HEALS


def told(judge, faults):
    print("faults: %s" % ", ".join("%s %d" % f for f in sorted(faults.made.items())))
    print("books compared: %d (%d healing or away, %d between two diffs)"
          % (judge.checks, judge.waiting, judge.between))
    print("gaps %d, heals %d, lost %d, reconnects %d" % tuple(
        judge.sum(field) for field in ("gaps", "heals", "lost", "reconnects")))


def state(user, symbol):
    return user.call("GET", "/api/market/depth", query={"symbol": symbol, "limit": 5})["state"]


def nobody_trades_on_what_is_not_heard(exchange, user):
    """While the exchange is away, the book is of any age: a market order ends."""
    away = exchange.fault("refuse")
    exchange.fault("cut")
    wait_for(lambda: state(user, "BTCUSDT") == "STALE", "the stream is known to be stale")
    # The matcher hears of it a moment later.
    ended = wait_for(lambda: (o := user.place("BUY", "MARKET", quantity="0.001"))[
        "status"] != "FILLED" and o, "what is not heard is not traded on")
    check((ended["status"], ended["end_reason"]) == ("EXPIRED", "MARKET_STALE"),
          "and the order says why", ended)
    exchange.end_fault(away["fault"])
    wait_for(lambda: state(user, "BTCUSDT") == "LIVE", "the stream is live again")
    wait_for(lambda: user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
             "the house trades again")


def trades_are_there(judge, stack):
    lasts = {symbol: judge.latest(symbol) for symbol in judge.heard.symbols}
    for market in ("spot", "usdm"):
        judge.exchange.quiet(market=market)
    for symbol in judge.heard.symbols:
        wait_for(lambda y=symbol: judge.caught_up(y), "the last trade of " + symbol)
    stack.stop("marketdata")  # the segments are whole
    for symbol, count in judge.recording().items():
        print("%s: %s" % (symbol, ", ".join("%s %d" % c for c in count.items())))
        check(count["missing"] == count["doubled"] == count["wrong"] == 0,
              "every trade of %s is recorded, once, as it was" % symbol, count)
        check(count["expected"] > 50, "there were trades", count, lasts)
    program = stack.environment["SCRIP_BUILD"] + "/tools/scripctl/scripctl"
    run = subprocess.run([program, "market", "check", judge.heard.folder], capture_output=True,
                         text=True, check=False)
    check(run.returncode == 0, "scripctl finds the recording right", run.stdout, run.stderr)
    stack.start("marketdata")
    stack.wait_ready("marketdata")


def story():
    """A live market with faults is heard whole"""
    exchange = StandIn(synthetic=7, tls=True, usdm="BTCUSDT")
    with exchange as x, Heard(x, ["BTCUSDT", "ETHUSDT"], ["BTCUSDT_PERP"], MORE) as heard:
        with Stack(settings=heard.settings) as stack:
            judge = Judge(x, heard, stack.client())
            judge.settle()
            faults = Faults(x, heard.symbols, 5)
            trouble(judge, faults)
            judge.settle()
            told(judge, faults)
            check(was_tried(judge), "it was tried", judge.checks)
            user = stack.user()
            done = wait_for(lambda: (a := user.ask(
                "POST", "/api/paper-trading/orders",
                user.order("BUY", "MARKET", quantity="0.001")))[0] == 201 and a[1],
                "a buyer meets the live market")
            check(done["order"]["status"] == "FILLED", "and is filled", done)
            check(amount(done["fills"][0]["price"]) > 0, "at its price", done)
            check(done["fills"][0]["evidence"]["source"] == "DEPTH", "from its book", done)
            nobody_trades_on_what_is_not_heard(x, user)
            trades_are_there(judge, stack)
            kinds = x.counters()["violations_by_kind"]
            check(not kinds, "the exchange had nothing to complain of", x.counters())


if __name__ == "__main__":
    tell(story)
