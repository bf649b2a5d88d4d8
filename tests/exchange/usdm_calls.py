"""usdm_calls - orders of USD-M futures: what is asked, what is refused, what is answered.

SPDX-License-Identifier: Apache-2.0
"""
import params
import usdm_account
from accounts import invented
from filters import UsdmFilters
from gate import wrong
from orders import NEW, Order
from params import SYMBOL, USDM_ID, amount_of, choice_of, forbid, need, whole_of
from rest import REQUIRED, instrument_of, limit_of, refuse, word_of
from signed import KEYED, TRADE, Call, check_order_count
from wire import SCALE, Refusal, product, text_of

WEEK_MS = 7 * 86400000
GTD_MIN_MS = 600000
NO_ORDER = (-2013, "Order does not exist.")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")
CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
# Parameters that only conditional orders have, and those live at another endpoint.
OF_CONDITIONAL = ("stopPrice", "closePosition", "activationPrice", "callbackRate", "workingType",
                  "priceProtect")

PLACE = {
    **SYMBOL, "side": (REQUIRED, params.side_of),
    "type": (REQUIRED, choice_of(-1116, "Invalid orderType.", "LIMIT", "MARKET", *CONDITIONAL)),
    "positionSide": (False, choice_of(-4005, "Invalid positionSide.", "BOTH", "LONG", "SHORT")),
    "timeInForce": (False, choice_of(-1115, "Invalid timeInForce.", "GTC", "IOC", "FOK", "GTX",
                                     "GTD")),
    "quantity": (False, amount_of), "price": (False, amount_of),
    "reduceOnly": (False, params.boolean), "newClientOrderId": (False, USDM_ID),
    "newOrderRespType": (False, choice_of(-1130, "Data sent for parameter '%s' is not valid.",
                                          "ACK", "RESULT")),
    "selfTradePreventionMode": (False, choice_of(
        -1130, "Data sent for parameter '%s' is not valid.", "EXPIRE_TAKER", "EXPIRE_MAKER",
        "EXPIRE_BOTH")),
    "goodTillDate": (False, whole_of), **{name: (False, word_of) for name in OF_CONDITIONAL}}
ORDER = {**SYMBOL, "orderId": (False, whole_of), "origClientOrderId": (False, USDM_ID)}


# Placing.

def check_shape(values, now_ms):
    if values["type"] in CONDITIONAL:
        wrong(-4120, "Order type not supported for this endpoint. Please use the Algo Order API "
              "endpoints instead.", "parameter")
    forbid(values, *OF_CONDITIONAL)
    need(values, "quantity")
    if values["type"] == "LIMIT":
        need(values, "price", "timeInForce")
    else:
        forbid(values, "price", "timeInForce", "goodTillDate")
    if values.get("timeInForce") == "GTD":
        need(values, "goodTillDate")
        if values["goodTillDate"] <= now_ms + GTD_MIN_MS:
            refuse(-4158, "goodTillDate must be greater than the current time plus 600 seconds.")
    else:
        forbid(values, "goodTillDate")
    if values["quantity"] == 0:
        wrong(-4003, "Quantity less than or equal to zero.", "filter")
    if values.get("price") == 0:
        wrong(-4001, "Price less than or equal to zero.", "filter")


def check_position_side(side, order, values):
    has_side = values.get("positionSide", "BOTH") != "BOTH"
    if has_side != side.is_hedged:
        wrong(-4061, "Order's position side does not match user's setting.", "parameter")
    if side.is_hedged and "reduceOnly" in values:
        forbid(values, "reduceOnly")
    closes = (order.position_side == "LONG") == (order.side == "SELL")
    if has_side and closes and side.closing(order) < order.quantity:
        raise Refusal(-2022, "ReduceOnly Order is rejected.")


def check_size(side, order):
    """No position may become larger than its leverage allows."""
    if order.reduce_only or (side.is_hedged and side.closing(order)):
        return
    held = side.position(order.symbol, order.position_side).amount
    becomes = abs(held + (order.quantity if order.is_buy else -order.quantity))
    most = usdm_account.top_notional(side.leverage(order.symbol))
    if becomes > abs(held) and product(becomes, side.mark(order.symbol)) > most * SCALE:
        raise Refusal(-2027, "Exceeded the maximum allowable position at current leverage.")


