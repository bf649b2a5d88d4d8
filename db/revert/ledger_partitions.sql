-- The journal becomes one table again. What was archived would be missing in it: not then.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

LOCK TABLE ledger.journal IN ACCESS EXCLUSIVE MODE;
DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.archive) THEN
        RAISE EXCEPTION 'part of the journal is archived: import its segments into a database of '
            'the older version instead';
    END IF;
END $$;

DROP FUNCTION ledger.fence_batch(integer, bigint, text, text);
DROP FUNCTION ledger.has_record(text);
DROP FUNCTION ledger.partitions_ahead(bigint, bigint);
DROP FUNCTION ledger.partition_at(bigint, bigint);
DROP FUNCTION ledger.newest_us();
DROP VIEW ledger.partitions;
DROP TABLE ledger.archive;

ALTER TABLE ledger.journal RENAME TO journal_of_partitions;

-- The records of one partition stay where they are; those of several are copied into one table.
DO $$
DECLARE
    name text;
    filled text[];
BEGIN
    FOR name IN SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'ledger.journal_of_partitions'::regclass LOOP
        EXECUTE format('SELECT CASE WHEN EXISTS (SELECT FROM ledger.%I) THEN $1 || %L::text '
                       'ELSE $1 END', name, name) INTO filled USING filled;
    END LOOP;
    IF cardinality(filled) = 1 THEN
        name := filled[1];
        EXECUTE format('ALTER TABLE ledger.journal_of_partitions DETACH PARTITION ledger.%I',
                       name);
        EXECUTE format('ALTER TABLE ledger.%I RENAME CONSTRAINT %I TO journal_pkey', name,
                       name || '_pkey');
        EXECUTE format('ALTER TABLE ledger.%I RENAME TO journal', name);
        RETURN;
    END IF;
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
    );
    INSERT INTO ledger.journal SELECT * FROM ledger.journal_of_partitions ORDER BY shard, seq;
    ALTER TABLE ledger.journal ADD PRIMARY KEY (shard, seq);
END $$;
DROP TABLE ledger.journal_of_partitions;

COMMIT;
