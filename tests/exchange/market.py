"""market - what is true on one market: per symbol its book, trades and candles, and what is said
of them on the streams.

A source calls change(), trade(), diff() and the like; tick() does what happens with time. Nothing
here knows connections: hub.publish() does.

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import json
import time

from book import ASK, BID, Book, History
from klines import Klines
from wire import product, text_of

TRADES_MAX = 400000
DEPTH_PACES = {"spot": (("depth@100ms", 100), ("depth", 1000)),
               "usdm": (("depth@100ms", 100), ("depth", 250), ("depth@500ms", 500))}
KLINE_MS = {"spot": 2000, "usdm": 250}
# Placements of an account: window: (limit, its length).
ORDER_LIMITS = {"spot": {"10S": (100, 10000), "1D": (200000, 86400000)},
                "usdm": {"10S": (300, 10000), "1M": (1200, 60000)}}
BOOL = ("false", "true")


class Pacer:
    """Diffs of a slower stream: what changed since its last message."""

    def __init__(self, stream, pace_ms):
        self.stream, self.pace_ms = stream, pace_ms
        self.due_ms = 0
        self.clear()

    def clear(self):
        self.first = self.previous = None
        self.changes = {}

    def add(self, first, previous, changes):
        if self.first is None:
            self.first, self.previous = first, previous
        for side, price, quantity in changes:
            self.changes[side, price] = quantity

    def taken(self):
        return [(side, price, quantity) for (side, price), quantity in self.changes.items()]


class Instrument:
    """One symbol on one market."""

    def __init__(self, venue, rules, seed, first_update, first_trade):
        self.venue, self.rules = venue, rules
        self.symbol, self.lower = rules.symbol, rules.symbol.lower()
        self.update_id = self.diff_id = first_update
        self.next_trade = self.first_trade = first_trade
        self.next_aggregate = first_trade // 2
        self.book = Book()
        self.history = None
        self.pending, self.pending_first = {}, None
        self.touch = None
        self.trades = []      # (id, price, quantity, time, is buyer maker)
        self.aggregates = []  # (id, price, quantity, first, last, time, is buyer maker)
        self.aggregate = None
        self.klines = Klines(rules, seed, rules.price, first_trade)
        self.klines_due_ms = 0
        self.pacers = [Pacer("%s@%s" % (self.lower, name), pace)
                       for name, pace in DEPTH_PACES[venue.name]]
        self.partials = set()  # (stream, levels) that somebody wants
        self.mark = None       # (mark, index, rate, next funding time)
        self.mark_due_ms = 0
        self.is_quiet = self.is_halted = False

    # The book.

    def begin(self, now_ms):
        """The book stands; from here on there is a history."""
        self.history = History(self.book, self.update_id, self.venue.history_max)
        self.klines.begin(now_ms)
        self.touch = (self.book.best(BID), self.book.best(ASK))

    def change(self, side, price, quantity, step=1):
        """One level changes under an update id of its own."""
        self.update_id += step
        if self.pending_first is None:
            self.pending_first = self.update_id
        self.book.set(side, price, quantity)
        self.pending[side, price] = quantity

    def flush_diff(self, now_ms):
        if self.pending_first is None:
            return
        changes = [(side, price, quantity) for (side, price), quantity in self.pending.items()]
        first = self.diff_id + 1 if self.venue.is_spot else self.pending_first
        self.pending, self.pending_first = {}, None
        self.say_diff(first, self.update_id, self.diff_id, changes, now_ms, now_ms)

    def diff(self, first, last, previous, changes, event_ms, time_ms):
        """A recorded diff: the book follows it at once."""
        for side, price, quantity in changes:
            self.book.set(side, price, quantity)
        self.update_id = last
        self.say_diff(first, last, previous, changes, event_ms, time_ms)

    def say_diff(self, first, last, previous, changes, event_ms, time_ms):
        self.history.append(last, changes)
        self.diff_id = last
        hub = self.venue.hub
        for pacer in self.pacers:
            if not hub.wants(pacer.stream):
                pacer.clear()
            elif pacer.pace_ms == 100:
                hub.publish(pacer.stream, self.diff_text(first, last, previous, changes, event_ms,
                                                         time_ms))
            else:
                pacer.add(first, previous, changes)
                if event_ms >= pacer.due_ms:
                    pacer.due_ms = event_ms // pacer.pace_ms * pacer.pace_ms + pacer.pace_ms
                    hub.publish(pacer.stream,
                                self.diff_text(pacer.first, last, pacer.previous, pacer.taken(),
                                               event_ms, time_ms))
                    pacer.clear()
        for stream, levels in self.partials:
            if hub.wants(stream):
                hub.publish(stream, self.partial_text(levels, event_ms, time_ms))

    def diff_text(self, first, last, previous, changes, event_ms, time_ms):
        sides = [self.level_texts([c for c in changes if c[0] == side]) for side in (BID, ASK)]
        if self.venue.is_spot:
            return ('{"e":"depthUpdate","E":%d,"s":"%s","U":%d,"u":%d,"b":[%s],"a":[%s]}'
                    % (event_ms, self.symbol, first, last, *sides)).encode()
        return ('{"e":"depthUpdate","E":%d,"T":%d,"s":"%s","ps":"%s","U":%d,"u":%d,"pu":%d,'
                '"b":[%s],"a":[%s],"st":1}'
                % (event_ms, time_ms, self.symbol, self.symbol, first, last, previous,
                   *sides)).encode()

    def partial_text(self, levels, event_ms, time_ms):
        bids, asks = (json.dumps(self.book.texts(side, levels, self.rules),
                                 separators=(",", ":")) for side in (BID, ASK))
        if self.venue.is_spot:
            return ('{"lastUpdateId":%d,"bids":%s,"asks":%s}'
                    % (self.update_id, bids, asks)).encode()
        return ('{"e":"depthUpdate","E":%d,"T":%d,"s":"%s","U":%d,"u":%d,"pu":%d,"b":%s,"a":%s}'
                % (event_ms, time_ms, self.symbol, self.update_id, self.update_id, self.update_id,
                   bids, asks)).encode()

    def level_texts(self, changes):
        rules = self.rules
        return ",".join('["%s","%s"]' % (text_of(price, rules.price_decimals),
                                         text_of(quantity, rules.quantity_decimals))
                        for _, price, quantity in changes)

    # The best prices.

    def say_touch(self, now_ms):
        """bookTicker, when the best level of a side is another than last time."""
        touch = (self.book.best(BID), self.book.best(ASK))
        if touch != self.touch and touch[0] and touch[1]:
            self.touch = touch
            self.quote(self.update_id, *touch[0], *touch[1], now_ms, now_ms)

    def quote(self, update_id, bid, bid_quantity, ask, ask_quantity, event_ms, time_ms):
        stream = self.lower + "@bookTicker"
        if not self.venue.hub.wants(stream):
            return
        price, volume = self.rules.price_decimals, self.rules.quantity_decimals
        values = (update_id, self.symbol, text_of(bid, price), text_of(bid_quantity, volume),
                  text_of(ask, price), text_of(ask_quantity, volume))
        if self.venue.is_spot:
            text = '{"u":%d,"s":"%s","b":"%s","B":"%s","a":"%s","A":"%s"}' % values
        else:
            text = ('{"e":"bookTicker","u":%d,"s":"%s","ps":"%s","b":"%s","B":"%s","a":"%s",'
                    '"A":"%s","T":%d,"E":%d,"st":1}'
                    % (values[0], self.symbol, *values[1:], time_ms, event_ms))
        self.venue.hub.publish(stream, text.encode())

    # Trades.

    def trade(self, price, quantity, is_buyer_maker, time_ms, event_ms=None, number=None):
        number = self.next_trade if number is None else number
        self.next_trade = number + 1
        event_ms = time_ms if event_ms is None else event_ms
        self.end_candles(time_ms)
        self.trades.append((number, price, quantity, time_ms, is_buyer_maker))
        if len(self.trades) > TRADES_MAX:
            del self.trades[:TRADES_MAX // 5]
        self.klines.trade(number, price, quantity, is_buyer_maker, time_ms)
        self.venue.on_trade(self, price, quantity)
        stream = self.lower + "@trade"
        if self.venue.is_spot and self.venue.hub.wants(stream):
            rules = self.rules
            self.venue.hub.publish(stream, (
                '{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%s","q":"%s","T":%d,"m":%s,"M":true}'
                % (event_ms, self.symbol, number, text_of(price, rules.price_decimals),
                   text_of(quantity, rules.quantity_decimals), time_ms,
                   BOOL[is_buyer_maker])).encode())
        self.gather(number, price, quantity, is_buyer_maker, time_ms, event_ms)

    def gather(self, number, price, quantity, is_buyer_maker, time_ms, event_ms):
        """One taker's fills at one price and time are one aggregated trade."""
        a = self.aggregate
        if a and (a[1], a[5], a[6]) == (price, time_ms, is_buyer_maker):
            a[2] += quantity
            a[4] = number
            return
        self.say_aggregate(event_ms)
        self.aggregate = [self.next_aggregate, price, quantity, number, number, time_ms,
                          is_buyer_maker]
        self.next_aggregate += 1

    def say_aggregate(self, event_ms):
        a, self.aggregate = self.aggregate, None
        if not a:
            return
        self.aggregates.append(tuple(a))
        if len(self.aggregates) > TRADES_MAX:
            del self.aggregates[:TRADES_MAX // 5]
        stream = self.lower + "@aggTrade"
        if not self.venue.hub.wants(stream):
            return
        rules = self.rules
        quantity = text_of(a[2], rules.quantity_decimals)
        values = (event_ms, self.symbol, a[0], text_of(a[1], rules.price_decimals), quantity)
        tail = (a[3], a[4], a[5], BOOL[a[6]])
        if self.venue.is_spot:
            text = ('{"e":"aggTrade","E":%d,"s":"%s","a":%d,"p":"%s","q":"%s","f":%d,"l":%d,'
                    '"T":%d,"m":%s,"M":true}' % (values + tail))
        else:
            text = ('{"e":"aggTrade","E":%d,"s":"%s","a":%d,"p":"%s","q":"%s","nq":"%s","f":%d,'
                    '"l":%d,"T":%d,"m":%s}' % (values + (quantity,) + tail))
        self.venue.hub.publish(stream, text.encode())

    # Candles, mark price, liquidations.

    def end_candles(self, now_ms):
        for interval, candle in self.klines.ended(now_ms):
            stream = "%s@kline_%s" % (self.lower, interval)
            if self.venue.hub.wants(stream):
                self.venue.hub.publish(stream, candle.event(interval, self.rules, now_ms, True))
            else:
                del self.klines.open[interval]

    def say_candles(self, now_ms):
        for interval in sorted(self.klines.changed):
            stream = "%s@kline_%s" % (self.lower, interval)
            if interval != "1s" and now_ms < self.klines_due_ms:
                continue
            self.klines.changed.discard(interval)
            self.venue.hub.publish(stream, self.klines.open[interval].event(
                interval, self.rules, now_ms, False))
        if now_ms >= self.klines_due_ms:
            pace = KLINE_MS[self.venue.name]
            self.klines_due_ms = now_ms // pace * pace + pace

    def say_mark(self, now_ms):
        if self.mark is None:
            return
        second = now_ms // 1000
        mark, index, rate, funding_ms = self.mark
        decimals = 8
        text = ('{"e":"markPriceUpdate","E":%d,"s":"%s","p":"%s","ap":"%s","P":"%s","i":"%s",'
                '"r":"%s","T":%d,"st":1}'
                % (second * 1000, self.symbol, text_of(mark, decimals), text_of(mark, decimals),
                   text_of(mark, decimals), text_of(index, decimals), rate, funding_ms)).encode()
        self.venue.hub.publish(self.lower + "@markPrice@1s", text)
        if second % 3 == 0:
            self.venue.hub.publish(self.lower + "@markPrice", text)

    def force_order(self, side, quantity, price, now_ms):
        rules = self.rules
        q, p = text_of(quantity, rules.quantity_decimals), text_of(price, rules.price_decimals)
        text = ('{"e":"forceOrder","E":%d,"o":{"s":"%s","S":"%s","o":"LIMIT","f":"IOC","q":"%s",'
                '"p":"%s","ap":"%s","X":"FILLED","l":"%s","z":"%s","T":%d,"ps":"%s","st":1}}'
                % (now_ms, self.symbol, side, q, p, p, q, q, now_ms, self.symbol)).encode()
        self.venue.hub.publish(self.lower + "@forceOrder", text)

    def tick(self, now_ms):
        """What happens with time; every 100 ms of the market's own clock."""
        if self.is_halted:
            return
        self.flush_diff(now_ms)
        self.say_aggregate(now_ms)
        settled_ms = now_ms - self.venue.grace_ms
        self.end_candles(settled_ms)
        self.klines.roll_minute(settled_ms)
        self.say_candles(now_ms)
        if now_ms >= self.mark_due_ms and not self.venue.is_spot:
            self.mark_due_ms = now_ms // 1000 * 1000 + 1000
            self.say_mark(now_ms)

    def halt(self, is_halted):
        self.flush_diff(self.venue.now_ms())
        if self.is_halted and not is_halted:
            self.klines.resume(self.venue.now_ms())
        self.is_halted = is_halted
        self.rules.status = "HALT" if is_halted else "TRADING"

    def trades_from(self, first, last):
        """Trades first to last that are still known."""
        if not self.trades:
            return []
        begin = self.trades[0][0]
        return self.trades[max(0, first - begin):max(0, last - begin + 1)]

    def aggregates_from(self, first):
        if not self.aggregates:
            return []
        return itertools.islice(self.aggregates, max(0, first - self.aggregates[0][0]), None)

    def trade_view(self, trade):
        number, price, quantity, time_ms, is_buyer_maker = trade
        quote = product(price, quantity)
        rules = self.rules
        view = {"id": number, "price": text_of(price, rules.price_decimals),
                "qty": text_of(quantity, rules.quantity_decimals),
                "quoteQty": text_of(quote, 8 if self.venue.is_spot else 2), "time": time_ms,
                "isBuyerMaker": bool(is_buyer_maker)}
        if self.venue.is_spot:
            view["isBestMatch"] = True
        return view

    def aggregate_view(self, a):
        rules = self.rules
        view = {"a": a[0], "p": text_of(a[1], rules.price_decimals),
                "q": text_of(a[2], rules.quantity_decimals), "f": a[3], "l": a[4], "T": a[5],
                "m": bool(a[6])}
        if self.venue.is_spot:
            view["M"] = True
        else:
            view["nq"] = view["q"]
        return view


class Venue:
    """One market: spot or usdm."""

    def __init__(self, name, hub, counters, weights, history_max=20000):
        self.name, self.is_spot = name, name == "spot"
        self.hub, self.counters, self.weights = hub, counters, weights
        self.history_max = history_max
        self.grace_ms = 0  # how late trades may come after their own time
        self.instruments, self.rules_known = {}, {}
        self.now_ms = lambda: int(time.time() * 1000)
        self.was_skewed = False
        self.query_lag_ms = 0  # so long queries do not see a new order
        self.skew_ms = 0  # by how much the clock that REST and signatures know is wrong
        self.on_trade = lambda instrument, price, quantity: None
        self.order_limits = dict(ORDER_LIMITS[name])  # of each account

    @property
    def weight_limit(self):
        return self.weights.window.limit

    # For those who trade here.

    def visible_from(self):
        """When queries will see an order that is placed now; 0 = at once."""
        return self.now_ms() + self.query_lag_ms if self.query_lag_ms else 0

    def clock_ms(self):
        """The time as the exchange says it."""
        return self.now_ms() + self.skew_ms

    def rules_of(self, symbol):
        """The rules of a symbol, also of one that is listed no more."""
        if symbol in self.instruments:
            self.rules_known[symbol] = self.instruments[symbol].rules
        return self.rules_known[symbol]

    def last_price(self, symbol):
        """Of the last trade, or None."""
        instrument = self.instruments.get(symbol)
        return instrument.trades[-1][1] if instrument and instrument.trades else None

    def mark_price(self, symbol):
        instrument = self.instruments.get(symbol)
        if instrument is None:
            return self.rules_of(symbol).price
        return instrument.mark[0] if instrument.mark else instrument.rules.price

    def add(self, instrument):
        self.instruments[instrument.symbol] = instrument
        for stream in self.hub.streams():
            self.on_wanted(stream)

    def remove(self, symbol):
        return self.instruments.pop(symbol, None)

    def on_wanted(self, stream):
        """A stream has a listener: what costs something is made only then."""
        lower, _, kind = stream.partition("@")
        instrument = self.instruments.get(lower.upper())
        if instrument is None:
            return
        if kind.startswith("kline_"):
            instrument.klines.want(kind[6:], self.now_ms())
        elif kind.startswith("depth") and kind[5:6].isdigit():
            instrument.partials.add((stream, int(kind[5:].partition("@")[0])))

    def tick(self, now_ms):
        for instrument in list(self.instruments.values()):
            instrument.tick(now_ms)
