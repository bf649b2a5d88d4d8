"""spot_calls - orders and accounts of spot: what is asked, what is refused, what is answered.

SPDX-License-Identifier: Apache-2.0
"""
import params
from accounts import invented
from filters import SpotFilters
from gate import wrong
from orders import NEVER_MS, NEW, PARTIALLY_FILLED, STOP_TYPES, Order
from params import MISSING, SPOT_ID, SYMBOL, amount_of, choice_of, need, whole_of
from rest import REQUIRED, instrument_of, limit_of, refuse
from signed import TRADE, USER_DATA, Call, check_order_count
from signing import FUTURES, READ, SPOT, WITHDRAW
from wire import SCALE, Refusal, text_of

DAY_MS = 86400000
ICEBERG_TYPES = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
NO_ORDER = (-2013, "Order does not exist.")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")

PLACE = {
    **SYMBOL, "side": (REQUIRED, params.side_of),
    "type": (REQUIRED, choice_of(-1116, "Invalid orderType.", "LIMIT", "LIMIT_MAKER", "MARKET",
                                 *STOP_TYPES)),
    "timeInForce": (False, choice_of(-1115, "Invalid timeInForce.", "GTC", "IOC", "FOK")),
    "quantity": (False, amount_of), "quoteOrderQty": (False, amount_of),
    "price": (False, amount_of), "newClientOrderId": (False, SPOT_ID),
    "strategyId": (False, whole_of), "strategyType": (False, whole_of),
    "stopPrice": (False, amount_of), "trailingDelta": (False, whole_of),
    "icebergQty": (False, amount_of),
    "newOrderRespType": (False, choice_of(-1100, "Illegal characters found in parameter '%s'.",
                                          "ACK", "RESULT", "FULL")),
    "selfTradePreventionMode": (False, choice_of(
        -1013, "This symbol does not support the specified self-trade prevention mode.",
        "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"))}
ORDER = {**SYMBOL, "orderId": (False, whole_of), "origClientOrderId": (False, SPOT_ID)}


# Placing.

def check_shape(values):
    """What each type needs, and what it must not have."""
    kind = values["type"]
    is_stop = kind in STOP_TYPES
    has_price = kind in ICEBERG_TYPES
    if kind == "MARKET":
        if "quantity" not in values and "quoteOrderQty" not in values:
            need(values, "quantity")
        if "quantity" in values and "quoteOrderQty" in values:
            refuse(-1128, "Combination of optional parameters invalid.")
    else:
        params.forbid(values, "quoteOrderQty")
        need(values, "quantity")
    if has_price:
        need(values, "price")
    else:
        params.forbid(values, "price", "icebergQty")
    if has_price and kind != "LIMIT_MAKER":
        need(values, "timeInForce")
    else:
        params.forbid(values, "timeInForce")
    if not is_stop:
        params.forbid(values, "stopPrice", "trailingDelta")
    elif "stopPrice" not in values and "trailingDelta" not in values:
        refuse(-1102, MISSING % "stopPrice")
    if "icebergQty" in values and values.get("timeInForce", "GTC") != "GTC":
        wrong(-1013, "timeInForce must be GTC for iceberg orders.", "parameter")
    if values.get("strategyType", 1000000) < 1000000:
        refuse(-1130, "Data sent for parameter 'strategyType' is not valid.")
    for name, word in (("quantity", "quantity"), ("price", "price"), ("stopPrice", "stopPrice"),
                       ("quoteOrderQty", "quote order qty")):
        if values.get(name) == 0:
            wrong(-1013, "Invalid %s." % word, "filter")


def shaped(ask):
    """The order that was asked for, judged by all but the engine."""
    values = ask.values
    check_shape(values)
    instrument = instrument_of(ask.venue, values)
    if instrument.rules.status != "TRADING":
        raise Refusal(-1013, "Market is closed.")
    order = Order(ask.account, "spot", values["symbol"], 0,
                  values.get("newClientOrderId") or invented(22), values["side"], values["type"])
    order.time_in_force = values.get("timeInForce", "GTC")
    order.quantity, order.quote_quantity = values.get("quantity", 0), values.get("quoteOrderQty", 0)
    order.price, order.stop_price = values.get("price", 0), values.get("stopPrice", 0)
    order.iceberg = values.get("icebergQty", 0)
    order.trailing_delta = values.get("trailingDelta", 0)
    order.strategy_id, order.strategy_type = (values.get(n) for n in ("strategyId", "strategyType"))
    order.self_trade = values.get("selfTradePreventionMode", order.self_trade)
    if order.iceberg > order.quantity:
        raise Refusal(-2010, "IcebergQty exceeds QTY.")
    filters_of(ask, order).check(order)
    return order


