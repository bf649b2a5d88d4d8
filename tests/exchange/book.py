"""book - the true order book of a symbol, and what it was some thousand updates ago.

It is kept by the published rules alone: a quantity replaces what stood at its price, 0 removes it.

SPDX-License-Identifier: Apache-2.0
"""
import bisect
import collections
import hashlib

from wire import text_of

BID, ASK = 0, 1


class Book:
    """Both sides; prices and quantities are integers at 10^-8."""

    def __init__(self):
        self.levels = ({}, {})  # price: quantity, bids and asks
        self.prices = ([], [])  # ascending

    def copy(self):
        other = Book()
        other.levels = tuple(dict(side) for side in self.levels)
        other.prices = tuple(list(side) for side in self.prices)
        return other

    def set(self, side, price, quantity):
        levels, prices = self.levels[side], self.prices[side]
        if quantity:
            if price not in levels:
                bisect.insort(prices, price)
            levels[price] = quantity
        elif levels.pop(price, None) is not None:
            del prices[bisect.bisect_left(prices, price)]

    def best(self, side):
        """(price, quantity), or None when nothing stands there."""
        prices = self.prices[side]
        if not prices:
            return None
        price = prices[-1] if side == BID else prices[0]
        return price, self.levels[side][price]

    def top(self, side, count):
        """The best `count` levels, best first."""
        prices = self.prices[side]
        chosen = prices[:-count - 1:-1] if side == BID else prices[:count]
        return [(price, self.levels[side][price]) for price in chosen]

    def texts(self, side, count, rules):
        return [[text_of(price, rules.price_decimals), text_of(quantity, rules.quantity_decimals)]
                for price, quantity in self.top(side, count)]

    def is_crossed(self):
        bid, ask = self.best(BID), self.best(ASK)
        return bool(bid and ask and bid[0] >= ask[0])

    def digest(self):
        """SHA-256 of all levels, best first, one "b|a price quantity" a line, integers at 10^-8."""
        total = hashlib.sha256()
        for side, letter in ((BID, "b"), (ASK, "a")):
            for price, quantity in self.top(side, len(self.prices[side])):
                total.update(b"%s %d %d\n" % (letter.encode(), price, quantity))
        return total.hexdigest()


class History:
    """The book as of each of the last `updates_max` diffs that were published."""

    def __init__(self, book, update_id, updates_max):
        self.base, self.base_id = book.copy(), update_id
        self.updates = collections.deque()  # (update id, [(side, price, quantity)])
        self.updates_max = updates_max

    def append(self, update_id, changes):
        self.updates.append((update_id, changes))
        if len(self.updates) > self.updates_max:
            self.base_id, first = self.updates.popleft()
            for side, price, quantity in first:
                self.base.set(side, price, quantity)

    def last_id(self):
        return self.updates[-1][0] if self.updates else self.base_id

    def at(self, update_id):
        """(id, book) of the last published update that is not newer; None when too old."""
        if update_id < self.base_id:
            return None
        book, reached = self.base.copy(), self.base_id
        for number, changes in self.updates:
            if number > update_id:
                break
            for side, price, quantity in changes:
                book.set(side, price, quantity)
            reached = number
        return reached, book

    def id_before(self, count):
        """The id of the update `count` updates ago, or the oldest known."""
        if count >= len(self.updates):
            return self.base_id
        return self.updates[-1 - count][0]
