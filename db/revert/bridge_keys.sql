-- Takes the bridge's schema away, with the keys. SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP SCHEMA bridge CASCADE;

COMMIT;