def filters_of(ask, order):
    return SpotFilters(ask.side, ask.venue.rules_of(order.symbol),
                       ask.venue.last_price(order.symbol))


def place(ask):
    order = shaped(ask)
    check_order_count(ask)
    filters_of(ask, order).position(order)
    if ask.side.has_open(order.client_id):
        wrong(-2010, "Duplicate order sent.", "duplicate")
    ask.side.count_order()
    try:
        ask.engine.place(order, ask.venue.visible_from())
    except Refusal:
        ask.side.give_back_orders(1)
        raise
    if ask.placement:
        ask.signed.truth.execute(ask.placement, order)
    full = "FULL" if order.type in ("MARKET", "LIMIT") else "ACK"
    return placed_view(order, ask.values.get("newOrderRespType", full))


def place_test(ask):
    order = shaped(ask)
    if ask.values.get("computeCommissionRates") != "true":
        return {}
    return {key: {"maker": text_of(ask.side.makers if name == "standard" else 0),
                  "taker": text_of(ask.side.takers if name == "standard" else 0)}
            for name, key in (("standard", "standardCommissionForOrder"),
                              ("special", "specialCommissionForOrder"),
                              ("tax", "taxCommissionForOrder"))} if order else {}


# Orders as they are written.

def head_view(order):
    return {"symbol": order.symbol, "orderId": order.order_id, "orderListId": -1,
            "clientOrderId": order.client_id}


def body_view(order):
    return {"price": text_of(order.price), "origQty": text_of(order.quantity),
            "executedQty": text_of(order.executed),
            "origQuoteOrderQty": text_of(order.quote_quantity),
            "cummulativeQuoteQty": text_of(order.quote_executed), "status": order.status,
            "timeInForce": order.time_in_force, "type": order.type, "side": order.side}


