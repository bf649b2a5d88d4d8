-- Takes the users away again. SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP SCHEMA gateway CASCADE;

COMMIT;
