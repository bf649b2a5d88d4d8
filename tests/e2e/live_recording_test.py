#!/usr/bin/python3
"""A recorded market with depth, replayed over real WebSockets with faults, is heard whole.

What SCRIP_DATA holds of BTCUSDT, spot and USD-M, is told by the stand-in exchange faster than it
was, with something going wrong several times a second. Each book is compared with the truth at its
update id, all the while; afterwards every recorded trade is in the segments, once.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys
import threading
import time

from live import Faults, Heard, Judge, StandIn
from stack import Stack, check, tell, wait_for

SPEED = float(os.environ.get("SCRIP_LIVE_SPEED", "13"))
EVERY_S = float(os.environ.get("SCRIP_LIVE_FAULT_S", "0.4"))
LONGEST_S = 1200
MORE = "heal_trades_ms = 60000\nswap_ms = 10000\noverlap_ms = 1000\n"


def run_when_heard(exchange):
    """Lets the market begin once all its streams are listened to."""
    exchange.wait(lambda: len(exchange.get("connections")) >= 3, "a listener", 120)
    for market in ("spot", "usdm"):
        exchange.run("BTCUSDT", market)


def replay(judge, faults):
    begin = last = time.monotonic()
    while not judge.exchange.counters()["is_finished"]:
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            faults.make()
        for _ in range(10):
            judge.books()
        check(time.monotonic() - begin < LONGEST_S, "the recording comes to its end", begin)
    faults.end()
    return time.monotonic() - begin


def story():
    """A recorded market with faults is heard whole"""
    files = [os.path.join(os.environ["SCRIP_DATA"], "l2_raw", name) for name in (
        "spot_btcusdt_20240808.txt.xz", "spot_btcusdt_20240809.txt.xz",
        "usdm_btcusdt_20240808.txt.xz")]
    exchange = StandIn(recording=files, speed=SPEED, begin="quiet")
    with exchange as x, Heard(x, ["BTCUSDT"], ["BTCUSDT_PERP"], MORE) as heard:
        starter = threading.Thread(target=run_when_heard, args=(x,))
        starter.start()
        with Stack(settings=heard.settings) as stack:
            starter.join()
            judge = Judge(x, heard, stack.client())
            faults = Faults(x, heard.symbols, 11)
            seconds = replay(judge, faults)
            judge.settle()
            for symbol in heard.symbols:
                wait_for(lambda y=symbol: judge.caught_up(y), "the last trade of " + symbol)
            print("recorded market at speed %g: %.0f s; faults: %s" % (
                SPEED, seconds, ", ".join("%s %d" % f for f in sorted(faults.made.items()))))
            print("books compared: %d (%d healing or away, %d between two diffs), all equal"
                  % (judge.checks, judge.waiting, judge.between))
            print("gaps %d, heals %d, lost %d, reconnects %d" % tuple(
                judge.sum(field) for field in ("gaps", "heals", "lost", "reconnects")))
            stack.stop("marketdata")
            for symbol, count in judge.recording().items():
                print("%s: %s" % (symbol, ", ".join("%s %d" % c for c in count.items())))
                check(count["missing"] == count["doubled"] == count["wrong"] == 0,
                      "every trade of %s is recorded, once, as it was" % symbol, count)
            kinds = x.counters()["violations_by_kind"]
            check(not kinds, "the exchange had nothing to complain of", x.counters())
            check(judge.checks > 100, "books were compared", judge.checks)
            stack.start("marketdata")


if __name__ == "__main__":
    if not os.environ.get("SCRIP_DATA"):
        print("SKIPPED: live_recording_test needs SCRIP_DATA, the folder of recordings")
        sys.exit(77)
    tell(story)
