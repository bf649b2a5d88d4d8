/*
 * store_database.c - see store_database.h. Deploys db/deploy/ in the order of db/sqitch.plan.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store_database.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char name[64], conninfo[2048], answer[4096];

/* The server's conninfo with another database, in whatever form it was given. */
static void
conninfo_for(const char *database)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(getenv("SCRIP_TEST_PG"), &why);
    cr_assert_not_null(options, "SCRIP_TEST_PG: %s", why);
    size_t at = (size_t)snprintf(conninfo, sizeof conninfo, "dbname='%s'", database);
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
        if (o->val != NULL && strcmp(o->keyword, "dbname") != 0)
            at += (size_t)snprintf(conninfo + at, sizeof conninfo - at, " %s='%s'", o->keyword,
                                   o->val);
    PQconninfoFree(options);
}

static PGconn *
connect_to(const char *where)
{
    PGconn *c = PQconnectdb(where);
    cr_assert_eq(PQstatus(c), CONNECTION_OK, "%s", PQerrorMessage(c));
    PQclear(PQexec(c, "SET client_min_messages = warning"));
    return c;
}

static void
run(PGconn *c, const char *sql)
{
    PGresult *r = PQexec(c, sql);
    ExecStatusType status = PQresultStatus(r);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s", PQerrorMessage(c));
    answer[0] = '\0';
    if (PQntuples(r) > 0)
        snprintf(answer, sizeof answer, "%s", PQgetvalue(r, 0, 0));
    PQclear(r);
}

static void
deploy(PGconn *c, const char *change)
{
    char path[512];
    static char sql[1 << 18];
    snprintf(path, sizeof path, "%s/db/deploy/%s.sql", SCRIP_SOURCE_DIR, change);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t length = fread(sql, 1, sizeof sql - 1, f);
    fclose(f);
    cr_assert_lt(length, sizeof sql - 1);
    sql[length] = '\0';
    run(c, sql);
}

static void
deploy_all(PGconn *c)
{
    char line[512], change[128];
    FILE *f = fopen(SCRIP_SOURCE_DIR "/db/sqitch.plan", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (line[0] != '%' && line[0] != '#' && sscanf(line, "%127s", change) == 1)
            deploy(c, change);
    fclose(f);
}

const char *
database_make(void)
{
    snprintf(name, sizeof name, "scrip_store_%d", (int)getpid());
    conninfo_for("postgres");
    PGconn *c = connect_to(conninfo);
    char sql[128];
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    run(c, sql);
    PQfinish(c);
    conninfo_for(name);
    c = connect_to(conninfo);
    deploy_all(c);
    PQfinish(c);
    return conninfo;
}

void
database_drop(void)
{
    conninfo_for("postgres");
    PGconn *c = connect_to(conninfo);
    char sql[128];
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    run(c, sql);
    PQfinish(c);
}

const char *
database_ask(const char *sql)
{
    PGconn *c = connect_to(conninfo);
    run(c, sql);
    PQfinish(c);
    return answer;
}
