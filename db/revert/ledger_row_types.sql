-- Nothing is lost: no table has columns of these types. SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP TYPE ledger.order_row;
DROP TYPE ledger.trade_row;

COMMIT;
