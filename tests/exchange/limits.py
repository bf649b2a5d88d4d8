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
        self.strikes = 0      # requests over the limit in this window
        self.bans = 0         # so far; each is twice as long
        self.banned_until = 0.0
        self.is_full = False  # by a fault, until the window ends

    def ask(self, weight, counters):
        now = time.time()
        if now < self.banned_until:
            counters.add("rest_418")
            return self.banned(now)
        if self.window.roll():
            self.strikes, self.is_full = 0, False
        is_within = self.window.spend(weight) and self.raw.spend(1) and not self.is_full
        if is_within:
            return Verdict()
        self.strikes += 1
        if self.strikes > self.strikes_max:
            self.ban(self.ban_s * 2 ** self.bans)
            self.bans += 1
            counters.violation("banned", "went on asking after 429")
            counters.add("rest_418")
            return self.banned(now)
        counters.add("rest_429")
        return Verdict(429, -(-self.window.left_ms() // 1000))

    def ban(self, seconds):
        self.banned_until = time.time() + seconds

    def banned(self, now):
        return Verdict(418, max(1, -(-int((self.banned_until - now) * 1000) // 1000)),
                       int(self.banned_until * 1000))
