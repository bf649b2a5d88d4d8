#!/usr/bin/python3
"""exchange_server.py - an exchange of a few words, for the tests of the bridge's caller.

usage: exchange_server.py FOLDER      prints "PORT 0"; ends when its standard input ends

The first part of a path says how this exchange behaves, so that each test has one of its own:
`/n=7,skew=60000,POST=busy+ok/api/v3/order`. A method's words are used one after the other, the
last one on and on; what they do stands at answer(). Signatures are proved with the secret
"a secret of the tests": over the bytes that came, the signature last, all in the query.
`/NAME/_told` tells what came: `wrong` counts what no honest client sends.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import hashlib
import hmac
import json
import sys
import time
from urllib.parse import parse_qsl

SECRET = b"a secret of the tests"
API_KEY = "key-of-the-tests"
STATUS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 429: "Too Many",
          418: "Teapot", 503: "Unavailable", 500: "Error"}


class Exchange:
    def __init__(self, words):
        pairs = dict(word.split("=", 1) for word in words.split(","))
        self.skew_ms = int(pairs.get("skew", "0"))
        self.weight = int(pairs["weight"]) if "weight" in pairs else None
        self.orders = pairs.get("orders")
        self.words = {name: pairs[name].split("+") for name in ("GET", "POST", "DELETE", "TIME")
                      if name in pairs}
        self.told = {"wrong": [], "under_way": 0, "most": 0, "weights": []}

    def now_ms(self):
        return int(time.time() * 1000) + self.skew_ms

    def word(self, name):
        words = self.words.get(name, ["ok"])
        return words.pop(0) if len(words) > 1 else words[0]

    def count(self, name):
        self.told[name] = self.told.get(name, 0) + 1

    def prove(self, query, headers):
        """The code of an error; None when it is signed rightly."""
        signed, mark, signature = query.rpartition("&signature=")
        names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        if headers.get("x-mbx-apikey") != API_KEY:
            self.told["wrong"].append("api key")
        if not mark or len(set(names)) != len(names):
            self.told["wrong"].append("query " + query)
            return -1022
        if hmac.new(SECRET, signed.encode(), hashlib.sha256).hexdigest() != signature:
            self.told["wrong"].append("signature of " + query)
            return -1022
        values = dict(parse_qsl(signed))
        at, window = int(values["timestamp"]), int(values["recvWindow"])
        self.told["timestamp"] = at
        if at >= self.now_ms() + 1000 or self.now_ms() - at > window:
            return -1021
        return None


exchanges = {}
connections = 0


def reply(status, body, headers=()):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = ["HTTP/1.1 %d %s" % (status, STATUS[status]), "Content-Length: %d" % len(text), *headers]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + text


def error(status, code, words="no", headers=()):
    return reply(status, {"code": code, "msg": words}, headers)


ANSWERS = {
    "busy": error(503, -1008, "Server is currently overloaded"),
    "unknown": error(503, -1007, "Timeout waiting for response"),
    "bad": reply(500, b"<html>"),
    "refuse": error(400, -2010, "Account has insufficient balance for requested action."),
    "limit": error(429, -1003, "Too much request weight", ["Retry-After: 1"]),
    "long": error(429, -1003, "Too much request weight", ["Retry-After: 100"]),
    "orders": error(429, -1015, "Too many new orders", ["Retry-After: 1"]),
    "firewall": reply(403, b"<html>"),
    "key": error(401, -2015, "Invalid API-key, IP, or permissions for action."),
    "absent": error(400, -2013, "Order does not exist."),
    "clock": error(400, -1021, "Timestamp for this request is outside of the recvWindow."),
    "page": reply(200, b"<html>hello</html>"),
}


async def answer(exchange, method, path, query, headers, writer):
    """One answer; False closes the connection."""
    is_time = path.endswith("/time")
    exchange.count("TIME" if is_time else method)
    word = exchange.word("TIME" if is_time else method)
    if not is_time:
        code = exchange.prove(query, headers)
        if code is not None:
            exchange.count(str(code))
            writer.write(error(400, code))
            return True
    if word == "late":
        await asyncio.Event().wait()
    if word == "close":
        return False
    if word == "half":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":")
        return False
    if word == "slow":
        exchange.told["under_way"] += 1
        exchange.told["most"] = max(exchange.told["most"], exchange.told["under_way"])
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.005)
        exchange.told["under_way"] -= 1
    if word in ANSWERS:
        writer.write(ANSWERS[word])
        return True
    more = []
    if exchange.weight is not None:
        more.append("X-MBX-USED-WEIGHT-1M: %d" % exchange.weight)
    if exchange.orders is not None:
        more += ["X-MBX-ORDER-COUNT-10S: " + exchange.orders,
                 "X-MBX-ORDER-COUNT-1D: " + exchange.orders]
    body = {"serverTime": exchange.now_ms()} if is_time else {"orderId": 7}
    writer.write(reply(200, body, more))
    return True


async def serve(reader, writer):
    global connections
    connections += 1
    keep = True
    while keep:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {k.lower(): v.strip() for k, v in (h.split(":", 1) for h in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head[0].split()
        path, _, query = target.partition("?")
        _, name, *rest = path.split("/")
        exchange = exchanges.setdefault(name, Exchange(name))
        if body:
            exchange.told["wrong"].append("a body")
        if rest == ["_told"]:
            told = dict(exchange.told, connections=connections)
            writer.write(reply(200, told))
        elif rest[0] == "_skew":
            exchange.skew_ms = int(rest[1])
            writer.write(reply(200, {}))
        else:
            keep = await answer(exchange, method, path, query, headers, writer)
        await writer.drain()


async def on_connection(reader, writer):
    try:
        await serve(reader, writer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    plain = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    print(plain.sockets[0].getsockname()[1], 0, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


try:
    asyncio.run(asyncio.wait_for(main(), 300))
except asyncio.TimeoutError:
    sys.exit("nobody ended this server")
