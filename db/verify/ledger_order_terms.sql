-- The columns, the table and the index are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT fill_preset, fill_model, latency_us, latency_spread_us, slippage_bps, reject_bps, seed
FROM ledger.settings WHERE false;
SELECT terms FROM ledger."order" WHERE false;
SELECT evidence_is_stale FROM ledger.trade WHERE false;
SELECT account_id, order_id, story FROM ledger.order_story WHERE false;
SELECT 1 / count(*) FROM pg_indexes
WHERE schemaname = 'ledger' AND indexname = 'order_open' AND indexdef LIKE '%8%';

ROLLBACK;
