-- The columns, the key and the checks are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades,
       taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us
FROM marketdata.candle WHERE false;

-- Candles are written over by the key, and read along it.
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'marketdata.candle'::regclass AND contype = 'p' AND
      pg_get_constraintdef(oid) = 'PRIMARY KEY (symbol, width, open_time_us)';
SELECT 1 / (count(*) = 3)::int FROM pg_constraint
WHERE conrelid = 'marketdata.candle'::regclass AND contype = 'c';

ROLLBACK;
