BEGIN;
DROP FUNCTION ledger.fence(integer, bigint);
DROP FUNCTION ledger.lease_keep(integer, bigint);
DROP FUNCTION ledger.lease_take(integer, text, bigint);
DROP TABLE ledger.lease;
DROP TABLE ledger.journal;
DROP SCHEMA ledger;
COMMIT;
