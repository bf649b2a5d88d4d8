"""rest - the public REST side of both markets: parameters, weights and answers as Binance's.

Every parameter is read strictly: one that is unknown, missing, doubled, empty or out of its range
is refused with Binance's code and counted as a violation of the client.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
import re

from aiohttp import web

from klines import INTERVALS, end_of, open_of
from rules import exchange_info
from wire import Refusal, text_of

REQUIRED = True
USDM_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


def refuse(code, message):
    raise Refusal(code, message, violation="parameter")


def number_of(name, text):
    if not re.fullmatch(r"\d{1,18}", text):
        refuse(-1100, "Illegal characters found in parameter '%s'; legal range is "
               "'^[0-9]{1,20}$'." % name)
    return int(text)


def symbol_of(name, text):
    if not re.fullmatch(r"[A-Z0-9_]{1,24}", text):
        refuse(-1100, "Illegal characters found in parameter '%s'; legal range is "
               "'^[\\w\\-._&&[^a-z]]{1,50}$'." % name)
    return text


def symbols_of(name, text):
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(s, str) for s in listed):
        refuse(-1100, "Illegal characters found in parameter '%s'." % name)
    return [symbol_of(name, s) for s in listed]


def interval_of(name, text):
    del name
    if text not in INTERVALS:
        refuse(-1120, "Invalid interval.")
    return text


def word_of(name, text):
    del name
    return text


def limit_of(most):
    def read(name, text):
        value = number_of(name, text)
        if not 0 < value <= most:
            refuse(-1130, "Data sent for parameter 'limit' is not valid.")
        return value
    return read


def spot_depth_limit(name, text):
    value = number_of(name, text)
    if value == 0:
        refuse(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(value, 5000)  # a larger one is clamped, not refused


def usdm_depth_limit(name, text):
    value = number_of(name, text)
    if value not in USDM_DEPTHS:
        refuse(-4021, "%d is not valid depth limit." % value)
    return value


def read_query(pairs, spec):
    """The parameters by name, read by `spec`: name: (required, reader)."""
    values = {}
    for name, text in pairs:
        if name in values:
            refuse(-1101, "Duplicate values for a parameter detected.")
        if name not in spec:
            refuse(-1104, "Not all sent parameters were read; read '%d' parameter(s) but was sent "
                   "'%d'." % (len([n for n, _ in pairs if n in spec]), len(pairs)))
        if text == "":
            refuse(-1105, "Parameter '%s' was empty." % name)
        values[name] = spec[name][1](name, text)
    for name, (is_required, _) in spec.items():
        if is_required and name not in values:
            refuse(-1102, "Mandatory parameter '%s' was not sent, was empty/null, or malformed."
                   % name)
    return values


def instrument_of(venue, values):
    instrument = venue.instruments.get(values["symbol"])
    if instrument is None:
        # A symbol may just have been delisted, so this alone is no fault of the client.
        venue.counters.add("rest_unknown_symbol")
        raise Refusal(-1121, "Invalid symbol.")
    return instrument


# Answers.

def ping(venue, values):
    del venue, values
    return {}


def server_time(venue, values):
    del values
    return {"serverTime": venue.clock_ms()}


def info(venue, values):
    if "symbol" in values and "symbols" in values:
        refuse(-1128, "Combination of optional parameters invalid.")
    chosen = [values["symbol"]] if "symbol" in values else values.get("symbols")
    if chosen is None:
        rules = [i.rules for i in venue.instruments.values()]
        if "symbolStatus" in values:
            rules = [r for r in rules if r.status == values["symbolStatus"]]
    else:
        rules = [instrument_of(venue, {"symbol": symbol}).rules for symbol in chosen]
    return exchange_info(venue, rules)


def depth(venue, values):
    instrument = instrument_of(venue, values)
    limit = values.get("limit", 100 if venue.is_spot else 500)
    update_id, book = venue.faults.snapshot(instrument)
    venue.counters.add("snapshots")
    view = {"lastUpdateId": update_id}
    if not venue.is_spot:
        view.update(E=venue.now_ms(), T=venue.now_ms())
    view["bids"], view["asks"] = (book.texts(side, limit, instrument.rules) for side in (0, 1))
    return view


def trades(venue, values):
    instrument = instrument_of(venue, values)
    return [instrument.trade_view(t) for t in instrument.trades[-values.get("limit", 500):]]


def historical_trades(venue, values):
    instrument = instrument_of(venue, values)
    limit = values.get("limit", 500)
    if "fromId" not in values:
        return trades(venue, values)
    venue.counters.add("heals")
    first = values["fromId"]
    return [instrument.trade_view(t)
            for t in instrument.trades_from(first, first + limit - 1)]


def aggregate_trades(venue, values):
    instrument = instrument_of(venue, values)
    limit = values.get("limit", 500)
    if "fromId" in values and ("startTime" in values or "endTime" in values):
        refuse(-1128, "Combination of optional parameters invalid.")
    if "fromId" in values:
        venue.counters.add("heals")
        chosen = list(instrument.aggregates_from(values["fromId"]))[:limit]
    else:
        start, end = values.get("startTime"), values.get("endTime")
        chosen = [a for a in instrument.aggregates
                  if (start is None or a[5] >= start) and (end is None or a[5] <= end)]
        chosen = chosen[:limit] if start is not None else chosen[-limit:]
    return [instrument.aggregate_view(a) for a in chosen]


def klines(venue, values):
    instrument = instrument_of(venue, values)
    interval = values["interval"]
    if interval == "1s" and not venue.is_spot:
        refuse(-1120, "Invalid interval.")
    start, end = values.get("startTime"), values.get("endTime")
    rows = instrument.klines.rows(interval, start, end, values.get("limit", 500),
                                  instrument.trades)
    venue.counters.add("klines")
    # The open candle may be told only as far as the clock goes.
    now = venue.now_ms()
    return [row for row in rows if row[0] < end_of(interval, open_of(interval, now))]


def premium_index(venue, values):
    def view(instrument):
        mark, index, rate, funding_ms = instrument.mark
        return {"symbol": instrument.symbol, "markPrice": text_of(mark),
                "indexPrice": text_of(index), "estimatedSettlePrice": text_of(mark),
                "lastFundingRate": rate, "interestRate": "0.00010000",
                "nextFundingTime": funding_ms, "time": venue.now_ms()}

    if "symbol" in values:
        return view(instrument_of(venue, values))
    return [view(i) for i in venue.instruments.values() if i.mark]


def funding_rate(venue, values):
    """Settlements every eight hours, as far back as asked."""
    instrument = instrument_of(venue, values)
    eight = 8 * 3600000
    end = min(values.get("endTime", venue.now_ms()), venue.now_ms())
    limit = values.get("limit", 100)
    last = end // eight * eight
    times = [last - n * eight for n in range(limit)]
    times = sorted(t for t in times if t >= values.get("startTime", 0))
    return [{"symbol": instrument.symbol, "fundingRate": "%.8f" % (t // eight % 7 / 1e5),
             "fundingTime": t, "markPrice": text_of(instrument.rules.price),
             "rateType": "FUNDING"} for t in times]


def needs_key(venue, values):
    del venue, values
    raise Refusal(-2014, "API-key format invalid.", 401, violation="key")


# Weights.

def spot_depth_weight(values):
    limit = values.get("limit", 100)
    return next(w for most, w in ((100, 5), (500, 25), (1000, 50), (5000, 250)) if limit <= most)


def usdm_depth_weight(values):
    limit = values.get("limit", 500)
    return next(w for most, w in ((50, 2), (100, 5), (500, 10), (1000, 20)) if limit <= most)


def usdm_kline_weight(values):
    limit = values.get("limit", 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def fixed(weight):
    return lambda values: weight


SYMBOL = {"symbol": (REQUIRED, symbol_of)}
SPAN = {"startTime": (False, number_of), "endTime": (False, number_of)}
THOUSAND = {"limit": (False, limit_of(1000))}
FROM = {"fromId": (False, number_of)}
KLINES = {**SYMBOL, "interval": (REQUIRED, interval_of), **SPAN}
INFO = {"symbol": (False, symbol_of), "symbols": (False, symbols_of),
        "permissions": (False, word_of), "symbolStatus": (False, word_of),
        "showPermissionSets": (False, word_of)}

# path: (answer, parameters, weight)
SPOT = {
    "ping": (ping, {}, fixed(1)),
    "time": (server_time, {}, fixed(1)),
    "exchangeInfo": (info, INFO, fixed(20)),
    "depth": (depth, {**SYMBOL, "limit": (False, spot_depth_limit)}, spot_depth_weight),
    "trades": (trades, {**SYMBOL, **THOUSAND}, fixed(25)),
    "historicalTrades": (historical_trades, {**SYMBOL, **THOUSAND, **FROM}, fixed(25)),
    "aggTrades": (aggregate_trades, {**SYMBOL, **THOUSAND, **FROM, **SPAN}, fixed(4)),
    "klines": (klines, {**KLINES, **THOUSAND, "timeZone": (False, word_of)}, fixed(2)),
}
USDM = {
    "ping": (ping, {}, fixed(1)),
    "time": (server_time, {}, fixed(1)),
    "exchangeInfo": (info, {}, fixed(1)),
    "depth": (depth, {**SYMBOL, "limit": (False, usdm_depth_limit)}, usdm_depth_weight),
    "trades": (trades, {**SYMBOL, **THOUSAND}, fixed(5)),
    "historicalTrades": (needs_key, {**SYMBOL, **THOUSAND, **FROM}, fixed(200)),
    "aggTrades": (aggregate_trades, {**SYMBOL, **THOUSAND, **FROM, **SPAN}, fixed(20)),
    "klines": (klines, {**KLINES, "limit": (False, limit_of(1500))}, usdm_kline_weight),
    "premiumIndex": (premium_index, {"symbol": (False, symbol_of)},
                     lambda values: 1 if "symbol" in values else 10),
    # Counted apart: 500 calls in five minutes.
    "fundingRate": (funding_rate, {**SYMBOL, **SPAN, **THOUSAND}, fixed(0)),
}


class Rest:
    """The requests of one market."""

    def __init__(self, venue):
        self.venue = venue
        self.table = SPOT if venue.is_spot else USDM
        self.signed = None  # the calls of accounts

    def answer(self, status, value, retry_after_s=0, headers=()):
        self.venue.weights.window.roll()
        headers = {**dict(headers),
                   "X-MBX-USED-WEIGHT": str(self.venue.weights.window.used),
                   "X-MBX-USED-WEIGHT-1M": str(self.venue.weights.window.used)}
        if retry_after_s:
            headers["Retry-After"] = str(retry_after_s)
        return web.Response(status=status, headers=headers, content_type="application/json",
                            body=json.dumps(value, separators=(",", ":")).encode())

    async def handle(self, request):
        venue = self.venue
        fault = venue.faults.is_down()
        if fault:
            return self.down(request, fault)
        call = self.signed.find(request)
        if call:
            return await self.signed.handle(request, call)
        name = request.match_info["name"]
        if name not in self.table or request.method != "GET":
            venue.counters.violation("path", "%s %s" % (request.method, request.path))
            return web.Response(status=404, text="not here")
        venue.counters.add("rest")
        venue.counters.add("rest_" + name)
        call, spec, weight = self.table[name]
        refusal, values = None, {}
        try:
            values = read_query(list(request.query.items()), spec)
        except Refusal as e:
            refusal = e
        verdict = venue.weights.ask(weight(values) if not refusal else 1, venue.counters)
        if verdict.status:
            return self.limited(verdict)
        if name == "fundingRate" and not venue.funding_calls.spend(1):
            return self.limited(type(verdict)(429, -(-venue.funding_calls.left_ms() // 1000)))
        fault = venue.faults.rest(name)
        if fault:
            return await self.broken(request, fault,
                                     lambda: self.result(request, call, values, refusal))
        return self.result(request, call, values, refusal)

    def result(self, request, call, values, refusal=None):
        try:
            if refusal:
                raise refusal
            return self.answer(200, call(self.venue, values))
        except Refusal as e:
            if e.violation:
                self.venue.counters.violation(e.violation, "%s: %d %s"
                                              % (request.path_qs, e.code, e.message))
            return self.answer(e.status, {"code": e.code, "msg": e.message})

    def limited(self, verdict):
        if verdict.status == 418:
            message = ("Way too much request weight used; IP banned until %d. Please use WebSocket "
                       "Streams for live updates to avoid bans." % verdict.banned_until_ms)
        else:
            message = ("Too much request weight used; current limit is %d request weight per 1 "
                       "MINUTE. Please use WebSocket Streams for live updates to avoid polling "
                       "the API." % self.venue.weight_limit)
        return self.answer(verdict.status, {"code": -1003, "msg": message}, verdict.retry_after_s)

    def down(self, request, fault):
        """Nothing works here at all."""
        self.venue.counters.add("rest_down")
        if fault.how == "tcp":
            request.transport.abort()
        return self.answer(fault.status, {"code": fault.code, "msg": fault.words})

    async def broken(self, request, fault, make):
        """What a fault does instead of an answer. make() does what was asked and answers; after it
        means that it was done all the same."""
        answer = make() if fault.when == "after" or fault.kind == "rest_half" else None
        if fault.kind == "rest_error" and fault.html:
            # From what stands before the exchange, which knows nothing of it.
            return web.Response(status=fault.status, content_type="text/html", text="<html><head>"
                                "<title>%d</title></head></html>\r\n" % fault.status)
        if fault.kind == "rest_error":
            return self.answer(fault.status, {"code": fault.code, "msg": fault.words},
                               fault.retry_after)
        if fault.kind == "rest_slow":
            await asyncio.sleep(fault.seconds)
            return make() if answer is None else answer  # an empty response counts as false
        if fault.kind == "rest_timeout":
            # Until the client has had enough.
            transport = request.transport
            while transport is not None and not transport.is_closing():
                await asyncio.sleep(0.02)
            return self.answer(503, {"code": -1000, "msg": "nobody reads this"})
        if fault.kind == "rest_half":
            body = answer.body
            request.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(body) + body[:len(body) // 2])
        request.transport.close()
        return self.answer(503, {"code": -1000, "msg": "nobody reads this"})
