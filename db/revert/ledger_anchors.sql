-- Takes the anchors away: export them first. SPDX-License-Identifier: Apache-2.0
BEGIN;
DROP FUNCTION ledger.anchor_add(integer, bigint, bigint, bigint, text);
DROP TABLE ledger.anchor;
DROP FUNCTION ledger.anchor_stays();
COMMIT;
