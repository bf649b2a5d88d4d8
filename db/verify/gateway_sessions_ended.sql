-- The index is there. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT 1 / count(*) FROM pg_indexes
WHERE schemaname = 'gateway' AND indexname = 'sessions_revoked' AND
      indexdef LIKE '%(revoked_at) WHERE (revoked_at IS NOT NULL)';

ROLLBACK;
