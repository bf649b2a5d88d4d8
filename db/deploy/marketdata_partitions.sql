-- Candles of all sixteen intervals, in partitions by time: decision 0015 in docs/decisions.
--
--     marketdata.candle                  by width
--         candle_seconds                 1s           a partition an hour; old ones are dropped
--         candle_minutes                 1m, 3m, 5m   a month
--         candle_hours                   15m to 1M    a year
--
-- What was there is copied. The key is the one from before, so an older service goes on writing;
-- it waits for the copy. Partitions are found by their names, which come from their bounds.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

LOCK TABLE marketdata.candle IN ACCESS EXCLUSIVE MODE;
ALTER TABLE marketdata.candle RENAME TO candle_before;
ALTER INDEX marketdata.candle_pkey RENAME TO candle_before_pkey;

-- A candle without trades is flat: the market was open, and nobody traded. is_final: as the
-- exchange itself gives it, loaded from there; what a service folds never replaces it.
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
    is_final               boolean  NOT NULL DEFAULT false,
    PRIMARY KEY (symbol, width, open_time_us),
    CONSTRAINT candle_width CHECK (width BETWEEN 1 AND 16),
    CONSTRAINT candle_prices CHECK (low > 0 AND low <= least(open, close) AND
                                    high >= greatest(open, close)),
    CONSTRAINT candle_sums CHECK (volume >= 0 AND trades >= 0)
) PARTITION BY LIST (width);

CREATE TABLE marketdata.candle_seconds PARTITION OF marketdata.candle
    FOR VALUES IN (13) PARTITION BY RANGE (open_time_us);
CREATE TABLE marketdata.candle_minutes PARTITION OF marketdata.candle
    FOR VALUES IN (1, 2, 3) PARTITION BY RANGE (open_time_us);
CREATE TABLE marketdata.candle_hours PARTITION OF marketdata.candle
    FOR VALUES IN (4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16) PARTITION BY RANGE (open_time_us);

-- ---- Intervals -----------------------------------------------------------------------------

