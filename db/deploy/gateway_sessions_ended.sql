-- Gateways ask each second which sessions have ended lately, since access tokens do not tell.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

CREATE INDEX sessions_revoked ON gateway.sessions (revoked_at) WHERE revoked_at IS NOT NULL;

COMMIT;
