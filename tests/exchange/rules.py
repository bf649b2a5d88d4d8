"""rules - the trading rules of the symbols, and exchangeInfo as both markets answer it.

SPDX-License-Identifier: Apache-2.0
"""
from wire import scaled, text_of

PERPETUAL_DELIVERY_MS = 4133404800000
# Windows of placements as exchangeInfo says them.
SPOKEN = {"10S": {"interval": "SECOND", "intervalNum": 10},
          "1M": {"interval": "MINUTE", "intervalNum": 1},
          "1D": {"interval": "DAY", "intervalNum": 1}}
# Of an account's orders in all symbols of spot.
EXCHANGE_FILTERS = [{"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 400},
                    {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 50},
                    {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
                     "maxNumIcebergOrders": 30}]
QUOTES = ("USDT", "USDC", "BTC", "ETH", "BNB")

# symbol: price at the start, tick, step; spot and usdm. Others get a shape of their own.
KNOWN = {
    "BTCUSDT": ("60000.00", ("0.01", "0.00001"), ("0.10", "0.001")),
    "ETHUSDT": ("2600.00", ("0.01", "0.0001"), ("0.01", "0.001")),
    "BNBUSDT": ("510.00", ("0.01", "0.001"), ("0.010", "0.01")),
    "SOLUSDT": ("150.00", ("0.01", "0.001"), ("0.0100", "1")),
    "XRPUSDT": ("0.6000", ("0.0001", "0.1"), ("0.0001", "0.1")),
    "DOGEUSDT": ("0.12000", ("0.00001", "1"), ("0.00001", "1")),
}


class Rules:
    """What a symbol may be traded in."""

    def __init__(self, market, symbol, price=None, tick=None, step=None):
        known = KNOWN.get(symbol, ("100.00", ("0.01", "0.001"), ("0.010", "0.01")))
        default_tick, default_step = known[1 if market == "spot" else 2]
        self.market, self.symbol = market, symbol
        self.price = scaled(price or known[0])
        self.tick_text, self.step_text = tick or default_tick, step or default_step
        self.tick, self.step = scaled(self.tick_text), scaled(self.step_text)
        # Spot writes eight decimals always, futures as many as the symbol has.
        own = [len(text.partition(".")[2]) for text in (self.tick_text, self.step_text)]
        self.price_decimals, self.quantity_decimals = (8, 8) if market == "spot" else own
        self.quote = next((q for q in QUOTES if symbol.endswith(q)), "USDT")
        self.base = symbol[:-len(self.quote)] or symbol
        self.status = "TRADING"

    def spot_view(self):
        tick, step = text_of(self.tick), text_of(self.step)
        return {
            "symbol": self.symbol, "status": self.status, "baseAsset": self.base,
            "baseAssetPrecision": 8, "quoteAsset": self.quote, "quotePrecision": 8,
            "quoteAssetPrecision": 8, "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT",
                           "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
            "icebergAllowed": True, "ocoAllowed": True, "otoAllowed": True, "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": True,
            "cancelReplaceAllowed": True, "amendAllowed": True, "pegInstructionsAllowed": True,
            "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000",
                 "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000",
                 "stepSize": step},
                {"filterType": "ICEBERG_PARTS", "limit": 100},
                {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000",
                 "maxQty": "100000.00000000", "stepSize": "0.00000000"},
                {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10,
                 "maxTrailingAboveDelta": 2000, "minTrailingBelowDelta": 10,
                 "maxTrailingBelowDelta": 2000},
                {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5",
                 "bidMultiplierDown": "0.2", "askMultiplierUp": "5", "askMultiplierDown": "0.2",
                 "avgPriceMins": 5},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
                 "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
                {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
                {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 10},
                {"filterType": "MAX_POSITION", "maxPosition": "9000000.00000000"}],
            "permissions": [], "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"]}

    def usdm_view(self):
        return {
            "symbol": self.symbol, "pair": self.symbol, "contractType": "PERPETUAL",
            "deliveryDate": PERPETUAL_DELIVERY_MS, "onboardDate": 1569398400000,
            "status": "TRADING" if self.status == "TRADING" else "SETTLING",
            "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
            "baseAsset": self.base, "quoteAsset": self.quote, "marginAsset": self.quote,
            "pricePrecision": self.price_decimals, "quantityPrecision": self.quantity_decimals,
            "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN",
            "underlyingSubType": ["PoW"], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
            "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": self.tick_text, "maxPrice": "4529764",
                 "tickSize": self.tick_text},
                {"filterType": "LOT_SIZE", "minQty": self.step_text, "maxQty": "100000",
                 "stepSize": self.step_text},
                {"filterType": "MARKET_LOT_SIZE", "minQty": self.step_text, "maxQty": "12000",
                 "stepSize": self.step_text},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
                {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500",
                 "multiplierDown": "0.9500", "multiplierDecimal": "4"}],
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT",
                           "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"]}


def exchange_info(venue, symbols):
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
               "limit": venue.weight_limit}]
    limits += [{"rateLimitType": "ORDERS", **SPOKEN[name], "limit": limit}
               for name, (limit, _) in venue.order_limits.items()]
    if venue.is_spot:
        limits.append({"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5,
                       "limit": 300000})
    view = {"timezone": "UTC", "serverTime": venue.clock_ms(), "rateLimits": limits,
            "exchangeFilters": EXCHANGE_FILTERS if venue.is_spot else []}
    if venue.is_spot:
        view["symbols"] = [rules.spot_view() for rules in symbols]
    else:
        view["futuresType"] = "U_MARGINED"
        view["assets"] = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
        view["symbols"] = [rules.usdm_view() for rules in symbols]
    return view
