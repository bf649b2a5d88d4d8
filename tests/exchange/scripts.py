"""scripts - what a test wants to become of the next orders: pieces, rest, or a refusal.

SPDX-License-Identifier: Apache-2.0
"""
import fnmatch

from wire import Refusal, scaled


class BadScript(ValueError):
    pass


class Script:
    """For the next `count` orders that fit: pieces [[price, quantity], ..] are filled at once;
    what is left rests (then=rest, even a market order) or ends by its own rules (then=rules)."""

    def __init__(self, symbol=None, side=None, type=None, client_id="*", account=None, pieces=(),
                 then="rules", code=0, words="", status=400, count=1):
        if then not in ("rules", "rest"):
            raise BadScript("then is rules or rest")
        self.symbol, self.side, self.type = symbol, side, type
        self.client_id, self.account = client_id, account
        self.pieces = [(scaled(p), scaled(q)) for p, q in pieces]
        self.rests = then == "rest"
        self.refusal = Refusal(code, words, status) if code else None
        self.count = count

    def fits(self, order):
        return self.count > 0 and self.symbol in (None, order.symbol) \
            and self.side in (None, order.side) and self.type in (None, order.type) \
            and self.account in (None, order.account.number) \
            and fnmatch.fnmatchcase(order.client_id, self.client_id)

    def pieces_of(self, order):
        """As much of the pieces as the order wants."""
        left, pieces = order.quantity, []
        for price, quantity in self.pieces:
            quantity = min(quantity, left) if not order.quote_quantity else quantity
            if quantity:
                pieces.append((price, quantity))
            left -= quantity
        return pieces


class Scripts:
    """The scripts of one market, first come, first used."""

    def __init__(self):
        self.waiting = []

    def add(self, what):
        try:
            self.waiting.append(Script(**what))
        except TypeError as e:
            raise BadScript(str(e)) from None

    def find(self, order):
        """The script of this order, which is used up by that; or None."""
        for script in self.waiting:
            if script.fits(order):
                script.count -= 1
                order.is_scripted = script.rests
                self.waiting = [s for s in self.waiting if s.count > 0]
                return script
        return None