def tail_view(order):
    view = {}
    if order.trailing_delta:
        view["trailingDelta"] = order.trailing_delta
        view["trailingTime"] = order.trailing_ms
    if order.strategy_id is not None:
        view["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        view["strategyType"] = order.strategy_type
    if order.expiry_reason:
        view["expiryReason"] = order.expiry_reason
    return view


def placed_view(order, how):
    view = {**head_view(order), "transactTime": order.update_ms}
    if how == "ACK":
        return view
    view.update(body_view(order))
    if order.stop_price:
        view["stopPrice"] = text_of(order.stop_price)
    if order.iceberg:
        view["icebergQty"] = text_of(order.iceberg)
    view["workingTime"] = order.working_ms
    view["selfTradePreventionMode"] = order.self_trade
    if how == "FULL":
        view["fills"] = [{"price": text_of(t.price), "qty": text_of(t.quantity),
                          "commission": text_of(t.commission),
                          "commissionAsset": t.commission_asset, "tradeId": t.number}
                         for t in order.trades]
    view.update(tail_view(order))
    return view


def order_view(order):
    return {**head_view(order), **body_view(order), "stopPrice": text_of(order.stop_price),
            "icebergQty": text_of(order.iceberg), "time": order.time_ms,
            "updateTime": order.update_ms, "isWorking": order.working_ms != NEVER_MS,
            "workingTime": order.working_ms, "selfTradePreventionMode": order.self_trade,
            **tail_view(order)}


def canceled_view(order, cancel_id, now_ms):
    view = {"symbol": order.symbol, "origClientOrderId": order.client_id,
            "orderId": order.order_id, "orderListId": -1, "clientOrderId": cancel_id,
            "transactTime": now_ms, **body_view(order),
            "selfTradePreventionMode": order.self_trade}
    if order.stop_price:
        view["stopPrice"] = text_of(order.stop_price)
    return view


# Asking and canceling.

def found(ask, missing, now_ms=None):
    """The order that the request names."""
    params.need_order(ask.values)
    instrument_of(ask.venue, ask.values)
    order_id, client_id = ask.values.get("orderId"), ask.values.get("origClientOrderId")
    order = ask.side.find(ask.values["symbol"], order_id, client_id if order_id is None else None,
                          now_ms)
    if order is None:
        raise Refusal(*missing)
    if client_id not in (None, order.client_id):
        wrong(-2039, "The client order ID is not correct for this order ID.", "parameter")
    return order


def query(ask):
    return order_view(found(ask, NO_ORDER, ask.now_ms()))


def cancel(ask):
    order = found_open(ask)
    wanted = {"ONLY_NEW": NEW, "ONLY_PARTIALLY_FILLED": PARTIALLY_FILLED}.get(
        ask.values.get("cancelRestrictions"), order.status)
    if order.status != wanted:
        raise Refusal(-2011, "Order was not canceled due to cancel restrictions.")
    cancel_id = ask.values.get("newClientOrderId") or invented(22)
    ask.engine.cancel(order, cancel_id)
    return canceled_view(order, cancel_id, order.update_ms)


def found_open(ask):
    """As found(), but of a client id used again the open one is meant."""
    client_id = ask.values.get("origClientOrderId")
    if "orderId" not in ask.values:
        for order in ask.side.open_orders(ask.values["symbol"]):
            if order.client_id == client_id:
                return order
    order = found(ask, UNKNOWN_ORDER)
    if not order.is_open:
        raise Refusal(*UNKNOWN_ORDER)
    return order


def cancel_all(ask):
    instrument_of(ask.venue, ask.values)
    orders = ask.side.open_orders(ask.values["symbol"])
    if not orders:
        raise Refusal(*UNKNOWN_ORDER)
    views = []
    for order in orders:
        cancel_id = invented(22)
        ask.engine.cancel(order, cancel_id)
        views.append(canceled_view(order, cancel_id, order.update_ms))
    return views


def open_orders(ask):
    if "symbol" in ask.values:
        instrument_of(ask.venue, ask.values)
    return [order_view(o) for o in ask.side.open_orders(ask.values.get("symbol"))
            if o.visible_ms <= ask.now_ms()]


def all_orders(ask):
    values = ask.values
    instrument_of(ask.venue, values)
    params.span(values, DAY_MS, "More than 24 hours between startTime and endTime.")
    orders = [o for o in ask.side.orders.values() if o.symbol == values["symbol"]
              and o.visible_ms <= ask.now_ms()]
    if "orderId" in values:
        return [order_view(o) for o in orders
                if o.order_id >= values["orderId"]][:values.get("limit", 500)]
    return [order_view(o) for o in params.within(orders, lambda o: o.time_ms, values)]


def my_trades(ask):
    values = ask.values
    instrument_of(ask.venue, values)
    names = frozenset(values) - {"symbol", "limit"}
    if names not in ({"orderId"}, {"startTime"}, {"endTime"}, {"fromId"}, {"startTime", "endTime"},
                     {"orderId", "fromId"}, set()):
        refuse(-1128, "Combination of optional parameters invalid.")
    params.span(values, DAY_MS, "More than 24 hours between startTime and endTime.")
    trades = [t for t in ask.side.trades if t.order.symbol == values["symbol"]
              and t.order.visible_ms <= ask.now_ms()
              and values.get("orderId", t.order.order_id) == t.order.order_id]
    if "fromId" in values:
        chosen = [t for t in trades if t.number >= values["fromId"]][:values.get("limit", 500)]
    else:
        chosen = params.within(trades, lambda t: t.time_ms, values)
    return [{"symbol": t.order.symbol, "id": t.number, "orderId": t.order.order_id,
             "orderListId": -1, "price": text_of(t.price), "qty": text_of(t.quantity),
             "quoteQty": text_of(t.quote), "commission": text_of(t.commission),
             "commissionAsset": t.commission_asset, "time": t.time_ms,
             "isBuyer": t.order.is_buy, "isMaker": t.is_maker, "isBestMatch": True}
            for t in chosen]


# The account.

def rates_view(makers, takers):
    return {"maker": text_of(makers), "taker": text_of(takers), "buyer": text_of(0),
            "seller": text_of(0)}


def account(ask):
    side = ask.side
    can_trade = SPOT in ask.key.permissions
    balances = [{"asset": asset, "free": text_of(free), "locked": text_of(locked)}
                for asset, (free, locked) in sorted(side.balances.items())
                if free or locked or ask.values.get("omitZeroBalances") != "true"]
    return {"makerCommission": side.makers * 10000 // SCALE,
            "takerCommission": side.takers * 10000 // SCALE,
            "buyerCommission": 0, "sellerCommission": 0,
            "commissionRates": rates_view(side.makers, side.takers),
            "canTrade": can_trade, "canWithdraw": WITHDRAW in ask.key.permissions,
            "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False,
            "updateTime": side.update_ms, "accountType": "SPOT", "balances": balances,
            "permissions": ["SPOT"], "uid": 10 ** 8 + ask.account.number}


def key_rights(ask):
    """Of the key; what its account may is another matter."""
    may = ask.key.permissions
    return {"ipRestrict": False, "createTime": 1600000000000, "enableReading": READ in may,
            "enableWithdrawals": WITHDRAW in may, "enableInternalTransfer": False,
            "enableMargin": False, "enableFutures": FUTURES in may,
            "permitsUniversalTransfer": False, "enableVanillaOptions": False,
            "enableFixApiTrade": False, "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": SPOT in may, "enablePortfolioMarginTrading": False}


def commission(ask):
    instrument_of(ask.venue, ask.values)
    return {"symbol": ask.values["symbol"],
            "standardCommission": rates_view(ask.side.makers, ask.side.takers),
            "specialCommission": rates_view(0, 0), "taxCommission": rates_view(0, 0),
            "discount": {"enabledForAccount": ask.side.pays_in_bnb, "enabledForSymbol": True,
                         "discountAsset": "BNB", "discount": "0.75000000"}}


def order_limits(ask):
    rows = []
    for name, interval, count in (("10S", "SECOND", 10), ("1D", "DAY", 1)):
        window = ask.side.order_windows[name]
        window.roll()
        rows.append({"rateLimitType": "ORDERS", "interval": interval, "intervalNum": count,
                     "limit": window.limit, "count": window.used})
    return rows


LIMITED = {**params.TIMES, "limit": (False, limit_of(1000))}
CALLS = {
    ("POST", "order"): Call(place, PLACE, 0, TRADE, failed=1, places="newClientOrderId"),
    ("POST", "order/test"): Call(
        place_test, {**PLACE, "computeCommissionRates": (False, params.boolean)},
        lambda names: 20 if "computeCommissionRates" in names else 1, TRADE),
    ("GET", "order"): Call(query, ORDER, 4),
    ("DELETE", "order"): Call(
        cancel, {**ORDER, "newClientOrderId": (False, SPOT_ID), "cancelRestrictions": (
            False, choice_of(-1145, "Invalid cancelRestrictions", "ONLY_NEW",
                             "ONLY_PARTIALLY_FILLED"))}, 0, TRADE, failed=1),
    ("DELETE", "openOrders"): Call(cancel_all, SYMBOL, 0, TRADE, failed=1),
    ("GET", "openOrders"): Call(open_orders, params.ANY_SYMBOL,
                                lambda names: 6 if "symbol" in names else 80),
    ("GET", "allOrders"): Call(all_orders, {**SYMBOL, "orderId": (False, whole_of), **LIMITED},
                               20),
    ("GET", "myTrades"): Call(
        my_trades, {**SYMBOL, "orderId": (False, whole_of), "fromId": (False, whole_of),
                    **LIMITED}, lambda names: 5 if "orderId" in names else 20),
    ("GET", "account"): Call(account, {"omitZeroBalances": (False, params.boolean)}, 20),
    ("GET", "account/commission"): Call(commission, SYMBOL, 20, USER_DATA),
    ("GET", "rateLimit/order"): Call(order_limits, {}, 40, USER_DATA),
}
SPOT_CALLS = {(method, "/api/v3/" + path): call for (method, path), call in CALLS.items()}
SPOT_CALLS["GET", "/sapi/v1/account/apiRestrictions"] = Call(key_rights, {}, 1, USER_DATA)
