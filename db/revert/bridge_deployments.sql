-- Takes the ids of before away. SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP TABLE bridge.deployment_before;

COMMIT;
