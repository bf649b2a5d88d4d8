"""market - a market whose every price a story says: a recording that grows while it is played.

    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        market.move(49000)          # the bid and the last trade; the ask stands SPREAD above it

What moves the market comes back when everybody has it: an order of a user of its own was filled on
the very line, and another was refused for the very price. Nothing moves by itself.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import time
from decimal import Decimal

from books import amount
from stack import check, wait_for

START = Decimal(50000)
SPREAD = Decimal("0.50")
QUANTITY = Decimal(5)
MORE = Decimal("0.001")


class Market:
    # What stands still is not stale here, and what moves is told at once.
    settings = {"marketdata": "stale_ms = 3600000\nprice_ms = 10\nbeat_ms = 100\n"}

    def __init__(self):
        self.path = self.prober = None
        self.bid, self.last, self.quantity = START, START, QUANTITY
        self.lines = 0        # written
        self.first = None     # sequence number of a line, less its place among the lines

    def write(self, path):
        """The market as it opens; for Stack(market=...)."""
        self.path = path
        self.trade_line(START, "0.01", True)
        self.quote_line()
        os.environ["SCRIP_MARKETDATA_SOURCES"] = (
            "playback:%s:speed=max:clock=kept:follow=1" % path)
        return path

    def open(self, stack):
        self.prober = stack.user(balance="1000000")
        self.first = wait_for(self.probe, "the house trades") - self.lines

    # ---- Lines ----

    def line(self, stream, data):
        self.lines += 1
        text = json.dumps({"stream": "btcusdt@" + stream, "data": data}, separators=(",", ":"))
        with open(self.path, "a", encoding="ascii") as file:
            file.write("%d %s\n" % (time.time_ns(), text))

    def trade_line(self, price, quantity, seller):
        now_ms = time.time_ns() // 1_000_000
        self.line("trade", {"e": "trade", "E": now_ms, "s": "BTCUSDT", "t": 1000 + self.lines,
                            "p": str(price), "q": str(quantity), "T": now_ms, "m": seller,
                            "M": True})

    def quote_line(self):
        self.line("bookTicker", {"u": 1000 + self.lines, "s": "BTCUSDT", "b": str(self.bid),
                                 "B": str(QUANTITY), "a": str(self.bid + SPREAD),
                                 "A": str(self.quantity)})

    # ---- Moves ----

    def tell(self, price):
        """Moves and does not wait for who hears of it."""
        self.bid = self.last = Decimal(price)
        self.quote_line()
        self.trade_line(self.last, "0.01", True)

    def move(self, price):
        """The touch moves to `price`, and then a trade happens there."""
        self.tell(price)
        self.settle()

    def print(self, price, quantity, seller=True):
        """A trade, by default of a seller who takes; the touch stays."""
        self.last = Decimal(price)
        self.trade_line(price, quantity, seller)
        self.settle()

    def mark(self, price):
        now_ms = time.time_ns() // 1_000_000
        self.line("markPrice", {"e": "markPriceUpdate", "E": now_ms, "s": "BTCUSDT",
                                "p": str(price), "i": str(price), "r": "0.00010000",
                                "T": now_ms + 3600000})
        self.settle()
        wait_for(lambda: self.known("MARK") == Decimal(price), "the ledger has the mark price")

    def settle(self):
        """A further quote, which changes nothing but the quantity asked: who has it has all."""
        self.quantity += MORE
        self.quote_line()
        wait_for(lambda: self.probe() == self.first + self.lines, "the matcher has the market")
        for source, price in (("LAST", self.last), ("BID_ASK", self.bid)):
            wait_for(lambda s=source, p=price: self.known(s) == p, "the ledger has " + source)

    def known(self, source):
        """The price that the ledger judges a seller's stop order by; None when it has none."""
        status, answer = self.prober.ask("POST", "/api/paper-trading/orders", self.prober.order(
            "SELL", "STOP_LOSS", quantity="0.001", stop_price=2 * START, trigger_source=source))
        check(status in (400, 503, 504), "a stop above the market is refused", status, answer)
        return amount(answer["error"]["detail"].split()[-1]) if status == 400 else None

    def probe(self):
        """The number of the line that a buyer is filled on; None while there is nobody to
        ask."""
        status, done = self.prober.ask("POST", "/api/paper-trading/orders",
                                       self.prober.order("BUY", "MARKET", quantity="0.001"))
        house = [f["evidence"]["sequence"] for f in done.get("fills", ())
                 if f["evidence"]["source"] == "QUOTE"]
        check(status in (201, 503, 504), "a buyer meets the house", status, done)
        return house[-1] if house else None
