-- One table again, with the candles that it can hold: not those of 1s, 3d, 1w and 1M, and no flat
-- ones. SPDX-License-Identifier: Apache-2.0
BEGIN;

LOCK TABLE marketdata.candle IN ACCESS EXCLUSIVE MODE;
DROP FUNCTION marketdata.folded(text, smallint, bigint, bigint, bigint, boolean);
DROP FUNCTION marketdata.fold(text, smallint, smallint, bigint, bigint);
DROP FUNCTION marketdata.seconds_drop(bigint);
DROP VIEW marketdata.seconds_partitions;
DROP FUNCTION marketdata.partitions_ahead(bigint, boolean);
DROP FUNCTION marketdata.partitions_for(smallint[], bigint[]);
DROP FUNCTION marketdata.partition_at(smallint, bigint);
DROP FUNCTION marketdata.interval_end(smallint, bigint);
DROP FUNCTION marketdata.interval_open(smallint, bigint);
DROP FUNCTION marketdata.interval_us(smallint);

ALTER TABLE marketdata.candle RENAME TO candle_of_partitions;
ALTER INDEX marketdata.candle_pkey RENAME TO candle_of_partitions_pkey;
CREATE TABLE marketdata.candle (
    symbol                 text     NOT NULL,
    width                  smallint NOT NULL,
    open_time_us           bigint   NOT NULL,
    open                   bigint   NOT NULL,
    high                   bigint   NOT NULL,
    low                    bigint   NOT NULL,
    close                  bigint   NOT NULL,
    volume                 bigint   NOT NULL,
    quote_volume           bigint   NOT NULL,
    trades                 bigint   NOT NULL,
    taker_buy_volume       bigint   NOT NULL,
    taker_buy_quote_volume bigint   NOT NULL,
    is_closed              boolean  NOT NULL,
    as_of_us               bigint   NOT NULL,
    PRIMARY KEY (symbol, width, open_time_us),
    CHECK (width BETWEEN 1 AND 12),
    CHECK (low > 0 AND low <= least(open, close) AND high >= greatest(open, close)),
    CHECK (volume >= 0 AND trades > 0)
);
INSERT INTO marketdata.candle
SELECT symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades,
    taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us
FROM marketdata.candle_of_partitions WHERE width <= 12 AND trades > 0
ORDER BY symbol, width, open_time_us;
DROP TABLE marketdata.candle_of_partitions;

COMMIT;
