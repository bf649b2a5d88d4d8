#!/usr/bin/python3
"""Two bridges side by side: one database, one Redis, one exchange, and nothing done twice, nor left
undone because one of them is dead or frozen.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import re
import signal
import subprocess
import threading
from decimal import Decimal

from real import Exchanges, go_real, put_key
from stack import Client, check, free_ports, tell, wait_for
from zmtp import Follower, pack_frame

ORDERS = "/api/paper-trading/orders"
SYNC = "/api/settings/sync-paper-balance/spot"
SETTINGS = "/api/settings/trading/spot"
KEYS = "/api/settings/exchange-keys/spot"
HISTORY = "/api/settings/paper-balance/spot/history"
BALANCE_SYNC, BALANCE, REFUSED, EXCHANGE_LIMITED = 120, 121, 2, 724
TIMES = "catch_up_seconds = 3600\n"  # nothing is found by looking now and then
PATIENT = "call_silent_ms = 5000\n"  # who is frozen is lost before; who is only slow is not


class Asker(Follower):
    """A gateway at one bridge's door."""

    kind = b"DEALER"
    asked = 0

    def ask(self, kind, body):
        """(type, body) of the answer"""
        Asker.asked += 1  # the same number again is the same question
        self.send(pack_frame([(kind, Asker.asked, body)], "gateway-9"))
        return next(m for m in self.messages() if m[0] != 1)


