-- The journal has partitions by time with their keys, its columns, and what others call is there.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT shard, seq, time_us, kind, source, corr, payload, hash, epoch
FROM ledger.journal WHERE false;
SELECT shard, first_seq, last_seq, before_hash, last_hash, partition, from_us, to_us, file, sha256
FROM ledger.archive WHERE false;
SELECT 1 / count(*) FROM pg_partitioned_table
WHERE partrelid = 'ledger.journal'::regclass AND partstrat = 'r';
SELECT 1 / count(*) FROM pg_constraint
WHERE contype = 'p' AND conrelid = 'ledger.archive'::regclass AND
      pg_get_constraintdef(oid) = 'PRIMARY KEY (shard, first_seq)';
-- A record that is there already is refused by its partition's key.
SELECT 1 / (count(*) = 0)::int FROM pg_inherits
WHERE inhparent = 'ledger.journal'::regclass AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'p' AND conrelid = inhrelid AND
        pg_get_constraintdef(oid) = 'PRIMARY KEY (shard, seq)');
SELECT 'ledger.fence_batch(integer, bigint, text, text)'::regprocedure,
       'ledger.has_record(text)'::regprocedure,
       'ledger.partitions_ahead(bigint, bigint)'::regprocedure,
       'ledger.partition_at(bigint, bigint)'::regprocedure,
       'ledger.newest_us()'::regprocedure;

-- Bounds are read out of the catalogue as text: each partition that is there must be seen.
SELECT 1 / (count(*) = (SELECT count(*) FROM ledger.partitions))::int FROM pg_inherits
WHERE inhparent = 'ledger.journal'::regclass AND NOT inhdetachpending;
-- A record at any time that partitions were made for has its place.
SELECT 1 / (ledger.newest_us() >= 0)::int;

ROLLBACK;
