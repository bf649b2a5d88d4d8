#!/usr/bin/python3
"""Orders that wait for a price, a time or their turn: stops, trailing stops, icebergs, expiry.

SPDX-License-Identifier: Apache-2.0
"""
import time
from decimal import Decimal

from books import amount, check_account, check_journal, check_zero_sums
from market import Market
from stack import Stack, check, tell

ORDERS = "/api/paper-trading/orders"
OPENING = "1000000"
SECOND_US = 1_000_000
DAY_US = 86400 * SECOND_US

# (side, type, fields, moves that leave it alone, move that sets it off, price of its fill)
SET_OFF = [
    ("SELL", "STOP_LOSS", {"stop_price": 49900}, [49901], 49900, "49900"),
    ("BUY", "STOP_LOSS", {"stop_price": 50100}, [50099], 50100, "50100.50"),
    ("SELL", "TAKE_PROFIT", {"stop_price": 50100}, [50099], 50100, "50100"),
    ("BUY", "TAKE_PROFIT", {"stop_price": 49900}, [49901], 49900, "49900.50"),
    ("SELL", "STOP_LOSS_LIMIT", {"stop_price": 49900, "price": 49800}, [49950], 49890, "49890"),
    ("BUY", "TAKE_PROFIT_LIMIT", {"stop_price": 49900, "price": 49950}, [49901], 49890, "49890.50"),
    # 1 % below the highest price since it began to trail: 50500 * 0.99 = 49995.
    ("SELL", "STOP_LOSS", {"trailing_delta": 100}, [50500, 49996], 49995, "49995"),
    ("SELL", "TAKE_PROFIT", {"trailing_delta": 100, "stop_price": 50400},
     [49800, 50400, 49900, 50500, 50000], 49995, "49995"),
    ("BUY", "TRAILING_STOP", {"callback_rate": "0.01"}, [49500, 49994], 49995, "49995.50"),
    # It begins to trail at 50400 and not before: 49400 is no fall from there.
    ("SELL", "TRAILING_STOP", {"callback_rate": "0.01", "activation_price": 50400},
     [49400, 50399, 49800, 50400, 49897], 49896, "49896"),
    ("SELL", "STOP_LOSS", {"stop_price": 49900, "trigger_source": "BID_ASK"}, [49901], 49900,
     "49900"),
]


def refused(user, code, field, side, kind, **fields):
    status, answer = user.ask("POST", ORDERS, user.order(side, kind, **fields))
    check(status in (400, 409) and answer["error"]["code"] == code, "%s is refused with %s" % (
        kind, code), status, answer)
    check(field is None or answer["error"].get("field") == field, "it names " + str(field), answer)
    return answer["error"]


def set_off(market, user, stream, row):
    side, kind, fields, before, move, price = row
    market.move(50000)
    order = user.place(side, kind, quantity="0.1", **fields)
    check(order["status"] == "NEW" and not order["fills"], "it waits", row, order)
    for quiet in before:
        market.move(quiet)
        check(user.get_order(order["order_id"])["status"] == "NEW", "%s leaves it alone" % quiet,
              row, user.get_order(order["order_id"]))
    why = user.why(order["order_id"])
    check(why["is_live"] and why["story"]["waiting_for"] == "TRIGGER", "it waits for its trigger",
          row, why)
    market.move(move)
    check(stream.wait_order(order["order_id"], ("FILLED",)), "%s sets it off" % move, row)
    done = user.get_order(order["order_id"])
    check([amount(f["price"]) for f in done["fills"]] == [Decimal(price)],
          "and it fills at " + price, row, done)
    check(done["triggered_us"] >= order["created_us"], "when, is told", row, done)
    story = user.why(order["order_id"])["story"]
    check(amount(story["trigger_price"]) == move and story["trigger_sequence"] > 0,
          "its story names the price that did it", row, story)


