"""e2e - orders a second over HTTP, filled and durable, next to what the gateway could do at most.

A stack of its own, on the market made for the stories. In each run wrk posts a trivial request and
then market orders to the same gateway, so that both meet the same machine; the ratio is ours over
the trivial one. Then, by bench/load: the latency at a fixed 2,000 orders a second, orders placed
and canceled, and other numbers of connections.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import sys
from decimal import ROUND_UP, Decimal

from figures import BUILD, ROOT, RUNS, Failed, median, medians, program, run, say, settle

sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tools")]
import recording  # noqa: E402
from stack import Stack, wait_for  # noqa: E402

ORDERS = "/api/paper-trading/orders"
USERS = 64
SECONDS = int(os.environ.get("SCRIP_BENCH_SECONDS", "4"))
NO_LIMITS = "\n".join([
    "account_requests_per_second = 1000000", "account_requests_burst = 10000000",
    "public_requests_per_second = 10000000", "public_requests_burst = 10000000"])


def stock(user, quantity):
    """Buys until the user has that much to sell: the market shows only so much at a time."""
    while quantity > 0:
        quantity -= Decimal(user.place("BUY", "MARKET", quantity=quantity)["executed_quantity"])


class Bench:
    def __init__(self, stack):
        self.stack = stack
        users = [stack.user(balance="1000000") for _ in range(USERS)]
        price = wait_for(lambda: Decimal(users[0].ticker()["last_price"]), "a price")
        # About 12 USDT an order: above the least notional, far below what the market shows.
        quantity = (Decimal(12) / price).quantize(Decimal("0.0001"), ROUND_UP)
        for user in users:
            stock(user, quantity * 400)
            user.close()
        self.tokens = os.path.join(stack.dir, "tokens")
        with open(self.tokens, "w", encoding="ascii") as file:
            file.write("".join(user.token + "\n" for user in users))
        self.bodies = [json.dumps(users[0].order(side, "MARKET", quantity=quantity))
                       for side in ("BUY", "SELL")]
        low = (price * Decimal("0.8")).quantize(Decimal("1"))
        self.limit = json.dumps(users[0].order("BUY", "LIMIT", quantity=quantity * 2, price=low,
                                               time_in_force="GTC"))

    def wrk(self, path, connections):
        threads = 1 if connections < 16 else 2
        out = run(["wrk", "-t%d" % threads, "-c%d" % connections, "-d%ds" % SECONDS,
                   "-s", os.path.join(ROOT, "bench", "orders.lua"),
                   "http://127.0.0.1:%d" % self.stack.url_port, "--", path, self.tokens,
                   *self.bodies])
        row = json.loads(out.split("JSON ", 1)[1])
        if row["refused"] or row["broken"]:
            say("    %d refused, %d broken of %d" % (row["refused"], row["broken"],
                                                     row["requests"]))
        # A refusal is quicker than an order: it must not count as one.
        taken = row["requests"] - row["refused"]
        row["per_second"] = row["per_second"] * taken // row["requests"]
        return row

    def load(self, connections, *more, bodies=None):
        bodies = bodies or self.bodies
        return json.loads(run([program("load"), "--port", str(self.stack.url_port),
                               "--tokens", self.tokens, "--path", ORDERS,
                               "--connections", str(connections), "--seconds", str(SECONDS),
                               "--body", bodies[0], "--other-body", bodies[-1], *more]))

    def placed(self):
        """Orders that the tables know, once they have caught up with what was placed."""
        query = 'SELECT status, count(*) FROM ledger."order" GROUP BY status'
        last = None
        while True:
            now = {int(s): int(n) for s, n in self.stack.sql(query)}
            if now == last:
                return now
            last = now


def line(name, row):
    say("  %-38s %8.0f/s   p50 %6.2f ms   p99 %6.2f ms" % (
        name, row["per_second"], row["p50_us"] / 1000, row["p99_us"] / 1000))


def measure(bench):
    raw = {"ping": [], "orders": [], "rate_2000": [], "place_cancel": []}
    bench.wrk("/api/ping", 64)
    bench.wrk(ORDERS, 64)
    for number in range(RUNS):
        raw["ping"].append(bench.wrk("/api/ping", 64))
        raw["orders"].append(bench.wrk(ORDERS, 64))
        say("  run %d: %d orders/s beside %d trivial requests/s" % (
            number + 1, raw["orders"][-1]["per_second"], raw["ping"][-1]["per_second"]))
    for _ in range(RUNS):
        raw["rate_2000"].append(bench.load(16, "--rate", "2000"))
    for _ in range(RUNS):
        raw["place_cancel"].append(bench.load(64, "--cancel", bodies=[bench.limit]))
    for connections in (1, 16, 256):
        raw["orders_%d" % connections] = [bench.wrk(ORDERS, connections) for _ in range(RUNS)]
    return raw


def main():
    os.environ["SCRIP_BUILD"] = BUILD
    if not os.access(os.path.join(BUILD, "services", "gateway", "scrip-gateway"), os.X_OK):
        raise Failed("the services are not built: ./scrip build")
    with Stack({"gateway": NO_LIMITS}, market=recording.write, buffers="256MB") as stack:
        bench = Bench(stack)
        raw = measure(bench)
        statuses = bench.placed()
    rows = {name: medians(values) for name, values in raw.items()}
    line("trivial POST, 64 connections", rows["ping"])
    line("market orders, 64 connections", rows["orders"])
    for connections in (1, 16, 256):
        line("market orders, %d connections" % connections, rows["orders_%d" % connections])
    line("market orders at 2,000/s, 16 connections", rows["rate_2000"])
    line("limit orders placed and canceled, 64", rows["place_cancel"])
    total = sum(statuses.values())
    say("  of %d orders in the tables %d are FILLED and %d CANCELED" % (
        total, statuses.get(3, 0), statuses.get(4, 0)))
    ratio = median([ours["per_second"] / ceiling["per_second"]
                    for ours, ceiling in zip(raw["orders"], raw["ping"])])
    settle("e2e", ratio, 0.3, "durable filled orders/s over trivial POSTs/s of the same gateway",
           {"medians": rows, "runs": raw, "orders_by_status": statuses},
           "%d orders/s, %d trivial/s" % (rows["orders"]["per_second"],
                                          rows["ping"]["per_second"]))
