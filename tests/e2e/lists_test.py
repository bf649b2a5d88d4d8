#!/usr/bin/python3
"""Order lists: one leg wins, what is pending comes to life, a cancel ends all; the stream tells.

SPDX-License-Identifier: Apache-2.0
"""
from decimal import Decimal

from books import amount, check_account, check_journal, check_zero_sums
from market import Market
from stack import Stack, check, tell

LISTS = "/api/paper-trading/order-lists"
OPENING = "1000000"
PROFIT = ("SELL", "LIMIT_MAKER", {"quantity": "0.1", "price": 50100})
LOSS = ("SELL", "STOP_LOSS", {"quantity": "0.1", "stop_price": 49900})
ENTRY = ("BUY", "LIMIT", {"quantity": "0.1", "price": 49950})


def statuses(view):
    return [o["status"] for o in view["orders"]]


def ends(view):
    return [o.get("end_reason") for o in view["orders"]]


def done(user, stream, view):
    """The list once its stream says that all of it is done."""
    list_id = view["list"]["list_id"]
    check(stream.wait_list(list_id, "ALL_DONE"), "the stream says that the list is done", view)
    view = user.get_list(list_id)
    check(view["list"]["status"] == "ALL_DONE", "so does the list", view)
    check(list_id not in [one["list_id"] for one in user.open_lists()], "it is not open", view)
    return view


def one_leg_wins(market, user, stream, move, wanted, wanted_ends):
    market.move(50000)
    placed = user.place_list("OCO", PROFIT, LOSS)
    check(statuses(placed) == ["NEW", "NEW"] and placed["list"]["status"] == "EXECUTING",
          "both legs wait", placed)
    check(stream.wait_list(placed["list"]["list_id"], "EXECUTING"), "the stream tells of it",
          placed)
    held = sum(amount(o["held"]) for o in placed["orders"])
    check(held == Decimal("0.1"), "they hold once what only one of them can sell", placed)
    market.move(move)
    view = done(user, stream, placed)
    check(statuses(view) == wanted and ends(view) == wanted_ends, "one wins", view)
    check(user.balances()["BTC"][1] == 0, "nothing is held any more", user.balances())


def cancels(market, user, other, stream):
    market.move(50000)
    placed = user.place_list("OCO", PROFIT, LOSS)
    path = "%s/%s" % (LISTS, placed["list"]["list_id"])
    for method in ("GET", "DELETE"):
        status, answer = other.ask(method, path)
        check(status == 404 and answer["error"]["code"] == "LIST_NOT_FOUND", "another's is none",
              status, answer)
    gone = user.cancel_list(placed["list"]["list_id"])
    check(statuses(gone) == ["CANCELED", "CANCELED"], "a list is canceled", gone)
    status, answer = user.ask("DELETE", "%s/%s" % (LISTS, gone["list"]["list_id"]))
    check(status == 409 and answer["error"]["code"] == "ORDER_DONE", "once", status, answer)
    placed = user.place_list("OCO", PROFIT, LOSS)
    user.cancel(placed["orders"][1]["order_id"])
    check(statuses(done(user, stream, placed)) == ["CANCELED", "CANCELED"],
          "one leg's cancel is the list's", placed)
    check(user.balances()["BTC"][1] == 0, "nothing is held any more", user.balances())
    status, answer = user.ask("GET", LISTS + "/4503599627370495")
    check(status == 404 and answer["error"]["code"] == "LIST_NOT_FOUND", "unknown ones", answer)


def refused(user, code, body, status=400):
    found, answer = user.ask("POST", LISTS, body)
    check(found == status and answer["error"]["code"] == code, "refused with " + code, found,
          answer)


def refusals(market, user):
    market.move(50000)
    before = user.orders()
    high = ("SELL", "LIMIT_MAKER", {"quantity": "0.1", "price": 49950})
    refused(user, "LIST_PRICES", user.list_body("OCO", high, LOSS))
    refused(user, "LIST_INVALID", user.list_body("OCO", PROFIT))
    refused(user, "LIST_INVALID", user.list_body("OTOCO", PROFIT, LOSS))
    refused(user, "LIST_INVALID", user.list_body("OCO", PROFIT, ENTRY))
    refused(user, "LIST_INVALID", user.list_body("OTO", LOSS, PROFIT))
    other = ("SELL", "LIMIT_MAKER", {**PROFIT[2], "symbol": "ETHUSDT"})
    refused(user, "LIST_INVALID", user.list_body("OCO", other, LOSS))
    refused(user, "SYMBOL_UNKNOWN", user.list_body("OCO", PROFIT, LOSS, symbol="NOPE"))
    refused(user, "FIELD_MISSING", {"contingency": "OCO", "symbol": "BTCUSDT"})
    much = [(side, kind, {**fields, "quantity": "100"}) for side, kind, fields in (PROFIT, LOSS)]
    refused(user, "FUNDS_TOO_LOW", user.list_body("OCO", *much))
    check(user.orders() == before, "no order came of it", user.orders())


