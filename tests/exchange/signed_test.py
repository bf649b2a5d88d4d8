"""signed_test - who may ask what at the stand-in exchange: signatures, time, parameters, filters,
limits. Each refusal with its code, and counted.

SPDX-License-Identifier: Apache-2.0
"""
from urllib.parse import quote, unquote

import aiohttp

from client import ENDLESS_MS, Client, check
from gate import Sent
from signed_client import Owner
from signing import HMAC, Key, verify, websocket_payload
from standin import StandIn
from user_client import now_ms

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
USDM_SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
TAIL = "&recvWindow=5000&timestamp=1499827319559"
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
         "quantity": "0.001", "price": "30000"}
RICH = {"USDT": "100000", "BTC": "10"}


def standin(**more):
    return StandIn(synthetic=5, rate=0, spot="BTCUSDT,ETHUSDT", usdm="BTCUSDT,ETHUSDT", **more)


async def vectors():
    """The published signatures, and what each of them signs."""
    symbol = "".join(chr(0xff11 + n) for n in range(6))
    for secret, query, body, signature in (
            (SECRET, "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
             + TAIL, "", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
            (SECRET, "symbol=" + quote(symbol) + "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1"
             "&price=0.1" + TAIL, "",
             "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
            (SECRET, "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC",
             "quantity=1&price=0.1" + TAIL,
             "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"),
            (USDM_SECRET, "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000"
             "&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943", "",
             "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"),
            (USDM_SECRET, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
             "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943",
             "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4")):
        key = Key(API_KEY, HMAC, secret)
        in_query, in_body = [(t + "&signature=" + signature) for t in (query, body)]
        for sent in (Sent(in_query, body), Sent(query, in_body)):
            if body or sent.query == in_query:
                sent.read()
                check(verify(key, sent.payload(), sent.signature), "is right", query, body)
        check(verify(key, (query + body).encode(), signature.upper()), "in capitals, too")
        check(not verify(key, (query + "&" + body).encode(), signature), "another is wrong")
    params = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC",
              "quantity": "0.01000000", "price": "52000.00", "recvWindow": 100,
              "timestamp": 1645423376532, "apiKey": API_KEY, "signature": "not signed itself"}
    check(verify(Key(API_KEY, HMAC, SECRET), websocket_payload(params),
                 "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"),
          "of the WebSocket API")


async def ways():
    """Parameters in the query, in the body, in both; every kind of key; milli and microseconds."""
    with standin(tls=True) as x:
        async with Client(x) as client:
            for kind in ("HMAC", "ED25519", "RSA"):
                owner = Owner(client, x.add_account(kind, spot=RICH, usdm=RICH))
                await owner.place(quantity="0.001", price="30000")
                query = owner.signed_query(LIMIT)
                status, value = await owner.raw("POST", "order", "", query)
                check(status == 200, "in the body", value)
                first = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
                rest = "quantity=0.001&price=30002&timestamp=%d" % now_ms()
                signature = "&signature=" + quote(owner.sign((first + rest).encode()), safe="")
                for query, body in ((first, rest + signature), (first + signature, rest)):
                    status, value = await owner.raw("POST", "order", query, body)
                    check(status == 200, "in both", query, body, value)
                signature = "&signature=" + quote(owner.sign((first + "&" + rest + "price=1")
                                                             .encode()), safe="")
                status, value = await owner.raw("POST", "order", first + "&" + rest + signature,
                                                "price=1")
                check(status == 200 and value["price"] == "30002.00000000",
                      "the query's value wins", value)
                status, value = await owner.ask("GET", "account", timestamp=now_ms() * 1000)
                check(status == 200, "microseconds", value)
                usdm = Owner(client, x.add_account(kind, usdm=RICH), "usdm")
                status, value = await usdm.ask("GET", "/fapi/v3/account",
                                               timestamp=now_ms() * 1000)
                check((status, value["code"]) == (400, -1021), "not on USD-M", value)
                await usdm.refused(-1100, "GET", "/fapi/v3/account", recvWindow="6000.346")
                await usdm.refused(-1131, "GET", "/fapi/v3/account", recvWindow=60001)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"timestamp": 3, "parameter": 6}, "counted", kinds)


