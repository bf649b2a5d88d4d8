#!/usr/bin/python3
"""trader - clients that keep trading through any trouble and write down all they were told.

usage: trader.py JOB.json      the job: port, users, rate, seed, file; ends after SIGTERM, once
                               everything that was sent is settled, or with its standard input

Each lane is one connection of one account. It takes the next turn of a common clock, writes down
what it is about to ask, asks until an answer settles it (the same request, the same client order
id), and writes the answer down. What falls behind the clock is caught up as fast as answers come.
The file has one JSON object a line: {"i": request} before sending, {"a": answer} after.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import os
import random
import signal
import sys
import time

ORDERS = "/api/paper-trading/orders"
LISTS = "/api/paper-trading/order-lists"
ANSWER_S = 15
PAUSES_S = (0.02, 0.05, 0.1, 0.2)  # between tries, the last again and again
RESTING_MAX = 10
LISTS_MAX = 1
# Refusals that a client of this mix may meet; any other one is told to the judge.
EXPECTED = {"FUNDS_TOO_LOW", "WOULD_TAKE", "WOULD_TRIGGER", "ORDER_DONE", "AMEND_NOT_LOWER",
            "CANCEL_FAILED", "FILTER_MAX_ORDERS", "FILTER_MAX_ALGO_ORDERS", "LIST_PRICES",
            "FILTER_MAX_ORDER_LISTS", "BALANCE_BELOW_HELD", "FILTER_MAX_ORDER_AMENDS"}
# The ledger keeps finished lists for a while only: to cancel an older one answers this.
FORGOTTEN = "LIST_NOT_FOUND"


class Broken(Exception):
    """No whole answer came."""


class Connection:
    """One HTTP/1.1 connection, opened again when it broke."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def exchange(self, method, path, body, token):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = "%s %s HTTP/1.1\r\nHost: storm\r\nAuthorization: Bearer %s\r\n" % (
            method, path, token)
        if body is not None:
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        self.writer.write((head + "\r\n" + (body or "")).encode())
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length, closes = 0, False
        for line in answer.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"connection":
                closes = value.strip().lower() == b"close"
        data = await self.reader.readexactly(length)
        if closes:
            self.close()
        return int(answer.split(b" ", 2)[1]), json.loads(data) if data else None

    async def ask(self, method, path, body, token):
        """(status, JSON); Broken when the outcome is not known."""
        try:
            return await asyncio.wait_for(self.exchange(method, path, body, token), ANSWER_S)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError,
                asyncio.LimitOverrunError) as error:
            self.close()
            raise Broken(repr(error)) from error


def seen(order, fills=()):
    """What an order's view told, in short."""
    return [order["order_id"], order.get("client_order_id", ""), order["status"],
            order["executed_quantity"], order["executed_quote_quantity"], order["quantity"],
            [fill["trade_id"] for fill in fills]]


def told(answer):
    """Every order that an answer told of."""
    if not isinstance(answer, dict):
        return []
    found = [seen(answer["order"], answer.get("fills", ()))] if "order" in answer else []
    found += [seen(order) for order in answer.get("orders", ())]
    for one in answer.get("results", ()):
        found += told(one)
    return found


