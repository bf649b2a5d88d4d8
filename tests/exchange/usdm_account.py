"""usdm_account - the rest of a USD-M account: balances, positions, leverage, modes.

SPDX-License-Identifier: Apache-2.0
"""
import params
from gate import wrong
from params import SYMBOL, choice_of, whole_of
from rest import REQUIRED, instrument_of, refuse
from signed import TRADE, Call
from signing import FUTURES
from side_usdm import Position
from user_events import MARGIN_TYPES
from wire import SCALE, Refusal, product, text_of

# (initial leverage, notional up to, maintenance margin in 10^-8 parts, cumulated)
BRACKETS = ((125, 50000, "0.004", "0"), (100, 600000, "0.005", "50"),
            (75, 3000000, "0.0065", "950"), (50, 12000000, "0.01", "11450"),
            (25, 70000000, "0.02", "131450"), (20, 100000000, "0.025", "481450"),
            (10, 230000000, "0.05", "2981450"), (5, 480000000, "0.1", "14481450"))
DONE = {"code": 200, "msg": "success"}


def signed_text(amount, decimals=8):
    return ("-" if amount < 0 else "") + text_of(abs(amount), decimals)


def shown_positions(side):
    """Those in use: with an amount, or with an order."""
    ordered = {(o.symbol, o.position_side) for o in side.open.values()}
    return [side.positions.get(name) or Position(*name)
            for name in sorted(set(side.positions) | ordered)
            if name in ordered or side.positions[name].amount]


def every_position(side):
    """v2 tells of all symbols."""
    sides = ("LONG", "SHORT") if side.is_hedged else ("BOTH",)
    return [side.positions.get((symbol, s)) or Position(symbol, s)
            for symbol in sorted(side.venue.instruments) for s in sides]


def assets_of(side):
    return sorted(set(side.wallets) | {"USDT"})


def top_notional(leverage):
    return max(cap for most, cap, _, _ in BRACKETS if most >= leverage)


# Balances.

def balances(ask):
    side = ask.side
    views = []
    for asset in assets_of(side):
        profit = side.unrealized() if asset == "USDT" else 0
        wallet, free = side.wallets.get(asset, 0), side.available(asset)
        views.append({"accountAlias": "SgsR", "asset": asset, "balance": signed_text(wallet),
                      "crossWalletBalance": signed_text(wallet),
                      "crossUnPnl": signed_text(profit), "availableBalance": text_of(free),
                      "maxWithdrawAmount": text_of(free), "marginAvailable": True,
                      "updateTime": side.update_ms})
    return views


def totals(side):
    wallet, profit = side.wallets.get("USDT", 0), side.unrealized()
    held, ordered = side.position_margin(), side.order_margin()
    free = text_of(side.available())
    return {"totalInitialMargin": text_of(held + ordered), "totalMaintMargin": text_of(0),
            "totalWalletBalance": signed_text(wallet),
            "totalUnrealizedProfit": signed_text(profit),
            "totalMarginBalance": signed_text(wallet + profit),
            "totalPositionInitialMargin": text_of(held),
            "totalOpenOrderInitialMargin": text_of(ordered),
            "totalCrossWalletBalance": signed_text(wallet),
            "totalCrossUnPnl": signed_text(profit), "availableBalance": free,
            "maxWithdrawAmount": free}


def asset_view(side, asset):
    wallet, is_usdt = side.wallets.get(asset, 0), asset == "USDT"
    profit = side.unrealized() if is_usdt else 0
    held, ordered = (side.position_margin(), side.order_margin()) if is_usdt else (0, 0)
    free = text_of(side.available(asset))
    return {"asset": asset, "walletBalance": signed_text(wallet),
            "unrealizedProfit": signed_text(profit),
            "marginBalance": signed_text(wallet + profit), "maintMargin": text_of(0),
            "initialMargin": text_of(held + ordered), "positionInitialMargin": text_of(held),
            "openOrderInitialMargin": text_of(ordered),
            "crossWalletBalance": signed_text(wallet), "crossUnPnl": signed_text(profit),
            "availableBalance": free, "maxWithdrawAmount": free,
            "updateTime": side.update_ms}