def place(ask):
    values, side = ask.values, ask.side
    check_shape(values, ask.venue.clock_ms())
    instrument = instrument_of(ask.venue, values)
    if instrument.rules.status != "TRADING":
        raise Refusal(-4108, "Symbol is on delivering or delivered or settling or closed or "
                      "pre-trading.")
    order = Order(ask.account, "usdm", values["symbol"], 0,
                  values.get("newClientOrderId") or invented(22), values["side"], values["type"])
    order.quantity, order.price = values["quantity"], values.get("price", 0)
    order.time_in_force = values.get("timeInForce", "GTC")
    order.reduce_only = values.get("reduceOnly") == "true"
    order.position_side = values.get("positionSide", "BOTH")
    order.self_trade = values.get("selfTradePreventionMode", order.self_trade)
    order.good_till_ms = values.get("goodTillDate", 0) // 1000 * 1000
    check_position_side(side, order, values)
    UsdmFilters(side, instrument.rules, ask.venue.mark_price(order.symbol)).check(order)
    check_size(side, order)
    check_order_count(ask)
    side.count_order()
    if side.has_open(order.client_id):
        wrong(-4116, "ClientOrderId is duplicated.", "duplicate")
    ask.engine.place(order, ask.venue.visible_from())
    if ask.placement:
        ask.signed.truth.execute(ask.placement, order)
    view = placed_view(order)
    if values.get("newOrderRespType") != "RESULT":
        # The engine has it, and no more is known to who answers.
        zero = text_of(0, instrument.rules.quantity_decimals)
        view.update(status=NEW, executedQty=zero, cumQty=zero)
    return view


# Orders as they are written.

def placed_view(order):
    rules = order.account.usdm.venue.rules_of(order.symbol)
    price, quantity = rules.price_decimals, rules.quantity_decimals
    return {"orderId": order.order_id, "symbol": order.symbol, "status": order.status,
            "clientOrderId": order.client_id, "price": text_of(order.price, price),
            "origQty": text_of(order.quantity, quantity),
            "executedQty": text_of(order.executed, quantity),
            "cumQty": text_of(order.executed, quantity), "timeInForce": order.time_in_force,
            "type": order.type, "reduceOnly": order.reduce_only, "closePosition": False,
            "side": order.side, "positionSide": order.position_side,
            "stopPrice": text_of(0, price), "workingType": "CONTRACT_PRICE",
            "priceProtect": False, "origType": order.original_type, "priceMatch": "NONE",
            "selfTradePreventionMode": order.self_trade, "goodTillDate": order.good_till_ms,
            "updateTime": order.update_ms}


def order_view(order):
    rules = order.account.usdm.venue.rules_of(order.symbol)
    view = placed_view(order)
    del view["cumQty"]
    view.update(avgPrice=text_of(order.average, rules.price_decimals),
                cumQuote=text_of(order.quote_executed, rules.price_decimals), time=order.time_ms)
    return view


# Asking and canceling.

def found(ask, missing, now_ms=None, is_open=False):
    params.need_order(ask.values)
    instrument_of(ask.venue, ask.values)
    order_id, client_id = ask.values.get("orderId"), ask.values.get("origClientOrderId")
    if is_open and order_id is None:
        for order in ask.side.open_orders(ask.values["symbol"]):
            if order.client_id == client_id:
                return order
    order = ask.side.find(ask.values["symbol"], order_id, client_id, now_ms)
    if order is None or (is_open and not order.is_open):
        raise Refusal(*missing)
    return order


def query(ask):
    return order_view(found(ask, NO_ORDER, ask.now_ms()))


def query_open(ask):
    order = found(ask, NO_ORDER, ask.now_ms())
    if not order.is_open:
        raise Refusal(*NO_ORDER)
    return order_view(order)


def cancel(ask):
    order = found(ask, UNKNOWN_ORDER, is_open=True)
    ask.engine.cancel(order)
    return placed_view(order)


