-- The journal becomes a table of partitions by time, so that its old part can be archived to
-- segment files and taken off as a whole: docs/decisions/0012-journal-partitions.md, and how in
-- docs/operations.md.
--
-- A ledger never writes a time before the journal's newest one, so what is written always belongs
-- into the last partition with records in it, or behind. Partitions are known by their bounds,
-- their names are for people. What is there becomes the first of them, as it is.
--
-- Each partition has its own key (shard, seq), and the journal as a whole has none: one that is
-- declared for all would have to have the time in it, which costs a tenth of the writer's time. A
-- batch that is sent twice has the same times, and so meets itself in its partition.
--
-- Services must be stopped.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

LOCK TABLE ledger.journal IN ACCESS EXCLUSIVE MODE;
ALTER TABLE ledger.journal RENAME TO journal_before;
ALTER TABLE ledger.journal_before RENAME CONSTRAINT journal_check TO journal_before_check;

CREATE TABLE ledger.journal (
    shard   smallint NOT NULL,
    seq     bigint   NOT NULL,
    time_us bigint   NOT NULL,
    kind    integer  NOT NULL,
    source  text     NOT NULL,
    corr    bigint   NOT NULL,
    payload bytea    NOT NULL,
    hash    bytea    NOT NULL,
    epoch   bigint   NOT NULL,
    CONSTRAINT journal_check CHECK (seq > 0 AND octet_length(hash) = 32)
) PARTITION BY RANGE (time_us);

-- One row for each segment file of a partition that was archived. `partition` is to be detached and
-- dropped, if it is still there.
CREATE TABLE ledger.archive (
    shard       smallint NOT NULL,
    first_seq   bigint   NOT NULL,
    last_seq    bigint   NOT NULL,
    before_hash bytea    NOT NULL, -- of the record before the first
    last_hash   bytea    NOT NULL,
    partition   text     NOT NULL,
    from_us     bigint   NOT NULL, -- bounds of the partition
    to_us       bigint   NOT NULL,
    file        text     NOT NULL, -- below the folder of the archive
    sha256      bytea    NOT NULL,
    PRIMARY KEY (shard, first_seq),
    CHECK (first_seq > 0 AND last_seq >= first_seq AND octet_length(before_hash) = 32 AND
           octet_length(last_hash) = 32 AND octet_length(sha256) = 32)
);

-- The partitions that are attached, with their bounds.
CREATE VIEW ledger.partitions AS
    SELECT c.relname::text AS name, bounds[1]::bigint AS from_us, bounds[2]::bigint AS to_us
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid,
         regexp_match(pg_get_expr(c.relpartbound, c.oid),
                      'FROM \(''?(-?\d+)''?\) TO \(''?(-?\d+)''?\)') AS bounds
    WHERE i.inhparent = 'ledger.journal'::regclass AND NOT i.inhdetachpending;

-- No record may have a time before this one: the newest record's (each shard's last one has the
-- shard's newest time), and the end of what was archived. Each query sees what was committed before
-- it, so that a lease that was just taken is known.
CREATE FUNCTION ledger.newest_us()
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    newest bigint := 0;
    found_us bigint;
BEGIN
    FOR of_shard IN 0..63 LOOP
        SELECT time_us INTO found_us FROM ledger.journal
            WHERE shard = of_shard::smallint ORDER BY seq DESC LIMIT 1;
        newest := greatest(newest, found_us);
    END LOOP;
    RETURN greatest(newest, (SELECT max(to_us) FROM ledger.archive));
END $$;

-- Makes the partition that this time belongs into, unless it is there, and returns where it ends.
-- It is so many hours long, cut where its neighbours stand. Made as a table of its own and
-- attached: unlike CREATE TABLE ... PARTITION OF this waits for nobody who reads or writes the
-- journal, and nobody waits for it.
CREATE FUNCTION ledger.partition_at(at_us bigint, hours bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    span bigint := hours * 3600000000;
    low bigint;
    high bigint;
    name text;
BEGIN
    SELECT to_us INTO high FROM ledger.partitions WHERE from_us <= at_us AND to_us > at_us;
    IF FOUND THEN
        RETURN high;
    END IF;
    PERFORM pg_advisory_xact_lock(3, 0); -- one at a time
    SELECT to_us INTO high FROM ledger.partitions WHERE from_us <= at_us AND to_us > at_us;
    IF FOUND THEN
        RETURN high;
    END IF;
    IF EXISTS (SELECT FROM ledger.archive WHERE to_us > at_us) THEN
        RAISE EXCEPTION 'what the journal had at % is archived', at_us USING ERRCODE = 'SF004';
    END IF;
    low := at_us - (at_us % span + span) % span;
    high := least(low + span, (SELECT min(from_us) FROM ledger.partitions WHERE from_us > at_us));
    low := greatest(low, (SELECT max(to_us) FROM ledger.partitions WHERE to_us <= at_us),
                    (SELECT max(to_us) FROM ledger.archive));
    name := to_char(to_timestamp(low / 1000000) AT TIME ZONE 'UTC',
                    '"journal_"YYYYMMDD"t"HH24MISS');
    EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.journal INCLUDING CONSTRAINTS, '
                   'PRIMARY KEY (shard, seq))', name);
    EXECUTE format('ALTER TABLE ledger.journal ATTACH PARTITION ledger.%I '
                   'FOR VALUES FROM (%s) TO (%s)', name, low, high);
    RETURN high;