def held_view(side, p):
    """A position of v3/account, which v2 has more of."""
    mark, rules = side.mark(p.symbol), side.venue.rules_of(p.symbol)
    notional = product(abs(p.amount), mark) * (-1 if p.amount < 0 else 1)
    margin = abs(notional) // side.leverage(p.symbol)
    return {"symbol": p.symbol, "positionSide": p.side,
            "positionAmt": signed_text(p.amount, rules.quantity_decimals),
            "unrealizedProfit": signed_text(p.profit(mark)),
            "isolatedMargin": text_of(0), "notional": signed_text(notional),
            "isolatedWallet": text_of(0), "initialMargin": text_of(margin),
            "maintMargin": text_of(0), "updateTime": p.update_ms}


def account_v2(ask):
    side = ask.side

    def view(p):
        return {**held_view(side, p), "leverage": str(side.leverage(p.symbol)),
                "isolated": side.margin_type(p.symbol) == "ISOLATED",
                "entryPrice": text_of(p.entry), "breakEvenPrice": text_of(p.entry),
                "maxNotional": str(top_notional(side.leverage(p.symbol)))}

    return {"feeTier": 0, "canTrade": FUTURES in ask.key.permissions, "canDeposit": True,
            "canWithdraw": False, "feeBurn": False, "tradeGroupId": -1, "updateTime": 0,
            "multiAssetsMargin": False, **totals(side),
            "assets": [asset_view(side, a) for a in assets_of(side)],
            "positions": [view(p) for p in every_position(side)]}


def account_v3(ask):
    side = ask.side
    return {**totals(side), "assets": [asset_view(side, a) for a in assets_of(side)],
            "positions": [held_view(side, p) for p in shown_positions(side)]}


# Positions.

def risk_view(side, p):
    mark, rules = side.mark(p.symbol), side.venue.rules_of(p.symbol)
    notional = product(abs(p.amount), mark) * (-1 if p.amount < 0 else 1)
    return {"symbol": p.symbol, "positionSide": p.side,
            "positionAmt": signed_text(p.amount, rules.quantity_decimals),
            "entryPrice": text_of(p.entry), "breakEvenPrice": text_of(p.entry),
            "markPrice": text_of(mark), "unRealizedProfit": signed_text(p.profit(mark)),
            "liquidationPrice": "0", "isolatedMargin": text_of(0),
            "notional": signed_text(notional), "isolatedWallet": text_of(0),
            "updateTime": p.update_ms}


def chosen_positions(ask, positions):
    if "symbol" in ask.values:
        instrument_of(ask.venue, ask.values)
    return [p for p in positions if ask.values.get("symbol", p.symbol) == p.symbol]


def risks_v2(ask):
    side = ask.side
    return [{**risk_view(side, p), "leverage": str(side.leverage(p.symbol)),
             "maxNotionalValue": str(top_notional(side.leverage(p.symbol))),
             "marginType": MARGIN_TYPES[side.margin_type(p.symbol)],
             "isAutoAddMargin": "false"}
            for p in chosen_positions(ask, every_position(side))]


def risks_v3(ask):
    side = ask.side
    return [{**risk_view(side, p), "marginAsset": side.venue.rules_of(p.symbol).quote, "adl": 0}
            for p in chosen_positions(ask, shown_positions(side))]


def symbol_config(ask):
    side = ask.side
    return [{"symbol": p.symbol, "marginType": side.margin_type(p.symbol),
             "isAutoAddMargin": False, "leverage": side.leverage(p.symbol),
             "maxNotionalValue": str(top_notional(side.leverage(p.symbol)))}
            for p in chosen_positions(ask, every_position(side)) if p.side != "SHORT"]


def brackets(ask):
    floors = [0] + [cap for _, cap, _, _ in BRACKETS]

    def view(symbol):
        return {"symbol": symbol, "brackets": [
            {"bracket": number, "initialLeverage": leverage, "notionalCap": cap,
             "notionalFloor": floors[number - 1], "maintMarginRatio": float(ratio),
             "cum": float(cum)}
            for number, (leverage, cap, ratio, cum) in enumerate(BRACKETS, 1)]}

    if "symbol" in ask.values:
        instrument_of(ask.venue, ask.values)
    return [view(s) for s in ([ask.values["symbol"]] if "symbol" in ask.values
                              else sorted(ask.venue.instruments))]