async def places():
    """What is asked at the other market's address, or of a key that signs nothing."""
    with standin() as x:
        async with Client(x) as client:
            account = x.add_account(spot=RICH, usdm=RICH)
            owner = Owner(client, account)
            for market, path, method in (
                    ("usdm", "/api/v3/account", "GET"), ("usdm", "/api/v3/order", "POST"),
                    ("spot", "/fapi/v2/account", "GET"), ("spot", "/fapi/v1/order", "POST"),
                    ("spot", "/fapi/v1/listenKey", "POST"), ("usdm", "/fapi/v1/account", "GET")):
                base = x.spot_rest_url if market == "spot" else x.usdm_rest_url
                async with client.session.request(
                        method, "%s%s?%s" % (base, path, owner.signed_query(LIMIT)),
                        headers={"X-MBX-APIKEY": owner.api_key}) as reply:
                    check(reply.status == 404, "is not there", path, market)
            for path, market in (("/ws-api/v3", "usdm"), ("/private/ws/" + "k" * 64, "spot")):
                try:
                    async with client.open(path, market):
                        check(False, "refused")
                except aiohttp.WSServerHandshakeError as e:
                    check(e.status == 404, "nor that", path, e)
            kinds = x.counters()["violations_by_kind"]
            check(kinds == {"path": 8} and x.placements() == [], "each was wrong", kinds)
            usdm = Owner(client, account, "usdm")
            for query, code in ((usdm.signed_query({}), -1104), ("signature=00", -1104),
                                ("timestamp=%d" % now_ms(), -1104)):
                status, value = await usdm.raw("POST", "listenKey", query)
                check((status, value["code"]) == (400, code), "is not signed", query, value)
            check((await usdm.raw("POST", "listenKey"))[0] == 200, "so it is well")
            status, value = await owner.raw("GET", "account", owner.signed_query({}),
                                            **{"X-MBX-TIME-UNIT": "MICROSECOND"})
            check(value["code"] == -1194, "answers are in milliseconds", value)
            check(x.counters()["violations_by_kind"] == {"path": 8, "parameter": 4}, "counted")


async def encodings():
    """What is not a letter or a digit of a signature is escaped, in the query and in the body."""
    with standin() as x:
        async with Client(x) as client:
            for number, kind in enumerate(("ED25519", "RSA"), 1):
                owner = Owner(client, x.add_account(kind, spot=RICH))
                right = owner.signed_query({"recvWindow": 60000})
                head, _, signature = right.rpartition("=")
                for way in ("%s=%s" % (head, unquote(signature)),
                            "%s=%s" % (head, unquote(signature).replace("+", "%2B")),
                            "%s=%s" % (head, signature.replace("%3D", "="))):
                    status, value = await owner.raw("GET", "account", way)
                    check((status, value["code"]) == (400, -1022), "refused", way, value)
                status, value = await owner.raw("GET", "account", right)
                check(status == 200, "escaped", value)
                check((await owner.raw("GET", "account", "%s=%s" % (head, signature.lower())))[1]
                      ["code"] == -1022, "letters are as they are")
                kinds = x.counters()["violations_by_kind"]
                check(kinds == {"encoding": 3 * number, "signature": number}, "counted", kinds)


