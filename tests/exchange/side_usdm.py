"""side_usdm - the futures side: wallets, positions, leverage and margin.

One-way mode keeps one position a symbol (BOTH); in hedge mode there are LONG and SHORT.

SPDX-License-Identifier: Apache-2.0
"""
from side import Side
from wire import Refusal, product

LEVERAGE = 20
MARGIN_TOO_LOW = "Margin is insufficient."


class Position:
    """What is held of one symbol; amount is negative when short."""

    def __init__(self, symbol, side):
        self.symbol, self.side = symbol, side
        self.amount = self.entry = self.realized = self.update_ms = 0

    def profit(self, price):
        return signed_product(price - self.entry, self.amount)

    def trade(self, quantity, price):
        """Adds a signed quantity; the profit of what was closed."""
        closed = min(abs(quantity), abs(self.amount)) if quantity * self.amount < 0 else 0
        realized = signed_product(price - self.entry, closed if self.amount > 0 else -closed)
        amount = self.amount + quantity
        if amount == 0:
            self.entry = 0
        elif closed == 0:
            self.entry = (self.entry * abs(self.amount) + price * abs(quantity)) // abs(amount)
        elif closed < abs(quantity):
            self.entry = price  # it turned round
        self.amount = amount
        self.realized += realized
        return realized


def signed_product(a, b):
    return product(a, b) if a * b >= 0 else -product(abs(a), abs(b))


class Usdm(Side):
    """wallets: {asset: balance}; positions: {(symbol, side): Position}."""

    def __init__(self, account, venue):
        super().__init__(account, venue)
        self.makers, self.takers = 20000, 50000
        self.wallets, self.positions = {}, {}
        self.is_hedged = False
        self.leverages, self.margin_types = {}, {}
        self.update_ms = venue.now_ms()

    def deposit(self, asset, delta, now_ms):
        self.change(asset, delta, "DEPOSIT" if delta >= 0 else "WITHDRAW", now_ms)

    def change(self, asset, delta, reason, now_ms):
        """More or less of an asset, not by trading."""
        self.wallets[asset] = self.wallets.get(asset, 0) + delta
        self.update_ms = now_ms
        self.tell_account(reason, {asset: delta}, [], now_ms)

    def position(self, symbol, side="BOTH"):
        return self.positions.setdefault((symbol, side), Position(symbol, side))

    def leverage(self, symbol):
        return self.leverages.get(symbol, LEVERAGE)

    def margin_type(self, symbol):
        return self.margin_types.get(symbol, "CROSSED")

    # Margin.

    def mark(self, symbol):
        return self.venue.mark_price(symbol)

    def unrealized(self):
        return sum(p.profit(self.mark(p.symbol)) for p in self.positions.values() if p.amount)

    def position_margin(self):
        return sum(product(abs(p.amount), self.mark(p.symbol)) // self.leverage(p.symbol)
                   for p in self.positions.values())

    def order_margin(self):
        return sum(o.locked for o in self.open.values())

    def available(self, asset="USDT"):
        wallet = self.wallets.get(asset, 0)
        if asset != "USDT":
            return wallet
        return max(0, wallet + self.unrealized() - self.position_margin() - self.order_margin())

    def closing(self, order):
        """How much the order could close now."""
        held = self.position(order.symbol, order.position_side).amount
        return abs(held) if held and (held < 0) == order.is_buy else 0

    def reserve(self, order, notional):
        """Locks the margin of what would open or grow a position, or refuses it."""
        opens = max(0, order.quantity - self.closing(order))
        margin = notional * opens // order.quantity // self.leverage(order.symbol)
        if order.reduce_only:
            margin = 0
        if margin > self.available():
            raise Refusal(-2019, MARGIN_TOO_LOW)
        order.locked = margin

    def release(self, order):
        order.locked = 0

    # Money.

    def settle(self, order, trade):
        position = self.position(order.symbol, order.position_side)
        trade.realized = position.trade(trade.quantity if order.is_buy else -trade.quantity,
                                        trade.price)
        position.update_ms = trade.time_ms
        asset = self.venue.rules_of(order.symbol).quote
        rate = self.makers if trade.is_maker else self.takers
        trade.commission, trade.commission_asset = product(trade.quote, rate), asset
        self.wallets[asset] = self.wallets.get(asset, 0) + trade.realized - trade.commission
        order.locked = order.locked * order.left // (order.left + trade.quantity)
        self.update_ms = trade.time_ms

    def tell_fill(self, order, trade, now_ms):
        self.tell_account("ORDER", {trade.commission_asset: 0},
                          [self.position(order.symbol, order.position_side)], now_ms)
        self.tell(order, "TRADE", now_ms, trade)

    def tell_money(self, order, now_ms):
        """Orders that do not trade are not told on the account's events."""

    def tell_account(self, reason, deltas, positions, now_ms):
        self.account.emit("usdm_account", {
            "reason": reason, "positions": positions, "time_ms": now_ms,
            "assets": {asset: (self.wallets.get(asset, 0), delta)
                       for asset, delta in deltas.items()}})

    def set_leverage(self, symbol, leverage, now_ms):
        self.leverages[symbol] = leverage
        self.account.emit("usdm_config", {"symbol": symbol, "leverage": leverage,
                                          "time_ms": now_ms})
