"""streams - the WebSocket side: names of streams, connections and their rules, who gets what.

Each message is framed once and shared by all who listen; what a turn of the loop gathers for a
connection is one write. Connections are read strictly: pace, number of streams, form of requests.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import collections
import json
import re
import socket
import struct
import time

from aiohttp import WSMsgType, web

from klines import INTERVALS
from limits import Sliding
from wire import CLOSE, PING, PONG, combined, frame

STREAMS_MAX = 1024
REQUEST_BYTES_MAX = 65536
_KLINE = "kline_(?:%s)" % "|".join(INTERVALS)
# Which root of the USD-M streams carries what; spot has one root.
OFFERED = {
    "spot": re.compile(r"(?:trade|aggTrade|bookTicker|%s|depth(?:5|10|20)?(?:@100ms)?)" % _KLINE),
    "public": re.compile(r"(?:bookTicker|depth(?:5|10|20)?(?:@100ms|@500ms)?)"),
    "market": re.compile(r"(?:aggTrade|markPrice(?:@1s)?|%s|forceOrder)"
                         % _KLINE.replace("1s|", "", 1))}
# Names that Binance has and the stand-in has not.
ABSENT = re.compile(r"(?:miniTicker|ticker(?:_(?:1h|4h|1d))?|avgPrice|referencePrice|blockTrade"
                    r"|rpiDepth(?:@500ms)?|contractInfo|assetIndex|compositeIndex)$")
SYMBOL = re.compile(r"[a-z0-9_]{2,24}$")


def stream_root(market, stream):
    """Where a stream belongs; None with a name that no exchange knows."""
    symbol, _, kind = stream.partition("@")
    if not SYMBOL.match(symbol):
        return None
    for root in ("spot",) if market == "spot" else ("public", "market"):
        if OFFERED[root].fullmatch(kind):
            return root
    return "absent" if ABSENT.match(kind) else None


class Hub:
    """Who listens to what on one market, and the faults between."""

    def __init__(self, counters):
        self.counters = counters
        self.listeners = {}  # stream: {connection: True}
        self.connections = {}
        self.frames = 0  # sent to those that are gone
        self.filters = []
        self.dirty = []
        self.on_wanted = lambda stream: None

    def streams(self):
        return list(self.listeners)

    def wants(self, stream):
        return stream in self.listeners

    def listen(self, connection, stream):
        self.listeners.setdefault(stream, {})[connection] = True
        self.on_wanted(stream)

    def unlisten(self, connection, stream):
        listeners = self.listeners.get(stream)
        if listeners and listeners.pop(connection, None) and not listeners:
            del self.listeners[stream]

    def publish(self, stream, payload, topic=None):
        """To those who listen to `topic`; of most streams it is the stream itself."""
        topic = topic or stream
        listeners = self.listeners.get(topic)
        if not listeners:
            return
        if not self.filters:
            self.deliver(stream, payload, listeners)
            return
        payloads = self.filtered(stream, None, [payload], topic)
        for connection in list(listeners):
            for one in self.filtered(stream, connection, payloads, topic):
                self.deliver(stream, one, (connection,))

    def filtered(self, stream, connection, payloads, topic):
        for each in list(self.filters):
            if each.matches(stream, connection):
                payloads = [out for one in payloads for out in each.feed(one)]
                for one in each.take_late():
                    asyncio.get_running_loop().call_later(each.seconds, self.say_late, stream,
                                                          connection, one, topic)
                if each.is_over():
                    self.filters.remove(each)
        return payloads

    def say_late(self, stream, connection, payload, topic):
        listeners = self.listeners.get(topic, {})
        self.deliver(stream, payload, [c for c in listeners if connection in (None, c)])

    def deliver(self, stream, payload, listeners):
        raw = wrapped = None
        for connection in listeners:
            if connection.is_private:
                connection.hear(stream, payload)
            elif connection.is_combined:
                if wrapped is None:
                    wrapped = frame(combined(stream, payload))
                connection.put(wrapped)
            else:
                if raw is None:
                    raw = frame(payload)
                connection.put(raw)

    def is_to_flush(self, connection):
        if not self.dirty:
            asyncio.get_running_loop().call_soon(self.flush)
        self.dirty.append(connection)

    def flush(self):
        dirty, self.dirty = self.dirty, []
        for connection in dirty:
            connection.flush()


class Connection:
    """One client's WebSocket."""

    numbers = 0
    is_private = False  # of user data: it words by hear() what it is told

    def __init__(self, venue, root, is_combined, settings, transport):
        Connection.numbers += 1
        self.number = Connection.numbers
        self.venue, self.hub, self.counters = venue, venue.hub, venue.counters
        self.root, self.is_combined, self.settings = root, is_combined, settings
        self.transport = transport
        self.streams = {}  # in the order of subscribing
        self.out = []
        self.pings = collections.OrderedDict()  # payload: True, not yet answered
        self.pace = Sliding(settings.inbound_max[venue.name], 1.0)
        self.frames = self.requests = 0
        self.is_silent = self.is_half = self.is_deaf = self.is_over = False
        self.has_pings = True
        self.lag_s = 0.0  # by a fault: what is said comes so much later
        self.why = ""
        self.since = time.time()
        self.timers = []

    # Out.

    def put(self, data):
        if self.lag_s:
            asyncio.get_running_loop().call_later(self.lag_s, self.put_now, data)
        else:
            self.put_now(data)

    def put_now(self, data):
        if self.is_silent or self.is_over:
            return
        if not self.out:
            self.hub.is_to_flush(self)
        self.out.append(data)

    def flush(self):
        if self.is_over or not self.out:
            return
        data, self.out = self.out, []
        self.frames += len(data)
        if self.is_half:
            data[-1] = data[-1][:max(1, len(data[-1]) // 2)]
            self.transport.write(b"".join(data))
            self.end("half a frame")
            self.transport.close()
            return
        self.transport.write(b"".join(data) if len(data) > 1 else data[0])
        if self.transport.get_write_buffer_size() > self.settings.buffer_bytes_max:
            self.counters.add("slow_cut")
            self.cut("reads too slowly")

    def say(self, value):
        self.put(frame(json.dumps(value, separators=(",", ":")).encode()))

    def end(self, why):
        self.is_over = True
        self.why = self.why or why
        for timer in self.timers:
            timer.cancel()

    def cut(self, why):
        """The TCP connection is gone, without a word."""
        if self.is_over:
            return
        self.end(why)
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:  # the client may just have gone by itself
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close(self, code, why):
        """A close frame, then the end."""
        if self.is_over:
            return
        self.put(frame(struct.pack(">H", code) + why.encode(), CLOSE))
        self.flush()
        self.end(why)
        self.transport.close()

    def violate(self, kind, words, code=1008):
        self.counters.violation(kind, "connection %d: %s" % (self.number, words))
        self.close(code, words)

    # Time.

    def start(self):
        loop = asyncio.get_running_loop()
        self.later(loop, self.settings.ping_ms[self.venue.name], self.ping)
        self.later(loop, self.settings.life_ms, self.expire)

    def later(self, loop, delay_ms, call, *arguments):
        self.timers = [t for t in self.timers if not t.cancelled() and t.when() > loop.time()]
        self.timers.append(loop.call_later(delay_ms / 1000, call, *arguments))

    def ping(self):
        loop = asyncio.get_running_loop()
        self.later(loop, self.settings.ping_ms[self.venue.name], self.ping)
        if not self.has_pings or self.is_silent:
            return
        payload = b"%d.%d" % (time.time() * 1000, len(self.pings))
        self.pings[payload] = True
        self.put(frame(payload, PING))
        self.counters.add("pings_sent")
        self.later(loop, self.settings.pong_ms[self.venue.name], self.missing, payload)

    def missing(self, payload):
        if payload in self.pings:
            self.violate("pong", "no pong came in time")

    def expire(self):
        self.counters.add("expired")
        self.close(1001, "24 hours are over")

    def shutdown(self, grace_ms):
        event = {"e": "serverShutdown", "E": self.venue.now_ms()}
        self.say({"stream": "!serverShutdown", "data": event} if self.is_combined else event)
        self.later(asyncio.get_running_loop(), grace_ms, self.close, 1001, "shut down")

    # In.

    def take(self, message):
        """One message of the client; False when the connection is over."""
        if self.is_over:
            return False
        if message.type in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG, WSMsgType.BINARY):
            if not self.pace.add():
                self.violate("pace", "Too many requests")
                return False
        if message.type == WSMsgType.TEXT:
            self.request(message.data)
        elif message.type == WSMsgType.PING:
            self.counters.add("pings_heard")
            if not self.is_deaf:
                self.put(frame(bytes(message.data), PONG))
        elif message.type == WSMsgType.PONG:
            self.counters.add("pongs_heard")
            if bytes(message.data) in self.pings:
                while self.pings.popitem(last=False)[0] != bytes(message.data):
                    pass
        elif message.type == WSMsgType.BINARY:
            self.violate("binary", "binary message", 1003)
        else:
            return False
        return not self.is_over

    def refuse(self, words, number=None, code=2):
        self.counters.violation("request", "connection %d: %s" % (self.number, words))
        answer = {"code": code, "msg": "Invalid request: " + words}
        if number is not None:
            answer["id"] = number
        self.say(answer)

    def request(self, text):
        self.requests += 1
        self.counters.add("requests")
        try:
            r = json.loads(text)
        except ValueError:
            self.counters.violation("request", "not JSON: %.80s" % text)
            self.say({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"})
            return
        if not isinstance(r, dict) or set(r) - {"method", "params", "id"}:
            self.refuse("unknown field")
            return
        number = r.get("id")
        if not ("id" in r and is_request_id(number)):
            self.refuse("request ID must be an unsigned integer")
            return
        method, params = r.get("method"), r.get("params")
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            self.subscribe(method == "SUBSCRIBE", params, number)
        elif method == "LIST_SUBSCRIPTIONS":
            self.say({"result": list(self.streams), "id": number})
        elif method == "SET_PROPERTY" and isinstance(params, list) and len(params) == 2 \
                and params[0] == "combined" and isinstance(params[1], bool):
            self.is_combined = params[1]
            self.say({"result": None, "id": number})
        elif method == "GET_PROPERTY" and params == ["combined"]:
            self.say({"result": self.is_combined, "id": number})
        else:
            self.refuse("unknown variant %.40s, expected one of SUBSCRIBE, UNSUBSCRIBE, "
                        "LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY" % method, number)

    def subscribe(self, is_on, params, number):
        if not isinstance(params, list) or not params \
                or not all(isinstance(p, str) for p in params):
            self.refuse("params must be a list of streams", number)
            return
        for stream in params:
            root = stream_root(self.venue.name, stream)
            if root in (None, "absent"):
                self.refuse("%s stream %.60s" % ("unknown" if root is None else "absent", stream),
                            number)
                return
        refusal = self.settings.refuse_subscribe
        if is_on and refusal["count"] > 0:
            refusal["count"] -= 1
            self.counters.add("subscribes_refused")
            error = {"code": refusal["code"], "msg": refusal["msg"]}
            self.say({"error": error, "id": number} if refusal["is_nested"]
                     else dict(error, id=number))
            return
        for stream in params:
            if is_on:
                self.add(stream)
            elif self.streams.pop(stream, None) is not None:
                self.hub.unlisten(self, stream)
        if len(self.streams) > STREAMS_MAX:
            self.violate("streams", "more than %d streams" % STREAMS_MAX)
            return
        self.counters.add("subscribed" if is_on else "unsubscribed", len(params))
        self.say({"result": None, "id": number})

    def add(self, stream):
        """A stream of another root is taken without a word and never heard of, as on Binance."""
        self.streams[stream] = True
        root = stream_root(self.venue.name, stream)
        is_served = root == self.root or (self.root == "unrouted" and root == "public")
        if not is_served:
            self.counters.violation("route", "%s asked for on %s" % (stream, self.root))
            return
        if stream.partition("@")[0].upper() not in self.venue.instruments:
            self.counters.add("streams_of_unlisted")
        self.hub.listen(self, stream)

    def gone(self):
        self.end("the client left")
        for stream in self.streams:
            self.hub.unlisten(self, stream)
        if self.hub.connections.pop(self.number, None):
            self.hub.frames += self.frames

    def view(self):
        return {"connection": self.number, "market": self.venue.name, "root": self.root,
                "combined": self.is_combined, "streams": list(self.streams),
                "frames": self.frames, "requests": self.requests, "since": self.since,
                "pings_unanswered": len(self.pings), "is_silent": self.is_silent}


def is_request_id(value):
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) <= 36
    return isinstance(value, int) and not isinstance(value, bool) and -2 ** 63 <= value < 2 ** 63


async def serve(request, venue, root, is_combined, streams, settings):
    """A WebSocket of the market, by the streams of its URL."""
    for stream in streams:
        if stream_root(venue.name, stream) in (None, "absent"):
            venue.counters.violation("stream", "in the URL: %.60s" % stream)
            return web.Response(status=400, text="Invalid stream")
    if len(streams) > STREAMS_MAX:
        venue.counters.violation("streams", "%d in the URL" % len(streams))
        return web.Response(status=400, text="Too many streams")
    return await converse(request, venue, settings, streams, lambda transport: Connection(
        venue, root, is_combined, settings, transport))


async def converse(request, venue, settings, streams, make):
    """Any WebSocket from its handshake to its end; make(transport) is its connection."""
    ws = web.WebSocketResponse(autoping=False, autoclose=True, compress=False,
                               max_msg_size=REQUEST_BYTES_MAX)
    if not ws.can_prepare(request):
        venue.counters.violation("handshake", request.path_qs)
        return web.Response(status=400, text="not a WebSocket handshake")
    if settings.socket_bytes:
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, settings.socket_bytes)
    try:
        await ws.prepare(request)
    except ConnectionResetError:
        venue.counters.add("connections_gone_early")
        return web.Response(status=400)
    connection = make(request.transport)
    venue.hub.connections[connection.number] = connection
    venue.counters.add("connections")
    connection.start()
    for stream in streams:
        connection.add(stream)
    try:
        while connection.take(await ws.receive()):
            pass
    finally:
        connection.gone()
        venue.counters.add("connections_ended")
    return ws
