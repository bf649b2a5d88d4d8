-- The role that auditing connects as: it reads the schema ledger, with what is yet to be made
-- there, and can change nothing. Run by an administrator, in the database, once the migrations are
-- there; again at any time. `./scrip up` does.
--
-- The rights hold for tables that the role `scrip` makes; it owns the database.
--
-- SPDX-License-Identifier: Apache-2.0
BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scrip_audit') THEN
        CREATE ROLE scrip_audit LOGIN;
    END IF;
END $$;

ALTER ROLE scrip_audit NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 20;
ALTER ROLE scrip_audit SET default_transaction_read_only = on;
GRANT USAGE ON SCHEMA ledger TO scrip_audit;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO scrip_audit;
ALTER DEFAULT PRIVILEGES FOR ROLE scrip IN SCHEMA ledger GRANT SELECT ON TABLES TO scrip_audit;

-- Everybody may call functions and take advisory locks, unless told otherwise. The ledger's fence
-- is such a lock: whoever takes it keeps the ledger from writing.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE scrip REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
DO $$
DECLARE
    f regprocedure;
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
             AND proname ~ '^pg_(try_)?advisory_' LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO scrip', f);
    END LOOP;
END $$;

COMMIT;
