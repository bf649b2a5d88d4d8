#!/usr/bin/python3
"""A journal is sent into another deployment: in the same market all agrees, in another it is told.

Clients trade in a market that stands still. What they did is sent from that stack's journal into
fresh ones: one with the same market, where every reply and every order agrees; one whose price is
another, where the orders that differ are named; and back into the very stack, and a second time
into the first, which are refused.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
from decimal import Decimal

from books import check_journal, check_zero_sums
from market import Market
from stack import ROOT, Stack, check, tell, wait_for


ORDER_PLACE = 30  # in common/tbl/messages.def


def endpoint(stack):
    with open(os.path.join(stack.dir, "etc", "ledger.conf"), encoding="utf-8") as file:
        lines = [line.split(" = ", 1) for line in file if line.startswith("serve_endpoint")]
    return lines[0][1].strip()


def send_begin(source, target, *words):
    return subprocess.Popen([os.path.join(ROOT, "scrip"), "ctl", "replay", "--to",
                             endpoint(target), "--json", "--quiet", *words],
                            env=source.environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def send_end(run):
    """The exit status, the JSON objects that were printed, and the errors."""
    out, errors = run.communicate()
    return run.returncode, [json.loads(line) for line in out.splitlines()], errors


def send(source, target, *words):
    return send_end(send_begin(source, target, *words))


def summary(told):
    return [row for row in told if "p99_us" in row][0]


def trade(user, other):
    """Something of everything that is in a journal."""
    bought = user.place("BUY", "MARKET", quantity="0.3")
    check(bought["status"] == "FILLED", "the market is there", bought)
    user.place("SELL", "MARKET", quantity="0.1")
    user.place("BUY", "MARKET", quote_order_quantity="500")
    resting = user.place("BUY", "LIMIT", quantity="0.2", price="40000")
    user.amend(resting["order_id"], "0.1")
    kept = user.place("BUY", "LIMIT", quantity="0.05", price="41000")
    user.cancel(resting["order_id"])
    moved = user.replace(kept["order_id"], "BUY", "LIMIT", quantity="0.04", price="42000")
    check(moved["status"] in ("NEW", "PENDING_NEW"), "an order takes another's place", moved)
    pair = user.place_list("OCO",
                           ("SELL", "LIMIT_MAKER", {"quantity": "0.05", "price": "90000"}),
                           ("SELL", "STOP_LOSS", {"quantity": "0.05", "stop_price": "30000"}))
    user.place_list("OCO", ("SELL", "LIMIT_MAKER", {"quantity": "0.01", "price": "91000"}),
                    ("SELL", "STOP_LOSS", {"quantity": "0.01", "stop_price": "31000"}))
    user.cancel_list(pair["list"]["list_id"])
    # Two users meet between bid and ask, and what one got so it spends.
    other.place("SELL", "LIMIT", quantity="0.02", price="50000.25")
    met = user.place("BUY", "LIMIT", quantity="0.02", price="50000.25")
    check(met["status"] == "FILLED", "two users trade", met)
    other.set_balance("70000")
    other.place("BUY", "LIMIT", quantity="1.2", price="50000.50", time_in_force="IOC")


def a_stack(price):
    market = Market()
    market.bid = market.last = Decimal(price)
    stack = Stack(market=market.write, settings=market.settings)
    market.tell(price)
    return market, stack


def market_is_there(stack):
    wait_for(lambda: stack.metric("ledger", "scrip_ledger_prices_total") > 0 and
             stack.metric("matcher", "scrip_matcher_ticks_total") > 0, "the market is there")


def refused(result, code):
    status, told, errors = result
    check(status == 3 and told and told[-1]["error"]["code"] == code, "refused: " + code, status,
          told, errors)


def agrees_in_the_same_market(source, speed):
    _, same = a_stack("50000")
    with same:
        market_is_there(same)
        run = send_begin(source, same, "--speed", speed, "--patience", "20s")
        if speed == "1":
            # It is in the middle, and the other ledger dies.
            wait_for(lambda: int(same.sql("SELECT count(*) FROM ledger.journal WHERE kind = %d"
                                           % ORDER_PLACE)[0][0]) > 3, "the first orders are there")
            same.kill("ledger")
        status, told, errors = send_end(run)
        check(status == 0, "every reply agrees, every order too", told, errors)
        figures = summary(told)
        check(figures["differ"] == 0 and figures["refused"] == 0 and figures["agree"] >= 15,
              "and so it is told", figures)
        check(figures["told_by_reports"] >= 3, "cancels and amendments were found", figures)
        check(figures["fills"] == figures["fills_there"] > 5, "with the same fills", figures)
        check_journal(same)
        check_zero_sums(same)
        refused(send(source, same), "NOT_FRESH")


def story():
    """A journal's commands agree in the same market, and differ in another."""
    market, source = a_stack("50000")
    with source:
        market.open(source)
        user, other = source.user(), source.user()
        other.place("BUY", "MARKET", quantity="0.5")
        trade(user, other)
        refused(send(source, source, "--speed", "max"), "SAME_DEPLOYMENT")

        for speed in ("1", "max"):
            agrees_in_the_same_market(source, speed)

        _, cheaper = a_stack("39000")
        with cheaper:
            market_is_there(cheaper)
            status, told, errors = send(source, cheaper, "--speed", "max", "--patience", "100ms")
            check(status == 1, "another market is another outcome", told, errors)
            named = {row["difference"] for row in told if "difference" in row}
            check("filled at other prices" in named, "and what differs is named", told)
            check("filled there only" in named, "a bid above that market is filled there", told)
            check(summary(told)["differ"] > 0, "and counted", told)
            check("orders differ" in summary(told)["verdict"], "and said in words", told)


if __name__ == "__main__":
    tell(story)
