"""user_events - what happened to an account, worded as the exchange words it on user data streams.

One function for each kind of accounts.py; nothing here knows connections.

SPDX-License-Identifier: Apache-2.0
"""
from orders import NEVER_MS
from wire import text_of

MARGIN_TYPES = {"CROSSED": "cross", "ISOLATED": "isolated"}  # as events and risks write them


def execution_report(venue, account, what):
    """Spot: an order was taken, filled, canceled, expired or rejected."""
    del account
    order, trade, cancel_id = what["order"], what["trade"], what["cancel_id"]
    event = {
        "e": "executionReport", "E": venue.clock_ms(), "s": order.symbol,
        "c": cancel_id or order.client_id, "S": order.side, "o": order.original_type,
        "f": order.time_in_force, "q": text_of(order.quantity), "p": text_of(order.price),
        "P": text_of(order.stop_price), "F": text_of(order.iceberg), "g": -1,
        "C": order.client_id if cancel_id else "", "x": what["execution"], "X": order.status,
        "r": "NONE", "i": order.order_id,
        "l": text_of(trade.quantity if trade else 0), "z": text_of(order.executed),
        "L": text_of(trade.price if trade else 0),
        "n": text_of(trade.commission) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": what["time_ms"], "t": trade.number if trade else -1, "I": what["execution_id"],
        "w": order.is_open and not order.is_waiting,
        "m": trade.is_maker if trade else False, "M": trade is not None,
        "O": order.time_ms, "Z": text_of(order.quote_executed),
        "Y": text_of(trade.quote if trade else 0), "Q": text_of(order.quote_quantity),
        "V": order.self_trade}
    if order.working_ms != NEVER_MS:
        event["W"] = order.working_ms
    if order.trailing_delta:
        event["d"] = order.trailing_delta
    if order.trailing_ms != NEVER_MS:
        event["D"] = order.trailing_ms
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    if order.expiry_reason:
        event["eR"] = order.expiry_reason
    return event


def signed_text(number, decimals=8):
    return "-" + text_of(-number, decimals) if number < 0 else text_of(number, decimals)


def account_position(venue, account, what):
    """Spot: the assets that may have changed, absolute."""
    del account
    return {"e": "outboundAccountPosition", "E": venue.clock_ms(), "u": what["time_ms"],
            "B": [{"a": asset, "f": text_of(free), "l": text_of(locked)}
                  for asset, (free, locked) in what["assets"].items()]}


def balance_update(venue, account, what):
    """Spot: a deposit or a withdrawal."""
    del account
    return {"e": "balanceUpdate", "E": venue.clock_ms(), "a": what["asset"],
            "d": signed_text(what["delta"]), "T": what["time_ms"]}


def order_trade_update(venue, account, what):
    """Futures: an order was taken, filled, canceled or expired."""
    del account
    order, trade = what["order"], what["trade"]
    rules = venue.rules_of(order.symbol)

    def price(number):
        return text_of(number, rules.price_decimals) if number else "0"

    def quantity(number):
        return text_of(number, rules.quantity_decimals) if number else "0"

    body = {
        "s": order.symbol, "c": order.client_id, "S": order.side, "o": order.type,
        "f": order.time_in_force, "q": quantity(order.quantity), "p": price(order.price),
        "ap": text_of(order.average) if order.executed else "0", "sp": price(order.stop_price),
        "x": what["execution"], "X": order.status, "i": order.order_id,
        "l": quantity(trade.quantity if trade else 0), "z": quantity(order.executed),
        "L": price(trade.price if trade else 0)}
    if trade:
        body.update(N=trade.commission_asset, n=text_of(trade.commission))
    body.update({
        "T": what["time_ms"], "t": trade.number if trade else 0, "b": "0", "a": "0",
        "m": trade.is_maker if trade else False, "R": order.reduce_only, "wt": "CONTRACT_PRICE",
        "ot": order.original_type, "ps": order.position_side, "cp": False, "pP": False, "si": 0,
        "ss": 0, "rp": signed_text(trade.realized) if trade else "0", "V": order.self_trade,
        "pm": "NONE", "gtd": order.good_till_ms, "er": "0"})
    return {"e": "ORDER_TRADE_UPDATE", "E": venue.clock_ms(), "T": what["time_ms"], "o": body}


def position_view(venue, account, position):
    rules = venue.rules_of(position.symbol)
    return {"s": position.symbol, "pa": signed_text(position.amount, rules.quantity_decimals),
            "ep": text_of(position.entry, 8), "bep": text_of(position.entry, 8),
            "cr": signed_text(position.realized),
            "up": signed_text(position.profit(venue.mark_price(position.symbol))),
            "mt": MARGIN_TYPES[account.usdm.margin_type(position.symbol)], "iw": "0",
            "ps": position.side}


def account_update(venue, account, what):
    """Futures: balances and positions that changed, absolute, and why."""
    return {"e": "ACCOUNT_UPDATE", "E": venue.clock_ms(), "T": what["time_ms"], "a": {
        "m": what["reason"],
        "B": [{"a": asset, "wb": signed_text(wallet), "cw": signed_text(wallet),
               "bc": signed_text(delta)} for asset, (wallet, delta) in what["assets"].items()],
        "P": [position_view(venue, account, p) for p in what["positions"]]}}


def account_config(venue, account, what):
    """Futures: the leverage of a symbol."""
    del account
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": venue.clock_ms(), "T": what["time_ms"],
            "ac": {"s": what["symbol"], "l": what["leverage"]}}


# By the kinds of accounts.py: the market, and the words.
WORDED = {"spot_order": ("spot", execution_report), "spot_balances": ("spot", account_position),
          "spot_balance": ("spot", balance_update), "usdm_order": ("usdm", order_trade_update),
          "usdm_account": ("usdm", account_update), "usdm_config": ("usdm", account_config)}
