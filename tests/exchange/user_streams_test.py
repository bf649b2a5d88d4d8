"""user_streams_test - user data of spot and futures, its rules and its faults, seen on the wire.

SPDX-License-Identifier: Apache-2.0
"""
import socket
from types import SimpleNamespace

import aiohttp

from client import ENDLESS_MS, Client, ask, check, end_of, hear
from standin import StandIn
from streams import Connection
from user_client import Trader, call, event, now_ms

API = "/ws-api/v3"
REPORT = set("esEcSofqpPFgCxXriIlzLnNTtwmMOZYQVW")
FAR = {"timeInForce": "GTC", "quantity": "0.001", "price": "30000.00"}
UPDATE = {"s", "c", "S", "o", "f", "q", "p", "ap", "sp", "x", "X", "i", "l", "z", "L", "T", "t",
          "b", "a", "m", "R", "wt", "ot", "ps", "cp", "pP", "si", "ss", "rp", "V", "pm", "gtd",
          "er"}


def standin(**more):
    return StandIn(synthetic=5, rate=0, spot="BTCUSDT", usdm="BTCUSDT", **more)


async def spot_life():
    """An order's life on spot: taken, canceled; filled; and what it does to the balances."""
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws:
            trader = Trader(client, USDT="1000")
            check(await trader.subscribe(ws) == 0, "the first id is 0")
            placed = await trader.order("far-1", **FAR)
            said = await event(ws)
            check(set(said) == REPORT, "all fields and no more", sorted(set(said) ^ REPORT))
            check((said["x"], said["X"], said["c"], said["C"], said["t"], said["N"]) ==
                  ("NEW", "NEW", "far-1", "", -1, None), "taken", said)
            check(said["i"] == placed["orderId"] and said["w"] and said["z"] == "0.00000000",
                  "it rests", said)
            money = await event(ws)
            check(money["e"] == "outboundAccountPosition" and
                  {"a": "USDT", "f": "970.00000000", "l": "30.00000000"} in money["B"],
                  "locked", money)
            await trader.cancel("far-1", newClientOrderId="cancel-1")
            said = await event(ws)
            check((said["x"], said["X"], said["c"], said["C"]) ==
                  ("CANCELED", "CANCELED", "cancel-1", "far-1"), "canceled", said)
            check((await event(ws))["B"][-1]["l"] == "0.00000000", "and free again")
            await trader.order("taker-1", kind="MARKET", quantity="0.002")
            filled, ids = 0, set()
            while filled < 200000:
                said = await event(ws, "executionReport")
                ids.add(said["I"])
                if said["x"] == "TRADE":
                    filled += int(said["l"].replace(".", ""))
                    check(int(said["z"].replace(".", "")) == filled and said["t"] > 0 and
                          said["N"] == "BTC" and said["n"] > "0", "a trade", said)
            check(said["X"] == "FILLED" and not said["w"] and not said["m"], "filled", said)
            money = await event(ws, "outboundAccountPosition")
            check({b["a"] for b in money["B"]} == {"BTC", "USDT"}, "what may have changed", money)
            x.post("deposit", account=trader.number, asset="BNB", amount="1.5")
            said = await event(ws, "balanceUpdate")
            check((said["a"], said["d"]) == ("BNB", "1.50000000"), "a deposit", said)
        check(x.counters()["violations"] == 0, "nothing was done wrong", x.counters())


async def subscriptions():
    """Several accounts on one connection, each by a key of its own kind, each its own events."""
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws, client.open(API) as other:
            traders = [Trader(client, kind, USDT="1000") for kind in ("HMAC", "ED25519", "RSA")]
            check([await t.subscribe(ws) for t in traders] == [0, 1, 2], "ids rise")
            check(await traders[1].subscribe(other) == 0, "another connection counts for itself")
            listed = await call(ws, "session.subscriptions")
            check(listed["result"] == [{"subscriptionId": n} for n in (0, 1, 2)], "listed", listed)
            await traders[2].order("mine", **FAR)
            said = await hear(ws, lambda m: "event" in m)
            check((said["subscriptionId"], said["event"]["c"]) == (2, "mine"), "its own", said)
            again = await call(ws, "userDataStream.subscribe.signature", traders[0].signed())
            check(again["error"]["code"] == -2035, "once only", again)
            await ws.send_json({"id": "u", "method": "userDataStream.unsubscribe",
                                "params": {"subscriptionId": 1}})
            said = await hear(ws, lambda m: m.get("event", {}).get("e") == "eventStreamTerminated")
            check(said["subscriptionId"] == 1, "its last event", said)
            check((await hear(ws, lambda m: m.get("id") == "u"))["result"] == {}, "done")
            await traders[1].order("theirs", **FAR)
            check((await event(other))["c"] == "theirs", "the other connection goes on")
            check((await call(ws, "userDataStream.unsubscribe", {}))["status"] == 200, "all")
            check((await call(ws, "session.subscriptions"))["result"] == [], "none is left")
            check(await traders[1].subscribe(ws) == 3, "ids are not used again")
            x.fault("stream_end", stream="user@%d" % traders[1].number)
            await event(ws, "eventStreamTerminated")
        check(x.counters()["violations_by_kind"] == {"subscription": 1}, "the second subscription",
              x.counters())


