BEGIN;
SELECT symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades,
       taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us
FROM marketdata.candle WHERE false;
ROLLBACK;
