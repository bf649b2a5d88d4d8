"""recording - a market made for stories, in the form of a raw Binance recording.

The price of BTCUSDT walks from 50,000 to 50,200 and back every four seconds, with one level of
QUANTITY on each side and a trade at every step. So an order at 50,100 is crossed soon, one at
40,000 rests for ever, and a taker of more than QUANTITY reaches what users have resting behind.

SPDX-License-Identifier: Apache-2.0
"""
import json

LOW, HIGH, STEP = 50000, 50200, 5
QUANTITY = 5
TICK_NS = 50_000_000


def prices():
    return list(range(LOW, HIGH, STEP)) + list(range(HIGH, LOW, -STEP))


def lines(start_ns=1_700_000_000_000_000_000):
    update = 1000
    for index, price in enumerate(prices()):
        at_ns = start_ns + index * TICK_NS
        update += 1
        quote = {"u": update, "s": "BTCUSDT", "b": "%d.00" % price, "B": "%d.00000" % QUANTITY,
                 "a": "%d.50" % price, "A": "%d.00000" % QUANTITY}
        yield at_ns, {"stream": "btcusdt@bookTicker", "data": quote}
        trade = {"e": "trade", "E": at_ns // 1_000_000, "s": "BTCUSDT", "t": 5000 + index,
                 "p": "%d.50" % price, "q": "0.01000", "T": at_ns // 1_000_000, "m": False,
                 "M": True}
        yield at_ns + 1, {"stream": "btcusdt@trade", "data": trade}


def write(path):
    with open(path, "w", encoding="ascii") as file:
        for at_ns, message in lines():
            file.write("%d %s\n" % (at_ns, json.dumps(message, separators=(",", ":"))))
    return path