def set_off_by_the_mark(market, user, stream):
    market.move(50000)
    market.mark(50000)
    order = user.place("SELL", "STOP_LOSS", quantity="0.1", stop_price=49900, trigger_source="MARK")
    market.move(49000)
    check(user.get_order(order["order_id"])["status"] == "NEW", "a trade is not the mark price",
          order)
    market.mark("49899.99")
    check(stream.wait_order(order["order_id"], ("FILLED",)), "the mark price sets it off", order)


def set_off_to_rest(market, user, stream):
    """A limit order that its trigger puts on the book rests there, and holds what it held."""
    market.move(50000)
    order = user.place("SELL", "TAKE_PROFIT_LIMIT", quantity="0.1", stop_price=50100, price=50200)
    market.move(50150)
    check(stream.wait(lambda e: e["event"] == "order" and "triggered_us" in e["data"] and
                      e["data"]["order_id"] == order["order_id"]), "it is set off", order)
    rests = user.get_order(order["order_id"])
    check(rests["status"] == "NEW" and amount(rests["held"]) == Decimal("0.1"), "it rests", rests)
    market.move(50200)
    check(stream.wait_order(order["order_id"], ("FILLED",)), "the market reaches it", order)
    check(all(f["is_maker"] for f in user.get_order(order["order_id"])["fills"]), "as the maker",
          user.get_order(order["order_id"]))


def refusals(market, user):
    market.move(50000)
    refused(user, "WOULD_TRIGGER", "stop_price", "SELL", "STOP_LOSS", quantity="0.1",
            stop_price=50001)
    refused(user, "WOULD_TRIGGER", "stop_price", "SELL", "TAKE_PROFIT", quantity="0.1",
            stop_price=49999)
    refused(user, "FIELD_MISSING", None, "SELL", "STOP_LOSS", quantity="0.1")
    refused(user, "FIELD_MISSING", None, "SELL", "TRAILING_STOP", quantity="0.1")
    refused(user, "FUNDS_TOO_LOW", None, "SELL", "STOP_LOSS", quantity="100", stop_price=49000)
    refused(user, "EXPIRY_INVALID", "expire_us", "BUY", "LIMIT", quantity="0.1", price=49000,
            time_in_force="GTD")
    refused(user, "EXPIRY_INVALID", "expire_us", "BUY", "LIMIT", quantity="0.1", price=49000,
            time_in_force="GTD", expire_us=int(time.time()) * SECOND_US - 1)
    waiting = user.place("SELL", "STOP_LOSS", quantity="0.1", stop_price=49000)
    check(amount(waiting["held"]) == Decimal("0.1"), "a stop order holds what it sells", waiting)
    check(user.cancel(waiting["order_id"])["status"] == "CANCELED", "and is canceled", waiting)
    check(user.balances()["BTC"][1] == 0, "its hold is given back", user.balances())


def expiry(user, stream):
    def soon_us():
        return int(time.time() * SECOND_US) + 4 * SECOND_US

    order = user.place("BUY", "LIMIT", quantity="0.1", price=49000, time_in_force="GTD",
                       expire_us=soon_us())
    check(order["status"] == "NEW", "it rests until its time", order)
    event = stream.wait_order(order["order_id"], ("EXPIRED",))
    check(event and event["data"]["end_reason"] == "GTD_REACHED", "then it expires", event)
    check(event["data"]["updated_us"] >= order["expire_us"], "not before", event)
    waiting = user.place("SELL", "STOP_LOSS_LIMIT", quantity="0.1", stop_price=49000, price=48900,
                         time_in_force="GTD", expire_us=soon_us())
    check(stream.wait_order(waiting["order_id"], ("EXPIRED",)), "so does one that waits", waiting)
    day = user.place("BUY", "LIMIT", quantity="0.1", price=49000, time_in_force="DAY")
    check(day["status"] == "NEW" and day["time_in_force"] == "DAY", "a day order rests", day)
    left_us = day["expire_us"] - day["created_us"]
    check(day["expire_us"] % DAY_US == 0 and 0 < left_us <= DAY_US, "until midnight UTC", day)
    user.cancel(day["order_id"])


