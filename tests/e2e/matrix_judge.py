"""matrix_judge - what the ledger says of real orders against what the exchange knows.

The exchange keeps every placement it ever received under its client id, which ends in the ledger's
order id. Lost: an order or a fill of the exchange that the ledger has not, or one of the ledger
that the exchange has not. Doubled: an order that was executed more than once.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import concurrent.futures
import time
from decimal import Decimal

from live import PERPETUAL

SETTLED = ("PLACED", "REFUSED", "NOT_PLACED")
SETTLE_S = 90.0
POLL_S = 0.5
AT_ONCE = 16


def fills(rows):
    """(exchange's trade id, price, quantity), each as often as it is there."""
    return collections.Counter((int(number), Decimal(price), Decimal(quantity))
                               for number, price, quantity in rows)


class Verdict:
    """What was found, in numbers and in words."""

    def __init__(self):
        self.orders = self.lost = self.doubled = self.open = 0
        self.problems = []

    def add(self, other):
        self.orders += other.orders
        self.lost += other.lost
        self.doubled += other.doubled
        self.open += other.open
        self.problems += other.problems

    def say(self, run, words):
        cell = run.cell
        self.problems.append("run %d (%s %s, %s, %s): %s" % (
            run.number, cell.market, cell.call, cell.fault, cell.kind, words))


def placements(x, market, account):
    """{order id of the ledger: what the exchange received for it}."""
    found = {}
    for view in x.get("orders", market=market, account=account):
        found[int(view["client_id"].rpartition("-")[2])] = view
    return found


def compare(run, verdict):
    """Adds to the verdict what the ledger and the exchange do not agree about."""
    trader, market = run.trader, run.cell.market
    if trader is None:
        return
    known = placements(run.x, market, trader.number)
    ours = {int(o["order_id"]): o for o in trader.orders().values()}
    trades = collections.defaultdict(list)
    for trade in trader.trades():
        trades[int(trade["order_id"])].append(trade)
    for number, view in known.items():
        if view["executed"] > 1:
            verdict.doubled += view["executed"] - 1
            verdict.say(run, "order %d was executed %d times" % (number, view["executed"]))
        if number not in ours and view["executed"]:
            verdict.lost += 1
            verdict.say(run, "the ledger has no order %d" % number)
    for number, order in ours.items():
        verdict.orders += 1
        compare_order(run, verdict, order, known.get(number), trades[number])
    for name in run.wished:
        if name not in {o["client_order_id"] for o in ours.values()}:
            verdict.say(run, "%s never became an order: %s" % (name, run.told[-3:]))
    theirs, mine = balances_there(run), trader.balances()
    if mine != theirs:
        verdict.say(run, "balances here %s, there %s" % (mine, theirs))


def balances_there(run):
    """{asset: (free, held)} at the exchange, as the ledger keeps it: of futures the wallets, and
    contracts as an asset."""
    view = run.x.get("account", account=run.trader.number)
    if run.cell.market == "spot":
        rows = [(asset, Decimal(b["free"]), Decimal(b["locked"]))
                for asset, b in view["spot"].items()]
    else:
        rows = [(asset, Decimal(wallet), Decimal(0)) for asset, wallet in view["usdm"].items()]
        rows += [(p["symbol"] + PERPETUAL, Decimal(p["amount"]), Decimal(0))
                 for p in view["positions"]]
    return {asset: (free, held) for asset, free, held in rows if free or held}


def compare_order(run, verdict, order, view, trades):
    state = order["exchange_state"]
    words = "order %s is %s %s here" % (order["order_id"], state, order["status"])
    if state not in SETTLED:
        verdict.open += 1
        return
    if view is None or not view["executed"]:
        if state == "PLACED":
            verdict.lost += 1
            verdict.say(run, words + " and the exchange never executed it")
        return
    true = view["orders"][0]
    if state != "PLACED":
        verdict.lost += 1
        verdict.say(run, "%s and %s at the exchange" % (words, true["status"]))
        return
    theirs = fills((t["id"], t["price"], t["quantity"]) for t in true["trades"])
    mine = fills((t["evidence"]["sequence"], t["price"], t["quantity"]) for t in trades)
    if mine != theirs:
        verdict.lost += sum((theirs - mine).values())
        verdict.doubled += sum((mine - theirs).values())
        verdict.say(run, "%s; fills here only %s, there only %s" % (
            words, list((mine - theirs).elements()), list((theirs - mine).elements())))
    if Decimal(order["executed_quantity"]) != Decimal(true["executed"]):
        verdict.say(run, "%s with %s filled, there %s" % (words, order["executed_quantity"],
                                                          true["executed"]))
    if order["status"] != true["status"]:
        verdict.say(run, "%s, %s there" % (words, true["status"]))


def judge(runs, patience_s=SETTLE_S):
    """The verdict on all runs, once the ledger has had time to learn what it missed."""
    deadline = time.monotonic() + patience_s

    def settled(run):
        """The run's own verdict: good, or the last one before the deadline."""
        while True:
            verdict = Verdict()
            compare(run, verdict)
            if time.monotonic() > deadline or not (verdict.problems or verdict.open):
                break
            time.sleep(POLL_S)
        for words in run.problems:
            verdict.say(run, words)
        return verdict

    whole = Verdict()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for verdict in pool.map(settled, runs):
            whole.add(verdict)
    return whole