def cancel_all(ask):
    instrument_of(ask.venue, ask.values)
    for order in ask.side.open_orders(ask.values["symbol"]):
        ask.engine.cancel(order)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def open_orders(ask):
    if "symbol" in ask.values:
        instrument_of(ask.venue, ask.values)
    return [order_view(o) for o in ask.side.open_orders(ask.values.get("symbol"))
            if o.visible_ms <= ask.now_ms()]


def all_orders(ask):
    values = ask.values
    instrument_of(ask.venue, values)
    params.span(values, WEEK_MS, "Search window is restricted to recent 7 days only.")
    orders = [o for o in ask.side.orders.values() if o.symbol == values["symbol"]
              and o.visible_ms <= ask.now_ms()]
    if "orderId" in values:
        return [order_view(o) for o in orders
                if o.order_id >= values["orderId"]][:values.get("limit", 500)]
    return [order_view(o) for o in params.within(orders, lambda o: o.time_ms, values)]


def user_trades(ask):
    values = ask.values
    instrument = instrument_of(ask.venue, values)
    if "fromId" in values and ("startTime" in values or "endTime" in values):
        refuse(-1128, "Combination of optional parameters invalid.")
    params.span(values, WEEK_MS, "Search window is restricted to recent 7 days only.")
    trades = [t for t in ask.side.trades if t.order.symbol == values["symbol"]
              and t.order.visible_ms <= ask.now_ms()
              and values.get("orderId", t.order.order_id) == t.order.order_id]
    if "fromId" in values:
        chosen = [t for t in trades if t.number >= values["fromId"]][:values.get("limit", 500)]
    else:
        chosen = params.within(trades, lambda t: t.time_ms, values)
    return [trade_view(t, instrument.rules) for t in chosen]


def trade_view(t, rules):
    return {"symbol": t.order.symbol, "id": t.number, "orderId": t.order.order_id,
            "side": t.order.side, "price": text_of(t.price, rules.price_decimals),
            "qty": text_of(t.quantity, rules.quantity_decimals),
            "realizedPnl": usdm_account.signed_text(t.realized),
            "quoteQty": text_of(product(t.price, t.quantity)),
            "commission": text_of(t.commission), "commissionAsset": t.commission_asset,
            "time": t.time_ms, "positionSide": t.order.position_side, "buyer": t.order.is_buy,
            "maker": t.is_maker}


# listenKeys.

def open_listen_key(ask):
    return {"listenKey": ask.signed.accounts.listen_keys.open(ask.account)}


def keep_listen_key(ask):
    key = ask.signed.accounts.listen_keys.keep(ask.account)
    if key is None:
        raise Refusal(-1125, "This listenKey does not exist.")
    return {"listenKey": key}


def close_listen_key(ask):
    if not ask.signed.accounts.listen_keys.close(ask.account):
        raise Refusal(-1125, "This listenKey does not exist.")
    return {}


LIMITED = {**params.TIMES, "limit": (False, limit_of(1000))}
OF_SYMBOL = {**SYMBOL, "orderId": (False, whole_of), **LIMITED}
CALLS = {
    ("POST", "v1/order"): Call(place, PLACE, 0, TRADE, places="newClientOrderId"),
    ("GET", "v1/order"): Call(query, ORDER, 1),
    ("DELETE", "v1/order"): Call(cancel, ORDER, 1, TRADE),
    ("GET", "v1/openOrder"): Call(query_open, ORDER, 1),
    ("GET", "v1/openOrders"): Call(open_orders, params.ANY_SYMBOL,
                                   lambda names: 1 if "symbol" in names else 40),
    ("DELETE", "v1/allOpenOrders"): Call(cancel_all, SYMBOL, 1, TRADE),
    ("GET", "v1/allOrders"): Call(all_orders, OF_SYMBOL, 5),
    ("GET", "v1/userTrades"): Call(user_trades, {**OF_SYMBOL, "fromId": (False, whole_of)}, 5),
    ("POST", "v1/listenKey"): Call(open_listen_key, {}, 1, KEYED),
    ("PUT", "v1/listenKey"): Call(keep_listen_key, {}, 1, KEYED),
    ("DELETE", "v1/listenKey"): Call(close_listen_key, {}, 1, KEYED),
    **usdm_account.CALLS}
USDM_CALLS = {(method, "/fapi/" + path): call for (method, path), call in CALLS.items()}
