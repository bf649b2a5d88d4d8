#!/usr/bin/python3
"""Real orders at an exchange: each placed once, told as it is there, whatever is killed meanwhile.

The exchange is a stand-in that remembers every request; a second one stands where the live exchange
would be, and must never hear a word.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import threading
import time
from decimal import Decimal

from live import Heard
from real import Exchanges, go_real, patient, put_key, user_of
from stack import ROOT, HttpError, check, flat, tell, wait_for
from zmtp import Peer, pack_frame

ORDERS = "/api/paper-trading/orders"
FINAL = ("FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH")


class Story:
    def __init__(self, x, stack):
        self.x, self.exchange, self.stack = x, x.testnet, stack
        self.deployment = stack.sql("SELECT id FROM bridge.deployment", user="scrip_bridge")[0][0]
        self.paper = user_of(stack)
        self.user = user_of(stack)
        self.keys = self.exchange.add_account(
            spot={"USDT": "100000", "BTC": "5"}, usdm={"USDT": "100000"}, kind="ED25519")

    # ---- Words ----

    def client_id(self, order_id):
        return "scrip-%s-%s" % (self.deployment, order_id)

    def truth(self, order_id, market="spot"):
        return self.exchange.order_truth(self.client_id(order_id), market=market)

    def price(self, factor, market="spot"):
        """A price that far from the exchange's, on its tick."""
        best = Decimal(self.exchange.truth("BTCUSDT", market=market)["bids"][0][0])
        return "%d" % (best * Decimal(factor))

    def placed(self, side, kind, symbol="BTCUSDT", **fields):
        """An order that is at the exchange, once, as it is told here."""
        order = self.user.place(side, kind, symbol, **fields)
        market = "usdm" if symbol.endswith("_PERP") else "spot"
        truth = self.truth(order["order_id"], market)
        check(order["mode"] == "REAL" and order["environment"] == "testnet" and
              order["exchange_state"] == "PLACED" and
              order["exchange_order_id"] == truth["orders"][0]["order_id"],
              "placed, and said so", kind, order, truth)
        check(truth["received"] == truth["executed"] == 1, "once", kind, truth)
        return order

    def settled(self, order_id, status, market="spot", executed=None):
        """Waits until it is so here; then it is as at the exchange."""
        got = wait_for(lambda: self.is_now(order_id, status, executed),
                       "order %s is %s here" % (order_id, status))
        there = self.truth(order_id, market)["orders"][0]
        check(there["status"] == status and there["executed"] == got["executed_quantity"],
              "as it is there", there, got)
        check([(f["price"], f["quantity"]) for f in got["fills"]] ==
              [(t["price"], t["quantity"]) for t in there["trades"]], "fill by fill", there, got)
        return got

    def is_now(self, order_id, status, executed):
        got = self.user.get_order(order_id)
        done = executed is None or got["executed_quantity"] == executed
        return got if got["status"] == status and done else None

    def sent(self):
        return self.x.orders_sent(self.exchange)

    # ---- The way there ----

    def to_real(self):
        path = "/api/settings/trading/spot"
        for body, code in (({"mode": "REAL"}, "CONFIRMATION_MISSING"),
                           ({"mode": "REAL", "confirm_real": True}, "CREDENTIALS_MISSING")):
            status, answer = self.user.ask("PUT", path, body)
            check(status == 400 and answer["error"]["code"] == code, code, answer)
        status, answer = self.user.ask("PUT", "/api/settings/exchange-keys/spot", {
            "api_key": self.keys.api_key, "api_secret": self.keys.secret, "environment": "live"})
        check(answer["error"]["code"] == "ENVIRONMENT_NOT_ALLOWED", "a testnet deployment", answer)
        put_key(self.user, "spot", self.keys)
        put_key(self.user, "futures", self.keys)
        for market in ("spot", "futures"):
            view = go_real(self.user, market)
            check(view["mode"] == "REAL" and view["environment"] == "testnet" and
                  not view["dry_run_mode"] and view["api_key_tail"] == self.keys.api_key[-4:],
                  "it trades really", view)
        wait_for(lambda: self.stack.metric("bridge", "scrip_bridge_user_streams") == 2,
                 "both user data streams are followed")

    # ---- What can be ordered ----

    def every_kind(self):
        up, down, near = self.price("1.2"), self.price("0.8"), self.price("0.9")
        lasting = [
            ("BUY", "LIMIT", {"quantity": "0.01", "price": near}),
            ("BUY", "LIMIT_MAKER", {"quantity": "0.01", "price": near}),
            ("SELL", "STOP_LOSS", {"quantity": "0.01", "stop_price": down}),
            ("SELL", "STOP_LOSS_LIMIT", {"quantity": "0.01", "stop_price": down, "price": down}),
            ("SELL", "TAKE_PROFIT", {"quantity": "0.01", "stop_price": up}),
            ("SELL", "TAKE_PROFIT_LIMIT", {"quantity": "0.01", "stop_price": up, "price": up}),
            ("SELL", "TRAILING_STOP", {"quantity": "0.01", "callback_rate": "0.02"}),
            ("SELL", "LIMIT", {"quantity": "0.01", "price": up, "iceberg_quantity": "0.002"})]
        for side, kind, fields in lasting:
            order = self.placed(side, kind, **fields)
            check(order["status"] == "NEW", "it rests", kind, order)
            check(flat(self.user.cancel(order["order_id"])) is not None, "asked to cancel")
            self.settled(order["order_id"], "CANCELED")
        for side, kind, fields in (
                ("BUY", "MARKET", {"quantity": "0.01"}),
                ("BUY", "MARKET", {"quote_order_quantity": "100"}),
                ("BUY", "LIMIT", {"quantity": "0.01", "price": up, "time_in_force": "IOC"}),
                ("SELL", "LIMIT", {"quantity": "0.01", "price": down, "time_in_force": "FOK"})):
            order = self.placed(side, kind, **fields)
            got = wait_for(lambda o=order: self.is_final(o), "%s has ended" % kind)
            self.settled(order["order_id"], got["status"])
            check(got["status"] == "FILLED", "filled", kind, got)
            check(all(f["evidence"]["source"] == "EXCHANGE" and f["evidence"]["sequence"]
                      for f in got["fills"]), "with the exchange's trades", got)
        order = self.placed("BUY", "LIMIT", quantity="0.01", price=down, time_in_force="FOK")
        got = self.settled(order["order_id"], "EXPIRED")
        check(not got["fills"], "all of it or nothing", got)
        self.futures()

    def futures(self):
        up, near = self.price("1.05", "usdm"), self.price("0.95", "usdm")
        for kind, fields in (("LIMIT", {"time_in_force": "GTC"}), ("LIMIT_MAKER", {})):
            order = self.placed("BUY", kind, "BTCUSDT_PERP", quantity="0.01", price=near, **fields)
            self.user.cancel(order["order_id"])
            self.settled(order["order_id"], "CANCELED", "usdm")
        order = self.placed("BUY", "MARKET", "BTCUSDT_PERP", quantity="0.02")
        self.settled(order["order_id"], "FILLED", "usdm")
        wait_for(lambda: self.user.balances("exchange_futures").get("BTCUSDT_PERP", (0, 0))[0] ==
                 Decimal("0.02"), "the position is told")
        closing = self.placed("SELL", "LIMIT", "BTCUSDT_PERP", quantity="0.02", price=up,
                              time_in_force="GTC")
        there = self.truth(closing["order_id"], "usdm")["orders"][0]
        check(there["reduce_only"], "what closes only reduces", there)
        self.user.cancel(closing["order_id"])
        self.settled(closing["order_id"], "CANCELED", "usdm")

    def is_final(self, order):
        got = self.user.get_order(order["order_id"])
        return got if got["status"] in FINAL else None

    def not_there(self):
        """What real orders do not have is refused before anything is sent."""
        before = self.sent()
        near = self.price("0.9")
        for body, code in (
                (self.user.order("BUY", "LIMIT", quantity="0.000001", price=near), None),
                (self.user.order("BUY", "LIMIT", quantity="0.00005", price=near), None),
                (self.user.order("BUY", "LIMIT", quantity="0.01", price=near,
                                 time_in_force="DAY"), "REAL_UNSUPPORTED")):
            status, answer = self.user.ask("POST", ORDERS, body)
            error = answer["error"]
            check(status == 400 and (code or "FILTER") in error["code"], "refused", body, answer)
        # Without a price of its own it is worth what the ledger's last one says: some 3 USDT.
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "MARKET", quantity="0.00005"))
        error = answer["error"]
        limit, _, found = error["detail"].partition(": it is ")
        check(status == 400 and error["code"] == "FILTER_NOTIONAL" and
              error["field"] == "quantity" and limit == "NOTIONAL minNotional 5" and
              0 < Decimal(found) < 5, "with the limit and what was found", answer)
        wait_for(lambda: self.stack.sql("SELECT 1 FROM bridge.bracket WHERE symbol = 'BTCUSDT'",
                                        user="scrip_bridge"), "the leverage brackets are read")
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "LIMIT", "BTCUSDT_PERP", quantity="20000", price=near, time_in_force="GTC"))
        check(answer["error"]["code"] == "FILTER_MAX_POSITION" and
              answer["error"]["detail"].startswith("MAX_POSITION notionalCap 480000000: it is"),
              "more than any leverage allows", answer)
        lists = "/api/paper-trading/order-lists"
        status, answer = self.user.ask("POST", lists, self.user.list_body(
            "OCO", ("SELL", "LIMIT_MAKER", {"quantity": "0.01", "price": self.price("1.2")}),
            ("SELL", "STOP_LOSS", {"quantity": "0.01", "stop_price": self.price("0.8")})))
        check(answer["error"]["code"] == "REAL_UNSUPPORTED", "no lists", answer)
        check(self.sent() == before, "nothing was sent")
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "LIMIT", quantity="100", price=near))
        check(answer["error"]["code"] in ("FUNDS_TOO_LOW", "EXCHANGE_REFUSED") and
              "insufficient" in answer["error"]["detail"], "in the exchange's words", answer)
        order = self.placed("BUY", "LIMIT", quantity="0.0100099", price=near + ".019")
        check(order["placed_quantity"] == "0.01000000", "rounded down to the step", order)
        self.user.cancel(order["order_id"])
        self.settled(order["order_id"], "CANCELED")

    def in_parts(self):
        order = self.placed("BUY", "LIMIT", quantity="0.03", price=self.price("0.9"))
        client_id = self.client_id(order["order_id"])
        for _ in range(2):
            self.exchange.fill(client_id, quantity="0.01")
        self.settled(order["order_id"], "PARTIALLY_FILLED", executed="0.02000000")
        self.exchange.fill(client_id)
        got = self.settled(order["order_id"], "FILLED")
        check(len(got["fills"]) == 3, "three fills", got)
        expired = self.placed("BUY", "LIMIT", quantity="0.02", price=self.price("0.9"))
        self.exchange.fill(self.client_id(expired["order_id"]), quantity="0.005")
        self.exchange.cancel(self.client_id(expired["order_id"]), status="EXPIRED")
        self.settled(expired["order_id"], "EXPIRED")

    def while_away(self):
        """What happens while no bridge runs is found by the next one."""
        near = self.price("0.9")
        filled, part, gone = (self.placed("BUY", "LIMIT", quantity="0.02", price=near)
                              for _ in range(3))
        self.stack.stop("bridge")
        for order, quantity in ((filled, "0.015"), (filled, "0.005"), (part, "0.01")):
            self.exchange.fill(self.client_id(order["order_id"]), quantity=quantity)
        self.exchange.cancel(self.client_id(gone["order_id"]))
        self.stack.start("bridge")
        self.settled(filled["order_id"], "FILLED")
        self.settled(part["order_id"], "PARTIALLY_FILLED", executed="0.01000000")
        self.settled(gone["order_id"], "CANCELED")
        self.user.cancel(part["order_id"])
        self.settled(part["order_id"], "CANCELED")

    def planned_end(self):
        """A bridge that is told to end waits for the answer to what it has sent."""
        mute = self.exchange.fault("stale", stream="user@%d@*" % self.keys.number)
        slow = self.exchange.fault("rest_slow", path="order", method="POST", when="after",
                                   seconds=1.5)
        before, answers = self.sent(), []
        body = self.user.order("BUY", "LIMIT", quantity="0.01", price=self.price("0.9"))
        client = patient(self.stack.client())
        client.token = self.user.token
        thread = threading.Thread(target=lambda: answers.append(client.ask("POST", ORDERS, body)))
        thread.start()
        wait_for(lambda: self.sent() > before, "it is sent")
        self.stack.stop("bridge")
        thread.join()
        self.stack.start("bridge")
        for fault in (mute, slow):
            self.exchange.end_fault(fault["fault"])
        status, answer = answers[0]
        check(status == 201 and answer["order"]["exchange_state"] == "PLACED", "told", answers)
        self.user.cancel(answer["order"]["order_id"])
        self.settled(answer["order"]["order_id"], "CANCELED")

    def many(self):
        """Where many orders are open, only those that changed are asked about."""
        near = self.price("0.9")
        orders = [self.placed("BUY", "LIMIT", quantity="0.001", price=near) for _ in range(12)]
        mute = self.exchange.fault("stale", stream="user@%d@*" % self.keys.number)
        for changed in (0, 2):
            for order in orders[:changed]:
                self.exchange.fill(self.client_id(order["order_id"]))
            before = self.exchange.calls()
            done = self.user.call("POST", ORDERS + "/sync")
            check(done["orders_checked"] == 12 and done["orders_changed"] == changed and
                  done["orders_unresolved"] == 0, "all are looked at", done)
            after = self.exchange.calls()
            asked, listed = (after[call] - before.get(call, 0) for call in
                             (("GET", "/api/v3/order"), ("GET", "/api/v3/openOrders")))
            check(asked == changed and listed == 1, "by one list, and the others one by one",
                  asked, listed)
        self.exchange.end_fault(mute["fault"])
        for order in orders[:2]:
            self.settled(order["order_id"], "FILLED")
        self.user.ask("DELETE", ORDERS)
        for order in orders[2:]:
            self.settled(order["order_id"], "CANCELED")

    def a_thousand_balances(self):
        """As many assets as an exchange has."""
        user = user_of(self.stack)
        assets = {"ASSET%d" % n: "%d.5" % (n + 1) for n in range(900)}
        keys = self.exchange.add_account(spot={"USDT": "1000", **assets})
        put_key(user, "spot", keys)
        go_real(user)
        here = wait_for(lambda: len(user.balances("exchange_spot")) == 901 and
                        user.balances("exchange_spot"), "all of them are told")
        check(all(here[name] == (Decimal(amount), 0) for name, amount in assets.items()),
              "as they are", len(here))
        self.exchange.deposit(keys.number, "ASSET899", "-900.5")
        user.call("GET", "/api/paper-trading/account", query={"refresh": "true"})
        check(user.balances("exchange_spot")["ASSET899"] == (0, 0), "and what is gone is zero")
        user.call("PUT", "/api/settings/trading/spot", {"mode": "PAPER"})

    def balances(self):
        """What the exchange has is what is shown, asked for or told."""
        def agree():
            there = self.exchange.account(self.keys.number)["spot"]
            here = self.user.balances("exchange_spot")
            return all(here.get(asset) == (Decimal(b["free"]), Decimal(b["locked"]))
                       for asset, b in there.items() if Decimal(b["free"]) + Decimal(b["locked"]))
        wait_for(agree, "balances are told as they are")
        self.exchange.deposit(self.keys.number, "USDT", "12.5")
        wait_for(agree, "and what comes in")
        view = self.user.call("GET", "/api/paper-trading/account", query={"refresh": "true"})
        check(view["spot_mode"] == "REAL" and view["spot_as_of_us"] > 0 and agree(),
              "the account as the exchange has it", view)
        done = self.user.call("POST", ORDERS + "/sync")
        check(done["orders_unresolved"] == 0 and done["as_of_us"] > 0, "asked for", done)

    # ---- What must not happen ----

    def paper_stays_here(self):
        before = dict(self.exchange.calls())
        for _ in range(20):
            self.paper.place("BUY", "MARKET", quantity="0.001")
            order = self.paper.place("BUY", "LIMIT", quantity="0.001", price=self.price("0.5"))
            self.paper.cancel(order["order_id"])
        orders = [c for c in self.exchange.requests(limit=100000)
                  if c["method"] != "GET" and c["path"].endswith("/order")]
        sent = sum(n for (m, p), n in before.items() if m != "GET" and p.endswith("/order"))
        check(len(orders) == sent, "nothing on paper reached the exchange")
        check(all(c["api_key"] == self.keys.api_key for c in orders), "and by nobody's key else")

    def forged(self):
        """Messages that no ledger sent: of another user, another environment, of paper."""
        before = self.x.orders_sent(self.exchange)
        refusals = self.stack.metric("bridge", "scrip_bridge_guard_refusals_total")
        me, other = (u.call("GET", "/api/user/me") for u in (self.user, self.paper))
        socket_path = os.path.join(os.path.realpath(os.path.join(self.stack.dir, "run")), "bridge")
        honest = {1: me["account_id"], 2: me["user_id"], 3: 1}
        order = {1: 900001, 3: me["account_id"], 4: "BTCUSDT", 5: 1, 6: 1, 8: 1, 11: 1000000,
                 18: 2, 37: 1, 41: 1 << 60}
        soon = int(time.time() * 1000000) + 60000000
        cases = [
            {**honest, 1: other["account_id"], 2: other["user_id"], 4: dict(order)},
            {**honest, 2: other["user_id"], 4: dict(order)},
            {**honest, 1: other["account_id"], 4: dict(order)},
            {**honest, 4: {**order, 37: 2}},
            {**honest, 4: {**order, 18: 1}},
            {**honest, 4: {n: v for n, v in order.items() if n != 37}},
            {**honest, 4: {**order, 4: "BTCUSDT_PERP"}},
            {**honest, 3: 2, 4: dict(order)}]
        peer = Peer(socket_path)
        for case in cases:
            for kind in (132, 133, 134):
                peer.send(pack_frame([(kind, 0, {**case, 4: {**case[4], 41: soon}})]))
        peer.send(pack_frame([(132, 0, {**honest, 4: order})]))
        wait_for(lambda: self.stack.metric("bridge", "scrip_bridge_guard_refusals_total") >=
                 refusals + 3 * len(cases), "each is refused")
        peer.close()
        check(self.x.orders_sent(self.exchange) == before, "and nothing was sent")
        check(not self.exchange.order_truth(self.client_id(900001))["received"], "of it")

    def repeated(self):
        """A placement that a bridge is given again, as by a ledger that forgot, is a question."""
        # Until then at least it may be sent; afterwards nothing may.
        send_by_us = int(time.time() * 1000000) + 5000000
        order = self.placed("BUY", "LIMIT", quantity="0.01", price=self.price("0.9"))
        me = self.user.call("GET", "/api/user/me")
        asked = self.exchange.calls().get(("GET", "/api/v3/order"), 0)
        peer = Peer(os.path.join(os.path.realpath(os.path.join(self.stack.dir, "run")), "bridge"))
        for _ in range(2):
            peer.send(pack_frame([(132, 0, {1: me["account_id"], 2: me["user_id"], 3: 1, 4: {
                1: int(order["order_id"]), 3: me["account_id"], 4: "BTCUSDT", 5: 1, 6: 1, 8: 1,
                11: 1000000, 18: 2, 37: 1, 41: send_by_us}})]))
        wait_for(lambda: self.exchange.calls().get(("GET", "/api/v3/order"), 0) > asked,
                 "it is asked what became of it")
        peer.close()
        check(self.truth(order["order_id"])["received"] == 1, "and nothing is placed",
              self.truth(order["order_id"]))
        self.user.cancel(order["order_id"])
        self.settled(order["order_id"], "CANCELED")

    # ---- Kills ----

    def kills(self):
        """Each part is killed while orders are placed, filled and cancelled."""
        near = self.price("0.9")
        known, stop = {}, threading.Event()

        def trade(number):
            client = self.stack.client()
            client.token = self.user.token
            count = 0
            while not stop.is_set():
                count += 1
                name = "kill-%d-%d" % (number, count)
                body = client.order("BUY", "LIMIT", quantity="0.001", price=near,
                                    client_order_id=name)
                try:
                    status, answer = client.ask("POST", ORDERS, body)
                except HttpError:
                    continue
                known[name] = (status, answer)
                if status == 201 and count % 3 == 0:
                    try:
                        client.ask("DELETE", "%s/%s" % (ORDERS, answer["order"]["order_id"]))
                    except HttpError:
                        pass

        threads = [threading.Thread(target=trade, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for name in ("bridge", "ledger", "gateway", "bridge"):
                at = self.placed_of(known)
                wait_for(lambda at=at: self.placed_of(known) > at + 10, "orders are placed")
                self.stack.kill(name)
                self.stack.wait_serving(self.user)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.reconciled(known)

    @staticmethod
    def placed_of(known):
        return sum(status == 201 for status, _ in list(known.values()))

    def reconciled(self, known):
        """Every order here is as it is there, and there is none there that is not here."""
        self.user.ask("DELETE", ORDERS)  # of some nobody knows yet whether they are there
        wait_for(lambda: not self.user.open_orders(), "all have ended", 60)
        here = {self.client_id(o["order_id"]): o for o in self.user.orders()
                if o["mode"] == "REAL"}
        for there in self.exchange.placements():
            check(there["received"] == 1, "nothing is sent twice", there)
            mine = here.get(there["client_id"])
            check(mine is not None, "an order that nobody knows", there)
            if there["orders"]:
                order = there["orders"][0]
                check((order["status"], order["executed"]) ==
                      (mine["status"], mine["executed_quantity"]), "as it is there", order, mine)
        sent = {t["client_id"] for t in self.exchange.placements()}
        for client_id, mine in here.items():
            check(mine["exchange_state"] != "PLACED" or client_id in sent, "it is there", mine)
        acknowledged = [a for s, a in known.values() if s == 201]
        check(len(acknowledged) > 20, "many were acknowledged", len(acknowledged))
        for answer in acknowledged:
            check(self.client_id(answer["order"]["order_id"]) in sent, "what was acknowledged is "
                  "there", answer)

    # ---- Nobody knows ----

    def ctl(self, *words, status=0):
        run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", "bridge", *map(str, words)],
                             env=self.stack.environment, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False)
        check(run.returncode == status, "scripctl bridge %s" % (words,), run.returncode,
              run.stdout[-800:], run.stderr[-800:])
        return run.stdout

    def unresolved(self):
        self.ctl("unresolved")
        # The user data stream would tell that it is there.
        mute = self.exchange.fault("stale", stream="user@%d@*" % self.keys.number)
        lost = self.exchange.fault("rest_timeout", path="order", method="POST", when="after",
                                   seconds=30)
        down = self.exchange.fault("rest_error", path="order", method="GET", count=100000,
                                   status=503, code=-1001)
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "LIMIT", quantity="0.01", price=self.price("0.9"), client_order_id="lost-1"))
        check(status == 504 and answer["error"]["code"] == "OUTCOME_UNKNOWN", "nobody knows",
              answer)
        order = flat(self.user.call("GET", ORDERS + "/by-client-id/lost-1"))
        check(order["exchange_state"] in ("SENDING", "UNKNOWN"), "and that is what is said", order)
        listed = [json.loads(line) for line in
                  self.ctl("unresolved", "--json", status=1).splitlines()]
        check([row["order"] for row in listed] == [order["order_id"]], "listed", listed)
        self.ctl("settle", order["order_id"], "--not-placed", "--who", "ada", "--why",
                 "not at the exchange, I think", status=1)
        again, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "LIMIT", quantity="0.01", price=self.price("0.9"), client_order_id="lost-1"))
        check(again != 201, "asking again places no second one", answer)
        self.exchange.end_fault(lost["fault"])
        self.exchange.end_fault(mute["fault"])
        # While nothing can be heard: the ledger would else ask by itself, and be faster.
        self.ctl("settle", order["order_id"], "--ask", "--who", "ada", "--why", "it comes back")
        self.exchange.end_fault(down["fault"])
        got = wait_for(lambda: self.is_now(order["order_id"], "NEW", None)
                       if self.user.get_order(order["order_id"])["exchange_state"] == "PLACED"
                       else None, "it was there all the time", 60)
        check(self.truth(order["order_id"])["received"] == 1, "once", got)
        self.user.cancel(order["order_id"])
        self.settled(order["order_id"], "CANCELED")
        self.ctl("unresolved")

    def not_placed(self):
        """An order that the exchange never got is known for sure as soon as it can be."""
        self.exchange.fault("rest_timeout", path="order", method="POST", when="before", seconds=30)
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "LIMIT", quantity="0.01", price=self.price("0.9"), client_order_id="lost-2"))
        check(status == 504, "nobody knows yet", answer)
        order = wait_for(lambda: self.if_rejected("lost-2"), "it is certain", 60)
        check(order["end_reason"] == "NOT_PLACED" and order["exchange_state"] == "NOT_PLACED",
              "never placed", order)

    def if_rejected(self, name):
        got = flat(self.user.call("GET", ORDERS + "/by-client-id/" + name))
        return got if got["status"] == "REJECTED" else None

    # ---- A twin, and back ----

    def twins(self):
        view = self.user.call("PUT", "/api/settings/trading/spot", {"live_twin": True})
        check(view["live_twin"], "mirrored from now on", view)
        order = self.placed("BUY", "MARKET", quantity="0.01")
        self.settled(order["order_id"], "FILLED")
        check(order.get("twin"), "it has a twin on paper", order)
        wait_for(lambda: self.user.get_order(order["twin"])["status"] == "FILLED", "it fills, too")
        page = wait_for(lambda: self.twin_page(order), "they are compared")
        row = next(t for t in page["twins"] if t["order_id"] == order["order_id"])
        check(row["twin_id"] == order["twin"] and page["count"] >= 1, "side by side", page)
        self.user.call("PUT", "/api/settings/trading/spot", {"live_twin": False})

    def twin_page(self, order):
        page = self.user.call("GET", "/api/paper-trading/twins")
        return page if page["count"] and any(
            t["order_id"] == order["order_id"] for t in page["twins"]) else None

    def other_mode(self):
        """A deployment that trades really no more says so, also of what is open."""
        order = self.placed("BUY", "LIMIT", quantity="0.01", price=self.price("0.9"))
        before = self.sent()
        self.stack.environment["TRADING_MODE"] = "paper"
        self.stack.up()
        path = "%s/%s" % (ORDERS, order["order_id"])
        for method, where, body, code in (
                ("POST", ORDERS, self.user.order("BUY", "MARKET", quantity="0.001"),
                 "MODE_NOT_AVAILABLE"),
                ("DELETE", path, None, "ENVIRONMENT_NOT_ALLOWED"),
                ("PUT", "/api/settings/trading/spot", {"mode": "PAPER"}, "REAL_ORDERS_OPEN")):
            status, answer = self.user.ask(method, where, body)
            check(400 <= status < 500 and answer["error"]["code"] == code, code, answer)
        got = self.user.get_order(order["order_id"])
        check(got["status"] == "NEW" and self.sent() == before, "it stays as it is", got)
        self.stack.environment["TRADING_MODE"] = "testnet"
        self.stack.up()
        self.user.cancel(order["order_id"])
        self.settled(order["order_id"], "CANCELED")

    def back_to_paper(self):
        order = self.placed("BUY", "LIMIT", quantity="0.01", price=self.price("0.9"))
        path = "/api/settings/trading/spot"
        status, answer = self.user.ask("PUT", path, {"mode": "PAPER"})
        check(status == 409 and answer["error"]["code"] == "REAL_ORDERS_OPEN", "not while", answer)
        self.user.cancel(order["order_id"])
        self.settled(order["order_id"], "CANCELED")
        view = self.user.call("PUT", path, {"mode": "PAPER"})
        check(view["mode"] == "PAPER" and view["dry_run_mode"], "on paper again", view)
        before = self.sent()
        self.user.place("BUY", "MARKET", quantity="0.001")
        check(self.sent() == before, "and nothing goes out")


def story():
    """Real orders: placed once, filled, cancelled, refused; forged, killed, lost and found."""
    with Exchanges(spot="BTCUSDT", usdm="BTCUSDT") as x, \
            Heard(x.testnet, ["BTCUSDT"], ["BTCUSDT_PERP"]) as heard, \
            x.stack("testnet", **heard.settings) as stack:
        s = Story(x, stack)
        s.to_real()
        s.every_kind()
        s.not_there()
        s.in_parts()
        s.while_away()
        s.planned_end()
        s.balances()
        s.many()
        s.a_thousand_balances()
        s.paper_stays_here()
        s.forged()
        s.repeated()
        s.kills()
        s.unresolved()
        s.not_placed()
        s.twins()
        s.other_mode()
        s.back_to_paper()
        x.live_is_untouched()
        x.no_violations()


tell(story)