async def refused_at_the_gate():
    """Keys, signatures, times and permissions that are wrong."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH, usdm=RICH))
            kinds = {}

            async def fails(status, code, violation, query, **more):
                kinds[violation] = kinds.get(violation, 0) + 1
                found, value = await owner.raw(more.pop("method", "GET"),
                                               more.pop("path", "account"), query, **more)
                check((found, value["code"]) == (status, code), "%d for %s %s"
                      % (code, query, more), found, value)
                check(x.counters()["violations_by_kind"] == kinds, "%s is counted" % violation,
                      x.counters())

            right = owner.signed_query({"recvWindow": 60000})
            await fails(401, -2014, "key", right, api_key="")
            await fails(401, -2014, "key", right, api_key="short")
            await fails(401, -2015, "key", right, api_key="x" * 64)
            await fails(400, -1102, "parameter", "")
            await fails(400, -1102, "signature", "timestamp=%d" % now_ms())
            await fails(400, -1022, "signature", owner.signed_query({})[:-1] + "g")
            await fails(400, -1022, "signature", owner.signed_query({}).replace(
                "timestamp", "omitZeroBalances=true&timestamp"))
            signature = right.partition("signature=")[2]
            await fails(400, -1022, "signature", "signature=%s&timestamp=%d"
                        % (signature, now_ms()))
            await fails(400, -1021, "timestamp", owner.signed_query({}, now_ms() + 3600000))
            await fails(400, -1021, "timestamp", owner.signed_query({}, now_ms() - 6000))
            await fails(400, -1102, "parameter", owner.signed_query({"recvWindow": 60001}))
            await fails(400, -1100, "parameter", owner.signed_query({"recvWindow": "x"}))
            await fails(400, -1105, "parameter", owner.signed_query({"recvWindow": ""}))
            await fails(400, -1105, "parameter", owner.signed_query({}, ""))
            await fails(400, -1100, "parameter", owner.signed_query({"recvWindow": "1.2345"}))
            await fails(400, -1105, "parameter", owner.signed_query({"omitZeroBalances": ""}))
            await fails(400, -1104, "parameter", owner.signed_query({"extra": "1"}))
            await fails(400, -1101, "parameter", right + "&timestamp=1")
            params = 'symbols=["A"]&timestamp=%d' % now_ms()
            await fails(400, -1022, "encoding", params + "&signature="
                        + owner.sign(params.encode()))
            await fails(400, -1022, "signature", quote(params, safe="=&") + "&signature="
                        + owner.sign(params.encode()))
            await fails(400, -1022, "body", "", body=owner.signed_query({}))
            await fails(400, -1100, "body", owner.signed_query({}), body="{}", method="POST",
                        path="order/test", content_type="application/json")
            check((await owner.ask("GET", "account", recvWindow="6000.346"))[0] == 200, "decimals")
            check((await owner.ask("GET", "account", timestamp=now_ms() - 20000,
                                   recvWindow=30000))[0] == 200, "a wider window")
            x.change_key(owner.api_key, permissions=["READ"])
            seen = await owner.well("GET", "account")
            check((seen["canTrade"], seen["canWithdraw"]) == (False, False), "reads")
            x.change_key(owner.api_key, permissions=["READ", "WITHDRAW"])
            check((await owner.well("GET", "account"))["canWithdraw"] is True, "might withdraw")
            x.change_key(owner.api_key, permissions=["READ"])
            status, value = await owner.ask("POST", "order", **LIMIT)
            check((status, value["code"]) == (401, -2015), "but does not trade", value)
            status, value = await Owner(client, owner.credentials, "usdm").raw("POST", "listenKey")
            check((status, value["code"]) == (401, -2015), "not there, either", value)
            x.change_key(owner.api_key, is_enabled=False)
            status, value = await owner.ask("GET", "account")
            check((status, value["code"]) == (401, -2015), "gone", value)
            check(x.placements() == [], "nothing was ever placed", x.placements())


async def shapes():
    """Parameters of orders: which each type needs, and how they are written."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            market = {"type": "MARKET", "timeInForce": None, "price": None}
            stop = {"type": "STOP_LOSS", "timeInForce": None, "price": None}
            for code, change, words in (
                    (-1102, {"symbol": None}, None), (-1102, {"quantity": None}, None),
                    (-1102, {"price": None}, "Mandatory parameter 'price' was not sent, was "
                     "empty/null, or malformed."),
                    (-1102, {"timeInForce": None}, None), (-1121, {"symbol": "NOPE"}, None),
                    (-1117, {"side": "HOLD"}, "Invalid side."), (-1116, {"type": "STOP"}, None),
                    (-1115, {"timeInForce": "GTX"}, "Invalid timeInForce."),
                    (-1100, {"quantity": "-1"}, None), (-1100, {"quantity": "1e3"}, None),
                    (-1111, {"price": "30000.123456789"}, None),
                    (-1013, {"quantity": "0"}, "Invalid quantity."),
                    (-1013, {"price": "0"}, "Invalid price."),
                    (-1100, {"newClientOrderId": "x" * 37}, None),
                    (-1100, {"newClientOrderId": "a:b"}, None),
                    (-1105, {"newClientOrderId": ""}, None), (-1104, {"reduceOnly": "true"}, None),
                    (-1106, {"stopPrice": "1"}, None), (-1106, {"quoteOrderQty": "10"}, None),
                    (-1106, {**market, "price": "1"}, None),
                    (-1106, {**market, "timeInForce": "GTC"}, None),
                    (-1128, {**market, "quoteOrderQty": "10"}, None),
                    (-1102, {**market, "quantity": None}, None),
                    (-1106, {"type": "LIMIT_MAKER"}, "Parameter 'timeInForce' sent when not "
                     "required."),
                    (-1102, stop, None), (-1106, {**stop, "stopPrice": "1", "price": "1"}, None),
                    (-1013, {"icebergQty": "0.0005", "timeInForce": "IOC"}, None),
                    (-2010, {"icebergQty": "0.002"}, "IcebergQty exceeds QTY.")):
                params = {n: v for n, v in {**LIMIT, **change}.items() if v is not None}
                await owner.refused(code, "POST", "order", words, **params)
                await owner.refused(code, "POST", "order/test", words, **params)
            check(await owner.well("POST", "order/test", **LIMIT) == {}, "only tried")
            check("standardCommissionForOrder" in await owner.well(
                "POST", "order/test", computeCommissionRates="true", **LIMIT), "with its rates")
            check(await owner.well("GET", "openOrders") == [], "none was placed")
            usdm = Owner(client, x.add_account(usdm=RICH), "usdm")
            for code, change, words in (
                    (-4120, {"type": "STOP_MARKET", "stopPrice": "1"}, None),
                    (-1106, {"stopPrice": "1"}, None), (-1106, {"closePosition": "true"}, None),
                    (-1116, {"type": "LIMIT_MAKER"}, None), (-1102, {"goodTillDate": None,
                                                                     "timeInForce": "GTD"}, None),
                    (-4158, {"goodTillDate": now_ms(), "timeInForce": "GTD"}, None),
                    (-1104, {"quoteOrderQty": "1"}, None), (-1130, {"reduceOnly": "TRUE"}, None),
                    (-4061, {"positionSide": "LONG"},
                     "Order's position side does not match user's setting."),
                    (-1111, {"price": "57000.001"}, None), (-4014, {"price": "57000.01"}, None),
                    (-1111, {"quantity": "0.0001"}, None),
                    (-4003, {"quantity": "0"}, None), (-4024, {"price": "50000", "side": "SELL"},
                                                       None),
                    (-4016, {"price": "70000"}, None), (-4005, {"quantity": "100001"}, None),
                    (-4164, {"quantity": "0.001", "price": "100"}, None)):
                params = {**LIMIT, "price": "57000", "quantity": "0.01", **change}
                params = {n: v for n, v in params.items() if v is not None}
                await usdm.refused(code, "POST", "order", words, **params)
        kinds = x.counters()["violations_by_kind"]
        check(set(kinds) == {"parameter", "filter"}, "all are counted", kinds)


