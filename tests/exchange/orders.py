"""orders - an order of an account and its trades, as the engine keeps them.

Amounts are integers at 10^-8; how they are written is the answers' and the streams' business.

SPDX-License-Identifier: Apache-2.0
"""
from wire import SCALE

BUY, SELL = "BUY", "SELL"
NEW, PARTIALLY_FILLED, FILLED = "NEW", "PARTIALLY_FILLED", "FILLED"
CANCELED, EXPIRED, EXPIRED_IN_MATCH = "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"
OPEN_STATES = (NEW, PARTIALLY_FILLED)
STOP_TYPES = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
NEVER_MS = -1


class Trade:
    """One fill of an order."""

    def __init__(self, order, number, price, quantity, is_maker, time_ms):
        self.order, self.number = order, number  # the number is the symbol's trade id
        self.price, self.quantity = price, quantity
        self.is_maker, self.time_ms = is_maker, time_ms
        self.commission, self.commission_asset = 0, ""
        self.realized = 0  # profit, of futures
        self.quote = price * quantity // SCALE


class Order:
    """One order; `market` is spot or usdm."""

    def __init__(self, account, market, symbol, order_id, client_id, side, kind):
        self.account, self.market, self.symbol = account, market, symbol
        self.order_id, self.client_id = order_id, client_id
        self.side, self.type = side, kind
        self.original_type = kind
        self.time_in_force = "GTC"
        self.quantity = self.quote_quantity = 0
        self.price = self.stop_price = self.iceberg = 0
        self.trailing_delta = 0   # in basis points, 0 = none
        self.trailing_ms = NEVER_MS
        self.extreme = 0          # best price since trailing began
        self.strategy_id = self.strategy_type = None
        self.self_trade = "EXPIRE_MAKER"
        self.reduce_only = False
        self.position_side = "BOTH"
        self.good_till_ms = 0
        self.status, self.expiry_reason = NEW, None
        self.executed = self.quote_executed = 0
        self.locked = 0           # of the asset that it pays with
        self.time_ms = self.update_ms = 0
        self.working_ms = NEVER_MS
        self.visible_ms = 0       # queries do not see it before
        self.is_scripted = False  # it rests, whatever the book does, until it is told
        self.trades = []

    @property
    def is_buy(self):
        return self.side == BUY

    @property
    def left(self):
        return self.quantity - self.executed

    @property
    def is_open(self):
        return self.status in OPEN_STATES

    @property
    def is_waiting(self):
        """A stop that has not been triggered."""
        return self.working_ms == NEVER_MS and self.original_type in STOP_TYPES

    @property
    def has_price(self):
        return self.type in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")

    @property
    def average(self):
        return self.quote_executed * SCALE // self.executed if self.executed else 0
