-- The columns that the bridge reads are there.
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

SELECT until_us, id FROM bridge.deployment_before WHERE false;

ROLLBACK;
