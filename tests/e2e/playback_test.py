#!/usr/bin/python3
"""A recorded crash is played, steered and traded, and is the same each time it is played.

The story writes a market of two minutes: 50,000, then within five seconds down to 40,000, and back.
The recorder makes segments of it. They are played with their own times: a pause holds the market, a
seek shows the books of its place at once, orders that wait there fill in the crash, at prices the
book had. Played twice, by the same process, by another one, and from the raw file, every message of
the stream is the same but for its number.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
from datetime import datetime, timezone
from decimal import Decimal

from stack import ROOT, Stack, check, tell, wait_for
from zmtp import Follower

BEGIN_US = 1_700_000_040_000_000  # a whole minute
CRASH_S, LOW_S, END_S = 60, 65, 120
SETTINGS = {"marketdata": "stale_ms = 3600000\nprice_ms = 10\nbeat_ms = 100\n"}
FRAME, TRADE, DEPTH, BOOK, BEAT = 1, 80, 82, 83, 86
ENDED = 4


def price_at(tenth):
    """The bid, by tenths of a second."""
    second = tenth / 10
    if second < CRASH_S:
        return 50000
    if second < LOW_S:
        return 50000 - (tenth - CRASH_S * 10) * 200
    return min(50000, 40000 + (tenth - LOW_S * 10) * 25)


def message(stream, **data):
    return {"stream": "btcusdt@" + stream, "data": data}


def lines():
    """(receive time in ns, message)"""
    yield BEGIN_US * 1000, message("snapshot", lastUpdateId=1000, asks=[["50001.00", "5"]],
                                   bids=[["50000.00", "5"], ["10000.00", "1"]])
    before = 50000
    for tenth in range(END_S * 10):
        at_us, price, update = BEGIN_US + tenth * 100_000, price_at(tenth), 1001 + tenth
        bids, asks = [["%d.00" % price, "5"]], [["%d.00" % (price + 1), "5"]]
        if price != before:
            bids.append(["%d.00" % before, "0"])
            asks.append(["%d.00" % (before + 1), "0"])
        yield at_us * 1000, message("depth", e="depthUpdate", E=at_us // 1000, s="BTCUSDT",
                                    U=update, u=update, b=bids, a=asks)
        yield at_us * 1000 + 1000, message(
            "trade", e="trade", E=at_us // 1000, s="BTCUSDT", t=1 + tenth, p="%d.00" % price,
            q="0.01000", T=at_us // 1000, m=True)
        before = price


def program(*words):
    build = os.environ.get("SCRIP_BUILD", os.path.join(ROOT, "build", "release"))
    return os.path.join(build, *words)


def write(path):
    """The recording, raw, and as the recorder makes segments of it; the latter are played."""
    with open(path, "w", encoding="ascii") as file:
        for at_ns, data in lines():
            file.write("%d %s\n" % (at_ns, json.dumps(data, separators=(",", ":"))))
    folder = path + ".segments"
    os.mkdir(folder)
    subprocess.run([program("bench", "market_record"), folder, path], check=True,
                   capture_output=True)
    os.environ["SCRIP_MARKETDATA_SOURCES"] = "playback:%s:clock=kept" % folder
    return path


def ctl(stack, *words, status=0):
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", *words, "--json"],
                         env=stack.environment, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False)
    check(run.returncode == status, "scripctl " + " ".join(words), run.returncode, run.stdout,
          run.stderr)
    return [json.loads(line) for line in run.stdout.splitlines()]


def steer(stack, *words):
    return ctl(stack, "market", *words)[0]


def moment(second):
    at = datetime.fromtimestamp(BEGIN_US / 1e6 + second, timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def best(user):
    """(bid, ask) of the book, as a client sees it."""
    status, book = user.ask("GET", "/api/market/depth", query={"symbol": "BTCUSDT", "limit": 5})
    if status != 200 or not book["bids"] or not book["asks"]:
        return None
    return Decimal(book["bids"][0]["price"]), Decimal(book["asks"][0]["price"])


def is_recorded(stack):
    """What the recorder made is whole and right, and what is broken is found."""
    folder = stack.market[0] + ".segments"
    listed = ctl(stack, "market", "recordings", folder)
    check(len(listed) > 0 and all(s["state"] == "whole" for s in listed), "segments", listed)
    check(sum(s["trades"] for s in listed) == END_S * 10, "every trade is there", listed)
    for where in (folder, stack.market[0]):
        told = ctl(stack, "market", "check", where)[0]
        check(told["trades"] == END_S * 10 and told["missing"] == 0 and told["breaks"] == 0,
              "nothing is missing", told)
    broken = os.path.join(stack.dir, "broken.txt")
    with open(stack.market[0], encoding="ascii") as file, \
            open(broken, "w", encoding="ascii") as out:
        out.writelines(line for n, line in enumerate(file) if n != 500)
    told = ctl(stack, "market", "check", broken, status=1)[0]
    check(told["missing"] + told["breaks"] == 1, "the line that is missing is missed", told)


def is_held(stack, user):
    """A pause holds the market, a seek in it shows the place at once."""
    steer(stack, "pause")
    view = steer(stack, "seek", moment(CRASH_S - 1))
    check(view["state"] == "PAUSED", "it pauses", view)
    wait_for(lambda: best(user) == (50000, 50001), "the book before the crash", 20)
    view = steer(stack, "status")
    check(view["market_time"] == moment(CRASH_S - 1), "it stands there", view)
    check(view["begin_time"] == moment(0) and view["end_time"] > moment(END_S - 1), "of all", view)
    steer(stack, "seek", moment(LOW_S + 0.05))
    wait_for(lambda: best(user) == (40000, 40001), "the book at the bottom", 20)
    steer(stack, "seek", moment(CRASH_S + 2.55))
    wait_for(lambda: best(user) == (45000, 45001), "the book in the fall", 20)


def is_traded(stack, user):
    """Orders placed before the crash fill in it."""
    steer(stack, "seek", moment(CRASH_S - 1))
    wait_for(lambda: best(user) == (50000, 50001), "the book before the crash", 20)
    # A pause is no end: what is shown can be taken, once the ledger has heard the price too.
    wait_for(lambda: prices(user.place("BUY", "MARKET", quantity="0.01")) == [50001],
             "the book is there to be taken", 20)
    low = user.place("BUY", "LIMIT", quantity="0.01", price="42000")
    never = user.place("BUY", "LIMIT", quantity="0.01", price="39000")
    stop = user.place("SELL", "STOP_LOSS", quantity="0.005", stop_price="45000")
    steer(stack, "speed", "20")
    steer(stack, "play")
    done = wait_for(lambda: filled(user, low), "the limit order fills in the crash")
    check(max(prices(done)) <= 42000, "at its limit or better", done)
    for fill in done["fills"]:
        at_us = fill["evidence"]["time_us"] - BEGIN_US
        check(CRASH_S * 1_000_000 < at_us <= LOW_S * 1_000_000, "and in the crash", fill)
    done = wait_for(lambda: filled(user, stop), "the stop order is set off")
    check(40000 <= min(prices(done)) <= 45000, "and sold in the fall", done)
    check(user.get_order(never["order_id"])["status"] == "NEW", "39,000 was never there")
    user.call("DELETE", "/api/paper-trading/orders/%s" % never["order_id"])


def prices(order):
    return [Decimal(fill["price"]) for fill in order["fills"]]


def filled(user, order):
    found = user.get_order(order["order_id"])
    return found if found["status"] == "FILLED" else None


def sockets(stack):
    return subprocess.run(["bash", "-c", ". tools/dev/lib.sh && socket_dir"], cwd=ROOT,
                          env=dict(stack.environment, dev_dir=os.path.join(ROOT, "tools", "dev")),
                          capture_output=True, text=True, check=True).stdout


def played(stack):
    """Every message of the symbol's stream, without its number, from the beginning to the end."""
    steer(stack, "pause")
    steer(stack, "speed", "max")
    steer(stack, "loop", "off")
    # From wherever it was, so that it goes back each time.
    steer(stack, "seek", moment(CRASH_S))
    wait_for(lambda: steer(stack, "status")["market_time"] == moment(CRASH_S), "it is there", 20)
    follower = Follower(os.path.join(sockets(stack), "market.pub"), b"t.BTCUSDT.")
    messages = ((kind, body) for kind, body in follower.messages() if kind != FRAME)
    kind, _ = next(messages)
    check(kind == BEAT, "a paused market only beats, and the follower is known", kind)
    found = []
    steer(stack, "seek", moment(0))
    steer(stack, "play")
    for kind, body in messages:
        if kind == BEAT:
            if body.get(3) == ENDED and any(k == TRADE for k, _ in found):
                break
            continue
        body.pop(2, None)
        found.append((kind, body))
    follower.close()
    return found


