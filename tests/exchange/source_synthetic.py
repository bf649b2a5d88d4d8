"""source_synthetic - a market made from a seed: books, trades, marks and liquidations that belong
together.

Each symbol has dice of its own, so what happens on it does not depend on the others; only the
times are those of the clock. What a symbol does in a step: levels change at random distances,
takers eat from the best price, and what they ate is put back with the price moved.

SPDX-License-Identifier: Apache-2.0
"""
import random
import zlib

from book import ASK, BID
from market import Instrument
from rules import Rules

LEVELS = 1200
FUNDING_MS = 8 * 3600000


class Maker:
    """What happens on one symbol."""

    def __init__(self, instrument, seed, rate):
        self.instrument, self.rules = instrument, instrument.rules
        self.dice = random.Random("%s %s %s" % (seed, instrument.venue.name, instrument.symbol))
        # Marks come by the clock and must not change what is traded.
        self.mark_dice = random.Random("%s %s marks" % (seed, instrument.symbol))
        self.rate = rate  # steps a second
        self.owed = 0.0   # steps that are due
        self.middle = self.rules.price // self.rules.tick  # in ticks
        self.levels_min = 0

    def quantity(self):
        dice = self.dice
        return self.rules.step * int(dice.paretovariate(1.2) * dice.randint(1, 400))

    def build(self, levels=LEVELS):
        for side, direction in ((BID, -1), (ASK, 1)):
            distance = 0
            self.levels_min = levels - levels // 8
            for _ in range(levels):
                distance += self.dice.choice((1, 1, 1, 2, 5))
                price = (self.middle + direction * distance) * self.rules.tick
                if price > 0:
                    self.instrument.book.set(side, price, self.quantity())

    def id_step(self):
        return 1 if self.instrument.venue.is_spot else self.dice.randint(1, 900)

    def change(self, side, price, quantity):
        self.instrument.change(side, price, quantity, self.id_step())

    def step(self, now_ms):
        chance = self.dice.random()
        book = self.instrument.book
        bid, ask = book.best(BID)[0], book.best(ASK)[0]
        room = (ask - bid) // self.rules.tick
        if chance < 0.12:
            # Prices wander, but not away for ever.
            away = self.middle - (bid + ask) // 2 // self.rules.tick
            self.take(now_ms, self.dice.random() < 0.5 + 0.2 * max(-1, min(
                1, 50 * away / self.middle)))
        elif room > 1 and chance < 0.12 + min(0.6, 0.05 * room):
            self.replenish(bid, ask, room)
        else:
            self.rest()
        self.instrument.say_touch(now_ms)

    def rest(self):
        """A level somewhere behind the best one comes, changes or goes."""
        side = self.dice.randint(0, 1)
        prices = self.instrument.book.prices[side]
        distance = min(int(self.dice.paretovariate(0.6)), LEVELS)
        best = prices[-1] if side == BID else prices[0]
        price = best + (-distance if side == BID else distance) * self.rules.tick
        if price <= 0:
            return
        is_there = price in self.instrument.book.levels[side]
        if is_there and self.dice.random() < 0.45 and len(prices) > self.levels_min:
            self.change(side, price, 0)
        elif self.dice.random() < 0.02 and not is_there:
            self.change(side, price, 0)  # a level that nobody knew goes: normal on Binance
        else:
            self.change(side, price, self.quantity())

    def take(self, now_ms, taker_buys):
        """A taker eats from the other side, through up to three levels."""
        side = ASK if taker_buys else BID
        wanted = self.quantity()
        for _ in range(3):
            price, standing = self.instrument.book.best(side)
            if len(self.instrument.book.prices[side]) < 10:
                break
            eaten = min(wanted, standing)
            for part in self.parts(eaten):
                self.instrument.trade(price, part, not taker_buys, now_ms)
            self.change(side, price, standing - eaten)
            self.instrument.say_touch(now_ms)
            wanted -= eaten
            if wanted <= 0:
                break

    def parts(self, quantity):
        """The orders that were eaten: one or several at the same price."""
        steps = quantity // self.rules.step
        if steps < 4 or self.dice.random() < 0.6:
            return [quantity]
        first = self.dice.randint(1, steps - 1) * self.rules.step
        return [first, quantity - first]

    def replenish(self, bid, ask, room):
        """The gap in the middle closes from one side."""
        side = self.dice.randint(0, 1)
        distance = self.dice.randint(1, room - 1) * self.rules.tick
        self.change(side, bid + distance if side == BID else ask - distance, self.quantity())

    def marks(self, now_ms):
        instrument, dice = self.instrument, self.mark_dice
        bid, ask = instrument.book.best(BID), instrument.book.best(ASK)
        middle = (bid[0] + ask[0]) // 2
        away = middle * dice.randint(-20, 20) // 100000
        rate = "%.8f" % (dice.randint(-5000, 15000) / 1e8)
        instrument.mark = (middle + away, middle, rate,
                           now_ms // FUNDING_MS * FUNDING_MS + FUNDING_MS)
        if dice.random() < 0.05:
            instrument.force_order(dice.choice(("BUY", "SELL")),
                                   self.rules.step * dice.randint(1, 5000),
                                   middle // self.rules.tick * self.rules.tick, now_ms)


class Synthetic:
    """The seeded market of some symbols on one venue."""

    takes_trades, takes_levels = True, True

    def __init__(self, venue, seed, symbols, rate):
        self.venue, self.seed, self.rate = venue, seed, rate
        self.makers = {}
        self.last_ms = self.mark_due_ms = 0
        for symbol in symbols:
            self.list(symbol)

    def list(self, symbol):
        if symbol in self.venue.instruments:
            return
        dice = random.Random("%s %s ids" % (self.seed, symbol))
        base = zlib.crc32(symbol.encode()) % 1000000
        instrument = Instrument(self.venue, Rules(self.venue.name, symbol), self.seed,
                                10 ** 10 + base * 1000 + dice.randint(0, 999),
                                10 ** 8 + base * 100)
        maker = Maker(instrument, self.seed, self.rate)
        maker.build()
        now = self.venue.now_ms()
        instrument.begin(now)
        for _ in range(60):  # an exchange always has some last trades
            maker.step(now)
        self.makers[symbol] = maker
        self.venue.add(instrument)
        if not self.venue.is_spot:
            maker.marks(now)

    def delist(self, symbol):
        self.makers.pop(symbol, None)
        return self.venue.remove(symbol)

    def advance(self, now_ms):
        """Does what is due until now."""
        passed = min(1000, max(0, now_ms - self.last_ms)) if self.last_ms else 0
        self.last_ms = now_ms
        has_marks = now_ms >= self.mark_due_ms
        if has_marks:
            self.mark_due_ms = now_ms // 1000 * 1000 + 1000
        for maker in list(self.makers.values()):
            instrument = maker.instrument
            if instrument.is_quiet or instrument.is_halted:
                continue
            maker.owed += maker.rate * passed / 1000
            while maker.owed >= 1:
                maker.owed -= 1
                maker.step(now_ms)
            if has_marks and not self.venue.is_spot:
                maker.marks(now_ms)

    def set_rate(self, symbol, rate):
        """Steps a second of one symbol, or of all."""
        for name, maker in self.makers.items():
            if symbol in (None, name):
                maker.rate = rate
