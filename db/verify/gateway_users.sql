-- The columns the gateway reads and writes are there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT id, username, password_hash, role, failed_count, locked_until, created_at
FROM gateway.users WHERE false;
SELECT id, user_id, is_default, created_at FROM gateway.accounts WHERE false;
SELECT id, user_id, created_at, revoked_at FROM gateway.sessions WHERE false;
SELECT hash, session_id, issued_at, expires_at, used_at FROM gateway.refresh_tokens WHERE false;
SELECT has_function_privilege('gateway.refresh(bytea, bytea, bigint)', 'execute');

ROLLBACK;
