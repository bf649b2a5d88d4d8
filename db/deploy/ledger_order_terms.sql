-- What order types beyond MARKET and LIMIT, order lists, fill rules and stories add to the ledger's
-- tables.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

-- Fill rules of a wallet; all 0: none, as for accounts that were opened before there were any.
ALTER TABLE ledger.settings
    ADD COLUMN fill_preset       smallint NOT NULL DEFAULT 0,
    ADD COLUMN fill_model        smallint NOT NULL DEFAULT 0,
    ADD COLUMN latency_us        integer  NOT NULL DEFAULT 0,
    ADD COLUMN latency_spread_us integer  NOT NULL DEFAULT 0,
    ADD COLUMN slippage_bps      integer  NOT NULL DEFAULT 0,
    ADD COLUMN reject_bps        integer  NOT NULL DEFAULT 0,
    ADD COLUMN seed              bigint   NOT NULL DEFAULT 0;

-- Record order_terms of common/tbl/messages.def as msgpack, the map of tags to values that the
-- journal's payloads are too: what is 0 takes no room, and most orders have little of it. Empty:
-- the row is from before there were terms. What it costs is in docs/decisions/0009-order-terms.md.
ALTER TABLE ledger."order" ADD COLUMN terms bytea NOT NULL DEFAULT '';

-- What a start has to load: NEW, PARTIALLY_FILLED and PENDING_NEW.
DROP INDEX ledger.order_open;
CREATE INDEX order_open ON ledger."order" (order_id) WHERE status IN (1, 2, 8);

ALTER TABLE ledger.trade ADD COLUMN evidence_is_stale boolean NOT NULL DEFAULT false;

-- What the matcher saw of an order that waited or rested, record story of messages.def, likewise.
-- Written once, with the order's end.
CREATE TABLE ledger.order_story (
    account_id bigint NOT NULL,
    order_id   bigint NOT NULL,
    story      bytea  NOT NULL,
    PRIMARY KEY (account_id, order_id)
);

COMMIT;
