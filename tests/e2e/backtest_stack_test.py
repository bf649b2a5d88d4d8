#!/usr/bin/python3
"""What a stack did in a market, a backtest of that market and those orders does again.

A market is told line by line while a user trades over REST. The lines are a recording then: the
same orders, at the times at which they were sent, are put through a backtest of it. Every order
ends as it did, filled as much and at the same price.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import time
from decimal import Decimal

from backtest_test import rows, run, write_lines
from books import amount
from market import Market
from stack import Stack, check, tell, wait_for


class Player:
    """Places orders over REST, and keeps them as lines of an order file."""

    def __init__(self, user):
        self.user, self.lines, self.orders = user, [], {}

    def keep(self, **line):
        self.lines.append({"at": time.time_ns() // 1000, "account": "player", **line})

    def place(self, side, kind, **fields):
        body = self.user.order(side, kind, client_order_id="p-%d" % len(self.orders), **fields)
        self.keep(**body)
        view = self.user.call("POST", "/api/paper-trading/orders", body)
        self.orders[body["client_order_id"]] = view["order"]["order_id"]
        return view["order"]["order_id"]

    def cancel(self, order_id):
        self.keep(action="cancel", client_order_id=self.name(order_id))
        self.user.cancel(order_id)

    def amend(self, order_id, quantity):
        self.keep(action="amend", client_order_id=self.name(order_id), quantity=quantity)
        self.user.amend(order_id, quantity)

    def name(self, order_id):
        return [name for name, there in self.orders.items() if there == order_id][0]

    def wait(self, order_id, status):
        wait_for(lambda: self.user.get_order(order_id)["status"] == status, "it is " + status)


def trade(market, player):
    player.place("BUY", "MARKET", quantity="0.4")
    player.place("BUY", "MARKET", quote_order_quantity="900")
    bid = player.place("BUY", "LIMIT", quantity="0.1", price="49900")
    ask = player.place("SELL", "LIMIT", quantity="0.1", price="50100")
    stop = player.place("SELL", "STOP_LOSS", quantity="0.05", stop_price="49500")
    far = player.place("SELL", "LIMIT", quantity="0.02", price="60000")
    player.amend(far, "0.01")
    market.move(50200)
    player.wait(ask, "FILLED")
    market.move(49899)
    player.wait(bid, "FILLED")
    market.move(49490)
    player.wait(stop, "FILLED")
    player.cancel(far)
    player.place("BUY", "LIMIT", quantity="0.05", price="40000", time_in_force="IOC")
    player.place("SELL", "MARKET", quantity="0.2")
    player.place("BUY", "LIMIT", quantity="0.03", price="45000")
    # Whatever is known of the market is in its lines now.
    market.move(49500)


def story():
    """A backtest of a stack's market and orders ends as the stack did."""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        player = Player(stack.user(balance="100000"))
        trade(market, player)
        path = write_lines(os.path.join(stack.dir, "orders.jsonl"), player.lines)
        out = os.path.join(stack.dir, "backtest")
        told = run("--market", market.path, "--orders", path, "--preset", "optimistic",
                   "--balance", "100000", "--out", out, "--json").stdout.splitlines()
        check(json.loads(told[0])["refused"] == 0, "nothing is refused", told)
        again = {row["client_order_id"]: row for row in rows(out, "orders.csv")}
        check(len(again) == len(player.orders), "all orders are there", again)
        for name, order_id in player.orders.items():
            order, row = player.user.get_order(order_id), again[name]
            check(row["status"] == order["status"], "ends as it did", order, row)
            for field in ("executed_quantity", "executed_quote_quantity"):
                check(Decimal(row[field]) == amount(order[field]), "the same " + field, order, row)
            fee = sum(amount(fill["fee"]) for fill in order["fills"])
            check(Decimal(row["fee_base"]) + Decimal(row["fee_quote"]) == fee, "and fees", order,
                  row)


if __name__ == "__main__":
    tell(story)
