-- Symbols are those of the configuration again. SPDX-License-Identifier: Apache-2.0
BEGIN;
DROP TABLE marketdata.symbol;
COMMIT;
