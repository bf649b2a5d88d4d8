#!/usr/bin/python3
"""The market's routes: symbols with their rules, ticker, depth, trades, candles, OpenAPI.

SPDX-License-Identifier: Apache-2.0
"""
import recording
from books import amount
from stack import Stack, check, tell, wait_for


def ticker_and_book(user):
    ticker = wait_for(lambda: (t := user.ticker()) and amount(t["last_price"]) > 0 and t,
                      "a last price")
    check(recording.LOW <= amount(ticker["last_price"]) <= recording.HIGH + 1,
          "the last price is the recording's", ticker)
    book = user.call("GET", "/api/market/depth", query={"symbol": "BTCUSDT", "limit": 5})
    bid, ask = amount(book["bids"][0]["price"]), amount(book["asks"][0]["price"])
    check(bid < ask, "the book is not crossed", book)
    check(amount(book["bids"][0]["quantity"]) <= recording.QUANTITY, "with its quantity", book)


def trades_and_candles(user):
    trades = wait_for(lambda: user.call("GET", "/api/market/trades",
                                        query={"symbol": "BTCUSDT", "limit": 10})["trades"],
                      "trades of the market")
    times = [t["time_us"] for t in trades]
    check(times == sorted(times), "trades come oldest first", times)
    klines = wait_for(lambda: user.call("GET", "/api/market/klines",
                                        query={"symbol": "BTCUSDT", "interval": "1m"})["candles"],
                      "a candle")
    for candle in klines:
        check(amount(candle["low"]) <= amount(candle["open"]) <= amount(candle["high"]),
              "a candle is a candle", candle)
        check(amount(candle["low"]) <= amount(candle["close"]) <= amount(candle["high"]),
              "a candle is a candle", candle)


def description(user):
    status, _, page = user.raw("GET", "/api/docs")
    check(status == 200 and b"<html" in page.lower(), "the API has a page", status)
    paths = user.call("GET", "/api/openapi.json")["paths"]
    for path in ("/api/paper-trading/orders", "/api/auth/register", "/api/market/klines"):
        check(path in paths, "OpenAPI describes " + path, list(paths))


def story():
    """The market's routes answer"""
    with Stack(market=recording.write) as stack:
        user = stack.client()
        symbols = user.call("GET", "/api/market/symbols")["symbols"]
        rules = {s["symbol"]: s for s in symbols}
        check(amount(rules["BTCUSDT"]["tick_size"]) > 0, "BTCUSDT has its rules", rules)
        ticker_and_book(user)
        trades_and_candles(user)
        description(user)


if __name__ == "__main__":
    tell(story)
