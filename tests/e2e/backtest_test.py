#!/usr/bin/python3
"""A backtest can be proved: its fills give its balances, its balances and prices its equity.

Written a second time here, with decimals, from the recording and fills.csv alone: fees, balances,
equity, profit, drawdown, and that every fill rests on something that the recording shows. A tiny
market is worked out by hand. The same input gives the same bytes; a wrong order file is refused
whole, before anything runs.

SPDX-License-Identifier: Apache-2.0
"""
import bisect
import csv
import json
import os
import random
import subprocess
import tempfile
import time
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from stack import ROOT, check, tell

BUILD = os.environ.get("SCRIP_BUILD", os.path.join(ROOT, "build", "release"))
SCRIPCTL = os.path.join(BUILD, "tools", "scripctl", "scripctl")
RULES = os.path.join(ROOT, "config", "symbols.json")
UNIT = Decimal("0.00000001")
FEE = Decimal("0.001")
START_NS = 1_700_000_000_000_000_000


def run(*words, status=0):
    done = subprocess.run([SCRIPCTL, "backtest", "--quiet", "--rules", RULES, *words],
                          capture_output=True, text=True, check=False)
    check(done.returncode == status, "exit status %d" % status, done.returncode, done.stdout,
          done.stderr)
    return done


def down(value):
    return value.quantize(UNIT, ROUND_FLOOR)


