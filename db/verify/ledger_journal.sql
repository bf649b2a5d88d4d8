BEGIN;
SELECT shard, seq, time_us, kind, source, corr, payload, hash, epoch
  FROM ledger.journal WHERE false;
SELECT shard_group, epoch, owner, taken_us FROM ledger.lease WHERE false;
SELECT 'ledger.fence(integer, bigint)'::regprocedure,
       'ledger.lease_take(integer, text, bigint)'::regprocedure,
       'ledger.lease_keep(integer, bigint)'::regprocedure;
ROLLBACK;
