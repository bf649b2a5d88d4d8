-- Candles of the market, 1 minute to 1 day. Amounts are bigint counts of 10^-8, times are bigint
-- microseconds UTC. Written by the market data service alone, in batches.
BEGIN;

CREATE SCHEMA marketdata;

-- `width` is the number of the interval in common/tbl/messages.def (1 = 1m ... 12 = 1d). A candle
-- that is still open is written every few seconds as of as_of_us, so that a restarted service goes
-- on with it; a closed one is never replaced by an open one.
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

COMMIT;
