"""faults - what goes wrong on purpose, told by the control plane or by dice with a seed.

Faults of messages stand as filters before a stream; faults of connections act at once; faults of
REST wait for the next requests. Each has a number and remembers what it did.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import fnmatch
import json
import random
import time

STREAM_KINDS = ("drop", "duplicate", "reorder", "stale", "late")
CONNECTION_KINDS = ("cut", "half", "close", "silence", "no_pings", "deaf", "expire", "shutdown",
                    "lag")
REST_KINDS = ("rest_error", "rest_slow", "rest_timeout", "rest_half", "rest_cut")
OTHER_KINDS = ("refuse", "refuse_subscribe", "weight_full", "ban", "stale_snapshot", "trade_gap",
               "listen_key", "stream_end")
# Those of the whole address or account; dice leave them alone.
STATE_KINDS = ("down", "skew", "query_lag")
KINDS = STREAM_KINDS + CONNECTION_KINDS + REST_KINDS + OTHER_KINDS
LASTING_KINDS = ("stale", "refuse", "down")
# What the exchange says with a code, unless the fault says otherwise.
WORDS = {
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is reached.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution "
           "status unknown.",
    -1008: "Request throttled by system-level protection. Reduce-only/close-position orders are "
           "exempt. Please try again.",
}
UNKNOWN = "Unknown error, please check your request or try again later."
TOLD_MAX = 50


class BadFault(Exception):
    pass


class Fault:
    """One thing that goes wrong."""

    numbers = 0

    def __init__(self, kind, market="spot", symbol=None, stream=None, connection=None, path=None,
                 count=1, seconds=0.0, skip=0, status=503, code=-1000, words=None, age=50,
                 root=None, how="http", nested=False, retry_after=0, method=None,
                 when="before", account=None, html=False):
        Fault.numbers += 1
        self.number = Fault.numbers
        self.kind, self.market, self.symbol = kind, market, symbol
        self.stream, self.connection, self.path = stream, connection, path
        self.count, self.skip, self.status, self.code = count, skip, status, code
        self.seconds, self.age, self.root, self.how = seconds, age, root, how
        self.nested, self.retry_after = nested, retry_after
        self.method, self.when, self.account, self.html = method, when, account, html
        self.words = words or ("Service Unavailable." if kind == "down" else
                               WORDS.get(code, UNKNOWN))
        self.until = time.monotonic() + seconds if seconds else None
        self.done = 0
        self.told = []
        self.kept = None
        self.late = []
        self.is_ended = False

    def view(self):
        return {"fault": self.number, "kind": self.kind, "market": self.market,
                "stream": self.stream, "connection": self.connection, "done": self.done,
                "over": self.is_over(), "told": self.told}

    def tell(self, what):
        self.done += 1
        if len(self.told) < TOLD_MAX:
            self.told.append(what)

    def is_over(self):
        if self.is_ended:
            return True
        if self.kind in LASTING_KINDS and self.until is not None:
            return time.monotonic() >= self.until
        if self.kind in ("stale", "down"):
            return False  # until it is taken back
        return self.done >= self.count and self.kept is None

    # As a filter before a stream.

    def matches(self, stream, connection):
        number = connection.number if connection else None
        return number == self.connection and fnmatch.fnmatchcase(stream, self.stream)

    def feed(self, payload):
        if self.is_over():
            return [payload]
        if self.skip > 0:
            self.skip -= 1
            return [payload]
        if self.kept is not None:
            kept, self.kept = self.kept, None
            return [payload, kept]
        if self.kind == "reorder":
            self.kept = payload
        elif self.kind == "late":
            self.late.append(payload)
        self.tell(summary(payload))
        return [payload, payload] if self.kind == "duplicate" else []

    def take_late(self):
        """What is to be said `seconds` later, when others may have overtaken it."""
        taken, self.late = self.late, []
        return taken


def summary(payload):
    """The numbers of a message that was touched, for the test that asked for it."""
    value = json.loads(payload)
    kline = value.get("k")
    if kline:
        return {"e": "kline", "t": kline["t"], "x": kline["x"]}
    return {k: value[k] for k in ("e", "t", "a", "f", "l", "U", "u", "pu", "E") if k in value}


class Faults:
    """All faults of one market."""

    def __init__(self, venue):
        self.venue = venue
        self.all = {}
        self.waiting = []  # of REST and snapshots

    def add(self, **what):
        try:
            fault = Fault(**what)
        except TypeError as e:
            raise BadFault(str(e)) from None
        if fault.kind not in KINDS + STATE_KINDS:
            raise BadFault("unknown kind %r; known: %s"
                           % (fault.kind, " ".join(KINDS + STATE_KINDS)))
        if fault.when not in ("before", "after"):
            raise BadFault("when is before or after")
        if fault.kind in STREAM_KINDS and fault.stream is None:
            raise BadFault("needs a stream, or a pattern like btcusdt@*")
        self.all[fault.number] = fault
        self.venue.counters.add("faults_" + fault.kind)
        if fault.kind in STREAM_KINDS:
            self.venue.hub.filters.append(fault)
        elif fault.kind in CONNECTION_KINDS:
            self.on_connections(fault)
        elif fault.kind in REST_KINDS or fault.kind in ("stale_snapshot", "refuse", "down"):
            self.waiting.append(fault)
        elif fault.kind in ("weight_full", "ban"):
            self.venue.weights.waiting.append(fault)
        else:
            getattr(self, fault.kind)(fault)
        return fault

    def chosen(self, fault):
        for connection in list(self.venue.hub.connections.values()):
            if fault.connection not in (None, connection.number):
                continue
            if fault.root not in (None, connection.root):
                continue
            if fault.stream and not fnmatch.filter(connection.streams, fault.stream):
                continue
            yield connection

    def on_connections(self, fault):
        for connection in self.chosen(fault):
            if fault.kind == "cut":
                connection.cut("a fault")
            elif fault.kind == "half":
                connection.is_half = True
            elif fault.kind == "close":
                connection.close(1001, "a fault")
            elif fault.kind == "silence":
                connection.is_silent = connection.is_deaf = True
            elif fault.kind == "no_pings":
                connection.has_pings = False
            elif fault.kind == "deaf":
                connection.is_deaf = True
            elif fault.kind == "expire":
                connection.expire()
            elif fault.kind == "lag":
                connection.lag_s = fault.seconds
            elif fault.kind == "shutdown":
                connection.shutdown(fault.seconds * 1000)
            fault.tell({"connection": connection.number})
        fault.is_ended = True

    def end(self, number):
        """Takes a fault back."""
        fault = self.all.get(number)
        if fault is None:
            return None
        fault.is_ended = True
        if fault.kind == "skew":
            self.venue.skew_ms = 0
        elif fault.kind == "query_lag":
            self.venue.query_lag_ms = 0
        self.waiting = [f for f in self.waiting if f is not fault]
        if fault in self.venue.hub.filters:
            self.venue.hub.filters.remove(fault)
        return fault

    # Those that wait for a request.

    def rest(self, name, method="GET", account=None):
        """The fault of this request, or None."""
        for fault in self.waiting:
            if fault.kind in REST_KINDS and fault.path in (None, name) \
                    and fault.method in (None, method) \
                    and fault.account in (None, account) and not fault.is_over():
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.tell({"path": name, "method": method})
                self.sweep()
                return fault
        return None

    def is_down(self):
        """The fault by which nothing is served, or None."""
        self.sweep()
        for fault in self.waiting:
            if fault.kind == "down":
                fault.tell({"refused": "a request"})
                return fault
        return None

    def sweep(self):
        self.waiting = [f for f in self.waiting if not f.is_over()]

    def refuses(self, root=None):
        """The fault that refuses new connections of this root, or None."""
        self.sweep()
        for fault in self.waiting:
            if fault.kind == "refuse" and fault.root in (None, root):
                fault.tell({"refused": "a connection"})
                return fault
        return None

    def snapshot(self, instrument):
        """(update id, book) that REST shows: the true one, but for a fault."""
        for fault in self.waiting:
            if fault.kind == "stale_snapshot" and fault.symbol in (None, instrument.symbol) \
                    and not fault.is_over():
                found = instrument.history.at(instrument.history.id_before(fault.age))
                fault.tell({"lastUpdateId": found[0], "true": instrument.update_id})
                self.sweep()
                return found
        return instrument.update_id, instrument.book

    # Those that act at once.

    def refuse_subscribe(self, fault):
        self.venue.settings.refuse_subscribe.update(
            count=fault.count, code=2, msg="Invalid request: try again later",
            is_nested=fault.nested)

    def listen_key(self, fault):
        """Listen keys end before their time."""
        for whose in self.venue.users.expire_keys(fault.stream or "user@*"):
            fault.tell(whose)
        fault.is_ended = True

    def stream_end(self, fault):
        """The exchange ends subscriptions to user data."""
        for whose in self.venue.users.end_subscriptions(fault.stream or "user@*"):
            fault.tell(whose)
        fault.is_ended = True

    def skew(self, fault):
        """The exchange's clock goes wrong by so many seconds; ended, it is right again."""
        self.venue.skew_ms, self.venue.was_skewed = int(fault.seconds * 1000), True

    def query_lag(self, fault):
        """So many seconds pass before queries see a new order."""
        self.venue.query_lag_ms = int(fault.seconds * 1000)

    def trade_gap(self, fault):
        """The next `count` messages of trades of a symbol never come."""
        kind = "trade" if self.venue.is_spot else "aggTrade"
        fault.kind, fault.stream = "drop", "%s@%s" % ((fault.symbol or "*").lower(), kind)
        self.venue.hub.filters.append(fault)


