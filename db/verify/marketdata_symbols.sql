-- The table and its key are there. SPDX-License-Identifier: Apache-2.0
BEGIN;
SELECT source, symbol, is_removed, changed_us FROM marketdata.symbol WHERE false;
SELECT 1 / count(*) FROM pg_constraint
WHERE conrelid = 'marketdata.symbol'::regclass AND contype = 'p' AND
      pg_get_constraintdef(oid) = 'PRIMARY KEY (source, symbol)';
ROLLBACK;
