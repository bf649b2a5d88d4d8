#!/usr/bin/python3
"""Bad input gets a precise error, changes nothing, and leaves every service alive.

SPDX-License-Identifier: Apache-2.0
"""
import os
import socket

import recording
from books import check_account
from stack import SERVICES, Stack, check, tell
from zmtp import Peer

ORDERS = "/api/paper-trading/orders"
MARKET = '"symbol":"BTCUSDT","side":"BUY","type":"MARKET"'
LIMIT = '"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","price":"40000"'

# (body, error code or several that are right)
BODIES = [
    ("", "BODY_NOT_JSON"), ("{", "BODY_NOT_JSON"), ("[]", "BODY_NOT_JSON"),
    ("null", "BODY_NOT_JSON"), ("{} {}", "BODY_NOT_JSON"), ("\x00", "BODY_NOT_JSON"),
    ("[" * 2000, "BODY_NOT_JSON"), ("{%s,}" % MARKET, "BODY_NOT_JSON"),
    ("{%s,\"quantity\":NaN}" % MARKET, ("BODY_NOT_JSON", "NUMBER_SYNTAX", "FIELD_TYPE")),
    ("{%s,\"quantity\":\"NaN\"}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":\"Infinity\"}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":1e3}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":\"1e3\"}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":\"0x10\"}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":\" 1\"}" % MARKET, "NUMBER_SYNTAX"),
    ("{%s,\"quantity\":\"\"}" % MARKET, ("NUMBER_SYNTAX", "FIELD_MISSING")),
    ("{%s,\"quantity\":0.123456789}" % MARKET, "NUMBER_PRECISION"),
    ("{%s,\"quantity\":\"0.123456789\"}" % MARKET, "NUMBER_PRECISION"),
    ("{%s,\"quantity\":-1}" % MARKET, ("NUMBER_NOT_POSITIVE", "NUMBER_SYNTAX")),
    ("{%s,\"quantity\":0}" % MARKET, "NUMBER_NOT_POSITIVE"),
    ("{%s,\"quantity\":\"92233720368547758080\"}" % MARKET, "NUMBER_RANGE"),
    ("{%s,\"quantity\":92233720368547758080000}" % MARKET, "NUMBER_RANGE"),
    ("{%s,\"quantity\":true}" % MARKET, "FIELD_TYPE"),
    ("{%s,\"quantity\":{}}" % MARKET, "FIELD_TYPE"),
    ("{%s,\"quantity\":[1]}" % MARKET, "FIELD_TYPE"),
    ("{%s,\"quantity\":\"1\",\"colour\":1}" % MARKET, "FIELD_UNKNOWN"),
    ("{%s,\"quantity\":\"1\",\"account_id\":1}" % MARKET, "FIELD_UNKNOWN"),
    ("{%s,\"quantity\":\"1\",\"hold\":\"1\"}" % MARKET, "FIELD_UNKNOWN"),
    ("{%s,\"quantity\":\"1\",\"quantity\":\"2\"}" % MARKET, "FIELD_REPEATED"),
    ("{\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":\"1\"}", "FIELD_MISSING"),
    ("{\"symbol\":\"NOPEUSDT\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":\"1\"}",
     "SYMBOL_UNKNOWN"),
    ("{\"symbol\":\"%s\",\"side\":\"BUY\",\"type\":\"MARKET\",\"quantity\":\"1\"}" % ("A" * 500),
     ("SYMBOL_UNKNOWN", "FIELD_TOO_LONG")),
    ("{\"symbol\":\"BTCUSDT\",\"side\":\"HOLD\",\"type\":\"MARKET\",\"quantity\":\"1\"}",
     "CHOICE_UNKNOWN"),
    ("{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"GUESS\",\"quantity\":\"1\"}",
     ("CHOICE_UNKNOWN", "ORDER_TYPE_UNSUPPORTED")),
    ("{%s,\"quantity\":\"1\",\"client_order_id\":\"%s\"}" % (MARKET, "x" * 37),
     ("CLIENT_ID_INVALID", "FIELD_TOO_LONG")),
    ("{%s,\"quantity\":\"1\",\"client_order_id\":\"a b\"}" % MARKET, "CLIENT_ID_INVALID"),
    ("{%s,\"quantity\":\"1\",\"quote_order_quantity\":\"100\"}" % MARKET, "FIELDS_CLASH"),
    ("{%s}" % MARKET, ("FIELD_MISSING", "FIELDS_CLASH")),
    ("{%s}" % LIMIT, "FIELD_MISSING"),
    ("{%s,\"quantity\":\"0.0000001\"}" % LIMIT, ("FILTER_LOT_SIZE", "FILTER_NOTIONAL")),
    ("{%s,\"quantity\":\"0.00001\"}" % LIMIT, "FILTER_NOTIONAL"),
    ("{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"price\":\"40000.001\","
     "\"quantity\":\"0.01\"}", "FILTER_PRICE"),
    ("{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"price\":\"10\","
     "\"quantity\":\"10\"}", "FILTER_PERCENT_PRICE"),
    ("{%s,\"quantity\":\"100\"}" % LIMIT, "FUNDS_TOO_LOW"),
    ("{%s,\"quantity\":\"1000\"}" % LIMIT, "FILTER_NOTIONAL"),
]

