"""signed_control - the control plane of accounts: who there is, what they have, what really
happened to their orders, and what shall happen next.

SPDX-License-Identifier: Apache-2.0
"""
from aiohttp import web

from accounts import invented
from orders import CANCELED, EXPIRED
from signing import PERMISSIONS, Key
from truth import order_view
from usdm_account import signed_text
from wire import Refusal, scaled, text_of


def signed_scaled(text):
    return -scaled(text[1:]) if text.startswith("-") else scaled(text)


class SignedControl:
    """Answers about and changes to the accounts of a running exchange."""

    def __init__(self, exchange, guarded):
        self.exchange, self.guarded = exchange, guarded
        self.accounts, self.truth = exchange.accounts, exchange.truth

    def routes(self):
        def get(path, call):
            return web.get("/_exchange/" + path, self.guarded(call))

        def post(path, call):
            return web.post("/_exchange/" + path, self.guarded(self.plain(call)))

        return [get("accounts", self.all), get("account", self.account),
                post("account", self.add_account), post("account/key", self.add_key),
                post("account/key/change", self.change_key), post("deposit", self.deposit),
                post("funding", self.funding), post("position", self.position),
                get("orders", self.orders), get("calls", self.calls),
                get("requests", self.requests),
                post("fill", self.fill), post("cancel", self.cancel),
                post("script", self.script), post("weight", self.weight),
                post("order_limits", self.order_limits)]

    @staticmethod
    def plain(call):
        """What the engine refuses is wrong here, too."""
        def made(body):
            try:
                return call(body)
            except Refusal as e:
                raise ValueError("%d %s" % (e.code, e.message)) from None
        return made

    def venue(self, body):
        return self.exchange.venues[body.get("market", "spot")]

    def engine(self, body):
        return self.exchange.engines[body.get("market", "spot")]

    def chosen(self, body):
        """The account of a number; without one, the first."""
        number = int(body.get("account", 1))
        if not 1 <= number <= len(self.accounts.all):
            raise ValueError("no account %d" % number)
        return self.accounts.all[number - 1]

    # Accounts.

    @staticmethod
    def key_of(body):
        return Key(body.get("api_key") or invented(), body.get("kind", "HMAC"),
                   body.get("secret"), body.get("public_key"),
                   body.get("permissions", PERMISSIONS))

    def add_account(self, body):
        key = self.key_of(body)
        account = self.accounts.open(key)
        for market, assets in body.get("balances", {}).items():
            side = account.side(market)
            for asset, amount in assets.items():
                side.deposit(asset, scaled(amount), self.exchange.venues[market].clock_ms())
        for side in (account.spot, account.usdm):
            side.makers = scaled(body["makers"]) if "makers" in body else side.makers
            side.takers = scaled(body["takers"]) if "takers" in body else side.takers
        account.spot.pays_in_bnb = bool(body.get("pays_in_bnb", False))
        return {"account": account.number, "api_key": key.api_key}

    def add_key(self, body):
        key, account = self.key_of(body), self.chosen(body)
        self.accounts.add_key(account, key)
        return {"account": account.number, "api_key": key.api_key}

    def change_key(self, body):
        key = self.accounts.keys[body["api_key"]]
        if "is_enabled" in body:
            key.is_enabled = bool(body["is_enabled"])
        if "permissions" in body:
            key.permissions = set(body["permissions"])
        return {"api_key": key.api_key, "is_enabled": key.is_enabled,
                "permissions": sorted(key.permissions)}

    def all(self, body):
        del body
        return [self.view(a) for a in self.accounts.all]

    def account(self, body):
        return self.view(self.chosen(body))

    @staticmethod
    def view(account):
        spot, usdm = account.spot, account.usdm
        return {"account": account.number,
                "keys": [{"api_key": k.api_key, "kind": k.kind} for k in account.keys],
                "spot": {asset: {"free": signed_text(free), "locked": text_of(locked)}
                         for asset, (free, locked) in sorted(spot.balances.items())},
                "usdm": {asset: signed_text(wallet)
                         for asset, wallet in sorted(usdm.wallets.items())},
                "available": text_of(usdm.available()),
                "positions": [{"symbol": p.symbol, "side": p.side,
                               "amount": signed_text(p.amount), "entry": text_of(p.entry),
                               "realized": signed_text(p.realized)}
                              for p in usdm.positions.values()],
                "open_orders": [order_view(o) for s in (spot, usdm) for o in s.open.values()]}

    def deposit(self, body):
        venue = self.venue(body)
        self.chosen(body).side(venue.name).deposit(body["asset"], signed_scaled(body["amount"]),
                                                   venue.clock_ms())
        return self.account(body)

    def funding(self, body):
        """A funding fee is paid or received; of cross margin no position is told."""
        side = self.chosen(body).usdm
        side.change(body["asset"], signed_scaled(body["amount"]), "FUNDING_FEE",
                    self.exchange.venues["usdm"].clock_ms())
        return self.account(body)

    def position(self, body):
        """A position that came from elsewhere."""
        position = self.chosen(body).usdm.position(body["symbol"], body.get("side", "BOTH"))
        position.amount, position.entry = signed_scaled(body["amount"]), scaled(body["entry"])
        position.update_ms = self.exchange.venues["usdm"].clock_ms()
        return self.account(body)

    # What happened.

    def orders(self, body):
        """What became of a client id, or of all."""
        if "client_id" in body:
            return self.truth.view(body.get("market", "spot"), body["client_id"])
        chosen = [v for v in self.truth.all() if body.get("market", v["market"]) == v["market"]]
        if "account" in body:
            number = int(body["account"])
            chosen = [v for v in chosen if v["placements"][0]["account"] == number]
        return chosen

    def calls(self, body):
        del body
        return [{"port": port, "method": method, "path": path, "count": count}
                for (port, method, path), count in sorted(self.truth.calls.items())]

    def requests(self, body):
        found = [r for r in self.truth.requests
                 if all(r[name] == body[name] for name in ("port", "method", "path", "api_key")
                        if name in body)]
        return found[-int(body.get("limit", 1000)):]

    # What shall happen.

    def order(self, body):
        """The order that is named by its id here or by the client's; the newest, if several."""
        market = self.venue(body).name
        accounts = [self.chosen(body)] if "account" in body else self.accounts.all
        for account in accounts:
            for order in reversed(account.side(market).orders.values()):
                if body.get("order_id") == order.order_id or \
                        body.get("client_id") == order.client_id:
                    return order
        raise ValueError("no such order")

    def fill(self, body):
        """An open order trades, all that is left of it unless told."""
        order = self.order(body)
        if not order.is_open:
            raise ValueError("the order is " + order.status)
        venue = self.venue(body)
        price = scaled(body["price"]) if "price" in body else \
            order.price or venue.last_price(order.symbol)
        quantity = scaled(body["quantity"]) if "quantity" in body else order.left
        self.engine(body).fill(order, price, quantity, body.get("is_maker", True))
        return order_view(order)

    def cancel(self, body):
        """The exchange ends an order by itself."""
        order, status = self.order(body), body.get("status", CANCELED)
        if not order.is_open or status not in (CANCELED, EXPIRED, "EXPIRED_IN_MATCH"):
            raise ValueError("the order is %s" % order.status)
        self.engine(body).cancel(order, status=status)
        return order_view(order)

    def script(self, body):
        self.engine(body).scripts.add({n: v for n, v in body.items() if n != "market"})
        return {}

    def weight(self, body):
        """Somebody else on this address or account used the limits."""
        venue = self.venue(body)
        venue.weights.window.spend(int(body.get("weight", 0)))
        if "orders" in body:
            for window in self.chosen(body).side(venue.name).order_windows.values():
                window.spend(int(body["orders"]))
        return {"used": venue.weights.window.used}

    def order_limits(self, body):
        """How many placements a window; of accounts to come, too."""
        venue = self.venue(body)
        for name, limit in body["limits"].items():
            venue.order_limits[name] = (int(limit), venue.order_limits[name][1])
            for account in self.accounts.all:
                account.side(venue.name).order_windows[name].limit = int(limit)
        return {name: limit for name, (limit, _) in venue.order_limits.items()}
