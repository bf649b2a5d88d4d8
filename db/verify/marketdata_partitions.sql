-- Candles have partitions with their key, their columns, and what the service and scripctl call is
-- there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades,
       taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us, is_final
FROM marketdata.candle WHERE false;
SELECT 1 / (count(*) = 4)::int FROM pg_partitioned_table
WHERE partrelid IN ('marketdata.candle'::regclass, 'marketdata.candle_seconds'::regclass,
                    'marketdata.candle_minutes'::regclass, 'marketdata.candle_hours'::regclass);
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'marketdata.candle'::regclass AND contype = 'p' AND
      pg_get_constraintdef(oid) = 'PRIMARY KEY (symbol, width, open_time_us)';
SELECT 'marketdata.partition_at(smallint, bigint)'::regprocedure,
       'marketdata.partitions_for(smallint[], bigint[])'::regprocedure,
       'marketdata.partitions_ahead(bigint, boolean)'::regprocedure,
       'marketdata.seconds_drop(bigint)'::regprocedure,
       'marketdata.fold(text, smallint, smallint, bigint, bigint)'::regprocedure,
       'marketdata.folded(text, smallint, bigint, bigint, bigint, boolean)'::regprocedure;

-- Bounds are read out of the catalogue as text: each partition that is there must be seen.
SELECT 1 / (count(*) = (SELECT count(*) FROM marketdata.seconds_partitions))::int
FROM pg_inherits WHERE inhparent = 'marketdata.candle_seconds'::regclass;
-- A week opens on Monday, a month on the first: 2026-11-21T19:00:00Z was a Saturday.
SELECT 1 / (marketdata.interval_open(15::smallint, 1795287600000000) = 1794787200000000)::int,
       1 / (marketdata.interval_open(16::smallint, 1795287600000000) = 1793491200000000)::int,
       1 / (marketdata.interval_end(16::smallint, 1793491200000000) = 1796083200000000)::int;

ROLLBACK;
