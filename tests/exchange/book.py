"""book - the true order book of a symbol, and what it was some thousand updates ago.

It is kept by the published rules alone: a quantity replaces what stood at its price, 0 removes it.

SPDX-License-Identifier: Apache-2.0
"""
import bisect
import collections
import hashlib

from wire import text_of

BID, ASK = 0, 1
CHUNK_UPDATES = 500


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
    """The book as of each of at least the last `updates_max` diffs that were published."""

    def __init__(self, book, update_id, updates_max):
        self.head = book.copy()  # as of the last diff
        self.updates_max = updates_max
        # (id, book, [(update id, [(side, price, quantity)])]): a book and what came after it
        self.chunks = collections.deque([(update_id, book.copy(), [])])

    def append(self, update_id, changes):
        updates = self.chunks[-1][2]
        updates.append((update_id, changes))
        for side, price, quantity in changes:
            self.head.set(side, price, quantity)
        if len(updates) >= CHUNK_UPDATES:
            self.chunks.append((update_id, self.head.copy(), []))
            if (len(self.chunks) - 2) * CHUNK_UPDATES >= self.updates_max:
                self.chunks.popleft()

    def last_id(self):
        updates = self.chunks[-1][2]
        return updates[-1][0] if updates else self.chunks[-1][0]

    def at(self, update_id):
        """(id, book) of the last published update that is not newer; None when too old."""
        for reached, base, updates in reversed(self.chunks):
            if reached > update_id:
                continue
            book = base.copy()
            for number, changes in updates:
                if number > update_id:
                    break
                for side, price, quantity in changes:
                    book.set(side, price, quantity)
                reached = number
            return reached, book
        return None

    def id_before(self, count):
        """The id of the update `count` updates ago, or the oldest known."""
        for reached, _, updates in reversed(self.chunks):
            if count < len(updates):
                return updates[-1 - count][0]
            count -= len(updates)
        return reached
