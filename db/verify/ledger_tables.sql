-- The columns, keys and indexes that the ledger writes and reads by are there.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT shard, seq, hash, order_sequence, trade_sequence, change_sequence
FROM ledger.shard WHERE false;
SELECT account_id, shard, user_id, tier, event_sequence, orders_placed, commands_next, commands
FROM ledger.account WHERE false;
SELECT account_id, wallet, mode, dry_run_mode, auto_trading, margin_per_trade, leverage,
       paper_balance, balance_min, balance_max
FROM ledger.settings WHERE false;
SELECT account_id, wallet, asset, shard, free, held FROM ledger.balance WHERE false;
SELECT order_id, account_id, client_order_id, symbol, side, type, time_in_force, status,
       end_reason, mode, price, quantity, quote_order_quantity, executed_quantity,
       executed_quote_quantity, hold, held, created_us, updated_us, base_asset, quote_asset,
       id_was_made, worst_price, reference_price, step_size, maker_fee_rate, taker_fee_rate,
       rank, fills
FROM ledger."order" WHERE false;
SELECT trade_id, order_id, account_id, symbol, side, price, quantity, quote_quantity, fee,
       fee_asset, is_maker, time_us, evidence_source, evidence_sequence, evidence_price,
       evidence_quantity, evidence_time_us
FROM ledger.trade WHERE false;
SELECT change_id, account_id, wallet, time_us, old_balance, new_balance, source, changed_by
FROM ledger.balance_change WHERE false;

-- Rows are written over by these keys (ON CONFLICT), and pages are read along them.
SELECT 1 / (count(*) = 7)::int FROM pg_constraint
WHERE contype = 'p' AND (conrelid::regclass::text, pg_get_constraintdef(oid)) IN (
    ('ledger.shard', 'PRIMARY KEY (shard)'),
    ('ledger.account', 'PRIMARY KEY (account_id)'),
    ('ledger.settings', 'PRIMARY KEY (account_id, wallet)'),
    ('ledger.balance', 'PRIMARY KEY (account_id, wallet, asset)'),
    ('ledger."order"', 'PRIMARY KEY (account_id, order_id)'),
    ('ledger.trade', 'PRIMARY KEY (account_id, trade_id)'),
    ('ledger.balance_change', 'PRIMARY KEY (account_id, wallet, change_id)'));
SELECT 1 / (count(*) = 2)::int FROM pg_constraint
WHERE contype = 'c' AND conrelid IN ('ledger.settings'::regclass, 'ledger.balance'::regclass);

-- A start, a look-up by client order id and an order's fills would read whole tables without.
SELECT 1 / (count(*) = 4)::int FROM pg_indexes
WHERE schemaname = 'ledger' AND (
    (indexname = 'account_by_shard' AND indexdef LIKE '%(shard)') OR
    (indexname = 'order_by_client' AND
     indexdef LIKE '%(account_id, client_order_id) WHERE (NOT id_was_made)') OR
    (indexname = 'order_open' AND indexdef LIKE '%(order_id) WHERE %status%') OR
    (indexname = 'trade_by_order' AND indexdef LIKE '%(order_id)'));

ROLLBACK;
