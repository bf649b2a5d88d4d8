#!/usr/bin/python3
"""A recorded hour of a real market: a backtest's books are right, and it is fast.

SCRIP_DATA names the folder of recordings. Equity is computed again from fills.csv and the trades of
the recording, every fill by a print is found among them, and how fast it went is printed.

SPDX-License-Identifier: Apache-2.0
"""
import json
import lzma
import os
import random
import sys
import tempfile
from decimal import Decimal

from backtest_test import Prices, prove, rows, run, time_text, write_lines
from stack import check, tell

NAMES = ("l2_raw/spot_btcusdt_20240808.txt.xz", "l2_raw/spot_btcusdt_20240809.txt.xz")
ORDERS, ACCOUNTS, BALANCE = 20000, 50, "100000"


def recorded(paths):
    """Prices as they became known, and the trades by time and price."""
    prices, prints, first = Prices(), set(), None
    for path in paths:
        with lzma.open(path, "rt", encoding="ascii") as file:
            for line in file:
                at_ns, text = line.split(" ", 1)
                first = int(at_ns) // 1000 if first is None else first
                if '@trade"' not in text:
                    continue
                trade = json.loads(text)["data"]
                prices.add(int(at_ns) // 1000, trade["p"])
                prints.add((time_text(trade["T"] * 1000), Decimal(trade["p"])))
    return prices, prints, first


def orders(prices, begin_us):
    dice, lines = random.Random(3), []
    for number in range(ORDERS):
        at_us = dice.randrange(5_000_000, 600_000_000)
        near = prices.at(time_text(begin_us + at_us))
        order = {"at": "+%dus" % at_us, "account": "a%d" % dice.randrange(ACCOUNTS),
                 "client_order_id": "o%d" % number, "symbol": "BTCUSDT",
                 "side": dice.choice(("BUY", "SELL")), "type": dice.choice(("MARKET", "LIMIT")),
                 "quantity": "0.%05d" % dice.randrange(20, 900)}
        if order["type"] == "LIMIT":
            order["price"] = str(near + Decimal(dice.randrange(-3000, 3000)) / 100)
            lines.append({"at": "+%dus" % (at_us + dice.randrange(1, 30_000_000)),
                          "account": order["account"], "action": "cancel",
                          "client_order_id": order["client_order_id"]})
        lines.append(order)
    return lines


def story():
    """A recorded market backtested: the books are right."""
    data = os.environ.get("SCRIP_DATA")
    paths = [os.path.join(data or "", name) for name in NAMES]
    if not all(os.path.exists(path) for path in paths):
        print("SKIPPED: backtest_recording_test needs SCRIP_DATA, the folder of recordings, with "
              + " and ".join(NAMES))
        sys.exit(77)
    prices, prints, begin_us = recorded(paths)
    with tempfile.TemporaryDirectory(prefix="scrip-backtest-") as folder:
        path = write_lines(os.path.join(folder, "orders.jsonl"), orders(prices, begin_us))
        out = os.path.join(folder, "out")
        told = run("--market", "playback:%s:symbols=BTCUSDT" % ",".join(paths), "--orders", path,
                   "--balance", BALANCE, "--every", "10s", "--seed", "2", "--out", out, "--json")
        told = [json.loads(line) for line in told.stdout.splitlines()]
        fills = prove(prices, out, BALANCE)
        check(len(fills) > ORDERS / 3, "a real market fills many", len(fills))
        by_print = [row for row in fills if row["evidence"] == "TRADE"]
        check(len(by_print) > 100, "many at rest, by prints", len(by_print))
        for row in by_print:
            check((row["evidence_time"], Decimal(row["evidence_price"])) in prints,
                  "the recording has the print", row)
        kinds = {row["evidence"] for row in fills}
        check(kinds >= {"DEPTH", "TRADE", "USER"}, "the book, prints and users filled", kinds)
        check(len(rows(out, "orders.csv")) >= ORDERS, "every order is told of")
        print("%d events, %d requests: %s" % (told[0]["events"], told[0]["requests"], told[-1]))


if __name__ == "__main__":
    tell(story)
