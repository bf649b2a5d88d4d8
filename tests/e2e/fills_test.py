#!/usr/bin/python3
"""How orders fill is the account's choice; why one did or did not, each order can say.

SPDX-License-Identifier: Apache-2.0
"""
from decimal import ROUND_CEILING, Decimal

from books import UNIT, amount, check_account, check_journal, check_zero_sums
from market import QUANTITY, Market
from stack import HttpError, Stack, check, tell

RULES = "/api/settings/trading/spot"
ORDERS = "/api/paper-trading/orders"
OPENING = "1000000"


def trader(stack, preset, **fields):
    user = stack.user(balance=OPENING)
    rules = user.call("PUT", RULES, {"fill_preset": preset, **fields})["fill_rules"]
    check(rules["fill_preset"] == ("custom" if fields else preset), "the rules are set", rules)
    return user


def placed(user, *words, **fields):
    """An order that chance, where the rules have it, did not reject."""
    while True:
        try:
            return user.place(*words, **fields)
        except HttpError as error:
            check(error.code == "SIMULATED_REJECT", "only chance rejects it", error)


def executed(user, order):
    return amount(user.get_order(order["order_id"])["executed_quantity"])


def by_the_display(market, users):
    """A buyer at the best bid is filled by each preset on its own evidence, and not before."""
    market.move(50000)
    orders = {name: placed(user, "BUY", "LIMIT", quantity="0.5", price=50000)
              for name, user in users.items()}
    for name, order in orders.items():
        check(order["fill_preset"] == name, "an order keeps the rules it came with", order)
    touch, queue, through = (orders[name] for name in ("optimistic", "realistic", "harsh"))
    check(touch["fill_model"] == "touch" and "latency_us" not in touch, "touch, at once", touch)
    check(queue["fill_model"] == "queue" and queue["latency_us"] >= 15000,
          "a queue, after a while", queue)
    check(through["fill_model"] == "through" and through["latency_us"] >= 80000 and
          through["slippage_bps"] == 2, "through, late and with slippage", through)

    def filled():
        return {name: executed(users[name], order) for name, order in orders.items()}

    market.print(50000, "1")
    check(filled() == {"optimistic": Decimal("0.5"), "realistic": 0, "harsh": 0},
          "a print at its price fills who counts touches", filled())
    why = users["realistic"].why(orders["realistic"]["order_id"])
    check(why["story"]["waiting_for"] == "QUEUE" and why["is_live"] and
          amount(why["story"]["ahead_at_arrival"]) == QUANTITY and
          amount(why["story"]["ahead"]) == QUANTITY - 1 and amount(why["story"]["printed"]) == 1,
          "the other knows its place in the queue", why)
    market.print(50000, "4.3")
    check(filled()["realistic"] == Decimal("0.3"), "what is left of a print fills it", filled())
    check(filled()["harsh"] == 0, "at its price is not through it", filled())
    market.print("49999.99", "0.25")
    check(filled() == {"optimistic": Decimal("0.5"), "realistic": Decimal("0.5"),
                       "harsh": Decimal("0.05")}, "a print is used up once, in turn", filled())
    market.move(49990)
    check(filled() == dict.fromkeys(orders, Decimal("0.5")), "all stand above the market",
          filled())
    fills = users["realistic"].get_order(orders["realistic"]["order_id"])["fills"]
    check(fills[0]["evidence"]["source"] == "TRADE" and fills[0]["is_maker"],
          "a fill of a print says so", fills)


def slippage(market, users):
    market.move(50000)
    bought = placed(users["harsh"], "BUY", "MARKET", quantity="0.1")
    price = (Decimal("50000.50") * 10002 / 10000).quantize(UNIT, ROUND_CEILING)
    check([amount(f["price"]) for f in bought["fills"]] == [price], "2 basis points worse", bought)
    check(amount(bought["fills"][0]["evidence"]["price"]) == Decimal("50000.50"),
          "than what was shown", bought)


def chance(stack):
    user = trader(stack, "optimistic", reject_bps=10000)
    body = user.order("BUY", "LIMIT", quantity="0.1", price=49000, client_order_id="unlucky")
    status, answer = user.ask("POST", ORDERS, body)
    check(status == 409 and answer["error"]["code"] == "SIMULATED_REJECT", "all are rejected",
          status, answer)
    why = user.why(answer["error"]["order_id"])
    check(why["order"]["status"] == "REJECTED" and why["order"]["end_reason"] == "SIMULATED_REJECT"
          and "rejected at random" in why["sentence"], "it says why", why)
    check(amount(why["order"]["held"]) == 0 and why["fills"] == [], "it never traded", why)
    status, again = user.ask("POST", ORDERS, body)
    check(status == 409 and again["error"]["order_id"] == answer["error"]["order_id"],
          "the same id is the same order", status, again)
    user.call("PUT", RULES, {"reject_bps": 0})
    status, lucky = user.ask("POST", ORDERS, {**body, "client_order_id": "lucky"})
    check(status == 201, "another is taken", status, lucky)
    user.cancel(lucky["order"]["order_id"])
    check_account(user, OPENING)


def why(market, user):
    market.move(50000)
    far = user.place("BUY", "LIMIT", quantity="0.1", price=49000)
    told = user.why(far["order_id"])
    check(told["order"] == {k: v for k, v in far.items() if k != "fills"} and told["is_live"],
          "the order itself, and what the matcher sees of it", told, far)
    check(told["story"]["waiting_for"] == "PRICE" and "49000" in told["sentence"],
          "it waits for its price", told)
    market.move(49500)
    story = user.why(far["order_id"])["story"]
    check(amount(story["nearest_price"]) == Decimal("49500.50") and
          amount(story["ask"]) == Decimal("49500.50"), "how near the market came", story)
    user.cancel(far["order_id"])
    told = user.why(far["order_id"])
    check(not told["is_live"] and told["order"]["status"] == "CANCELED" and "cancel" in
          told["sentence"], "afterwards the story is kept", told)

    bought = user.place("BUY", "MARKET", quantity="0.1")
    told = user.why(bought["order_id"])
    check(told["fills"] == bought["fills"] and len(told["fills"]) == 1, "what a fill rests on",
          told)
    check("0.1" in told["sentence"] and "filled" in told["sentence"], "in words", told)

    status, answer = user.ask("POST", ORDERS, user.order("SELL", "LIMIT_MAKER", quantity="0.05",
                                                         price=49000))
    told = user.why(answer["error"]["order_id"])
    check(status == 400 and told["order"]["status"] == "REJECTED" and
          told["order"]["end_reason"] == "WOULD_TAKE" and "taken" in told["sentence"],
          "a rejected order says what would have happened", told)
    status, answer = user.ask("GET", ORDERS + "/4503599627370495/why")
    check(status == 404 and answer["error"]["code"] == "ORDER_NOT_FOUND", "unknown ones", answer)


def story():
    """How orders fill is the account's choice, and why they did they can say"""
    market = Market()
    with Stack(market=market.write, settings=market.settings) as stack:
        market.open(stack)
        users = {preset: trader(stack, preset) for preset in ("optimistic", "realistic", "harsh")}
        by_the_display(market, users)
        slippage(market, users)
        chance(stack)
        why(market, users["optimistic"])
        status, answer = users["harsh"].ask("GET", "%s/%s/why" % (
            ORDERS, users["optimistic"].orders()[0]["order_id"]))
        check(status == 404, "nobody hears of another's orders", status, answer)
        for user in users.values():
            check_account(user, OPENING)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
