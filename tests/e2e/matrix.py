"""matrix - real orders while the exchange, the way to it and our own processes fail.

    with StandIn(synthetic=7, **matrix.EXCHANGE) as x, matrix.Trading(x) as trading:
        with Stack(settings=trading.settings) as stack:
            m = matrix.Matrix(stack, x)
            m.play(matrix.cells(repeats=3))
            m.play(matrix.cells(repeats=1), kills=("bridge", "ledger"))
            m.play_in_weather(matrix.calm(30))
            listed, settled = m.stuck()
            verdict = m.judge()

A cell is a market, a call, a fault of that call and what is ordered; each is played by a user of
its own with an account of its own at the exchange. The judge compares what the ledger says of every
order with what the exchange knows: lost is an order or a fill that the exchange has and the ledger
has not, or the other way round; doubled is an order that was executed more than once.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import secrets
import subprocess
import threading
import time
from decimal import Decimal

import matrix_judge
from live import Heard, StandInError
from stack import ROOT, HttpError, StoryFailed

ORDERS = "/api/paper-trading/orders"
MARKETS = {"spot": ("spot", "BTCUSDT"), "usdm": ("futures", "BTCUSDT_PERP")}
CALLS = ("place", "cancel", "query", "balance", "stream")
KINDS = ("market", "resting", "crossing")  # what is ordered, by the number of the repeat
ENDED = ("FILLED", "CANCELED", "EXPIRED", "REJECTED", "EXPIRED_IN_MATCH")
SETTLED = ("PLACED", "REFUSED", "NOT_PLACED")
PATIENCE_S = 90.0
POLL_S = 0.2
MONEY = {"USDT": "100000"}
# The stand-in has room for everybody's calls: what a small budget does is measured elsewhere.
EXCHANGE = {"spot": "BTCUSDT", "usdm": "BTCUSDT", "rate": 100, "spot_weight": 1000000,
            "usdm_weight": 1000000, "attempts_max": 1000000}

# Where each call arrives at the exchange, as its faults name it.
ARRIVES = {"place": ("POST", "order"), "cancel": ("DELETE", "order"), "query": ("GET", "order")}
BALANCES = {"spot": ("GET", "account"), "usdm": ("GET", "v2/account")}

REST_FAULTS = {
    "no answer, not done": {"kind": "rest_timeout"},
    "no answer, done": {"kind": "rest_timeout", "when": "after"},
    "answer after 1 s": {"kind": "rest_slow", "seconds": 1.0, "when": "after"},
    "done after 1.5 s": {"kind": "rest_slow", "seconds": 1.5},
    "done after the time-out": {"kind": "rest_slow", "seconds": 4.0},
    "503 unknown, not done": {"kind": "rest_error", "status": 503},
    "503 unknown, done": {"kind": "rest_error", "status": 503, "when": "after"},
    "503 Service Unavailable": {"kind": "rest_error", "status": 503,
                                "words": "Service Unavailable."},
    "500 unknown, done": {"kind": "rest_error", "status": 500, "when": "after"},
    "502 of a proxy, done": {"kind": "rest_error", "status": 502, "html": True, "when": "after"},
    "-1007, not done": {"kind": "rest_error", "status": 504, "code": -1007},
    "-1007, done": {"kind": "rest_error", "status": 504, "code": -1007, "when": "after"},
    "-1006, done": {"kind": "rest_error", "status": 500, "code": -1006, "when": "after"},
    "-1008 overloaded": {"kind": "rest_error", "status": 503, "code": -1008},
    "-1021 clock": {"kind": "rest_error", "status": 400, "code": -1021},
    "429 for 1 s": {"kind": "rest_error", "status": 429, "code": -1003, "retry_after": 1},
    "half a body": {"kind": "rest_half"},
    "connection lost, done": {"kind": "rest_cut", "when": "after"},
    "connection lost, not done": {"kind": "rest_cut"},
}
STREAM_FAULTS = {
    "events lost": {"kind": "drop", "count": 1000},
    "events twice": {"kind": "duplicate", "count": 50},
    "events turned round": {"kind": "reorder", "count": 3},
    "events late": {"kind": "late", "count": 50, "seconds": 2.0},
    "cut": {"kind": "cut"}, "closed": {"kind": "close"}, "half a frame": {"kind": "half"},
    "silent": {"kind": "silence"}, "ended by the exchange": {"kind": None},
}

Cell = collections.namedtuple("Cell", "market call fault kind")


def cells(repeats=1, markets=tuple(MARKETS), calls=CALLS, faults=None):
    """All cells, those of one call among those of the others."""
    found = []
    for number, market, call in itertools.product(range(repeats), markets, calls):
        named = STREAM_FAULTS if call == "stream" else REST_FAULTS
        found += [Cell(market, call, fault, KINDS[number % len(KINDS)]) for fault in named
                  if faults is None or fault in faults]
    return sorted(found, key=lambda c: (c.fault, c.market, c.call, c.kind))


def until(condition, what, seconds=PATIENCE_S):
    """wait_for() for many at once: it asks more seldom."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise StoryFailed("waited %.0f s for: %s" % (seconds, what))
        time.sleep(POLL_S)


