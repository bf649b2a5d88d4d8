"""control - the second port: what is true, what was counted, and what shall go wrong.

JSON over HTTP under /_exchange/. No rule of the exchange holds here; README.md lists the paths.

SPDX-License-Identifier: Apache-2.0
"""
import json

from aiohttp import web

from book import ASK, BID
from faults import BadFault
from signed_control import SignedControl
from wire import scaled


class BadAsk(Exception):
    pass


class Control:
    """Answers about and changes to a running exchange."""

    def __init__(self, exchange):
        self.exchange = exchange

    def routes(self):
        def get(path, call):
            return web.get("/_exchange/" + path, self.guarded(call))

        def post(path, call):
            return web.post("/_exchange/" + path, self.guarded(call))

        return [get("truth", self.truth), get("trades", self.trades),
                get("aggregates", self.aggregates), get("klines", self.klines),
                get("counters", self.counters), get("connections", self.connections),
                get("symbols", self.symbols), get("faults", self.faults),
                post("fault", self.fault), post("fault/end", self.end_fault),
                post("symbols", self.change_symbols), post("market", self.change_market),
                post("trade", self.trade), post("level", self.level),
                post("liquidation", self.liquidation), post("settings", self.settings),
                post("finish", self.finish),
                *SignedControl(self.exchange, self.guarded).routes()]

    @staticmethod
    def guarded(call):
        async def answer(request):
            try:
                body = await request.json() if request.method == "POST" and request.can_read_body \
                    else dict(request.query)
                return web.json_response(call(body), dumps=compact)
            except (BadAsk, BadFault, KeyError, ValueError) as e:
                return web.json_response({"error": "%s: %s" % (type(e).__name__, e)}, status=400)
        return answer

    def venue(self, body):
        return self.exchange.venues[body.get("market", "spot")]

    def instrument(self, body):
        instrument = self.venue(body).instruments.get(body["symbol"])
        if instrument is None:
            raise BadAsk("no symbol " + body["symbol"])
        return instrument

    # What is true.

    def truth(self, body):
        """The book as of update_id, or of the last diff that was published."""
        instrument = self.instrument(body)
        wanted = int(body.get("update_id", instrument.history.last_id()))
        found = instrument.history.at(wanted)
        if found is None:
            raise BadAsk("update %d is older than what is remembered" % wanted)
        update_id, book = found
        levels = int(body.get("levels", 20))
        view = {"symbol": instrument.symbol, "update_id": update_id,
                "last_update_id": instrument.history.last_id(),
                "newest_update_id": instrument.update_id, "digest": book.digest(),
                "is_crossed": book.is_crossed()}
        view["bids"], view["asks"] = (book.texts(side, levels, instrument.rules)
                                      for side in (BID, ASK))
        view["next_trade"], view["first_trade"] = instrument.next_trade, instrument.first_trade
        view["status"] = instrument.rules.status
        return view

    def trades(self, body):
        instrument = self.instrument(body)
        found = instrument.trades_from(int(body.get("from", 0)),
                                       int(body.get("to", instrument.next_trade)))
        return [instrument.trade_view(t) for t in found]

    def aggregates(self, body):
        instrument = self.instrument(body)
        return [instrument.aggregate_view(a)
                for a in instrument.aggregates_from(int(body.get("from", 0)))]

    def klines(self, body):
        instrument = self.instrument(body)
        start = int(body["start"]) if "start" in body else None
        return instrument.klines.rows(body.get("interval", "1m"), start, None,
                                      int(body.get("limit", 1000)), instrument.trades)

    def counters(self, body):
        del body
        view = self.exchange.counters.view()
        hubs = [venue.hub for venue in self.exchange.venues.values()]
        view["frames"] = sum(hub.frames + sum(c.frames for c in hub.connections.values())
                             for hub in hubs)
        view["is_finished"] = self.exchange.is_finished()
        view["weights"] = {
            name: {"used": venue.weights.window.used, "most": venue.weights.window.most,
                   "limit": venue.weight_limit, "bans": venue.weights.bans}
            for name, venue in self.exchange.venues.items()}
        return view

    def connections(self, body):
        return [c.view() for venue in self.exchange.chosen(body.get("market"))
                for c in venue.hub.connections.values()]

    def symbols(self, body):
        return [{"market": venue.name, "symbol": i.symbol, "status": i.rules.status,
                 "update_id": i.update_id, "next_trade": i.next_trade, "is_quiet": i.is_quiet}
                for venue in self.exchange.chosen(body.get("market"))
                for i in venue.instruments.values()]

    # What goes wrong.

    def faults(self, body):
        return [f.view() for venue in self.exchange.chosen(body.get("market"))
                for f in venue.faults.all.values()]

    def fault(self, body):
        return self.venue(body).faults.add(**body).view()

    def end_fault(self, body):
        for venue in self.exchange.venues.values():
            fault = venue.faults.end(body["fault"])
            if fault:
                return fault.view()
        raise BadAsk("no such fault")

    # What happens.

    def change_symbols(self, body):
        """Lists or delists a symbol."""
        source = self.exchange.source_of(body.get("market", "spot"))
        if body["action"] == "list":
            source.list(body["symbol"])
        elif body["action"] == "delist":
            source.delist(body["symbol"])
        else:
            raise BadAsk("action is list or delist")
        return self.symbols(body)

    def change_market(self, body):
        """quiet: no trades and no changes, candles go on. halt: not even those. run: as before."""
        chosen = [self.instrument(body)] if "symbol" in body else \
            list(self.venue(body).instruments.values())
        for instrument in chosen:
            if body["action"] not in ("quiet", "halt", "run"):
                raise BadAsk("action is quiet, halt or run")
            instrument.is_quiet = body["action"] == "quiet"
            instrument.halt(body["action"] == "halt")
        return self.symbols(body)

    def invented(self, body, ability):
        instrument = self.instrument(body)
        if not getattr(self.exchange.source_of(instrument.venue.name), ability):
            raise BadAsk("what happens here is written already")
        return instrument

    def trade(self, body):
        """`count` trades, one after another."""
        instrument = self.invented(body, "takes_trades")
        now = instrument.venue.now_ms()
        best = instrument.book.best(ASK)
        price = scaled(body["price"]) if "price" in body else best[0]
        first = instrument.next_trade
        for _ in range(int(body.get("count", 1))):
            instrument.trade(price, scaled(body.get("quantity", instrument.rules.step_text)),
                             bool(body.get("is_buyer_maker", False)), now)
        instrument.tick(now)
        return {"first": first, "last": instrument.next_trade - 1, "time": now}

    def level(self, body):
        """One level of the book changes; a diff tells of it."""
        instrument = self.invented(body, "takes_levels")
        side = {"bid": BID, "ask": ASK}[body["side"]]
        price, quantity = scaled(body["price"]), scaled(body["quantity"])
        best = instrument.book.best(1 - side)
        if quantity and best and (price >= best[0] if side == BID else price <= best[0]):
            raise BadAsk("that would cross the book")
        instrument.change(side, price, quantity)
        now = instrument.venue.now_ms()
        instrument.say_touch(now)
        instrument.flush_diff(now)
        return {"update_id": instrument.update_id}

    def liquidation(self, body):
        instrument = self.instrument(body)
        instrument.force_order(body.get("side", "SELL"), scaled(body["quantity"]),
                               scaled(body["price"]), instrument.venue.now_ms())
        return {}

    def settings(self, body):
        """Changes settings of the running exchange: weight_limit, rate, ping_ms and the like."""
        venue = self.venue(body)
        for name, value in body.items():
            if name == "weight_limit":
                venue.weights.window.limit = int(value)
            elif name == "window_ms":
                venue.weights.window.window_ms = int(value)
            elif name in ("ping_ms", "pong_ms"):
                getattr(venue.settings, name)[venue.name] = int(value)
            elif name in ("life_ms", "buffer_bytes_max"):
                setattr(venue.settings, name, int(value))
            elif name == "rate":
                self.exchange.source_of(venue.name).set_rate(body.get("symbol"), float(value))
            elif name not in ("market", "symbol"):
                raise BadAsk("no setting " + name)
        return {}

    def finish(self, body):
        del body
        self.exchange.finish()
        return {}


def compact(value):
    return json.dumps(value, separators=(",", ":"))
