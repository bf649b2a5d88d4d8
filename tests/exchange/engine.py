"""engine - when orders trade: against the stand-in's own book, when its market comes to them, or
in the pieces that a script gives.

Resting orders do not stand in the public book; takers do eat from it, where the market is made up
here. Trade ids of accounts rise per symbol.

SPDX-License-Identifier: Apache-2.0
"""
import itertools

import scripts
import triggers
from book import ASK, BID
from orders import CANCELED, EXPIRED
from wire import SCALE, Refusal, product

FOK, IOC = "FOK", "IOC"
NO_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"


class Engine:
    """The orders of all accounts on one market."""

    def __init__(self, venue, source_of):
        self.venue, self.source_of = venue, source_of
        self.order_ids = itertools.count(28 * 10 ** 9 if venue.is_spot else 8 * 10 ** 9)
        self.newest = 0      # order id
        self.working = {}    # symbol: {order id: order}, with those that were ended lately
        self.last_trade = {}  # symbol: the last trade id of an account
        self.heard = []      # trades of the market since the last turn
        self.seen = {}       # symbol: second and best prices of the last turn that looked
        self.is_eating = False
        self.scripts = scripts.Scripts()
        venue.on_trade = self.hear

    @staticmethod
    def side(order):
        return order.account.side(order.market)

    def instrument(self, order):
        return self.venue.instruments[order.symbol]

    def step(self, order):
        return self.venue.rules_of(order.symbol).step

    # Placing.

    def place(self, order, visible_ms=0):
        """Takes a well-formed order, or refuses it."""
        side, now = self.side(order), self.venue.clock_ms()
        script = self.scripts.find(order)
        if script and script.refusal:
            raise script.refusal
        self.judge(order, script)
        pieces, is_short = self.pieces(order, script)
        if order.time_in_force == FOK and sum(q for _, q in pieces) < order.quantity:
            if not self.venue.is_spot:
                raise Refusal(-5021, "Due to the order could not be filled immediately, the FOK "
                              "order has been rejected. The order will not be recorded in the "
                              "order history")
            pieces = []
        if order.quote_quantity:
            order.quantity = sum(q for _, q in pieces) + (self.step(order) if is_short else 0) or \
                order.quote_quantity * SCALE // self.venue.last_price(order.symbol) \
                // self.step(order) * self.step(order)
        side.reserve(order, self.cost(order, pieces))
        order.order_id = self.newest = next(self.order_ids)
        order.visible_ms = visible_ms
        if not order.is_waiting:
            order.working_ms = now
        elif order.trailing_delta and not order.stop_price:
            order.trailing_ms = now
        side.accept(order, now)
        self.working.setdefault(order.symbol, {})[order.order_id] = order
        self.seen.pop(order.symbol, None)
        if not order.is_waiting:
            self.execute(order, pieces, script)

    def judge(self, order, script):
        """What only the engine can refuse."""
        if order.is_waiting:
            if order.stop_price and triggers.is_met(order, self.venue.last_price(order.symbol)):
                raise Refusal(-2010 if self.venue.is_spot else -2021,
                              "Order would trigger immediately.")
            return
        is_maker_only = order.type == "LIMIT_MAKER" or order.time_in_force == "GTX"
        if is_maker_only and not (script and script.rests) and self.walk(order, order.quantity):
            if self.venue.is_spot:
                raise Refusal(-2010, "Order would immediately match and take.")
            raise Refusal(-5022, "Due to the order could not be executed as maker, the Post Only "
                          "order will be rejected. The order will not be recorded in the order "
                          "history")
        if order.reduce_only and not self.side(order).closing(order):
            raise Refusal(-2022, "ReduceOnly Order is rejected.")

    def pieces(self, order, script):
        """What it takes at once, [(price, quantity)], and whether the book was too thin."""
        if order.is_waiting:
            return [], False
        if script:
            return script.pieces_of(order), False
        if order.quote_quantity:
            return self.walk_quote(order)
        wanted = order.left
        if order.reduce_only:
            wanted = min(wanted, self.side(order).closing(order))
        pieces = self.walk(order, wanted)
        return pieces, sum(q for _, q in pieces) < wanted

    def levels(self, order):
        """What stands against it, best first."""
        book, side = self.instrument(order).book, ASK if order.is_buy else BID
        for price in book.prices[side] if side == ASK else reversed(book.prices[side]):
            yield price, book.levels[side][price]

    def walk(self, order, wanted):
        """The levels of the book that fill it, as far as its limit goes."""
        pieces = []
        for price, standing in self.levels(order):
            if wanted <= 0 or (order.has_price and
                               (price > order.price if order.is_buy else price < order.price)):
                break
            pieces.append((price, min(wanted, standing)))
            wanted -= standing
        return pieces

    def walk_quote(self, order):
        """What can be bought for, or has to be sold to get, a sum; in steps."""
        step, left, pieces = self.step(order), order.quote_quantity, []
        for price, standing in self.levels(order):
            quantity = min(standing, left * SCALE // price // step * step)
            if quantity <= 0:
                return pieces, False
            pieces.append((price, quantity))
            left -= product(price, quantity)
        return pieces, True

    def cost(self, order, pieces):
        """The most it may cost: of what it pays with on spot, its notional on USD-M."""
        worst = order.price or order.stop_price or 0
        if not worst and order.is_buy and not pieces and order.quantity:
            worst = self.venue.last_price(order.symbol)
        notional = product(worst, order.quantity) if worst else \
            sum(product(p, q) for p, q in pieces)
        if not self.venue.is_spot:
            return notional or product(self.venue.mark_price(order.symbol), order.quantity)
        return notional if order.is_buy else order.quantity

    def execute(self, order, pieces, script=None):
        """An order that works begins: it takes, and rests or ends."""
        self.take(order, pieces, eats=script is None)
        if not order.is_open:
            return
        if script and script.rests:
            return
        now, side = self.venue.clock_ms(), self.side(order)
        if order.time_in_force in (IOC, FOK):
            side.finish(order, EXPIRED, now, reason="UNFILLED_%s_QUANTITY_EXPIRED" % IOC
                        if order.time_in_force == IOC else "UNFILLED_FOK_ORDER_EXPIRED")
        elif not order.has_price:
            side.finish(order, EXPIRED, now, reason=NO_LIQUIDITY)

    def take(self, order, pieces, eats):
        for price, quantity in pieces:
            number = self.next_number(order.symbol)
            if eats:
                self.eat(order, price, quantity)
            self.side(order).fill(order, price, quantity, False, number, self.venue.clock_ms())
        if pieces:
            self.reduce_only_orders(order)

    def eat(self, order, price, quantity, is_maker=False):
        """The public book and tape see what was taken; a maker's trade is at its own price."""
        instrument = self.instrument(order)
        source = self.source_of(self.venue.name)
        if not (source.takes_trades and source.takes_levels):
            return
        side = ASK if order.is_buy else BID
        standing = instrument.book.levels[side].get(price, 0)
        self.is_eating = True
        instrument.trade(order.price if is_maker else price, quantity,
                         order.is_buy == is_maker, self.venue.now_ms())
        self.is_eating = False
        instrument.change(side, price, max(0, standing - quantity))
        instrument.say_touch(self.venue.now_ms())

    def next_number(self, symbol):
        number = max(self.last_trade.get(symbol, 0) + 1, self.venue.instruments[symbol].next_trade)
        self.last_trade[symbol] = number
        return number

    def reduce_only_orders(self, order):
        """Those that have nothing left to reduce end with the position."""
        if self.venue.is_spot:
            return
        for other in self.side(order).open_orders(order.symbol):
            if other is not order and other.reduce_only and not self.side(order).closing(other):
                self.side(order).finish(other, EXPIRED, self.venue.clock_ms())

    # Later.

    def fill(self, order, price, quantity, is_maker=True):
        """A fill that a script or the market gives."""
        if order.reduce_only:
            quantity = min(quantity, self.side(order).closing(order))
        trade = self.side(order).fill(order, price, quantity, is_maker,
                                      self.next_number(order.symbol), self.venue.clock_ms())
        self.reduce_only_orders(order)
        return trade

    def cancel(self, order, cancel_id=None, status=CANCELED):
        self.side(order).finish(order, status, self.venue.clock_ms(), cancel_id=cancel_id)

    def hear(self, instrument, price, quantity):
        """A trade of the market; what it does to orders is done in the next turn."""
        if instrument.symbol in self.working and not self.is_eating:
            self.heard.append((instrument.symbol, price, quantity, self.newest))

    def turn(self):
        """What happened on the market happens to the orders."""
        heard, self.heard = self.heard, []
        for symbol, price, quantity, newest in heard:
            for order in self.alive(symbol):
                if order.order_id <= newest:  # else it came after that trade
                    self.traded(order, price, quantity)
        now_s = self.venue.clock_ms() // 1000
        for symbol in [s for s in self.working if s in self.venue.instruments]:
            book = self.venue.instruments[symbol].book
            seen = (now_s, book.best(BID), book.best(ASK))
            if self.seen.get(symbol) == seen:
                continue
            self.seen[symbol] = seen
            for order in self.alive(symbol):
                self.come_to(order)
            if not self.working[symbol]:
                del self.working[symbol]

    def alive(self, symbol):
        orders = self.working.get(symbol, {})
        for order_id in [i for i, o in orders.items() if not o.is_open]:
            del orders[order_id]
        return list(orders.values()) if symbol in self.venue.instruments else []

    def traded(self, order, price, quantity):
        """The market traded at a price."""
        if not order.is_open:
            return
        if order.is_waiting:
            if triggers.heard(order, price, self.venue.clock_ms()):
                self.trigger(order)
        elif order.has_price and (price <= order.price if order.is_buy else price >= order.price):
            self.fill(order, order.price, min(order.left, quantity))

    def trigger(self, order):
        order.working_ms = order.update_ms = self.venue.clock_ms()
        self.execute(order, self.affordable(order, self.walk(order, order.left)))

    def affordable(self, order, pieces):
        """A stop may have become dearer than what was locked for it."""
        if not self.venue.is_spot or not order.is_buy:
            return pieces
        side, chosen = self.side(order), []
        left = order.locked + side.balance(side.pays_with(order))[0]
        for price, quantity in pieces:
            quantity = min(quantity, left * SCALE // price // self.step(order) * self.step(order))
            if quantity <= 0:
                break
            chosen.append((price, quantity))
            left -= product(price, quantity)
        return chosen

    def come_to(self, order):
        """The book crossed the price of a resting order; or its time is over."""
        if not order.is_open:
            return
        if order.good_till_ms and self.venue.clock_ms() >= order.good_till_ms:
            self.cancel(order, status=EXPIRED)
        elif order.has_price and not order.is_waiting and not order.is_scripted:
            for price, quantity in self.walk(order, order.left):
                self.eat(order, price, quantity, is_maker=True)
                if order.is_open:
                    self.fill(order, order.price, min(order.left, quantity))