def calm(count):
    """Cells without a fault of their own: what befalls the whole exchange is their matter."""
    chosen = itertools.cycle(itertools.product(MARKETS, ("place", "cancel", "stream"), KINDS))
    return [Cell(market, call, None, kind)
            for market, call, kind in itertools.islice(chosen, count)]


class Trading:
    """The settings of a stack that trades at a stand-in, in TRADING_MODE testnet."""

    def __init__(self, x):
        self.x = x
        self.heard = Heard(x, ["BTCUSDT"], ["BTCUSDT_PERP"])

    def __enter__(self):
        x = self.x
        os.environ["TRADING_MODE"] = "testnet"
        bridge = ["catch_up_seconds = 5", "recv_window_ms = 2000", "timeout_ms = 3000",
                  "silence_ms = 3000",
                  "spot_testnet_rest_url = " + x.spot_rest_url,
                  "spot_testnet_ws_url = %s/ws-api/v3" % x.spot_stream_url,
                  "usdm_testnet_rest_url = " + x.usdm_rest_url,
                  "usdm_testnet_ws_url = %s/private" % x.usdm_stream_url]
        if x.ca_file:
            bridge.append("ca_file = " + x.ca_file)
        self.settings = dict(self.heard.__enter__().settings)
        self.settings["bridge"] = "\n".join(bridge) + "\n"
        self.settings["ledger"] = "bridge_send_ms = 2000\n"
        self.settings["gateway"] = "account_requests_per_second = 1000\n" \
            "account_requests_burst = 10000\n"
        return self

    def __exit__(self, kind, value, trace):
        self.heard.__exit__(kind, value, trace)
        del os.environ["TRADING_MODE"]


