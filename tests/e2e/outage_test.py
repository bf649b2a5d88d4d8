#!/usr/bin/python3
"""PostgreSQL, then Redis, stopped under load and started again: clear answers, nothing lost.

SPDX-License-Identifier: Apache-2.0
"""
import threading

import recording
from books import check_account, check_journal, check_zero_sums
from load import Load
from stack import SERVICES, Stack, check, tell, wait_for

OUTAGE_S = 10


def postgres_away(stack, load, pids):
    stack.stop("postgres")
    # The outage's length is the story itself, not a wait for something to happen.
    over = threading.Event()
    threading.Timer(OUTAGE_S, over.set).start()
    user = stack.client()
    user.token = load.traders[0].user.token
    status, answer = user.ask("POST", "/api/paper-trading/orders",
                              user.order("BUY", "MARKET", quantity="0.001"))
    check(status in (503, 504), "an order is answered with 503 or 504", status, answer)
    wait_for(lambda: not stack.ready("ledger")[0], "the ledger says that it is not ready")
    status, headers, _ = user.raw("POST", "/api/paper-trading/orders",
                                  '{"symbol":"BTCUSDT","side":"BUY","type":"MARKET",'
                                  '"quantity":"0.001"}',
                                  {"Authorization": "Bearer " + user.token})
    check(status == 503 and headers.get("Retry-After"), "503 with Retry-After", status, headers)
    status, answer = user.ask("GET", "/api/market/depth", query={"symbol": "BTCUSDT"})
    check(status == 200, "market data goes on", status, answer)
    load.stand_still()
    before = load.count()
    over.wait()
    check(load.count() == before, "nothing is acknowledged without the database", load.count())
    stack.start("postgres")
    load.progress()
    stack.wait_ready()
    for name, pid in pids.items():
        check(stack.pid(name) == pid, name + " lived through it", pid, stack.pid(name))


def redis_away(stack, load):
    stack.stop("redis")
    user = stack.client()
    wait_for(lambda: user.ask("GET", "/api/market/ticker", query={"symbol": "BTCUSDT"})[0] == 503,
             "the ticker says that the cache is away")
    status, answer = user.ask("GET", "/api/market/depth", query={"symbol": "BTCUSDT"})
    check(status == 200, "the book does not need it", status, answer)
    load.progress()
    stack.start("redis")

    def ticker():
        status, answer = user.ask("GET", "/api/market/ticker", query={"symbol": "BTCUSDT"})
        check(status in (200, 503), "an empty cache is no unknown symbol", status, answer)
        return status == 200

    wait_for(ticker, "the ticker is back")


def story():
    """PostgreSQL and Redis stopped under load and started again"""
    with Stack(market=recording.write) as stack:
        pids = {name: stack.pid(name) for name in SERVICES}
        with Load(stack) as load:
            load.progress()
            postgres_away(stack, load, pids)
            redis_away(stack, load)
        print("requests that had to be repeated, by status: %s" % load.troubles())
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
