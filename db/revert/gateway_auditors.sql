-- Auditors become users again. SPDX-License-Identifier: Apache-2.0
BEGIN;
UPDATE gateway.users SET role = 'user' WHERE role = 'auditor';
ALTER TABLE gateway.users DROP CONSTRAINT users_role_check;
ALTER TABLE gateway.users ADD CONSTRAINT users_role_check CHECK (role IN ('user', 'admin'));
COMMIT;
