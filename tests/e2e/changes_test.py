#!/usr/bin/python3
"""Orders are lowered, replaced and sent by the basket; each change is safe to send again.

SPDX-License-Identifier: Apache-2.0
"""
import signal
from decimal import Decimal

from books import amount, check_account, check_journal, check_zero_sums
from market import Market
from stack import Stack, check, tell, wait_for

ORDERS = "/api/paper-trading/orders"
REPLACE = ORDERS + "/replace"
BASKET = "/api/paper-trading/basket"
OPENING = "1000000"


def refused(user, code, method, path, body, status=400):
    found, answer = user.ask(method, path, body)
    check(found == status and answer["error"]["code"] == code, "refused with " + code, found,
          answer)
    return answer["error"]


def resting(user, **fields):
    return user.place("BUY", "LIMIT", quantity="0.5", price=49000, **fields)


def amendments(market, user, other):
    market.move(50000)
    order = resting(user, client_order_id="amend-1")
    path = "%s/%s" % (ORDERS, order["order_id"])
    lower = user.amend(order["order_id"], "0.4")
    check(amount(lower["quantity"]) == Decimal("0.4") and amount(lower["amended_from"]) ==
          Decimal("0.5"), "it is lowered", lower)
    check(amount(lower["held"]) == 19600, "and so is what it holds", lower)
    by_name = user.call("PUT", ORDERS + "/by-client-id/amend-1", {"quantity": "0.3"})
    check(amount(by_name["order"]["quantity"]) == Decimal("0.3"), "by its own id too", by_name)
    again = user.call("PUT", ORDERS + "/by-client-id/amend-1", {"quantity": "0.3"})
    check(again["order"] == by_name["order"], "sent again it changes nothing", again, by_name)
    refused(user, "AMEND_NOT_LOWER", "PUT", path, {"quantity": "0.4"})
    refused(user, "FILTER_LOT_SIZE", "PUT", path, {"quantity": "0.0000001"})
    refused(user, "FIELD_UNKNOWN", "PUT", path, {"quantity": "0.2", "price": "1"})
    refused(user, "ORDER_NOT_FOUND", "PUT", ORDERS + "/4503599627370495", {"quantity": "1"}, 404)
    refused(other, "ORDER_NOT_FOUND", "PUT", path, {"quantity": "0.1"}, 404)
    user.cancel(order["order_id"])
    refused(user, "ORDER_DONE", "PUT", path, {"quantity": "0.1"}, 409)


def keeps_its_place(market, user, other):
    """Lowered in its place, an order is still served before those behind it."""
    market.move(50000)
    first = user.place("SELL", "LIMIT", quantity="0.3", price="50000.25")
    second = other.place("SELL", "LIMIT", quantity="0.3", price="50000.25")
    user.amend(first["order_id"], "0.1")
    market.prober.place("BUY", "LIMIT", quantity="0.15", price="50000.25", time_in_force="IOC")
    done = user.get_order(first["order_id"]), other.get_order(second["order_id"])
    check([amount(o["executed_quantity"]) for o in done] == [Decimal("0.1"), Decimal("0.05")],
          "the first was first", done)
    check(done[0]["status"] == "FILLED", "and is all filled", done)
    other.cancel(second["order_id"])


def replacements(market, user):
    market.move(50000)
    old = resting(user)
    body = user.order("BUY", "LIMIT", quantity="0.3", price=49100, cancel_order_id=old["order_id"],
                      client_order_id="new-1")
    status, first = user.ask("POST", REPLACE, body)
    check(status == 201 and first["order"]["status"] == "NEW", "it is replaced", status, first)
    check(first["order"]["replaces"] == old["order_id"], "it says what it replaces", first)
    check(user.get_order(old["order_id"])["status"] == "CANCELED", "the old one is gone", old)
    check(user.balances()["USDT"][1] == 14730, "only the new one holds", user.balances())
    status, again = user.ask("POST", REPLACE, body)
    check(status == 200 and again["order"]["order_id"] == first["order"]["order_id"],
          "sent again it is there", status, again)
    refused(user, "ORDER_DIFFERS", "POST", REPLACE, {**body, "quantity": "0.2"}, 409)

    late = {**body, "client_order_id": "new-2", "cancel_order_id": old["order_id"]}
    before = user.orders()
    error = refused(user, "CANCEL_FAILED", "POST", REPLACE, late, 409)
    check(error["order_id"] == old["order_id"], "it names the order that was done", error)
    check(user.orders() == before, "and changes nothing", user.orders())
    placed = user.call("POST", REPLACE, {**late, "mode": "ALLOW_FAILURE"})["order"]
    check(placed["status"] == "NEW", "ALLOW_FAILURE places it all the same", placed)

    refused(user, "FILTER_PRICE", "POST", REPLACE, {
        **body, "client_order_id": "new-3", "cancel_order_id": placed["order_id"],
        "price": "49000.001"})
    check(user.get_order(placed["order_id"])["status"] == "NEW", "judged before the cancel", placed)
    named = user.order("BUY", "MARKET", quantity="0.1", cancel_client_order_id="new-2")
    done = user.call("POST", REPLACE, named)["order"]
    check(done["status"] == "FILLED", "a market order in the stead of a limit", done)
    check(user.get_order(placed["order_id"])["status"] == "CANCELED", "named by its id", placed)
    refused(user, "FIELD_MISSING", "POST", REPLACE, user.order("BUY", "MARKET", quantity="0.1"))
    user.call("DELETE", ORDERS)