async def signatures():
    """What is signed otherwise is refused, with the code that says why."""
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws:
            trader = Trader(client, USDT="1000")
            good = trader.signed(recvWindow=60000)
            body = "&".join("%s=%s" % (n, good[n]) for n in ("timestamp", "recvWindow", "apiKey"))
            for params, code in (
                    (dict(good, signature=trader.sign(body.encode())), -1022),
                    (trader.signed(timestamp=now_ms() - 6000), -1021),
                    (trader.signed(timestamp=now_ms() + 3600000), -1021),
                    (trader.signed(recvWindow=60001), -1102),
                    (trader.signed(apiKey="y" * 64), -2015),
                    (trader.signed(apiKey="short"), -2014),
                    (trader.signed(symbol="BTCUSDT"), -1101),
                    ({n: v for n, v in good.items() if n != "signature"}, -1102),
                    (dict(good, timestamp="soon"), -1100)):
                answer = await call(ws, "userDataStream.subscribe.signature", params)
                check(answer["error"]["code"] == code and answer["status"] in (400, 401),
                      "refused with %d" % code, params, answer)
            for hidden, code in ((dict(good, returnRateLimits=False), -1022),
                                 (dict(good, returnRateLimits="false"), -1100)):
                answer = await call(ws, "userDataStream.subscribe.signature", hidden)
                check(answer["error"]["code"] == code, "that is signed, too", hidden, answer)
            answer = await call(ws, "userDataStream.subscribe.signature",
                                trader.signed(recvWindow=5000))
            check(answer["status"] == 200 and answer["rateLimits"][0]["count"] > 2, "taken", answer)
            kinds = x.counters()["violations_by_kind"]
            check(kinds == {"signature": 2, "timestamp": 2, "parameter": 5, "key": 2}, "counted",
                  kinds)


async def api_requests():
    """Requests of no account, and such as are none."""
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws:
            check((await call(ws, "ping"))["result"] == {}, "ping")
            begun = now_ms()
            told = await call(ws, "time", {"returnRateLimits": False}, "a-1")
            check(begun <= told["result"]["serverTime"] <= now_ms() and "rateLimits" not in told,
                  "time", told)
            for text, code in (("{", -1135), ("[]", -1102), ('{"id":1}', -1102),
                               ('{"id":1,"id":2,"method":"ping"}', -1101),
                               ('{"id":1,"method":"order.cook"}', -1020),
                               ('{"id":1,"method":"ping","params":{"a":1}}', -1101)):
                await ws.send_str(text)
                answer = await hear(ws)
                check((answer["status"], answer["error"]["code"]) == (400, code), text, answer)
            check(x.counters()["violations"] == 6, "each was wrong", x.counters())
        async with Client(x) as client:
            for path in (API + "?timeUnit=DAY", API + "?what=1"):
                try:
                    async with client.open(path):
                        check(False, "refused")
                except aiohttp.WSServerHandshakeError as e:
                    check(e.status == 400, "refused", e)
            async with client.open(API + "?returnRateLimits=false") as ws:
                check("rateLimits" not in await call(ws, "ping"), "hidden")


async def api_limits():
    """Weight counts together with REST; who goes on after 429 is banned and cut."""
    with standin(spot_weight=10, strikes_max=2, window_ms=ENDLESS_MS) as x:
        async with Client(x) as client, client.open(API) as ws:
            check((await call(ws, "ping"))["rateLimits"][0]["count"] == 3, "two to connect, one")
            for _ in range(7):
                check((await client.get("ping"))[0] == 200, "REST")
            answer = await call(ws, "ping")
            error = answer["error"]
            check((answer["status"], error["code"]) == (429, -1003), "full", answer)
            check(error["data"]["retryAfter"] > now_ms(), "until when", answer)
            await call(ws, "ping")
            check((await call(ws, "ping"))["status"] == 418, "banned")
            check(await end_of(ws) == 1008, "and cut")
            try:
                async with client.open(API):
                    check(False, "refused")
            except aiohttp.WSServerHandshakeError as e:
                check(e.status == 418, "refused", e)
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws, client.open("/ws") as market:
            x.fault("ban", seconds=60)
            check((await client.get("time"))[0] == 418, "banned for what REST was asked")
            check(await end_of(ws) == 1008, "the WebSocket API, too")
            check((await ask(market, "LIST_SUBSCRIPTIONS"))["result"] == [], "the market goes on")


