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

DROP FUNCTION ledger.fence_batch(integer, bigint, smallint, bigint, bigint, bytea);
DROP FUNCTION ledger.partitions_ahead(bigint, bigint);
DROP FUNCTION ledger.partition_at(bigint, bigint);
DROP FUNCTION ledger.newest_us();
DROP VIEW ledger.partitions;
DROP TABLE ledger.archive;

ALTER TABLE ledger.journal RENAME TO journal_of_partitions;
ALTER TABLE ledger.journal_of_partitions
    RENAME CONSTRAINT journal_pkey TO journal_of_partitions_pkey;

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
DROP TABLE ledger.journal_of_partitions;

COMMIT;
