#!/usr/bin/python3
"""An order's life over REST: market and limit orders fill, rest, and are canceled; books agree.

SPDX-License-Identifier: Apache-2.0
"""
from decimal import Decimal

import recording
from books import amount, check_account, check_journal, check_zero_sums
from stack import Stack, check, tell, wait_for


def market_orders(user):
    bought = user.place("BUY", "MARKET", quantity="0.5")
    check(bought["status"] == "FILLED", "a market order is filled in its answer", bought)
    check(amount(bought["executed_quantity"]) == Decimal("0.5"), "it bought 0.5", bought)
    for fill in bought["fills"]:
        evidence = fill["evidence"]
        check(evidence["source"] in ("DEPTH", "QUOTE", "TRADE"), "a fill names its evidence", fill)
        check(amount(evidence["price"]) == amount(fill["price"]), "and its price", fill)
        check(evidence["sequence"] > 0, "and the tick", fill)
    by_quote = user.place("BUY", "MARKET", quote_order_quantity="1000")
    spent = amount(by_quote["executed_quote_quantity"])
    check(by_quote["status"] == "FILLED", "a market order by quote amount fills", by_quote)
    check(Decimal(999) < spent <= Decimal(1000), "it spends what it was given", by_quote)
    sold = user.place("SELL", "MARKET", quantity="0.1")
    check(sold["status"] == "FILLED", "a market sale fills", sold)


def limit_orders(user):
    resting = user.place("BUY", "LIMIT", quantity="0.1", price="40000", time_in_force="GTC")
    check(resting["status"] == "NEW", "a low bid rests", resting)
    check(resting["order_id"] in [o["order_id"] for o in user.open_orders()], "it is open", resting)
    free, held = user.balances()["USDT"]
    check(held == Decimal(4000), "it holds 4,000 USDT", free, held)
    gone = user.cancel(resting["order_id"])
    check(gone["status"] == "CANCELED", "it is canceled", gone)
    check(user.balances()["USDT"] == (free + held, Decimal(0)), "its hold is given back", gone)
    status, answer = user.ask("DELETE", "/api/paper-trading/orders/%s" % resting["order_id"])
    check(status == 409, "a second cancel is refused", status, answer)

    ioc = user.place("BUY", "LIMIT", quantity="0.1", price="45000", time_in_force="IOC")
    check(ioc["status"] == "EXPIRED", "an IOC that cannot trade expires", ioc)
    fok = user.place("BUY", "LIMIT", quantity="9", price="50900", time_in_force="FOK")
    check(fok["status"] == "EXPIRED" and amount(fok["executed_quantity"]) == 0,
          "a FOK larger than the book does nothing", fok)
    status, answer = user.ask("POST", "/api/paper-trading/orders", user.order(
        "SELL", "LIMIT_MAKER", quantity="0.1", price="40000"))
    check(status == 400 and answer["error"]["code"] == "WOULD_TAKE",
          "a LIMIT_MAKER does not take", status, answer)


def crossed_by_the_market(user):
    order = user.place("SELL", "LIMIT", quantity="0.05", price="50199", time_in_force="GTC")
    done = wait_for(lambda: (o := user.get_order(order["order_id"])) and
                    o["status"] == "FILLED" and o, "the market crosses a resting order")
    if order["status"] == "NEW":
        check(all(amount(f["price"]) == Decimal(50199) for f in done["fills"]),
              "a resting order fills at its own price", done)
        check(all(f["is_maker"] for f in done["fills"]), "as the maker", done)


RULES = "/api/settings/trading/spot"


def fill_rules(stack):
    """Set by preset, overridden by field, zero included, and kept over a crash."""
    user = stack.user()

    def put(**fields):
        return user.call("PUT", RULES, fields)["fill_rules"]

    first = user.call("GET", RULES)["fill_rules"]
    check(first["fill_preset"] == "optimistic" and first["latency_us"] == 0,
          "a new account has the deployment's rules", first)
    real = put(fill_preset="realistic", seed=7)
    check((real["fill_model"], real["latency_us"], real["latency_spread_us"], real["seed"]) ==
          ("queue", 15000, 10000, 7), "a preset sets all rules", real)
    zero = put(latency_us=0)
    check((zero["fill_preset"], zero["latency_us"], zero["latency_spread_us"], zero["seed"]) ==
          ("custom", 0, 10000, 7), "one field is set to zero, the others stay", zero)
    check(put(dry_run_mode=True) == zero, "other settings leave the rules alone", zero)
    for field, most in (("latency_us", 60000000), ("slippage_bps", 1000), ("reject_bps", 10000)):
        status, answer = user.ask("PUT", RULES, {field: most + 1})
        check(status == 400 and answer["error"]["code"] == "NUMBER_RANGE" and
              answer["error"]["field"] == field, "a limit is named", status, answer)
    status, answer = user.ask("PUT", RULES, {"fill_preset": "custom"})
    check(status == 400 and answer["error"]["code"] == "CHOICE_UNKNOWN", "custom is no preset",
          status, answer)
    stack.kill("ledger")
    kept = wait_for(lambda: (a := user.ask("GET", RULES)) and a[0] == 200 and a[1]["fill_rules"],
                    "the ledger is back")
    check(kept == zero, "the rules are kept", kept)


def story():
    """An order's life over REST"""
    with Stack(market=recording.write) as stack:
        fill_rules(stack)
        user = stack.user(balance="500000")
        market_orders(user)
        limit_orders(user)
        crossed_by_the_market(user)
        check_account(user, "500000")
        by_id = user.orders()
        check(len(by_id) == len({o["order_id"] for o in by_id}), "the list names each once", by_id)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