async def api_life():
    """Pings are to be answered; a life and a shutdown end it."""
    with standin(ping_ms=40, pong_ms=60000) as x:
        async with Client(x) as client, client.open(API) as ws:
            while x.count("pongs_heard") < 3:
                await call(ws, "ping")
            x.settings(pong_ms=120)
            async with client.open(API) as mute:
                check(await end_of(mute) == 1008, "no pong, no connection")
    with standin(life_ms=200) as x:
        async with Client(x) as client, client.open(API) as ws:
            check(await end_of(ws) == 1001, "24 hours are over")
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws, client.open("/ws") as market:
            x.fault("shutdown", root="ws-api", seconds=0.1)
            check((await hear(ws))["event"]["e"] == "serverShutdown", "said before")
            check(await end_of(ws) == 1001, "and done")
            check(not market.closed, "the market goes on")


async def user_faults():
    """Events lost, doubled, turned round and late; connections cut, silent and refused."""
    with standin() as x:
        async with Client(x) as client, client.open(API) as ws:
            trader, other = Trader(client, USDT="1000"), Trader(client, USDT="1000")
            mine = "user@%d" % trader.number
            await trader.subscribe(ws)
            x.fault("rest_error", path="order", method="POST", account=other.number)
            x.fault("drop", stream=mine + "@executionReport")
            await trader.order("a", **FAR)
            check((await event(ws))["e"] == "outboundAccountPosition", "one is lost")
            x.fault("duplicate", stream=mine + "@executionReport")
            await trader.cancel("a")
            first, second = await event(ws), await event(ws)
            check(first == second and first["x"] == "CANCELED", "twice", first, second)
            await event(ws)
            x.fault("reorder", stream=mine + "@*")
            await trader.order("b", **FAR)
            check([(await event(ws))["e"] for _ in range(2)] ==
                  ["outboundAccountPosition", "executionReport"], "turned round")
            late = x.fault("late", stream=mine + "@executionReport", seconds=0.3)["fault"]
            await trader.cancel("b")
            check((await event(ws))["e"] == "outboundAccountPosition", "overtaken")
            check((await event(ws))["x"] == "CANCELED", "late")
            check(x.fault_view(late)["done"] == 1, "told")
            x.fault("rest_error", path="session.subscriptions", status=500, code=-1000)
            check((await call(ws, "session.subscriptions"))["status"] == 500, "an error")
            x.fault("rest_timeout", path="session.subscriptions")
            await ws.send_json({"id": "never", "method": "session.subscriptions"})
            await ws.send_json({"id": "next", "method": "ping"})
            check((await hear(ws))["id"] == "next", "no answer")
            x.fault("silence", stream=mine)
            await trader.order("c", **FAR)
            x.wait(lambda: x.count("user_events") >= 10, "the events were")
            x.fault("cut", stream=mine)
            check(await end_of(ws) is None, "cut, and nothing was heard")
            x.fault("refuse", root="ws-api", count=1)
            async with client.open("/ws"):
                pass
            try:
                async with client.open(API):
                    check(False, "refused")
            except aiohttp.WSServerHandshakeError:
                pass
            status, _ = await other.rest("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY",
                                         type="LIMIT", newClientOrderId="theirs", **FAR)
            check(status == 503, "a fault of one account alone", status)
            check([len(x.get("orders", account=t.number)) for t in (trader, other)] == [3, 1],
                  "the placements of each")
            async with client.open(API) as again:
                await trader.subscribe(again)
                x.fault("half", stream=mine)
                await trader.cancel("c")
                check(await end_of(again) in (None, 1006), "half a frame")


async def listen_key(trader, method="POST"):
    return await trader.rest(method, "/fapi/v1/listenKey", signed=False)


