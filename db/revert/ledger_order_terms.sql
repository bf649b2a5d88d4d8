-- Takes terms, stories and fill rules away again; with them goes what they say of open orders.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP TABLE ledger.order_story;
ALTER TABLE ledger.trade DROP COLUMN evidence_is_stale;
DROP INDEX ledger.order_open;
ALTER TABLE ledger."order" DROP COLUMN terms;
CREATE INDEX order_open ON ledger."order" (order_id) WHERE status <= 2;
ALTER TABLE ledger.settings
    DROP COLUMN fill_preset, DROP COLUMN fill_model, DROP COLUMN latency_us,
    DROP COLUMN latency_spread_us, DROP COLUMN slippage_bps, DROP COLUMN reject_bps,
    DROP COLUMN seed;

COMMIT;
