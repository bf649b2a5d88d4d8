-- The role that the exchange bridge connects as. The schema bridge becomes its own, with all that
-- is in it; the services' role `scrip` made it and keeps no right there, and the role of auditing
-- never had one. Run by an administrator, in the database, once the migrations are there; again at
-- any time, and behind each migration of the schema bridge. `./scrip up` does.
--
-- While such a migration runs the role `scrip` is a member of this one; here that ends.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scrip_bridge') THEN
        CREATE ROLE scrip_bridge LOGIN;
    END IF;
END $$;

ALTER ROLE scrip_bridge NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
-- The database's owner could say otherwise where they are made.
ALTER ROLE scrip_bridge SET search_path = pg_catalog;
REVOKE scrip_bridge FROM scrip;

ALTER SCHEMA bridge OWNER TO scrip_bridge;
DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'bridge'::regnamespace
                AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO scrip_bridge', name);
    END LOOP;
END $$;
ALTER FUNCTION bridge.tell_change() OWNER TO scrip_bridge;
REVOKE ALL ON SCHEMA bridge FROM PUBLIC, scrip;
REVOKE ALL ON ALL TABLES IN SCHEMA bridge FROM PUBLIC, scrip;

-- These take the locks of `scrip`, who stays their owner without a way to them.
REVOKE ALL ON FUNCTION bridge.try_own(bigint), bridge.disown(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge.try_own(bigint), bridge.disown(bigint) TO scrip_bridge;

COMMIT;
