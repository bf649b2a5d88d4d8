"""limits - what an address may do: request weight, connection attempts, messages a second.

Windows of weight are aligned to the clock as Binance's are. Over the limit is 429 with Retry-After;
who goes on asking is banned with 418, longer each time.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import time


class Window:
    """A count that starts anew at every multiple of window_ms."""

    def __init__(self, limit, window_ms):
        self.limit, self.window_ms = limit, window_ms
        self.used, self.number, self.most = 0, 0, 0

    def roll(self):
        number = int(time.time() * 1000) // self.window_ms
        if number != self.number:
            self.number, self.used = number, 0
            return True
        return False

    def left_ms(self):
        return self.window_ms - int(time.time() * 1000) % self.window_ms

    def spend(self, weight):
        """The count goes up in any case, as the exchange's does."""
        self.roll()
        self.used += weight
        self.most = max(self.most, self.used)
        return self.used <= self.limit


class Sliding:
    """At most `limit` events in any `window_s`."""

    def __init__(self, limit, window_s):
        self.limit, self.window_s = limit, window_s
        self.times = collections.deque()

    def add(self):
        now = time.monotonic()
        while self.times and now - self.times[0] >= self.window_s:
            self.times.popleft()
        self.times.append(now)
        return len(self.times) <= self.limit


class Verdict:
    """What became of a request: status 0 = go on."""

    def __init__(self, status=0, retry_after_s=0, banned_until_ms=0):
        self.status, self.retry_after_s = status, retry_after_s
        self.banned_until_ms = banned_until_ms


class Weights:
    """The request weight of one address on one market."""

    def __init__(self, limit, window_ms=60000, strikes_max=5, ban_s=120):
        self.window = Window(limit, window_ms)
        self.raw = Window(300000, 300000)
        self.strikes_max, self.ban_s = strikes_max, ban_s
        self.number = 0       # of the window that these two are of
        self.strikes = 0      # requests over the limit
        self.is_full = False  # by a fault
        self.bans = 0         # so far; each is twice as long
        self.banned_until = 0.0
        self.waiting = []     # faults that begin with the next request
        self.on_ban = lambda: None

    def ask(self, weight, counters):
        self.window.roll()
        if self.number != self.window.number:
            self.number, self.strikes, self.is_full = self.window.number, 0, False
        self.begin_faults()
        now = time.time()
        if now < self.banned_until:
            counters.add("rest_418")
            return self.banned(now)
        is_within = self.window.spend(weight) and self.raw.spend(1) and not self.is_full
        if is_within:
            return Verdict()
        self.strikes += 1
        if self.strike_ends(self.strikes, counters):
            counters.add("rest_418")
            return self.banned(now)
        counters.add("rest_429")
        return Verdict(429, -(-self.window.left_ms() // 1000))

    def strike_ends(self, strikes, counters):
        """So many requests over a limit, of weight or of orders: whether that is one too many."""
        if strikes <= self.strikes_max:
            return False
        self.ban(self.ban_s * 2 ** self.bans)
        self.bans += 1
        counters.violation("banned", "went on asking after 429")
        return True

    def begin_faults(self):
        """However slow the client is, it meets the whole of them."""
        begun = [fault for fault in self.waiting if not fault.is_over()]
        self.waiting = []
        for fault in begun:
            if fault.kind == "weight_full":
                self.is_full = True
            else:
                self.ban(fault.seconds or 2)
            fault.tell({"window": self.number})
            fault.is_ended = True

    def ban(self, seconds):
        self.banned_until = time.time() + seconds
        self.on_ban()

    def banned(self, now):
        return Verdict(418, max(1, -(-int((self.banned_until - now) * 1000) // 1000)),
                       int(self.banned_until * 1000))
