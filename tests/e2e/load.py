"""load - traders that keep ordering through any trouble, and remember what was acknowledged.

Each trader repeats a request with the same client order id until it is acknowledged, as a careful
client does; what was acknowledged must be there afterwards, once.

SPDX-License-Identifier: Apache-2.0
"""
import random
import threading

from stack import HttpError, check, flat, wait_for

ORDERS = "/api/paper-trading/orders"
RETRY_PAUSE_S = 0.05


class Trader(threading.Thread):
    def __init__(self, user, seed):
        super().__init__(daemon=True)
        self.user = user
        self.random = random.Random(seed)
        self.ended = threading.Event()
        self.acknowledged = {}  # client order id: (body, the answer's order)
        self.canceled = set()   # order ids
        self.troubles = {}      # status and code: how often a request was not acknowledged
        self.unexpected = []

    def insist(self, method, path, body=None, fine=(200, 201)):
        """Repeats until there is an answer that settles it; None when told to end."""
        while not self.ended.is_set():
            try:
                status, answer = self.user.ask(method, path, body)
            except HttpError as error:
                status, answer = error.status or "none", None
            if status in fine:
                return answer
            code = ((answer or {}).get("error") or {}).get("code", "")
            why = ("%s %s" % (status, code)).rstrip()
            self.troubles[why] = self.troubles.get(why, 0) + 1
            if status != "none" and status < 500 and status != 429:
                self.unexpected.append((method, path, body, status, answer))
                return None
            self.ended.wait(RETRY_PAUSE_S)
        return None

    def body(self, number):
        side = self.random.choice(["BUY", "SELL"])
        client_id = "load-%d" % number
        if self.random.random() < 0.5:
            return self.user.order(side, "MARKET", quantity="0.001", client_order_id=client_id)
        if self.random.random() < 0.5:  # far away: rests
            return self.user.order("BUY", "LIMIT", quantity="0.001", price="40000",
                                   client_order_id=client_id)
        price = self.random.randrange(50000, 50200)  # the market will cross it
        return self.user.order(side, "LIMIT", quantity="0.001", price=price,
                               client_order_id=client_id)

    def run(self):
        number, resting = 0, []
        while not self.ended.is_set():
            number += 1
            body = self.body(number)
            answer = self.insist("POST", ORDERS, body)
            if answer is None:
                continue
            order = flat(answer)
            self.acknowledged[body["client_order_id"]] = (body, order)
            if body.get("price") == "40000":
                resting.append(order["order_id"])
            if len(resting) > 5:
                order_id = resting.pop(0)
                if self.insist("DELETE", "%s/%s" % (ORDERS, order_id), fine=(200, 409)):
                    self.canceled.add(order_id)


class Load:
    """Some traders at once. Use as a context manager; after it nothing is in flight."""

    def __init__(self, stack, traders=4, balance="200000"):
        self.balance = balance
        self.traders = []
        for seed in range(traders):
            user = stack.user(balance=balance)
            user.place("BUY", "MARKET", quantity="1")
            self.traders.append(Trader(user, seed))

    def __enter__(self):
        for trader in self.traders:
            trader.start()
        return self

    def __exit__(self, *_):
        for trader in self.traders:
            trader.ended.set()
        for trader in self.traders:
            trader.join()

    def count(self):
        return sum(len(trader.acknowledged) for trader in self.traders)

    def progress(self, orders=40, seconds=60):
        """Waits until every trader goes on: so much more is acknowledged than now."""
        wanted = {t: len(t.acknowledged) + orders // len(self.traders) for t in self.traders}
        wait_for(lambda: all(len(t.acknowledged) >= n for t, n in wanted.items()),
                 "orders are acknowledged again", seconds)

    def stand_still(self):
        """Where nothing is acknowledged: waits until every trader is refused. All that was
        acknowledged before is counted then."""
        before = {t: sum(t.troubles.values()) for t in self.traders}
        wait_for(lambda: all(sum(t.troubles.values()) > n for t, n in before.items()),
                 "every trader is refused")

    def troubles(self):
        found = {}
        for trader in self.traders:
            for why, count in trader.troubles.items():
                found[why] = found.get(why, 0) + count
        return found

    def check_nothing_lost(self):
        """Every acknowledged order is there as acknowledged or further, and none is doubled."""
        for trader in self.traders:
            check(not trader.unexpected, "no request was refused", trader.unexpected[:3])
            listed = {}
            for order in trader.user.orders():
                client_id = order["client_order_id"]
                check(client_id not in listed, "no order is doubled", order)
                listed[client_id] = order
            for client_id, (body, order) in trader.acknowledged.items():
                check(client_id in listed, "an acknowledged order is there", client_id, order)
                there = listed[client_id]
                for field in ("order_id", "symbol", "side", "type"):
                    check(there[field] == order[field], "its %s is as before" % field, there, order)
                if order["status"] not in ("NEW", "PARTIALLY_FILLED"):
                    for field in ("status", "executed_quantity", "executed_quote_quantity"):
                        check(there[field] == order[field], "its %s is final" % field, there, order)
                if order["order_id"] in trader.canceled:
                    check(there["status"] in ("CANCELED", "FILLED"), "a cancel stays", there)
