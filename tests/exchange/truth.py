"""truth - what really reached the exchange: every request, every placement, what became of it.

A placement is remembered for ever under its client id, so that one sent twice is seen even when the
first was filled at once and its id was free again.

SPDX-License-Identifier: Apache-2.0
"""
import collections

from wire import text_of

REQUESTS_MAX = 200000


class Placement:
    """One request to place an order that was well-formed and rightly signed."""

    def __init__(self, venue, account, client_id, words):
        self.market, self.account, self.client_id = venue.name, account, client_id
        self.received_ms, self.words = venue.now_ms(), words
        self.order, self.code, self.message, self.fault = None, 0, "", None

    def view(self):
        return {"account": self.account.number, "received_ms": self.received_ms,
                "sent": self.words, "is_executed": self.order is not None,
                "order_id": self.order.order_id if self.order else 0,
                "code": self.code, "message": self.message, "fault": self.fault}


class Truth:
    """All that came in on both markets."""

    def __init__(self, counters):
        self.counters = counters
        self.placements = collections.OrderedDict()  # (market, client id): [Placement]
        self.calls = collections.Counter()           # (port, method, path)
        self.requests = collections.deque(maxlen=REQUESTS_MAX)

    # Requests.

    def hear(self, port, request):
        """Any request of a port, before anything is judged; its note is filled in later."""
        path, _, query = request.raw_path.partition("?")
        note = {"port": port, "method": request.method, "path": path,
                "query": "&".join(w for w in query.split("&") if not w.startswith("signature=")),
                "api_key": request.headers.get("X-MBX-APIKEY", ""), "status": 0}
        self.calls[port, request.method, path] += 1
        self.requests.append(note)
        return note

    # Placements.

    def receive(self, venue, account, client_id, words):
        entry = Placement(venue, account, client_id, words)
        entries = self.placements.setdefault((venue.name, client_id), [])
        entries.append(entry)
        if len(entries) > 1:
            self.counters.add("orders_sent_twice")
        return entry

    def execute(self, entry, order):
        entry.order = order
        if sum(1 for e in self.placements[entry.market, entry.client_id] if e.order) > 1:
            self.counters.add("orders_executed_twice")

    def view(self, market, client_id):
        entries = self.placements.get((market, client_id), [])
        return {"market": market, "client_id": client_id, "received": len(entries),
                "executed": sum(1 for e in entries if e.order),
                "refused": sum(1 for e in entries if e.code),
                "placements": [e.view() for e in entries],
                "orders": [order_view(e.order) for e in entries if e.order]}

    def all(self):
        return [self.view(market, client_id) for market, client_id in self.placements]


def order_view(order):
    """An order for tests; amounts as decimals of eight digits."""
    return {"market": order.market, "account": order.account.number, "symbol": order.symbol,
            "order_id": order.order_id, "client_id": order.client_id, "side": order.side,
            "type": order.type, "time_in_force": order.time_in_force, "status": order.status,
            "quantity": text_of(order.quantity), "executed": text_of(order.executed),
            "quote_executed": text_of(order.quote_executed), "price": text_of(order.price),
            "stop_price": text_of(order.stop_price), "reduce_only": order.reduce_only,
            "trades": [{"id": t.number, "price": text_of(t.price), "quantity": text_of(t.quantity),
                        "commission": text_of(t.commission),
                        "commission_asset": t.commission_asset, "is_maker": t.is_maker}
                       for t in order.trades]}
