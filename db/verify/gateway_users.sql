-- The columns, keys and indexes that the gateway depends on are there.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT id, username, password_hash, role, failed_count, locked_until, created_at
FROM gateway.users WHERE false;
SELECT id, user_id, is_default, created_at FROM gateway.accounts WHERE false;
SELECT id, user_id, created_at, revoked_at FROM gateway.sessions WHERE false;
SELECT hash, session_id, issued_at, expires_at, used_at FROM gateway.refresh_tokens WHERE false;
SELECT 'gateway.refresh(bytea, bytea, bigint)'::regprocedure;

SELECT 1 / (count(*) = 4)::int FROM pg_constraint
WHERE contype = 'p' AND (conrelid::regclass::text, pg_get_constraintdef(oid)) IN (
    ('gateway.users', 'PRIMARY KEY (id)'),
    ('gateway.accounts', 'PRIMARY KEY (id)'),
    ('gateway.sessions', 'PRIMARY KEY (id)'),
    ('gateway.refresh_tokens', 'PRIMARY KEY (hash)'));
SELECT 1 / (count(*) = 3)::int FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'gateway'::regnamespace;

-- A name is taken once, whatever its case, and a user has one default account: both by index.
SELECT 1 / (count(*) = 5)::int FROM pg_indexes
WHERE schemaname = 'gateway' AND (
    (indexname = 'users_name' AND indexdef LIKE 'CREATE UNIQUE INDEX %(lower(username))') OR
    (indexname = 'accounts_default' AND
     indexdef LIKE 'CREATE UNIQUE INDEX %(user_id) WHERE is_default') OR
    (indexname = 'accounts_user' AND indexdef LIKE '%(user_id)') OR
    (indexname = 'sessions_user' AND indexdef LIKE '%(user_id)') OR
    (indexname = 'refresh_tokens_session' AND indexdef LIKE '%(session_id)'));

ROLLBACK;
