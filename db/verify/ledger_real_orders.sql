-- Columns, constraint and index are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

-- Rows of before have a value in each: the ledger reads no NULL.
SELECT 1 / (count(*) = 6)::int FROM pg_attribute
WHERE attnotnull AND atthasdef AND (
    (attrelid = 'ledger.settings'::regclass AND
     attname IN ('environment', 'api_key_tail', 'real_since_us', 'live_twin')) OR
    (attrelid = 'ledger.account'::regclass AND
     attname IN ('exchange_spot_us', 'exchange_futures_us')));
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'ledger.balance'::regclass AND conname = 'balance_check' AND
      pg_get_constraintdef(oid) LIKE '%wallet = 4%';
SELECT 1 / count(*) FROM pg_indexes
WHERE schemaname = 'ledger' AND indexname = 'order_real' AND indexdef LIKE '%mode = 2%';

ROLLBACK;
