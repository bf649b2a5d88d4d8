-- The role is allowed. SPDX-License-Identifier: Apache-2.0
BEGIN;
SELECT 1 / count(*) FROM pg_constraint WHERE conrelid = 'gateway.users'::regclass
    AND conname = 'users_role_check' AND pg_get_constraintdef(oid) LIKE '%auditor%';
ROLLBACK;