async def filters():
    """Each filter by its name."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot={"USDT": "1000000000"}))
            market = {"type": "MARKET", "timeInForce": None, "price": None}
            trail = {"type": "STOP_LOSS", "timeInForce": None, "price": None}
            for name, change in (
                    ("PRICE_FILTER", {"price": "30000.001"}),
                    ("PRICE_FILTER", {"price": "1000000.01"}),
                    ("PERCENT_PRICE_BY_SIDE", {"price": "1000"}),
                    ("PERCENT_PRICE_BY_SIDE", {"price": "999999"}),
                    ("LOT_SIZE", {"quantity": "0.000001"}),
                    ("LOT_SIZE", {"quantity": "9000000.00001"}),
                    ("LOT_SIZE", {"icebergQty": "0.000001"}),
                    ("ICEBERG_PARTS", {"quantity": "1", "icebergQty": "0.001"}),
                    ("MARKET_LOT_SIZE", {**market, "quantity": "100001"}),
                    ("NOTIONAL", {"quantity": "0.0001"}),
                    ("NOTIONAL", {**market, "quantity": None, "quoteOrderQty": "4.99"}),
                    ("TRAILING_DELTA", {**trail, "trailingDelta": "9"}),
                    ("TRAILING_DELTA", {**trail, "trailingDelta": "2001"})):
                params = {n: v for n, v in {**LIMIT, **change}.items() if v is not None}
                await owner.refused(-1013, "POST", "order", "Filter failure: " + name, **params)
            for n in range(5):
                await owner.well("POST", "order", **{**LIMIT, "type": "STOP_LOSS_LIMIT",
                                                     "stopPrice": str(90000 + n)})
            await owner.refused(-1013, "POST", "order", "Filter failure: MAX_NUM_ALGO_ORDERS",
                                **{**LIMIT, "type": "STOP_LOSS_LIMIT", "stopPrice": "91000"})
            x.order_limits(**{"10S": 1000})
            for _ in range(195):
                await owner.well("POST", "order", **LIMIT)
            await owner.refused(-1013, "POST", "order", "Filter failure: MAX_NUM_ORDERS", **LIMIT)
            x.halt("BTCUSDT")
            await owner.refused(-1013, "POST", "order", "Market is closed.", **LIMIT)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"filter": 15}, "counted", kinds)


async def counted_filters():
    """Filters of how many orders there are of a kind, in one symbol and in all; of what is held."""
    many = ["BTCUSDT"] + ["A%dUSDT" % n for n in range(4)]
    with StandIn(synthetic=5, rate=0, spot=",".join(many), usdm="") as x:
        x.order_limits(**{"10S": 10000})
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot={"USDT": "1000000000"}))
            iceberg = {**LIMIT, "quantity": "1", "price": "50", "icebergQty": "0.1"}
            for symbol in many[1:]:
                for _ in range(10 if symbol != many[-1] else 0):
                    await owner.well("POST", "order", **{**iceberg, "symbol": symbol})
            await owner.refused(-1013, "POST", "order", "Filter failure: MAX_NUM_ICEBERG_ORDERS",
                                **{**iceberg, "symbol": many[1]})
            await owner.refused(-1013, "POST", "order",
                                "Filter failure: EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
                                **{**iceberg, "symbol": many[-1]})
            plain = {**LIMIT, "quantity": "1", "price": "50"}
            for number in range(370):
                await owner.well("POST", "order", **{**plain, "symbol": many[1 + number % 4]})
            await owner.refused(-1013, "POST", "order", "Filter failure: EXCHANGE_MAX_NUM_ORDERS",
                                **LIMIT)
            other = Owner(client, x.add_account(spot={"BTC": "8999999", "USDT": "1000000"}))
            await other.well("POST", "order", **{**LIMIT, "quantity": "0.9"})
            await other.refused(-2010, "POST", "order", "Filter failure: MAX_POSITION",
                                **{**LIMIT, "quantity": "0.2"})
            await other.well("POST", "order", **{**LIMIT, "quantity": "0.2", "side": "SELL",
                                                 "price": "70000"})
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"filter": 4}, "counted", kinds)


async def limits():
    """What calls weigh, how placements are counted, and what comes of too much."""
    with standin(window_ms=ENDLESS_MS, strikes_max=2) as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))

            async def weighs(weight, method, path, **params):
                before = x.counters()["weights"]["spot"]["used"]
                answer = await owner.ask(method, path, **params)
                after = x.counters()["weights"]["spot"]["used"]
                check(after - before == weight or after < before, "%s %s weighs %d"
                      % (method, path, weight), after - before, answer)
                return answer

            await weighs(0, "POST", "order", newClientOrderId="a", **LIMIT)
            check(owner.headers["X-MBX-ORDER-COUNT-10S"] in ("0", "1") and
                  int(owner.headers["X-MBX-ORDER-COUNT-1D"]) == 1, "counts", owner.headers)
            await weighs(1, "POST", "order", **dict(LIMIT, price="1000"))
            await weighs(4, "GET", "order", symbol="BTCUSDT", origClientOrderId="a")
            await weighs(0, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
            await weighs(1, "DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
            for weight, path, params in (
                    (20, "account", {}), (80, "openOrders", {}), (20, "account/commission",
                                                                  {"symbol": "BTCUSDT"}),
                    (6, "openOrders", {"symbol": "BTCUSDT"}), (40, "rateLimit/order", {}),
                    (20, "allOrders", {"symbol": "BTCUSDT"}), (20, "myTrades",
                                                               {"symbol": "BTCUSDT"}),
                    (5, "myTrades", {"symbol": "BTCUSDT", "orderId": 1})):
                await weighs(weight, "GET", path, **params)
            status = 200
            while status == 200:  # until both are in one window of 10 s
                x.weigh(account=owner.number, orders=100)
                status, value = await owner.ask("POST", "order", **LIMIT)
            check((status, value["code"]) == (429, -1015) and
                  value["msg"].startswith("Too many new orders; current limit is 100 orders per "),
                  "too many orders", value)
            check(1 <= int(owner.headers["Retry-After"]) <= 10, "and until when", owner.headers)
            rows = await owner.well("GET", "rateLimit/order")
            check([r["limit"] for r in rows] == [100, 200000] and rows[1]["count"] >= 101,
                  "asked", rows)
            x.weigh(6000)
            for wanted in (429, 429, 418, 418):
                status, value = await owner.ask("POST", "order", **LIMIT)
                check(status == wanted and value["code"] == -1003, "over", status, value)
                check(int(owner.headers["Retry-After"]) >= 1, "until", owner.headers)
            check("banned until" in value["msg"], "in words", value)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"filter": 1, "banned": 1}, "going on after 429 is wrong", kinds)


async def too_many_orders():
    """Who goes on placing after -1015 is banned, the whole address; and what failed has weight."""
    with standin(strikes_max=2) as x:
        async with Client(x) as client:
            owner, other = (Owner(client, x.add_account(spot=RICH)) for _ in range(2))
            x.order_limits(**{"1D": 1})
            for each in (owner, other):
                await each.well("POST", "order", **LIMIT)
            for each, status in ((owner, 429), (other, 429), (owner, 429), (other, 429),
                                 (owner, 429)):
                found, value = await each.ask("POST", "order", **LIMIT)
                check((found, value["code"]) == (status, -1015), "one account's own", value)
            status, value = await other.ask("GET", "account")
            check((status, value["code"]) == (418, -1003), "is banned", value)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"banned": 1}, "counted", kinds)
    with standin(window_ms=10 ** 12) as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            x.fault("rest_error", method="POST", path="order")
            check((await owner.ask("POST", "order", **LIMIT))[0] == 503, "not done")
            check(owner.headers["X-MBX-USED-WEIGHT-1M"] == "1", "weighs", owner.headers)
            await owner.well("POST", "order", **LIMIT)
            check(owner.headers["X-MBX-USED-WEIGHT-1M"] == "1", "weighs nothing", owner.headers)


TESTS = [vectors, ways, places, encodings, refused_at_the_gate, shapes, filters, counted_filters,
         limits, too_many_orders]