# (method, path, body, status, code)
REQUESTS = [
    ("GET", "/api/nothing", None, 404, "ROUTE_UNKNOWN"),
    ("GET", "/../../etc/passwd", None, 404, "ROUTE_UNKNOWN"),
    ("PATCH", ORDERS, None, 405, "METHOD_NOT_ALLOWED"),
    ("PUT", "/api/auth/login", "{}", 405, "METHOD_NOT_ALLOWED"),
    ("GET", ORDERS + "/abc", None, 400, None),
    ("GET", ORDERS + "/-1", None, 400, None),
    ("GET", ORDERS + "/99999999999999999999999", None, 400, None),
    ("GET", ORDERS + "/4503599627370495", None, 404, "ORDER_NOT_FOUND"),
    ("GET", ORDERS + "?limit=501", None, 400, None),
    ("GET", ORDERS + "?limit=0", None, 400, "NUMBER_NOT_POSITIVE"),
    ("GET", ORDERS + "?colour=1", None, 400, "FIELD_UNKNOWN"),
    ("GET", ORDERS + "?status=MAYBE", None, 400, "CHOICE_UNKNOWN"),
    ("GET", "/api/settings/paper-balance/margin", None, 400, "TRADING_TYPE_INVALID"),
    ("PUT", "/api/settings/paper-balance/spot", '{"balance": 9.99}', 400, "BALANCE_OUT_OF_RANGE"),
    ("PUT", "/api/settings/paper-balance/spot", '{"balance": 1000000.01}', 400,
     "BALANCE_OUT_OF_RANGE"),
    ("PUT", "/api/settings/paper-balance/spot", '{"balance": 10.123456789}', 400,
     "NUMBER_PRECISION"),
    ("PUT", "/api/settings/paper-balance/spot", '{"balance": 1e4}', 400, "NUMBER_SYNTAX"),
    ("PUT", "/api/settings/trading/spot", '{"mode": "REAL"}', 400, "MODE_NOT_AVAILABLE"),
    ("GET", "/api/market/klines?symbol=BTCUSDT&interval=7m", None, 400, "CHOICE_UNKNOWN"),
    ("GET", "/api/market/depth?symbol=NOPE", None, 400, "SYMBOL_UNKNOWN"),
    ("GET", ORDERS + "?symbol=NOPE", None, 400, "SYMBOL_UNKNOWN"),
    ("GET", ORDERS + "/open?symbol=NOPE", None, 400, "SYMBOL_UNKNOWN"),
    ("DELETE", ORDERS + "?symbol=NOPE", None, 400, "SYMBOL_UNKNOWN"),
    ("GET", "/api/paper-trading/trades?symbol=NOPE", None, 400, "SYMBOL_UNKNOWN"),
    ("GET", "/api/paper-trading/trades?symbol=BTCUSDT", None, 200, None),
    ("GET", ORDERS, '{"symbol":"BTCUSDT"}', 400, "BODY_NOT_TAKEN"),
    ("DELETE", ORDERS, '{"symbol":"BTCUSDT"}', 400, "BODY_NOT_TAKEN"),
    ("PUT", "/api/settings/paper-balance/spot", '{"balance": 50, "trading_type": "futures"}', 400,
     "FIELDS_CLASH"),
    ("POST", "/api/settings/sync-paper-balance/spot", "{}", None, None),
]


