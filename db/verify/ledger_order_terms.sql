-- The columns, the table and the index are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT fill_preset, fill_model, latency_us, latency_spread_us, slippage_bps, reject_bps, seed
FROM ledger.settings WHERE false;
SELECT terms FROM ledger."order" WHERE false;
SELECT evidence_is_stale FROM ledger.trade WHERE false;
SELECT account_id, order_id, story FROM ledger.order_story WHERE false;

-- Rows of before have a value in each: the ledger reads no NULL.
SELECT 1 / (count(*) = 9)::int FROM pg_attribute
WHERE attnotnull AND atthasdef AND (
    (attrelid = 'ledger.settings'::regclass AND
     attname IN ('fill_preset', 'fill_model', 'latency_us', 'latency_spread_us', 'slippage_bps',
                 'reject_bps', 'seed')) OR
    (attrelid = 'ledger."order"'::regclass AND attname = 'terms') OR
    (attrelid = 'ledger.trade'::regclass AND attname = 'evidence_is_stale'));
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'ledger.order_story'::regclass AND contype = 'p' AND
      pg_get_constraintdef(oid) = 'PRIMARY KEY (account_id, order_id)';
-- The index must hold what restore.c asks for: without PENDING_NEW (8) it would not be used.
SELECT 1 / count(*) FROM pg_indexes
WHERE schemaname = 'ledger' AND indexname = 'order_open' AND indexdef LIKE '%1, 2, 8%';

ROLLBACK;