END $$;

-- Makes partitions ahead: from this time on for as long as one lasts. A ledger calls it at its
-- start and every hour. Returns ledger.newest_us(), before which it looks at nothing.
CREATE FUNCTION ledger.partitions_ahead(now_us bigint, hours bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    newest bigint := ledger.newest_us();
    at_us bigint := greatest(now_us, newest);
    until_us bigint := at_us + hours * 3600000000;
BEGIN
    WHILE at_us <= until_us LOOP
        at_us := ledger.partition_at(at_us, hours);
    END LOOP;
    RETURN newest;
END $$;

-- Whether the journal, or the end of what was archived of a shard, has 'shard seq time_us hash'.
CREATE FUNCTION ledger.has_record(named text)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    of_shard smallint := split_part(named, ' ', 1);
    of_seq bigint := split_part(named, ' ', 2);
    at_us bigint := split_part(named, ' ', 3);
    with_hash bytea := decode(split_part(named, ' ', 4), 'hex');
BEGIN
    RETURN EXISTS (SELECT FROM ledger.journal WHERE shard = of_shard AND seq = of_seq
                       AND time_us = at_us AND hash = with_hash)
        OR EXISTS (SELECT FROM ledger.archive WHERE shard = of_shard AND last_seq = of_seq
                       AND last_hash = with_hash);
END $$;

-- As the function with five arguments, which older ledgers call. A batch says which record it
-- follows, and which is its own last one, both as 'shard seq time_us hash'. What this session has
-- committed last is kept as its setting ledger.tail, which a transaction that fails takes back:
-- only what the first batch of a session follows is looked for in the journal, or, when that was
-- archived meanwhile, among the last records of what was.
CREATE FUNCTION ledger.fence_batch(of_group integer, with_epoch bigint, follows text, tail text)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(2, of_group);
    IF NOT EXISTS (SELECT FROM ledger.lease
                   WHERE shard_group = of_group AND epoch = with_epoch) THEN
        RAISE EXCEPTION 'epoch % of shard group % has ended', with_epoch, of_group
            USING ERRCODE = 'SF001';
    END IF;
    IF follows <> coalesce(current_setting('ledger.tail', true), '') THEN
        IF NOT ledger.has_record(follows) THEN
            RAISE EXCEPTION 'the batch before, up to the record %, is not in the journal', follows
                USING ERRCODE = 'SF002';
        END IF;
    END IF;
    PERFORM set_config('ledger.tail', tail, false);
    RETURN true;
END $$;

-- What was there, up to the next whole hour. Clocks may have gone back in it; from now on none
-- does.
DO $$
DECLARE
    hour CONSTANT bigint := 3600000000;
    low bigint;
    high bigint;
    name text;
BEGIN
    SELECT min(time_us), max(time_us) INTO low, high FROM ledger.journal_before;
    IF low IS NULL THEN
        DROP TABLE ledger.journal_before;
        RETURN;
    END IF;
    low := low - (low % hour + hour) % hour;
    high := high - (high % hour + hour) % hour + hour;
    name := to_char(to_timestamp(low / 1000000) AT TIME ZONE 'UTC',
                    '"journal_"YYYYMMDD"t"HH24MISS');
    EXECUTE format('ALTER TABLE ledger.journal_before RENAME TO %I', name);
    EXECUTE format('ALTER TABLE ledger.%I RENAME CONSTRAINT journal_before_check TO journal_check',
                   name);
    EXECUTE format('ALTER TABLE ledger.%I RENAME CONSTRAINT journal_pkey TO %I', name,
                   name || '_pkey');
    EXECUTE format('ALTER TABLE ledger.journal ATTACH PARTITION ledger.%I '
                   'FOR VALUES FROM (%s) TO (%s)', name, low, high);
END $$;

COMMIT;