def retries(market, user):
    """The same list again answers the list that is there."""
    market.move(50000)
    named = [(side, kind, {**fields, "client_order_id": "list-%d" % number})
             for number, (side, kind, fields) in enumerate((PROFIT, LOSS))]
    body = user.list_body("OCO", *named)
    status, first = user.ask("POST", LISTS, body)
    check(status == 201, "a list is placed", status, first)
    status, again = user.ask("POST", LISTS, body)
    check(status == 200 and again["list"]["list_id"] == first["list"]["list_id"],
          "and is there the second time", status, again)
    body["orders"][1]["stop_price"] = "49800"
    refused(user, "ORDER_DIFFERS", body, status=409)
    user.cancel_list(first["list"]["list_id"])
    made = user.place_list("OCO", PROFIT, LOSS)
    ids = {o["client_order_id"] for o in made["orders"]}
    check(len(ids) == 2 and all(i.startswith("scrip-") for i in ids), "ids are made", made)
    user.cancel_list(made["list"]["list_id"])


def pending(market, user, stream):
    """What waits for an entry comes to life with its fill, and holds nothing until then."""
    market.move(50000)
    exit_order = ("SELL", "LIMIT", {"quantity": "0.0999", "price": 50100})
    placed = user.place_list("OTO", ENTRY, exit_order)
    check(statuses(placed) == ["NEW", "PENDING_NEW"], "the second waits", placed)
    check(amount(placed["orders"][1]["held"]) == 0, "and holds nothing", placed)
    check(placed["orders"][1]["waits_for"] == placed["orders"][0]["order_id"], "for the first",
          placed)
    market.move(49940)
    second = placed["orders"][1]["order_id"]
    check(stream.wait_order(second, ("NEW",)), "the fill brings it to life", placed)
    check(amount(user.get_order(second)["held"]) == Decimal("0.0999"), "now it holds", placed)
    market.move(50100)
    check(statuses(done(user, stream, placed)) == ["FILLED", "FILLED"], "both are filled", placed)

    market.move(50000)
    placed = user.place_list("OTO", ENTRY, PROFIT)
    gone = user.cancel(placed["orders"][0]["order_id"])
    check(gone["status"] == "CANCELED", "the entry is canceled", gone)
    check(statuses(done(user, stream, placed)) == ["CANCELED", "CANCELED"], "and all with it",
          placed)

    ioc = ("BUY", "LIMIT", {"quantity": "0.1", "price": 49950, "time_in_force": "IOC"})
    placed = user.place_list("OTO", ioc, PROFIT)
    view = done(user, stream, placed)
    check(statuses(view) == ["EXPIRED", "EXPIRED"] and ends(view)[1] == "OTO_PHASE_ONE_EXPIRED",
          "an entry that ends unfilled ends the list", view)

    much = ("SELL", "LIMIT", {"quantity": "90", "price": 50100})
    placed = user.place_list("OTO", ENTRY, much)
    market.move(49940)
    view = done(user, stream, placed)
    check(statuses(view) == ["FILLED", "REJECTED"] and ends(view)[1] == "NOT_ACTIVATED" and
          view["orders"][1]["refused_by"] == "FUNDS_TOO_LOW", "who has no funds says so", view)


def bracket(market, user, stream):
    """An entry with a profit and a loss behind it."""
    pair = [(side, kind, {**fields, "quantity": "0.0999"}) for side, kind, fields in (PROFIT, LOSS)]
    for move, wanted in ((50100, ["FILLED", "FILLED", "EXPIRED"]),
                         (49900, ["FILLED", "EXPIRED", "FILLED"])):
        market.move(50000)
        placed = user.place_list("OTOCO", ENTRY, *pair)
        check(statuses(placed) == ["NEW", "PENDING_NEW", "PENDING_NEW"], "the pair waits", placed)
        market.move(49945)
        for order in placed["orders"][1:]:
            check(stream.wait_order(order["order_id"], ("NEW",)), "the pair comes to life", order)
        check(len(user.open_lists()) == 1, "one list is open", user.open_lists())
        market.move(move)
        check(statuses(done(user, stream, placed)) == wanted, "one of the pair wins", placed)


def story():
    """Order lists: one leg wins, what is pending comes to life, a cancel ends all"""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        user = stack.user(balance=OPENING)
        user.place("BUY", "MARKET", quantity="2")
        stream = user.stream()
        one_leg_wins(market, user, stream, 50100, ["FILLED", "EXPIRED"],
                     ["COMPLETE", "OCO_TRIGGER"])
        one_leg_wins(market, user, stream, 49900, ["EXPIRED", "FILLED"],
                     ["OCO_TRIGGER", "COMPLETE"])
        cancels(market, user, stack.user(), stream)
        refusals(market, user)
        retries(market, user)
        pending(market, user, stream)
        bracket(market, user, stream)
        events = stream.account_events(user.account()["event_sequence"])
        check({e["event"] for e in events} == {"order", "trade", "balance", "list"},
              "the stream told of all kinds, numbered without a gap", events[-3:])
        again = user.stream(after=events[0]["sequence"] - 1)
        check(again.account_events(events[-1]["sequence"]) == events, "and tells the same again",
              again.events[:3])
        check(user.open_orders() == [] and user.open_lists() == [], "nothing is left open", events)
        check_account(user, OPENING)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
