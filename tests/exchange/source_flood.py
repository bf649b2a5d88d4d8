"""source_flood - hundreds of symbols at the pace of a busy day, cheap enough for one core.

A few scripts are made once: some seconds of a seeded market, then the same backwards, so that the
book of the end is the book of the begin and a script can be played for ever. A symbol plays one of
them; per message only ids and times are filled in. Trades and candles are kept as always.

SPDX-License-Identifier: Apache-2.0
"""
import random

from book import ASK, BID
from market import Instrument
from rules import KNOWN, Rules
from source_synthetic import Maker
from wire import text_of

SCRIPTS = 16
STEPS = 64          # of 100 ms, one way
LEVELS = 500
DIFF_LEVELS = 10    # of a step
IDS = 24            # update ids of a step
QUOTES = (0, 1, 1, 2, 2, 2, 3, 5)  # between the steps' ends, beside the one at the end
TRADES = (0, 0, 0, 0, 0, 0, 0, 1, 1, 2)  # a step, on average; bursts come on top
TURN_MAX_MS = 1000
BURST_OF = 60       # one round in so many is followed by two more at once
SLOTS = 10
TRADES_MAX = 4000
FUNDING_MS = 8 * 3600000


class Scratch(Instrument):
    """Where a script is made: it notes the quotes instead of saying them."""

    def quote(self, update_id, bid, bid_quantity, ask, ask_quantity, event_ms, time_ms):
        self.quotes.append((bid, bid_quantity, ask, ask_quantity))

    def trade(self, price, quantity, is_buyer_maker, time_ms, event_ms=None, number=None):
        self.last_price = price


class Script:
    """A closed round of steps; each is (changes, quotes, trades) and its templates."""

    def __init__(self, venue, rules, seed, number):
        self.dice = random.Random("%s flood %d" % (seed, number))
        scratch = Scratch(venue, rules, seed, 0, 0)
        scratch.quotes = []
        scratch.last_price = rules.price
        maker = Maker(scratch, "%s %d" % (seed, number), 0)
        maker.build(LEVELS)
        scratch.touch = (scratch.book.best(BID), scratch.book.best(ASK))
        self.base = scratch.book.copy()
        forth, back = [], []
        for _ in range(STEPS):
            self.step(scratch, maker, forth, back)
        self.steps = forth + back[::-1]
        self.templates = [self.template(scratch, *step) for step in self.steps]

    def step(self, scratch, maker, forth, back):
        before = scratch.book.copy()
        scratch.quotes = []
        scratch.pending = {}
        while len(scratch.pending) < DIFF_LEVELS:
            maker.step(0)
        changes = [(side, price, quantity) for (side, price), quantity in scratch.pending.items()]
        undone = [(side, price, before.levels[side].get(price, 0)) for side, price, _ in changes]
        between = scratch.quotes[:-1]
        dice = self.dice
        for where, changed, book, order in ((forth, changes, scratch.book, between),
                                            (back, undone, before, between[::-1])):
            best = book.best(BID) + book.best(ASK)
            quotes = order[:dice.choice(QUOTES)] + [best]
            trades = [(side, book.best(side)[0], maker.quantity())
                      for side in [dice.randint(0, 1)] for _ in range(dice.choice(TRADES))]
            where.append((changed, quotes, trades))

    def template(self, scratch, changes, quotes, trades):
        """Bytes in which %d are times and ids, and %b the symbol."""
        rules, is_spot = scratch.rules, scratch.venue.is_spot
        sides = [scratch.level_texts([c for c in changes if c[0] == side]).encode()
                 for side in (BID, ASK)]
        if is_spot:
            diff = (b'{"e":"depthUpdate","E":%%d,"s":"%%b","U":%%d,"u":%%d,"b":[%b],"a":[%b]}'
                    % tuple(sides))
        else:
            diff = (b'{"e":"depthUpdate","E":%%d,"T":%%d,"s":"%%b","U":%%d,"u":%%d,"pu":%%d,'
                    b'"b":[%b],"a":[%b],"st":1}' % tuple(sides))
        lines = []
        for quote in quotes:
            texts = tuple(text_of(v, d).encode() for v, d in zip(
                quote, (rules.price_decimals, rules.quantity_decimals) * 2))
            if is_spot:
                lines.append(b'{"u":%%d,"s":"%%b","b":"%b","B":"%b","a":"%b","A":"%b"}' % texts)
            else:
                lines.append(b'{"e":"bookTicker","u":%%d,"s":"%%b","b":"%b","B":"%b","a":"%b",'
                             b'"A":"%b","T":%%d,"E":%%d,"st":1}' % texts)
        return diff, lines, trades

    def book_at(self, step):
        """The book after `step` steps of a round."""
        book = self.base.copy()
        for changes, _, _ in self.steps[:step]:
            for change in changes:
                book.set(*change)
        return book