def bodies(user):
    for body, codes in BODIES:
        status, answer = user.ask("POST", ORDERS, body.encode("latin-1"))
        codes = (codes,) if isinstance(codes, str) else codes
        check(400 <= status < 500 and answer["error"]["code"] in codes,
              "%r is refused with %s" % (body[:120], codes), status, answer)
    for method, path, body, wanted, code in REQUESTS:
        status, answer = user.ask(method, path, body)
        check(status == wanted or (wanted is None and status >= 400),
              "%s %s answers %s" % (method, path, wanted), status, answer)
        check(code is None or answer["error"]["code"] == code, "with " + str(code), answer)
        check(code != "SYMBOL_UNKNOWN" or answer["error"]["field"] == "symbol",
              "it names the field", answer)


def send_raw(stack, data, answer=True):
    """What a server answers to bytes on a new connection; b"" when it just closes."""
    with socket.create_connection(("127.0.0.1", stack.url_port), timeout=60) as s:
        try:
            s.sendall(data)
            return s.recv(65536) if answer else b""
        except (ConnectionResetError, BrokenPipeError):
            return b""


def raw_requests(stack):
    def status_of(data):
        answer = send_raw(stack, data)
        return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None

    host = b"Host: x\r\n"
    big = b"POST %s HTTP/1.1\r\n%sContent-Length: 10000000\r\n\r\n" % (ORDERS.encode(), host)
    check(status_of(big) in (401, 413, None), "an oversized body is refused", status_of(big))
    headers = b"GET / HTTP/1.1\r\n" + host + b"X-Long: " + b"a" * 200000 + b"\r\n\r\n"
    check(status_of(headers) in (400, 431, None), "oversized headers are refused", headers[:20])
    bare = status_of(b"GET / HTTP/1.1\n" + host)
    check(bare == 400, "a bare line feed is refused at once, not for being late", bare)
    nobody = status_of(b"GET / HTTP/1.1\r\n\r\n")
    check(nobody == 400, "so is a request without Host", nobody)
    for garbage in (b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 300,
                    b"POST /api/ping HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n",
                    b"POST /api/ping HTTP/1.1\r\n" + host + b"Content-Length: 5\r\n"
                    b"Content-Length: 6\r\n\r\nhello!"):
        found = status_of(garbage)
        check(found is None or 400 <= found < 600, "garbage is refused", garbage[:40], found)
    # A slow client is cut off by the server's own clock; we wait for that event.
    slow = send_raw(stack, b"POST /api/ping HTTP/1.1\r\n" + host)
    check(slow == b"" or b" 408 " in slow[:20], "a slow client is cut off", slow[:80])


def bus_frames(stack):
    """Frames that no Scrip process would send, on each service's own socket."""
    run = os.path.join(stack.dir, "run")
    junk = [b"", b"\x00", b"\xc1", b"\x81", b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xffabc", b"\x93\x1e\x00", b"\x81\x01" * 400, os.urandom(3000),
            b"\x91" * 5000, b"\x00" * 3_000_000]
    for name in ("ledger", "matcher", "market", "bridge"):
        path = os.path.join(run, name)
        check(os.path.exists(path), "the socket of %s" % name, os.listdir(run))
        for frame in junk:
            peer = Peer(path)
            peer.send(frame)
            peer.close()


def story():
    """Bad input gets a precise error and changes nothing"""
    short = "http_request_ms = 2000"
    with Stack(market=recording.write, settings={"gateway": short}) as stack:
        user = stack.user()
        pids = {name: stack.pid(name) for name in SERVICES}
        bodies(user)
        raw_requests(stack)
        bus_frames(stack)
        check(user.orders() == [], "no order came of it", user.orders())
        check(user.balances()["USDT"][0] == 100000, "the balance is untouched", user.balances())
        done = user.place("BUY", "MARKET", quantity="0.01")
        check(done["status"] == "FILLED", "good orders still work", done)
        check_account(user, "100000")
        for name, pid in pids.items():
            check(stack.pid(name) == pid, name + " was never restarted", pid, stack.pid(name))


if __name__ == "__main__":
    tell(story)
