"""side - what both markets' sides of an account share: orders by id, their lives, their trades.

Money is the business of side_spot.py and side_usdm.py; when an order trades, of engine.py.

SPDX-License-Identifier: Apache-2.0
"""
from limits import Window
from orders import CANCELED, FILLED, NEW, PARTIALLY_FILLED, Trade
from wire import Refusal

# Given back of the count of orders on an order's first fill; the count never falls below none.
MAKER_FILLS, TAKER_FILLS = 5, 1


class Side:
    """The orders of one account on one market."""

    def __init__(self, account, venue):
        self.account, self.venue = account, venue
        self.orders, self.open = {}, {}  # by order id, oldest first
        self.by_client = {}              # client id: [Order], oldest first
        self.trades = []
        self.makers, self.takers = 100000, 100000  # commission, parts of 10^8
        self.order_windows = {name: Window(limit, window_ms)
                              for name, (limit, window_ms) in venue.order_limits.items()}
        self.struck = (None, 0)  # placements over a limit: of which window, how many

    # Looking.

    def find(self, symbol, order_id=None, client_id=None, now_ms=None):
        """The order, or None. Of a client id used again, the newest. With now_ms only what queries
        can see by then."""
        found = self.by_client.get(client_id, []) if order_id is None else \
            [self.orders[order_id]] if order_id in self.orders else []
        for order in reversed(found):
            if order.symbol == symbol and client_id in (None, order.client_id) \
                    and (now_ms is None or order.visible_ms <= now_ms):
                return order
        return None

    def open_orders(self, symbol=None):
        return [o for o in self.open.values() if symbol in (None, o.symbol)]

    def has_open(self, client_id):
        return any(o.is_open for o in self.by_client.get(client_id, []))

    # Order limits.

    def full_window(self):
        """The name of the window in which no further order may be placed, or None."""
        for name, window in self.order_windows.items():
            window.roll()
            if window.used >= window.limit:
                return name
        return None

    def strikes(self, window):
        """One more placement came over this limit: how many that makes in its window."""
        which = (window, window.number)
        self.struck = (which, self.struck[1] + 1 if self.struck[0] == which else 1)
        return self.struck[1]

    def count_order(self):
        for window in self.order_windows.values():
            window.spend(1)

    def give_back_orders(self, count):
        for window in self.order_windows.values():
            window.roll()
            window.used = max(0, window.used - count)

    # The life of an order.

    def tell(self, order, execution, time_ms, trade=None, cancel_id=None):
        self.account.emit(self.venue.name + "_order", {
            "order": order, "execution": execution, "trade": trade, "time_ms": time_ms,
            "execution_id": next(self.account.execution_ids), "cancel_id": cancel_id})

    def accept(self, order, now_ms):
        """The engine has it; reserve() has been asked before."""
        order.time_ms = order.update_ms = now_ms
        order.status = NEW
        self.orders[order.order_id] = self.open[order.order_id] = order
        self.by_client.setdefault(order.client_id, []).append(order)
        self.tell(order, NEW, now_ms)
        self.tell_money(order, now_ms)

    def fill(self, order, price, quantity, is_maker, number, now_ms):
        """One trade of the order."""
        if not order.is_open or not 0 < quantity <= order.left:
            raise Refusal(-1, "order %d cannot be filled by that much" % order.order_id)
        trade = Trade(order, number, price, quantity, is_maker, now_ms)
        order.executed += quantity
        order.quote_executed += trade.quote
        order.update_ms = now_ms
        order.status = PARTIALLY_FILLED if order.left else FILLED
        if not order.trades and self.venue.is_spot:
            self.give_back_orders(MAKER_FILLS if is_maker else TAKER_FILLS)
        order.trades.append(trade)
        self.trades.append(trade)
        self.settle(order, trade)
        if order.status == FILLED:
            self.close(order)
        self.tell_fill(order, trade, now_ms)
        return trade

    def close(self, order):
        self.open.pop(order.order_id, None)
        self.release(order)

    def finish(self, order, status, now_ms, cancel_id=None, reason=None):
        """Its end without being filled."""
        order.status, order.update_ms, order.expiry_reason = status, now_ms, reason
        self.close(order)
        self.tell(order, CANCELED if status == CANCELED else "EXPIRED", now_ms,
                  cancel_id=cancel_id)
        self.tell_money(order, now_ms)