def parse_schedule(text):
    """"every=3s,seed=7,kinds=drop+cut" as (seconds, seed, kinds)."""
    words = dict(word.split("=", 1) for word in text.split(","))
    kinds = tuple(words.pop("kinds", "+".join(KINDS)).split("+"))
    every = words.pop("every", "5s")
    seed = words.pop("seed", "1")
    seconds = float(every[:-2]) / 1000 if every.endswith("ms") else float(every.rstrip("s"))
    if words or set(kinds) - set(KINDS):
        raise BadFault("faults: %s %s" % (list(words), sorted(set(kinds) - set(KINDS))))
    return seconds, seed, kinds


async def schedule(venues, text):
    """Faults by dice, one every so often, on what is connected."""
    seconds, seed, kinds = parse_schedule(text)
    dice = random.Random("faults %s" % seed)
    while True:
        await asyncio.sleep(seconds)
        venue = dice.choice(venues)
        kind = dice.choice(kinds)
        what = {"kind": kind, "market": venue.name}
        streams, connections = venue.hub.streams(), list(venue.hub.connections)
        if kind in STREAM_KINDS:
            what.update(stream=dice.choice(streams) if streams else "*@*",
                        count=dice.randint(1, 5),
                        seconds=dice.choice((2, 5, 8)) if kind == "stale" else 0)
        elif kind in CONNECTION_KINDS:
            if not connections:
                continue
            what.update(connection=dice.choice(connections),
                        seconds=dice.choice((0.2, 1)) if kind in ("shutdown", "lag") else 0)
        elif kind in ("refuse", "ban", "rest_slow"):
            what.update(seconds=dice.choice((0.5, 1, 2)))
        else:
            what.update(count=dice.randint(1, 3))
        venue.faults.add(**what)
