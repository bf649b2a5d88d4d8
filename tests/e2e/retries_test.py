#!/usr/bin/python3
"""A client order id makes retries safe: the same order is answered again, another is refused.

SPDX-License-Identifier: Apache-2.0
"""
import signal
import threading
import time

import recording
from books import check_account
from stack import Stack, check, flat, tell, wait_for

ORDERS = "/api/paper-trading/orders"


def same_id(user):
    body = user.order("BUY", "MARKET", quantity="0.01", client_order_id="retry-1")
    status, first = user.ask("POST", ORDERS, body)
    check(status in (200, 201), "the order is placed", status, first)
    status, again = user.ask("POST", ORDERS, body)
    check(status == 200, "the same id with the same body answers 200", status, again)
    check(flat(again)["order_id"] == flat(first)["order_id"], "the existing order", first, again)
    status, other = user.ask("POST", ORDERS, {**body, "quantity": "0.02"})
    check(status == 409, "the same id with another body answers 409", status, other)
    check(other["error"]["code"] == "ORDER_DIFFERS", "and says why", other)
    check(len(user.orders()) == 1, "there is one order", user.orders())


def at_the_same_time(stack, user):
    """Many connections send one order at once: one order comes of it."""
    answers = []

    def send():
        other = stack.client()
        other.token = user.token
        answers.append(other.place("BUY", "MARKET", quantity="0.01", client_order_id="retry-2"))
        other.close()

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(len(answers) == 12, "all are answered", answers)
    check(len({a["order_id"] for a in answers}) == 1, "with the same order", answers)


def after_a_restart(stack, user):
    """The record itself is the memory: a retry after a crash still finds it."""
    body = user.order("BUY", "LIMIT", quantity="0.01", price="40000", client_order_id="retry-3")
    first = flat(user.call("POST", ORDERS, body))
    stack.kill("ledger", "gateway", "matcher")
    stack.wait_serving(user)
    again = flat(user.call("POST", ORDERS, body))
    check(again["order_id"] == first["order_id"], "the order from before the crash", first, again)


def while_the_ledger_is_gone(stack, user):
    """What was never sent is told so, and soon: before the time-out of 5 s."""
    stack.stop("ledger")
    body = user.order("BUY", "LIMIT", quantity="0.01", price="40000", client_order_id="retry-4")
    begun = time.monotonic()
    for method, path, sent in (("POST", ORDERS, body), ("GET", ORDERS, None)):
        status, answer = user.ask(method, path, sent)
        check(status == 503, "the ledger is away", method, status, answer)
        check(answer["error"]["code"] == "LEDGER_UNAVAILABLE", "by its name", answer)
    check(time.monotonic() - begun < 8, "neither took the whole time-out", begun)
    stack.start("ledger")
    wait_for(lambda: user.ask("GET", ORDERS)[0] == 200, "the ledger is back")
    status, answer = user.ask("GET", ORDERS + "/by-client-id/retry-4")
    check(status == 404, "and it was not taken", status, answer)


def refused_and_taken(stack):
    """Asked twice while the ledger sleeps, the first copy finds no funds and the second does: the
    client hears of the order that came of it, not of the refusal. When the ledger slept too long
    for that, nobody knows: once more."""
    while not heard_of_it(stack):
        pass


def heard_of_it(stack):
    """Whether there was an answer; then it is the right one."""
    user = stack.user(balance="10")
    body = user.order("BUY", "MARKET", quantity="0.01", client_order_id="retry-5")
    resent = stack.metric("gateway", "scrip_gateway_calls_resent_total")
    answers = []
    stack.signal("ledger", signal.SIGSTOP)

    def ask(method, path, what):
        other = stack.client()
        other.token = user.token
        answers.append(other.ask(method, path, what))
        other.close()

    order = threading.Thread(target=ask, args=("POST", ORDERS, body))
    order.start()
    wait_for(lambda: stack.metric("gateway", "scrip_gateway_calls_in_flight") >= 1, "it was sent")
    funds = threading.Thread(target=ask, args=("PUT", "/api/settings/paper-balance/spot",
                                               {"balance": "100000"}))
    funds.start()
    wait_for(lambda: stack.metric("gateway", "scrip_gateway_calls_resent_total") > resent,
             "it is sent again")
    stack.signal("ledger", signal.SIGCONT)
    order.join()
    funds.join()
    status, answer = next(a for a in answers if a[0] not in (200,) or "order" in a[1])
    there = user.orders()
    check(status == 504 or (status in (200, 201)) == (len(there) == 1),
          "what was answered is what is there", status, answer, there)
    return status != 504


def story():
    """A client order id makes retries safe"""
    with Stack(market=recording.write) as stack:
        user = stack.user()
        same_id(user)
        at_the_same_time(stack, user)
        after_a_restart(stack, user)
        while_the_ledger_is_gone(stack, user)
        check(len(user.orders()) == 3, "three orders in all", user.orders())
        check_account(user, "100000")
        refused_and_taken(stack)


if __name__ == "__main__":
    tell(story)
