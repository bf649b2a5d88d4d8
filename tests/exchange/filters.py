"""filters - the exchange's filters, tried on an order; each market says it in its own words.

The values are read from exchangeInfo's own view of the symbol, so what is told there is what holds.

SPDX-License-Identifier: Apache-2.0
"""
from gate import wrong
from rules import EXCHANGE_FILTERS
from wire import SCALE, product, scaled, text_of

ALGO_TYPES = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")


def by_type(view):
    return {f["filterType"]: f for f in view["filters"]}


def is_between(value, least, most):
    return value >= scaled(least) and (scaled(most) == 0 or value <= scaled(most))


def is_stepped(value, step):
    return scaled(step) == 0 or value % scaled(step) == 0


class SpotFilters:
    """All that a spot order has to pass, before the engine sees it."""

    def __init__(self, side, rules, last):
        self.side, self.last = side, last
        self.found = by_type(rules.spot_view())

    def fail(self, name):
        wrong(-1013, "Filter failure: " + name, "filter")

    def check(self, order):
        self.prices(order)
        self.quantities(order)
        self.notional(order)
        self.trailing(order)
        self.numbers(order)

    def prices(self, order):
        f = self.found["PRICE_FILTER"]
        for price in (order.price if order.has_price else 0, order.stop_price):
            if price and not (is_between(price, f["minPrice"], f["maxPrice"])
                              and is_stepped(price, f["tickSize"])):
                self.fail("PRICE_FILTER")
        if order.has_price:
            f, word = self.found["PERCENT_PRICE_BY_SIDE"], "bid" if order.is_buy else "ask"
            least, most = (product(self.last, scaled(f[word + "Multiplier" + end]))
                           for end in ("Down", "Up"))
            if not least <= order.price <= most:
                self.fail("PERCENT_PRICE_BY_SIDE")

    def quantities(self, order):
        if order.quote_quantity:
            return
        for quantity in (order.quantity, order.iceberg):
            self.lot("LOT_SIZE", quantity)
        if not order.has_price:
            self.lot("MARKET_LOT_SIZE", order.quantity)
        if order.iceberg and \
                -(-order.quantity // order.iceberg) > self.found["ICEBERG_PARTS"]["limit"]:
            self.fail("ICEBERG_PARTS")

    def lot(self, name, quantity):
        f = self.found[name]
        if quantity and not (is_between(quantity, f["minQty"], f["maxQty"])
                             and is_stepped(quantity, f["stepSize"])):
            self.fail(name)

    def notional(self, order):
        f = self.found["NOTIONAL"]
        amount = order.quote_quantity or \
            product(order.price if order.has_price else self.last, order.quantity)
        is_market = not order.has_price
        if (not is_market or f["applyMinToMarket"]) and amount < scaled(f["minNotional"]):
            self.fail("NOTIONAL")
        if (not is_market or f["applyMaxToMarket"]) and amount > scaled(f["maxNotional"]):
            self.fail("NOTIONAL")

    def trailing(self, order):
        if not order.trailing_delta:
            return
        is_above = order.type.startswith("STOP_LOSS") == order.is_buy
        f, word = self.found["TRAILING_DELTA"], "Above" if is_above else "Below"
        if not f["minTrailing%sDelta" % word] <= order.trailing_delta \
                <= f["maxTrailing%sDelta" % word]:
            self.fail("TRAILING_DELTA")

    def numbers(self, order):
        """Of the symbol, then of all."""
        for head, filters, opened in (
                ("", self.found, self.side.open_orders(order.symbol)),
                ("EXCHANGE_", by_type({"filters": EXCHANGE_FILTERS}), self.side.open_orders())):
            for name, most, is_such in (
                    ("MAX_NUM_ORDERS", "maxNumOrders", lambda o: True),
                    ("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders",
                     lambda o: o.original_type in ALGO_TYPES),
                    ("MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", lambda o: o.iceberg)):
                if is_such(order) and \
                        sum(1 for o in opened if is_such(o)) >= filters[head + name][most]:
                    self.fail(head + name)

    def position(self, order):
        """By the engine, and so under another code: what one has, and what orders may bring."""
        if not order.is_buy:
            return
        rules = self.side.rules(order)
        has = sum(self.side.balance(rules.base)) + order.quantity + \
            sum(o.left for o in self.side.open_orders(order.symbol) if o.is_buy)
        if has > scaled(self.found["MAX_POSITION"]["maxPosition"]):
            wrong(-2010, "Filter failure: MAX_POSITION", "filter")


class UsdmFilters:
    """The same of a USD-M order; every filter has a code of its own."""

    def __init__(self, side, rules, mark):
        self.side, self.rules, self.mark = side, rules, mark
        self.found = by_type(rules.usdm_view())

    @staticmethod
    def fail(code, message):
        wrong(code, message, "filter")

    def check(self, order):
        for value, decimals in ((order.price, self.rules.price_decimals),
                                (order.quantity, self.rules.quantity_decimals)):
            if value % 10 ** (8 - decimals):
                self.fail(-1111, "Precision is over the maximum defined for this asset.")
        if order.has_price:
            self.price(order)
        f = self.found["LOT_SIZE" if order.has_price else "MARKET_LOT_SIZE"]
        if order.quantity < scaled(f["minQty"]):
            self.fail(-4004, "Quantity less than min quantity.")
        if order.quantity > scaled(f["maxQty"]):
            self.fail(-4005, "Quantity greater than max quantity.")
        if not is_stepped(order.quantity, f["stepSize"]):
            self.fail(-4023, "Qty not increased by step size.")
        amount = product(order.price if order.has_price else self.mark, order.quantity)
        least = self.found["MIN_NOTIONAL"]["notional"]
        if not order.reduce_only and amount < scaled(least):
            self.fail(-4164, "Order's notional must be no smaller than %s (unless you choose "
                      "reduce only)." % least)
        if len(self.side.open_orders(order.symbol)) >= self.found["MAX_NUM_ORDERS"]["limit"]:
            wrong(-2025, "Reach max open order limit.", "filter")

    def price(self, order):
        f = self.found["PRICE_FILTER"]
        if order.price < scaled(f["minPrice"]):
            self.fail(-4013, "Price less than min price.")
        if order.price > scaled(f["maxPrice"]):
            self.fail(-4002, "Price greater than max price.")
        if not is_stepped(order.price, f["tickSize"]):
            self.fail(-4014, "Price not increased by tick size.")
        f = self.found["PERCENT_PRICE"]
        if order.is_buy:
            most = self.mark * scaled(f["multiplierUp"]) // SCALE
            if order.price > most:
                self.fail(-4016, "Limit price can't be higher than %s."
                          % text_of(most, self.rules.price_decimals))
        else:
            least = self.mark * scaled(f["multiplierDown"]) // SCALE
            if order.price < least:
                self.fail(-4024, "Limit price can't be lower than %s."
                          % text_of(least, self.rules.price_decimals))
