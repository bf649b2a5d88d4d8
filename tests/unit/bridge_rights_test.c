/*
 * bridge_rights_test.c - nobody but the bridge's role reads its schema: db/bridge_role.sql.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_keys_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store_database.h"

TestSuite(bridge_rights, .init = keys_set_up, .fini = keys_tear_down);

/* ---- Who may read ---------------------------------------------------------------------------- */

static void
run_file(const char *name)
{
    static char sql[1 << 16];
    char path[512];
    snprintf(path, sizeof path, "%s/db/%s", SCRIP_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t length = fread(sql, 1, sizeof sql - 1, f);
    fclose(f);
    sql[length] = '\0';
    database_ask(sql);
}

/* '1' when the role may do what the statement does, '0' when it is refused for want of a right. */
static char
may(const char *role, const char *statement)
{
    char sql[1024];
    PGconn *c = PQconnectdb(database);
    snprintf(sql, sizeof sql, "BEGIN; SET SESSION AUTHORIZATION %s; %s", role, statement);
    PGresult *r = PQexec(c, sql);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    char answer = state == NULL ? '1' : strcmp(state, "42501") == 0 ? '0' : '?';
    cr_assert_neq(answer, '?', "%s: %s", statement, PQresultErrorMessage(r));
    PQclear(r);
    PQfinish(c);
    return answer;
}

static const char *const statements[] = {
    "SELECT * FROM bridge.exchange_key",
    "SELECT * FROM bridge.account_binding",
    "SELECT * FROM bridge.deployment",
    "SELECT * FROM bridge.sync_schedule",
    "SELECT * FROM bridge.rules",
    "SELECT * FROM bridge.bracket",
    "DELETE FROM bridge.exchange_key",
    "UPDATE bridge.account_binding SET environment = 2",
    "INSERT INTO bridge.rules VALUES (1, 1, 1, '')",
    "SELECT bridge.try_own(1)",
};

Test(bridge_rights, only_the_bridges_role_may_read_or_write)
{
    database_ask("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scrip') THEN"
                 " CREATE ROLE scrip LOGIN; END IF; EXCEPTION WHEN duplicate_object THEN END $$");
    database_ask("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO scrip',"
                 " current_database()); END $$");
    database_ask("GRANT ALL ON SCHEMA bridge, ledger TO scrip; GRANT ALL ON ALL TABLES IN SCHEMA"
                 " bridge TO scrip");
    cr_assert_eq(may("scrip", statements[0]), '1', "the makers of the schema may");
    run_file("audit_role.sql");
    for (int again = 0; again < 2; again++)
        run_file("bridge_role.sql");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        cr_assert_eq(may("scrip", statements[i]), '0', "%s", statements[i]);
        cr_assert_eq(may("scrip_audit", statements[i]), '0', "%s", statements[i]);
        cr_assert_eq(may("scrip_bridge", statements[i]), '1', "%s", statements[i]);
    }
    cr_assert_eq(may("scrip", "GRANT USAGE ON SCHEMA bridge TO scrip"), '0');
    cr_assert_eq(may("scrip", "ALTER TABLE bridge.exchange_key OWNER TO scrip"), '0');
    cr_assert_eq(may("scrip", "DROP SCHEMA bridge CASCADE"), '0');
    cr_assert_eq(may("scrip", "SET ROLE scrip_bridge"), '0');
    cr_assert_eq(may("scrip_bridge", "SELECT pg_try_advisory_lock(1)"), '0');
    cr_assert_eq(may("scrip_bridge", "SELECT * FROM ledger.journal"), '0');
    cr_assert_eq(may("scrip_bridge", "SELECT * FROM gateway.users"), '0');
}