async def futures_life():
    """An order's life on futures, over both forms of the address."""
    with standin() as x:
        async with Client(x) as client:
            trader = Trader(client, market="usdm", USDT="1000")
            _, body = await listen_key(trader)
            key = body["listenKey"]
            async with client.open("/private/ws/" + key, "usdm") as ws, \
                    client.open("/private/ws?listenKey=%s&events=ACCOUNT_UPDATE" % key,
                                "usdm") as money:
                await trader.order("far", **FAR)
                said = await hear(ws)
                check(said["e"] == "ORDER_TRADE_UPDATE" and set(said["o"]) == UPDATE,
                      "all fields and no more", said)
                check((said["o"]["x"], said["o"]["c"], said["o"]["t"]) == ("NEW", "far", 0),
                      "taken", said)
                await trader.cancel("far")
                check((await hear(ws))["o"]["X"] == "CANCELED", "canceled")
                await trader.done("POST", "/fapi/v1/marginType", symbol="BTCUSDT",
                                  marginType="ISOLATED")
                await trader.order("taker", kind="MARKET", quantity="0.002")
                said = (await hear(ws, lambda m: m.get("o", {}).get("X") == "FILLED"))["o"]
                check(set(said) == UPDATE | {"n", "N"} and said["N"] == "USDT", "filled", said)
                told = (await hear(money))["a"]
                check(told["m"] == "ORDER" and told["B"][0]["a"] == "USDT", "why", told)
                check([told["P"][0][n] for n in ("s", "ps", "mt")] ==
                      ["BTCUSDT", "BOTH", "isolated"], "P", told)
                x.post("funding", account=trader.number, asset="USDT", amount="-0.25")
                told = (await hear(money, lambda m: m["a"]["m"] == "FUNDING_FEE"))["a"]
                check(told["P"] == [] and told["B"][0]["bc"] == "-0.25000000", "funding", told)
                x.fault("duplicate", "usdm", stream="user@%d@*" % trader.number)
                await trader.order("far-2", **FAR)
                check((await hear(ws, lambda m: m.get("o", {}).get("c") == "far-2")) ==
                      await hear(ws), "twice")
        check(x.counters()["violations"] == 0, "nothing was done wrong", x.counters())


async def listen_keys():
    """A key lives as long as it is kept; after its end nothing comes."""
    with standin(listen_key_ms=4000) as x:
        async with Client(x) as client:
            trader, other = (Trader(client, market="usdm", USDT="1000") for _ in range(2))
            key = (await listen_key(trader))[1]["listenKey"]
            check((await listen_key(trader))[1]["listenKey"] == key, "the living one again")
            async with client.open("/private/ws/" + key, "usdm") as ws:
                check((await listen_key(trader, "PUT"))[0] == 200, "kept")
                said = await hear(ws)
                check((said["e"], said["listenKey"]) == ("listenKeyExpired", key), "over", said)
                status, body = await listen_key(trader, "PUT")
                check((status, body["code"]) == (400, -1125), "gone", body)
                await trader.order("a", **FAR)
                async with client.open("/private/ws/" + key, "usdm") as dead:
                    check(x.count("listen_keys_dead") == 1, "it opens")
                    fresh = (await listen_key(trader))[1]["listenKey"]
                    check(fresh != key, "another")
                    async with client.open("/private/ws/" + fresh, "usdm") as alive:
                        await trader.cancel("a")
                        check((await hear(alive))["o"]["X"] == "CANCELED", "heard again")
                        x.fault("listen_key", "usdm", stream="user@%d" % trader.number)
                        check((await hear(alive))["listenKey"] == fresh, "before its time")
                    check(not ws.closed and not dead.closed, "they stay open, and silent")
            key = (await listen_key(other))[1]["listenKey"]
            check((await listen_key(other, "DELETE"))[0] == 200, "closed")
            try:
                async with client.open("/private/ws/" + "n" * 64, "usdm"):
                    check(False, "refused")
            except aiohttp.WSServerHandshakeError as e:
                check(e.status == 400, "never given", e)
            check(x.counters()["violations_by_kind"] == {"listen_key": 1}, "counted", x.counters())


async def gone_already():
    """A connection whose client has just left may still be cut."""
    with socket.socket() as closed:
        pass
    aborted = []
    transport = SimpleNamespace(get_extra_info=lambda name: closed,
                                abort=lambda: aborted.append(True))
    venue = SimpleNamespace(name="spot", hub=None, counters=None)
    connection = Connection(venue, "spot", False, SimpleNamespace(inbound_max={"spot": 5}),
                            transport)
    connection.cut("a fault")
    check(connection.is_over and aborted == [True], "it is over", connection.why)


TESTS = [gone_already, spot_life, subscriptions, signatures, api_requests, api_limits, api_life,
         user_faults, futures_life, listen_keys]
