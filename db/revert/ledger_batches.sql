-- Takes the function away again. SPDX-License-Identifier: Apache-2.0
BEGIN;
DROP FUNCTION ledger.fence_batch(integer, bigint, smallint, bigint, bytea);
COMMIT;