def iceberg(market, seller, other, buyer):
    """Inside the spread, where no house is: slices take turns with others of their price."""
    market.move(50000)
    price, slices = "50000.25", {"quantity": "0.5", "iceberg_quantity": "0.2"}
    refused(seller, "FIELDS_CLASH", None, "SELL", "LIMIT", price=price, time_in_force="IOC",
            **slices)
    ice = seller.place("SELL", "LIMIT", price=price, **slices)
    check(amount(ice["iceberg_quantity"]) == Decimal("0.2"), "an iceberg rests", ice)
    behind = other.place("SELL", "LIMIT", price=price, quantity="0.1")
    taken = buyer.place("BUY", "LIMIT", price=price, quantity="0.25", time_in_force="IOC")
    check({f["evidence"]["source"] for f in taken["fills"]} == {"USER"}, "users trade", taken)
    check(amount(seller.get_order(ice["order_id"])["executed_quantity"]) == Decimal("0.2"),
          "its slice came first", ice)
    check(amount(other.get_order(behind["order_id"])["executed_quantity"]) == Decimal("0.05"),
          "the next slice stands behind", behind)
    buyer.place("BUY", "LIMIT", price=price, quantity="0.35", time_in_force="IOC")
    done = seller.get_order(ice["order_id"]), other.get_order(behind["order_id"])
    check([o["status"] for o in done] == ["FILLED", "FILLED"], "all of it is sold", done)
    parts = [str(amount(f["quantity"]).normalize()) for f in done[0]["fills"]]
    check(parts == ["0.2", "0.2", "0.1"], "slice by slice", done[0])


# What becomes of a resting seller of 0.1 and of a buyer of 0.06, of one account.
SELF_TRADE = [("EXPIRE_TAKER", "EXPIRED_IN_MATCH", "NEW"),
              ("EXPIRE_MAKER", "NEW", "EXPIRED_IN_MATCH"),
              ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
              ("DECREMENT", "EXPIRED_IN_MATCH", "NEW"),
              ("ALLOW", "FILLED", "PARTIALLY_FILLED")]


def self_trades(market, user):
    market.move(50000)
    for mode, taker_status, maker_status in SELF_TRADE:
        maker = user.place("SELL", "LIMIT", quantity="0.1", price="50000.25")
        taker = user.place("BUY", "LIMIT", quantity="0.06", price="50000.25",
                           self_trade_prevention=mode)
        maker = user.get_order(maker["order_id"])
        check((taker["status"], maker["status"]) == (taker_status, maker_status), mode,
              taker, maker)
        for order in (taker, maker):
            ended = order["status"] == "EXPIRED_IN_MATCH"
            check((order.get("end_reason") == "SELF_TRADE") == ended, "it says why", mode, order)
        if mode == "DECREMENT":
            check(amount(maker["prevented_quantity"]) == Decimal("0.06") and
                  amount(maker["held"]) == Decimal("0.04"), "both are lowered", maker)
        user.call("DELETE", ORDERS)


def story():
    """Orders wait for a price, a time or their turn"""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        user, other, buyer = (stack.user(balance=OPENING) for _ in range(3))
        for seller in (user, other):
            seller.place("BUY", "MARKET", quantity="2")
        stream = user.stream()
        for row in SET_OFF:
            set_off(market, user, stream, row)
        set_off_by_the_mark(market, user, stream)
        set_off_to_rest(market, user, stream)
        refusals(market, user)
        expiry(user, stream)
        iceberg(market, user, other, buyer)
        self_trades(market, user)
        stream.account_events(user.account()["event_sequence"])
        for trader in (user, other, buyer):
            check_account(trader, OPENING)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
