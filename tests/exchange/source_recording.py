"""source_recording - a market that somebody recorded, played again with its true book beside it.

A recording is lines `<receive time, ns> <message as it was sent>` with one REST snapshot near its
begin, plain or .xz or .gz. Messages go out at the pace of their receive times, `speed` times as
fast. Their own times are moved to now by default, always by the same rule, so that trades, candles
and the server's time agree; with times="recorded" they stay, and the server's clock is the
recording's.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import json
import lzma
import re
import time

from book import ASK, BID
from market import Instrument
from rules import Rules
from wire import scaled

EVENT = re.compile(rb'"E":(\d+)')
FUNDING_MS = 8 * 3600000
TURN_MAX_S = 0.5


class BadRecording(Exception):
    pass


def lines_of(path):
    """[(receive time in ns, message)] of one file."""
    opener = lzma.open if path.endswith(".xz") else gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        return [(int(line[:line.index(b" ")]), line[line.index(b" ") + 1:]) for line in file]


def by_market(paths):
    """The lines of all files, in order of time, by market: futures chain their diffs by pu."""
    found = {}
    for lines in sorted((lines_of(path) for path in paths), key=lambda lines: lines[0][0]):
        market = "usdm" if any(b'"pu":' in text for _, text in lines[:200]) else "spot"
        found.setdefault(market, []).extend(lines)
    return found


def changes_of(data):
    return [(side, scaled(price), scaled(quantity))
            for side, key in ((BID, "b"), (ASK, "a")) for price, quantity in data[key]]


class Recording:
    """The recorded symbol of one market."""

    takes_trades, takes_levels = False, False

    def __init__(self, venue, lines, seed, speed, times):
        self.venue, self.lines, self.speed = venue, lines, speed
        self.are_times_kept = times == "recorded"
        self.is_finished = False
        self.instrument = None
        self.mark_due_ms = 0
        self.place = self.build(seed)
        self.first_ns = lines[self.place][0]
        self.align()
        self.begin_s = self.last_s = time.time()
        venue.now_ms = self.now_ms
        self.instrument.begin(self.now_ms())
        self.venue.add(self.instrument)

    def build(self, seed):
        """The book as of the snapshot; gives the number of the first line that is played."""
        place = next((n for n, (_, text) in enumerate(self.lines)
                      if text.startswith(b'{"lastUpdateId"')), None)
        if place is None:
            raise BadRecording("no snapshot in it")
        snapshot = json.loads(self.lines[place][1])
        symbol = re.search(rb'"s":"(\w+)"', self.lines[0][1]).group(1).decode()
        trade = next(json.loads(text)["data"] for _, text in self.lines[place:]
                     if b'"e":"trade"' in text)
        rules = Rules(self.venue.name, symbol, price=trade["p"])
        instrument = Instrument(self.venue, rules, seed, snapshot["lastUpdateId"], trade["t"])
        for side, key in ((BID, "bids"), (ASK, "asks")):
            for price, quantity in snapshot[key]:
                instrument.book.set(side, scaled(price), scaled(quantity))
        for _, text in self.lines[:place]:
            data = json.loads(text)["data"]
            if data.get("e") == "depthUpdate" and data["u"] > snapshot["lastUpdateId"]:
                for change in changes_of(data):
                    instrument.book.set(*change)
                instrument.update_id = instrument.diff_id = data["u"]
        self.instrument = instrument
        return place + 1

    def align(self):
        """The exchange's clock and the receiver's differ: event times are set so that none lies
        in the future when it is sent, and how late the latest comes is what candles wait for."""
        apart = []
        for received, text in self.lines[self.place:]:
            found = EVENT.search(text)
            if found:
                apart.append(int(found.group(1)) - (received - self.first_ns) // 1000000)
        self.base_ms = max(apart)  # the event time that is "sent at once" at the begin
        self.venue.grace_ms = int((self.base_ms - min(apart)) / self.speed) + 20

    # Time.

    def elapsed_s(self):
        return self.last_s - self.begin_s

    def now_ms(self):
        if self.are_times_kept:
            return self.base_ms + int(self.elapsed_s() * self.speed * 1000)
        return int(time.time() * 1000)

    def moved(self, event_ms):
        if self.are_times_kept:
            return event_ms
        return int(self.begin_s * 1000 + (event_ms - self.base_ms) / self.speed)

    def advance(self, now_ms):
        """Plays what is due; while the symbol is quiet or halted the recording stands still."""
        now_s = time.time()
        passed, self.last_s = now_s - self.last_s, now_s
        instrument = self.instrument
        is_listed = self.venue.instruments.get(instrument.symbol) is instrument
        if instrument.is_quiet or instrument.is_halted or not is_listed:
            self.begin_s += passed
            return
        # On a machine that is too slow the recording goes slower: who made good all that was due
        # would have more to do at each turn, and say nothing before the last.
        self.begin_s += max(0, passed - TURN_MAX_S)
        due_ns = self.first_ns + int(self.elapsed_s() * self.speed * 1e9)
        while self.place < len(self.lines) and self.lines[self.place][0] <= due_ns:
            self.play(self.lines[self.place][1])
            self.place += 1
        self.is_finished = self.place >= len(self.lines)
        if not self.venue.is_spot and now_ms >= self.mark_due_ms:
            self.mark_due_ms = now_ms // 1000 * 1000 + 1000
            self.value(now_ms)

    def play(self, text):
        message = json.loads(text)
        data = message.get("data")
        if data is None:
            return  # a later snapshot says nothing that the diffs do not
        instrument = self.instrument
        kind = data.get("e", "bookTicker")
        event_ms = self.moved(data["E"]) if "E" in data else self.now_ms()
        time_ms = self.moved(data["T"]) if "T" in data else event_ms
        if kind == "depthUpdate":
            instrument.diff(data["U"], data["u"], data.get("pu", 0), changes_of(data), event_ms,
                            time_ms)
        elif kind == "bookTicker":
            instrument.quote(data["u"], *(scaled(data[k]) for k in "bBaA"), event_ms, time_ms)
        elif kind == "trade":
            instrument.trade(scaled(data["p"]), scaled(data["q"]), data["m"], time_ms, event_ms,
                             data["t"])

    def value(self, now_ms):
        """Marks were not recorded: the middle of the book stands for them."""
        book = self.instrument.book
        middle = (book.best(BID)[0] + book.best(ASK)[0]) // 2
        self.instrument.mark = (middle, middle, "0.00010000",
                                now_ms // FUNDING_MS * FUNDING_MS + FUNDING_MS)

    # What the control plane may do.

    def list(self, symbol):
        if symbol == self.instrument.symbol:
            self.venue.add(self.instrument)

    def delist(self, symbol):
        return self.venue.remove(symbol)

    def set_rate(self, symbol, rate):
        """The speed, from now on."""
        del symbol
        # The times so far stay as they are: the line between the two clocks is bent here.
        played_ms = self.elapsed_s() * self.speed * 1000
        self.base_ms += int(played_ms)
        self.first_ns += int(played_ms * 1e6)
        self.begin_s = self.last_s
        self.speed = rate
