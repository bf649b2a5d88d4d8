-- What real orders add to the ledger's tables: which exchange a wallet is bound to, what the
-- exchange says of its balances, and a way to the few orders that are real.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

-- Of a wallet in mode REAL: which exchange (enum environment), the tail of the key that was proved,
-- since when, and whether real orders are mirrored on paper.
ALTER TABLE ledger.settings
    ADD COLUMN environment   smallint NOT NULL DEFAULT 0,
    ADD COLUMN api_key_tail  text     NOT NULL DEFAULT '',
    ADD COLUMN real_since_us bigint   NOT NULL DEFAULT 0,
    ADD COLUMN live_twin     boolean  NOT NULL DEFAULT false;

-- The exchange's time of what it last said of the account's balances.
ALTER TABLE ledger.account
    ADD COLUMN exchange_spot_us    bigint NOT NULL DEFAULT 0,
    ADD COLUMN exchange_futures_us bigint NOT NULL DEFAULT 0;

-- Wallets 3 and 4 are the exchange's. Of futures the wallet's balance and a short position are
-- below zero.
ALTER TABLE ledger.balance DROP CONSTRAINT balance_check;
ALTER TABLE ledger.balance ADD CONSTRAINT balance_check
    CHECK (held >= 0 AND (free >= 0 OR account_id >= (1::bigint << 50) OR wallet = 4));

-- Mode 2 is REAL. Nearly all orders are paper orders and cost nothing here.
CREATE INDEX order_real ON ledger."order" (account_id, order_id) WHERE mode = 2;

COMMIT;
