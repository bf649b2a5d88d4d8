#!/usr/bin/python3
"""Users reach their own data and nothing else, whatever ids and tokens they send.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import json

import recording
from stack import Stack, check, tell

ORDERS = "/api/paper-trading/orders"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def bad_tokens(good):
    head, claims, signature = good.split(".")
    yield "none", part({"alg": "none", "typ": "JWT"}) + "." + claims + "."
    yield "none with a signature", part({"alg": "none", "typ": "JWT"}) + "." + claims + ".x"
    yield "no signature", head + "." + claims + "."
    yield "another signature", head + "." + claims + "." + signature[::-1]
    padded = claims + "=" * (-len(claims) % 4)
    forged = json.loads(base64.urlsafe_b64decode(padded))
    yield "other claims", head + "." + part({**forged, "sub": "1"}) + "." + signature
    yield "not a token", "abc"
    yield "empty", ""
    yield "long", "a" * 3000
    yield "dots", "..."


def others_orders(owner, other):
    order = owner.place("BUY", "LIMIT", quantity="0.01", price="40000", client_order_id="mine")
    path = "%s/%s" % (ORDERS, order["order_id"])
    for method in ("GET", "DELETE"):
        status, answer = other.ask(method, path)
        check(status == 404, "another's order does not exist for me", method, status, answer)
    check(other.orders() == [] and other.trades() == [], "nothing of it is in my lists", other)
    status, answer = other.ask("DELETE", ORDERS)
    check(status == 200, "canceling all of mine", status, answer)
    check(owner.get_order(order["order_id"])["status"] == "NEW", "leaves the other's", order)
    # The same client id is another order in another account.
    mine = other.place("BUY", "LIMIT", quantity="0.02", price="40000", client_order_id="mine")
    check(mine["order_id"] != order["order_id"], "client ids are per account", mine)


def tokens(stack, user):
    anybody = stack.client()
    for method, path in (("GET", ORDERS), ("GET", "/api/user/me"), ("POST", ORDERS),
                         ("GET", "/api/paper-trading/account"),
                         ("PUT", "/api/settings/paper-balance/spot")):
        status, answer = anybody.ask(method, path, None if method == "GET" else {})
        check(status == 401, "no token, no " + path, status, answer)
    for name, token in bad_tokens(user.token):
        anybody.token = token
        status, answer = anybody.ask("GET", "/api/user/me")
        check(status == 401, "a bad token (%s) is refused" % name, status, answer)
    check(user.call("GET", "/api/user/me")["username"] == user.name, "the good one works", user)


def refresh_and_logout(user):
    old = user.refresh_token
    user.refresh()
    check(user.refresh_token != old, "a refresh token is rotated", old)
    status, answer = user.ask("POST", "/api/auth/refresh", {"refresh_token": old})
    check(status == 401, "the used one is worth nothing", status, answer)
    user.log_in(user.name)
    user.call("POST", "/api/auth/logout", {"refresh_token": user.refresh_token},
              expect=(200, 204))
    status, answer = user.ask("POST", "/api/auth/refresh", {"refresh_token": user.refresh_token})
    check(status == 401, "nor one that was logged out", status, answer)


def story():
    """Users reach their own data and nothing else"""
    with Stack(market=recording.write) as stack:
        owner, other = stack.user(), stack.user()
        others_orders(owner, other)
        tokens(stack, owner)
        refresh_and_logout(owner)
        status, answer = stack.client().ask("POST", "/api/auth/login",
                                            {"username": other.name, "password": "wrong password"})
        check(status == 401, "a wrong password is refused", status, answer)


if __name__ == "__main__":
    tell(story)
