"""client - Scrip's REST and WebSocket API for the demo, the stories and the benchmarks.

One keep-alive connection, opened again when the server closed it. A request that gets no answer
raises HttpError, which says nothing about whether it was carried out.

SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
from decimal import Decimal
from urllib.parse import urlencode

PASSWORD = "correct horse battery staple"


class HttpError(Exception):
    """No answer, or one that the caller did not expect."""

    def __init__(self, text, status=0, body=None):
        super().__init__(text)
        self.status = status
        self.body = body

    @property
    def code(self):
        error = (self.body or {}).get("error") if isinstance(self.body, dict) else None
        return (error or {}).get("code")


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=15):
        self.host, self.port, self.timeout = host, port, timeout
        self.connection = None
        self.token = None
        self.refresh_token = None
        self.name = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def raw(self, method, path, body=None, headers=None):
        """(status, headers, bytes)"""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port,
                                                         timeout=self.timeout)
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise HttpError("%s %s: no answer (%r)" % (method, path, error)) from error
        if answer.will_close:
            self.close()
        return answer.status, answer.headers, data

    def ask(self, method, path, body=None, query=None):
        """(status, JSON); numbers with decimals keep their exact value."""
        headers = {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if query:
            path += "?" + urlencode(query)
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        status, _, data = self.raw(method, path, body, headers)
        try:
            value = json.loads(data, parse_float=Decimal) if data else None
        except ValueError as error:
            raise HttpError("%s %s: %d, not JSON: %r" % (method, path, status, data[:200]),
                            status) from error
        return status, value

    def call(self, method, path, body=None, query=None, expect=(200, 201)):
        status, value = self.ask(method, path, body, query)
        if status not in ([expect] if isinstance(expect, int) else expect):
            raise HttpError("%s %s: %d %s" % (method, path, status, json.dumps(value, default=str)),
                            status, value)
        return value

    # ---- Sign-in ----

    def sign_up(self, name, password=PASSWORD):
        self.name = name
        self.keep_tokens(self.call("POST", "/api/auth/register",
                                   {"username": name, "password": password}))
        if self.token is None:
            self.log_in(name, password)

    def log_in(self, name, password=PASSWORD):
        self.keep_tokens(self.call("POST", "/api/auth/login",
                                   {"username": name, "password": password}))

    def refresh(self):
        self.keep_tokens(self.call("POST", "/api/auth/refresh",
                                   {"refresh_token": self.refresh_token}))

    def keep_tokens(self, answer):
        self.token = answer.get("access_token")
        self.refresh_token = answer.get("refresh_token")

    # ---- Balance and account ----

    def set_balance(self, balance, wallet="spot"):
        return self.call("PUT", "/api/settings/paper-balance/" + wallet, {"balance": str(balance)})

    def account(self):
        return self.call("GET", "/api/paper-trading/account")

    def balances(self, wallet="spot"):
        """{asset: (free, held)}"""
        return {b["asset"]: (Decimal(b["free"]), Decimal(b["held"]))
                for b in self.account()["balances"] if b["wallet"] == wallet}

    # ---- Orders ----

    def order(self, side, kind, symbol="BTCUSDT", **fields):
        """The body of an order."""
        return {"symbol": symbol, "side": side, "type": kind,
                **{name: str(value) for name, value in fields.items()}}

    def place(self, side, kind, symbol="BTCUSDT", **fields):
        """An order with its fills, as the answer shows them."""
        return flat(self.call("POST", "/api/paper-trading/orders",
                              self.order(side, kind, symbol, **fields)))

    def get_order(self, order_id):
        return flat(self.call("GET", "/api/paper-trading/orders/%s" % order_id))

    def cancel(self, order_id):
        return flat(self.call("DELETE", "/api/paper-trading/orders/%s" % order_id))

    def open_orders(self):
        return self.call("GET", "/api/paper-trading/orders/open")["orders"]

    def all_pages(self, path, list_name, **query):
        rows, cursor = [], None
        while True:
            page = self.call("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
            rows += page[list_name]
            cursor = page.get("next_cursor")
            if not cursor:
                return rows

    def orders(self, **query):
        return self.all_pages("/api/paper-trading/orders", "orders", limit=500, **query)

    def trades(self, **query):
        return self.all_pages("/api/paper-trading/trades", "trades", limit=500, **query)

    def ticker(self, symbol="BTCUSDT"):
        return self.call("GET", "/api/market/ticker", query={"symbol": symbol})

    def stream(self):
        return Stream(self)


def flat(view):
    """An order's own fields, with its fills beside them."""
    order = dict(view["order"]) if "order" in view else dict(view)
    order.setdefault("fills", view.get("fills", []))
    return order


class Stream:
    """The WebSocket, signed in; messages are parsed JSON."""

    def __init__(self, client, timeout=15):
        import websocket  # Debian's python3-websocket
        self.errors = websocket
        self.socket = websocket.create_connection(
            "ws://%s:%d/ws" % (client.host, client.port), timeout=timeout)
        self.seen = []

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def receive(self):
        text = self.socket.recv()
        message = json.loads(text, parse_float=Decimal) if text else None
        self.seen.append(message)
        return message

    def until(self, condition, most=100000):
        """The first message for which the condition holds; earlier ones are in `seen`."""
        for _ in range(most):
            message = self.receive()
            if message is None or condition(message):
                return message
        return None

    def close(self):
        self.socket.close()
