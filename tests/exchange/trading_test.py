"""trading_test - what becomes of orders at the stand-in exchange: against its book, by its market,
by script; what it does to balances and positions; and what faults do to single calls.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import random
import time
from decimal import Decimal

import aiohttp

from client import Client, check, met
from signed_client import Owner
from standin import StandIn

RICH = {"USDT": "1000000", "BTC": "100"}
FAR = {"quantity": "0.001", "price": "30000"}
FEE = Decimal("0.001")


def standin(**more):
    return StandIn(synthetic=5, rate=0, spot="BTCUSDT,BNBUSDT", usdm="BTCUSDT", **more)


def decimals(*texts):
    return [Decimal(t) for t in texts]


async def spot_takes():
    """Market and marketable orders walk the book, level by level, and eat it."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            book = [decimals(*row) for row in x.truth("BTCUSDT", levels=50)["asks"]]
            wanted = book[0][1] + book[1][1] + Decimal("0.00002")
            order = await owner.place("m-1", type="MARKET", quantity=wanted)
            fills = [decimals(f["price"], f["qty"]) for f in order["fills"]]
            check(fills == [book[0], book[1], [book[2][0], Decimal("0.00002")]], "by its levels",
                  fills, book[:3])
            cost = sum(p * q for p, q in fills)
            check((order["status"], order["price"]) == ("FILLED", "0.00000000") and
                  Decimal(order["cummulativeQuoteQty"]) == cost, "filled", order)
            check([Decimal(f["commission"]) for f in order["fills"]] ==
                  [(q * FEE).quantize(Decimal("1e-8"), "ROUND_DOWN") for _, q in fills] and
                  order["fills"][0]["commissionAsset"] == "BTC", "of what was received", order)
            x.wait(lambda: Decimal(x.truth("BTCUSDT")["asks"][0][0]) == book[2][0], "it is eaten")
            trades = await client.result("trades?symbol=BTCUSDT&limit=3")
            check([t["id"] for t in trades] == [f["tradeId"] for f in order["fills"]],
                  "and seen by all", trades, order)
            limit = await owner.place("l-1", quantity=book[2][1] + 1, price=str(book[2][0]))
            check(limit["status"] == "PARTIALLY_FILLED", "the rest rests", limit)
            await owner.refused(-2010, "POST", "order", "Duplicate order sent.", symbol="BTCUSDT",
                                side="BUY", type="LIMIT", timeInForce="GTC",
                                newClientOrderId="l-1", **FAR)
            ioc = await owner.place("i-1", quantity=book[3][1] + 1, price=str(book[3][0]),
                                    timeInForce="IOC")
            check((ioc["status"], Decimal(ioc["executedQty"])) == ("EXPIRED", book[3][1]), "IOC",
                  ioc)
            fok = await owner.place("f-1", quantity=book[4][1] + 1, price=str(book[4][0]),
                                    timeInForce="FOK")
            check((fok["status"], fok["fills"]) == ("EXPIRED", []), "FOK", fok)
            await owner.refused(-2010, "POST", "order",
                                "Order would immediately match and take.", symbol="BTCUSDT",
                                side="BUY", type="LIMIT_MAKER", quantity="0.001",
                                price=str(book[5][0]))
            await owner.refused(-2010, "POST", "order",
                                "Account has insufficient balance for requested action.",
                                symbol="BNBUSDT", side="SELL", type="MARKET", quantity="1")
            quoted = await owner.place("q-1", type="MARKET", quoteOrderQty="100")
            spent = Decimal(quoted["cummulativeQuoteQty"])
            check(Decimal("99") < spent <= 100 and quoted["status"] == "FILLED", "by its sum",
                  quoted)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"duplicate": 1}, "that alone was wrong", kinds)
        check(x.order_truth("l-1")["received"] == 2, "and is known", x.order_truth("l-1"))


