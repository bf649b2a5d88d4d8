-- The types are there, with every column of their tables. SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT 1 / (count(*) = 0)::int
FROM (VALUES ('ledger."order"'::regclass, 'ledger.order_row'::regclass),
             ('ledger.trade'::regclass, 'ledger.trade_row'::regclass)) AS pair (whole, row)
JOIN pg_attribute AS r ON r.attrelid = pair.row AND r.attnum > 0
LEFT JOIN pg_attribute AS c ON c.attrelid = pair.whole AND c.attname = r.attname AND
    c.atttypid = r.atttypid AND NOT c.attisdropped
WHERE c.attname IS NULL;

ROLLBACK;
