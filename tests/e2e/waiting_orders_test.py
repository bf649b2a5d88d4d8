#!/usr/bin/python3
"""Orders that wait: stops, trailing, pairs, icebergs and expiry, and over a crash of the matcher.

SPDX-License-Identifier: Apache-2.0
"""
import time
from decimal import Decimal

import recording
from books import amount, check_account, check_journal, check_zero_sums
from stack import HttpError, Stack, check, tell, wait_for

MILLION = 1000000


def becomes(user, order, *statuses):
    """Waits for the order's end; the market passes every price within four seconds."""
    return wait_for(lambda: (o := user.get_order(order["order_id"])) and o["status"] in statuses
                    and o, "order %s becomes %s" % (order["order_id"], " or ".join(statuses)))


def extreme_of(user, order):
    """Of a trailing order, by its story; zero before it trails."""
    why = user.call("GET", "/api/paper-trading/orders/%s/why" % order["order_id"])
    return amount(why["story"].get("trail_extreme", "0"))


def armed_stop(user, side, kind, **fields):
    """Places a stop order once the market is on the side from which it waits."""
    def placed():
        try:
            return user.place(side, kind, **fields)
        except HttpError as refused:
            check(refused.code == "WOULD_TRIGGER", "it is refused for its side alone", refused)
            return None
    return wait_for(placed, "the market is on the other side of the stop price")


def stops(user):
    order = armed_stop(user, "BUY", "STOP_LOSS_LIMIT", quantity="0.1", price="50100",
                       stop_price="50180", time_in_force="GTC")
    check(order["status"] == "NEW" and order["latency_us"] > 0, "it arrived and is armed", order)
    done = becomes(user, order, "FILLED")
    check(done["triggered_us"] > 0, "it was set off", done)
    check(all(amount(f["price"]) == Decimal(50100) and f["is_maker"] for f in done["fills"]),
          "rested at its limit, below the market, and was filled there", done)
    for kind, fields in (("STOP_LOSS", {"trailing_delta": 10}),
                         ("TRAILING_STOP", {"callback_rate": "0.001"})):
        done = becomes(user, user.place("SELL", kind, quantity="0.1", **fields), "FILLED")
        extreme = extreme_of(user, done)
        check(all(amount(f["price"]) < extreme for f in done["fills"]),
              "%s came back from the best price" % kind, done, extreme)


def an_iceberg(user):
    order = user.place("SELL", "LIMIT", quantity="0.2", price="60000", iceberg_quantity="0.05")
    path = "/api/paper-trading/orders/%s" % order["order_id"]
    less = user.call("PUT", path, {"quantity": "0.1"})["order"]
    check(amount(less["quantity"]) == Decimal("0.1"), "it is lowered", less)
    check(amount(less["held"]) == Decimal("0.1"), "and its hold with it", less)
    why = user.call("GET", path + "/why")
    check(why["is_live"] and why["story"]["waiting_for"] == "PRICE", "it says what it lacks", why)
    check(user.cancel(order["order_id"])["status"] == "CANCELED", "it is canceled")


def an_expiry(user):
    order = user.place("SELL", "LIMIT", quantity="0.1", price="60000", time_in_force="GTD",
                       expire_us=int(time.time() * MILLION) + 4 * MILLION)
    done = becomes(user, order, "EXPIRED")
    check(done["end_reason"] == "GTD_REACHED", "its time was over", done)


def a_pair(user, stack):
    placed = user.call("POST", "/api/paper-trading/order-lists", {
        "contingency": "OCO", "symbol": "BTCUSDT", "orders": [
            {"side": "SELL", "type": "LIMIT_MAKER", "quantity": "0.1", "price": "70000"},
            {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.1", "stop_price": "40000"}]})
    limit, stop = placed["orders"]
    wait_for(lambda: stack.metric("matcher", "scrip_matcher_pairs") == 1, "the matcher has a pair")
    check(user.cancel(limit["order_id"])["status"] == "CANCELED", "one is canceled")
    check(becomes(user, stop, "CANCELED", "EXPIRED"), "and the other is gone")
    wait_for(lambda: stack.metric("matcher", "scrip_matcher_pairs") == 0, "at the matcher too")


def over_a_crash(user, stack):
    """What waited waits on behind a new session, and nothing is set off twice."""
    stop = user.place("SELL", "STOP_LOSS", quantity="0.1", stop_price="40000")
    trail = user.place("SELL", "STOP_LOSS", quantity="0.1", trailing_delta=1000)
    gtd = user.place("SELL", "LIMIT", quantity="0.1", price="60000", time_in_force="GTD",
                     expire_us=int(time.time() * MILLION) + 8 * MILLION)
    best = wait_for(lambda: extreme_of(user, trail), "it trails")
    stack.kill("matcher")
    stack.wait_ready("matcher")
    wait_for(lambda: stack.metric("matcher", "scrip_matcher_armed_orders") == 2,
             "both are armed again")
    kept = extreme_of(user, trail)
    check(kept >= best * Decimal("0.99"),
          "it goes on from the extreme that was told, to a tenth of its delta", kept, best)
    check(becomes(user, gtd, "EXPIRED"), "the time of a resynced order comes")
    for order in (stop, trail):
        check(user.get_order(order["order_id"])["status"] == "NEW", "the others wait", order)
        check(user.cancel(order["order_id"])["status"] == "CANCELED", "and can be canceled", order)


def story():
    """Orders that wait"""
    with Stack(market=recording.write) as stack:
        user = stack.user(balance="500000")
        user.call("PUT", "/api/settings/trading/spot", {"fill_preset": "realistic"})
        check(user.place("BUY", "MARKET", quantity="1")["status"] == "FILLED", "there is BTC")
        stops(user)
        an_iceberg(user)
        an_expiry(user)
        a_pair(user, stack)
        over_a_crash(user, stack)
        check_account(user, "500000")
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
