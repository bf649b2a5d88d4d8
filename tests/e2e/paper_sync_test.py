#!/usr/bin/python3
"""Paper balances are set to what the exchange has, or nothing changes and it is told why.

SPDX-License-Identifier: Apache-2.0
"""
import json
from decimal import Decimal

from real import Exchanges, put_key
from stack import check, tell, wait_for

SYNC = "/api/settings/sync-paper-balance/"
BALANCE = "/api/settings/paper-balance/"


class Story:
    def __init__(self, x, stack):
        self.x, self.exchange, self.stack = x, x.live, stack
        self.keys = {}

    def user(self, **balances):
        user = self.stack.user(balance="5000")
        self.keys[user] = self.exchange.add_account(**balances)
        return user

    def balance(self, user, market="spot"):
        return user.call("GET", BALANCE + market)["paper_balance_usdt"]

    def sync(self, user, market="spot"):
        return user.call("POST", SYNC + market)

    def refused(self, user, status, code, market="spot", **members):
        """A sync that fails as it should, with nothing changed by it; the error and headers."""
        before = [self.balance(user, m) for m in ("spot", "futures")]
        history = user.call("GET", BALANCE + market + "/history")
        got, headers, body = user.raw("POST", SYNC + market,
                                      headers={"Authorization": "Bearer " + user.token})
        error = json.loads(body)["error"]
        check((got, error["code"]) == (status, code), "%d %s" % (status, code), got, error)
        for name, value in members.items():
            check(error.get(name) == value, "%s is %r" % (name, value), error)
        check(error.get("message"), "it is told in words", error)
        check(before == [self.balance(user, m) for m in ("spot", "futures")] and
              history == user.call("GET", BALANCE + market + "/history"),
              "a failed sync changes nothing", before)
        return error, headers

    # ---- What is answered ----

    def without_keys(self):
        user = self.user(spot={"USDT": "2000"})
        self.refused(user, 400, "CREDENTIALS_MISSING",
                     action_required="configure exchange credentials")
        status, body = user.ask("POST", SYNC + "margin")
        check(status == 400, "a trading type that is none", status, body)
        stranger = self.stack.client()
        check(stranger.ask("POST", SYNC + "spot")[0] == 401, "nobody without a token")

    def both_markets(self):
        user = self.user(spot={"USDT": "1234.5", "BTC": "1"}, usdm={"USDT": "777.25"})
        keys = self.keys[user]
        stored = put_key(user, "spot", keys)["keys"]
        check(stored[0]["environment"] == "live" and stored[0]["is_valid"], "proved and kept",
              stored)
        put_key(user, "futures", keys)
        for market, amount, origin in (("spot", "1234.50000000", "binance_spot_account"),
                                       ("futures", "777.25000000", "binance_futures_account")):
            answer = self.sync(user, market)
            check(answer["trading_type"] == market and answer["paper_balance_usdt"] == amount and
                  answer["synced_from"] == origin and answer["environment"] == "live" and
                  answer["dry_run_mode"] is True, "taken over", answer)
            check(self.balance(user, market) == amount, "and kept", self.balance(user, market))
            change = user.call("GET", BALANCE + market + "/history")["changes"][0]
            check(change["source"] == "sync" and change["new_balance"] == amount and
                  change["changed_by"], "with who did it", change)
        return user

    def locked_counts(self, user):
        """What an order at the exchange holds is money, too; done by its owner, not by us."""
        self.exchange.deposit(self.keys[user].number, "USDT", "100")
        check(self.sync(user)["paper_balance_usdt"] == "1334.50000000", "as it is now")

    def what_a_key_may(self):
        """What the key may do is told, whatever its account may."""
        user = self.user(spot={"USDT": "20"}, usdm={"USDT": "20"})
        keys = self.keys[user]
        for market, right in (("spot", "SPOT"), ("futures", "FUTURES")):
            for permissions, word in ((["READ", right], None),
                                      (["READ", right, "WITHDRAW"], "withdrawals are enabled"),
                                      (["READ"], "trading is not enabled")):
                self.exchange.change_key(keys.api_key, permissions=permissions)
                stored = put_key(user, market, keys)["keys"][0]
                check(stored["can_trade"] == (right in permissions) and
                      stored["can_withdraw"] == ("WITHDRAW" in permissions) and
                      (word or "") in stored.get("warning", "") and
                      bool(word) == bool(stored.get("warning")), "as the key is", stored)

    def below_minimum(self):
        user = self.user(spot={"USDT": "9.99"}, usdm={"USDT": "0"})
        put_key(user, "spot", self.keys[user])
        put_key(user, "futures", self.keys[user])
        self.refused(user, 400, "SYNC_BELOW_MINIMUM")
        self.refused(user, 400, "SYNC_BELOW_MINIMUM", market="futures")
        rich = self.user(spot={"USDT": "1000000.01"})
        put_key(rich, "spot", self.keys[rich])
        self.refused(rich, 400, "BALANCE_OUT_OF_RANGE")

    def below_held(self):
        user = self.user(spot={"USDT": "100"})
        put_key(user, "spot", self.keys[user])
        order = user.place("BUY", "LIMIT", quantity="0.01", price="30000")
        self.refused(user, 409, "BALANCE_BELOW_HELD")
        user.call("DELETE", "/api/paper-trading/orders/%s" % order["order_id"])
        wait_for(lambda: user.get_order(order["order_id"])["status"] == "CANCELED", "canceled")
        check(self.sync(user)["paper_balance_usdt"] == "100.00000000", "nothing held any more")

    def keys_that_stop_working(self):
        user = self.user(spot={"USDT": "600"})
        put_key(user, "spot", self.keys[user])
        self.exchange.change_key(self.keys[user].api_key, is_enabled=False)
        error, _ = self.refused(user, 400, "CREDENTIALS_INVALID")
        check("detail" in error, "in the exchange's words", error)
        wrong = self.user(spot={"USDT": "600"})
        self.keys[wrong].secret = "x" * 64
        status, body = wrong.ask("PUT", "/api/settings/exchange-keys/spot",
                                 {"api_key": self.keys[wrong].api_key, "api_secret": "x" * 64})
        check(status == 400 and body["error"]["code"] == "CREDENTIALS_INVALID",
              "a key that does not work is not stored", status, body)
        self.refused(wrong, 400, "CREDENTIALS_MISSING")

    def network(self, user):
        fault = self.exchange.fault
        for kind, what in (("rest_timeout", {"count": 50, "seconds": 5}),
                           ("rest_cut", {"count": 50}), ("rest_half", {"count": 50}),
                           ("rest_error", {"count": 50, "status": 500, "code": -1000}),
                           ("rest_error", {"count": 50, "status": 503, "code": -1001})):
            made = fault(kind, path="account", account=self.keys[user].number, **what)
            got, _, body = user.raw("POST", SYNC + "spot",
                                    headers={"Authorization": "Bearer " + user.token})
            error = json.loads(body)["error"]
            self.exchange.end_fault(made["fault"])
            check(got == 502 and error["code"] in ("EXCHANGE_TIMEOUT", "EXCHANGE_UNREACHABLE",
                                                   "EXCHANGE_FAILED") and
                  error["details"] and error["retry_suggested"] is True,
                  "502 with details, and worth another try", kind, got, error)
            wait_for(lambda: user.ask("POST", SYNC + "spot")[0] == 200, "it works again")

    def limited(self, user):
        self.exchange.fault("ban", seconds=6)
        error, headers = self.refused(user, 503, "EXCHANGE_LIMITED")
        check(error["retry_after_seconds"] >= 1 and
              headers["Retry-After"] == str(error["retry_after_seconds"]),
              "when to come back, twice", error, dict(headers))
        wait_for(lambda: user.ask("POST", SYNC + "spot")[0] == 200, "the ban is over")

    # ---- By itself ----

    def scheduled(self, user):
        path = SYNC + "spot/schedule"
        check(user.call("GET", path)["every_minutes"] == 0, "never, at first")
        for every in (4, 10081):
            status, body = user.ask("PUT", path, {"every_minutes": every})
            check(status == 400 and body["error"]["field"] == "every_minutes", "5 to 10080", body)
        got = user.call("PUT", path, {"every_minutes": 60})
        check(got["every_minutes"] == 60 and got["next_us"] > 0, "set", got)
        self.exchange.deposit(self.keys[user].number, "USDT", "0.5")
        before = Decimal(self.balance(user))
        self.stack.sql("UPDATE bridge.sync_schedule SET next_us = 1", user="scrip_bridge")
        wait_for(lambda: Decimal(self.balance(user)) == before + Decimal("0.5"), "synced by itself")
        change = user.call("GET", BALANCE + "spot/history")["changes"][0]
        check(change["source"] == "scheduled_sync", "its source is told", change)
        got = user.call("GET", path)
        check(got["next_us"] > got["last_us"] > 0 and "last_error" not in got, "and the next", got)
        self.exchange.change_key(self.keys[user].api_key, is_enabled=False)
        self.stack.sql("UPDATE bridge.sync_schedule SET next_us = 1", user="scrip_bridge")
        wait_for(lambda: user.call("GET", path).get("last_error") == "CREDENTIALS_INVALID",
                 "what went wrong is told")
        user.call("PUT", path, {"every_minutes": 0})
        check(user.call("GET", path)["every_minutes"] == 0, "ended")

    def metrics(self):
        name = "scrip_bridge_syncs_total"
        check(self.stack.metric("bridge", name) > 10, "syncs are counted")
        client = self.stack.client()
        client.port = self.stack.probe_port("bridge")
        text = client.raw("GET", "/metrics")[2].decode()
        for result in ("OK", "CREDENTIALS_MISSING", "SYNC_BELOW_MINIMUM", "BALANCE_BELOW_HELD",
                       "CREDENTIALS_INVALID", "EXCHANGE_LIMITED"):
            check('%s{result="%s"}' % (name, result) in text, "by result", result)


def story():
    """A paper balance is set to the exchange's: every answer, every error, and by itself."""
    with Exchanges() as x, x.stack("paper") as stack:
        s = Story(x, stack)
        s.without_keys()
        user = s.both_markets()
        s.locked_counts(user)
        s.what_a_key_may()
        s.below_minimum()
        s.below_held()
        s.keys_that_stop_working()
        s.network(user)
        s.limited(user)
        s.scheduled(user)
        s.metrics()
        check(x.orders_sent(x.live) == 0, "a sync only reads", x.live.calls())
        check(x.testnet.calls() == {}, "of the other exchange nothing was asked",
              x.testnet.calls())
        x.no_violations("key", "signature")  # of a key that was switched off, and a wrong secret


tell(story)
