-- The function is there. SPDX-License-Identifier: Apache-2.0
BEGIN;
SELECT 'ledger.fence_batch(integer, bigint, smallint, bigint, bytea)'::regprocedure;
ROLLBACK;