def baskets(market, user):
    market.move(50000)
    limits = [user.order("BUY", "LIMIT", quantity="0.01", price=49000 - n) for n in range(50)]
    results = user.basket(*limits, client_order_id="basket-1")
    prices = [amount(r["order"]["price"]) for r in results]
    check(prices == [49000 - n for n in range(50)], "50 orders, answered in their order", results)
    check(results[49]["order"]["client_order_id"] == "basket-1-50", "named by it", results[49])
    again = user.basket(*limits, client_order_id="basket-1")
    check([r["order"]["order_id"] for r in again] == [r["order"]["order_id"] for r in results],
          "sent again the same orders answer", again)
    check(len(user.open_orders()) == 50, "there are 50", len(user.open_orders()))
    refused(user, "FIELD_TOO_LONG", "POST", BASKET, {"orders": limits + limits[:1]})
    user.call("DELETE", ORDERS)

    mixed = user.basket(
        user.order("BUY", "MARKET", quantity="0.01"), {"side": "BUY"},
        user.order("BUY", "LIMIT", quantity="100", price=49000),
        user.order("SELL", "LIMIT_MAKER", quantity="0.01", price=49000),
        user.order("SELL", "STOP_LOSS", quantity="0.01", stop_price=49000, client_order_id="own"))
    found = [r["order"]["status"] if "order" in r else r["error"]["code"] for r in mixed]
    check(found == ["FILLED", "FIELD_MISSING", "FUNDS_TOO_LOW", "WOULD_TAKE", "NEW"],
          "each has its own result", mixed)
    check(len(mixed[0]["fills"]) == 1 and mixed[0]["order"]["client_order_id"].startswith("scrip-"),
          "with its fills and an id", mixed[0])
    check(mixed[4]["order"]["client_order_id"] == "own", "its own where it gave one", mixed[4])
    check(len({r["error"]["correlation_id"] for r in mixed if "error" in r}) == 3,
          "each refusal can be found in the logs", mixed)
    user.call("DELETE", ORDERS)


def basket_without_a_ledger(stack, user):
    """Each order says for itself that nobody took it, or that nobody knows."""
    stack.stop("ledger")
    order = user.order("BUY", "LIMIT", quantity="0.01", price=49000)
    codes = {r["error"]["code"] for r in user.basket(order, order, client_order_id="gone")}
    check(codes == {"LEDGER_UNAVAILABLE"}, "the ledger is away", codes)
    stack.start("ledger")
    wait_for(lambda: user.ask("GET", ORDERS)[0] == 200, "the ledger is back")
    results = user.basket(order, order, client_order_id="gone")
    check([r["order"]["status"] for r in results] == ["NEW", "NEW"], "now it takes both", results)
    user.call("DELETE", ORDERS)

    stack.signal("ledger", signal.SIGSTOP)
    errors = [r["error"] for r in user.basket(order, order, client_order_id="late")]
    stack.signal("ledger", signal.SIGCONT)
    check([(e["code"], e["client_order_id"]) for e in errors] ==
          [("OUTCOME_UNKNOWN", "late-1"), ("OUTCOME_UNKNOWN", "late-2")], "nobody knows", errors)
    wait_for(lambda: all("order" in r for r in user.basket(order, order, client_order_id="late")),
             "asked again, it is known")
    check(len(user.open_orders()) == 2, "each once", user.open_orders())
    user.call("DELETE", ORDERS)


def story():
    """Orders are lowered, replaced and sent by the basket"""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        user, other = stack.user(balance=OPENING), stack.user(balance=OPENING)
        for seller in (user, other):
            seller.place("BUY", "MARKET", quantity="1")
        amendments(market, user, other)
        keeps_its_place(market, user, other)
        replacements(market, user)
        baskets(market, user)
        basket_without_a_ledger(stack, user)
        for trader in (user, other):
            check_account(trader, OPENING)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
