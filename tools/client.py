"""client - Scrip's REST and WebSocket API for the demo, the stories and the benchmarks.

One keep-alive connection, opened again when the server closed it. A request that gets no answer
raises HttpError, which says nothing about whether it was carried out.

SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
import time
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
        if self.connection is not None and method == "GET":
            try:
                return self.exchange(method, path, body, headers)
            except HttpError:
                pass  # the kept connection may have ended meanwhile; asking again changes nothing
        return self.exchange(method, path, body, headers)

    def exchange(self, method, path, body, headers):
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

    def amend(self, order_id, quantity):
        return flat(self.call("PUT", "/api/paper-trading/orders/%s" % order_id,
                              {"quantity": str(quantity)}))

    def replace(self, order_id, side, kind, symbol="BTCUSDT", **fields):
        """Cancels one order and places another; the new one."""
        return flat(self.call("POST", "/api/paper-trading/orders/replace", self.order(
            side, kind, symbol, cancel_order_id=order_id, **fields)))

    def why(self, order_id):
        return self.call("GET", "/api/paper-trading/orders/%s/why" % order_id)

    def basket(self, *orders, **fields):
        """What became of each order of a basket."""
        return self.call("POST", "/api/paper-trading/basket",
                         {"orders": list(orders), **fields})["results"]

    # ---- Order lists ----

    LISTS = "/api/paper-trading/order-lists"

    def list_body(self, contingency, *orders, symbol="BTCUSDT"):
        """Orders are (side, type, fields)."""
        return {"contingency": contingency, "symbol": symbol, "orders": [
            {"side": side, "type": kind, **{name: str(value) for name, value in fields.items()}}
            for side, kind, fields in orders]}

    def place_list(self, contingency, *orders, symbol="BTCUSDT"):
        return self.call("POST", self.LISTS, self.list_body(contingency, *orders, symbol=symbol))

    def get_list(self, list_id):
        return self.call("GET", "%s/%s" % (self.LISTS, list_id))

    def cancel_list(self, list_id):
        return self.call("DELETE", "%s/%s" % (self.LISTS, list_id))

    def open_lists(self):
        return self.call("GET", self.LISTS)["lists"]

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

    def stream(self, **options):
        return Stream(self, **options)


def flat(view):
    """An order's own fields, with its fills beside them."""
    order = dict(view["order"]) if "order" in view else dict(view)
    order.setdefault("fills", view.get("fills", []))
    return order


class StreamClosed(HttpError):
    """The server ended the connection; `status` is the WebSocket's closing code."""


class Stream:
    """The WebSocket, signed in. Events are kept in `events` as they come."""

    def __init__(self, client, follow=True, after=None):
        import websocket  # Debian's python3-websocket
        self.library = websocket
        self.socket = websocket.create_connection(
            "ws://%s:%d/ws" % (client.host, client.port), timeout=client.timeout)
        self.events = []
        if client.token:
            self.ask(op="auth", token=client.token)
        if after is not None:
            self.ask(op="resume", after=after)
        elif follow and client.token:
            self.ask(op="subscribe", channel="orders")

    def receive(self, seconds=15):
        """The next message; None when none came in time."""
        self.socket.settimeout(seconds)
        try:
            code, data = self.socket.recv_data()
        except self.library.WebSocketTimeoutException:
            return None
        except (OSError, self.library.WebSocketException) as error:
            raise StreamClosed("the stream broke: %r" % error) from error
        if code == self.library.ABNF.OPCODE_CLOSE:
            raise StreamClosed("the stream was closed: %r" % data[2:],
                               int.from_bytes(data[:2], "big"))
        message = json.loads(data, parse_float=Decimal)
        if "event" in message:
            self.events.append(message)
        return message

    def ask(self, **operation):
        """Sends an operation and gives its answer; refusals raise."""
        self.socket.send(json.dumps(operation))
        while (message := self.receive()) is not None:
            if message.get("op") == operation["op"]:
                if not message.get("ok"):
                    raise HttpError("%s: %s" % (operation["op"], message), 400, message)
                return message
        raise HttpError("%s: no answer on the stream" % operation["op"])

    def wait(self, condition, seconds=15):
        """The first event, among those that have come and those to come, or None in time."""
        for event in self.events:
            if condition(event):
                return event
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message and "event" in message and condition(message):
                return message
        return None

    def wait_order(self, order_id, statuses, seconds=15):
        return self.wait(lambda e: e["event"] == "order" and e["data"]["order_id"] == order_id and
                         e["data"]["status"] in statuses, seconds)

    def wait_list(self, list_id, status, seconds=15):
        return self.wait(lambda e: e["event"] == "list" and e["data"]["list_id"] == list_id and
                         e["data"]["status"] == status, seconds)

    def account_events(self, last, seconds=15):
        """The account's events up to number `last`; raises when a number is missing or doubled."""
        def numbered():
            return [e for e in self.events if "sequence" in e]

        self.wait(lambda e: e.get("sequence", 0) >= last, seconds)
        numbers = [e["sequence"] for e in numbered()]
        if numbers and numbers != list(range(numbers[0], last + 1)):
            raise HttpError("events are not numbered one by one up to %d: %s" % (last, numbers))
        return numbered()

    def close(self):
        self.socket.close()
