-- The tables, their keys and the functions are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT shard, seq, time_us, kind, source, corr, payload, hash, epoch
FROM ledger.journal WHERE false;
SELECT shard_group, epoch, owner, taken_us FROM ledger.lease WHERE false;
SELECT 'ledger.fence(integer, bigint)'::regprocedure,
       'ledger.lease_take(integer, text, bigint)'::regprocedure,
       'ledger.lease_keep(integer, bigint)'::regprocedure;

-- A record that is there already is refused by the key: that is how a batch sent twice shows.
-- (Later that is the key of each partition: ledger_partitions.)
SELECT 1 / (count(*) = 2)::int FROM pg_constraint
WHERE contype = 'p' AND (conrelid::regclass::text, pg_get_constraintdef(oid)) IN (
    ('ledger.journal', 'PRIMARY KEY (shard, seq)'),
    ('ledger.lease', 'PRIMARY KEY (shard_group)'))
    OR (contype = 'c' AND conrelid = 'ledger.journal'::regclass AND EXISTS (
        SELECT FROM pg_partitioned_table WHERE partrelid = 'ledger.journal'::regclass));
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'ledger.journal'::regclass AND contype = 'c';

ROLLBACK;