def commission_rate(ask):
    instrument_of(ask.venue, ask.values)
    makers, takers = ask.side.makers, ask.side.takers
    return {"symbol": ask.values["symbol"], "makerCommissionRate": text_of(makers),
            "takerCommissionRate": text_of(takers), "rpiCommissionRate": text_of(makers)}


# Settings.

def set_leverage(ask):
    instrument_of(ask.venue, ask.values)
    symbol, leverage = ask.values["symbol"], ask.values["leverage"]
    if not 1 <= leverage <= 125:
        wrong(-4028, "Leverage %d is not valid" % leverage, "parameter")
    held = ask.side.position(symbol)
    if product(abs(held.amount), ask.side.mark(symbol)) > top_notional(leverage) * SCALE:
        raise Refusal(-2027, "Exceeded the maximum allowable position at current leverage.")
    ask.side.set_leverage(symbol, leverage, ask.venue.clock_ms())
    return {"symbol": symbol, "leverage": leverage,
            "maxNotionalValue": str(top_notional(leverage))}


def set_margin_type(ask):
    instrument_of(ask.venue, ask.values)
    symbol, kind = ask.values["symbol"], ask.values["marginType"]
    if ask.side.margin_type(symbol) == kind:
        raise Refusal(-4046, "No need to change margin type.")
    if ask.side.open_orders(symbol):
        raise Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
    if any(p.amount for p in ask.side.positions.values() if p.symbol == symbol):
        raise Refusal(-4048, "Margin type cannot be changed if there exists position.")
    ask.side.margin_types[symbol] = kind
    return DONE


def get_dual(ask):
    return {"dualSidePosition": ask.side.is_hedged}


def set_dual(ask):
    wanted = ask.values["dualSidePosition"] == "true"
    if wanted == ask.side.is_hedged:
        raise Refusal(-4059, "No need to change position side.")
    if ask.side.open:
        raise Refusal(-4067, "Position side cannot be changed if there exists open orders.")
    if any(p.amount for p in ask.side.positions.values()):
        raise Refusal(-4068, "Position side cannot be changed if there exists position.")
    ask.side.is_hedged = wanted
    return DONE


def leverage_of(name, text):
    if not text.isdigit():
        refuse(-1100, "Illegal characters found in parameter '%s'." % name)
    return whole_of(name, text)


MARGIN_TYPE = choice_of(-4050, "Invalid margin type.", "ISOLATED", "CROSSED")
CALLS = {
    ("GET", "v2/balance"): Call(balances, {}, 5),
    ("GET", "v3/balance"): Call(balances, {}, 5),
    ("GET", "v2/account"): Call(account_v2, {}, 5),
    ("GET", "v3/account"): Call(account_v3, {}, 5),
    ("GET", "v2/positionRisk"): Call(risks_v2, params.ANY_SYMBOL, 5),
    ("GET", "v3/positionRisk"): Call(risks_v3, params.ANY_SYMBOL, 5),
    ("GET", "v1/symbolConfig"): Call(symbol_config, params.ANY_SYMBOL, 5),
    ("GET", "v1/leverageBracket"): Call(brackets, params.ANY_SYMBOL, 1),
    ("GET", "v1/commissionRate"): Call(commission_rate, SYMBOL, 20),
    ("POST", "v1/leverage"): Call(set_leverage, {**SYMBOL, "leverage": (REQUIRED, leverage_of)},
                                  1, TRADE),
    ("POST", "v1/marginType"): Call(set_margin_type,
                                    {**SYMBOL, "marginType": (REQUIRED, MARGIN_TYPE)}, 1, TRADE),
    ("GET", "v1/positionSide/dual"): Call(get_dual, {}, 30),
    ("POST", "v1/positionSide/dual"): Call(
        set_dual, {"dualSidePosition": (REQUIRED, params.boolean)}, 1, TRADE),
}