class Lane:
    """One connection of one account, which asks for one thing after the other."""

    def __init__(self, office, user, number):
        self.office = office
        self.user = user
        self.number = number
        self.random = random.Random("%s.%d" % (office.job["seed"], number))
        self.connection = Connection(office.job["port"])
        self.made = 0
        self.resting = []  # order ids of buyers far below the market
        self.lists = []

    def name(self):
        self.made += 1
        return "s%d-%d" % (self.number, self.made)

    # ---- Asking -------------------------------------------------------------------------

    async def sign_in(self):
        body = json.dumps({"username": self.user["name"], "password": self.office.job["password"]})
        try:
            status, answer = await self.connection.ask("POST", "/api/auth/login", body, "")
        except Broken:
            return
        if status == 200:
            self.user["token"] = answer["access_token"]

    def is_settled(self, status, answer, troubles):
        """Whether asking again could not change what the answer says."""
        if status == 200 and isinstance(answer, dict) and "results" in answer:
            status = max([200] + [s for s in map(self.status_of, answer["results"]) if s >= 500])
        if status < 500 and status not in (401, 429):
            return True
        troubles[str(status)] = troubles.get(str(status), 0) + 1
        return False

    @staticmethod
    def status_of(result):
        return 503 if result.get("error", {}).get("retry_suggested") else 200

    async def insist(self, op, method, path, fields=None, names=()):
        """Asks until the answer settles it; (status, answer)."""
        body = json.dumps(fields) if fields is not None else None
        number = self.office.begin(op, self.user, path, fields, names)
        began, troubles, tries = time.monotonic(), {}, 0
        while True:
            try:
                status, answer = await self.connection.ask(method, path, body, self.user["token"])
                if self.is_settled(status, answer, troubles):
                    self.office.end(number, self, op, path, began, tries + 1, troubles, status,
                                    answer)
                    return status, answer
                if status == 401:
                    await self.sign_in()
            except Broken:
                troubles["none"] = troubles.get("none", 0) + 1
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    # ---- What is asked ------------------------------------------------------------------

    def market(self):
        return {"symbol": "BTCUSDT", "side": self.random.choice(("BUY", "SELL")),
                "type": "MARKET", "quantity": "0.001", "client_order_id": self.name()}

    def limit(self):
        """Around the market: some take, some are met by others, some rest for a while."""
        body = {"symbol": "BTCUSDT", "side": self.random.choice(("BUY", "SELL")), "type": "LIMIT",
                "quantity": self.random.choice(("0.001", "0.002", "0.0005")),
                "price": str(self.random.randrange(49990, 50210)),
                "client_order_id": self.name()}
        if self.random.random() < 0.6:
            body["time_in_force"] = "IOC"
        return body

    def far(self):
        return {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.002",
                "price": str(self.random.randrange(39000, 41000)),
                "client_order_id": self.name()}

    async def place(self, body):
        return await self.insist("place", "POST", ORDERS, body, [body["client_order_id"]])

    async def do_market(self):
        await self.place(self.market())

    async def do_limit(self):
        await self.place(self.limit())

    async def do_far(self):
        status, answer = await self.place(self.far())
        if status in (200, 201):
            self.resting.append(answer["order"]["order_id"])

    async def do_cancel(self):
        if self.resting:
            path = "%s/%s" % (ORDERS, self.resting.pop(0))
            await self.insist("cancel", "DELETE", path)

    async def do_amend(self):
        if self.resting:
            path = "%s/%s" % (ORDERS, self.random.choice(self.resting))
            quantity = "0.%05d" % self.random.randrange(50, 200)
            await self.insist("amend", "PUT", path, {"quantity": quantity})

    async def do_replace(self):
        if not self.resting:
            return
        body = dict(self.far(), cancel_order_id=self.resting.pop(0))
        status, answer = await self.insist("replace", "POST", ORDERS + "/replace", body,
                                           [body["client_order_id"]])
        if status in (200, 201):
            self.resting.append(answer["order"]["order_id"])

    async def do_list(self):
        if len(self.lists) >= LISTS_MAX:
            await self.insist("list_cancel", "DELETE", "%s/%s" % (LISTS, self.lists.pop(0)))
            return
        near = self.random.random() < 0.5  # within the market's walk: one leg soon wins
        legs = [{"side": "SELL", "type": "LIMIT_MAKER", "quantity": "0.001",
                 "price": "50195" if near else "61000", "client_order_id": self.name()},
                {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.001",
                 "stop_price": "50005" if near else "41000", "client_order_id": self.name()}]
        status, answer = await self.insist(
            "list", "POST", LISTS, {"contingency": "OCO", "symbol": "BTCUSDT", "orders": legs},
            [leg["client_order_id"] for leg in legs])
        if status in (200, 201):
            self.lists.append(answer["list"]["list_id"])

    async def do_basket(self):
        orders = [self.market(), self.limit(), self.limit()]
        await self.insist("basket", "POST", "/api/paper-trading/basket", {"orders": orders},
                          [order["client_order_id"] for order in orders])

    async def do_balance(self):
        """A balance that nobody else sets, so that it can be found again."""
        self.made += 1
        amount = "%d.%02d%06d" % (600000 + self.random.randrange(100000), self.number % 100,
                                  self.made % 1000000)
        await self.insist("balance", "PUT", "/api/settings/paper-balance/spot",
                          {"balance": amount})

    async def do_read(self):
        path = self.random.choice((ORDERS + "?limit=20", ORDERS + "/open",
                                   "/api/paper-trading/account",
                                   "/api/paper-trading/trades?limit=20",
                                   "/api/market/depth?symbol=BTCUSDT",
                                   "/api/market/ticker?symbol=BTCUSDT"))
        if self.resting and self.random.random() < 0.4:
            path = "%s/%s" % (ORDERS, self.random.choice(self.resting))
        await self.insist("read", "GET", path)

    # Of a hundred turns.
    MIX = (("market", 27), ("limit", 27), ("far", 14), ("cancel", 6), ("amend", 4),
           ("replace", 5), ("list", 4), ("basket", 4), ("balance", 1), ("read", 8))

    async def run(self):
        names, weights = zip(*self.MIX)
        while await self.office.turn():
            name = self.random.choices(names, weights)[0]
            if len(self.resting) > RESTING_MAX:
                name = "cancel"
            await getattr(self, "do_" + name)()
        self.connection.close()