async def spot_rests():
    """Resting orders: filled by the market, by its book, by script; stops; their balances."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH, makers="0.0002"))
            bid = Decimal(x.truth("BTCUSDT")["bids"][0][0])
            mine = bid - 5
            await owner.place("a", quantity="1", price=mine)
            check((await owner.spot_balance("USDT"))[1] == mine, "locked")
            x.trade("BTCUSDT", price=str(mine + 1), quantity="3")
            x.trade("BTCUSDT", price=str(mine), quantity="0.25")
            x.wait(lambda: x.order_truth("a")["orders"][0]["executed"] == "0.25000000", "traded")
            x.fill("a", price=str(mine), quantity="0.25")
            check((await owner.spot_balance("USDT"))[1] == mine / 2, "half is free")
            for level in x.truth("BTCUSDT", levels=1000)["bids"]:
                if Decimal(level[0]) >= mine:
                    x.post("level", symbol="BTCUSDT", side="bid", price=level[0], quantity="0")
            x.post("level", symbol="BTCUSDT", side="ask", price=str(mine), quantity="0.3")
            x.wait(lambda: x.order_truth("a")["orders"][0]["executed"] == "0.80000000", "crossed")
            x.wait(lambda: Decimal(x.truth("BTCUSDT")["asks"][0][0]) > mine, "and eaten")
            order = x.fill("a")
            check(order["status"] == "FILLED" and [t["is_maker"] for t in order["trades"]] ==
                  [True] * 4 and order["trades"][0]["commission"] == "0.00005000", "filled", order)
            check(await owner.spot_balance("USDT") == (1000000 - mine, 0), "paid")
            check(await owner.spot_balance("BTC") == (101 - Decimal("0.0002"), 0), "received")
            last = Decimal((await client.result("trades?symbol=BTCUSDT&limit=1"))[0]["price"])
            await owner.refused(-2010, "POST", "order", "Order would trigger immediately.",
                                symbol="BTCUSDT", side="SELL", type="STOP_LOSS", quantity="0.1",
                                stopPrice=last + 1)
            stop = await owner.place("s", side="SELL", type="STOP_LOSS", quantity="0.1",
                                     stopPrice=last - 10)
            check(set(stop) == {"symbol", "orderId", "orderListId", "clientOrderId",
                                "transactTime"}, "ACK", stop)
            seen = await owner.well("GET", "order", symbol="BTCUSDT", orderId=stop["orderId"])
            check((seen["isWorking"], seen["workingTime"]) == (False, -1), "it waits", seen)
            await owner.place("t", side="SELL", type="STOP_LOSS", quantity="0.1",
                              trailingDelta="100")
            x.trade("BTCUSDT", price=str(last - 10))
            x.wait(lambda: x.order_truth("s")["orders"][0]["status"] == "FILLED", "triggered")
            check(x.order_truth("t")["orders"][0]["status"] == "NEW", "not far enough")
            x.trade("BTCUSDT", price=str((last * Decimal("0.98")).quantize(Decimal("0.01"))))
            x.wait(lambda: x.order_truth("t")["orders"][0]["status"] == "FILLED", "trailed")
            top = Decimal(x.truth("BTCUSDT")["asks"][0][0])
            x.trade("BTCUSDT", price=str(top - 20))
            poor = Owner(client, x.add_account(spot={"USDT": str((top - 10) / 10)}))
            await poor.place("p", type="STOP_LOSS", quantity="0.1", stopPrice=top - 10)
            x.trade("BTCUSDT", price=str(top - 10))
            ended = x.wait(lambda: x.order_truth("p")["orders"][0]["status"] != "NEW" and
                           x.order_truth("p")["orders"][0], "dearer than was locked")
            check(ended["status"] == "EXPIRED" and Decimal(ended["executed"]) > 0 and
                  min(await poor.spot_balance("USDT")) >= 0, "as far as the money goes", ended)
            await owner.place("e", **FAR)
            check(x.cancel("e", status="EXPIRED")["status"] == "EXPIRED", "ended")
            check((await owner.spot_balance("USDT"))[1] == 0, "nothing is locked")
        check(x.counters()["violations"] == 0, "nothing was wrong", x.counters())


async def scripts():
    """The next order is filled in given pieces, rests, or is refused."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH, pays_in_bnb=True))
            x.deposit(owner.number, "BNB", "1")
            x.script(client_id="p-*", pieces=[["59000.01", "0.1"], ["58000", "0.2"]])
            order = await owner.place("p-1", type="MARKET", quantity="0.3")
            check([(f["price"], f["qty"]) for f in order["fills"]] ==
                  [("59000.01000000", "0.10000000"), ("58000.00000000", "0.20000000")],
                  "in pieces", order)
            check(order["fills"][0]["commissionAsset"] == "BNB" and
                  (await owner.spot_balance("BNB"))[0] < 1, "in BNB", order)
            x.script(pieces=[["59000", "0.1"]], then="rest")
            order = await owner.place("r-1", type="MARKET", quantity="0.3")
            check(order["status"] == "PARTIALLY_FILLED", "it stays", order)
            x.fill("r-1", price="59001", is_maker=False)
            check(x.order_truth("r-1")["orders"][0]["quote_executed"] == "17700.20000000", "later")
            x.script(then="rest")
            order = await owner.place("r-2", type="MARKET", quoteOrderQty="100")
            check(order["status"] == "NEW" and Decimal(order["origQty"]) > 0, "nothing yet", order)
            x.script(code=-2010, words="This symbol is not permitted for this account.")
            await owner.refused(-2010, "POST", "order",
                                "This symbol is not permitted for this account.",
                                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
            trades = await owner.well("GET", "myTrades", symbol="BTCUSDT")
            ids = [t["id"] for t in trades]
            check(len(ids) == 4 and ids == sorted(set(ids)), "ids rise", ids)
            await owner.place("x-1", type="MARKET", quantity="0.001")
            new = await owner.well("GET", "myTrades", symbol="BTCUSDT", fromId=ids[-1] + 1)
            check(len(new) == 1, "from the next", new)


async def spot_queries():
    """Orders asked for and canceled in all the ways there are."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            symbol = {"symbol": "BTCUSDT"}
            first = await owner.place("a", **FAR)
            await owner.place("b", **FAR)
            order = await owner.well("GET", "order", origClientOrderId="a", **symbol)
            check((order["orderId"], order["status"], order["isWorking"]) ==
                  (first["orderId"], "NEW", True), "by its client id", order)
            await owner.well("GET", "order", orderId=first["orderId"], **symbol)
            for code, words, params in (
                    (-2013, "Order does not exist.", {"origClientOrderId": "c"}),
                    (-2013, "Order does not exist.", {"orderId": 1}),
                    (-2039, None, {"orderId": first["orderId"], "origClientOrderId": "b"}),
                    (-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were "
                     "empty/null!", {})):
                await owner.refused(code, "GET", "order", words, **symbol, **params)
            check(len(await owner.well("GET", "openOrders")) == 2, "both are open")
            await owner.refused(-2011, "DELETE", "order", "Order was not canceled due to cancel "
                                "restrictions.", cancelRestrictions="ONLY_PARTIALLY_FILLED",
                                origClientOrderId="a", **symbol)
            gone = await owner.well("DELETE", "order", origClientOrderId="a",
                                    newClientOrderId="away", **symbol)
            check((gone["origClientOrderId"], gone["clientOrderId"], gone["status"]) ==
                  ("a", "away", "CANCELED"), "canceled", gone)
            await owner.refused(-2011, "DELETE", "order", "Unknown order sent.",
                                origClientOrderId="a", **symbol)
            again = await owner.place("a", **FAR)
            check(again["orderId"] > first["orderId"], "the id was free again")
            check(x.order_truth("a")["executed"] == 2 and x.count("orders_executed_twice") == 1,
                  "which is seen", x.order_truth("a"))
            check(len(await owner.well("DELETE", "openOrders", **symbol)) == 2, "all at once")
            await owner.refused(-2011, "DELETE", "openOrders", "Unknown order sent.", **symbol)
            check([o["clientOrderId"] for o in await owner.well("GET", "allOrders", **symbol)] ==
                  ["a", "b", "a"], "all")
            later = await owner.well("GET", "allOrders", orderId=again["orderId"], **symbol)
            check(len(later) == 1, "from an id", later)
            for params in ({"fromId": 1, "startTime": 1}, {"orderId": 1, "startTime": 1}):
                await owner.refused(-1128, "GET", "myTrades", **symbol, **params)
            await owner.refused(-1127, "GET", "allOrders", startTime=0, endTime=86400001, **symbol)
            calls = x.calls("spot")
            check(calls["POST", "/api/v3/order"] == 3 and calls["DELETE", "/api/v3/order"] == 3,
                  "every call is known", calls)
            last = x.requests(method="DELETE", path="/api/v3/openOrders")[-1]
            check(last["status"] == 400 and "signature" not in last["query"], "in words", last)


async def usdm_trades():
    """Positions, profit and margin; reduce-only; what is refused."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(usdm={"USDT": "10000"}), "usdm")
            symbol = {"symbol": "BTCUSDT"}
            x.script("usdm", pieces=[["60000.0", "0.2"], ["60100.0", "0.2"]])
            order = await owner.place("a", type="MARKET", quantity="0.4")
            check((order["status"], order["executedQty"]) == ("NEW", "0.000"), "ACK", order)
            order = await owner.well("GET", "order", origClientOrderId="a", **symbol)
            check((order["status"], order["avgPrice"], order["cumQuote"]) ==
                  ("FILLED", "60050.00", "24020.00"), "filled", order)
            await owner.refused(-2022, "POST", "order", "ReduceOnly Order is rejected.",
                                side="BUY", type="MARKET", quantity="0.1", reduceOnly="true",
                                **symbol)
            await owner.refused(-2019, "POST", "order", "Margin is insufficient.", side="BUY",
                                type="MARKET", quantity="20", **symbol)
            rich = Owner(client, x.add_account(usdm={"USDT": "10000000"}), "usdm")
            await rich.well("POST", "leverage", leverage=125, **symbol)
            x.script("usdm", pieces=[["60000.0", "0.8"]])
            await rich.place(type="MARKET", quantity="0.8")
            await rich.refused(-2027, "POST", "order", "Exceeded the maximum allowable position at "
                               "current leverage.", side="BUY", type="MARKET", quantity="0.1",
                               **symbol)
            await rich.place(side="SELL", type="MARKET", quantity="0.1")
            ask = Decimal(x.truth("BTCUSDT", "usdm")["asks"][0][0])
            await owner.place("r", side="SELL", quantity="0.3", price=ask + 10, reduceOnly="true")
            await owner.refused(-4116, "POST", "order", "ClientOrderId is duplicated.",
                                side="SELL", type="LIMIT", timeInForce="GTC", quantity="0.3",
                                price=ask + 10, newClientOrderId="r", **symbol)
            x.script("usdm", pieces=[["60000.0", "1"]])
            turned = await owner.place("t", side="SELL", type="MARKET", quantity="1",
                                       newOrderRespType="RESULT")
            check((turned["status"], turned["executedQty"]) == ("FILLED", "1.000"), "RESULT",
                  turned)
            view = x.account(owner.number)
            check([(p["amount"], p["entry"], p["realized"]) for p in view["positions"]] ==
                  [("-0.60000000", "60000.00000000", "-20.00000000")], "turned round", view)
            fees = (Decimal(24020) + Decimal(60000)) * Decimal("0.0005")
            check(Decimal(view["usdm"]["USDT"]) == 10000 - 20 - fees, "the wallet", view)
            check(x.order_truth("r", "usdm")["orders"][0]["status"] == "EXPIRED",
                  "nothing to reduce")
            for path in ("/fapi/v2/positionRisk", "/fapi/v3/positionRisk"):
                risk = await owner.well("GET", path, **symbol)
                check(risk[0]["positionAmt"] == "-0.600" and
                      ("leverage" in risk[0]) == ("v2" in path), path, risk)
            for path in ("/fapi/v2/account", "/fapi/v3/account"):
                account = await owner.well("GET", path)
                check(account["totalWalletBalance"] == view["usdm"]["USDT"] and
                      account["positions"][0]["positionAmt"] == "-0.600", path, account)
            for path in ("/fapi/v2/balance", "/fapi/v3/balance"):
                check((await owner.well("GET", path))[0]["balance"] == view["usdm"]["USDT"], path)
            trades = await owner.well("GET", "userTrades", **symbol)
            check([Decimal(t["realizedPnl"]) for t in trades] == [0, 0, -20] and
                  [t["side"] for t in trades] == ["BUY", "BUY", "SELL"], "its trades", trades)
            closing = await owner.place("c", type="MARKET", quantity="5", reduceOnly="true",
                                        newOrderRespType="RESULT")
            check((closing["status"], closing["executedQty"]) == ("EXPIRED", "0.600"),
                  "no more than there was", closing)
        kinds = x.counters()["violations_by_kind"]
        check(kinds == {"duplicate": 1}, "that alone was wrong", kinds)


async def usdm_settings():
    """Leverage, margin type, modes, brackets, listen keys, cancels; GTX, FOK and GTD."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(usdm={"USDT": "10000"}), "usdm")
            symbol = {"symbol": "BTCUSDT"}
            check((await owner.well("POST", "leverage", leverage=10, **symbol))["leverage"] == 10,
                  "leverage")
            await owner.refused(-4028, "POST", "leverage", leverage=126, **symbol)
            check(await owner.well("POST", "marginType", marginType="ISOLATED", **symbol) ==
                  {"code": 200, "msg": "success"}, "isolated")
            await owner.refused(-4046, "POST", "marginType", marginType="ISOLATED", **symbol)
            check((await owner.well("GET", "leverageBracket", **symbol))[0]["brackets"][0]
                  ["initialLeverage"] == 125, "brackets")
            check("takerCommissionRate" in await owner.well("GET", "commissionRate", **symbol),
                  "rates")
            await owner.refused(-4059, "POST", "positionSide/dual", dualSidePosition="false")
            bid, ask = (Decimal(x.truth("BTCUSDT", "usdm")[s][0][0]) for s in ("bids", "asks"))
            await owner.refused(-5022, "POST", "order", side="BUY", type="LIMIT", quantity="0.01",
                                price=ask, timeInForce="GTX", **symbol)
            await owner.refused(-5021, "POST", "order", side="BUY", type="LIMIT", quantity="0.1",
                                price=bid - 10, timeInForce="FOK", **symbol)
            await owner.place("gtx", quantity="0.01", price=bid - 10, timeInForce="GTX")
            await owner.place("gtd", quantity="0.01", price=bid - 10, timeInForce="GTD",
                              goodTillDate=(int(time.time()) + 700) * 1000)
            await owner.refused(-4067, "POST", "positionSide/dual", dualSidePosition="true")
            gone = await owner.well("DELETE", "order", origClientOrderId="gtx", **symbol)
            check((gone["status"], gone["timeInForce"]) == ("CANCELED", "GTX"), "canceled", gone)
            await owner.refused(-2011, "DELETE", "order", "Unknown order sent.",
                                origClientOrderId="gtx", **symbol)
            await owner.refused(-2013, "GET", "order", origClientOrderId="nope", **symbol)
            check(len(await owner.well("GET", "openOrders")) == 1, "one is left")
            check((await owner.well("DELETE", "allOpenOrders", **symbol))["code"] == 200, "all")
            await owner.well("POST", "positionSide/dual", dualSidePosition="true")
            await owner.place("long", type="MARKET", quantity="0.01", positionSide="LONG")
            await owner.refused(-4061, "POST", "order", side="BUY", type="MARKET",
                                quantity="0.01", **symbol)
            status, value = await owner.raw("POST", "listenKey")
            key = value["listenKey"]
            check((await owner.raw("POST", "listenKey"))[1]["listenKey"] == key, "the same")
            check((await owner.raw("PUT", "listenKey"))[0] == 200, "kept")
            check(await owner.raw("DELETE", "listenKey") == (200, {}), "closed")
            status, value = await owner.raw("PUT", "listenKey")
            check((status, value["code"]) == (400, -1125), "gone", value)


async def faults():
    """A placement whose answer is lost, before or after it was done, and the truth of it."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            only = {"method": "POST", "path": "order"}
            number = 0

            async def place(when, kind, is_patient=True, **what):
                """The answer, or None; and whether the order is there."""
                nonlocal number
                number += 1
                fault = x.fault(kind, when=when, **only, **what)["fault"]
                asking = asyncio.create_task(owner.ask(
                    "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
                    recvWindow=60000, newClientOrderId="f-%d" % number, **FAR))
                await met(x, fault)
                answer = None
                if is_patient:
                    try:
                        answer = await asking
                    except aiohttp.ClientError:
                        pass
                else:
                    asking.cancel()
                    await asyncio.wait({asking})
                truth = x.order_truth("f-%d" % number)
                check((truth["received"], truth["placements"][0]["fault"]) == (1, kind), "known",
                      truth)
                return answer, truth["executed"] == 1

            for when in ("before", "after"):
                is_done = when == "after"
                for status, code, words in (
                        (503, -1000, None), (504, -1007, None), (500, -1001, None),
                        (503, -1008, None), (400, -1006, None),
                        (503, -1000, "Service Unavailable.")):
                    answer, is_there = await place(when, "rest_error", status=status, code=code,
                                                   **({"words": words} if words else {}))
                    check((answer[0], answer[1]["code"], is_there) == (status, code, is_done),
                          "%s %s" % (when, code), answer, is_there)
                check(await place(when, "rest_cut") == (None, is_done), "cut " + when)
                check(await place(when, "rest_timeout", False) == (None, is_done), "mute", when)
                answer, is_there = await place(when, "rest_slow", seconds=0.1)
                check(answer[0] == 200 and is_there, "slow", answer)
            check(await place("before", "rest_half") == (None, True), "half an answer")
            answer, is_there = await place("before", "rest_slow", False, seconds=3)
            check((answer, is_there) == (None, False), "not yet")
            x.wait(lambda: x.order_truth("f-%d" % number)["executed"] == 1,
                   "it is done when nobody waits any more")
            x.fault("rest_error", status=429, code=-1003, retry_after=3, **only)
            status, value = await owner.ask("POST", "order", symbol="BTCUSDT", side="BUY",
                                            type="MARKET", quantity="1")
            check((status, owner.headers["Retry-After"]) == (429, "3"), "429", value)
            x.fault("rest_error", status=502, html=True, when="after", **only)
            url = "%s/api/v3/order?%s" % (x.spot_rest_url, owner.signed_query(
                {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1",
                 "newClientOrderId": "html"}))
            async with client.session.post(url, headers={"X-MBX-APIKEY": owner.api_key}) as reply:
                check((reply.status, reply.content_type) == (502, "text/html") and
                      "X-MBX-USED-WEIGHT-1M" not in reply.headers, "of a proxy", reply)
            check(x.order_truth("html")["executed"] == 1, "and done")
            check(x.counters()["violations"] == 0, "all by the exchange", x.counters())


async def states():
    """A skewed clock, blind queries, an exchange that is down, one that is too late."""
    with standin() as x:
        async with Client(x) as client:
            owner = Owner(client, x.add_account(spot=RICH))
            skew = x.fault("skew", seconds=-8)["fault"]
            await owner.refused(-1021, "GET", "account")
            now = (await client.result("time"))["serverTime"]
            check((await owner.ask("GET", "account", timestamp=now))[0] == 200, "by its clock")
            x.end_fault(skew)
            await owner.well("GET", "account")
            lag = x.fault("query_lag", seconds=60)["fault"]
            await owner.place("a", **FAR)
            x.end_fault(lag)
            await owner.refused(-2013, "GET", "order", symbol="BTCUSDT", origClientOrderId="a")
            check(await owner.well("GET", "openOrders") == [], "not yet")
            await owner.well("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
            x.fault("query_lag", seconds=0.05)
            await owner.place("b", **FAR)

            async def seen():
                return (await owner.ask("GET", "order", symbol="BTCUSDT",
                                        origClientOrderId="b"))[0] == 200
            while not await seen():
                pass
            down = x.fault("down")["fault"]
            for path in ("account", "time"):
                status, value = await owner.ask("GET", path)
                check((status, value["msg"]) == (503, "Service Unavailable."), "down", value)
            x.end_fault(down)
            await owner.well("GET", "account")
            x.fault("rest_slow", method="POST", path="order", seconds=2)
            status, value = await owner.ask("POST", "order", symbol="BTCUSDT", side="BUY",
                                            type="LIMIT", timeInForce="GTC", recvWindow=1500,
                                            newClientOrderId="late", **FAR)
            check((status, value["code"], x.order_truth("late")["executed"]) == (400, -1021, 0),
                  "too late for the engine", value)
            rows = await owner.well("GET", "rateLimit/order")
            check(rows[1]["count"] == 3, "and counted all the same", rows)
            usdm = Owner(client, x.add_account(usdm=RICH), "usdm")
            x.fault("rest_slow", "usdm", method="POST", path="order", seconds=2)
            await usdm.refused(-5028, "POST", "order", symbol="BTCUSDT", side="BUY",
                               type="MARKET", quantity="1", recvWindow=1500)
            x.fault("ban", seconds=60)
            status, value = await owner.ask("GET", "account")
            check(status == 418 and int(owner.headers["Retry-After"]) > 50, "banned", value)
        check(x.counters()["violations"] == 0, "nothing of the client's", x.counters())


async def adds_up():
    """After hundreds of orders by dice, balances are what the trades say."""
    dice = random.Random(11)
    with StandIn(synthetic=5, rate=300, spot="BTCUSDT", usdm="") as x:
        x.order_limits(**{"10S": 100000})
        x.settings(weight_limit=1000000)
        async with Client(x) as client:
            owner = Owner(client, x.add_account("ED25519", spot=RICH))
            for n in range(300):
                if n % 20 == 0:
                    book = x.truth("BTCUSDT")
                side = dice.choice(("BUY", "SELL"))
                price = Decimal(book["bids" if side == "BUY" else "asks"][dice.randint(0, 9)][0])
                what = dice.choice(("MARKET", "LIMIT", "LIMIT", "IOC", "QUOTE", "CANCEL"))
                amount = {"quantity": "%.5f" % dice.uniform(0.001, 0.5)}
                if what == "MARKET":
                    await owner.place(side=side, type="MARKET", **amount)
                elif what == "QUOTE":
                    await owner.place(side=side, type="MARKET", quoteOrderQty=dice.randint(9, 999))
                elif what == "CANCEL":
                    await owner.ask("DELETE", "openOrders", symbol="BTCUSDT")
                else:
                    await owner.place(side=side, price=price, timeInForce="GTC" if what == "LIMIT"
                                      else what, **amount)
            await owner.ask("DELETE", "openOrders", symbol="BTCUSDT")
            trades, page = [], None
            while page is None or page:
                page = await owner.well("GET", "myTrades", symbol="BTCUSDT", limit=1000,
                                        fromId=trades[-1]["id"] + 1 if trades else 0)
                trades += page
            check(len({t["id"] for t in trades}) == len(trades) > 200, "many", len(trades))
            for asset, amount in (("USDT", "quoteQty"), ("BTC", "qty")):
                change = sum((1 if t["isBuyer"] == (asset == "BTC") else -1) * Decimal(t[amount])
                             - (Decimal(t["commission"]) if t["commissionAsset"] == asset else 0)
                             for t in trades)
                check(await owner.spot_balance(asset) == (Decimal(RICH[asset]) + change, 0),
                      asset + " adds up", change)
            check(x.placements() == [] and x.count("orders_without_id") > 100, "without ids")
        check(x.counters()["violations"] == 0, "nothing was wrong", x.counters())


async def other_markets():
    """A market that cannot be eaten from fills all the same, and goes on."""
    with StandIn(flood=3, flood_spot=20, flood_usdm=20) as x:
        async with Client(x) as client:
            account = x.add_account(spot=RICH, usdm=RICH)
            for market in ("spot", "usdm"):
                owner = Owner(client, account, market)
                await owner.place("m", type="MARKET", quantity="1", newOrderRespType="RESULT")
                check(x.order_truth("m", market)["orders"][0]["status"] == "FILLED", market)
                bid = x.truth("BTCUSDT", market)["bids"][0][0]
                await owner.place("r", quantity="1", price=bid)
                x.wait(lambda m=market: x.order_truth("r", m)["orders"][0]["status"] == "FILLED",
                       "the market comes to it")
        check(x.counters()["violations"] == 0, "nothing was wrong", x.counters())


TESTS = [spot_takes, spot_rests, scripts, spot_queries, usdm_trades, usdm_settings, faults, states,
         adds_up, other_markets]