def rows(folder, name):
    with open(os.path.join(folder, name), encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def write_lines(path, lines):
    with open(path, "w", encoding="ascii") as file:
        for line in lines:
            file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    return path


def time_text(us):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(us // 1_000_000)) + ".%06dZ" % (
        us % 1_000_000)


class Prices:
    """The last price of a market at any time: both as they became known."""

    def __init__(self):
        self.times, self.prices = [], []

    def add(self, at_us, price):
        self.times.append(time_text(at_us))
        self.prices.append(Decimal(price))

    def at(self, text):
        """That time included."""
        known = bisect.bisect_right(self.times, text)
        return self.prices[known - 1] if known > 0 else Decimal(0)


class Recording:
    """A raw recording of one symbol, and what its prices were."""

    def __init__(self, path):
        self.path, self.lines, self.prices = path, [], Prices()

    def line(self, at_ns, stream, data):
        text = json.dumps({"stream": "btcusdt@" + stream, "data": data}, separators=(",", ":"))
        self.lines.append("%d %s" % (at_ns, text))

    def quote(self, at_ns, bid, ask, quantity="5"):
        self.line(at_ns, "bookTicker", {"u": len(self.lines) + 1, "s": "BTCUSDT", "b": str(bid),
                                        "B": quantity, "a": str(ask), "A": quantity})

    def trade(self, at_ns, price, quantity="0.01", seller=False):
        self.line(at_ns, "trade", {"e": "trade", "E": at_ns // 1_000_000, "s": "BTCUSDT",
                                   "t": len(self.lines) + 1, "p": str(price), "q": str(quantity),
                                   "T": at_ns // 1_000_000, "m": seller, "M": True})
        self.prices.add(at_ns // 1000, price)

    def write(self):
        return write_lines(self.path, self.lines)


def walk(path, steps, seed):
    """Bid and ask half a dollar apart wander; a trade at each step."""
    dice, market, bid = random.Random(seed), Recording(path), Decimal("50000.00")
    for step in range(steps):
        at_ns = START_NS + step * 250_000_000
        bid += Decimal(dice.randrange(-40, 41)) / 4
        market.quote(at_ns, bid, bid + Decimal("0.50"), "%d" % dice.randrange(1, 4))
        is_seller = dice.random() < 0.5
        market.trade(at_ns + 1000, bid if is_seller else bid + Decimal("0.50"),
                     "0.%03d" % dice.randrange(1, 500), is_seller)
    market.write()
    return market


def orders_of(market, count, seed, accounts):
    """Market and limit orders, some taken back or lowered, some that nobody can pay."""
    dice, lines = random.Random(seed), []
    length_us = (len(market.lines) // 2) * 250_000
    for number in range(count):
        at_us = dice.randrange(1_000_000, length_us - 1_000_000)
        order = {"at": "+%dus" % at_us, "account": dice.choice(accounts), "symbol": "BTCUSDT",
                 "client_order_id": "o-%d" % number, "side": dice.choice(("BUY", "SELL")),
                 "type": dice.choice(("MARKET", "LIMIT", "LIMIT")),
                 "quantity": "0.%04d" % dice.randrange(2, 400)}
        if order["type"] == "LIMIT":
            near = market.prices.at(time_text(START_NS // 1000 + at_us))
            order["price"] = str(near + Decimal(dice.randrange(-80, 81)))
        lines.append(order)
        if dice.random() < 0.3:
            lines.append({"at": "+%dus" % (at_us + dice.randrange(1, 20_000_000)),
                          "account": order["account"], "action": "cancel",
                          "client_order_id": order["client_order_id"]})
        elif dice.random() < 0.2:
            lines.append({"at": "+%dus" % (at_us + dice.randrange(1, 20_000_000)),
                          "account": order["account"], "action": "amend",
                          "client_order_id": order["client_order_id"], "quantity": "0.0001"})
    return lines


class Book:
    """What one account has, by its fills."""

    def __init__(self, cash):
        self.cash, self.base, self.top, self.worst = cash, Decimal(0), None, Decimal(0)

    def fill(self, row):
        price, quantity = Decimal(row["price"]), Decimal(row["quantity"])
        quote = down(price * quantity)
        check(quote == Decimal(row["quote_quantity"]), "price times quantity, rounded down", row)
        buys = row["side"] == "BUY"
        fee = ((quantity if buys else quote) * FEE).quantize(UNIT, ROUND_CEILING)
        check(fee == Decimal(row["fee"]), "the fee is a thousandth of what is received", row)
        check(row["fee_asset"] == ("BTC" if buys else "USDT"), "in what is received", row)
        if buys:
            self.cash, self.base = self.cash - quote, self.base + quantity - fee
        else:
            self.cash, self.base = self.cash + quote - fee, self.base - quantity
        check(self.cash >= 0 and self.base >= 0, "nobody has less than nothing", row)


def prove(prices, folder, balance):
    """Equity again, row by row; gives the fills."""
    fills, equity = rows(folder, "fills.csv"), rows(folder, "equity.csv")
    accounts = sorted({row["account"] for row in equity} - {"*"})
    books = {account: Book(Decimal(balance)) for account in accounts}
    at = 0
    for row in equity:
        while at < len(fills) and fills[at]["time"] <= row["time"]:
            books[fills[at]["account"]].fill(fills[at])
            at += 1
        prove_row(row, books, prices.at(row["time"]), Decimal(balance))
    check(at == len(fills), "all fills are in the equity", at, len(fills))
    return fills


def prove_row(row, books, price, balance):
    chosen = list(books.values()) if row["account"] == "*" else [books[row["account"]]]
    cash = sum((book.cash for book in chosen), Decimal(0))
    positions = sum((down(book.base * price) for book in chosen), Decimal(0))
    profit = cash + positions - balance * len(chosen)
    check(Decimal(row["cash"]) == cash, "cash %s" % cash, row)
    check(Decimal(row["positions"]) == positions, "positions %s" % positions, row)
    check(Decimal(row["equity"]) == cash + positions, "equity", row)
    check(Decimal(row["profit"]) == profit, "profit %s" % profit, row)
    if len(chosen) == 1:
        book = chosen[0]
        book.top = profit if book.top is None or profit > book.top else book.top
        fall = book.top - profit
        check(Decimal(row["drawdown"]) == fall, "drawdown %s" % fall, row)
        check(Decimal(row["drawdown_ratio"]) == down(fall / (balance + book.top)), "its ratio", row)


def prove_evidence(market, folder, fills):
    """Every fill by the house rests on a line of the recording, and keeps its order's limit."""
    shown, orders = set(), {row["order_id"]: row for row in rows(folder, "orders.csv")}
    for line in market.lines:
        data = json.loads(line.split(" ", 1)[1])["data"]
        if "p" in data:
            shown.add(("TRADE", Decimal(data["p"])))
        else:
            shown.update((("QUOTE", Decimal(data["b"])), ("QUOTE", Decimal(data["a"]))))
    done = {}
    for row in fills:
        order, price = orders[row["order_id"]], Decimal(row["price"])
        if row["evidence"] != "USER":
            check((row["evidence"], Decimal(row["evidence_price"])) in shown,
                  "the recording shows what a fill rests on", row)
        if order["type"] == "LIMIT":
            limit = Decimal(order["price"])
            check(price <= limit if row["side"] == "BUY" else price >= limit, "its limit", row)
        done[row["order_id"]] = done.get(row["order_id"], Decimal(0)) + Decimal(row["quantity"])
    for order_id, order in orders.items():
        if order_id != "":
            check(Decimal(order["executed_quantity"]) == done.get(order_id, Decimal(0)),
                  "an order has what its fills say", order)


def the_books_are_right(folder):
    market = walk(os.path.join(folder, "walk.txt"), 1400, 11)
    accounts = ["ada", "bob", "cy"]
    lines = orders_of(market, 600, 12, accounts)
    path = write_lines(os.path.join(folder, "orders.jsonl"), lines)
    for preset in ("optimistic", "realistic", "harsh"):
        out = os.path.join(folder, preset)
        words = ("--market", market.path, "--orders", path, "--preset", preset, "--seed", "5",
                 "--balance", "30000", "--every", "10s", "--json")
        summary = json.loads(run(*words, "--out", out).stdout.split("\n", 1)[0])
        fills = prove(market.prices, out, "30000")
        check(len(fills) > 100, "orders were filled under " + preset, len(fills))
        check(summary["fills"] == len(fills), "the summary counts them", summary)
        prove_evidence(market, out, fills)
        prove_summary(summary, out, fills)
        again = os.path.join(folder, preset + "-again")
        run(*words, "--out", again)
        for name in ("fills.csv", "orders.csv", "equity.csv", "summary.json"):
            with open(os.path.join(out, name), "rb") as one, \
                    open(os.path.join(again, name), "rb") as two:
                check(one.read() == two.read(), "the same input gives the same " + name)


def prove_summary(summary, folder, fills):
    total = [row for row in rows(folder, "equity.csv") if row["account"] == "*"]
    check(summary["equity"] == total[-1]["equity"], "the last row's equity", summary)
    check(summary["profit"] == total[-1]["profit"], "the last row's profit", summary)
    check(Decimal(summary["max_drawdown"]) == max(Decimal(row["drawdown"]) for row in total),
          "the worst drawdown", summary)
    turnover = sum((Decimal(row["quote_quantity"]) for row in fills), Decimal(0))
    check(Decimal(summary["turnover"]) == turnover, "turnover %s" % turnover, summary)
    orders = rows(folder, "orders.csv")
    refused = [row for row in orders if row["status"] == "REFUSED"]
    check(summary["refused"] == len(refused), "refusals are in orders.csv", summary, len(refused))
    check(summary["orders"] == len([row for row in orders if row["order_id"]]), "orders", summary)
    check(all(row["why"] for row in orders), "every order has its sentence")


def a_market_by_hand(folder):
    """50,000.00 / 50,000.50 with 5 on each side; then a trade at 50,100; then the bid is there."""
    market = Recording(os.path.join(folder, "hand.txt"))
    market.trade(START_NS, "50000.00")
    market.quote(START_NS + 1_000_000, "50000.00", "50000.50")
    market.quote(START_NS + 10_000_000_000, "50099.50", "50100.00")
    market.trade(START_NS + 11_000_000_000, "50100.00", "0.05")
    market.quote(START_NS + 12_000_000_000, "50100.00", "50100.50")
    market.trade(START_NS + 13_000_000_000, "50100.00", "0.01")
    market.write()
    lines = [
        {"at": "+5s", "client_order_id": "buy", "symbol": "BTCUSDT", "side": "BUY",
         "type": "MARKET", "quantity": "0.1"},
        {"at": "+6s", "client_order_id": "sell", "symbol": "BTCUSDT", "side": "SELL",
         "type": "LIMIT", "quantity": "0.06", "price": "50100.00"},
        {"at": "+6s", "client_order_id": "never", "symbol": "BTCUSDT", "side": "BUY",
         "type": "LIMIT", "quantity": "0.01", "price": "40000.00"},
        {"at": "+7s", "client_order_id": "poor", "symbol": "BTCUSDT", "side": "BUY",
         "type": "MARKET", "quantity": "1"}]
    lines.append(dict(lines[0], at="+8s"))
    lines.append({"at": "+9h", "action": "cancel", "client_order_id": "never"})
    orders = write_lines(os.path.join(folder, "hand.jsonl"), lines)
    out = os.path.join(folder, "hand")
    run("--market", market.path, "--orders", orders, "--preset", "optimistic", "--out", out,
        "--every", "5s")
    fills = prove(market.prices, out, "10000")
    got = [(f["client_order_id"], f["time"][14:26], f["price"], f["quantity"], f["evidence"])
           for f in fills]
    check(got == [("buy", "13:25.000000", "50000.50000000", "0.10000000", "QUOTE"),
                  ("sell", "13:31.000000", "50100.00000000", "0.05000000", "TRADE"),
                  ("sell", "13:32.000000", "50100.00000000", "0.01000000", "QUOTE")],
          "three fills, worked out by hand", got)
    last = rows(out, "equity.csv")[-1]
    # 10,000 - 5,000.05 + 3,006 - 3.006; 0.1 - 0.0001 - 0.06 at 50,100
    check((last["cash"], last["positions"]) == ("8002.94400000", "1998.99000000"),
          "the end, worked out by hand", last)
    orders = rows(out, "orders.csv")
    check([(row["line"], row["status"]) for row in orders[-2:]] ==
          [("5", "REPEATED"), ("6", "NOT_SENT")], "the same again; and one too late", orders)
    status = {row["client_order_id"]: (row["status"], row["end"]) for row in orders[:-2]}
    check(status == {"buy": ("FILLED", "COMPLETE"), "sell": ("FILLED", "COMPLETE"),
                     "never": ("NEW", "OPEN"), "poor": ("REFUSED", "FUNDS_TOO_LOW")},
          "what became of them", status)


def csv_says_the_same(folder):
    market = os.path.join(folder, "hand.txt")
    table = write_lines(os.path.join(folder, "hand.csv"), [
        "at,client_order_id,symbol,side,type,quantity,price,action,account",
        "# a comment",
        "+5s,buy,BTCUSDT,BUY,MARKET,0.1,,,",
        "+6s,sell,BTCUSDT,SELL,LIMIT,0.06,50100.00,place,main",
        "+6s,never,BTCUSDT,BUY,LIMIT,0.01,40000.00,,",
        "+7s,poor,BTCUSDT,BUY,MARKET,1,,,", "+8s,buy,BTCUSDT,BUY,MARKET,0.1,,,",
        "+9h,never,,,,,,cancel,"])
    out = os.path.join(folder, "table")
    run("--market", market, "--orders", table, "--preset", "optimistic", "--out", out, "--every",
        "5s")
    for name in ("fills.csv", "equity.csv", "summary.json"):
        with open(os.path.join(folder, "hand", name), encoding="ascii") as one, \
                open(os.path.join(out, name), encoding="ascii") as two:
            check(one.read() == two.read(), "a table gives the same " + name)


def markets_of_all_kinds(folder):
    orders = write_lines(os.path.join(folder, "one.jsonl"), [
        {"at": "+30s", "symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"},
        {"at": "+40s", "symbol": "ETHUSDT", "side": "BUY", "type": "MARKET",
         "quote_order_quantity": 50}])
    candles = write_lines(os.path.join(folder, "BTCUSDT-1m.csv"), [
        "%d,50000,50100,49900,50050,12,%d,600000,90,6,300000,0"
        % (START_NS // 1_000_000 + n * 60000, START_NS // 1_000_000 + n * 60000 + 59999)
        for n in range(10)])
    done = run("--market", candles, "--market", "synthetic:seed=9:symbols=ETHUSDT", "--orders",
               orders, "--length", "5m", "--json")
    summary = json.loads(done.stdout.split("\n", 1)[0])
    check(summary["filled"] == 2 and summary["unvalued"] == 0, "two markets at once", summary)
    end = time_text(START_NS // 1000 + 300_000_000)
    check(summary["end"] == end, "as long as was said", summary)


def wrong_input_is_refused(folder):
    market, out = os.path.join(folder, "hand.txt"), os.path.join(folder, "nothing")
    good = {"at": "+5s", "symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    wrong = [(dict(good, at="soon"), "at"), (dict(good, quantity="0.123456789"), "quantity"),
             (dict(good, symbol="NOSUCH"), "symbol"), (dict(good, symbol="ETHUSDT"), None),
             (dict(good, type="LIMIT"), "price"), (dict(good, action="buy"), "action"),
             (dict(good, colour="red"), "colour"), (dict(good, at="2020-01-01"), "at"),
             ({"at": "+1s", "action": "cancel", "order_id": 7}, "client_order_id"),
             ("not json", ""), ('{"at":"+1s","at":"+2s"}', "at, account, action")]
    # The market of one symbol that is named: whatever else is asked for is not there.
    source = "playback:%s:symbols=BTCUSDT" % market
    path = write_lines(os.path.join(folder, "wrong.jsonl"), [good] + [line for line, _ in wrong])
    told = run("--market", source, "--orders", path, "--out", out, status=2).stderr.splitlines()
    for number, (line, field) in enumerate(wrong, 2):
        begin = "%s:%d: %s" % (path, number, "" if not field else field + ": ")
        check(any(text.startswith(begin) for text in told), "a complaint about line %d" % number,
              line, told)
    check(not os.path.exists(out), "nothing was run, nothing was written", out)
    one = os.path.join(folder, "one.jsonl")
    for words in (("--market", market), ("--orders", path),
                  ("--market", "synthetic:symbols=BTCUSDT", "--orders", one),
                  ("--market", market, "--orders", path, "--preset", "lucky"),
                  ("--market", market, "--orders", path, "--every", "often")):
        run(*words, status=2)
    run("--market", market + ".gone", "--orders", one, status=3)
    run("--market", market, "--orders", path + ".gone", status=3)


def the_page_is_true(folder):
    """The example of docs/backtest.md, but for what any change of a core changes."""
    with open(os.path.join(ROOT, "docs", "backtest.md"), encoding="ascii") as file:
        page = file.read().split("<!-- example: begin -->")[1].split("<!-- example: end -->")[0]
    blocks = [[]]
    for line in page.split("\n"):
        if line.startswith("    "):
            blocks[-1].append(line[4:].rstrip())
        elif line and blocks[-1]:
            blocks.append([])
    orders, printed, equity, fills = blocks[:4]
    check(printed[0].startswith("$ ./scrip ctl backtest --market "), "the command", printed[0])
    words = printed[0].split()[4:]
    write_lines(os.path.join(folder, "page.jsonl"), orders)
    out = os.path.join(folder, "page")
    words = [{"orders.jsonl": os.path.join(folder, "page.jsonl"), "result": out}.get(w, w)
             for w in words]
    shown = [line.rstrip() for line in run(*words).stdout.split("\n")]
    for line in printed[1:]:
        check(line in shown or line.startswith(("records", "state_hash")), "as printed", line)
    for name, lines in (("equity.csv", equity), ("fills.csv", fills)):
        with open(os.path.join(out, name), encoding="ascii") as file:
            check("\n".join(lines) in file.read(), "the page shows " + name, lines)


def story():
    """A backtest can be proved from its files."""
    with tempfile.TemporaryDirectory(prefix="scrip-backtest-") as folder:
        a_market_by_hand(folder)
        csv_says_the_same(folder)
        markets_of_all_kinds(folder)
        wrong_input_is_refused(folder)
        the_page_is_true(folder)
        the_books_are_right(folder)


if __name__ == "__main__":
    tell(story)
