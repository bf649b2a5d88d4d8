/*
 * user.c - user role: who may audit.
 *
 * A role stands in each access token, so the sessions that have them are ended along with the
 * change; gateways hear of that within a second.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/command.h"

/* Nothing is changed, and no session ended, when it is the user's role already. */
static const char role_sql[] =
    "WITH u AS (SELECT id, username, role FROM gateway.users WHERE lower(username) = lower($1) "
    "           FOR UPDATE),"
    " changed AS (UPDATE gateway.users SET role = $2 FROM u"
    "             WHERE gateway.users.id = u.id AND u.role <> $2 RETURNING u.id),"
    " ended AS (UPDATE gateway.sessions AS s SET revoked_at = now() FROM changed"
    "           WHERE s.user_id = changed.id AND s.revoked_at IS NULL RETURNING s.id)"
    " SELECT u.id, u.username, u.role, (SELECT count(*) FROM ended) FROM u";

static enum status
tell(const struct call *c, const PGresult *result)
{
    if (PQntuples(result) == 0)
        return refuse(c, STATUS_NO, "USER_NOT_FOUND", "there is no user '%.40s'", c->words[0]);
    uint64_t ended = strtoull(PQgetvalue(result, 0, 3), NULL, 10);
    out_table(c->out, "user_id> username role before sessions_ended>");
    out_uint(c->out, strtoull(PQgetvalue(result, 0, 0), NULL, 10));
    out_text(c->out, PQgetvalue(result, 0, 1));
    out_text(c->out, c->words[1]);
    out_text(c->out, PQgetvalue(result, 0, 2));
    out_uint(c->out, ended);
    out_row_end(c->out);
    if (ended > 0)
        out_say(c->out, "The role counts from the next log-in on.");
    return STATUS_OK;
}

static enum status
failed(const struct call *c, PGconn *db, const char *code)
{
    const char *why = PQerrorMessage(db);
    return refuse(c, STATUS_FAILED, code, "%.*s", (int)strcspn(why, "\n"), why);
}

static enum status
change(const struct call *c, PGconn *db)
{
    if (PQstatus(db) != CONNECTION_OK)
        return failed(c, db, "SOURCE_UNREADABLE");
    const char *const values[] = {c->words[0], c->words[1]};
    PGresult *result = PQexecParams(db, role_sql, 2, NULL, values, NULL, NULL, 0);
    enum status status =
        PQresultStatus(result) == PGRES_TUPLES_OK ? tell(c, result) : failed(c, db, "NOT_WRITTEN");
    PQclear(result);
    return status;
}

enum status
user_role(const struct call *c)
{
    static const char *const roles[] = {"user", "auditor", "admin"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        is_known = is_known || strcmp(roles[i], c->words[1]) == 0;
    if (!is_known)
        return refuse(c, STATUS_USAGE, "USAGE", "a role is user, auditor or admin, not '%.40s'",
                      c->words[1]);
    if (c->o.database == NULL)
        return refuse(c, STATUS_FAILED, "NO_SOURCE",
                      "users are in a database: name it with "
                      "--database");
    PGconn *db = PQconnectdb(c->o.database);
    enum status status = change(c, db);
    PQfinish(db);
    return status;
}
