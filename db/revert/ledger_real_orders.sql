-- Takes real orders' columns away again, and what the exchange said of balances. Refuses while real
-- orders are open: nobody would ask what became of them. SPDX-License-Identifier: Apache-2.0
BEGIN;

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger."order" WHERE mode = 2 AND status IN (1, 2, 8)) THEN
        RAISE EXCEPTION 'real orders are open';
    END IF;
END $$;

DROP INDEX ledger.order_real;
DELETE FROM ledger.balance WHERE wallet > 2;
ALTER TABLE ledger.balance DROP CONSTRAINT balance_check;
ALTER TABLE ledger.balance ADD CONSTRAINT balance_check
    CHECK (held >= 0 AND (free >= 0 OR account_id >= (1::bigint << 50)));
ALTER TABLE ledger.account DROP COLUMN exchange_spot_us, DROP COLUMN exchange_futures_us;
ALTER TABLE ledger.settings
    DROP COLUMN environment, DROP COLUMN api_key_tail, DROP COLUMN real_since_us,
    DROP COLUMN live_twin;

COMMIT;