-- Width in microseconds; of a month the longest.
CREATE FUNCTION marketdata.interval_us(of_width smallint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE of_width WHEN 13 THEN 1000000
        ELSE ('{1,3,5,15,30,60,120,240,360,480,720,1440,0,4320,10080,44640}'::bigint[])[of_width]
            * 60000000 END
$$;

-- Where the candle opens that holds this time: a week on Monday, a month on the first, all else at
-- multiples of its width since 1970.
CREATE FUNCTION marketdata.interval_open(of_width smallint, at_us bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE of_width
        WHEN 16 THEN (extract(epoch FROM date_trunc('month', to_timestamp(at_us / 1000000)
                                                    AT TIME ZONE 'UTC')) * 1000000)::bigint
        WHEN 15 THEN at_us - (at_us - 345600000000) % 604800000000
        ELSE at_us - at_us % marketdata.interval_us(of_width) END
$$;

-- Where the next one opens.
CREATE FUNCTION marketdata.interval_end(of_width smallint, open_us bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE of_width WHEN 16 THEN marketdata.interval_open(of_width, open_us + 2678400000000)
        ELSE open_us + marketdata.interval_us(of_width) END
$$;

-- ---- Partitions ----------------------------------------------------------------------------

-- Makes the partition that candles of this width and time belong into, unless it is there, and
-- returns where it ends. Made as a table of its own and attached: unlike CREATE TABLE ...
-- PARTITION OF this waits for nobody who reads or writes candles, and nobody waits for it.
CREATE FUNCTION marketdata.partition_at(of_width smallint, at_us bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    parent text := CASE WHEN of_width = 13 THEN 'candle_seconds'
                        WHEN of_width <= 3 THEN 'candle_minutes' ELSE 'candle_hours' END;
    unit text := CASE WHEN of_width = 13 THEN 'hour' WHEN of_width <= 3 THEN 'month'
                      ELSE 'year' END;
    low timestamp := date_trunc(unit, to_timestamp(at_us / 1000000) AT TIME ZONE 'UTC');
    low_us bigint := extract(epoch FROM low) * 1000000;
    high_us bigint := extract(epoch FROM low + ('1 ' || unit)::interval) * 1000000;
    name text := parent || to_char(low, CASE unit WHEN 'hour' THEN '_YYYYMMDD"t"HH24'
                                        WHEN 'month' THEN '_YYYYMM' ELSE '_YYYY' END);
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('marketdata.' || name)
                   AND relispartition) THEN
        RETURN high_us;
    END IF;
    PERFORM pg_advisory_xact_lock(4, 0); -- one at a time
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('marketdata.' || name)
                   AND relispartition) THEN
        RETURN high_us;
    END IF;
    EXECUTE format('CREATE TABLE marketdata.%I (LIKE marketdata.candle INCLUDING DEFAULTS '
                   'INCLUDING CONSTRAINTS INCLUDING INDEXES)', name);
    EXECUTE format('ALTER TABLE marketdata.%I ATTACH PARTITION marketdata.%I '
                   'FOR VALUES FROM (%s) TO (%s)', parent, name, low_us, high_us);
    RETURN high_us;
END $$;

-- Makes the partitions that these candles belong into, and returns how many places were looked at.
-- Whoever writes calls it for what it has not written before.
CREATE FUNCTION marketdata.partitions_for(widths smallint[], times_us bigint[])
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT count(marketdata.partition_at(width, time_us))
    FROM unnest(widths, times_us) AS r(width, time_us)
$$;

-- Makes partitions ahead: this hour and the next two for 1s, unless those are not kept; this month
-- and the next two; this year and the next.
CREATE FUNCTION marketdata.partitions_ahead(now_us bigint, with_seconds boolean)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    at_us bigint;
    span record;
BEGIN
    FOR span IN SELECT * FROM (VALUES (13::smallint, 2 * 3600000000),
                                      (1::smallint, 2 * 31 * 86400000000),
                                      (6::smallint, 366 * 86400000000)) AS s(width, ahead_us)
                WHERE width <> 13 OR with_seconds LOOP
        at_us := now_us;
        WHILE at_us <= now_us + span.ahead_us LOOP
            at_us := marketdata.partition_at(span.width, at_us);
        END LOOP;
    END LOOP;
END $$;

-- The partitions of 1s candles, with their bounds.
CREATE VIEW marketdata.seconds_partitions AS
    SELECT c.relname::text AS name, bounds[1]::bigint AS from_us, bounds[2]::bigint AS to_us
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid,
         regexp_match(pg_get_expr(c.relpartbound, c.oid),
                      'FROM \(''?(-?\d+)''?\) TO \(''?(-?\d+)''?\)') AS bounds
    WHERE i.inhparent = 'marketdata.candle_seconds'::regclass;

-- Drops the partitions of 1s candles that end at or before this time, and returns how many. It
-- waits for nobody for long: whoever reads candles meanwhile would wait behind it. Then it fails
-- (55P03), and is called again later.
CREATE FUNCTION marketdata.seconds_drop(before_us bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE SET lock_timeout = '200ms' AS $$
DECLARE
    name text;
    dropped bigint := 0;
BEGIN
    FOR name IN SELECT p.name FROM marketdata.seconds_partitions AS p
                WHERE p.to_us <= before_us ORDER BY p.from_us LIMIT 48 LOOP
        EXECUTE format('DROP TABLE marketdata.%I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- ---- Folding -------------------------------------------------------------------------------

-- Candles of one width folded from stored ones of another, which divides it: those that open
-- within [from_us, until_us), both starts of a candle. Parts without trades are neutral, unless
-- all are. One is final when all of it is there and final, and closed when the market went on.
CREATE FUNCTION marketdata.fold(of_symbol text, to_width smallint, of_width smallint,
                                from_us bigint, until_us bigint)
RETURNS SETOF marketdata.candle LANGUAGE sql STABLE AS $$
    WITH newest AS (
        SELECT max(open_time_us) + marketdata.interval_us(of_width) AS end_us
        FROM marketdata.candle WHERE symbol = of_symbol AND width = of_width
    ), sums AS (
        SELECT marketdata.interval_open(to_width, open_time_us) AS opens_us,
            -- The first and the last of what is behind a time.
            min(ARRAY[open_time_us, open]) AS opens, max(ARRAY[open_time_us, close]) AS closes,
            min(ARRAY[open_time_us, open]) FILTER (WHERE trades > 0) AS traded_opens,
            max(ARRAY[open_time_us, close]) FILTER (WHERE trades > 0) AS traded_closes,
            max(high) FILTER (WHERE trades > 0) AS high, min(low) FILTER (WHERE trades > 0) AS low,
            sum(volume) AS volume, sum(quote_volume) AS quote_volume, sum(trades) AS trades,
            sum(taker_buy_volume) AS taker_buy_volume,
            sum(taker_buy_quote_volume) AS taker_buy_quote_volume,
            max(as_of_us) AS as_of_us,
            bool_and(is_final) AS is_final, count(*) AS parts
        FROM marketdata.candle
        WHERE symbol = of_symbol AND width = of_width
            AND open_time_us >= from_us AND open_time_us < until_us
        GROUP BY opens_us
    )
    SELECT of_symbol, to_width, s.opens_us, (coalesce(s.traded_opens, s.opens))[2],
        coalesce(s.high, s.opens[2]), coalesce(s.low, s.opens[2]),
        (coalesce(s.traded_closes, s.closes))[2],
        least(s.volume, 9223372036854775807)::bigint,
        least(s.quote_volume, 9223372036854775807)::bigint, s.trades::bigint,
        least(s.taker_buy_volume, 9223372036854775807)::bigint,
        least(s.taker_buy_quote_volume, 9223372036854775807)::bigint,
        marketdata.interval_end(to_width, s.opens_us) <= n.end_us, s.as_of_us,
        s.is_final AND s.parts * marketdata.interval_us(of_width) =
            marketdata.interval_end(to_width, s.opens_us) - s.opens_us
    FROM sums AS s CROSS JOIN newest AS n ORDER BY s.opens_us
$$;

-- Candles for a question whose interval was not stored then: folded from days, hours and minutes
-- that are there. Those that open within [from_us, to_us], the first or the last so many of them,
-- fewer where that would take more than 100,000 parts. The same candle may come from several
-- widths: the one with the most trades is the whole one.
CREATE FUNCTION marketdata.folded(of_symbol text, to_width smallint, from_us bigint, to_us bigint,
                                  wanted bigint, from_start boolean)
RETURNS SETOF marketdata.candle LANGUAGE plpgsql STABLE AS $$
DECLARE
    span bigint := marketdata.interval_us(to_width);
    part smallint;
    part_count bigint;
    low_us bigint;
    high_us bigint;
BEGIN
    FOREACH part IN ARRAY CASE WHEN to_width IN (14, 15, 16) THEN '{12, 6, 1}'::smallint[]
                               WHEN to_width BETWEEN 7 AND 12 THEN '{6, 1}'
                               WHEN to_width BETWEEN 2 AND 6 THEN '{1}' ELSE '{}' END LOOP
        part_count := least(wanted, greatest(1, 100000 * marketdata.interval_us(part) / span));
        -- Only candles that open within the range: all their parts do, but for those behind to_us.
        low_us := marketdata.interval_open(to_width, from_us);
        IF low_us < from_us THEN
            low_us := marketdata.interval_end(to_width, low_us);
        END IF;
        high_us := marketdata.interval_end(to_width, marketdata.interval_open(to_width, to_us));
        SELECT greatest(low_us, marketdata.interval_open(to_width, min(open_time_us))),
               least(high_us, marketdata.interval_end(to_width, marketdata.interval_open(
                   to_width, max(open_time_us))))
            INTO low_us, high_us FROM marketdata.candle
            WHERE symbol = of_symbol AND width = part
                AND open_time_us >= low_us AND open_time_us < high_us;
        IF from_start THEN
            high_us := least(high_us,
                             marketdata.interval_open(to_width, low_us + part_count * span));
        ELSE
            low_us := greatest(low_us,
                               marketdata.interval_open(to_width, high_us - part_count * span));
        END IF;
        IF low_us < high_us THEN
            RETURN QUERY SELECT * FROM marketdata.fold(of_symbol, to_width, part, low_us, high_us);
        END IF;
    END LOOP;
END $$;

-- ---- What was there ------------------------------------------------------------------------

DO $$
BEGIN
    PERFORM marketdata.partition_at(width, min(open_time_us)) FROM marketdata.candle_before
        GROUP BY width, date_trunc('month', to_timestamp(open_time_us / 1000000)
                                            AT TIME ZONE 'UTC');
    PERFORM marketdata.partitions_ahead((extract(epoch FROM now()) * 1000000)::bigint, true);
END $$;
INSERT INTO marketdata.candle (symbol, width, open_time_us, open, high, low, close, volume,
    quote_volume, trades, taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us)
SELECT symbol, width, open_time_us, open, high, low, close, volume, quote_volume, trades,
    taker_buy_volume, taker_buy_quote_volume, is_closed, as_of_us FROM marketdata.candle_before
ORDER BY width, open_time_us, symbol;
DROP TABLE marketdata.candle_before;

COMMIT;
