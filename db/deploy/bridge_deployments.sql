-- The ids of before: an order that was placed before a restore has its name at the exchange from
-- the id that the deployment had then.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

-- Of what was created up to that time (microseconds UTC), which is that of the newest record that
-- was restored, and after the time of the id before it.
CREATE TABLE bridge.deployment_before (
    until_us bigint  NOT NULL UNIQUE,
    id       char(6) NOT NULL CHECK (id ~ '^[0-9a-z]{6}$')
);

COMMIT;