class Office:
    """What all lanes of this process share: the clock, the file, the end."""

    def __init__(self, job):
        self.job = job
        self.file = open(job["file"], "a", buffering=1, encoding="utf-8")
        self.began = time.monotonic()
        self.turns = self.numbers = 0
        self.ended = asyncio.Event()

    async def turn(self):
        """The next turn of the common clock; False once told to end."""
        due = self.began + self.turns / self.job["rate"]
        self.turns += 1
        left = due - time.monotonic()
        if left > 0 and not self.ended.is_set():
            try:
                await asyncio.wait_for(self.ended.wait(), left)
            except asyncio.TimeoutError:
                pass
        return not self.ended.is_set()

    def begin(self, op, user, path, fields, names):
        self.numbers += 1
        self.write({"i": self.numbers, "t": time.monotonic(), "op": op, "user": user["name"],
                    "path": path, "names": names, "body": fields})
        return self.numbers

    def end(self, number, lane, op, path, began, tries, troubles, status, answer):
        line = {"a": number, "b": began, "t": time.monotonic(), "op": op, "lane": lane.number,
                "user": lane.user["name"], "status": status, "told": told(answer)}
        if tries > 1:
            line.update(tries=tries, troubles=troubles)
        errors = {}
        if status >= 400:
            errors[""] = answer["error"]["code"]
        for place, result in enumerate((answer or {}).get("results", ())):
            if "error" in result:
                errors[str(place)] = result["error"]["code"]
        if errors:
            line["errors"] = errors
            line["odd"] = [code for code in errors.values() if code not in EXPECTED and
                           (op, code) != ("list_cancel", FORGOTTEN)]
            line["path"] = path
        self.write(line)

    def write(self, line):
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ended.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # whoever started us decides
        loop.add_reader(0, os._exit, 1)  # and nobody would end us once he is gone
        lanes = [Lane(self, user, self.job["first_lane"] + index * self.job["lanes"] + lane)
                 for index, user in enumerate(self.job["users"])
                 for lane in range(self.job["lanes"])]
        print("ready", flush=True)
        await asyncio.gather(*(lane.run() for lane in lanes))
        self.file.close()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)

    async def work():
        await Office(job).run()

    asyncio.run(work())


if __name__ == "__main__":
    main()
