#!/usr/bin/python3
"""Orders carry the clock of the market they met.

A recording of 2023 is played with its own times. What is ordered says when that was by the
recording: in the answer, the event, `why`, the auditor's words, and after a ledger that was killed.
When the recording goes back so does the clock, and while it pauses time stands still.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
from datetime import datetime, timezone

import recording
from stack import ROOT, Stack, check, tell, wait_for

BEGIN_US = 1_700_000_000_000_000
LENGTH_US = 4_000_000  # and round again
SETTINGS = {"marketdata": "stale_ms = 300\nbeat_ms = 100\n"}


def write(path):
    recording.write(path)
    os.environ["SCRIP_MARKETDATA_SOURCES"] = "playback:%s:loop=1:clock=kept" % path
    return path


def ctl(stack, *words):
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", *words], env=stack.environment,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(run.returncode == 0, "scripctl " + " ".join(words), run.returncode, run.stderr)
    return run.stdout


def steer(stack, *words):
    return json.loads(ctl(stack, "market", *words, "--json"))


def market_us(user):
    return user.place("BUY", "MARKET", quantity="0.001")["market_us"]


def told_everywhere(stack, user):
    """The order's answer, its event, why, and what an auditor reads."""
    stream = user.stream()
    order = user.place("BUY", "LIMIT", quantity="0.001", price="40000")
    at_us = order["market_us"]
    check(BEGIN_US <= at_us <= BEGIN_US + LENGTH_US, "it is the recording's time", order)
    check(at_us < order["created_us"], "and not ours", order)
    event = stream.wait(lambda e: e["event"] == "order")
    check(event["data"]["market_us"] == at_us, "its event says so", event)
    stream.close()
    path = "/api/paper-trading/orders/%s" % order["order_id"]
    check(user.call("GET", path + "/why")["order"]["market_us"] == at_us, "why says so")
    stack.kill("ledger")
    stack.wait_serving(user)
    check(user.get_order(order["order_id"])["market_us"] == at_us, "it is kept")
    day = datetime.fromtimestamp(at_us / 1e6, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    words = " ".join(ctl(stack, "order", str(order["order_id"])).split())
    check("the market's clock stood at " + day in words, "the audit says so", words)


def goes_back(stack, user):
    """A seek moves the clock back; a pause holds it."""
    wait_for(lambda: market_us(user) > BEGIN_US + 1_500_000, "the recording goes on", 20)
    steer(stack, "seek", "2023-11-14T22:13:20Z")
    wait_for(lambda: market_us(user) < BEGIN_US + 1_000_000, "the clock went back", 20)
    steer(stack, "pause")
    wait_for(lambda: market_us(user) == market_us(user), "the clock stands", 20)
    state = steer(stack, "status")
    check(state["state"] == "PAUSED", "it pauses", state)
    steer(stack, "play")
    held = market_us(user)
    wait_for(lambda: market_us(user) != held, "the clock goes on", 20)


def story():
    """Orders of a recording carry its clock."""
    with Stack(settings=SETTINGS, market=write) as stack:
        user = stack.user()
        wait_for(lambda: BEGIN_US <= market_us(user), "the market's time is known", 20)
        told_everywhere(stack, user)
        goes_back(stack, user)


if __name__ == "__main__":
    tell(story)
