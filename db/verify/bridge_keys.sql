-- The columns, keys and functions that the bridge depends on are there.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT 1 / (count(*) = 1)::int FROM bridge.deployment WHERE id ~ '^[0-9a-z]{6}$';
SELECT number, user_id, trading_type, environment, kind, api_key_tail, sealed, master_key_id,
    stored_us, checked_us, is_valid, can_trade, can_withdraw, warning
FROM bridge.exchange_key WHERE false;
SELECT account_id, trading_type, user_id, environment, bound_us
FROM bridge.account_binding WHERE false;
SELECT account_id, user_id, trading_type, every_minutes, next_us, last_us, last_error
FROM bridge.sync_schedule WHERE false;
SELECT environment, trading_type, fetched_us, body FROM bridge.rules WHERE false;
SELECT environment, symbol, bracket, initial_leverage, notional_floor, notional_cap,
    maintenance_margin_rate, cumulative, fetched_us
FROM bridge.bracket WHERE false;
SELECT 'bridge.try_own(bigint)'::regprocedure, 'bridge.disown(bigint)'::regprocedure;

SELECT 1 / (count(*) = 6)::int FROM pg_constraint
WHERE contype = 'p' AND connamespace = 'bridge'::regnamespace;
SELECT 1 / (count(*) = 1)::int FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'bridge'::regnamespace;
SELECT 1 / (count(*) = 2)::int FROM pg_trigger
WHERE tgname = 'tell_change' AND tgfoid = 'bridge.tell_change()'::regprocedure;

ROLLBACK;
