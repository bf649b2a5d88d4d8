"""side_spot - balances of the spot side: what is free, what orders hold, and commissions.

SPDX-License-Identifier: Apache-2.0
"""
from side import Side
from wire import SCALE, Refusal, product

INSUFFICIENT = "Account has insufficient balance for requested action."
BNB_PART = 75  # of the commission in percent, for who pays in BNB


class Spot(Side):
    """balances: {asset: [free, locked]}."""

    def __init__(self, account, venue):
        super().__init__(account, venue)
        self.balances = {}
        self.pays_in_bnb = False
        self.update_ms = venue.now_ms()

    def balance(self, asset):
        return self.balances.setdefault(asset, [0, 0])

    def deposit(self, asset, delta, now_ms):
        """More or less of an asset, from outside."""
        self.balance(asset)[0] += delta
        self.update_ms = now_ms
        self.account.emit("spot_balance", {"asset": asset, "delta": delta, "time_ms": now_ms})
        self.tell_assets([asset], now_ms)

    def rules(self, order):
        return self.venue.rules_of(order.symbol)

    def pays_with(self, order):
        rules = self.rules(order)
        return rules.quote if order.is_buy else rules.base

    def reserve(self, order, amount):
        """Locks what the order may cost, or refuses it."""
        entry = self.balance(self.pays_with(order))
        if entry[0] < amount:
            raise Refusal(-2010, INSUFFICIENT)
        entry[0] -= amount
        entry[1] += amount
        order.locked = amount

    def release(self, order):
        entry = self.balance(self.pays_with(order))
        entry[0] += order.locked
        entry[1] -= order.locked
        order.locked = 0

    def settle(self, order, trade):
        rules = self.rules(order)
        paid, got = (trade.quote, trade.quantity) if order.is_buy else \
            (trade.quantity, trade.quote)
        entry = self.balance(self.pays_with(order))
        from_locked = min(paid, order.locked)
        order.locked -= from_locked
        entry[1] -= from_locked
        entry[0] -= paid - from_locked
        asset = rules.base if order.is_buy else rules.quote
        self.balance(asset)[0] += got
        self.charge(trade, asset, got)
        self.update_ms = trade.time_ms

    def charge(self, trade, asset, got):
        rate = self.makers if trade.is_maker else self.takers
        trade.commission, trade.commission_asset = product(got, rate), asset
        price = self.venue.last_price("BNBUSDT") if self.pays_in_bnb else None
        if price:
            in_bnb = product(trade.quote, rate) * BNB_PART // 100 * SCALE // price
            if self.balance("BNB")[0] >= in_bnb:
                trade.commission, trade.commission_asset = in_bnb, "BNB"
        self.balance(trade.commission_asset)[0] -= trade.commission

    def tell_fill(self, order, trade, now_ms):
        self.tell(order, "TRADE", now_ms, trade)
        rules = self.rules(order)
        self.tell_assets(dict.fromkeys((rules.base, rules.quote, trade.commission_asset)), now_ms)

    def tell_money(self, order, now_ms):
        rules = self.rules(order)
        self.update_ms = now_ms
        self.tell_assets((rules.base, rules.quote), now_ms)

    def tell_assets(self, assets, now_ms):
        self.account.emit("spot_balances", {
            "assets": {asset: tuple(self.balance(asset)) for asset in assets},
            "time_ms": now_ms})
