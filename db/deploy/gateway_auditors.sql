-- Auditors: users who may look at any account and any order, and change nothing by that.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

ALTER TABLE gateway.users DROP CONSTRAINT users_role_check;
ALTER TABLE gateway.users ADD CONSTRAINT users_role_check
    CHECK (role IN ('user', 'auditor', 'admin'));

COMMIT;