def is_the_same(stack, user):
    first = played(stack)
    check(sum(kind == TRADE for kind, _ in first) == END_S * 10, "all trades", len(first))
    check(sum(kind in (DEPTH, BOOK) for kind, _ in first) >= END_S * 10, "all changes", len(first))
    same(first, played(stack), "the second time")
    stack.kill("marketdata")
    stack.wait_ready("marketdata")
    same(first, played(stack), "by another process")
    stack.stop("marketdata")
    stack.environment["SCRIP_MARKETDATA_SOURCES"] = "playback:%s:clock=kept" % stack.market[0]
    stack.start("marketdata")
    stack.wait_ready("marketdata")
    where = steer(stack, "status")["where"]
    check(where.endswith("market.txt"), "the raw file is played", where)
    same(first, played(stack), "from the raw file")
    steer(stack, "loop", "on")
    steer(stack, "speed", "1000")
    steer(stack, "play")
    rounds = stack.metric("marketdata", "scrip_marketdata_events_total")
    wait_for(lambda: stack.metric("marketdata", "scrip_marketdata_events_total")
             > rounds + 3 * len(first), "round after round")
    wait_for(lambda: best(user), "and it can be traded again")


def same(first, other, when):
    for index, (a, b) in enumerate(zip(first, other)):
        check(a == b, "message %d is the same %s" % (index, when), a, b)
    check(len(first) == len(other), "as many %s" % when, len(first), len(other))


def story():
    """A recorded crash is played, steered and traded, and is the same each time it is played."""
    with Stack(settings=SETTINGS, market=write) as stack:
        user = stack.user()
        is_recorded(stack)
        is_held(stack, user)
        is_traded(stack, user)
        is_the_same(stack, user)


if __name__ == "__main__":
    tell(story)