class Second:
    """The other bridge: nobody starts it again but the story."""

    def __init__(self, stack, port):
        self.stack, self.port, self.process = stack, port, None
        self.name = "bridge-1"

    def start(self):
        stack = self.stack
        stack.extras[self.name] = stack.port_base + 7
        with open(os.path.join(stack.dir, "etc", "bridge.conf"), encoding="utf-8") as file:
            text = re.sub(r"(?m)^name = .*$", "name = " + self.name, file.read())
        text = re.sub(r"(?m)^probe_endpoint = .*$",
                      "probe_endpoint = 127.0.0.1:%d" % stack.extras[self.name], text)
        path = os.path.join(stack.dir, "etc", self.name + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        program = os.path.join(stack.environment["SCRIP_BUILD"], "services", "exchange-bridge",
                               "scrip-bridge")
        log = open(stack.log_path(self.name), "ab")
        self.process = subprocess.Popen(
            [program, "--config", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=dict(stack.environment, SCRIP_BRIDGE_SERVE_ENDPOINT=endpoint(self.port)))
        log.close()
        wait_for(lambda: stack.ready(self.name)[0], "the second bridge is ready")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        del self.stack.extras[self.name]


def endpoint(port):
    return "tcp://127.0.0.1:%d" % port


@contextlib.contextmanager
def doors(first, second):
    """Where the stack's parts find both."""
    more = {"SCRIP_BRIDGE_SERVE_ENDPOINT": endpoint(first),
            "SCRIP_GATEWAY_BRIDGE_ENDPOINTS": endpoint(first) + "," + endpoint(second),
            "SCRIP_LEDGER_BRIDGE_ENDPOINTS": endpoint(first) + "," + endpoint(second)}
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more:
            del os.environ[name]


class Story:
    def __init__(self, x, stack, second):
        self.x, self.exchange, self.stack, self.second = x, x.testnet, stack, second
        self.deployment = stack.sql("SELECT id FROM bridge.deployment", user="scrip_bridge")[0][0]
        self.new_user()

    def new_user(self):
        self.user = self.stack.user()
        self.keys = self.exchange.add_account(spot={"USDT": "100000", "BTC": "5"})
        self.me = self.user.call("GET", "/api/user/me")

    def at_the_second(self):
        """A sync of the paper balance, asked of the second bridge."""
        peer = Asker(("127.0.0.1", self.second.port))
        answer = peer.ask(BALANCE_SYNC, {1: self.me["account_id"], 2: 1, 3: self.me["user_id"]})
        peer.close()
        return answer

    def both(self, name):
        return [self.stack.metric(bridge, name) for bridge in ("bridge", self.second.name)]

    def calls_of(self, bridge, call):
        """How many of a kind it has sent to the exchange."""
        client = Client(self.stack.probe_port(bridge))
        text = client.raw("GET", "/metrics")[2].decode()
        client.close()
        return sum(int(n) for n in re.findall(r'call="%s".*} (\d+)' % call, text))

    def placements(self):
        """How many the second bridge has sent."""
        return self.calls_of(self.second.name, "SPOT_ORDER_PLACE")

    def place(self):
        best = Decimal(self.exchange.truth("BTCUSDT")["bids"][0][0])
        return self.user.place("BUY", "LIMIT", quantity="0.01",
                               price="%d" % (best * Decimal("0.9")))

    def cancel(self, order):
        self.user.cancel(order["order_id"])
        wait_for(lambda: self.user.get_order(order["order_id"])["status"] == "CANCELED",
                 "it is cancelled")

    def truth(self, order):
        return self.exchange.order_truth("scrip-%s-%s" % (self.deployment, order["order_id"]))

    def follows(self, *wanted):
        """Which of both follow the stream; at the exchange it is one."""
        wait_for(lambda: self.both("scrip_bridge_user_streams") == list(wanted),
                 "one of them follows")
        stream = "user@%d" % self.keys.number
        there = [c for c in self.exchange.connections() if stream in c["streams"]]
        check(len(there) == 1, "one connection follows the account", there)

    # ---- Stories ----

    def keys_of_both(self):
        kind, _ = self.at_the_second()
        check(kind == REFUSED, "nobody has a key yet", kind)
        put_key(self.user, "spot", self.keys)
        wait_for(lambda: self.at_the_second()[0] == BALANCE,
                 "stored through one, used by the other at once")

    def whose_orders_go_to_the_second(self):
        """Each account has its bridge, while that works: a user of the other one's."""
        for _ in range(16):
            before = self.placements()
            go_real(self.user)
            self.cancel(self.place())
            if self.placements() > before:
                return
            self.user.call("PUT", SETTINGS, {"mode": "PAPER"})
            self.new_user()
            put_key(self.user, "spot", self.keys)
        check(False, "both bridges are given orders")

    def one_follows(self):
        wait_for(lambda: sum(self.both("scrip_bridge_user_streams")) == 1, "one of them follows")
        if self.both("scrip_bridge_user_streams") != [0, 1]:
            self.stack.stop("bridge")
            wait_for(lambda: self.stack.metric(self.second.name, "scrip_bridge_user_streams"),
                     "the other one takes over")
            self.stack.start("bridge")
            self.stack.wait_ready("bridge")
        self.follows(0, 1)

    def killed(self):
        first, later = self.place(), self.place()
        self.second.kill()
        client_id = "scrip-%s-%s" % (self.deployment, first["order_id"])
        self.exchange.fill(client_id, quantity="0.004")
        self.exchange.fill(client_id)
        wait_for(lambda: self.user.get_order(first["order_id"])["status"] == "FILLED",
                 "the other one finds what nobody heard")
        got = self.user.get_order(first["order_id"])
        check([f["quantity"] for f in got["fills"]] == ["0.00400000", "0.00600000"],
              "fill by fill", got)
        wait_for(lambda: self.stack.metric("bridge", "scrip_bridge_user_streams") == 1,
                 "it follows now")
        self.exchange.fill("scrip-%s-%s" % (self.deployment, later["order_id"]))
        wait_for(lambda: self.user.get_order(later["order_id"])["status"] == "FILLED",
                 "and hears the next")
        for _ in range(4):
            order = self.place()
            check(order["exchange_state"] == "PLACED" and self.truth(order)["received"] == 1,
                  "what is placed goes through the one that lives", order)
            self.cancel(order)
        self.second.start()
        self.follows(1, 0)

    def due_once(self):
        users = [self.user] + [self.stack.user(balance="5000") for _ in range(3)]
        for user in users[1:]:
            put_key(user, "spot", self.exchange.add_account(spot={"USDT": "2000"}))
        for user in users:
            user.call("PUT", SYNC + "/schedule", {"every_minutes": 60})
        for turn in range(1, 4):
            before = self.both("scrip_bridge_syncs_total")
            self.stack.sql("UPDATE bridge.sync_schedule SET next_us = 1, last_us = NULL",
                           user="scrip_bridge")
            wait_for(lambda: self.stack.sql("SELECT count(*) FROM bridge.sync_schedule "
                                            "WHERE last_us IS NULL",
                                            user="scrip_bridge")[0][0] == "0", "all are taken")
            wait_for(lambda b=before: sum(self.both("scrip_bridge_syncs_total")) >=
                     sum(b) + len(users), "all are made")
            check(sum(self.both("scrip_bridge_syncs_total")) == sum(before) + len(users),
                  "each once", turn, before)

    def one_is_told(self):
        self.exchange.fault("ban", seconds=15)
        before = self.exchange.calls()[("GET", "/api/v3/account")]
        status, answer = self.user.ask("POST", SYNC)
        check(status == 503 and answer["error"]["code"] == "EXCHANGE_LIMITED", "told", answer)
        told = self.exchange.calls()[("GET", "/api/v3/account")]
        check(told == before + 1, "by one request", before, told)
        kind, body = self.at_the_second()
        check(kind == REFUSED and body[1] == EXCHANGE_LIMITED, "the other one knows", kind, body)
        check(self.exchange.calls()[("GET", "/api/v3/account")] == told, "and did not ask")
        wait_for(lambda: self.at_the_second()[0] == BALANCE, "until it is over")


    # ---- What the gateway asks of them ----

    def is_asked(self, user):
        """Which of both the gateway asks for this user: each [whether it does]."""
        def accounts():
            return [self.calls_of(name, "SPOT_ACCOUNT") for name in ("bridge", self.second.name)]
        before = accounts()
        user.call("GET", KEYS + "?check=true")
        return [after > b for after, b in zip(accounts(), before)]

    def whose_bridge_is(self, number):
        """A user, with a key stored, for whom the gateway asks the first (0) or second (1)."""
        for _ in range(24):
            user = self.stack.user(balance="5000")
            user.keys = self.exchange.add_account(spot={"USDT": "2000"})
            put_key(user, "spot", user.keys)
            if self.is_asked(user) == [number == 0, number == 1]:
                return user
        return check(False, "both bridges are asked by the gateway")

    @staticmethod
    def syncs(user):
        return [c["new_balance"] for c in user.call("GET", HISTORY)["changes"]
                if c["source"] == "sync"]

    def stored(self, user):
        return int(self.stack.sql("SELECT count(*) FROM bridge.exchange_key WHERE user_id = %d" %
                                  user.call("GET", "/api/user/me")["user_id"],
                                  user="scrip_bridge")[0][0])

    def all_is_done(self, user):
        """Each request that is a bridge's to answer, once; at the end all is as at first."""
        tail = user.keys.api_key[-4:]
        check([k["api_key_tail"] for k in put_key(user, "spot", user.keys)["keys"]] == [tail],
              "a key is stored")
        check(user.call("GET", KEYS)["keys"][0]["api_key_tail"] == tail, "and shown")
        before = self.syncs(user)
        synced = user.call("POST", SYNC)["paper_balance_usdt"]
        check(self.syncs(user) == [synced] + before, "the balance is set once", self.syncs(user))
        for minutes in (60, 0):
            user.call("PUT", SYNC + "/schedule", {"every_minutes": minutes})
            check(user.call("GET", SYNC + "/schedule")["every_minutes"] == minutes, "scheduled")
        check(go_real(user)["mode"] == "REAL", "real")
        user.call("POST", ORDERS + "/sync")
        there = user.call("GET", "/api/paper-trading/account?refresh=true")
        check(any(b["wallet"] == "exchange_spot" for b in there["balances"]), "read", there)
        check(user.call("PUT", SETTINGS, {"mode": "PAPER"})["mode"] == "PAPER", "paper again")
        check(user.call("DELETE", KEYS + "?environment=testnet")["keys"] == [], "deleted")

    def dead(self):
        user = self.whose_bridge_is(1)
        self.second.kill()
        self.all_is_done(user)
        self.starts_again(user)

    def starts_again(self, user):
        """The second; until the gateway has found it the first is everybody's."""
        self.second.start()
        put_key(user, "spot", user.keys)
        wait_for(lambda: self.is_asked(user) == [False, True], "it is asked again")

    def frozen(self):
        """What it was sent before it is too late for when it goes on."""
        user, others = self.whose_bridge_is(0), self.whose_bridge_is(1)

        def seen():  # what was sent to it was left, or the connection with it was new
            return (self.stack.metric("bridge", "scrip_bridge_requests_late_total") +
                    self.stack.log("gateway").count("event=service_linked"))
        before = seen()
        pid = self.stack.signal("bridge", signal.SIGSTOP)
        try:
            self.all_is_done(user)
            self.all_is_done(others)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: seen() > before, "it goes on")
        check(self.stored(user) == 0, "what was deleted does not come back")
        wait_for(lambda: user.call("GET", KEYS)["keys"] == [], "and is seen by it, too", 5)
        put_key(user, "spot", user.keys)
        wait_for(lambda: self.is_asked(user) == [True, False], "it is asked again")
        self.all_is_done(user)
        check(self.stored(user) == 0, "nor later")

    def killed_in_the_middle(self):
        user, answers = self.whose_bridge_is(1), []
        before = self.syncs(user)
        made = self.exchange.fault("rest_timeout", path="account", account=user.keys.number)
        asking = threading.Thread(target=lambda: answers.append(user.ask("POST", SYNC)))
        asking.start()
        wait_for(lambda: self.exchange.fault_view(made["fault"])["done"], "the exchange is asked")
        self.second.kill()
        asking.join()
        self.is_done_once(user, before, answers)
        self.starts_again(user)

    def answer_lost(self):
        """The first has the balance set and never hears of it; the next finds another balance."""
        user, answers = self.whose_bridge_is(0), []
        before = self.syncs(user)
        waiting = "scrip_bridge_ledger_waiting"
        asking = threading.Thread(target=lambda: answers.append(user.ask("POST", SYNC)))
        bridge, ledger = self.stack.pid("bridge"), self.stack.signal("ledger", signal.SIGSTOP)
        try:
            waits = self.stack.metric("bridge", waiting)
            asking.start()
            wait_for(lambda: self.stack.metric("bridge", waiting) > waits, "the ledger is asked")
            self.exchange.deposit(user.keys.number, "USDT", "1")
            os.kill(bridge, signal.SIGSTOP)
            os.kill(ledger, signal.SIGCONT)
            asking.join()
            wait_for(lambda: user.ask("GET", HISTORY)[0] == 200, "the ledger is found again")
            self.is_done_once(user, before, answers)
        finally:
            os.kill(ledger, signal.SIGCONT)
            os.kill(bridge, signal.SIGCONT)
        ended = "event=balance_synced account=%d " % user.call("GET", "/api/user/me")["account_id"]
        wait_for(lambda: ended in self.stack.log("bridge"), "the first one ends it, too")
        self.is_done_once(user, before, answers)
        wait_for(lambda: self.is_asked(user) == [True, False], "it is asked again")

    def is_done_once(self, user, before, answers):
        status, answer = answers[0]
        check(status == 200, "it is done all the same", status, answer)
        check(self.syncs(user) == [answer["paper_balance_usdt"]] + before, "and once, as told",
              answer, self.syncs(user))


def story():
    """Two bridges: what they are asked is done once, whether both live, or one is dead or frozen"""
    first = free_ports()
    ports = first, first + 1
    with Exchanges(TIMES, spot="BTCUSDT", usdm="BTCUSDT") as x, doors(*ports), \
            x.stack("testnet", gateway=PATIENT) as stack, Second(stack, ports[1]) as second:
        s = Story(x, stack, second)
        s.keys_of_both()
        s.whose_orders_go_to_the_second()
        s.one_follows()
        s.killed()
        s.due_once()
        s.dead()
        s.frozen()
        s.killed_in_the_middle()
        s.answer_lost()
        s.one_is_told()
        x.live_is_untouched()
        x.no_violations("banned")


tell(story)
