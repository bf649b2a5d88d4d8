"""client - a small client of the exchange for its own test: the published procedures and no more.

It keeps prices as Decimals and books as plain dictionaries, so it shares no thought with the
server.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json
from decimal import Decimal

import aiohttp

PATIENCE_S = 20
POLL_S = 0.02
ENDLESS_MS = 10 ** 12  # of a window that does not end before 2033


class Failed(Exception):
    pass


def check(condition, what, *found):
    if not condition:
        raise Failed("%s; found: %s" % (what, ", ".join(repr(f)[:600] for f in found)))


class Client:
    """Requests and connections to one stand-in."""

    def __init__(self, x):
        self.x, self.tls = x, x.ssl_context()
        self.session = None
        self.headers = {}

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, kind, value, trace):
        await self.session.close()

    async def get(self, path, market="spot"):
        """(status, body) of a REST request."""
        base = self.x.spot_rest_url + "/api/v3/" if market == "spot" \
            else self.x.usdm_rest_url + "/fapi/v1/"
        async with self.session.get(base + path, ssl=self.tls) as reply:
            self.headers = reply.headers
            return reply.status, json.loads(await reply.text())

    async def result(self, path, market="spot"):
        status, body = await self.get(path, market)
        check(status == 200, path + " is answered", status, body)
        return body

    def open(self, path, market="spot"):
        base = self.x.spot_stream_url if market == "spot" else self.x.usdm_stream_url
        return self.session.ws_connect(base + path, ssl=self.tls, autoping=False,
                                       max_msg_size=1 << 24)


async def met(x, fault):
    """Waits until a request has met that fault; requests of one's own go on meanwhile."""
    async def until():
        while not x.fault_view(fault)["done"]:
            await asyncio.sleep(POLL_S)
    await asyncio.wait_for(until(), PATIENCE_S)


async def receive(ws):
    return await asyncio.wait_for(ws.receive(), PATIENCE_S)


async def hear(ws, condition=lambda m: True):
    """The first JSON message for which the condition holds; pings are answered on the way."""
    async def until():
        while True:
            message = await ws.receive()
            if message.type == aiohttp.WSMsgType.PING:
                await ws.pong(message.data)
            elif message.type == aiohttp.WSMsgType.TEXT:
                value = json.loads(message.data)
                if condition(value):
                    return value
            elif message.type != aiohttp.WSMsgType.PONG:
                raise Failed("the connection ended: %s" % (message,))
    return await asyncio.wait_for(until(), PATIENCE_S)


async def end_of(ws):
    """The close code when the other side ends it; None without a close frame."""
    async def until():
        while True:
            message = await ws.receive()
            if message.type == aiohttp.WSMsgType.CLOSE:
                return message.data
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR,
                                aiohttp.WSMsgType.CLOSING):
                return None if ws.close_code in (None, 1006) else ws.close_code
    return await asyncio.wait_for(until(), PATIENCE_S)


async def ask(ws, method, params=None, number=1):
    """The answer to a control message."""
    body = {"method": method, "id": number}
    if params is not None:
        body["params"] = params
    await ws.send_json(body)
    return await hear(ws, lambda m: "result" in m or "code" in m or "error" in m)


class NaiveBook:
    """A local book, by the procedure that the exchange publishes for its market."""

    def __init__(self, market):
        self.market, self.id = market, None
        self.sides = {"b": {}, "a": {}}
        self.is_first = True

    def snapshot(self, body):
        self.id = body["lastUpdateId"]
        for name, key in (("b", "bids"), ("a", "asks")):
            self.sides[name] = {Decimal(p): Decimal(q) for p, q in body[key]}

    def diff(self, d):
        """False for a diff that does not follow: all is to be begun anew."""
        if self.market == "spot":
            if d["u"] <= self.id:
                return True
            if d["U"] > self.id + 1:
                return False
        elif self.is_first:
            if d["u"] < self.id:
                return True
            if d["U"] > self.id:
                return False
        elif d["pu"] != self.id:
            return False
        self.is_first = False
        for name, side in self.sides.items():
            for price, quantity in d[name]:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)
        self.id = d["u"]
        return True

    def top(self, name, count):
        side = self.sides[name]
        return [(p, side[p]) for p in sorted(side, reverse=name == "b")[:count]]

    def differs(self, truth, count):
        """What differs from the exchange's own book, or None."""
        for name, key in (("b", "bids"), ("a", "asks")):
            mine = self.top(name, count)
            theirs = [(Decimal(p), Decimal(q)) for p, q in truth[key]][:count]
            if mine != theirs:
                return [pair for pair in zip(mine, theirs) if pair[0] != pair[1]][:3] or \
                    [len(mine), len(theirs)]
        return None


class OwnCandle:
    """A candle from trades."""

    def __init__(self):
        self.prices, self.volume, self.quote, self.count = [], Decimal(0), Decimal(0), 0
        self.taker = Decimal(0)

    def add(self, price, quantity, is_buyer_maker, count=1):
        self.prices.append(Decimal(price))
        self.volume += Decimal(quantity)
        self.quote += Decimal(price) * Decimal(quantity)
        self.count += count
        if not is_buyer_maker:
            self.taker += Decimal(quantity)

    def row(self):
        p = self.prices
        return [p[0], max(p), min(p), p[-1], self.volume, self.quote, self.count, self.taker]


def candle_row(k):
    """The same of a kline of REST."""
    return [Decimal(v) for v in k[1:6]] + [Decimal(k[7]), k[8], Decimal(k[9])]
