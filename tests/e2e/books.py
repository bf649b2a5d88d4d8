"""books - an independent, naive account book: what balances must be, from orders and trades alone.

SPDX-License-Identifier: Apache-2.0
"""
from collections import defaultdict
from decimal import Decimal

from stack import check, wait_for

UNIT = Decimal("0.00000001")


def amount(value):
    return Decimal(str(value))


def expected_totals(opening, trades, quote="USDT"):
    """{asset: free + held} after these trades on top of the opening balance."""
    totals = defaultdict(Decimal)
    totals[quote] = amount(opening)
    for trade in trades:
        base = trade["symbol"].removesuffix(quote)
        quantity, paid = amount(trade["quantity"]), amount(trade["quote_quantity"])
        exact = amount(trade["price"]) * quantity
        check(paid == exact // UNIT * UNIT, "a quote amount is price x quantity, cut", trade)
        sign = 1 if trade["side"] == "BUY" else -1
        totals[base] += sign * quantity
        totals[quote] -= sign * paid
        totals[trade["fee_asset"]] -= amount(trade["fee"])
    return totals


def still_picture(user):
    """Trades, balances, orders and open orders of one moment: the market may fill at any time."""
    def picture():
        before = user.account()["event_sequence"]
        seen = user.trades(), user.balances(), user.orders(), user.open_orders()
        return seen if user.account()["event_sequence"] == before else None

    return wait_for(picture, "a moment without a fill")


def check_account(user, opening):
    """The account's balances equal those that its trades lead to; held equals its open orders."""
    trades, balances, orders, open_orders = still_picture(user)
    check(len({t["trade_id"] for t in trades}) == len(trades), "no trade is listed twice", trades)
    expected = expected_totals(opening, trades)
    for asset in set(expected) | set(balances):
        free, held = balances.get(asset, (Decimal(0), Decimal(0)))
        check(free >= 0 and held >= 0, asset + " is not negative", free, held)
        check(free + held == expected[asset], asset + " adds up", free, held, expected[asset])
    held = defaultdict(Decimal)
    for order in open_orders:
        base = order["symbol"].removesuffix("USDT")
        held["USDT" if order["side"] == "BUY" else base] += amount(order["held"])
    for asset, (_, there) in balances.items():
        check(there == held[asset], "held %s is what open orders hold" % asset, there, held[asset])
    for order in orders:
        filled = sum(amount(t["quantity"]) for t in trades if t["order_id"] == order["order_id"])
        check(filled == amount(order["executed_quantity"]), "its fills add up", order, filled)


def check_zero_sums(stack):
    """Per asset all balances sum to zero, once the tables have caught up with the journal."""
    def sums():
        return stack.sql("SELECT asset, sum(free + held) FROM ledger.balance GROUP BY asset")

    wait_for(lambda: sums() and all(total == "0" for _, total in sums()),
             "every asset sums to zero over all accounts")


def check_journal(stack):
    """Each shard's journal is numbered without a gap."""
    gaps = stack.sql("SELECT shard, count(*), min(seq), max(seq) FROM ledger.journal GROUP BY shard"
                     " HAVING min(seq) <> 1 OR max(seq) <> count(*)")
    check(not gaps, "journal numbers have no gap", gaps)
