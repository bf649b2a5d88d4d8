-- Takes the index away again. SPDX-License-Identifier: Apache-2.0
BEGIN;

DROP INDEX gateway.sessions_revoked;

COMMIT;
