#!/usr/bin/python3
"""The first try of the live market: no exchange to be had, then one; a symbol goes and comes back.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import subprocess
import tempfile
import time

from live import StandIn
from stack import ROOT, Stack, StoryFailed, check, tell, wait_for

SYMBOLS = "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,XRPUSDT"
NOWHERE = "spot_stream_url = ws://127.0.0.1:1\nspot_rest_url = http://127.0.0.1:1\n"
MARKET = "SCRIP_SETTINGS_MARKETDATA"
# Whoever would wait for what is not there waits far longer than a slow machine takes to find that.
LONG_S, SHORT_S = 600, 200


class Begun(Stack):
    """`up` is called by the story."""

    def up(self):
        pass


def without_an_exchange(stack):
    begin = time.monotonic()
    stack.environment[MARKET] = NOWHERE
    try:
        said = stack.scrip("up", "--no-build", "--market", "binance")
    except StoryFailed as failed:
        said = str(failed)
    check(time.monotonic() - begin < SHORT_S, "it does not wait for long", time.monotonic() - begin)
    check(re.search("is not ready: no price yet for BTCUSDT: (ws|http)://127.0.0.1:1: .*onnect",
                    said), "what is missing is named", said)
    check("--market synthetic" in said, "and what to do", said)
    table = stack.scrip("status")
    check("no price yet for BTCUSDT: " in table, "status says it too", table)


def back_to_what_was(stack):
    """A stack that runs is told of an exchange that is not there: its market goes on."""
    before, begin = stack.environment[MARKET], time.monotonic()
    stack.environment[MARKET] = NOWHERE
    try:
        said = stack.scrip("up", "--no-build")
    except StoryFailed as failed:
        said = str(failed)
    check(time.monotonic() - begin < SHORT_S, "it does not wait for long", time.monotonic() - begin)
    check("is not ready: no price yet for BTCUSDT: " in said, "it says why", said)
    check("the one before goes on" in said and "--market synthetic" in said, "and what now", said)
    stack.environment[MARKET] = before
    stack.scrip("up", "--no-build")
    stack.user(balance="1000")


def ctl(stack, *words):
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", "market", *words],
                         env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    return run.returncode, run.stdout


def trades_of(stack, folder, symbol):
    """What `market check` counts of it."""
    words = [w for w in (line.split() for line in ctl(stack, "check", folder)[1].splitlines())
             if w and w[0] == symbol]
    return int(words[0][1]) if words else 0


def goes_and_comes(stack, folder):
    """Its recording has a gap, and tells so."""
    wait_for(lambda: trades_of(stack, folder, "XRPUSDT") > 0, "trades recorded")
    check(ctl(stack, "remove", "XRPUSDT")[0] == 0, "removed")
    before = trades_of(stack, folder, "ETHUSDT")
    wait_for(lambda: trades_of(stack, folder, "ETHUSDT") > before + 10, "the market went on")
    had = trades_of(stack, folder, "XRPUSDT")
    check(ctl(stack, "add", "XRPUSDT")[0] == 0, "added")
    wait_for(lambda: trades_of(stack, folder, "XRPUSDT") > had + 2, "trades recorded again")
    status, said = ctl(stack, "check", folder)
    check(status == 0, "the gap is told of", said)


def story():
    """No exchange, then one"""
    folder = tempfile.mkdtemp(prefix="scrip-first-")
    try:
        with StandIn(synthetic=7, spot=SYMBOLS) as x, Begun() as stack:
            stack.environment["SCRIP_READY_SECONDS"] = str(LONG_S)
            without_an_exchange(stack)
            stack.environment[MARKET] = ("spot_stream_url = %s\nspot_rest_url = %s\n"
                                         "record_folder = %s\n" % (
                                             x.spot_stream_url, x.spot_rest_url, folder))
            stack.scrip("up", "--no-build")
            stack.user(balance="1000")
            goes_and_comes(stack, folder)
            back_to_what_was(stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    tell(story)