class FloodHistory:
    """What the book was, from the script instead of from memory."""

    def __init__(self, instrument):
        self.instrument = instrument

    def last_id(self):
        return self.instrument.first_update + self.instrument.steps_played * IDS

    def id_before(self, count):
        return max(self.instrument.first_update, self.last_id() - count * IDS)

    def at(self, update_id):
        one = self.instrument
        step = min(one.steps_played, (update_id - one.first_update) // IDS)
        if step < 0:
            return None
        return (one.first_update + step * IDS,
                one.script.book_at(step % len(one.script.steps)))


class FloodInstrument(Instrument):
    """A symbol that plays a script."""

    def __init__(self, venue, rules, seed, first_update, first_trade, script):
        self.script, self.steps_played, self.first_update = script, 0, first_update
        super().__init__(venue, rules, seed, first_update, first_trade)
        self.name = rules.symbol.encode()
        self.diff_stream = self.lower + "@depth@100ms"
        self.quote_stream = self.lower + "@bookTicker"
        self.history = FloodHistory(self)

    @property
    def book(self):
        return self.script.book_at(self.steps_played % len(self.script.steps))

    @book.setter
    def book(self, value):
        """The script is the book."""

    def begin(self, now_ms):
        self.klines.begin(now_ms)

    def play(self, now_ms):
        """One step of 100 ms."""
        script, hub = self.script, self.venue.hub
        diff, quotes, trades = script.templates[self.steps_played % len(script.steps)]
        before = self.update_id
        self.steps_played += 1
        after = self.update_id = self.diff_id = before + IDS
        if hub.wants(self.quote_stream):
            number = after - len(quotes) + 1
            for quote in quotes:
                if self.venue.is_spot:
                    hub.publish(self.quote_stream, quote % (number, self.name))
                else:
                    hub.publish(self.quote_stream, quote % (number, self.name, now_ms, now_ms))
                number += 1
        for side, price, quantity in trades:
            self.trade(price, quantity, side == BID, now_ms)
        if len(self.trades) > TRADES_MAX:
            del self.trades[:TRADES_MAX // 4], self.aggregates[:TRADES_MAX // 4]
        if hub.wants(self.diff_stream):
            if self.venue.is_spot:
                hub.publish(self.diff_stream, diff % (now_ms, self.name, before + 1, after))
            else:
                hub.publish(self.diff_stream,
                            diff % (now_ms, now_ms, self.name, before + 1, after, before))


class Flood:
    """All symbols of one market."""

    takes_trades, takes_levels = True, False

    def __init__(self, venue, seed, count):
        self.venue, self.seed = venue, seed
        self.dice = random.Random("%s bursts" % seed)
        self.slots = [[] for _ in range(SLOTS)]
        self.due_ms = self.mark_due_ms = 0
        self.slot = 0
        names = (list(KNOWN) + ["T%03dUSDT" % n for n in range(count)])[:count]
        shapes = [Rules(venue.name, "SCRIPT", price="%d.00" % 10 ** (1 + n % 4))
                  for n in range(min(SCRIPTS, count))]
        self.scripts = [Script(venue, rules, seed, n) for n, rules in enumerate(shapes)]
        for number, name in enumerate(names):
            self.add(number, name)

    def add(self, number, name):
        script = self.scripts[number % len(self.scripts)]
        rules = Rules(self.venue.name, name, price=text_of(script.base.best(BID)[0]),
                      tick="0.01" if self.venue.is_spot else "0.010", step="0.001")
        instrument = FloodInstrument(self.venue, rules, self.seed, 10 ** 9 + number * 10 ** 6,
                                     10 ** 7 + number * 10 ** 5, script)
        instrument.steps_played = self.dice.randrange(len(script.steps))
        instrument.update_id = instrument.diff_id = instrument.history.last_id()
        instrument.begin(self.venue.now_ms())
        instrument.trade(*script.base.best(ASK), False, self.venue.now_ms())
        if not self.venue.is_spot:
            instrument.mark = (rules.price, rules.price, "0.00010000",
                               self.venue.now_ms() // FUNDING_MS * FUNDING_MS + FUNDING_MS)
        self.slots[number % SLOTS].append(instrument)
        self.venue.instruments[name] = instrument

    def advance(self, now_ms):
        """One slot every 10 ms; now and then a slot has three steps at once."""
        # What a slow machine does not get done in time is left out, or turns would grow for ever.
        self.due_ms = max(self.due_ms, now_ms - TURN_MAX_MS) if self.due_ms else now_ms
        while now_ms >= self.due_ms:
            self.due_ms += 100 // SLOTS
            rounds = 3 if self.dice.randrange(BURST_OF) == 0 else 1
            for instrument in self.slots[self.slot]:
                if instrument.is_quiet or instrument.is_halted:
                    continue
                for _ in range(rounds):
                    instrument.play(now_ms)
            self.slot = (self.slot + 1) % SLOTS

    def list(self, symbol):
        for slot in self.slots:
            for instrument in slot:
                if instrument.symbol == symbol:
                    instrument.is_quiet = False
                    self.venue.instruments[symbol] = instrument

    def delist(self, symbol):
        instrument = self.venue.remove(symbol)
        if instrument:
            instrument.is_quiet = True
        return instrument

    def set_rate(self, symbol, rate):
        """A flood has the pace it has."""
