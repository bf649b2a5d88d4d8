#!/usr/bin/python3
"""kill -9 between placing and triggering: of each pair one leg wins, once, and nothing is lost.

SPDX-License-Identifier: Apache-2.0
"""
import threading
from decimal import Decimal

from books import amount, check_account, check_journal, check_zero_sums
from market import Market
from stack import HttpError, Stack, check, flat, tell, wait_for

OPENING = "1000000"
PAIRS = 2  # MAX_NUM_ALGO_ORDERS is 5
PROFIT = ("SELL", "LIMIT_MAKER", {"quantity": "0.1", "price": 50100})
LOSS = ("SELL", "STOP_LOSS", {"quantity": "0.1", "stop_price": 49900})
ENTRY = ("BUY", "LIMIT", {"quantity": "0.2", "price": 49950})
REPLACE = "/api/paper-trading/orders/replace"


def acknowledged(ask):
    """Asks until the answer is there: every one of these requests is safe to repeat."""
    def answer():
        try:
            status, body = ask()
        except HttpError:
            return None
        check(status in (200, 201, 503, 504), "only an outage keeps it from being done", status,
              body)
        return body if status in (200, 201) else None

    return wait_for(answer, "it is acknowledged")


def place_all(user, number):
    """Pairs, an entry with a pair behind it, a stop and a trailing stop; all wait."""
    def named(name, *orders):
        return [(side, kind, {**fields, "client_order_id": "%s-%d-%d" % (name, number, n)})
                for n, (side, kind, fields) in enumerate(orders)]

    lists = [user.place_list("OCO", *named("oco%d" % n, PROFIT, LOSS)) for n in range(PAIRS)]
    bracket = user.place_list("OTOCO", *named("otoco", ENTRY, PROFIT, LOSS))
    stops = [user.place("SELL", "STOP_LOSS", quantity="0.1", stop_price=49900),
             user.place("SELL", "STOP_LOSS", quantity="0.1", trailing_delta=20)]
    return lists, bracket, stops


def one_round(stack, market, user, number, victims, price):
    """The market moves to where all are set off while the victims are killed."""
    market.move(50000)
    lists, bracket, stops = place_all(user, number)
    market.move(50001)  # from here it trails
    market.tell(price)
    stack.kill(*victims)
    stack.wait_ready()
    user.close()
    market.move(price)
    market.move(price)
    winner = 0 if price > 50000 else 1
    for placed in lists:
        one_won(user, placed, 0, winner)
    if winner == 1:
        one_won(user, bracket, 1, 2)
    else:
        acknowledged(lambda: user.ask("DELETE", "%s/%d" % (user.LISTS, bracket["list"]["list_id"])))
    for stop in stops:
        if winner == 0:
            user.cancel(stop["order_id"])
            continue
        done = wait_for(lambda s=stop: (o := user.get_order(s["order_id"]))["status"] == "FILLED"
                        and o, "a stop order is set off")
        check(amount(done["executed_quantity"]) == Decimal("0.1"), "once", done)


def one_won(user, placed, first, winner):
    """Of the pair at `first` the winner is filled, once, and the other is not."""
    list_id = placed["list"]["list_id"]
    view = wait_for(lambda: (v := user.get_list(list_id))["list"]["status"] == "ALL_DONE" and v,
                    "list %d is done" % list_id)
    pair = view["orders"][first:]
    won, lost = (pair if winner == first else pair[::-1])
    check(won["status"] == "FILLED" and amount(won["executed_quantity"]) == Decimal("0.1"),
          "one leg wins", view)
    check(lost["status"] == "EXPIRED" and lost["end_reason"] == "OCO_TRIGGER" and
          amount(lost["executed_quantity"]) == 0, "the other never trades", view)


def replaced(stack, market, user, number, victims):
    """A replacement that is under way when they are killed happens once."""
    market.move(50000)
    old = user.place("BUY", "LIMIT", quantity="0.1", price=49000)
    body = user.order("BUY", "LIMIT", quantity="0.2", price=49000, cancel_order_id=old["order_id"],
                      client_order_id="instead-%d" % number)
    killer = threading.Thread(target=stack.kill, args=victims)
    killer.start()
    new = flat(acknowledged(lambda: user.ask("POST", REPLACE, body)))
    killer.join()
    stack.wait_ready()
    again = flat(acknowledged(lambda: user.ask("POST", REPLACE, body)))
    check(again["order_id"] == new["order_id"] and again["status"] == "NEW", "it is there", again)
    check(user.get_order(old["order_id"])["status"] == "CANCELED", "in place of the other", old)
    check([o["order_id"] for o in user.open_orders()] == [new["order_id"]], "once",
          user.open_orders())
    acknowledged(lambda: user.ask("DELETE", "/api/paper-trading/orders/%d" % new["order_id"]))


def story():
    """kill -9 between placing and triggering: one leg wins, once"""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        user = stack.user(balance=OPENING)
        user.place("BUY", "MARKET", quantity="4")
        rounds = (("matcher",), ("ledger",), ("ledger", "matcher"))
        for number, victims in enumerate(rounds):
            for price in (49850, 50150):
                one_round(stack, market, user, 10 * number + price, victims, price)
                print("killed %s on the way to %d" % (" and ".join(victims), price))
            replaced(stack, market, user, number, victims)
        check(user.open_orders() == [] and user.open_lists() == [], "nothing is left open",
              user.open_orders())
        check_account(user, OPENING)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