def add_bridge(stack, name="bridge-2"):
    """A second bridge: the ledger knows both and asks either."""
    def of(service, **changed):
        with open(os.path.join(stack.dir, "etc", service + ".conf"), encoding="utf-8") as file:
            lines = [line.partition(" = ") for line in file.read().splitlines()]
        return "".join("%s%s%s\n" % (key, sign, changed.get(key, lambda old: old)(value))
                       for key, sign, value in lines)

    def write(service, text):
        path = os.path.join(stack.dir, "etc", service + ".conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    stack.extras[name] = stack.port_base + 7 + len(stack.extras)
    path = write(name, of("bridge", name=lambda old: name,
                          probe_endpoint=lambda old: "127.0.0.1:%d" % stack.extras[name],
                          serve_endpoint=lambda old: old + ".2"))
    stack.supervise(name, "--", os.path.join(
        stack.environment["SCRIP_BUILD"], "services", "exchange-bridge", "scrip-bridge"),
        "--config", path)
    write("ledger", of("ledger", bridge_endpoints=lambda old: "%s,%s.2" % (old, old)))
    stack.kill("ledger")
    stack.wait_ready("ledger", name)


class RealUser:
    """A user in mode REAL with an account of its own at the stand-in."""

    def __init__(self, stack, x, market, **balances):
        self.x, self.market = x, market
        self.trading_type, self.symbol = MARKETS[market]
        self.user = stack.user()
        api_key, secret = secrets.token_hex(32), secrets.token_hex(32)
        self.number = x.post("account", api_key=api_key, kind="HMAC", secret=secret,
                             balances={market: balances})["account"]
        self.keep("PUT", "/api/settings/exchange-keys/" + self.trading_type,
                  {"api_key": api_key, "api_secret": secret, "environment": "testnet"})
        self.keep("PUT", "/api/settings/trading/" + self.trading_type,
                  {"mode": "REAL", "confirm_real": True})

    def keep(self, method, path, body=None):
        """Asks until it is done; all that is asked so is harmless when it is repeated."""
        last = []

        def is_done():
            try:
                last[:] = self.user.ask(method, path, body)
            except HttpError as error:
                last[:] = [0, str(error)]
            return last[0] in (200, 201)
        try:
            until(is_done, "%s %s" % (method, path), PATIENCE_S)
        except StoryFailed as error:
            raise StoryFailed("%s; %s" % (error, last)) from None
        return last[1]

    def patiently(self, call):
        """What call() gives, once everybody is there to answer."""
        while True:
            try:
                return call()
            except HttpError as error:
                if error.status not in (0, 502, 503, 504):
                    raise
                until(lambda: self.ask("GET", "/api/paper-trading/account")[0] == 200,
                      "the ledger is there again")

    def orders(self):
        """{client order id: order}, all that the ledger knows of mode REAL."""
        return {o["client_order_id"]: o for o in self.patiently(self.user.orders)
                if o.get("mode") == "REAL"}

    def trades(self):
        return self.patiently(self.user.trades)

    def balances(self):
        """{asset: (free, held)} of what the exchange has, as the ledger knows it."""
        found = self.patiently(lambda: self.user.balances("exchange_" + self.trading_type))
        return {asset: pair for asset, pair in found.items() if any(pair)}

    def ask(self, method, path, body=None):
        """(status, answer); 0 when there was none."""
        try:
            return self.user.ask(method, path, body)
        except HttpError as error:
            return error.status, {"error": {"code": "NO_ANSWER"}}


class Run:
    """One cell, played once."""

    numbers = itertools.count(1)

    def __init__(self, matrix, cell):
        self.matrix, self.x, self.cell = matrix, matrix.x, cell
        self.number = next(self.numbers)
        self.wished = []    # client order ids
        self.told = []      # (what, status, error or state)
        self.faults = []    # numbers at the stand-in
        self.problems = []  # what cannot be
        self.trader = None
        self.seconds = 0.0

    def play(self):
        begun = time.monotonic()
        try:
            self.trader = RealUser(self.matrix.stack, self.x, self.cell.market, **MONEY)
            getattr(self, self.cell.call)()
        except (StoryFailed, HttpError, StandInError) as failure:
            self.problems.append(str(failure))
        self.let_go()
        self.seconds = time.monotonic() - begun
        return self

    # What goes wrong.

    def arm(self, call, name, count=1):
        if name is None:
            return
        what = dict(REST_FAULTS[name])
        method, path = ARRIVES.get(call) or BALANCES[self.cell.market]
        self.faults.append(self.x.fault(what.pop("kind"), self.cell.market, path=path,
                                        method=method, account=self.trader.number, count=count,
                                        **what)["fault"])

    def arm_stream(self, name):
        if name is None:
            return
        what = dict(STREAM_FAULTS[name])
        kind = what.pop("kind") or ("stream_end" if self.cell.market == "spot" else "listen_key")
        topic = "user@%d" % self.trader.number
        is_message = kind in ("drop", "duplicate", "reorder", "late")
        self.faults.append(self.x.fault(kind, self.cell.market,
                                        stream=topic + "@*" if is_message else topic,
                                        **what)["fault"])

    # What is ordered.

    def price(self):
        """(far below, through the market) for a buyer."""
        truth = self.x.truth("BTCUSDT", self.cell.market, levels=1)
        best = Decimal(truth["asks"][0][0])
        return tuple((best * Decimal(by)).quantize(Decimal("1")) for by in ("0.96", "1.02"))

    def body(self, kind):
        far, through = self.price()
        words = {"symbol": self.trader.symbol, "side": "BUY", "quantity": "0.002"}
        if kind == "market":
            words["type"] = "MARKET"
        else:
            words.update(type="LIMIT", price=str(far if kind == "resting" else through),
                         time_in_force="GTC" if kind == "resting" else "IOC")
        self.wished.append("m-%d-%d" % (self.number, len(self.wished) + 1))
        return {**words, "client_order_id": self.wished[-1]}

    def order(self, kind):
        """Places it, again and again under the same id as a client does, until it is known what
        became of it; the order, or None."""
        body = self.body(kind)
        name = body["client_order_id"]

        def outcome():
            status, answer = self.trader.ask("POST", ORDERS, body)
            self.told.append(("place", status, answer.get("error", {}).get("code")))
            found = self.trader.orders().get(name)
            if found is None:
                if 400 <= status < 500 and status != 429:
                    return "refused before it was an order"
                return None
            return found if found["exchange_state"] in SETTLED else None
        try:
            found = until(outcome, "the outcome of " + name, PATIENCE_S)
        except StoryFailed:
            return None
        if isinstance(found, str):
            self.problems.append("%s: %s: %s" % (name, found, self.told[-1]))
            return None
        return found

    def end_of(self, order, wish=None):
        """Waits until the ledger has the order's end, with a wish again and again."""
        def ended():
            if wish:
                status, answer = self.trader.ask(wish, "%s/%s" % (ORDERS, order["order_id"]))
                self.told.append((wish, status, answer.get("error", {}).get("code")))
            found = self.trader.orders()[order["client_order_id"]]
            return found if found["status"] in ENDED else None
        return until(ended, "the end of " + order["client_order_id"], PATIENCE_S)

    # The calls.

    def place(self):
        self.arm("place", self.cell.fault)
        self.order(self.cell.kind)
        # And the account goes on: nothing is left over that would hit the next one.
        self.order("market")

    def cancel(self):
        order = self.order("resting")
        if order is None or order["exchange_state"] != "PLACED":
            return
        self.arm("cancel", self.cell.fault)
        if self.cell.kind == "market":
            self.fill(order, "0.001")
        self.end_of(order, wish="DELETE")

    def query(self):
        self.arm("place", "no answer, not done" if self.cell.kind == "crossing"
                 else "no answer, done")
        self.arm("query", self.cell.fault, count=2)
        self.order(self.cell.kind)

    def balance(self):
        path = "/api/settings/paper-balance/" + self.trader.trading_type
        before = self.trader.keep("GET", path)["paper_balance_usdt"]
        self.arm("balance", self.cell.fault)
        status, answer = self.trader.ask(
            "POST", "/api/settings/sync-paper-balance/" + self.trader.trading_type)
        self.told.append(("balance", status, answer.get("error", {}).get("code")))
        after = self.trader.keep("GET", path)["paper_balance_usdt"]
        right = Decimal(100000)
        if Decimal(after) not in (Decimal(before), right) or \
                status == 200 and Decimal(after) != right:
            self.problems.append("the balance is %s after %d; it was %s" % (after, status, before))
        self.trader.keep("POST", "/api/settings/sync-paper-balance/" + self.trader.trading_type)
        if Decimal(self.trader.keep("GET", path)["paper_balance_usdt"]) != right:
            self.problems.append("the balance is not the exchange's after a good sync")
        self.trader.keep("POST", ORDERS + "/sync")

    def stream(self):
        order = self.order("resting")
        if order is None or order["exchange_state"] != "PLACED":
            return
        topic = "user@%d" % self.trader.number
        until(lambda: any(topic in c["streams"] for c in self.x.connections(
            market=self.cell.market)), "somebody follows the account")
        self.arm_stream(self.cell.fault)
        self.fill(order, "0.001")
        self.fill(order, "0.001")
        self.end_of(order)

    def fill(self, order, quantity):
        self.x.post("fill", market=self.cell.market, account=self.trader.number,
                    order_id=int(order["exchange_order_id"]), quantity=quantity)

    # Stuck orders.

    def get_stuck(self):
        """An order whose answer is lost; every question about it fails, and no stream tells."""
        self.trader = RealUser(self.matrix.stack, self.x, self.cell.market, **MONEY)
        self.arm("query", "503 unknown, not done", count=1000000)
        self.arm("place", self.cell.fault)
        self.faults.append(self.x.fault("stale", self.cell.market,
                                        stream="user@%d@*" % self.trader.number)["fault"])
        body = self.body(self.cell.kind)

        def unknown():
            self.trader.ask("POST", ORDERS, body)
            found = self.trader.orders().get(body["client_order_id"])
            # A bridge that is killed before it gave up waiting has said nothing of it.
            return found if found and found["exchange_state"] in ("SENDING", "UNKNOWN") else None
        return until(unknown, "the outcome of %s is unknown" % self.wished[-1])

    def let_go(self):
        for fault in self.faults:
            self.x.end_fault(fault)

    # What it came to.

    def hits(self):
        """How often the faults of this run really touched something."""
        views = self.matrix.fault_views
        return sum(views[f]["done"] for f in self.faults if f in views)


class Trouble(threading.Thread):
    """Does something bad every so often, as long as it is let; counts what."""

    def __init__(self, deeds, every_s):
        super().__init__(daemon=True)
        self.deeds, self.every_s = deeds, every_s
        self.over, self.done = threading.Event(), collections.Counter()

    def run(self):
        for name, deed in itertools.cycle(self.deeds):
            if self.over.wait(self.every_s):
                return
            deed()
            self.done[name] += 1

    def is_through(self):
        """Whether each was done once."""
        return len(self.done) == len(self.deeds)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.join()


def weather_of(x):
    """What befalls a whole market for a while."""
    def for_a_while(lasts_s, kind, **what):
        def deed():
            faults = [x.fault(kind, market, **what)["fault"] for market in MARKETS]
            time.sleep(lasts_s)
            for fault in faults:
                x.end_fault(fault)
        return deed

    return [("down", for_a_while(3, "down")),
            ("down, no connection", for_a_while(3, "down", how="tcp")),
            ("clock 5 s ahead", for_a_while(5, "skew", seconds=5)),
            ("clock 30 s behind", for_a_while(5, "skew", seconds=-30)),
            ("queries lag 3 s", for_a_while(6, "query_lag", seconds=3)),
            ("ban of 2 s", for_a_while(2, "ban", seconds=2)),
            ("all streams cut", for_a_while(0, "cut", stream="user@*")),
            ("no new streams", for_a_while(3, "refuse"))]


class Matrix:
    """Cells played at once against one stack and one stand-in."""

    def __init__(self, stack, x, at_once=32):
        self.stack, self.x, self.at_once = stack, x, at_once
        self.runs, self.fault_views = [], {}
        self.troubles = collections.Counter()

    def play(self, chosen, kills=(), every_s=2.0):
        """Every cell once, while what is named is killed in turn."""
        deeds = [("kill " + name, lambda n=name: self.stack.kill(n)) for name in kills]
        with Trouble(deeds, every_s) if deeds else contextlib.nullcontext() as trouble:
            self.play_all(chosen)
        self.troubles += trouble.done if trouble else {}

    def play_in_weather(self, chosen, every_s=0.5):
        """The cells again and again until all that befalls a whole market has."""
        with Trouble(weather_of(self.x), every_s) as trouble:
            while not trouble.is_through() and trouble.is_alive():
                self.play_all(chosen)
        self.troubles += trouble.done

    def play_all(self, chosen):
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as pool:
            self.runs += pool.map(lambda cell: Run(self, cell).play(), chosen)

    # Those whose outcome is open.

    def stuck(self, markets=tuple(MARKETS)):
        """Orders whose answer is lost and which nobody can ask about: they are to be listed as
        unresolved, and settled once the exchange answers again; how many of each."""
        runs = [Run(self, Cell(market, "place", fault, "resting")) for market in markets
                for fault in ("no answer, done", "no answer, not done")]
        with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
            orders = list(pool.map(Run.get_stuck, runs))
        ids = {int(order["order_id"]) for order in orders}
        listed = until(lambda: ids <= self.unresolved() and ids, "all are listed", PATIENCE_S)
        by_hand = [int(order["order_id"]) for run, order in zip(runs, orders)
                   if run.cell.fault == "no answer, not done"]
        # Refused before the last moment at which the exchange could still have executed it.
        until(lambda: all(self.settle(number, "--not-placed", "the exchange's support says so")
                          for number in by_hand), "operators settle what was never placed")
        for run in runs:
            run.let_go()
        for number in ids - set(by_hand):
            until(lambda n=number: self.settle(n, "--ask", "the exchange answers again"),
                  "order %d is settled" % number)
        until(lambda: not ids & self.unresolved(), "none is unresolved", PATIENCE_S)
        self.runs += runs
        return len(listed), len(ids - self.unresolved())

    def unresolved(self):
        """Ids of the orders that `scripctl bridge unresolved` lists."""
        said = until(lambda: self.scripctl("bridge", "unresolved", "--json"), "a ledger answers")
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return {int(row["order"]) for row in rows if "order" in row}

    def settle(self, number, how, why):
        """Whether the order is settled; one whose outcome became known meanwhile is."""
        said = self.scripctl("bridge", "settle", str(number), how, "--who", "matrix", "--why", why,
                             "--json")
        return said is not None and ('"error"' not in said or "OUTCOME_KNOWN" in said)

    def scripctl(self, *words):
        """What `./scrip ctl` says, never empty, be it that there is something to do; None when
        nobody could be asked."""
        run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", *words], check=False,
                             env=self.stack.environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode == 2:
            raise StoryFailed("./scrip ctl %s: %s" % (" ".join(words), run.stdout))
        return run.stdout + "\n" if run.returncode < 2 else None

    def judge(self):
        """The verdict; faults are over first, and what they touched is kept."""
        for view in self.x.get("faults"):
            if not view["over"]:
                self.x.end_fault(view["fault"])
        verdict = matrix_judge.judge(self.runs)
        self.fault_views = {view["fault"]: view for view in self.x.get("faults")}
        return verdict

    def table(self):
        """Rows of (fault, {call: (runs, hits)}) in the order of the faults."""
        rows = {}
        for run in self.runs:
            call = "%s %s" % run.cell[:2]
            runs, hits = rows.setdefault(run.cell.fault or "of the whole market", {}).get(
                call, (0, 0))
            rows[run.cell.fault or "of the whole market"][call] = (runs + 1,
                                                                   hits + (run.hits() > 0))
        return rows
